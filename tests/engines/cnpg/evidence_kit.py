"""A cluster that is well, as evidence: what a test of decisions changes one thing of."""

from __future__ import annotations

from hasteward_cnpg.evidence import ClusterFacts, ContainerState, Fork, Lsn, PodFacts, ServerFacts

UP = PodFacts(
    "Running", terminating=False, container=ContainerState.RUNNING, reason="", ready=True, restarts=0
)


def cluster_of(*names: str) -> ClusterFacts:
    """The first is its primary."""
    return ClusterFacts(
        instances=len(names),
        instance_names=names,
        current_primary=names[0],
        target_primary=names[0],
        phase="Cluster in healthy state",
        fenced=frozenset(),
        fence_note="",
        hibernated=False,
    )


def primary_at(current: Lsn, *ancestors: Fork) -> ServerFacts:
    """It writes the timeline after its `ancestors`."""
    timeline = len(ancestors) + 1
    return ServerFacts(
        version="17.4",
        version_number=170004,
        system_id="7",
        in_recovery=False,
        timeline=timeline,
        checkpoint_timeline=timeline,
        current=current,
        received=None,
        replayed=None,
        last_replay="",
        receiver=None,
        standbys=(),
        slots=(),
        databases=(),
        ancestors=ancestors,
    )
