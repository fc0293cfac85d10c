"""Acts on a member's volumes, by the helper pod that is alone on them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from hasteward.domain.errors import HastewardError, RunFailed
from hasteward.domain.events import Progress, Warned
from hasteward.domain.repair import Act, ActState, Entry, Record
from hasteward.kit.steps import Deed, Memo
from hasteward.kit.streaming import capture, download
from hasteward.ports.context import Captures, EngineContext
from hasteward.ports.kubernetes import PodRef
from hasteward.streams.proof import Algorithm
from hasteward_cnpg.analyse import Standing
from hasteward_cnpg.analyse.authority import judge
from hasteward_cnpg.analyse.remedy import may_be_overwritten
from hasteward_cnpg.capture import save_pgdata
from hasteward_cnpg.collect import reread
from hasteward_cnpg.collect.files import Place
from hasteward_cnpg.facts import shell
from hasteward_cnpg.heal.scene import LOOK_SECONDS, PATIENCE_SECONDS, Donor, Scene
from hasteward_cnpg.plan.acts import Kind
from hasteward_cnpg.resources import flags, pod_of
from hasteward_sql.postgresql.collect.client import one_line

_PROGRESS = re.compile(r"(\d+)/(\d+) kB")
_EXIT = re.compile(r"@@exit (\d+)\s*$")
_TAIL = 4096
#: what a tool says goes where its progress is seen, and its exit status comes last
_TOLD = r'"$@" 2>&1; echo "@@exit $?"'
#: the acts that keep everybody else off the volumes, in their order
_QUIET = (Kind.FENCE, Kind.PAUSE, Kind.REMOVE, Kind.HELPER)

#: how often a position is read when a reading fails: one lost answer is no reason to take everything back
_READS = 3

Write = Callable[[bytes | memoryview], None]


@dataclass(frozen=True, slots=True)
class Bench:
    """A member's volumes, with nobody on them but us. `quiet` are the deeds that see to it."""

    scene: Scene
    quiet: dict[Kind, Deed]

    def secure(self, context: EngineContext, record: Record) -> PodRef:
        """The helper pod. Fence, silence, absence and helper are seen to again: each may have been lost."""
        for kind in _QUIET:
            entry = _entry(record, kind)
            self.quiet[kind].do(context, entry.act, record, entry.memo)
        return self.helper(record)

    def helper(self, record: Record) -> PodRef:
        """Where it is."""
        body = json.loads(_entry(record, Kind.HELPER).act.args["manifest"])
        container = str(body["spec"]["containers"][0]["name"])
        return PodRef(self.scene.cluster.namespace, str(body["metadata"]["name"]), container)

    def source(self, context: EngineContext, pod: PodRef, record: Record) -> tuple[str, Algorithm]:
        """Where to build from, asked by the helper itself: the very system, on the primary's timeline."""
        donor: Donor = self.scene.donor(context, record)
        conninfo = donor.conninfo(f"hasteward-{record.target.member}")
        answer = capture(context, pod, shell.script(shell.IDENTIFY, conninfo))
        if answer.exit_status != 0:
            raise RunFailed(
                f"{pod.name} cannot reach {donor.name} at {donor.address} for replication:"
                f" {one_line(answer.stderr) or 'no message'}",
                hint=f"kubectl get networkpolicies -n {self.scene.cluster.namespace}",
                code="heal.unreachable",
            )
        told = answer.stdout.decode("utf-8", "replace").strip().split("|")
        wanted = [donor.server.system_id, str(donor.server.timeline)]
        if told[:2] != wanted:
            raise self.scene.refused(
                "other_server",
                f"what answers at {donor.address} is not {donor.name}:"
                f" it is system {' on timeline '.join(told[:2])}",
            )
        return conninfo, answer.algorithm


def _entry(record: Record, kind: Kind) -> Entry:
    return next(entry for entry in record.entries if entry.act.kind == kind)


def words(act: Act, *more: str) -> tuple[str, ...]:
    """What every script begins with, and the tablespaces at the end."""
    args = act.args
    return (act.member, args["data"], args["run"], args["log"], *more, *json.loads(args["tablespaces"]))


class _Listener:
    """Turns what a tool says into progress, and keeps its last words."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self.tail = ""

    def write(self, data: bytes | memoryview) -> None:
        text = bytes(data).decode("utf-8", "replace")
        self.tail = (self.tail + text)[-_TAIL:]
        found = _PROGRESS.findall(text)
        if found:
            done, about = found[-1]
            self._context.reporter.emit(Progress("heal", int(done) * 1024, int(about) * 1024))

    def end(self) -> tuple[int, str]:
        """The exit status, and the last lines that are no progress."""
        match = _EXIT.search(self.tail)
        if match is None:
            raise RunFailed("the tool in the helper pod did not tell how it ended", code="heal.no_status")
        lines = [line for line in self.tail[: match.start()].splitlines() if line.strip()]
        said = [line for line in lines if not _PROGRESS.search(line)]
        return int(match[1]), one_line(" ".join(said[-3:]))


def _work(
    context: EngineContext, pod: PodRef, argv: list[str], *, what: str, algorithm: Algorithm
) -> tuple[int, str]:
    """Run something that takes its time; its exit status and its last words."""
    listener = _Listener(context)
    told = ["sh", "-c", _TOLD, "sh", *argv]
    download(context, pod, told, listener.write, what=what, algorithm=algorithm)
    return listener.end()


def _run(context: EngineContext, pod: PodRef, argv: list[str], *, what: str) -> None:
    answer = capture(context, pod, argv)
    if answer.exit_status != 0:
        raise RunFailed(
            f"{what} in {pod} exited with {answer.exit_status}: {one_line(answer.stderr) or 'no message'}",
            code="heal.script",
        )


@dataclass(frozen=True, slots=True)
class _OnVolumes:
    """What these acts have in common."""

    bench: Bench

    def prepare(self, context: EngineContext, act: Act, record: Record) -> Memo:
        """The primary must be the one that the plan was made with."""
        del act
        self.bench.scene.as_planned(context, record)
        return {}

    def undo(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """Only what a clone has made can be taken back."""


class Verify(_OnVolumes):
    """Reads what only this member may hold once more, from files that nobody writes."""

    def do(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """Refused when it is more than the plan gives up."""
        del memo
        pod = self.bench.secure(context, record)
        for _ in range(_READS):
            evidence = reread(context, self.bench.scene.cluster, act.member, Place(pod, act.args["data"]))
            verdict = judge(evidence)
            standing = verdict.standing.get(act.member, Standing.UNKNOWN)
            if standing is not Standing.UNKNOWN:
                break
            context.clock.sleep(LOOK_SECONDS)
        agreed = record.target.capture or bool(record.target.gives_up)
        if may_be_overwritten(standing, agreed=agreed, empty=act.args["empty"] == "yes"):
            return
        branch = verdict.branches.get(act.member)
        held = "; ".join(q.text for q in verdict.questions if q.member == act.member)
        held = held or (branch.text if branch is not None else f"its data is {standing.value}")
        raise self.bench.scene.refused(
            "holds_more",
            f"now that its server is gone, {act.member} is seen to hold more than the plan gives up: {held}",
        )


@dataclass(frozen=True, slots=True)
class Capture(_OnVolumes):
    """Saves the member's files as a proven snapshot."""

    captures: Captures

    def do(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """Again when a dead run had begun it: only a proven snapshot counts."""
        del memo
        pod = self.bench.secure(context, record)
        save_pgdata(
            context,
            self.bench.scene.cluster,
            self.captures,
            member=act.member,
            ordinal=record.target.ordinal,
            place=Place(pod, act.args["data"]),
        )


def _clone(context: EngineContext, bench: Bench, act: Act, record: Record) -> None:
    pod = bench.helper(record)
    conninfo, algorithm = bench.source(context, pod, record)
    context.check_lease()
    argv = shell.script(shell.CLONE, *words(act, conninfo))
    status, said = _work(context, pod, argv, what="pg_basebackup", algorithm=algorithm)
    if status != 0:
        raise RunFailed(
            f"cloning {act.member} failed with {status}: {said or 'no message'}",
            hint=f"hasteward repair {flags(bench.scene.cluster)}",
            code="heal.clone",
        )


class Clone(_OnVolumes):
    """Copies the primary beside the member's data, under another name."""

    def do(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """From the beginning when a dead run had begun it."""
        del memo
        self.bench.secure(context, record)
        _clone(context, self.bench, act, record)

    def undo(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """Take the copy away. Where no helper can run it stays: a cluster is not left paused for that."""
        del memo
        try:
            pod = self.bench.secure(context, record)
            _run(context, pod, shell.script(shell.UNCLONE, *words(act)), what="removing the copy")
        except HastewardError as error:
            copy = f"{act.args['data']}.hasteward-new-{act.args['run']}"
            text = f"an unfinished copy may be left on the volume of {act.member}, {copy}: {error.message}"
            context.reporter.emit(Warned("heal.copy_left", text))


class Empty(_OnVolumes):
    """Deletes the member's data, to make room for a clone."""

    def do(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """Once the primary has answered the helper: a member that is empty and stays so is the worst end."""
        del memo
        pod = self.bench.secure(context, record)
        self.bench.source(context, pod, record)
        context.check_lease()
        _run(context, pod, shell.script(shell.EMPTY, *words(act)), what="deleting the data")


class Rewind(_OnVolumes):
    """Takes the member back to where its log parts from the primary's; clones it where that fails."""

    def do(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """A directory that a dead run had begun to rewind is cloned: what became of it cannot be told."""
        del memo
        pod = self.bench.secure(context, record)
        conninfo, algorithm = self.bench.source(context, pod, record)
        context.check_lease()
        argv = shell.script(shell.REWIND, *words(act, conninfo))
        status, said = _work(context, pod, argv, what="pg_rewind", algorithm=algorithm)
        if status == 0:
            return
        if status not in {shell.BROKEN, shell.FAILED}:
            raise RunFailed(
                f"rewinding {act.member} failed with {status}: {said or 'no message'}",
                hint=f"hasteward repair {flags(self.bench.scene.cluster)}",
                code="heal.rewind",
            )
        why = said if status == shell.FAILED else "an earlier try was cut off"
        context.reporter.emit(
            Warned("heal.rewind_failed", f"{act.member} cannot be rewound ({why}); cloning it")
        )
        # pg_rewind may have taken long
        self.bench.secure(context, record)
        context.check_lease()
        _run(context, pod, shell.script(shell.EMPTY, *words(act)), what="deleting the data")
        _clone(context, self.bench, act, record)


class Adopt(_OnVolumes):
    """Gives what was made the names that the server looks for."""

    def do(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """By renames alone, the data directory last."""
        del memo
        pod = self.bench.secure(context, record)
        context.check_lease()
        argv = shell.script(shell.ADOPT, *words(act, act.args["old"]))
        _run(context, pod, argv, what="swapping the data directories")


class Discard(_OnVolumes):
    """Deletes what was put aside, by the member's own container."""

    def prepare(self, context: EngineContext, act: Act, record: Record) -> Memo:
        """Nothing."""
        del context, act, record
        return {}

    def do(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> str | None:
        """Only once the member streams, and only on the volume that it was put aside on."""
        del memo
        scene = self.bench.scene
        if scene.claim(context, act.member) != record.preconditions["claim"]:
            return None
        why = self._not_streaming(context, act, record)
        if why:
            old = f"{act.args['data']}.hasteward-old-{act.args['run']}"
            return f"it does not stream, so its old data stays in {old}: {why}"
        context.check_lease()
        pod = pod_of(scene.cluster, act.member)
        _run(context, pod, shell.script(shell.DISCARD, *words(act)), what="deleting the old data")
        return None

    def _not_streaming(self, context: EngineContext, act: Act, record: Record) -> str:
        """Asked for a while: one answer that was lost is no reason to keep it."""
        put_off = _entry(record, Kind.REJOIN).state is ActState.POSTPONED
        deadline = context.clock.monotonic() + (0 if put_off else PATIENCE_SECONDS)
        while True:
            why = self.bench.scene.not_streaming(context, act.member)
            if not why or context.clock.monotonic() > deadline:
                return why
            context.clock.sleep(LOOK_SECONDS)
