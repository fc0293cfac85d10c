"""What mariadb-operator calls things, and what this engine calls its own."""

from __future__ import annotations

from typing import Final

from hasteward.domain.cluster import ClusterRef
from hasteward.ports.kubernetes import PodRef, Resource

MARIADBS: Final = Resource("k8s.mariadb.com", "v1alpha1", "mariadbs")
STATEFUL_SETS: Final = Resource("apps", "v1", "statefulsets")

#: the server's container; its status may stand anywhere in the list, for the agent is called ``agent`` (L56)
CONTAINER: Final = "mariadb"
DATA: Final = "/var/lib/mysql"
CONFIG: Final = "/etc/mysql/mariadb.conf.d"
#: with ``reuseStorageVolume`` data and configuration are two folders of one volume (W11)
SHARED_FOLDER: Final = "storage"
#: image and operator run the server as this user, and it refuses to be root (L50)
USER: Final = 999

#: where a helper pod has the volume, and where it may write
MOUNT: Final = "/data"
SCRATCH: Final = "/scratch"

DUMP_FILE: Final = "mysqldump.sql"
CAPTURE_FILE: Final = "datadir.tar"
CAPTURE_FORMAT: Final = "mariadb-datadir-tar-1"

#: what Galera writes where it has no history
ZERO: Final = "00000000-0000-0000-0000-000000000000"


def claim_of(member: str) -> str:
    """The volume claim that holds the data of a member."""
    return f"storage-{member}"


def pod_of(cluster: ClusterRef, member: str) -> PodRef:
    """The server's container of one member; pod and member have the same name."""
    return PodRef(cluster.namespace, member, CONTAINER)


def flags(cluster: ClusterRef) -> str:
    """The flags that name the cluster, for the commands in messages."""
    return f"-e {cluster.engine} -c {cluster.name} -n {cluster.namespace}"
