"""The two annotations of the Cluster that a treatment sets: its own fence, and "look away" for the operator.

Both are changed by read, modify and compare-and-swap: what others wrote, or write meanwhile, stays.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from hasteward.domain.errors import HastewardError, RunFailed
from hasteward.domain.events import Warned
from hasteward.domain.repair import Act, ActState, Record
from hasteward.kit.reading import short
from hasteward.kit.steps import Memo
from hasteward.kit.streaming import capture
from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import ApiConflict
from hasteward_cnpg.evidence import ContainerState
from hasteward_cnpg.facts.objects import mapping, parse_fences, parse_pod
from hasteward_cnpg.facts.shell import SERVES, script
from hasteward_cnpg.heal.scene import LOOK_SECONDS, Scene
from hasteward_cnpg.resources import (
    CLUSTERS,
    DATA_DIRECTORY,
    FENCED_INSTANCES,
    RECONCILIATION,
    flags,
    pod_of,
)

_TRIES = 20
_DISABLED = "disabled"
#: a fence stops a server fast; one that does not stop is ended with its pod
_STOP_SECONDS = 60.0
#: what the fence has stopped needs no more time, and what it could not stop is killed, for a pod of this
#: operator has half an hour for its own end: a standby loses nothing by that
_GRACE_SECONDS = 30
#: the operator makes a pod in seconds, unless something else keeps it
_RETURN_SECONDS = 30.0


def _set(context: EngineContext, scene: Scene, name: str, new: Callable[[str | None], str | None]) -> None:
    """Give an annotation the value that `new` makes of the one that is there (None: no annotation)."""
    cluster = scene.cluster
    for attempt in range(1, _TRIES + 1):
        body = context.kubernetes.get(CLUSTERS, cluster.namespace, cluster.name)
        metadata = mapping(body.get("metadata"))
        now = mapping(metadata.get("annotations")).get(name)
        wanted = new(None if now is None else str(now))
        if wanted == now:
            return
        change = {"resourceVersion": metadata.get("resourceVersion"), "annotations": {name: wanted}}
        try:
            context.check_lease()
            context.kubernetes.patch(CLUSTERS, cluster.namespace, cluster.name, {"metadata": change})
        except ApiConflict:
            if attempt == _TRIES:
                raise
            context.clock.sleep(LOOK_SECONDS)
        else:
            return


def _annotation(context: EngineContext, scene: Scene, name: str) -> str | None:
    body = context.kubernetes.get(CLUSTERS, scene.cluster.namespace, scene.cluster.name)
    found = mapping(mapping(body.get("metadata")).get("annotations")).get(name)
    return None if found is None else str(found)


@dataclass(frozen=True, slots=True)
class Fence:
    """Adds the member to the fenced instances, and waits for its server to stop."""

    scene: Scene

    def prepare(self, context: EngineContext, act: Act, record: Record) -> Memo:
        """The member must be what the plan found, and fenced by nobody. Notes the annotation as it was."""
        self.scene.as_planned(context, record)
        if self.scene.uid(context, act.member) != record.preconditions["pod"]:
            raise self.scene.refused(
                "pod_changed", f"pod {act.member} is not the one that the plan was about"
            )
        if record.preconditions["follows"] == "no" and self.scene.streams_again(context, act.member):
            raise self.scene.refused(
                "member_well", f"{act.member} streams again since the plan was made: it needs no treatment"
            )
        text = _annotation(context, self.scene, FENCED_INSTANCES)
        names, note = parse_fences(text or "")
        if note or names & {act.member, "*"}:
            raise self.scene.refused(
                "fenced",
                f"{act.member} was fenced by somebody since the plan was made, or {note or 'all were'}",
            )
        return {} if text is None else {"was": text}

    def do(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """Ours beside those of others."""
        del record, memo

        def added(text: str | None) -> str | None:
            names = parse_fences(text or "")[0]
            return text if act.member in names else json.dumps(sorted({*names, act.member}))

        _set(context, self.scene, FENCED_INSTANCES, added)
        self._await_stop(context, act.member)

    def _await_stop(self, context: EngineContext, member: str) -> None:
        """As long as there is a container to ask; that the server is gone is proven later."""
        deadline = context.clock.monotonic() + _STOP_SECONDS
        argv = script(SERVES, DATA_DIRECTORY)
        while context.clock.monotonic() < deadline:
            body = self.scene.pod(context, member)
            if body is None or parse_pod(body).container is not ContainerState.RUNNING:
                return
            try:
                answer = capture(short(context), pod_of(self.scene.cluster, member), argv)
            except HastewardError:
                return
            if answer.stdout.decode("ascii", "replace").strip() != "running":
                return
            context.clock.sleep(LOOK_SECONDS)

    def undo(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """Ours alone is taken away; then the member gets time to come back as it was, for who looks next."""
        was = memo.get("was")

        def removed(text: str | None) -> str | None:
            names = parse_fences(text or "")[0]
            if act.member not in names:
                return text
            left = names - {act.member}
            if left == parse_fences(was or "")[0]:
                return was
            return json.dumps(sorted(left)) if left else None

        _set(context, self.scene, FENCED_INSTANCES, removed)
        if record.preconditions["pod"]:
            self._await_return(context, act.member)
            self._tell_of_absence(context, act.member)

    def _tell_of_absence(self, context: EngineContext, member: str) -> None:
        """All is taken back, and yet the member may not be as it was: that is not passed over in silence."""
        if not self.scene.blocked(context, member):
            return
        text = f"the operator makes no pod {member} while another member is down; it does once that runs"
        hint = f"hasteward repair {flags(self.scene.cluster)}"
        context.reporter.emit(Warned("undo.pod_waits", f"{text}: {hint}"))

    def _await_return(self, context: EngineContext, member: str) -> None:
        """For a while: what keeps it away longer is not ours, and is seen by the next triage."""
        deadline = context.clock.monotonic() + _RETURN_SECONDS
        while context.clock.monotonic() < deadline:
            with contextlib.suppress(HastewardError):
                body = self.scene.pod(context, member)
                if body is not None:
                    pod = parse_pod(body)
                    if pod.serving or pod.container is ContainerState.WAITING:
                        return
            context.clock.sleep(LOOK_SECONDS)


@dataclass(frozen=True, slots=True)
class Pause:
    """Tells the operator to leave the cluster alone."""

    scene: Scene

    def prepare(self, context: EngineContext, act: Act, record: Record) -> Memo:
        """Nobody else may have told it so: then nothing would start the member afterwards."""
        del act
        self.scene.as_planned(context, record)
        text = _annotation(context, self.scene, RECONCILIATION)
        if text is not None and text.lower() == _DISABLED:
            raise self.scene.refused(
                "reconciliation_off", f"somebody has set {RECONCILIATION} since the plan was made"
            )
        return {} if text is None else {"was": text}

    def do(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """From the operator's next pass on."""
        del act, record, memo
        _set(context, self.scene, RECONCILIATION, lambda _text: _DISABLED)

    def undo(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """As it was, unless somebody has written something else there."""
        del act, record
        was = memo.get("was")
        _set(context, self.scene, RECONCILIATION, lambda text: was if text == _DISABLED else text)


@dataclass(frozen=True, slots=True)
class Remove:
    """Deletes the member's pod; while the operator looks away nobody makes it again."""

    scene: Scene

    def prepare(self, context: EngineContext, act: Act, record: Record) -> Memo:
        """It must still be that pod, or one that the operator had begun to make."""
        del act
        self.scene.as_planned(context, record)
        return {}

    def do(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """Until it is gone for a second look: a pass of the operator may have been under way.

        When this was done before, and is seen to again, one look is enough: such a pass is long over.
        """
        del memo
        cluster = self.scene.cluster
        deadline = context.clock.monotonic() + context.tuning.delete_seconds
        done = any(entry.act == act and entry.state is ActState.DONE for entry in record.entries)
        looks = 1 if done else 2
        absent = 0
        while absent < looks:
            body = self.scene.pod(context, act.member)
            if body is None:
                absent += 1
                context.clock.sleep(LOOK_SECONDS if absent < looks else 0)
                continue
            absent = 0
            if "deletionTimestamp" not in mapping(body.get("metadata")):
                self.scene.named(context, act.member)
                context.check_lease()
                self.scene.delete(context, act.member, grace=_GRACE_SECONDS)
            if context.clock.monotonic() > deadline:
                raise RunFailed(
                    f"pod {act.member} does not go",
                    hint=f"kubectl describe pod {act.member} -n {cluster.namespace}; then: hasteward repair"
                    f" {flags(cluster)}",
                    code="heal.pod_stays",
                )
            context.clock.sleep(LOOK_SECONDS)

    def undo(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """The operator makes it again as soon as it works."""
