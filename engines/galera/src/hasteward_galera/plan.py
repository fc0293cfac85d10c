"""The acts of a repair. Pure: everything they rest on was read before.

A StatefulSet ends at its highest number, so one member alone cannot be scaled away. But without its
StatefulSet a pod that is deleted stays away, and the others run on: the operator makes the set again when it
is resumed, and it adopts them (W9). That is how any member is made anew without an outage.
"""

from __future__ import annotations

from enum import StrEnum

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Refused
from hasteward.domain.plan import Reversal
from hasteward.domain.reading import Absent, Known, Unread
from hasteward.domain.repair import CAPTURE, RELEASE, Act, RepairPlan, Target, Treatment
from hasteward_galera.analyse import Analysis
from hasteward_galera.evidence import Evidence, MemberEvidence
from hasteward_galera.resources import claim_of, flags


class Kind(StrEnum):
    """The acts of this engine."""

    SUSPEND = "suspend"
    ORPHAN = "orphan"
    STOP = "stop"
    RECOVER = "recover"
    CAPTURE = CAPTURE
    CLEAR = "clear"
    UNLATCH = "unlatch"
    RESTART = "restart"
    REJOIN = "rejoin"
    RELEASE = RELEASE


def repair_plan(
    cluster: ClusterRef, evidence: Evidence, analysis: Analysis, targets: tuple[Target, ...]
) -> RepairPlan:
    """How each target is treated; Refused when that would end in something worse."""
    treatments = tuple(_treat(cluster, evidence, analysis, target) for target in targets)
    return RepairPlan(treatments, notes=_notes(evidence, treatments))


def _treat(cluster: ClusterRef, evidence: Evidence, analysis: Analysis, target: Target) -> Treatment:
    member = evidence.member(target.member)
    if member is None or not analysis.verdict.components:
        raise Refused(
            f"{target.member} cannot be treated: no Primary component runs that it could join",
            hint=f"hasteward triage {flags(cluster)} --deep",
            code="plan.no_component",
        )
    preconditions = _preconditions(analysis, member)
    if not target.remediation.overwrites:
        text = f"delete pod {target.member}; its StatefulSet makes it again on the same volume"
        acts = (
            Act("restart", Kind.RESTART, target.member, text, Reversal.FORWARD_ONLY),
            _rejoin(target.member),
        )
        return Treatment(target, acts, preconditions)
    _can_be_overwritten(cluster, evidence, member)
    return Treatment(target, _reseed(evidence, target), preconditions)


def _preconditions(analysis: Analysis, member: MemberEvidence) -> dict[str, str]:
    """What must be as it was when something is about to be destroyed."""
    held = analysis.verdict.holdings[member.name]
    at = held.value.position if isinstance(held, Known) else None
    component = analysis.verdict.component
    return {
        "pod": member.pod.value.uid if isinstance(member.pod, Known) else "",
        "claim": member.claim.value.uid if isinstance(member.claim, Known) else "",
        "position": f"{at.uuid}:{at.seqno}" if at is not None else "",
        "history": component.uuid if component is not None else "",
    }


def _can_be_overwritten(cluster: ClusterRef, evidence: Evidence, member: MemberEvidence) -> None:
    match member.claim:
        case Known(claim) if claim.users:
            raise Refused(
                f"the volume of {member.name} is open in {', '.join(claim.users)}",
                hint=f"kubectl describe pod {claim.users[0]} -n {cluster.namespace}",
                code="plan.volume_in_use",
            )
        case Known():
            pass
        case Absent() | Unread():
            raise Refused(
                f"claim {claim_of(member.name)} could not be read, so nothing on it is overwritten",
                hint=f"kubectl get pvc -n {cluster.namespace}",
                code="plan.no_claim",
            )
    if isinstance(evidence.stateful_set, Known) and evidence.stateful_set.value.deletes_claims:
        raise Refused(
            "scaling down deletes volumes here (persistentVolumeClaimRetentionPolicy.whenScaled is Delete),"
            " and an operator that recovers scales to 0",
            hint=f"hasteward triage {flags(cluster)}   (galera-scale-down-deletes names the way out)",
            code="plan.retention",
        )


def _reseed(evidence: Evidence, target: Target) -> tuple[Act, ...]:
    name, forward, back = target.member, Reversal.FORWARD_ONLY, Reversal.REVERSIBLE
    suspended = evidence.cluster.suspended
    acts: list[Act] = []
    if not suspended:
        acts.append(
            Act("suspend", Kind.SUSPEND, name, "suspend the MariaDB, so that the operator waits", back)
        )
    acts += [
        Act("orphan", Kind.ORPHAN, name, "take the StatefulSet away and leave every pod running", back),
        Act("stop", Kind.STOP, name, f"delete pod {name} and prove that nobody has its volume open", back),
        Act(
            "recover",
            Kind.RECOVER,
            name,
            f"read the position of {name} again, now that it cannot move",
            _READ,
        ),
    ]
    if target.capture:
        text = f"capture the files of {name}, whose server is gone, and prove them"
        acts.append(Act("capture", Kind.CAPTURE, name, text, _READ, {"claim": claim_of(name)}))
    text = f"empty the volume of {name}, so that it takes a whole state transfer"
    acts.append(Act("clear", Kind.CLEAR, name, text, forward, {"claim": claim_of(name)}))
    text = "set GaleraReady back to True if it has turned False, or resuming stops every member"
    acts.append(Act("unlatch", Kind.UNLATCH, name, text, forward))
    if not suspended:
        text = "resume the MariaDB: the operator makes the StatefulSet again, which adopts the pods"
        acts.append(Act("resume", Kind.RELEASE, name, text, forward, {"of": "suspend"}))
    else:
        text = "make the StatefulSet again as it was, which adopts the pods; the MariaDB stays suspended"
        acts.append(Act("adopt", Kind.RELEASE, name, text, forward, {"of": "orphan"}))
    return (*acts, _rejoin(name))


_READ = Reversal.READ_ONLY


def _rejoin(name: str) -> Act:
    text = f"wait until {name} is Synced in the same component as the others"
    return Act("rejoin", Kind.REJOIN, name, text, Reversal.READ_ONLY)


def _notes(evidence: Evidence, treatments: tuple[Treatment, ...]) -> tuple[str, ...]:
    notes = []
    if any(treatment.target.remediation.overwrites for treatment in treatments):
        notes.append("a donor sends its whole data set; it stays in the cluster and may be slow meanwhile")
    if evidence.cluster.suspended:
        notes.append("the MariaDB was suspended before, and stays so")
    return tuple(notes)
