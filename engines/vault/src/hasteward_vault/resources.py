"""What the Helm charts of Vault and OpenBao call things, and what this engine calls its own."""

from __future__ import annotations

from typing import Final

from hasteward.domain.cluster import ClusterRef
from hasteward.ports.kubernetes import PodRef, Resource

STATEFUL_SETS: Final = Resource("apps", "v1", "statefulsets")

#: both charts put the release's name here; the StatefulSet is called after it or after release and chart
LABEL_INSTANCE: Final = "app.kubernetes.io/instance"
LABEL_NAME: Final = "app.kubernetes.io/name"
PRODUCTS: Final = ("vault", "openbao")
#: the server's container; sidecars may come before it in the list
CONTAINERS: Final = ("vault", "openbao", "bao")
#: the volume claim template that holds the Raft data, and where it is mounted when the set does not say
DATA_VOLUME: Final = "data"
DATA_PATHS: Final = ("/vault/data", "/openbao/data")

DUMP_FILE: Final = "raft.snap"
DUMP_FORMAT: Final = "raft-snapshot-tar-1"
#: a member's own data, captured before it is overwritten
CAPTURE_FILE: Final = "raft-data.tar"
CAPTURE_FORMAT: Final = "raft-data-tar-1"
#: what a restore replaced lies on the active member's volume under this name
KEPT_PREFIX: Final = "hasteward-kept-"

#: the Secret that holds the token unless something else is said, and its key
TOKEN_SECRET: Final = "hasteward-vault"  # noqa: S105  a name
TOKEN_KEY: Final = "token"  # noqa: S105  a name


def pod_of(cluster: ClusterRef, member: str, container: str) -> PodRef:
    """The server's container of one member; pod and member have the same name."""
    return PodRef(cluster.namespace, member, container)


def flags(cluster: ClusterRef) -> str:
    """The flags that name the cluster, for the commands in messages."""
    return f"-e {cluster.engine} -c {cluster.name} -n {cluster.namespace}"
