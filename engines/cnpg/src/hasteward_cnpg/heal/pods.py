"""Acts on pods: restart one, have one cloned by the operator, put a helper on volumes, wait for one."""

from __future__ import annotations

import json
from dataclasses import dataclass

from hasteward.domain.events import Warned
from hasteward.domain.repair import Act, Record
from hasteward.kit.helperpod import end_helper, start_helper
from hasteward.kit.steps import Memo
from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import PODS, ApiNotFound
from hasteward_cnpg.analyse import Standing, analyse
from hasteward_cnpg.analyse.remedy import is_lost
from hasteward_cnpg.collect import collect, read_cluster
from hasteward_cnpg.facts.objects import mapping
from hasteward_cnpg.heal.scene import LOOK_SECONDS, PATIENCE_SECONDS, Scene
from hasteward_cnpg.resources import UNRECOVERABLE, flags


@dataclass(frozen=True, slots=True)
class Restart:
    """Deletes a pod; the operator makes it again on the same volumes, which also ends a back-off (L81)."""

    scene: Scene

    def prepare(self, context: EngineContext, act: Act, record: Record) -> Memo:
        """W2: it must still not stream."""
        self.scene.as_planned(context, record)
        if self.scene.streams_again(context, act.member):
            raise self.scene.refused(
                "member_well", f"{act.member} streams again since the plan was made: it needs no treatment"
            )
        if self.scene.uid(context, act.member) != record.preconditions["pod"]:
            raise self.scene.refused(
                "pod_changed", f"pod {act.member} is not the one that the plan was about"
            )
        return {}

    def do(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """Only the pod that the plan was about."""
        del memo
        if self.scene.uid(context, act.member) != record.preconditions["pod"]:
            return
        self.scene.named(context, act.member)
        context.check_lease()
        self.scene.delete(context, act.member)

    def undo(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """Goes forward only."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Asks the operator to remove a member that holds nothing, and to clone it anew."""

    scene: Scene

    def prepare(self, context: EngineContext, act: Act, record: Record) -> Memo:
        """What is there is read again: the operator deletes without looking."""
        self.scene.as_planned(context, record)
        evidence = collect(context, self.scene.cluster)
        member = evidence.member(act.member)
        lost = member is not None and is_lost(member.claim)
        if not lost and analyse(evidence).standing.get(act.member) is not Standing.NOTHING:
            raise self.scene.refused(
                "holds_data", f"it is not proven any more that {act.member} holds no data: it is not given up"
            )
        return {}

    def do(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """Only the pod that the plan was about; another one is what the operator has made."""
        del memo
        body = self.scene.pod(context, act.member)
        metadata = mapping(mapping(body).get("metadata"))
        if metadata.get("uid") != record.preconditions["pod"]:
            return
        self.scene.named(context, act.member)
        change = {"resourceVersion": metadata["resourceVersion"], "annotations": {UNRECOVERABLE: "true"}}
        context.check_lease()
        try:
            context.kubernetes.patch(PODS, self.scene.cluster.namespace, act.member, {"metadata": change})
        except ApiNotFound:
            return

    def undo(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """Goes forward only."""


@dataclass(frozen=True, slots=True)
class HelperPod:
    """A pod of ours, alone on the member's volumes."""

    scene: Scene

    def prepare(self, context: EngineContext, act: Act, record: Record) -> Memo:
        """Nothing to note: all it is made of is in the act."""
        del context, act, record
        return {}

    def do(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """Made if it is not there; Refused when another pod is on the volumes."""
        del record, memo
        body = json.loads(act.args["manifest"])
        name = str(body["metadata"]["name"])
        claims = [
            volume["persistentVolumeClaim"]["claimName"]
            for volume in body["spec"]["volumes"]
            if "persistentVolumeClaim" in volume
        ]
        for left in self.scene.ours_on(context, claims, name):
            end_helper(context, self.scene.cluster.namespace, left)
        others = self.scene.others_on(context, claims, name)
        if others:
            raise self.scene.refused(
                "volumes_in_use",
                f"the volumes of {act.member} are in use by {', '.join(others)}: they may change",
            )
        context.check_lease()
        start_helper(context, self.scene.cluster.namespace, body)

    def undo(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """Deleted, and waited for: the member's own pod needs the volumes."""
        del record, memo
        body = json.loads(act.args["manifest"])
        end_helper(context, self.scene.cluster.namespace, str(body["metadata"]["name"]))


@dataclass(frozen=True, slots=True)
class Rejoin:
    """Waits until a member streams."""

    scene: Scene

    def prepare(self, context: EngineContext, act: Act, record: Record) -> Memo:
        """Nothing."""
        del context, act, record
        return {}

    def do(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> str | None:
        """Or says what keeps it; the triage at the end tells that the cluster is not healthy then.

        The operator makes a pod only when every other pod reports: one member that is down keeps the next
        from coming back until it is treated too.
        """
        del record, memo
        begun = context.clock.monotonic()
        while True:
            why = self._missing(context, act)
            if not why:
                return None
            waited = context.clock.monotonic() - begun
            if waited > PATIENCE_SECONDS and self.scene.blocked(context, act.member):
                return f"the operator makes no pod {act.member} while another member is down"
            if waited > context.tuning.heal_seconds:
                text = (
                    f"{act.member} does not stream after {waited:.0f} s (--heal-timeout): {why}; look again"
                )
                text += f" with hasteward triage {flags(self.scene.cluster)} --deep"
                context.reporter.emit(Warned("heal.not_streaming", text))
                return None
            context.clock.sleep(LOOK_SECONDS)

    def _missing(self, context: EngineContext, act: Act) -> str:
        if "members" not in act.args:
            return self.scene.not_streaming(context, act.member)
        before = json.loads(act.args["members"])
        new = [
            name for name in read_cluster(context, self.scene.cluster).instance_names if name not in before
        ]
        if not new:
            return "the operator has made no new member yet"
        return self.scene.not_streaming(context, new[-1])

    def undo(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """Waiting changed nothing."""
