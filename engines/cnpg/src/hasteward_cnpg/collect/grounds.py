"""Reads what a plan rests on beside the evidence. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.reading import Known, Reading, Unread
from hasteward.kit.reading import attempt, short
from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import PERSISTENT_VOLUME_CLAIMS, PODS, Json
from hasteward_cnpg.collect.room import volumes
from hasteward_cnpg.evidence import ContainerState, Evidence
from hasteward_cnpg.facts.grounds import Grounds, MemberGrounds, Room, operator_version, parse_grounds
from hasteward_cnpg.facts.objects import HelperFacts, helper_facts, mapping, name_of, parse_pod
from hasteward_cnpg.resources import CLUSTERS, instance_selector, pod_of, volume_selector


def read_grounds(context: EngineContext, cluster: ClusterRef, evidence: Evidence) -> Grounds:
    """Cluster, pods, claims and room as they are now. Raises the Api* errors: no plan without them."""
    api = context.kubernetes
    body = api.get(CLUSTERS, cluster.namespace, cluster.name)
    pods = {
        name_of(pod): pod for pod in api.list(PODS, cluster.namespace, labels=instance_selector(cluster.name))
    }
    claims = {
        name_of(claim): claim
        for claim in api.list(
            PERSISTENT_VOLUME_CLAIMS, cluster.namespace, labels=volume_selector(cluster.name)
        )
    }
    members = {
        member.name: MemberGrounds(
            pod=_uid(pods.get(member.name)),
            claim=_uid(claims.get(member.name)),
            active=_active(pods.get(member.name)),
            helper=_helper(body, pods.get(member.name), pods),
            room=_room(context, cluster, evidence, member.name),
        )
        for member in evidence.members
    }
    return replace(parse_grounds(context.run.id, body, members), version=operator_version(pods))


def _uid(body: Json | None) -> str:
    return str(mapping(mapping(body).get("metadata")).get("uid") or "")


def _active(body: Json | None) -> bool:
    if body is None:
        return False
    pod = parse_pod(body)
    return pod.phase == "Running" and pod.serving


def _helper(cluster: Mapping[str, Any], pod: Json | None, pods: Mapping[str, Json]) -> HelperFacts | None:
    try:
        return helper_facts(cluster, pod, pods)
    except ValueError:
        return None


def _room(context: EngineContext, cluster: ClusterRef, evidence: Evidence, name: str) -> Reading[Room]:
    """From the container where one runs, else as it was when the files were read."""
    member = evidence.member(name)
    if member is None:
        return Unread(f"there is no member {name}")
    if isinstance(member.pod, Known) and member.pod.value.container is ContainerState.RUNNING:

        def look() -> Room:
            data, log = volumes(short(context), pod_of(cluster, name))
            return Room(data.free, log.free)

        return attempt(f"df in {name}", look)
    if isinstance(member.files, Known) and member.files.value.free is not None:
        free = member.files.value.free
        return Known(Room(*free), member.files.source)
    return Unread(f"the room on the volume of {name} was not read")
