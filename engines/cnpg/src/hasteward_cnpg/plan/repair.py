"""How each member is treated, act by act. Pure.

In place means: a fence of our own, the operator told to look away, the pod gone, and a helper pod alone on
the volumes. Then what the plan rests on is read again from files that nobody writes, what only the member
holds is captured, and only then anything is destroyed. The operator's own way
(``alpha.cnpg.io/unrecoverable``) deletes first and proves nothing, so it is taken only where nothing is there
to be lost.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Refused
from hasteward.domain.plan import Reversal
from hasteward.domain.reading import Known
from hasteward.domain.repair import Act, RepairPlan, Target, Treatment
from hasteward.domain.report import Remediation
from hasteward_cnpg.analyse import Analysis, Standing, analyse
from hasteward_cnpg.analyse.members import only_stopped
from hasteward_cnpg.analyse.remedy import is_lost
from hasteward_cnpg.evidence import ClusterFacts, Evidence, MemberEvidence, ServerFacts
from hasteward_cnpg.facts.grounds import Grounds, MemberGrounds
from hasteward_cnpg.facts.names import ordinal_of
from hasteward_cnpg.facts.objects import HelperFacts
from hasteward_cnpg.facts.room import human
from hasteward_cnpg.facts.server import not_following
from hasteward_cnpg.plan.acts import Kind, Place
from hasteward_cnpg.resources import (
    FENCED_INSTANCES,
    RECONCILIATION,
    UNRECOVERABLE,
    flags,
)

#: the operator's own way exists from this version on
_UNRECOVERABLE_SINCE: Final = (1, 28)
#: from this version on a member that was given up comes back under its own name
_NAME_STAYS_SINCE: Final = (1, 30)
#: left on a volume beside a second copy: log that is written meanwhile, and what the file system takes
_SPARE: Final = 128 * 1024 * 1024


def repair_plan(
    cluster: ClusterRef, evidence: Evidence, grounds: Grounds, targets: tuple[Target, ...]
) -> RepairPlan:
    """How each target is treated; Refused when it cannot be, with what is in the way."""
    planner = _Planner(cluster, evidence, grounds, analyse(evidence))
    treatments = tuple(planner.treat(target) for target in targets)
    return RepairPlan(treatments, notes=_notes(treatments))


def stop_plan(cluster: ClusterRef, evidence: Evidence, grounds: Grounds) -> RepairPlan:
    """How those are stopped that can be read only then, by acts that can be taken back; Refused as above."""
    silent = only_stopped(evidence)
    if not silent:
        return RepairPlan(())
    planner = _Planner(cluster, evidence, grounds, analyse(evidence))
    treatments = tuple(planner.stop(member) for member in silent)
    return RepairPlan(treatments, notes=_notes(treatments))


def _notes(treatments: tuple[Treatment, ...]) -> tuple[str, ...]:
    kinds = {act.kind for treatment in treatments for act in treatment.acts}
    if Kind.PAUSE not in kinds:
        return ()
    return ("while the operator looks away there is no failover; it looks again before the member starts",)


class _Planner:
    """Everything that the treatments of one plan have in common."""

    def __init__(self, cluster: ClusterRef, evidence: Evidence, grounds: Grounds, analysis: Analysis) -> None:
        self._cluster = cluster
        self._evidence = evidence
        self._grounds = grounds
        self._analysis = analysis
        self._facts = self._cluster_facts()
        self._primary = self._primary_facts()

    # -- what must be so, whoever is treated -------------------------------------------------------------

    def _refuse(self, code: str, text: str, hint: str = "") -> Refused:
        return Refused(
            text, hint=hint or f"hasteward triage {flags(self._cluster)} --deep", code=f"plan.{code}"
        )

    def _annotate(self, change: str) -> str:
        name, namespace = self._cluster.name, self._cluster.namespace
        return f"kubectl annotate clusters.postgresql.cnpg.io {name} -n {namespace} {change}"

    def _cluster_facts(self) -> ClusterFacts:
        if not isinstance(self._evidence.cluster, Known):
            raise self._refuse(
                "no_cluster", f"the Cluster {self._cluster} could not be read: nothing is treated blind"
            )
        facts = self._evidence.cluster.value
        if facts.reconciliation_off:
            raise self._refuse(
                "reconciliation_off",
                f"the annotation {RECONCILIATION} is disabled: the operator would make no pod again, so"
                " nothing would start what is treated",
                self._annotate(f"{RECONCILIATION}-   (once the reason for it is gone)"),
            )
        if facts.hibernated:
            raise self._refuse(
                "hibernated",
                "the cluster is hibernated: whoever asked for that wants no member to run",
                f"kubectl cnpg hibernate off {self._cluster.name} -n {self._cluster.namespace}",
            )
        if facts.fence_note:
            raise self._refuse(
                "fence_unreadable",
                f"{facts.fence_note}; a fence of ours would overwrite what somebody meant",
                self._annotate(f"{FENCED_INSTANCES}-   (or write the list as it is meant)"),
            )
        return facts

    def _primary_facts(self) -> ServerFacts:
        """The one that every treatment builds on: it is named, accepts writes and holds the newest data."""
        member = self._evidence.member(self._analysis.primary)
        if member is None or not isinstance(member.server, Known):
            raise self._refuse(
                "no_primary",
                f"the primary {self._facts.current_primary or 'that is named'} does not accept writes, and a"
                " member is treated only while there is one to follow",
            )
        return member.server.value

    # -- one member --------------------------------------------------------------------------------------

    def treat(self, target: Target) -> Treatment:
        """The acts for one target."""
        member = self._evidence.member(target.member)
        grounds = self._grounds.members.get(target.member)
        if member is None or grounds is None:
            raise self._refuse("unknown_member", f"{target.member} is no member any more: it was not read")
        if self._facts.is_fenced(target.member):
            raise self._refuse(
                "fenced",
                f"{target.member} is fenced by somebody (annotation {FENCED_INSTANCES}), and would not start"
                " afterwards; a fence of others is not ours to lift",
                f"kubectl cnpg fencing off {self._cluster.name} {target.member} -n {self._cluster.namespace}",
            )
        known = self._preconditions(member, grounds)
        if not target.remediation.overwrites:
            return Treatment(target, self._restart(target, grounds), known)
        why = self._operators_way(target, member, grounds)
        if why:
            return Treatment(target, self._give_up(target, why), known)
        return Treatment(target, self._in_place(target, grounds), known)

    def stop(self, member: MemberEvidence) -> Treatment:
        """The acts that stop one member, and do no more."""
        grounds = self._grounds.members.get(member.name)
        ordinal = ordinal_of(member.name)
        if grounds is None or ordinal is None:
            raise self._refuse("unknown_member", f"{member.name} is no member any more: it was not read")
        place = Place(
            self._cluster,
            self._grounds,
            member.name,
            self._analysis.primary,
            self._helper(member.name, grounds),
        )
        reason = "its server runs and does not answer, so its data can be read only while it is stopped"
        target = Target(member.name, ordinal, Remediation.NONE, reason)
        return Treatment(target, tuple(place.stop()), self._preconditions(member, grounds))

    def _preconditions(self, member: MemberEvidence, grounds: MemberGrounds) -> Mapping[str, str]:
        """What is read again before anything is destroyed; see `heal`."""
        position = member.position.value.end if isinstance(member.position, Known) else None
        return {
            "pod": grounds.pod,
            "claim": grounds.claim,
            "primary": self._analysis.primary,
            "system": self._primary.system_id,
            "timeline": str(self._primary.timeline),
            "position": "" if position is None else str(position),
            "follows": "yes" if self._follows(member) else "no",
        }

    def _follows(self, member: MemberEvidence) -> bool:
        server = member.server.value if isinstance(member.server, Known) else None
        return server is not None and server.in_recovery and not not_following(server, self._primary)

    def _restart(self, target: Target, grounds: MemberGrounds) -> tuple[Act, ...]:
        name = target.member
        if not grounds.pod and not self._grounds.all_others_active(name):
            # the operator makes it as soon as the others are well, which this plan may see to
            return (self._rejoin(name),)
        if not grounds.pod:
            raise self._refuse(
                "no_pod",
                f"{name} has no pod that could be restarted: the operator makes one, and has not",
                f"kubectl get events -n {self._cluster.namespace}"
                f" --field-selector involvedObject.name={name}",
            )
        text = f"delete pod {name}; the operator makes it again on the same volumes"
        return (Act("restart", Kind.RESTART, name, text, Reversal.FORWARD_ONLY), self._rejoin(name))

    def _rejoin(self, name: str, *, renamed: bool = False) -> Act:
        text = f"wait until {name} streams from {self._analysis.primary}"
        args = {}
        if renamed:
            text = f"wait until a new member streams in the place of {name} (this operator counts up)"
            args = {"members": json.dumps(sorted(member.name for member in self._evidence.members))}
        return Act("rejoin", Kind.REJOIN, name, text, Reversal.READ_ONLY, args)

    # -- the operator's way ------------------------------------------------------------------------------

    def _operators_way(self, target: Target, member: MemberEvidence, grounds: MemberGrounds) -> str:
        """Why the operator is asked to clone the member itself; empty where it is done in place."""
        version = self._grounds.version
        able = version is not None and version >= _UNRECOVERABLE_SINCE
        lost = is_lost(member.claim)
        empty = self._analysis.standing.get(target.member) is Standing.NOTHING
        if target.remediation is not Remediation.RESEED or target.capture or not (lost or empty):
            return ""
        if not able or not grounds.pod or not self._grounds.all_others_active(target.member):
            if lost:
                told = ".".join(map(str, version)) if version else "not known"
                raise self._refuse(
                    "no_claim",
                    f"{target.member} has no volume to work on, and its operator (version {told}) removes a"
                    " member only from 1.28 on, and while the pods of all members run",
                    f"kubectl cnpg destroy {self._cluster.name} {target.ordinal}"
                    f" -n {self._cluster.namespace}",
                )
            return ""
        return "its volume is lost" if lost else "it holds no data"

    def _give_up(self, target: Target, why: str) -> tuple[Act, ...]:
        name = target.member
        text = (
            f"annotate pod {name} with {UNRECOVERABLE}: {why}, so its operator deletes its volumes and clones"
            " it anew (method operator)"
        )
        version = self._grounds.version
        renamed = version is not None and version < _NAME_STAYS_SINCE
        act = Act("give-up", Kind.GIVE_UP, name, text, Reversal.FORWARD_ONLY)
        return (act, self._rejoin(name, renamed=renamed))

    # -- in place ----------------------------------------------------------------------------------------

    def _helper(self, name: str, grounds: MemberGrounds) -> HelperFacts:
        if grounds.helper is None:
            raise self._refuse(
                "no_image",
                f"no image is known that a helper pod for {name} could run: no member has a pod",
                f"kubectl get clusters.postgresql.cnpg.io {self._cluster.name} -n {self._cluster.namespace}"
                " -o jsonpath='{.status.image}'",
            )
        return grounds.helper

    def _in_place(self, target: Target, grounds: MemberGrounds) -> tuple[Act, ...]:
        empty = self._analysis.standing.get(target.member) is Standing.NOTHING
        helper = self._helper(target.member, grounds)
        place = Place(self._cluster, self._grounds, target.member, self._analysis.primary, helper)
        acts = place.quiesce(empty=empty)
        if target.capture:
            acts.append(place.capture())
        kept = ""
        if target.remediation is Remediation.REWIND:
            acts += place.rewind()
        else:
            kept = "" if empty else self._room_for_both(grounds)
            acts += place.clone(kept=kept, empty=empty)
        acts += [*place.release(), self._rejoin(target.member)]
        if kept:
            acts.append(place.discard())
        return tuple(acts)

    def _room_for_both(self, grounds: MemberGrounds) -> str:
        """In words, that the old data can stay beside the new; empty where they cannot, or nobody knows."""
        sizes = [database.size for database in self._primary.databases]
        if self._grounds.tablespaces or not isinstance(grounds.room, Known):
            return ""
        needed = sum(size or 0 for size in sizes)
        if None in sizes or grounds.room.value.data < needed + _SPARE or grounds.room.value.log < _SPARE:
            return ""
        return f"{human(grounds.room.value.data)} are free"
