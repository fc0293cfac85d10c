"""The table of resources this API serves."""

from __future__ import annotations

from dataclasses import dataclass

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Resource:
    """One kind of object, as discovery tells it."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    has_status: bool = False
    subresources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS

    @property
    def api_version(self) -> str:
        """The apiVersion of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        """The singular name kubectl accepts."""
        return self.kind.lower()


PODS = Resource("", "v1", "pods", "Pod", short_names=("po",), has_status=True, subresources=("exec", "log"))
SECRETS = Resource("", "v1", "secrets", "Secret")
CLAIMS = Resource(
    "", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", short_names=("pvc",), has_status=True
)
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", short_names=("cm",))
EVENTS = Resource("", "v1", "events", "Event", short_names=("ev",))
NAMESPACES = Resource(
    "", "v1", "namespaces", "Namespace", namespaced=False, short_names=("ns",), has_status=True
)
SERVICES = Resource("", "v1", "services", "Service", short_names=("svc",), has_status=True)
NODES = Resource("", "v1", "nodes", "Node", namespaced=False, short_names=("no",), has_status=True)
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
CLUSTERS = Resource("postgresql.cnpg.io", "v1", "clusters", "Cluster", has_status=True)
REVIEWS = Resource(
    "authorization.k8s.io",
    "v1",
    "selfsubjectaccessreviews",
    "SelfSubjectAccessReview",
    namespaced=False,
    verbs=("create",),
)

TABLE = (
    PODS,
    SECRETS,
    CLAIMS,
    CONFIG_MAPS,
    EVENTS,
    NAMESPACES,
    SERVICES,
    NODES,
    LEASES,
    CLUSTERS,
    REVIEWS,
)


def find(group: str, version: str, plural: str) -> Resource | None:
    """The resource of that address, if it is served."""
    wanted = (group, version, plural)
    return next((r for r in TABLE if (r.group, r.version, r.plural) == wanted), None)


def group_versions() -> list[tuple[str, str]]:
    """Every (group, version) served, the core group first."""
    return sorted({(r.group, r.version) for r in TABLE})
