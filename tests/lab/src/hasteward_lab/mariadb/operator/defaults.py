"""The defaults the operator writes back into a MariaDB's spec, also while it is suspended."""

from __future__ import annotations

import copy
import datetime as dt
import math
import re
from typing import Any

from hasteward_lab.mariadb.config import LIBRARY
from hasteward_lab.mariadb.names import AGENT_PORT, PORT, PROBE_PORT

Object = dict[str, Any]

_RECOVERY: Object = {
    "minClusterSize": 1,
    "clusterMonitorInterval": "10s",
    "clusterHealthyTimeout": "30s",
    "clusterBootstrapTimeout": "10m",
    "clusterUpscaleTimeout": "5m",
    "clusterDownscaleTimeout": "5m",
    "podRecoveryTimeout": "5m",
    "podSyncTimeout": "5m",
}
_UNITS = {"h": "hours", "m": "minutes", "s": "seconds", "ms": "milliseconds"}


def defaulted(name: str, spec: Object, image: str, operator_image: str) -> Object:
    """A spec with everything filled in that was left out."""
    own = copy.deepcopy(spec)
    own.setdefault("image", image)
    own.setdefault("port", PORT)
    own.setdefault("rootPasswordSecretKeyRef", {"name": f"{name}-root", "key": "password", "generate": True})
    own.setdefault("myCnfConfigMapKeyRef", {"name": f"{name}-config", "key": "my.cnf"})
    own.setdefault("updateStrategy", {}).setdefault("type", "ReplicasFirstPrimaryLast")
    own.setdefault("tls", {"enabled": True})
    galera = own.setdefault("galera", {})
    if not galera.get("enabled"):
        return own
    galera.setdefault("sst", "mariabackup")
    galera.setdefault("availableWhenDonor", False)
    galera.setdefault("galeraLibPath", LIBRARY)
    galera.setdefault("replicaThreads", 1)
    primary = galera.setdefault("primary", {})
    primary.setdefault("podIndex", 0)
    primary.setdefault("autoFailover", True)
    galera.setdefault("initContainer", {}).setdefault("image", operator_image)
    agent = galera.setdefault("agent", {})
    agent.setdefault("image", operator_image)
    agent.setdefault("port", AGENT_PORT)
    agent.setdefault("probePort", PROBE_PORT)
    agent.setdefault("gracefulShutdownTimeout", "1s")
    if not agent.get("kubernetesAuth", {}).get("enabled"):
        auth = agent.setdefault("basicAuth", {"enabled": True})
        auth.setdefault("username", "mariadb-operator")
        auth.setdefault("passwordSecretKeyRef", {"name": f"{name}-agent-auth", "key": "password"})
    # Only a block that is left out is a recovery; one that is there and says nothing is none.
    recovery = galera.setdefault("recovery", {"enabled": True})
    recovery.setdefault("enabled", False)
    if recovery["enabled"]:
        for key, value in _RECOVERY.items():
            recovery.setdefault(key, value)
    galera.setdefault("config", {}).setdefault("reuseStorageVolume", False)
    return own


def seconds(text: str) -> float:
    """A duration as `5m` or `1h30m` has it."""
    rows = re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", text)
    return sum((dt.timedelta(**{_UNITS[unit]: float(n)}) for n, unit in rows), dt.timedelta()).total_seconds()


def least_size(recovery: Object, replicas: int) -> int:
    """`minClusterSize`, a number or a share of the replicas, rounded up."""
    given = str(recovery.get("minClusterSize", 1))
    if given.endswith("%"):
        return math.ceil(replicas * float(given[:-1]) / 100)
    return int(given)
