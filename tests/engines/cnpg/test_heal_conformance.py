"""What every engine must keep when it heals, kept by this one; on a cluster in memory."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import replace
from types import MappingProxyType

import heal_kit
import pytest

from hasteward import hookimpl, testing
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError
from hasteward.domain.events import Warned
from hasteward.domain.repair import Record, RepairRequest
from hasteward.kit.journal import unfinished
from hasteward.kit.sections import SectionWriter
from hasteward.ports.context import DumpOptions, DumpProof, DumpSink, EngineContext
from hasteward.streams.proof import Algorithm
from hasteward.testing import HEALTHY
from hasteward.testing.conformance.heal import HealConformance
from hasteward.testing.conformance.stop import StopConformance
from hasteward.testing.conformance.triage import TriageConformance
from hasteward.testing.faults import FailNth, Killed, KillNth
from hasteward.testing.streams import Loss, StreamFault
from hasteward_cnpg.plugin import CnpgEngine, plugin


class WithADump(CnpgEngine):
    """The engine, but for its dump, which has tests of its own: here a line stands for a whole server."""

    @hookimpl
    def dump(
        self, context: EngineContext, cluster: ClusterRef, sink: DumpSink, options: DumpOptions
    ) -> DumpProof:
        writer = SectionWriter(context, sink, Algorithm.SHA256)
        writer.text("line", "", f"a dump of {cluster} by {options.instance}\n".encode())
        return DumpProof("pg-2", "17.4", writer.sections)


#: nothing of its own is lost in these, so no dump is needed
UNSAVED = RepairRequest(escrow=False)


@pytest.mark.timeout(600)
class TestCnpg(TriageConformance, HealConformance):
    """The quick ones: a restart has few acts."""

    engine = plugin
    states = tuple(heal_kit.SICK)
    repairs = MappingProxyType({"down": UNSAVED})

    def world(self, state: str = HEALTHY) -> testing.World:
        return heal_kit.make(state)[1]


@pytest.mark.long
@pytest.mark.timeout(3600)
class TestRepairsAtLength(HealConformance):
    """Treatments of many acts: thousands of places where each may fail or die."""

    engine = plugin
    repairs = MappingProxyType(
        dict.fromkeys(("stuck", "stuck, no room", "stray", "stray that cannot be rewound", "empty"), UNSAVED)
    )
    world = TestCnpg.world


@pytest.mark.long
@pytest.mark.timeout(3600)
class TestStopsAtLength(StopConformance):
    """A server that hangs keeps the fence waiting for a minute, so there are many calls."""

    engine = plugin
    hangs = ("hanging",)
    world = TestCnpg.world


@pytest.mark.long
@pytest.mark.timeout(3600)
class TestTwoMembersAtLength(HealConformance):
    """The same with two treatments in one run: between them there are more places than in all the others."""

    engine = plugin
    repairs = MappingProxyType(dict.fromkeys(("two", "both down"), UNSAVED))
    world = TestCnpg.world


@pytest.mark.long
@pytest.mark.timeout(3600)
class TestCapturesAtLength(HealConformance):
    """A branch that is given up: saved and proven, whatever fails and whenever somebody dies."""

    engine = WithADump()
    repairs = MappingProxyType({"diverged": RepairRequest(instance=3, force=True)})
    world = TestCnpg.world


#: every so manieth place of the sweep below; all of them are in `TestTwoMembersAtLength`
STRIDE = 9


def test_two_members_in_one_run_are_ended_by_one_command_wherever_it_is_killed() -> None:
    """The operator makes no pod of the first until the second is treated: what waits is in the journal."""
    engine = TestCnpg().addressed()
    before = heal_kit.make("both down")[1].content()
    points = waited = 0
    for nth in itertools.count(1, STRIDE):
        world = heal_kit.make("both down")[1]
        world.on_call = fault = KillNth(nth)
        with contextlib.suppress(Killed):
            world.repair(engine, UNSAVED)
        if not fault.struck:
            break
        points += 1
        world.next_run()
        waited += any(record.postponed for record in _records(world))
        world.repair(engine, UNSAVED)
        assert world.triage(engine).healthy, fault.struck
        left = (world.unfinished, world.helpers, world.residue())
        assert (left, world.content()) == ((False, [], {}), before), fault.struck
    print(f"{points} points, {waited} of them with something put off")
    assert waited > 1


def test_two_members_in_one_run_are_not_changed_in_silence_wherever_a_call_fails() -> None:
    """What is taken back comes back: the operator makes no pod while another member is down."""
    engine = TestCnpg().addressed()
    before = _essence(heal_kit.make("two")[1])
    for nth in itertools.count(1, STRIDE):
        world = heal_kit.make("two")[1]
        world.on_call = fault = FailNth(nth)
        with contextlib.suppress(HastewardError):
            world.repair(engine, UNSAVED)
        if not fault.struck:
            break
        world.next_run()
        assert world.unfinished or world.triage(engine).healthy or _essence(world) == before, fault.struck
    assert nth > STRIDE  # calls were there to fail


def test_a_pod_that_is_not_made_again_after_all_was_taken_back_is_named_with_the_command() -> None:
    """Only pg-2 was asked for, and the operator waits for pg-3."""
    truth, world = heal_kit.make("two")
    world.on_call = FailNth(2, match="create pods")

    with pytest.raises(HastewardError):
        world.repair(TestCnpg().addressed(), replace(UNSAVED, instance=2))

    assert truth.serves(world.kubernetes, "pg-2") is False
    (told,) = [one for one in world.reporter.events if getattr(one, "code", "") == "undo.pod_waits"]
    assert isinstance(told, Warned)
    assert told.text == (
        "the operator makes no pod pg-2 while another member is down; it does once that runs:"
        " hasteward repair -e cnpg -c pg -n db"
    )


def _essence(world: testing.World) -> testing.Picture:
    return world.picture(lease=False, versions=False, helpers=False)


def _records(world: testing.World) -> tuple[Record, ...]:
    journal = unfinished(world.context(), world.cluster)
    return () if journal is None else journal.records


def test_a_branch_that_is_given_up_is_captured_after_its_last_commit_and_before_it_is_overwritten() -> None:
    truth, world = heal_kit.make("diverged")
    late = replace(heal_kit.DIVERGED, commits=heal_kit.DIVERGED.commits | {(3, 0x4890000)})
    truth.on_stop = lambda t: t.volumes["pg-3"].update(pgdata=late)
    engine = TestCapturesAtLength().addressed()

    world.repair(engine, RepairRequest(instance=3, force=True))

    store = world.repository
    (saved,) = [one for one in store.listed if one.path == "db/pg/3-pgdata.tar"]
    assert repr(sorted(late.commits)).encode() in store.files[saved.id]
    assert truth.ran.index("tar") < truth.ran.index("rewind")
    assert saved.id in {entry.snapshot.id for entry in world.proven()}


def test_a_capture_that_fails_gives_nothing_up() -> None:
    truth, world = heal_kit.make("diverged")
    world.kubernetes.faults.append(StreamFault(Loss.CUT, 9, match="exec tar"))
    engine = TestCapturesAtLength().addressed()

    with pytest.raises(HastewardError):
        world.repair(engine, RepairRequest(instance=3, force=True))

    assert "rewind" not in truth.ran
    assert truth.volumes["pg-3"] == {"pgdata": heal_kit.DIVERGED}
    assert (world.unfinished, world.helpers) == (False, [])
