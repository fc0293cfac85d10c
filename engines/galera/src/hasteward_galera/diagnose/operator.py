"""Findings about what the operator thinks and is about to do; the data may be well all the same. Pure."""

from __future__ import annotations

import json

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.report import Diagnosis, Severity
from hasteward_galera.analyse import Analysis
from hasteward_galera.diagnose.cluster import patch_of, triage_of
from hasteward_galera.evidence import ClusterFacts, Evidence

_LATCH = "GaleraReady"


def about_operator(cluster: ClusterRef, evidence: Evidence, analysis: Analysis) -> list[Diagnosis]:
    """The latch, suspension, and switches that were left on."""
    facts = evidence.cluster
    return [*_latch(cluster, facts, analysis), *_switches(cluster, evidence, analysis)]


def _latch(cluster: ClusterRef, facts: ClusterFacts, analysis: Analysis) -> list[Diagnosis]:
    if not facts.latched:
        return []
    words = _words(facts)
    if analysis.well and facts.suspended:
        summary = (
            "every member is well, but the operator has it down as broken: when it is resumed it stops all"
            " members at once (#1863)"
        )
        return [Diagnosis("galera-latch-hazard", Severity.CRITICAL, summary, words, _unlatch(cluster, facts))]
    if analysis.well:
        summary = (
            "every member is well, but the operator is caught in a recovery that stops all members again"
        )
        return [
            Diagnosis("galera-operator-deadlock", Severity.CRITICAL, summary, words, _unlatch(cluster, facts))
        ]
    if _stuck(facts):
        summary = "the operator's recovery cannot end: it waits for a position that no member can give"
        return [Diagnosis("galera-operator-stuck", Severity.CRITICAL, summary, words, triage_of(cluster))]
    summary = "the operator is recovering the cluster, or will as soon as it acts"
    suspend = patch_of(cluster, '{"spec":{"suspend":true}}')
    return [Diagnosis("galera-operator-recovery", Severity.WARNING, summary, words, suspend)]


def _words(facts: ClusterFacts) -> tuple[str, ...]:
    latch = facts.conditions[_LATCH]
    words = [f"condition {_LATCH} is {latch.status} ({latch.message or latch.reason})"]
    ready = facts.conditions.get("Ready")
    if ready is not None and ready.message:
        words.append(f"condition Ready: {ready.message}")
    if facts.state:
        known = sum(row.seqno >= 0 for row in facts.state.values())
        words.append(f"status.galeraRecovery names {len(facts.state)} members and {known} of their positions")
    return tuple(words)


def _stuck(facts: ClusterFacts) -> bool:
    ready = facts.conditions.get("Ready")
    failing = ready is not None and "recovery status not completed" in ready.message
    blind = bool(facts.state) and all(row.seqno < 0 for row in facts.state.values()) and not facts.recovered
    return failing or (blind and not facts.bootstrap_pod)


def _unlatch(cluster: ClusterRef, facts: ClusterFacts) -> str:
    """Sets the one condition back, and only if it still stands where it was read."""
    at = list(facts.conditions).index(_LATCH)
    place = f"/status/conditions/{at}"
    patch = json.dumps(
        [
            {"op": "test", "path": f"{place}/type", "value": _LATCH},
            {"op": "replace", "path": f"{place}/status", "value": "True"},
        ]
    )
    return (
        f"kubectl patch mariadb {cluster.name} -n {cluster.namespace} --subresource=status --type=json"
        f" -p '{patch}'"
    )


def _switches(cluster: ClusterRef, evidence: Evidence, analysis: Analysis) -> list[Diagnosis]:
    facts, found = evidence.cluster, []
    if facts.forced_pod and analysis.verdict.components:
        off = '{"spec":{"galera":{"recovery":{"forceClusterBootstrapInPod":null}}}}'
        summary = (
            f"forceClusterBootstrapInPod is left on: the next recovery starts from {facts.forced_pod} unread"
        )
        words = (f"spec.galera.recovery.forceClusterBootstrapInPod is {facts.forced_pod}",)
        found.append(
            Diagnosis("galera-forced-left", Severity.WARNING, summary, words, patch_of(cluster, off))
        )
    if facts.suspended and not facts.latched:
        summary = (
            "the operator is told to leave the cluster alone: nothing fails over and nothing is restarted"
        )
        resume = patch_of(cluster, '{"spec":{"suspend":false}}')
        found.append(Diagnosis("galera-suspended", Severity.INFO, summary, ("spec.suspend is true",), resume))
    stale = [member.name for member in evidence.members if member.stale_bootstrap]
    if stale and not facts.latched:
        name = stale[0]
        summary = f"{name} makes a cluster of its own when it is started again (#1626)"
        words = (f"1-bootstrap.cnf lies in the configuration of {', '.join(stale)}, and no recovery runs",)
        remedy = (
            f"kubectl exec {name} -n {cluster.namespace} -c mariadb --"
            " rm /etc/mysql/mariadb.conf.d/1-bootstrap.cnf"
        )
        found.append(Diagnosis("galera-stale-bootstrap", Severity.CRITICAL, summary, words, remedy, name))
    return found
