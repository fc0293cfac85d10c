"""Plan and heal: healed, as it was, or ended by the next command; never changed in silence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType

from hasteward.domain.capability import Capability
from hasteward.domain.errors import Refused
from hasteward.domain.repair import RepairRequest
from hasteward.plugins import Engine
from hasteward.testing.conformance.base import Conformance, everything, kills
from hasteward.testing.reporter import Approval
from hasteward.testing.world import Picture, World


class HealConformance(Conformance):
    """The hooks `plan` and `heal`, through the pipeline with its gates and its journal."""

    #: sick states, each with the request that must make it healthy
    repairs: Mapping[str, RepairRequest] = MappingProxyType({})

    def _repairs(self) -> Iterator[tuple[str, RepairRequest, Engine]]:
        engine = self.addressed(Capability.TRIAGE, Capability.PLAN, Capability.HEAL)
        assert self.repairs, "name at least one state that can be repaired in `repairs`"
        for state, request in self.repairs.items():
            yield state, request, engine

    def test_a_repair_makes_it_healthy_and_keeps_the_data(self) -> None:
        """And leaves nothing of itself behind."""
        for state, request, engine in self._repairs():
            world = self.world(state)
            content, residue = world.content(), world.residue()

            result = world.repair(engine, request)

            assert world.triage(engine).healthy, state
            assert result.treated, state
            assert (world.content(), world.residue()) == (content, residue), state
            assert not world.unfinished, state
            assert world.helpers == [], state

    def test_a_healthy_cluster_is_left_alone(self) -> None:
        """Whatever is asked of it without force."""
        for _, request, engine in self._repairs():
            world = self.world()
            before = world.picture()

            result = world.repair(engine, replace(request, force=False))

            assert result.treated == ()
            assert world.picture() == before

    def test_a_dry_run_of_a_repair_touches_nothing_and_shows_the_plan(self) -> None:
        """The same plan that the real run acts on."""
        for state, request, engine in self._repairs():
            dry, real = self.world(state), self.world(state)
            dry.approval = Approval(answer=False)
            before = dry.picture()

            result = dry.repair(engine, request)
            real.repair(engine, request)

            assert result.dry_run, state
            assert dry.picture() == before, state
            assert _lasting(dry.kubernetes.writes) == [], state
            assert dry.approval.plans == real.approval.plans, state

    def test_a_repair_that_fails_or_is_killed_is_ended_by_the_next(self) -> None:
        """Every call fails once in every way, every stream is lost everywhere, and we die before every call:
        the data are there; the cluster is healed, or as it was, or holds the journal that the next repair
        goes by; and that one heals it.
        """
        wrong: list[str] = []
        for state, request, engine in self._repairs():
            before = _essence(self.world(state))
            act = partial(World.repair, engine=engine, request=request)
            for each in everything(partial(self.world, state), act):
                wrong += [each.wrong_end] if each.wrong_end else []
                world, what = each.world, f"{state}, {each.fault}"
                world.next_run()
                if not world.unfinished and not _healed(engine, world) and _essence(world) != before:
                    wrong.append(f"{what}: it was changed in silence")
                if each.error is None and each.result.well and not _healed(engine, world):
                    wrong.append(f"{what}: it was called repaired and is not")
                world.repair(engine, _next(engine, world, request))
                if not _healed(engine, world):
                    wrong.append(f"{what}: the next repair did not heal it")
                if world.unfinished or world.helpers or world.residue() != before.residue:
                    wrong.append(f"{what}: the next repair left something behind")
                if world.content() != before.content:
                    wrong.append(f"{what}: the data are not what they were")

        assert wrong == []

    def test_undo_takes_back_what_was_done_or_names_what_finishes_it(self) -> None:
        """Killed before every call; what others had done before stays."""
        wrong: list[str] = []
        for state, request, engine in self._repairs():
            before = _essence(self.world(state))
            act = partial(World.repair, engine=engine, request=request)
            for each in kills(partial(self.world, state), act):
                world, what = each.world, f"{state}, {each.fault}"
                world.next_run()
                try:
                    world.undo(engine)
                except Refused as refusal:
                    if refusal.code != "undo.forward_only" or "hasteward repair" not in refusal.hint:
                        wrong.append(f"{what}: undo refused with {refusal.code}")
                    continue
                if _essence(world) != before and not _healed(engine, world):
                    wrong.append(f"{what}: undo did not bring back what was there")

        assert wrong == []


def _lasting(writes: list[str]) -> list[str]:
    """Without the helper pods by which a deep triage looks: they came and went."""
    return [write for write in writes if " pods hasteward-" not in write]


def _essence(world: World) -> Picture:
    """What a repair must bring back when it gives up; snapshots it may have made."""
    return replace(world.picture(lease=False, versions=False, helpers=False), snapshots=())


def _next(engine: Engine, world: World, request: RepairRequest) -> RepairRequest:
    """What somebody asks for next: of a cluster that is well no member by name, and nothing by force."""
    return replace(request, instance=None, force=False) if _healed(engine, world) else request


def _healed(engine: Engine, world: World) -> bool:
    return not world.unfinished and world.triage(engine).healthy
