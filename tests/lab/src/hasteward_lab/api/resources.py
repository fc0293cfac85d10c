"""The resources this API serves without any CustomResourceDefinition, and the catalogue of all it serves."""

from __future__ import annotations

from dataclasses import dataclass, field

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Resource:
    """One kind of object, as discovery tells it. Group, version and plural are its identity."""

    group: str
    version: str
    plural: str
    kind: str = field(compare=False)
    namespaced: bool = field(default=True, compare=False)
    short_names: tuple[str, ...] = field(default=(), compare=False)
    has_status: bool = field(default=False, compare=False)
    subresources: tuple[str, ...] = field(default=(), compare=False)
    verbs: tuple[str, ...] = field(default=ALL_VERBS, compare=False)
    categories: tuple[str, ...] = field(default=(), compare=False)

    @property
    def api_version(self) -> str:
        """The apiVersion of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        """The singular name kubectl accepts."""
        return self.kind.lower()


_RBAC = "rbac.authorization.k8s.io"
_ALL = ("all",)

PODS = Resource(
    "",
    "v1",
    "pods",
    "Pod",
    short_names=("po",),
    has_status=True,
    subresources=("eviction", "exec", "log", "portforward", "proxy"),
    categories=_ALL,
)
SECRETS = Resource("", "v1", "secrets", "Secret")
CLAIMS = Resource(
    "", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", short_names=("pvc",), has_status=True
)
VOLUMES = Resource(
    "", "v1", "persistentvolumes", "PersistentVolume", namespaced=False, short_names=("pv",), has_status=True
)
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", short_names=("cm",))
EVENTS = Resource("", "v1", "events", "Event", short_names=("ev",))
NAMESPACES = Resource(
    "", "v1", "namespaces", "Namespace", namespaced=False, short_names=("ns",), has_status=True
)
SERVICES = Resource("", "v1", "services", "Service", short_names=("svc",), has_status=True, categories=_ALL)
ENDPOINTS = Resource("", "v1", "endpoints", "Endpoints", short_names=("ep",))
NODES = Resource("", "v1", "nodes", "Node", namespaced=False, short_names=("no",), has_status=True)
ACCOUNTS = Resource(
    "", "v1", "serviceaccounts", "ServiceAccount", short_names=("sa",), subresources=("token",)
)
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
NEW_EVENTS = Resource("events.k8s.io", "v1", "events", "Event", short_names=("ev",))
SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
STATEFUL_SETS = Resource(
    "apps",
    "v1",
    "statefulsets",
    "StatefulSet",
    short_names=("sts",),
    has_status=True,
    subresources=("scale",),
    categories=_ALL,
)
JOBS = Resource("batch", "v1", "jobs", "Job", has_status=True, categories=_ALL)
BUDGETS = Resource(
    "policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", short_names=("pdb",), has_status=True
)
STORAGE_CLASSES = Resource(
    "storage.k8s.io", "v1", "storageclasses", "StorageClass", namespaced=False, short_names=("sc",)
)
ROLES = Resource(_RBAC, "v1", "roles", "Role")
ROLE_BINDINGS = Resource(_RBAC, "v1", "rolebindings", "RoleBinding")
CLUSTER_ROLES = Resource(_RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDINGS = Resource(_RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False)
DEFINITIONS = Resource(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    namespaced=False,
    short_names=("crd", "crds"),
    has_status=True,
    categories=("api-extensions",),
)
CLUSTERS = Resource(
    "postgresql.cnpg.io", "v1", "clusters", "Cluster", has_status=True, subresources=("scale",)
)
BACKUPS = Resource("postgresql.cnpg.io", "v1", "backups", "Backup", has_status=True)
SCHEDULED_BACKUPS = Resource(
    "postgresql.cnpg.io", "v1", "scheduledbackups", "ScheduledBackup", has_status=True
)
QUORUMS = Resource("postgresql.cnpg.io", "v1", "failoverquorums", "FailoverQuorum", has_status=True)
# The operator's other kinds: they can be written and read, and nobody acts on them.
_OTHERS = (
    ("poolers", "Pooler"),
    ("databases", "Database"),
    ("publications", "Publication"),
    ("subscriptions", "Subscription"),
    ("imagecatalogs", "ImageCatalog"),
)
# The resources that come from a definition and yet have a name in the lab's own code.
NAMED = (
    *(CLUSTERS, BACKUPS, SCHEDULED_BACKUPS, QUORUMS),
    *(Resource("postgresql.cnpg.io", "v1", plural, kind, has_status=True) for plural, kind in _OTHERS),
)


def _review(group: str, plural: str, kind: str, *, namespaced: bool = False) -> Resource:
    return Resource(group, "v1", plural, kind, namespaced=namespaced, verbs=("create",))


ACCESS_REVIEWS = _review("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview")
RULES_REVIEWS = _review("authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview")
OTHERS_REVIEWS = _review("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview")
LOCAL_REVIEWS = _review(
    "authorization.k8s.io", "localsubjectaccessreviews", "LocalSubjectAccessReview", namespaced=True
)
SELF_REVIEWS = _review("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview")
TOKEN_REVIEWS = _review("authentication.k8s.io", "tokenreviews", "TokenReview")
REVIEWS = (ACCESS_REVIEWS, RULES_REVIEWS, OTHERS_REVIEWS, LOCAL_REVIEWS, SELF_REVIEWS, TOKEN_REVIEWS)

TABLE = (
    PODS,
    SECRETS,
    CLAIMS,
    VOLUMES,
    CONFIG_MAPS,
    EVENTS,
    NAMESPACES,
    SERVICES,
    ENDPOINTS,
    NODES,
    ACCOUNTS,
    LEASES,
    NEW_EVENTS,
    SLICES,
    STATEFUL_SETS,
    JOBS,
    BUDGETS,
    STORAGE_CLASSES,
    ROLES,
    ROLE_BINDINGS,
    CLUSTER_ROLES,
    CLUSTER_ROLE_BINDINGS,
    DEFINITIONS,
    *REVIEWS,
)
