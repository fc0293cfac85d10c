"""What CloudNativePG's objects are called: kinds, labels, annotations, the container, paths."""

from __future__ import annotations

from typing import Final

from hasteward.domain.cluster import ClusterRef
from hasteward.ports.kubernetes import PodRef, Resource

CLUSTERS: Final = Resource("postgresql.cnpg.io", "v1", "clusters")
BACKUPS: Final = Resource("postgresql.cnpg.io", "v1", "backups")
POOLERS: Final = Resource("postgresql.cnpg.io", "v1", "poolers")
DATABASES: Final = Resource("postgresql.cnpg.io", "v1", "databases")
PUBLICATIONS: Final = Resource("postgresql.cnpg.io", "v1", "publications")
SUBSCRIPTIONS: Final = Resource("postgresql.cnpg.io", "v1", "subscriptions")

#: always by name: sidecars may come before it in any list
CONTAINER: Final = "postgres"
SUPERUSER: Final = "postgres"
#: used when the container's environment does not say PGDATA
DATA_DIRECTORY: Final = "/var/lib/postgresql/data/pgdata"
#: where a member's volumes are mounted
MOUNT: Final = "/var/lib/postgresql/data"
WAL_MOUNT: Final = "/var/lib/postgresql/wal"
WAL_DIRECTORY: Final = "/var/lib/postgresql/wal/pg_wal"
TABLESPACE_MOUNT: Final = "/var/lib/postgresql/tablespaces"
#: where a helper pod finds the certificates of replication
CA_MOUNT: Final = "/etc/hasteward/ca"
REPLICATION_MOUNT: Final = "/etc/hasteward/replication"
REPLICATION_USER: Final = "streaming_replica"
PORT: Final = 5432

LABEL_CLUSTER: Final = "cnpg.io/cluster"
LABEL_INSTANCE: Final = "cnpg.io/instanceName"
LABEL_POD_ROLE: Final = "cnpg.io/podRole"
LABEL_VOLUME_ROLE: Final = "cnpg.io/pvcRole"
VOLUME_DATA: Final = "PG_DATA"

FENCED_INSTANCES: Final = "cnpg.io/fencedInstances"
HIBERNATION: Final = "cnpg.io/hibernation"
RECONCILIATION: Final = "cnpg.io/reconciliationLoop"
VOLUME_STATUS: Final = "cnpg.io/pvcStatus"
OPERATOR_VERSION: Final = "cnpg.io/operatorVersion"
#: on a pod: its operator removes the member with all its volumes and clones it anew
UNRECOVERABLE: Final = "alpha.cnpg.io/unrecoverable"

#: on the pod of a scratch server, beside what is on every pod of ours
LABEL_SCRATCH: Final = "hasteward.prplanit.com/scratch"
OURS: Final = "app.kubernetes.io/managed-by=hasteward"

#: a member's own files, captured when its server was proven to be gone
CAPTURE_FILE: Final = "pgdata.tar"
CAPTURE_FORMAT: Final = "physical"


def instance_selector(name: str) -> str:
    """Pods that are members; job and pooler pods carry the cluster label too, and must not match."""
    return f"{LABEL_CLUSTER}={name},{LABEL_POD_ROLE}=instance"


def flags(cluster: ClusterRef) -> str:
    """The flags that name a cluster, for commands in messages."""
    return f"-e {cluster.engine} -c {cluster.name} -n {cluster.namespace}"


def volume_selector(name: str) -> str:
    """The volumes that hold data directories of the cluster's members."""
    return f"{LABEL_CLUSTER}={name},{LABEL_VOLUME_ROLE}={VOLUME_DATA}"


def pod_of(cluster: ClusterRef, member: str) -> PodRef:
    """The server's container of one member; pod and member have the same name."""
    return PodRef(cluster.namespace, member, CONTAINER)
