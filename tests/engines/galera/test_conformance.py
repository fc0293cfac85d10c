"""What every engine must keep, kept by this one: how it introduces itself, and its triage."""

from __future__ import annotations

import pytest
from galera_kit import CLUSTER, World, gvwstate, node
from galera_sql import Database, tables_alone

from hasteward import testing
from hasteward.domain.errors import Refused
from hasteward.plugins import Engine
from hasteward.testing import HEALTHY
from hasteward.testing.conformance import (
    DumpConformance,
    InfoConformance,
    RestoreConformance,
    TriageConformance,
)
from hasteward.testing.conformance.base import kills
from hasteward.testing.faults import Killed, KillNth
from hasteward_galera.plugin import plugin


def _split(world: World) -> None:
    world.among("db-0", "db-1")
    world.among("db-2")


def _not_primary(world: World) -> None:
    world.among("db-0", "db-1")
    world.servers["db-2"].primary = False


def _other_history(world: World) -> None:
    world.among("db-0", "db-1")
    world.among("db-2")
    world.servers["db-2"].uuid = "99999999-63a8-11ef-98a2-2b0c0aa0a627"


def _donor(world: World) -> None:
    world.servers["db-1"].state = "Donor/Desynced"


def _down(world: World) -> None:
    world.among("db-0", "db-1")
    world.stop("db-2", gvwstate=gvwstate(*(node(n) for n in range(3))))


def _no_component(world: World) -> None:
    for server in world.servers.values():
        server.primary = False


SICK = {
    "split": _split,
    "member apart": _not_primary,
    "other history": _other_history,
    "donor": _donor,
    "member down": _down,
    "no component": _no_component,
}


def world(state: str = HEALTHY, database: Database | None = None) -> testing.World:
    truth, database = World(), database or Database()
    truth.database = database
    if state != HEALTHY:
        SICK[state](truth)
    return testing.World(
        CLUSTER,
        truth.kubernetes(),
        content=lambda: database.live,
        damage=database.damage,
        residue=lambda: database.residue,
    )


@pytest.mark.timeout(600)
class TestGalera(InfoConformance, TriageConformance):
    engine = plugin
    states = tuple(SICK)

    def world(self, state: str = HEALTHY) -> testing.World:
        return world(state)


@pytest.mark.timeout(3600)
class TestData(DumpConformance, RestoreConformance):
    """Dump, restore and undo of what one RENAME swaps as a whole; the sweeps take minutes."""

    engine = plugin

    def world(self, state: str = HEALTHY) -> testing.World:
        return world(state, Database(tables_alone()))

    @pytest.mark.long
    def test_a_backup_that_fails_or_is_killed_is_not_there(self) -> None:
        super().test_a_backup_that_fails_or_is_killed_is_not_there()

    @pytest.mark.long
    def test_a_restore_that_fails_or_is_killed_leaves_the_old_or_the_new(self) -> None:
        super().test_a_restore_that_fails_or_is_killed_leaves_the_old_or_the_new()

    @pytest.mark.long
    def test_a_restore_that_was_killed_is_taken_back(self) -> None:
        super().test_a_restore_that_was_killed_is_taken_back()

    @pytest.mark.long
    def test_an_undo_that_fails_or_is_killed_leaves_one_of_both_and_is_ended_by_the_next(self) -> None:
        super().test_an_undo_that_fails_or_is_killed_leaves_one_of_both_and_is_ended_by_the_next()

    def test_killed_at_every_13th_call_a_restore_leaves_the_old_or_the_new(self) -> None:
        """A sample of the sweep above, for every run of the tests."""
        assert deaths(self, 13, of_many_acts=False) == {"old", "new"}


@pytest.mark.timeout(3600)
class TestManyActs(RestoreConformance):
    """Two schemas with programs are swapped in several acts (see docs/explanation/promises.md)."""

    engine = plugin

    def world(self, state: str = HEALTHY) -> testing.World:
        return world(state)

    def test_killed_at_every_13th_call_a_restore_is_finished_by_the_next(self) -> None:
        assert deaths(self, 13, of_many_acts=True) == {"old", "new", "between"}

    @pytest.mark.long
    def test_a_restore_that_was_killed_is_taken_back(self) -> None:
        super().test_a_restore_that_was_killed_is_taken_back()

    @pytest.mark.long
    def test_an_undo_that_fails_or_is_killed_leaves_one_of_both_and_is_ended_by_the_next(self) -> None:
        """Killed at every call; the next undo ends at the old."""
        engine, old = self.putting_back(), self.damaged().content()
        for each in kills(self.restored, lambda world: world.undo(engine)):
            each.world.next_run()
            each.world.undo(engine)
            assert (each.world.content(), each.world.residue()) == (old, []), each.fault

    @pytest.mark.long
    def test_a_restore_that_fails_or_is_killed_leaves_the_old_or_the_new(self) -> None:
        """Killed at every call; only a death may be between two acts, and no table is ever half of both."""
        assert deaths(self, 1, of_many_acts=True) == {"old", "new", "between"}


def deaths(tests: RestoreConformance, step: int, *, of_many_acts: bool) -> set[str]:
    """Die before every `step`-th call of a restore; what was live then. The next run ends at the new."""
    engine = tests.addressed()
    clean, counting = tests.damaged(), KillNth(10**6)
    old = clean.content()
    clean.on_call = counting
    clean.restore(engine)
    new, ends = clean.content(), set[str]()
    for nth in range(len(counting.calls), 0, -step):
        here = tests.damaged()
        here.on_call = KillNth(nth)
        with pytest.raises(Killed):
            here.restore(engine)
        live = here.content()
        ends.add("old" if live == old else "new" if live == new else "between")
        assert of_many_acts or live in (old, new), counting.calls[nth - 1]
        for schema, (tables, *_) in live[0].items():
            assert tables in (old[0][schema][0], new[0][schema][0]), counting.calls[nth - 1]
        here.next_run()
        if live not in (old, new):
            refuses_a_backup(here, engine, counting.calls[nth - 1])
        here.restore(engine)
        assert (here.content(), here.residue()) == (new, []), counting.calls[nth - 1]
    return ends


def refuses_a_backup(here: testing.World, engine: Engine, call: str) -> None:
    """What is live is neither what was there nor what was restored: no snapshot is to say it ever was."""
    with pytest.raises(Refused) as caught:
        here.backup(engine)
    assert caught.value.code == "dump.half_restored", call
    here.next_run()
