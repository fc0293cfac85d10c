"""What everything of one MariaDB is called, and the paths inside its pods."""

from __future__ import annotations

from dataclasses import dataclass

OPERATOR_IMAGE = "docker-registry3.mariadb.com/mariadb-operator/mariadb-operator:{}"
PORT, AGENT_PORT, PROBE_PORT = 3306, 5555, 5566
DATA, CONFIG = "/var/lib/mysql", "/etc/mysql/mariadb.conf.d"
AUTH = "/var/run/secrets/mariadb-operator/agent"
#: the annotations without which the health monitor does not see a StatefulSet
MARIADB, GALERA = "k8s.mariadb.com/mariadb", "k8s.mariadb.com/galera"
ROLE = "k8s.mariadb.com/role"
PVC_ROLE = "pvc.k8s.mariadb.com/role"


@dataclass(frozen=True)
class Names:
    """The names around one MariaDB."""

    cluster: str
    namespace: str

    @property
    def labels(self) -> dict[str, str]:
        """What selects the pods."""
        return {"app.kubernetes.io/name": "mariadb", "app.kubernetes.io/instance": self.cluster}

    @property
    def internal(self) -> str:
        """The headless Service."""
        return f"{self.cluster}-internal"

    def pod(self, number: int) -> str:
        """The pod of an ordinal."""
        return f"{self.cluster}-{number}"

    def pods(self, replicas: int) -> list[str]:
        """All pods there are to be."""
        return [self.pod(number) for number in range(replicas)]

    def host(self, pod: str) -> str:
        """The name under which the others reach a pod."""
        return f"{pod}.{self.internal}.{self.namespace}.svc.cluster.local"


def ordinal(pod: str) -> int:
    """The number of a pod; ValueError when its name has none."""
    return int(pod.rsplit("-", 1)[1])
