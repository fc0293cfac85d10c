# ruff: noqa: ARG002 - a toy engine has no use for everything a hook is given
"""The conformance of repairs, on an engine that keeps it; and each sin that it finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import pytest

from hasteward import EngineSpec, hookimpl
from hasteward.domain.capability import Capability, EngineInfo, Supported, Unsupported
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError, RunFailed
from hasteward.domain.plan import Plan, Reversal, Step
from hasteward.domain.repair import RELEASE, Act, Record, RepairPlan, RepairRequest, Target, Treatment
from hasteward.domain.report import Assessment, Authority, Health, Remediation, TriageReport
from hasteward.kit.sections import SectionWriter
from hasteward.kit.steps import walk
from hasteward.kit.streaming import capture
from hasteward.ports.context import DumpOptions, DumpProof, DumpSink, EngineContext, Order
from hasteward.ports.kubernetes import CONFIG_MAPS, PodRef
from hasteward.streams.proof import Algorithm
from hasteward.testing import HEALTHY, FakeKubernetes, Result, World
from hasteward.testing.conformance import HealConformance, StopConformance

GOOD = b"row\n# end\n"
NAMES = ("box-0", "box-1")
Memo = Mapping[str, str]


def pod(name: str) -> PodRef:
    return PodRef("db", name, "main")


def tell(context: EngineContext, name: str, *argv: str) -> bytes:
    done = capture(context, pod(name), argv)
    if done.exit_status:
        raise RunFailed(f"{argv[0]} on {name}: {done.stderr}")
    return done.stdout


def fences(context: EngineContext) -> tuple[dict[str, Any], set[str]]:
    body = context.kubernetes.get(CONFIG_MAPS, "db", "fences")
    return body, set(body["data"]["names"].split())


def set_fences(context: EngineContext, body: dict[str, Any], names: set[str]) -> None:
    body["data"]["names"] = " ".join(sorted(names))
    context.kubernetes.replace(CONFIG_MAPS, "db", "fences", body)


class Fence:
    """Reversible, and only our own entry."""

    def prepare(self, context: EngineContext, act: Act, _record: Record) -> Memo:
        return {"ours": "no" if act.member in fences(context)[1] else "yes"}

    def do(self, context: EngineContext, act: Act, _record: Record, _memo: Memo) -> None:
        body, names = fences(context)
        if act.member not in names:
            set_fences(context, body, names | {act.member})

    def undo(self, context: EngineContext, act: Act, _record: Record, memo: Memo) -> None:
        body, names = fences(context)
        if memo["ours"] == "yes" and act.member in names:
            set_fences(context, body, names - {act.member})


class Clone:
    """Forward only; done again it comes to the same end."""

    def prepare(self, _context: EngineContext, _act: Act, _record: Record) -> Memo:
        return {}

    def do(self, context: EngineContext, act: Act, _record: Record, _memo: Memo) -> None:
        context.check_lease()
        tell(context, act.member, "wipe")
        tell(context, act.member, "clone")

    def undo(self, _context: EngineContext, act: Act, _record: Record, _memo: Memo) -> None:
        raise AssertionError(f"{act.text} was taken back")


class Boxes(EngineSpec):
    """box-0 is the primary; a box is well if it holds what box-0 holds and is not fenced."""

    @hookimpl
    def info(self) -> EngineInfo:
        able = dict.fromkeys(Capability, Supported()) | {Capability.RESTORE: Unsupported("no need")}
        return EngineInfo("boxes", "boxes", "box.txt", "box-1", able)

    @hookimpl
    def triage(self, context: EngineContext, cluster: ClusterRef) -> TriageReport:
        _, fenced = fences(context)
        found: dict[str, bytes] = {}
        for name in NAMES:
            try:
                found[name] = tell(context, name, "read")
            except HastewardError as error:
                missing = Assessment(name, "", Health.UNDETERMINABLE, (), (error.message,))
                return TriageReport(cluster, Authority.UNDETERMINABLE, error.message, (missing,), ())
        well = tuple(name for name in NAMES if found[name] == found["box-0"] and name not in fenced)
        members = tuple(self._assess(number, name, well=name in well) for number, name in enumerate(NAMES))
        proof = (Authority.PROVABLE, "all was read")
        return TriageReport(cluster, *proof, members, (), newest=well, primaries=NAMES[:1], donors=well)

    def _assess(self, number: int, name: str, *, well: bool) -> Assessment:
        cure = Remediation.NONE if well else Remediation.RESEED
        health = Health.HEALTHY if well else Health.DOWN
        return Assessment(name, "", health, (), ordinal=number, remediation=cure, reason="its data")

    @hookimpl
    def plan(
        self, context: EngineContext, cluster: ClusterRef, report: TriageReport, targets: tuple[Target, ...]
    ) -> RepairPlan:
        return RepairPlan(tuple(Treatment(target, self.acts(target.member)) for target in targets))

    def acts(self, name: str) -> tuple[Act, ...]:
        return (
            Act("fence", "fence", name, f"fence {name}", Reversal.REVERSIBLE),
            Act("clone", "clone", name, f"build {name} again", Reversal.FORWARD_ONLY),
            Act("free", RELEASE, name, f"free {name}", Reversal.READ_ONLY, {"of": "fence"}),
        )

    @hookimpl
    def heal(self, context: EngineContext, cluster: ClusterRef, order: Order) -> None:
        walk(context, order, {"fence": Fence(), "clone": Clone()})

    @hookimpl
    def dump(
        self, context: EngineContext, cluster: ClusterRef, sink: DumpSink, options: DumpOptions
    ) -> DumpProof:
        if not context.approve(Plan("dump", (Step("read it"),))):
            return DumpProof("box-0", "1", (), planned_only=True)
        writer = SectionWriter(context, sink, Algorithm.SHA256)
        writer.stream("box", "", pod("box-0"), ["read"], end_marker=b"# end")
        return DumpProof("box-0", "1", writer.sections)


class OfBoxes(HealConformance):
    engine = Boxes()
    repairs: ClassVar = {"broken": RepairRequest(instance=1)}

    def world(self, state: str = HEALTHY) -> World:
        data = {"box-0": GOOD, "box-1": GOOD if state == HEALTHY else b"rubbish"}

        def program(where: PodRef, argv: Sequence[str], _stdin: bytes) -> Result:
            match argv[0]:
                case "wipe":
                    data[where.name] = b""
                case "clone" if data[where.name]:
                    return Result(stderr=b"it is not empty", exit_status=1)
                case "clone":
                    data[where.name] = data["box-0"]
            return Result(data[where.name])

        kubernetes = FakeKubernetes(program)
        held = {"metadata": {"name": "fences", "namespace": "db"}, "data": {"names": "box-9"}}
        kubernetes.add(CONFIG_MAPS, held)
        return World(
            ClusterRef("boxes", "db", "box"),
            kubernetes,
            content=lambda: data["box-0"],
            damage=data.clear,
            residue=lambda: kubernetes.objects["configmaps", "db", "fences"]["data"]["names"],
        )


class TestBoxes(OfBoxes):
    """Without sin."""


def the_fence_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Fence, "undo", lambda *_: None)


def every_fence_is_taken_down(patch: pytest.MonkeyPatch) -> None:
    def undo(_self: Any, context: EngineContext, *_: Any) -> None:
        set_fences(context, fences(context)[0], set())

    patch.setattr(Fence, "undo", undo)


def a_clone_cannot_be_done_again(patch: pytest.MonkeyPatch) -> None:
    def do(_self: Any, context: EngineContext, act: Act, *_: Any) -> None:
        if tell(context, act.member, "read") == GOOD:
            raise RunFailed("it was there already")
        Clone().prepare(context, act, Record("", "", Target("", 0, Remediation.NONE, ""), {}, ()))
        tell(context, act.member, "wipe")
        tell(context, act.member, "clone")

    patch.setattr(Clone, "do", do)


def the_fence_is_set_while_planning(patch: pytest.MonkeyPatch) -> None:
    honest = Boxes.acts

    def plan(self: Any, context: EngineContext, cluster: Any, report: Any, targets: Any) -> RepairPlan:
        body, names = fences(context)
        set_fences(context, body, names | {"box-1"})
        return RepairPlan(tuple(Treatment(target, honest(self, target.member)) for target in targets))

    patch.setattr(Boxes, "plan", hookimpl(plan))


def the_journal_is_not_kept(patch: pytest.MonkeyPatch) -> None:
    """It fences on its own account before the walk begins."""

    def heal(_self: Any, context: EngineContext, cluster: Any, order: Order) -> None:
        body, names = fences(context)
        set_fences(context, body, names | {"box-1"})
        walk(context, order, {"fence": Fence(), "clone": Clone()})

    patch.setattr(Boxes, "heal", hookimpl(heal))


def the_donor_is_wiped(patch: pytest.MonkeyPatch) -> None:
    def do(_self: Any, context: EngineContext, act: Act, *_: Any) -> None:
        tell(context, "box-0", "wipe")
        tell(context, act.member, "wipe")

    patch.setattr(Clone, "do", do)


def it_is_called_healthy_whatever_it_is(patch: pytest.MonkeyPatch) -> None:
    honest = Boxes._assess
    patch.setattr(Boxes, "_assess", lambda self, number, name, **_: honest(self, number, name, well=True))


HEALS = "test_a_repair_makes_it_healthy_and_keeps_the_data"
ENDED = "test_a_repair_that_fails_or_is_killed_is_ended_by_the_next"
UNDO = "test_undo_takes_back_what_was_done_or_names_what_finishes_it"
DRY = "test_a_dry_run_of_a_repair_touches_nothing_and_shows_the_plan"
SINS: list[tuple[Callable[[pytest.MonkeyPatch], None], str, str]] = [
    (the_fence_is_forgotten, HEALS, "healthy"),
    (the_fence_is_forgotten, UNDO, "undo did not bring back what was there"),
    (every_fence_is_taken_down, HEALS, "box-9"),
    (a_clone_cannot_be_done_again, ENDED, "it was there already"),
    (the_fence_is_set_while_planning, DRY, "box-1 box-9"),
    (the_journal_is_not_kept, UNDO, "undo did not bring back what was there"),
    (the_donor_is_wiped, HEALS, "b''"),
    (it_is_called_healthy_whatever_it_is, HEALS, "treated"),
]


@pytest.mark.parametrize(("sin", "test", "said"), SINS, ids=[f"{s.__name__}-{t[5:25]}" for s, t, _ in SINS])
def test_each_sin_of_a_repair_is_found(
    sin: Callable[[pytest.MonkeyPatch], None], test: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sin(monkeypatch)

    with pytest.raises((AssertionError, HastewardError)) as caught:
        getattr(OfBoxes(), test)()

    assert said in str(caught.value)


# --- a box that can be read only while it is stopped ------------------------------------------------------


class Hanging(Boxes):
    """box-1 answers nothing until it was fenced once; its files can be read meanwhile."""

    @hookimpl
    def plan_stop(self, context: EngineContext, cluster: ClusterRef, report: TriageReport) -> RepairPlan:
        if report.authority is not Authority.UNDETERMINABLE:
            return RepairPlan(())
        target = Target("box-1", 1, Remediation.NONE, "it hangs")
        return RepairPlan((Treatment(target, self.acts("box-1")[:1]),))


class OfHanging(OfBoxes, StopConformance):
    engine = Hanging()
    hangs = ("hanging",)

    def world(self, state: str = HEALTHY) -> World:
        world = super().world(HEALTHY if state == "hanging" else state)
        kubernetes, hung = world.kubernetes, {"box-1"} if state == "hanging" else set()
        honest = kubernetes.program

        def program(where: PodRef, argv: Sequence[str], stdin: bytes) -> Result:
            if where.name in world.residue().split():
                hung.discard(where.name)
            if where.name in hung:
                return Result(stderr=b"no answer", exit_status=1)
            return honest(where, argv, stdin)

        kubernetes.program = program
        return world


class TestHanging(OfHanging):
    """Without sin."""


def it_is_fenced_while_planning_the_stop(patch: pytest.MonkeyPatch) -> None:
    honest = Hanging.plan_stop

    def plan_stop(self: Any, context: EngineContext, cluster: Any, report: Any) -> RepairPlan:
        body, names = fences(context)
        set_fences(context, body, names | {"box-1"})
        return honest(self, context, cluster, report)

    patch.setattr(Hanging, "plan_stop", hookimpl(plan_stop))


def a_healthy_box_is_stopped_too(patch: pytest.MonkeyPatch) -> None:
    def plan_stop(self: Any, context: EngineContext, cluster: Any, report: Any) -> RepairPlan:
        target = Target("box-1", 1, Remediation.NONE, "it may hang")
        return RepairPlan((Treatment(target, self.acts("box-1")[:1]),))

    patch.setattr(Hanging, "plan_stop", hookimpl(plan_stop))


def it_is_not_stopped_at_all(patch: pytest.MonkeyPatch) -> None:
    def plan_stop(self: Any, context: EngineContext, cluster: Any, report: Any) -> RepairPlan:
        return RepairPlan(())

    patch.setattr(Hanging, "plan_stop", hookimpl(plan_stop))


LET_GO = "test_who_was_stopped_is_let_go_or_one_command_lets_it_go"
STOP_DRY = "test_a_dry_run_of_a_stop_touches_nothing_and_shows_the_plan"
STOP_SINS: list[tuple[Callable[[pytest.MonkeyPatch], None], str, str]] = [
    (it_is_not_stopped_at_all, "test_what_could_not_be_told_is_told_once_it_was_stopped", "undeterminable"),
    (the_fence_is_forgotten, "test_what_could_not_be_told_is_told_once_it_was_stopped", "box-1 box-9"),
    (the_fence_is_forgotten, LET_GO, "undo left something behind"),
    (the_journal_is_not_kept, LET_GO, "undo left something behind"),
    (it_is_fenced_while_planning_the_stop, STOP_DRY, "box-1 box-9"),
    (a_healthy_box_is_stopped_too, "test_nobody_is_stopped_who_can_be_read", "=="),
]


@pytest.mark.parametrize(
    ("sin", "test", "said"), STOP_SINS, ids=[f"{s.__name__}-{t[5:25]}" for s, t, _ in STOP_SINS]
)
def test_each_sin_of_a_stop_is_found(
    sin: Callable[[pytest.MonkeyPatch], None], test: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sin(monkeypatch)

    with pytest.raises((AssertionError, HastewardError)) as caught:
        getattr(OfHanging(), test)()

    assert said in str(caught.value)
