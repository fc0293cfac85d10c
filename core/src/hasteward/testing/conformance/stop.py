"""``--deep=stop``: who is stopped to look at is let go again; never changed in silence."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from hasteward.domain.capability import Capability
from hasteward.domain.report import Authority
from hasteward.plugins import Engine
from hasteward.ports.context import Depth
from hasteward.testing.conformance.base import Conformance, everything
from hasteward.testing.reporter import Approval
from hasteward.testing.world import Picture, World


class StopConformance(Conformance):
    """The hook `plan_stop`, through triage. Beside `EngineConformance`: for an engine that implements it."""

    #: states in which a member can be read only while it is stopped, and answers once it was
    hangs: tuple[str, ...] = ()

    def _hangs(self) -> Iterator[tuple[str, Engine]]:
        engine = self.addressed(Capability.TRIAGE, Capability.HEAL)
        assert engine.stops is not None, "the engine does not implement plan_stop"
        assert self.hangs, "name at least one state in `hangs`"
        for state in self.hangs:
            yield state, engine

    def test_what_could_not_be_told_is_told_once_it_was_stopped(self) -> None:
        """And everything is as it was: the data, what lies beside them, no journal, no helper pod."""
        for state, engine in self._hangs():
            world = self.world(state)
            content, residue = world.content(), world.residue()
            assert world.triage(engine, Depth.DEEP).authority is Authority.UNDETERMINABLE, state

            after = world.triage(engine, Depth.STOP)

            assert after.authority is not Authority.UNDETERMINABLE, state
            assert (world.content(), world.residue()) == (content, residue), state
            assert (world.unfinished, world.helpers) == (False, []), state

    def test_nobody_is_stopped_who_can_be_read(self) -> None:
        """A healthy cluster, whatever is asked of it."""
        for _, engine in self._hangs():
            world = self.world()
            before = world.picture()

            world.triage(engine, Depth.STOP)

            assert world.picture() == before
            assert world.approval.plans == []

    def test_a_dry_run_of_a_stop_touches_nothing_and_shows_the_plan(self) -> None:
        """The same plan that the real run acts on."""
        for state, engine in self._hangs():
            dry, real = self.world(state), self.world(state)
            dry.approval = Approval(answer=False)
            before = dry.picture()

            dry.triage(engine, Depth.STOP)
            real.triage(engine, Depth.STOP)

            assert dry.picture() == before, state
            assert dry.approval.plans == real.approval.plans != [], state

    def test_who_was_stopped_is_let_go_or_one_command_lets_it_go(self) -> None:
        """Every call fails once in every way, every stream is lost everywhere, and we die before every call:
        the data are there, and after `hasteward undo` the cluster is as it was, or can be told.
        """
        wrong: list[str] = []
        for state, engine in self._hangs():
            before = _essence(self.world(state))
            act = partial(World.triage, engine=engine, depth=Depth.STOP)
            for each in everything(partial(self.world, state), act):
                wrong += [each.wrong_end] if each.wrong_end else []
                world, what = each.world, f"{state}, {each.fault}"
                world.next_run()
                world.undo(engine)
                told = world.triage(engine, Depth.DEEP).authority is not Authority.UNDETERMINABLE
                if not told and _essence(world) != before:
                    wrong.append(f"{what}: undo did not bring back what was there")
                if world.unfinished or world.helpers or world.residue() != before.residue:
                    wrong.append(f"{what}: undo left something behind")
                if world.content() != before.content:
                    wrong.append(f"{what}: the data are not what they were")

        assert wrong == []


def _essence(world: World) -> Picture:
    return world.picture(lease=False, versions=False, helpers=False)
