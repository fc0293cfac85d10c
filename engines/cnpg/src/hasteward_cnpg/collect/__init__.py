"""Reads everything triage rests on. Changes nothing; whatever cannot be read becomes Unread."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError, InvalidInput
from hasteward.domain.reading import Absent, Known, Reading, Unread
from hasteward.kit.reading import attempt, short
from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import PERSISTENT_VOLUME_CLAIMS, PODS, ApiNotFound, Json
from hasteward_cnpg.analyse.authority import reference_of
from hasteward_cnpg.collect.deep import against, deepen, reading
from hasteward_cnpg.collect.files import Place, read_files
from hasteward_cnpg.collect.server import asking_server, read_server
from hasteward_cnpg.evidence import (
    ClaimState,
    ClusterFacts,
    ContainerState,
    Evidence,
    MemberEvidence,
    PodFacts,
    ServerFacts,
)
from hasteward_cnpg.facts.objects import Volumes, name_of, parse_cluster, parse_pod, parse_volumes
from hasteward_cnpg.resources import CLUSTERS, instance_selector, pod_of, volume_selector
from hasteward_sql.postgresql.collect.client import ask_each


def collect(context: EngineContext, cluster: ClusterRef) -> Evidence:
    """Read the Cluster, its pods and volumes, and every member whose server runs.

    The primary is asked last, so that a standby's position can be beyond it only if it really is.
    Raises InvalidInput if the cluster is proven not to exist.
    """
    body, facts = _cluster(context, cluster)
    pods = attempt("the list of pods", lambda: _pods(context, cluster))
    volumes = attempt("the list of volume claims", lambda: _volumes(context, cluster))
    named = facts.value.instance_names if isinstance(facts, Known) else ()
    found = dict.fromkeys(named)
    if isinstance(pods, Known):
        found |= dict.fromkeys(sorted(pods.value))
    detached: tuple[str, ...] = ()
    if isinstance(volumes, Known):
        detached = volumes.value.detached
        found |= dict.fromkeys(sorted(volumes.value.owners))
    primary = facts.value.current_primary if isinstance(facts, Known) else ""
    seen = {name: _pod(name, pods, context.clock.now()) for name in found}
    servers = _servers(context, cluster, seen, primary)
    members = tuple(
        MemberEvidence(name, name in named, seen[name], servers[name], _claim(name, volumes))
        for name in found
    )
    evidence = Evidence(facts, _inventory(pods, volumes), members, detached)
    bodies = pods.value if isinstance(pods, Known) else {}
    with reading(short(context), cluster, body, bodies) as reader:
        return deepen(reader, evidence)


def reread(context: EngineContext, cluster: ClusterRef, member: str, place: Place) -> Evidence:
    """The files of a member whose pod is gone, held against the primary that is named now."""
    body, facts = _cluster(context, cluster)
    primary = facts.value.current_primary if isinstance(facts, Known) else ""
    gone = MemberEvidence(
        member,
        named=True,
        pod=Absent("its pod is gone"),
        server=Unread("its pod is gone"),
        claim=Known(ClaimState.BOUND, "the helper pod"),
        files=read_files(context, place),
    )
    server = attempt(f"psql on {primary}", lambda: read_server(short(context), pod_of(cluster, primary)))
    named = MemberEvidence(primary, named=True, pod=Unread("not looked at"), server=server)
    evidence = Evidence(facts, Known(2, "the plan"), (named, gone))
    with reading(context, cluster, body, {}) as reader:
        reader.places |= {member: place, primary: Place(pod_of(cluster, primary), "")}
        return against(reader, evidence, reference_of(evidence))


def read_cluster(context: EngineContext, cluster: ClusterRef) -> ClusterFacts:
    """The Cluster object; InvalidInput with the names of those that exist when it does not."""
    return parse_cluster(cluster_body(context, cluster))


def cluster_body(context: EngineContext, cluster: ClusterRef) -> Json:
    """The Cluster object as it is stored; InvalidInput as `read_cluster`."""
    try:
        return context.kubernetes.get(CLUSTERS, cluster.namespace, cluster.name)
    except ApiNotFound as error:
        raise InvalidInput(
            f"there is no CloudNativePG cluster {cluster.namespace}/{cluster.name}",
            hint=_existing(context, cluster),
            code="cluster.not_found",
        ) from error


def _cluster(context: EngineContext, cluster: ClusterRef) -> tuple[Json, Known[ClusterFacts] | Unread]:
    """As `attempt`, except that a cluster which does not exist is the user's error and no reading."""
    try:
        body = cluster_body(context, cluster)
        return body, Known(parse_cluster(body, context.clock.now()), "the Cluster object")
    except InvalidInput:
        raise
    except HastewardError as error:
        return {}, Unread(f"the Cluster object: {error.message}")
    except (ValueError, TypeError) as error:
        return {}, Unread(f"the Cluster object was not understood ({error})")


def _existing(context: EngineContext, cluster: ClusterRef) -> str:
    try:
        names = [name_of(body) for body in context.kubernetes.list(CLUSTERS, cluster.namespace)]
    except HastewardError:
        names = []
    if names:
        return f"name one that is in {cluster.namespace}: {', '.join(sorted(names))}"
    return "kubectl get clusters.postgresql.cnpg.io --all-namespaces"


def _pods(context: EngineContext, cluster: ClusterRef) -> dict[str, Json]:
    listed = context.kubernetes.list(PODS, cluster.namespace, labels=instance_selector(cluster.name))
    return {name_of(body): body for body in listed}


def _volumes(context: EngineContext, cluster: ClusterRef) -> Volumes:
    return parse_volumes(
        context.kubernetes.list(
            PERSISTENT_VOLUME_CLAIMS, cluster.namespace, labels=volume_selector(cluster.name)
        )
    )


def _inventory(pods: Known[Any] | Unread, volumes: Known[Any] | Unread) -> Reading[int]:
    if isinstance(pods, Unread):
        return pods
    if isinstance(volumes, Unread):
        return volumes
    return Known(len(pods.value), pods.source)


def _pod(name: str, pods: Known[dict[str, Json]] | Unread, now: datetime) -> Reading[PodFacts]:
    if isinstance(pods, Unread):
        return pods
    if name not in pods.value:
        return Absent(f"{pods.source} has no pod {name}")
    body = pods.value[name]
    return attempt(pods.source, lambda: parse_pod(body, now))


def _claim(name: str, volumes: Known[Volumes] | Unread) -> Reading[ClaimState]:
    """L4: only a claim that is not in a list which was read does not exist."""
    if isinstance(volumes, Unread):
        return volumes
    if name in volumes.value.claims:
        return Known(volumes.value.claims[name], volumes.source)
    return Absent(f"{volumes.source} has no claim of {name}")


def _servers(
    context: EngineContext, cluster: ClusterRef, pods: Mapping[str, Reading[PodFacts]], primary: str
) -> dict[str, Reading[ServerFacts]]:
    """Ask every server, unless the API proves that no process could answer; all but the primary at once."""
    reading = short(context)
    silent = {name: why for name, pod in pods.items() if (why := _why_silent(name, pod))}
    asked = {name: asking_server(reading, pod_of(cluster, name)) for name in pods if name not in silent}
    ask_each(reading, *(one for name, one in asked.items() if name != primary))
    ask_each(reading, asked.get(primary))
    return {
        name: Unread(silent[name]) if name in silent else attempt(f"psql on {name}", asked[name].result)
        for name in pods
    }


def _why_silent(name: str, pod: Reading[PodFacts]) -> str:
    match pod:
        case Absent(proof):
            return proof
        case Known(facts) if facts.container is not ContainerState.RUNNING:
            return f"container postgres of {name} is {facts.container} ({facts.reason or facts.phase})"
        case Known() | Unread():
            return ""
