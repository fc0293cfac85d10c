"""Plans in words, and the acts of a repair. Pure: everything they rest on was read before."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Refused
from hasteward.domain.plan import Plan, Reversal, Step
from hasteward.domain.reading import Known
from hasteward.domain.repair import Act, RepairPlan, Target, Treatment
from hasteward.domain.report import Remediation
from hasteward_vault.analyse import Analysis, Quorum, status_of
from hasteward_vault.evidence import Evidence, MemberEvidence
from hasteward_vault.facts.words import human
from hasteward_vault.resources import flags


def dump_plan(cluster: ClusterRef, *, member: str, why: str, index: int | None, doubt: str) -> Plan:
    """What a dump reads. `doubt` is why the member is not proven to lead; empty when it is."""
    notes = ["the snapshot is encrypted: what it holds is read with the unseal keys of its time, no other"]
    if doubt:
        notes.append(f"it is not proven that {member} holds the newest data: {doubt}")
    where = f" (applied entry {index})" if index is not None else ""
    return Plan(
        title=f"dump {cluster.namespace}/{cluster.name} from {member}",
        steps=(
            Step(f"take a Raft snapshot from {member}, {why}{where}; nothing is written in the pod"),
            Step("check it against its own SHA256SUMS, and that the member still leads afterwards"),
        ),
        notes=tuple(notes),
    )


@dataclass(frozen=True, slots=True)
class RestoreWords:
    """What a restore plan tells. `kept` is the file that will hold what is live now, empty for none."""

    snapshot: str
    finished: str
    index: int
    live_index: int | None
    leader: str
    size: int
    kept: str
    differences: tuple[str, ...]
    notes: tuple[str, ...]


def restore_plan(cluster: ClusterRef, words: RestoreWords) -> Plan:
    """What a restore does, in its order, and what it gives up."""
    steps = []
    if words.kept:
        steps.append(
            Step(
                f"save what is live now into {words.kept} on the volume of {words.leader}",
                Reversal.REVERSIBLE,
            )
        )
    forced = " by force, past the difference" if words.differences else ""
    steps += [
        Step(
            f"install the snapshot ({human(words.size)}) through {words.leader}{forced}; the server checks"
            " its sums before it takes any of it",
            Reversal.REVERSIBLE if words.kept else Reversal.FORWARD_ONLY,
        ),
        Step("wait until every member is unsealed and a majority follows the leader"),
    ]
    live = f"entry {words.live_index}" if words.live_index is not None else "an entry that could not be read"
    fate = f"kept in {words.kept}" if words.kept else "NOT kept"
    return Plan(
        title=(
            f"restore {cluster.namespace}/{cluster.name} from snapshot {words.snapshot[:8]}"
            f" (Raft entry {words.index}, finished {words.finished})"
        ),
        steps=tuple(steps),
        gives_up=(f"everything that {words.leader} holds now, up to {live}; {fate}",),
        notes=(*(f"FORCED past: {difference}" for difference in words.differences), *words.notes),
    )


# --- repair -----------------------------------------------------------------------------------------------


class Kind(StrEnum):
    """The acts of this engine; `heal` knows how each is done."""

    CAPTURE = "capture"
    REMOVE_PEER = "remove-peer"
    WIPE = "wipe"
    RESTART = "restart"
    REJOIN = "rejoin"
    ALONE = "alone"
    START_ALONE = "start-alone"
    LEAD = "lead"
    FOLLOW = "follow"


def repair_plan(
    cluster: ClusterRef, evidence: Evidence, analysis: Analysis, targets: tuple[Target, ...]
) -> RepairPlan:
    """How each target is treated; Refused when it cannot be captured, or no majority would be left."""
    dead = {match.peer.id for match in analysis.dead}
    treatments = []
    for target in targets:
        if target.remediation is Remediation.BOOTSTRAP:
            treatments.append(_goes_on_alone(cluster, evidence, analysis, target))
            continue
        if target.member in dead:
            acts: tuple[Act, ...] = (_remove(target.member, target.member),)
            treatments.append(Treatment(target, acts, {"peer": target.member}))
            continue
        member = evidence.member(target.member)
        if member is None or not analysis.leader:
            raise Refused(
                f"{target.member} cannot be treated: {analysis.reason}",
                hint=f"hasteward triage {flags(cluster)}",
                code="plan.no_leader",
            )
        treatments.append(_treat(cluster, evidence, analysis, target, member))
    return RepairPlan(tuple(treatments), notes=_repair_notes(treatments))


def _goes_on_alone(cluster: ClusterRef, evidence: Evidence, analysis: Analysis, target: Target) -> Treatment:
    """All that is left is captured; then the survivor is told that it is the only peer, and starts again."""
    left, name = analysis.survival, target.member
    survivor = next((one for one in left.fit if one.name == name), None) if left is not None else None
    member = evidence.member(name)
    if left is None or survivor is None or survivor.peer is None or member is None:
        raise Refused(
            f"{name} cannot go on alone: {analysis.reason}",
            hint=f"hasteward triage {flags(cluster)}",
            code="plan.not_lost",
        )
    folder = evidence.stateful_set.data
    acts = [
        _capture(one.name, f"its log ends at entry {one.log.index}", folder)
        for one in (survivor, *(other for other in left.survivors if other is not survivor))
    ]
    peers = json.dumps([{"id": survivor.peer.id, "address": survivor.peer.address, "non_voter": False}])
    told = f"write raft/peers.json on {name}: when it starts it finds itself the only peer"
    again = f"delete pod {name}; its StatefulSet makes it again, and it goes on alone with what it has"
    acts += [
        Act("alone", Kind.ALONE, name, told, Reversal.REVERSIBLE, {"data": folder, "peers": peers}),
        Act("start-alone", Kind.START_ALONE, name, again, _FORWARD),
        Act(
            "lead", Kind.LEAD, name, f"wait until {name} leads; somebody has to unseal it", Reversal.READ_ONLY
        ),
    ]
    for other in evidence.members:
        status = status_of(other)
        if status is not None and not status.initialized:
            text = f"wait until {other.name}, which is empty, has joined; somebody has to unseal it"
            acts.append(Act(f"follow-{other.name}", Kind.FOLLOW, other.name, text, Reversal.READ_ONLY))
    pod = member.pod.value.uid if isinstance(member.pod, Known) else ""
    preconditions = {"pod": pod, "term": str(survivor.log.term), "index": str(survivor.log.index)}
    return Treatment(target, tuple(acts), preconditions)


def _treat(
    cluster: ClusterRef, evidence: Evidence, analysis: Analysis, target: Target, member: MemberEvidence
) -> Treatment:
    pod = member.pod.value if isinstance(member.pod, Known) else None
    preconditions = {"pod": pod.uid if pod is not None else "", "leader": analysis.leader}
    name = target.member
    if not target.remediation.overwrites:
        acts = [
            Act(
                "restart", Kind.RESTART, name, f"delete pod {name}; its StatefulSet makes it again", _FORWARD
            ),
            _rejoin(name),
        ]
        return Treatment(target, tuple(acts), preconditions)
    _leaves_a_majority(cluster, analysis, name)
    acts = []
    if target.capture:
        _can_be_captured(cluster, target, member)
        acts.append(_capture(name, "which no longer leads nor follows", evidence.stateful_set.data))
    peer = next((match.peer.id for match in analysis.peers if match.member == name), "")
    if peer:
        acts.append(_remove(peer, name))
    if not evidence.stateful_set.claim:
        raise Refused(
            f"the volume of {name} is not made by its StatefulSet, so it would not be made again",
            hint=f"kubectl describe sts {evidence.stateful_set.name} -n {cluster.namespace}",
            code="plan.no_claim",
        )
    claim = f"{evidence.stateful_set.claim}-{name}"
    text = f"delete claim {claim} and pod {name}; its StatefulSet makes both again, empty"
    acts += [Act("wipe", Kind.WIPE, name, text, _FORWARD, {"claim": claim}), _rejoin(name)]
    return Treatment(target, tuple(acts), preconditions)


_FORWARD = Reversal.FORWARD_ONLY


def _capture(name: str, state: str, folder: str) -> Act:
    text = f"capture the Raft data of {name} ({state}), and prove it"
    return Act(f"capture-{name}", Kind.CAPTURE, name, text, Reversal.READ_ONLY, {"data": folder})


def _remove(peer: str, member: str) -> Act:
    text = f"take peer {peer} out of the Raft configuration"
    return Act("remove-peer", Kind.REMOVE_PEER, member, text, _FORWARD, {"peer": peer})


def _rejoin(name: str) -> Act:
    text = f"wait until {name} has joined (retry_join) and follows; somebody has to unseal it"
    return Act("rejoin", Kind.REJOIN, name, text, Reversal.READ_ONLY)


def _leaves_a_majority(cluster: ClusterRef, analysis: Analysis, name: str) -> None:
    """Without its vote, those that are proven to follow must be a majority of who is left."""
    votes = any(match.member == name and match.peer.voter for match in analysis.peers)
    if not votes or analysis.quorum is None:
        return
    left = Quorum(analysis.quorum.voters - 1, analysis.reached_without(name))
    if left.spare < 0:
        raise Refused(
            f"without {name} no majority is left ({left}): nothing could be written until it is back",
            hint=f"hasteward triage {flags(cluster)}   (bring another member back first)",
            code="plan.no_majority",
        )


def _can_be_captured(cluster: ClusterRef, target: Target, member: MemberEvidence) -> None:
    pod = member.pod.value if isinstance(member.pod, Known) else None
    status = member.status.value if isinstance(member.status, Known) else None
    if pod is None or not pod.alive or status is None or status.active:
        raise Refused(
            f"{target.member} has to be captured before it is overwritten ({target.gives_up}), which takes a"
            " container that runs and a server that does not take itself for the leader",
            hint=f"kubectl describe pod {target.member} -n {cluster.namespace}",
            code="plan.no_capture",
        )


def _repair_notes(treatments: list[Treatment]) -> tuple[str, ...]:
    kinds = {act.kind for treatment in treatments for act in treatment.acts}
    notes = []
    if kinds & {Kind.REJOIN, Kind.LEAD}:
        notes.append("a server that starts is sealed: unless something unseals it, do so with its keys")
    captured = [
        act.member
        for treatment in treatments
        for act in treatment.acts
        if act.kind == Kind.CAPTURE and act.member != treatment.target.member
    ]
    if captured:
        notes.append(f"no peers any more afterwards, and made anew by the next repair: {', '.join(captured)}")
    return tuple(notes)
