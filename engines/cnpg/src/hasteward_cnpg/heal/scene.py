"""What all acts look at: the cluster as it is now, who can be cloned from, and whether a member streams."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from dataclasses import dataclass

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError, Refused, RunFailed
from hasteward.domain.repair import Record
from hasteward.kit.helperpod import is_helper
from hasteward.kit.reading import short
from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import PERSISTENT_VOLUME_CLAIMS, PODS, ApiNotFound, Json
from hasteward_cnpg.collect import read_cluster
from hasteward_cnpg.collect.server import read_server
from hasteward_cnpg.evidence import ClusterFacts, ServerFacts
from hasteward_cnpg.facts.objects import mapping, name_of, parse_pod
from hasteward_cnpg.facts.server import not_following
from hasteward_cnpg.resources import (
    CA_MOUNT,
    PORT,
    REPLICATION_MOUNT,
    REPLICATION_USER,
    flags,
    instance_selector,
    pod_of,
    volume_selector,
)

#: between two looks at something that is awaited
LOOK_SECONDS = 0.5
#: how often a member must be seen to stream before it counts as well again
_LOOKS = 3
#: how long something is asked again that may be about to come right
PATIENCE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Donor:
    """The primary, proven just now to be one, and where it is reached."""

    name: str
    address: str
    server: ServerFacts

    def conninfo(self, application: str) -> str:
        """How a helper pod connects; the secret part is in files of the pod."""
        words = {
            "host": self.address,
            "port": str(PORT),
            "user": REPLICATION_USER,
            "dbname": "postgres",
            "sslmode": "verify-ca",
            "sslrootcert": f"{CA_MOUNT}/ca.crt",
            "sslcert": f"{REPLICATION_MOUNT}/tls.crt",
            "sslkey": f"{REPLICATION_MOUNT}/tls.key",
            "application_name": application,
            "connect_timeout": "10",
        }
        return " ".join(f"{key}={value}" for key, value in words.items())


@dataclass(frozen=True, slots=True)
class Scene:
    """One cluster."""

    cluster: ClusterRef

    def refused(self, code: str, text: str) -> Refused:
        """The world is not as the plan found it, so nothing (more) is done."""
        return Refused(text, hint=f"hasteward triage {flags(self.cluster)} --deep", code=f"heal.{code}")

    def pod(self, context: EngineContext, name: str) -> Json | None:
        """The pod; None when it is proven not to be there."""
        try:
            return context.kubernetes.get(PODS, self.cluster.namespace, name)
        except ApiNotFound:
            return None

    def uid(self, context: EngineContext, name: str) -> str:
        """The pod's UID; "" when it is proven not to be there."""
        return str(mapping(mapping(self.pod(context, name)).get("metadata")).get("uid") or "")

    def claim(self, context: EngineContext, name: str) -> str:
        """The UID of the claim of a member's data; "" when it is proven not to be there."""
        claims = context.kubernetes.list(
            PERSISTENT_VOLUME_CLAIMS, self.cluster.namespace, labels=volume_selector(self.cluster.name)
        )
        found = [mapping(body.get("metadata")).get("uid") for body in claims if name_of(body) == name]
        return str(found[0] or "") if found else ""

    def delete(self, context: EngineContext, name: str, *, grace: int | None = None) -> None:
        """Delete a pod; one that is gone is. `grace` in seconds, None for the pod's own."""
        with contextlib.suppress(ApiNotFound):
            context.kubernetes.delete(PODS, self.cluster.namespace, name, grace=grace)

    def ours_on(self, context: EngineContext, claims: Collection[str], helper: str) -> list[str]:
        """Helpers that dead runs left on the claims: the Lease is ours, so nobody of them works."""
        return [name_of(body) for body in self._on(context, claims, helper) if is_helper(body)]

    def others_on(self, context: EngineContext, claims: Collection[str], helper: str) -> list[str]:
        """Pods that mount one of the claims, beside our own (W10: jobs do, and bear other labels)."""
        return [name_of(body) for body in self._on(context, claims, helper)]

    def _on(self, context: EngineContext, claims: Collection[str], helper: str) -> list[Json]:
        found = []
        for body in context.kubernetes.list(PODS, self.cluster.namespace):
            phase = mapping(body.get("status")).get("phase")
            mounted = {
                str(mapping(mapping(volume).get("persistentVolumeClaim")).get("claimName") or "")
                for volume in mapping(body.get("spec")).get("volumes") or ()
            }
            if name_of(body) != helper and phase not in {"Succeeded", "Failed"} and mounted & set(claims):
                found.append(body)
        return found

    def named(self, context: EngineContext, member: str) -> ClusterFacts:
        """The Cluster; Refused when the member is its primary now, or about to be."""
        facts = read_cluster(context, self.cluster)
        if member in {facts.current_primary, facts.target_primary}:
            raise self.refused(
                "primary", f"{member} is the primary now, or about to be: a repair never treats that one"
            )
        if facts.current_primary != facts.target_primary:
            raise self.refused(
                "switchover",
                f"a change of primary is under way, from {facts.current_primary} to {facts.target_primary}:"
                " nothing is treated meanwhile",
            )
        return facts

    def donor(self, context: EngineContext, record: Record) -> Donor:
        """The primary, if it is one and of the same database system; Refused or RunFailed otherwise."""
        name, server = self._primary(context, record.target.member)
        if server.in_recovery or server.system_id != record.preconditions["system"]:
            raise self.refused(
                "no_donor",
                f"{name}, which is named as the primary, does not accept writes, or is of another database"
                " system: nobody is built from it",
            )
        address = str(mapping(mapping(self.pod(context, name)).get("status")).get("podIP") or "")
        if not address:
            raise RunFailed(f"pod {name} has no address", code="heal.no_address")
        return Donor(name, address, server)

    def _primary(self, context: EngineContext, member: str) -> tuple[str, ServerFacts]:
        """Who is named, and what it says; asked for a while, for a server may just be restarting."""
        deadline = context.clock.monotonic() + PATIENCE_SECONDS
        while True:
            name = self.named(context, member).current_primary
            try:
                return name, read_server(short(context), pod_of(self.cluster, name))
            except RunFailed:
                if context.clock.monotonic() > deadline:
                    raise
            context.clock.sleep(LOOK_SECONDS)

    def as_planned(self, context: EngineContext, record: Record) -> Donor:
        """The primary that the plan was made for, on the timeline that it had; Refused otherwise."""
        donor = self.donor(context, record)
        wanted = record.preconditions
        if donor.name != wanted["primary"] or str(donor.server.timeline) != wanted["timeline"]:
            raise self.refused(
                "primary_changed",
                f"the plan was made with {wanted['primary']} as primary on timeline {wanted['timeline']};"
                f" now it is {donor.name} on timeline {donor.server.timeline}",
            )
        return donor

    def streams_again(self, context: EngineContext, member: str) -> bool:
        """Whether it streams at every look: a receiver that is refused each time streams for an instant."""
        for look in range(_LOOKS):
            if look:
                context.clock.sleep(LOOK_SECONDS)
            if self.not_streaming(context, member):
                return False
        return True

    def not_streaming(self, context: EngineContext, member: str) -> str:
        """Why a member does not stream from the primary; empty when it does."""
        near = short(context)
        try:
            if self.pod(near, member) is None:
                return f"the operator has not made pod {member} yet; does it run?"
            facts = read_cluster(near, self.cluster)
            primary = read_server(near, pod_of(self.cluster, facts.current_primary))
            server = read_server(near, pod_of(self.cluster, member))
        except HastewardError as error:
            return error.message
        except ValueError as error:
            return str(error)
        if primary.in_recovery or primary.system_id != server.system_id:
            return f"{facts.current_primary} is no primary of its database system"
        if not server.in_recovery:
            return f"{member} accepts writes itself"
        return not_following(server, primary)

    def blocked(self, context: EngineContext, member: str) -> bool:
        """Whether the operator waits for another member before it makes this one's pod."""
        try:
            pods = context.kubernetes.list(
                PODS, self.cluster.namespace, labels=instance_selector(self.cluster.name)
            )
        except HastewardError:
            return False
        names = [name_of(body) for body in pods]
        return member not in names and not all(parse_pod(body).serving for body in pods)
