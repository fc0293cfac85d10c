"""The custom resources of mariadb-operator, and the definitions that make the API serve them."""

from __future__ import annotations

from typing import Any

from hasteward_lab.api.crd import install
from hasteward_lab.api.resources import DEFINITIONS, Resource
from hasteward_lab.api.store import Store

Object = dict[str, Any]

GROUP, VERSION = "k8s.mariadb.com", "v1alpha1"
MARIADBS = Resource(
    GROUP,
    VERSION,
    "mariadbs",
    "MariaDB",
    short_names=("mdb",),
    has_status=True,
    subresources=("scale",),
)
USERS = Resource(GROUP, VERSION, "users", "User", short_names=("umdb",), has_status=True)
GRANTS = Resource(GROUP, VERSION, "grants", "Grant", short_names=("gmdb",), has_status=True)
DATABASES = Resource(GROUP, VERSION, "databases", "Database", short_names=("dmdb",), has_status=True)
# The operator's other kinds: they can be written and read, and nobody acts on them.
_OTHERS = (
    ("backups", "Backup", "bmdb"),
    ("restores", "Restore", "rmdb"),
    ("physicalbackups", "PhysicalBackup", "pbmdb"),
    ("connections", "Connection", "cmdb"),
)

_OPEN: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_TEXT: Object = {"type": "string"}
_FLAG: Object = {"type": "boolean"}
_COUNT: Object = {"type": "integer"}
_EITHER: Object = {"x-kubernetes-int-or-string": True}
_KEY: Object = {
    "type": "object",
    "required": ["key"],
    "properties": {"name": _TEXT, "key": _TEXT, "generate": {**_FLAG, "default": False}},
}


def _fields(required: list[str] | None = None, **properties: Object) -> Object:
    found: Object = {"type": "object", "properties": properties}
    return {**found, "required": required} if required else found


_RECOVERY = _fields(
    enabled=_FLAG,
    minClusterSize=_EITHER,
    clusterMonitorInterval=_TEXT,
    clusterHealthyTimeout=_TEXT,
    clusterBootstrapTimeout=_TEXT,
    clusterUpscaleTimeout=_TEXT,
    clusterDownscaleTimeout=_TEXT,
    podRecoveryTimeout=_TEXT,
    podSyncTimeout=_TEXT,
    forceClusterBootstrapInPod=_TEXT,
    job=_OPEN,
)
_AGENT = _fields(
    image=_TEXT,
    imagePullPolicy=_TEXT,
    port=_COUNT,
    probePort=_COUNT,
    kubernetesAuth=_fields(enabled=_FLAG, authDelegatorRoleName=_TEXT),
    basicAuth=_fields(enabled=_FLAG, username=_TEXT, passwordSecretKeyRef=_KEY),
    gracefulShutdownTimeout=_TEXT,
)
_GALERA = _fields(
    enabled=_FLAG,
    primary=_fields(podIndex=_COUNT, autoFailover=_FLAG),
    sst={**_TEXT, "enum": ["rsync", "mariabackup", "mysqldump"]},
    availableWhenDonor=_FLAG,
    galeraLibPath=_TEXT,
    replicaThreads=_COUNT,
    providerOptions={"type": "object", "additionalProperties": _TEXT},
    agent=_AGENT,
    recovery=_RECOVERY,
    initContainer=_OPEN,
    initJob=_OPEN,
    config=_fields(reuseStorageVolume=_FLAG, volumeClaimTemplate=_OPEN),
)
_STORAGE = _fields(
    size=_EITHER,
    storageClassName=_TEXT,
    ephemeral=_FLAG,
    resizeInUseVolumes=_FLAG,
    waitForVolumeResize=_FLAG,
    volumeClaimTemplate=_OPEN,
    pvcRetentionPolicy=_fields(
        whenDeleted={**_TEXT, "enum": ["Retain", "Delete"]},
        whenScaled={**_TEXT, "enum": ["Retain", "Delete"]},
    ),
)
_STRATEGY = {**_TEXT, "enum": ["ReplicasFirstPrimaryLast", "RollingUpdate", "OnDelete", "Never"]}
_SPEC: Object = {
    **_OPEN,
    "description": "MariaDBSpec defines the desired state of MariaDB",
    "properties": {
        "image": _TEXT,
        "replicas": {**_COUNT, "default": 1},
        "replicasAllowEvenNumber": {**_FLAG, "default": False},
        "port": {**_COUNT, "default": 3306},
        "rootPasswordSecretKeyRef": _KEY,
        "rootEmptyPassword": _FLAG,
        "suspend": {**_FLAG, "default": False},
        "storage": _STORAGE,
        "myCnf": _TEXT,
        "myCnfConfigMapKeyRef": _fields(["key"], name=_TEXT, key=_TEXT),
        "tls": _OPEN,
        "galera": _GALERA,
        "replication": _OPEN,
        "updateStrategy": _fields(type=_STRATEGY, rollingUpdate=_OPEN, autoUpdateDataPlane=_FLAG),
        "bootstrapFrom": _OPEN,
        "maintenance": _OPEN,
    },
}
_DECLARED: Object = {
    "mariaDbRef": _fields(["name"], name=_TEXT, namespace=_TEXT, waitForIt=_FLAG),
    "requeueInterval": _TEXT,
    "retryInterval": _TEXT,
    "cleanupPolicy": {**_TEXT, "enum": ["Skip", "Delete"]},
}
_DECLARATIONS = (
    (
        USERS,
        _fields(
            ["mariaDbRef"],
            **_DECLARED,
            passwordSecretKeyRef=_KEY,
            passwordHashSecretKeyRef=_KEY,
            passwordPlugin=_OPEN,
            require=_OPEN,
            maxUserConnections={**_COUNT, "default": 10},
            name=_TEXT,
            host=_TEXT,
        ),
    ),
    (
        GRANTS,
        _fields(
            ["mariaDbRef", "privileges", "username"],
            **_DECLARED,
            privileges={"type": "array", "minItems": 1, "items": _TEXT},
            database={**_TEXT, "default": "*"},
            table={**_TEXT, "default": "*"},
            username=_TEXT,
            host=_TEXT,
            grantOption={**_FLAG, "default": False},
        ),
    ),
    (
        DATABASES,
        _fields(
            ["mariaDbRef"],
            **_DECLARED,
            characterSet={**_TEXT, "default": "utf8"},
            collate={**_TEXT, "default": "utf8_general_ci"},
            name=_TEXT,
        ),
    ),
)
_COLUMNS = (
    ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status'),
    ("Status", "string", '.status.conditions[?(@.type=="Ready")].message'),
    ("Primary", "string", ".status.currentPrimary"),
    ("Updates", "string", ".spec.updateStrategy.type"),
    ("Age", "date", ".metadata.creationTimestamp"),
)


def _definition(plural: str, kind: str, short: str, *, spec: Object = _OPEN) -> Object:
    properties = {
        "apiVersion": _TEXT,
        "kind": _TEXT,
        "metadata": {"type": "object"},
        "spec": spec,
        "status": _OPEN,
    }
    below: Object = {"status": {}}
    version: Object = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
        "subresources": below,
    }
    if kind == MARIADBS.kind:
        below["scale"] = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    columns = {MARIADBS.kind: _COLUMNS} | {one.kind: _COLUMNS[:2] for one, _ in _DECLARATIONS}
    if kind in columns:
        version["additionalPrinterColumns"] = [
            {"name": name, "type": what, "jsonPath": path} for name, what, path in columns[kind]
        ]
    names = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}
    return {
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {**names, "shortNames": [short]},
            "scope": "Namespaced",
            "versions": [version],
            "conversion": {"strategy": "None"},
        },
    }


def install_definitions(store: Store) -> None:
    """Let the API serve the operator's kinds."""
    rows = [_definition("mariadbs", "MariaDB", "mdb", spec=_SPEC)]
    rows += [_definition(one.plural, one.kind, one.short_names[0], spec=spec) for one, spec in _DECLARATIONS]
    rows += [_definition(*row) for row in _OTHERS]
    for row in rows:
        made = store.create(DEFINITIONS, row)
        install.establish(store, made["metadata"]["name"])
