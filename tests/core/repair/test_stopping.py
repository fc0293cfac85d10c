# ruff: noqa: ARG002 - a toy engine has no use for everything a hook is given
"""``--deep=stop``: a server that does not answer is stopped, read, and let go again, whatever happens."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import replace
from typing import Any

import pytest

from hasteward import hookimpl
from hasteward.domain.errors import HastewardError, Refused, RunFailed
from hasteward.domain.events import StepDone, Warned
from hasteward.domain.plan import Reversal
from hasteward.domain.repair import Act, RepairPlan, RepairRequest, Target, Treatment
from hasteward.domain.report import Authority, Remediation
from hasteward.pipelines.repair import repair, undo
from hasteward.pipelines.triage import triage
from hasteward.plugins import Engine
from hasteward.ports.context import Depth
from hasteward.ports.kubernetes import CONFIG_MAPS

HOOKS = frozenset({"triage", "plan", "heal", "dump", "plan_stop"})


def stopping(kind: type, world: Any) -> Any:
    """An engine as the folder's, whose box-3 can be read only while it is fenced."""

    class Stopping(kind):  # type: ignore[misc]
        reversal = Reversal.REVERSIBLE
        refuses = False
        #: whether it answers once it was stopped
        wakes = True
        #: what is known of it then, if it does not
        authority_then = Authority.UNDETERMINABLE
        seen: tuple[str, ...] = ()

        @hookimpl
        def triage(self, context: Any, cluster: Any) -> Any:
            report = super().triage(context, cluster)
            fences = context.kubernetes.get(CONFIG_MAPS, "db", "fences")["data"]["names"]
            self.seen = (*self.seen, fences)
            if "box-3" in fences:
                return replace(report, authority=Authority.PROVABLE, authority_reason="its files are there")
            if self.wakes and "box-3" in "".join(self.seen):
                self.servers.broken.discard("box-3")
                return super().triage(context, cluster)
            return replace(report, authority=self.authority_then) if len(self.seen) > 1 else report

        @hookimpl
        def plan_stop(self, context: Any, cluster: Any, report: Any) -> RepairPlan:
            if self.refuses:
                raise Refused("the primary does not answer either")
            if not self.servers.broken:
                return RepairPlan(())
            target = Target("box-3", 3, Remediation.NONE, "it does not answer")
            act = Act("fence", "fence", "box-3", "fence box-3", self.reversal)
            return RepairPlan((Treatment(target, (act,)),), notes=("it may take a minute",))

    spec = Stopping(world.servers)
    spec.authority, spec.remediation = Authority.UNDETERMINABLE, Remediation.RESTART
    world.spec, world.engine = spec, Engine(spec.info(), spec, HOOKS)
    world.servers.broken.add("box-3")
    return world


@pytest.fixture
def hanging(world: Any) -> Any:
    return stopping(type(world.spec), world)


def look(world: Any, cluster: Any, depth: Depth = Depth.STOP) -> Any:
    return triage(world.engine, replace(world.context(), depth=depth), cluster)


def mend(world: Any, cluster: Any, depth: Depth = Depth.STOP) -> Any:
    context = replace(world.context(), depth=depth)
    return repair(world.engine, context, cluster, None, RepairRequest(escrow=False))


def told(world: Any, kind: type) -> list[Any]:
    return [event for event in world.reporter.events if isinstance(event, kind)]


def test_it_is_stopped_read_and_let_go_again(hanging: Any, cluster: Any) -> None:
    report = look(hanging, cluster)

    assert hanging.spec.seen == ("box-9", "box-3,box-9", "box-9")
    assert (report.authority, report.healthy) == (Authority.PROVABLE, True)
    assert (hanging.fences, hanging.journal) == ("box-9", None)
    (plan,) = hanging.approval.plans
    assert plan.title == "stop box-3 of db/box to look"
    assert [step.text for step in plan.steps] == ["fence box-3", "read box-3", "take all that back"]
    assert plan.notes == ("box-3: it does not answer", "it may take a minute")
    said = [event.text for event in told(hanging, StepDone)]
    assert "while box-3 was stopped: its files are there" in said


def test_of_one_that_hangs_again_is_told_what_was_read(hanging: Any, cluster: Any) -> None:
    hanging.spec.wakes = False

    report = look(hanging, cluster)

    assert report.authority is Authority.UNDETERMINABLE
    assert "while box-3 was stopped: its files are there" in hanging.reporter.steps()
    assert (hanging.fences, hanging.journal) == ("box-9", None)


def test_nor_is_it_treated(hanging: Any, cluster: Any) -> None:
    hanging.spec.wakes = False

    with pytest.raises(Refused, match="cannot be determined"):
        mend(hanging, cluster)
    assert (hanging.fences, hanging.journal, hanging.servers.broken) == ("box-9", None, {"box-3"})


@pytest.mark.parametrize("depth", [Depth.PLAIN, Depth.DEEP])
def test_without_the_flag_nobody_is_stopped(hanging: Any, cluster: Any, depth: Depth) -> None:
    before = hanging.picture()

    assert look(hanging, cluster, depth).authority is Authority.UNDETERMINABLE
    assert (hanging.picture(), hanging.spec.seen) == (before, ("box-9",))


def test_where_all_can_be_read_nobody_is_stopped(hanging: Any, cluster: Any) -> None:
    hanging.servers.broken.clear()

    assert look(hanging, cluster).healthy
    assert (hanging.spec.seen, hanging.approval.plans) == (("box-9",), [])


def test_who_does_not_agree_has_the_plan_and_the_report(hanging: Any, cluster: Any) -> None:
    hanging.approval.answer = False
    before = hanging.picture()

    assert look(hanging, cluster).authority is Authority.UNDETERMINABLE
    assert mend(hanging, cluster).dry_run
    assert hanging.picture() == before
    assert [plan.title for plan in hanging.approval.plans] == ["stop box-3 of db/box to look"] * 2


def test_an_engine_that_cannot_says_so_once(hanging: Any, cluster: Any) -> None:
    hanging.engine = Engine(hanging.spec.info(), hanging.spec, HOOKS - {"plan_stop"})

    assert look(hanging, cluster).authority is Authority.UNDETERMINABLE
    assert [event.code for event in told(hanging, Warned)] == ["triage.no_stop"]


def test_what_must_not_be_stopped_is_not_and_the_report_is_still_there(hanging: Any, cluster: Any) -> None:
    hanging.spec.refuses = True
    before = hanging.picture()

    assert look(hanging, cluster).authority is Authority.UNDETERMINABLE
    (warned,) = told(hanging, Warned)
    assert (warned.code, "does not answer either" in warned.text) == ("triage.not_stopped", True)
    assert hanging.picture() == before


def test_a_plan_that_cannot_be_taken_back_is_not_begun(hanging: Any, cluster: Any) -> None:
    hanging.spec.reversal = Reversal.FORWARD_ONLY
    before = hanging.picture()

    with pytest.raises(RunFailed, match="cannot be taken back"):
        look(hanging, cluster)
    assert hanging.picture() == before


def test_a_dead_runs_journal_is_not_written_over(hanging: Any, cluster: Any, killed: Any) -> None:
    _die(hanging, cluster, killed, 6)
    assert hanging.journal is not None
    left = hanging.picture()

    with pytest.raises(Refused) as refused:
        look(hanging, cluster)
    assert refused.value.hint == "hasteward undo -e toy -c box -n db"
    assert hanging.picture() == left


def test_a_repair_reads_first_and_then_treats(hanging: Any, cluster: Any) -> None:
    hanging.spec.authority_then = Authority.PROVABLE
    hanging.spec.wakes = False

    result = mend(hanging, cluster)

    assert [(one.member, one.remediation) for one in result.treated] == [("box-3", Remediation.RESTART)]
    assert (hanging.fences, hanging.journal, hanging.servers.broken) == ("box-9", None, set())


def test_a_repair_does_nothing_where_stopping_has_helped(hanging: Any, cluster: Any) -> None:
    result = mend(hanging, cluster)

    assert (result.treated, result.well) == ((), True)
    assert (hanging.fences, hanging.journal) == ("box-9", None)


def _die(world: Any, cluster: Any, error: type[BaseException], k: int) -> bool:
    """A look in which the k-th call raises; whether there was one."""
    calls = itertools.count()
    struck = False

    def on_call(name: str) -> None:
        nonlocal struck
        # who is killed does nothing more at all
        if struck and error.__name__ == "Killed":
            raise error(name)
        if next(calls) == k:
            struck = True
            raise error(name)

    world.kubernetes.on_call = on_call
    with contextlib.suppress(error, HastewardError):
        look(world, cluster)
    world.kubernetes.on_call = lambda _name: None
    world.kill_lease()
    return struck


@pytest.mark.parametrize("how", ["fails", "ctrl-c", "killed"])
def test_at_every_call_it_is_let_go_or_one_command_lets_it_go(
    fresh_world: Any, cluster: Any, killed: Any, how: str
) -> None:
    error = {"fails": RunFailed, "ctrl-c": KeyboardInterrupt, "killed": killed}[how]
    resumed = 0
    for k in itertools.count():
        world = fresh_world()
        stopping(type(world.spec), world)
        world.spec.wakes = False
        before = world.picture()
        if not _die(world, cluster, error, k):
            break
        if world.journal is not None:
            resumed += 1
            if how != "killed":
                assert any("hasteward undo -e toy" in event.text for event in told(world, Warned)), k
            undo(world.engine, world.context(), cluster)
        assert world.picture() == before, k
    assert k > 10
    assert resumed > 0
