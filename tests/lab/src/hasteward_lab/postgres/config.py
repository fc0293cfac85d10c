"""The certificates of a cluster, and what every pod of it finds in its scratch volume."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from hasteward_lab.pki import Authority, Pair
from hasteward_lab.postgres.instance.settings import REPLICATION_USER


@dataclass(frozen=True)
class Certificates:
    """The certificates of one cluster."""

    authority: Pair
    server: Pair
    replication: Pair
    operator: Pair

    @classmethod
    def make(cls, cluster: str, namespace: str) -> Certificates:
        """Make new ones."""
        authority = Authority(cluster)
        server = authority.issue(f"{cluster}-rw", tuple(service_names(cluster, namespace)))
        operator = authority.issue("cnpg-operator")
        return cls(authority.pair, server, authority.issue(REPLICATION_USER), operator)

    def write(self, scratch: Path) -> None:
        """Put them where the server of a pod looks for them."""
        folder = scratch / "controller/certificates"
        folder.mkdir(parents=True, exist_ok=True)
        files = {
            "server.crt": self.server.certificate,
            "server.key": self.server.key,
            f"{REPLICATION_USER}.crt": self.replication.certificate,
            f"{REPLICATION_USER}.key": self.replication.key,
            "client-ca.crt": self.authority.certificate,
            "server-ca.crt": self.authority.certificate,
        }
        for name, content in files.items():
            path = folder / name
            path.touch(mode=0o600)
            path.write_bytes(content)


def service_names(cluster: str, namespace: str) -> list[str]:
    """Every name under which a service of the cluster is reached."""
    suffixes = ("", f".{namespace}", f".{namespace}.svc", f".{namespace}.svc.cluster.local")
    return [f"{cluster}-{service}{suffix}" for service in ("rw", "r", "ro") for suffix in suffixes]


def write_handshake(scratch: Path, host: str, port: int, token: str) -> None:
    """Tell the instance manager of a pod how to reach the API."""
    folder = scratch / "controller/tmp"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lab.json"
    path.write_text(json.dumps({"host": host, "port": port, "token": token}), encoding="utf-8")
    path.chmod(0o600)
