"""Dump and restore over a faked MariaDB: what is asked for, what is compared, and what is told."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from galera_kit import CLUSTER, ENGINE, PASSWORD, World
from galera_sql import Database

from hasteward import testing
from hasteward.domain.errors import HastewardError, Unproven
from hasteward.testing.faults import away


class Site(testing.World):
    """Three members with a shop, and a backup of it; the shop was damaged since."""

    def __init__(self) -> None:
        self.truth, self.database = World(), Database()
        self.truth.database = self.database
        super().__init__(
            CLUSTER,
            self.truth.kubernetes(),
            content=lambda: self.database.live,
            damage=self.database.damage,
            residue=lambda: self.database.residue,
        )
        self.backup(ENGINE)
        self.damage()


@pytest.fixture
def site() -> Site:
    return Site()


def test_w20_the_password_is_in_no_argument_and_is_fed_to_every_client(site: Site) -> None:
    site.restore(ENGINE)

    clients = [argv for argv in site.database.argvs if argv[0] in {"mariadb", "mariadb-dump"}]
    assert [argv for argv in (*site.truth.argvs, *site.database.argvs) if PASSWORD in " ".join(argv)] == []
    feeding = {"--defaults-extra-file=/dev/stdin", "--defaults-extra-file=/dev/fd/7"}
    assert {argv[1] for argv in clients} == feeding


def test_every_member_counts_the_checksums_of_every_table_before_anything_is_swapped(site: Site) -> None:
    result = site.restore(ENGINE)

    asked = [word for argv in site.database.argvs for word in argv if "CHECKSUM" in word]
    assert len(asked) == 3
    assert set(asked) == {asked[0]}
    assert asked[0].startswith("SET SESSION wsrep_sync_wait = 15; CHECKSUM TABLE ")
    agreed = ("db-0, db-1, db-2 agree on the checksums of 3 tables", "db-0, db-1, db-2 are Synced after it")
    assert result.outcome.checks[-2:] == agreed


def test_a_member_that_holds_something_else_stops_a_restore(site: Site) -> None:
    before = site.content()
    site.database.apart.add("db-2")

    with pytest.raises(Unproven, match="db-2 does not hold what was loaded through db-0") as caught:
        site.restore(ENGINE)

    assert caught.value.code == "restore.members_differ"
    assert (site.content(), site.residue()) == (before, [])


def test_thousands_of_tables_and_accounts_fit_into_what_a_program_is_told() -> None:
    site = Site()
    site.database.accounts |= {f"{number:060}": "SELECT ON shop.*" for number in range(700)}
    tables = {f"{number:060}": "a row" for number in range(1400)}
    site.database.schemas["shop"].tables = tables
    site.database.table_bytes = 0
    site.backup(ENGINE)
    saved = site.content()
    site.database.schemas["shop"].tables = {}

    result = site.restore(ENGINE)

    assert site.content() == saved
    assert "db-0, db-1, db-2 agree on the checksums of 1401 tables" in result.outcome.checks


def test_a_member_that_cannot_count_stops_a_restore(site: Site) -> None:
    before = site.content()
    site.kubernetes.faults.append(testing.StreamFault(testing.Loss.CUT, 0, match="CHECKSUM"))

    with pytest.raises(Unproven, match="without the producer's trailer"):
        site.restore(ENGINE)

    assert (site.content(), site.residue()) == (before, [])


def test_a_member_that_went_away_during_the_dump_makes_it_no_backup(site: Site) -> None:
    """The component it was in before must be the one it is in after."""
    asked: list[str] = []

    def moved(server: object) -> None:
        asked.append(server.name)  # type: ignore[attr-defined]
        if len(asked) == 4:  # the three of the triage, and then the one that was dumped
            server.primary = False  # type: ignore[attr-defined]

    site.truth.on_ask = moved

    with pytest.raises(Unproven, match="left its component while it was dumped"):
        site.backup(ENGINE)

    assert len(site.proven()) == 1


def test_where_the_member_was_before_and_after_is_kept_with_the_backup(site: Site) -> None:
    from hasteward.pipelines.catalog import manifest_of

    manifest = manifest_of(site.repository, site.proven()[0])

    assert manifest.catalog["wsrep"] == {
        "uuid": "67a44ea9-63a8-11ef-98a2-2b0c0aa0a627",
        "first": 100,
        "last": 100,
    }
    assert manifest.member == "db-2"


@pytest.mark.parametrize("at", [1000, 1300])
def test_what_a_swap_was_writing_down_when_its_stream_was_cut_is_never_taken_back(at: int) -> None:
    """Not all of it is there, and nothing was moved: to swap that back would empty the live schema."""
    first, last = Site().kubernetes.execs, Site()
    last.restore(ENGINE)
    struck = 0
    # behind the loads; in reverse, because the acts that count come last
    for nth in range(last.kubernetes.execs, first + 24, -1):
        site = Site()
        before = site.content()
        site.kubernetes.faults.append(testing.StreamFault(testing.Loss.CUT, at, nth=nth))
        try:
            site.restore(ENGINE)
        except HastewardError:
            struck += 1
        else:
            continue
        site.next_run()
        site.undo(ENGINE)
        assert site.content() == before, nth
        site.restore(ENGINE)
        assert site.residue() == [], nth
    assert struck


@dataclass
class Outage:
    """The `nth` exec does its work, and nobody hears of it; the `more` that follow do not even begin."""

    nth: int
    more: int
    execs: int = 0

    def __call__(self, call: str) -> None:
        self.execs += call == "exec"
        if self.execs == self.nth and call == "exec.receive":
            raise away(call)
        if call == "exec" and self.nth < self.execs <= self.nth + self.more:
            raise away(call)


@pytest.mark.parametrize(
    ("more", "tables"), [*((n, {"item": "nothing", "stray": "a row"}) for n in range(3)), (1, {})]
)
def test_an_api_that_is_away_for_several_calls_of_a_swap_leaves_what_undo_can_take_back(
    more: int, tables: dict[str, str]
) -> None:
    """A kept schema that is empty is taken for what was replaced only if something was replaced."""

    def made() -> Site:
        site = Site()
        site.database.schemas["shop"].tables = dict(tables)
        return site

    clean, counted = made(), Outage(0, 0)
    clean.on_call = counted
    clean.restore(ENGINE)
    new, struck = clean.content(), 0
    for nth in range(counted.execs, 24, -1):
        site = made()
        before = site.content()
        site.on_call = Outage(nth, more)
        try:
            site.restore(ENGINE)
        except HastewardError:
            struck += 1
        else:
            continue
        site.next_run()
        site.undo(ENGINE)
        assert site.content() == before, nth
        site.restore(ENGINE)
        assert (site.content(), site.residue()) == (new, []), nth
    assert struck > 10
