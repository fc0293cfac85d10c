# ruff: noqa: S608 - statements of a test
"""A bare database server in a pod of the lab, with its superuser's password in a Secret."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, ClassVar, Self

import standalone_kit

from hasteward_lab.conformance import Site
from hasteward_lab.lab import Lab, LabError

SECRET = "shop-login"
#: as the usual image does it: made at the first start, the superuser's password from the environment
_POSTGRES = """
printf '%s\\n' "$POSTGRES_PASSWORD" >/tmp/word
initdb -D /tmp/pg -U postgres -A scram-sha-256 --pwfile=/tmp/word --no-sync --locale=C.UTF-8 >/dev/null
rm /tmp/word
exec postgres -D /tmp/pg -c listen_addresses=127.0.0.1 -c unix_socket_directories=/tmp -c fsync=off \\
  2>/tmp/log
"""


def answers(lab: Lab, pod: str, argv: list[str]) -> bool:
    try:
        return lab.exec(pod, argv, b"").returncode == 0
    except LabError:
        return False


def said(lab: Lab, pod: str, argv: list[str], text: str) -> str:
    """What a program in the pod prints when it is given some statements."""
    done = lab.exec(pod, argv, text.encode())
    if done.returncode:
        raise LabError(done.stderr.decode(errors="replace"))
    return done.stdout.decode()


@contextmanager
def bare(pod: Mapping[str, Any], key: str, knock: list[str]) -> Iterator[Lab]:
    """A lab with nothing but this pod, which answers; its password is under `key` of the Secret."""
    with Lab.up(part="bare", members=1) as lab:
        kinds = f"/api/v1/namespaces/{lab.namespace}"
        login = {key: base64.b64encode(standalone_kit.PASSWORD.encode()).decode()}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "data": login}
        lab.client.call("POST", f"{kinds}/secrets", secret)
        lab.client.call("POST", f"{kinds}/pods", dict(pod))
        _may_read_the_login(lab)
        lab.wait(lambda: answers(lab, pod["metadata"]["name"], knock), 90)
        yield lab


def _may_read_the_login(lab: Lab) -> None:
    """What the page says beside deploy/rbac: `get` on the one Secret."""
    group = "rbac.authorization.k8s.io"
    kinds = f"/apis/{group}/v1/namespaces/{lab.namespace}"
    rule = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [SECRET], "verbs": ["get"]}
    lab.client.call("POST", f"{kinds}/roles", {"metadata": {"name": SECRET}, "rules": [rule]})
    who = {"kind": "ServiceAccount", "name": "hasteward-repair", "namespace": lab.namespace}
    ref = {"apiGroup": group, "kind": "Role", "name": SECRET}
    binding = {"metadata": {"name": SECRET}, "subjects": [who], "roleRef": ref}
    lab.client.call("POST", f"{kinds}/rolebindings", binding)


class PodSite(Site):
    """One server in one pod: what it holds is read and written by its own client, inside."""

    engine = "standalone"
    part = ("--database", "shop")
    pod: ClassVar[str]
    manifest: ClassVar[Mapping[str, Any]]
    key: ClassVar[str]
    knock: ClassVar[list[str]]

    @classmethod
    @contextmanager
    def up(cls) -> Iterator[Self]:
        with bare(cls.manifest, cls.key, cls.knock) as lab:
            made = cls(lab)
            made.fill()
            yield made

    def fill(self) -> None:
        raise NotImplementedError

    def sql(self, text: str, database: str = "") -> str:
        raise NotImplementedError

    def settle(self) -> None:
        """It is alone."""


class MariaDBPod(PodSite):
    #: the tables of a schema in one act, its views after them
    one_act = False
    where = (
        *("-e", "standalone", "-n", "db", "-c", "shop", "--db-type", "mariadb"),
        *("--secret-name", SECRET, "--secret-key", "root"),
    )
    pod = "shop-7f9c"
    key = "root"
    knock: ClassVar[list[str]] = ["sh", "-c", "MYSQL_PWD=$MARIADB_ROOT_PASSWORD mariadb -uroot -e 'SELECT 1'"]
    manifest = MappingProxyType(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": pod, "namespace": "db", "labels": {"app.kubernetes.io/instance": "shop"}},
            "spec": {
                "containers": [
                    {
                        "name": "mariadb",
                        "image": "docker.io/library/mariadb:10.11",
                        "securityContext": {"runAsUser": 999},
                        "env": [
                            {
                                "name": "MARIADB_ROOT_PASSWORD",
                                "valueFrom": {"secretKeyRef": {"name": SECRET, "key": key}},
                            }
                        ],
                    }
                ]
            },
        }
    )

    def fill(self) -> None:
        self.sql(
            "CREATE DATABASE shop; USE shop; CREATE TABLE t (n INT PRIMARY KEY, s TEXT);"
            "INSERT INTO t SELECT seq, MD5(seq) FROM seq_1_to_5000;"
            "CREATE VIEW shop.v AS SELECT COUNT(*) FROM shop.t;"
            "CREATE DATABASE ledger; CREATE TABLE ledger.l (n INT PRIMARY KEY)"
        )

    def sql(self, text: str, database: str = "") -> str:
        argv = [
            "sh",
            "-c",
            'MYSQL_PWD=$MARIADB_ROOT_PASSWORD exec mariadb -uroot -NB --binary-mode "$@"',
            "sh",
        ]
        return said(self.lab, self.pod, [*argv, *filter(None, (database,))], text)

    def content(self) -> Mapping[str, Any]:
        return {self.pod: self.sql("CHECKSUM TABLE shop.t EXTENDED; SHOW CREATE VIEW shop.v")}

    def damage(self) -> None:
        self.sql("DELETE FROM shop.t WHERE n > 100; CREATE OR REPLACE VIEW shop.v AS SELECT 0")

    def commit(self, number: int) -> None:
        self.sql(f"INSERT INTO ledger.l VALUES ({number})")

    def committed(self) -> Mapping[str, frozenset[int]]:
        return {self.pod: frozenset(map(int, self.sql("SELECT n FROM ledger.l").split()))}

    def tidy(self) -> None:
        names = "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE 'hasteward%'"
        for name in self.sql(names).split():
            self.sql(f"DROP DATABASE `{name}`")


class PostgresPod(PodSite):
    where = (
        *("-e", "standalone", "-c", "shop", "-n", "db", "--db-type", "postgres"),
        *("--secret-name", SECRET, "--secret-key", "password"),
    )
    pod = "shop-5d4b"
    key = "password"
    knock: ClassVar[list[str]] = ["pg_isready", "-q"]
    manifest = MappingProxyType(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": pod, "namespace": "db", "labels": {"app": "shop"}},
            "spec": {
                "containers": [
                    {
                        "name": "postgres",
                        "image": "docker.io/library/postgres:15",
                        "command": ["sh", "-c", _POSTGRES],
                        "securityContext": {"runAsUser": 26},
                        "env": [
                            {
                                "name": "POSTGRES_PASSWORD",
                                "valueFrom": {"secretKeyRef": {"name": SECRET, "key": key}},
                            },
                            {"name": "PGHOST", "value": "/tmp"},
                        ],
                    }
                ]
            },
        }
    )

    def fill(self) -> None:
        self.sql("CREATE ROLE shop LOGIN")
        self.sql("CREATE DATABASE shop OWNER shop")
        self.sql("CREATE TABLE t AS SELECT n, md5(n::text) AS s FROM generate_series(1, 5000) n", "shop")
        self.sql("CREATE DATABASE ledger")
        self.sql("CREATE TABLE l (n int PRIMARY KEY)", "ledger")

    def sql(self, text: str, database: str = "postgres") -> str:
        argv = ["sh", "-c", f"PGPASSWORD=$POSTGRES_PASSWORD exec psql -XAtq -U postgres -d {database}"]
        return said(self.lab, self.pod, argv, text).strip()

    def content(self) -> Mapping[str, Any]:
        asked = "SELECT count(*), md5(string_agg(s, '' ORDER BY n)) FROM t"
        return {self.pod: self.sql(asked, "shop")}

    def damage(self) -> None:
        self.sql("DELETE FROM t WHERE n > 100", "shop")

    def commit(self, number: int) -> None:
        self.sql(f"INSERT INTO l VALUES ({number})", "ledger")

    def committed(self) -> Mapping[str, frozenset[int]]:
        return {self.pod: frozenset(map(int, self.sql("SELECT n FROM l", "ledger").split()))}

    def tidy(self) -> None:
        for name in self.sql("SELECT datname FROM pg_database WHERE datname LIKE 'hasteward%'").split():
            self.sql(f'DROP DATABASE "{name}" WITH (FORCE)')
