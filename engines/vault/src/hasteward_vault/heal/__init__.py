"""Does the acts of a repair. Each looks again before it destroys, and done twice it comes to the same end."""

from __future__ import annotations

from dataclasses import dataclass

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Refused, RunFailed
from hasteward.domain.repair import Act, Record
from hasteward.kit.sections import SectionWriter
from hasteward.kit.steps import Deed, Memo, walk
from hasteward.kit.streaming import capture
from hasteward.ports.context import Captures, DumpProof, DumpSink, EngineContext, Order
from hasteward.ports.kubernetes import PERSISTENT_VOLUME_CLAIMS, PODS
from hasteward.streams.proof import Algorithm
from hasteward_vault.analyse import Analysis, status_of
from hasteward_vault.collect.ask import script
from hasteward_vault.collect.token import access
from hasteward_vault.evidence import Evidence, Status
from hasteward_vault.facts.objects import ordinal_of
from hasteward_vault.facts.shell import CAPTURE, REMOVE_PEER
from hasteward_vault.heal.alone import Alone, Follow, Lead, StartAlone
from hasteward_vault.heal.base import LOOK_SECONDS, Base, Wait, delete, said_of, uid_of
from hasteward_vault.plan import Kind
from hasteward_vault.resources import CAPTURE_FILE, CAPTURE_FORMAT, flags, pod_of

_END_MARKER = bytes(512)


def heal(context: EngineContext, cluster: ClusterRef, order: Order) -> None:
    """Walk the acts of the order's journal."""
    deeds: dict[Kind, Deed] = {
        Kind.CAPTURE: _Capture(cluster, order.captures),
        Kind.REMOVE_PEER: _RemovePeer(cluster),
        Kind.WIPE: _Wipe(cluster),
        Kind.RESTART: _Restart(cluster),
        Kind.REJOIN: _Rejoin(cluster),
        Kind.ALONE: Alone(cluster),
        Kind.START_ALONE: StartAlone(cluster),
        Kind.LEAD: Lead(cluster),
        Kind.FOLLOW: Follow(cluster),
    }
    walk(context, order, {kind.value: deed for kind, deed in deeds.items()})


@dataclass(frozen=True, slots=True)
class _Capture(Base):
    """Saves a member's own data as a proven snapshot, while its server writes nothing."""

    captures: Captures

    def prepare(self, context: EngineContext, act: Act, record: Record) -> Memo:
        """It must neither lead nor be a peer that is written to."""
        self._idle(context, act)
        del record
        return {}

    def _idle(self, context: EngineContext, act: Act) -> Evidence:
        evidence, analysis = self.looked(context)
        if analysis.survival is None or not analysis.survival.lost:
            self.must_be_led(analysis)
        status = status_of(evidence.member(act.member))
        if status is None or status.active or act.member in analysis.reached:
            raise Refused(
                f"{act.member} leads, follows, or cannot be read: its data may change meanwhile",
                hint=f"hasteward triage {flags(self.cluster)}",
                code="heal.not_idle",
            )
        return evidence

    def do(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """Read its files through its container, and look before and after that it is idle."""
        evidence = self._idle(context, act)
        pod = pod_of(self.cluster, act.member, evidence.stateful_set.container)
        status = status_of(evidence.member(act.member))
        version = status.version if status is not None else ""

        def produce(sink: DumpSink) -> DumpProof:
            writer = SectionWriter(context, sink, Algorithm.SHA256)
            argv = script(CAPTURE, act.args["data"])
            writer.stream("raft-data", "", pod, argv, end_marker=_END_MARKER)
            self._idle(context, act)
            return DumpProof(act.member, version, writer.sections, {"data": act.args["data"]})

        self.captures.save(ordinal_of(act.member), CAPTURE_FILE, CAPTURE_FORMAT, produce)
        del memo, record


class _RemovePeer(Base):
    """Takes a peer out of the Raft configuration, by the leader."""

    def prepare(self, context: EngineContext, act: Act, record: Record) -> Memo:
        """A peer without a pod must still be dead."""
        del record
        _, analysis = self.led(context)
        if self._alive(analysis, act.args["peer"]):
            raise Refused(
                f"peer {act.args['peer']} is heard of again, or what is heard of it could not be read",
                hint=f"hasteward triage {flags(self.cluster)}",
                code="heal.peer_alive",
            )
        return {}

    @staticmethod
    def _alive(analysis: Analysis, peer: str) -> bool:
        found = next((match for match in analysis.peers if match.peer.id == peer), None)
        return found is not None and not found.member and found not in analysis.dead

    def do(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """Nothing when it is out already, or lives again since a dead run began this."""
        del record, memo
        evidence, analysis = self.led(context)
        peer = act.args["peer"]
        if peer not in {match.peer.id for match in analysis.peers} or self._alive(analysis, peer):
            return
        context.check_lease()
        allowed = access(context, self.cluster)
        pod = pod_of(self.cluster, analysis.leader, evidence.stateful_set.container)
        answer = capture(context, pod, script(REMOVE_PEER, *allowed.words, peer), feed=allowed.feed)
        if answer.exit_status != 0:
            raise RunFailed(
                f"peer {peer} was not taken out: {' '.join(answer.stderr.split())}",
                hint="deploy/vault/repair.hcl is the policy that allows it",
                code="heal.remove_peer",
            )


class _Restart(Base):
    """Deletes a pod; its StatefulSet makes it again on the same volume."""

    def do(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """Only the pod that the plan was about."""
        del memo
        self.led(context)
        delete(context, PODS, self.cluster, act.member, record.preconditions["pod"])


class _Wipe(Base):
    """Deletes a member's claim and pod, so that its StatefulSet makes both again, empty."""

    def prepare(self, context: EngineContext, act: Act, record: Record) -> Memo:
        """Note which claim it is, so that the new one is never taken for the old one."""
        _, analysis = self.led(context)
        if self._well(analysis, act.member):
            raise Refused(
                f"{act.member} leads or follows again; what it holds is not given up",
                hint=f"hasteward triage {flags(self.cluster)}",
                code="heal.member_well",
            )
        pod = uid_of(context, PODS, self.cluster, act.member)
        if pod != record.preconditions["pod"]:
            raise Refused(
                f"pod {act.member} is not the one that the plan was about",
                hint=f"hasteward repair {flags(self.cluster)}",
                code="heal.pod_changed",
            )
        return {
            "claim": uid_of(context, PERSISTENT_VOLUME_CLAIMS, self.cluster, act.args["claim"]),
            "pod": pod,
        }

    @staticmethod
    def _well(analysis: Analysis, member: str) -> bool:
        return member == analysis.leader or member in analysis.reached

    def do(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """Claim first: it goes when its pod has gone, and the pod comes back to a new one."""
        del record
        _, analysis = self.led(context)
        if self._well(analysis, act.member):
            return  # it has come back since a dead run began this, or that run had done it
        claim = act.args["claim"]
        delete(context, PERSISTENT_VOLUME_CLAIMS, self.cluster, claim, memo["claim"])
        delete(context, PODS, self.cluster, act.member, memo["pod"])
        deadline = context.clock.monotonic() + context.tuning.delete_seconds
        while (
            memo["claim"] and uid_of(context, PERSISTENT_VOLUME_CLAIMS, self.cluster, claim) == memo["claim"]
        ):
            if context.clock.monotonic() > deadline:
                raise RunFailed(
                    f"claim {claim} does not go",
                    hint=f"kubectl describe pvc {claim} -n {self.cluster.namespace}",
                    code="heal.claim",
                )
            context.clock.sleep(LOOK_SECONDS)


class _Rejoin(Wait):
    """Waits until a member follows."""

    once_unsealed = "it joins when it is unsealed with its keys"

    def holds(self, analysis: Analysis, member: str) -> bool:
        """It is proven to follow."""
        return member in analysis.reached

    def lacks_only_keys(self, status: Status, analysis: Analysis) -> bool:
        """There is a leader that it can follow, whether it is still empty or not."""
        del status
        return bool(analysis.leader)

    def failure(self, analysis: Analysis, member: str) -> RunFailed:
        """With what was seen of it."""
        return RunFailed(
            f"{member} has not joined: {said_of(analysis, member)}",
            hint=f"hasteward triage {flags(self.cluster)}",
            code="heal.not_joined",
        )
