"""Secrets are where they were put and nowhere else, whatever the commands do.

Each secret is a canary, a unique value. While the commands run, arguments and environment of every process of
this machine are read, those in the pods too; afterwards everything that was printed, written, logged or
recorded is searched.
"""

from __future__ import annotations

import base64
import json
import secrets
import ssl
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from hasteward_lab import canaries
from hasteward_lab.lab import Lab

#: a second costs ten of them on a machine that is busy
pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]

#: in a pod: which files hold one of the lines of standard input; the data directory is the database's own
SEARCH = "grep -rlaF --exclude-dir=pgdata -f - /controller /run /tmp /var /dev/shm 2>/dev/null || true"


@dataclass(slots=True)
class World:
    """The lab, the command line, the canaries, and all that was printed so far."""

    lab: Lab
    tool: Any
    canaries: dict[str, str]
    printed: list[tuple[str, str]] = field(default_factory=list)

    def run(self, status: int, *argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command that must end with `status`, and keep what it said."""
        done: subprocess.CompletedProcess[str] = self.tool(*argv, **environment)
        said = done.stdout + done.stderr
        assert done.returncode == status, f"{argv}: {said}"
        self.printed.append((" ".join(argv[:3]), said))
        return done


def fresh(name: str) -> str:
    return f"canary-{name}-{secrets.token_hex(8)}"


@pytest.fixture
def world(lab: Lab, hasteward: Any) -> Iterator[World]:
    """A database and a machine full of canaries."""
    password = (hasteward.folder / "password").read_text()
    kubeconfig = yaml.safe_load(lab.kubeconfig.read_text())
    (token,) = (user["user"]["token"] for user in kubeconfig["users"] if user["name"] == "admin")
    names = ("wrong", "cloud", "role", "row", "url")
    birds = {"password": fresh("password"), "token": token} | {name: fresh(name) for name in names}
    lab.psql(
        lab.primary,
        f"CREATE ROLE canary LOGIN PASSWORD '{birds['role']}';"
        f" CREATE DATABASE birds; COMMENT ON ROLE canary IS 'sings'",
    )
    lab.psql(lab.primary, f"CREATE TABLE t AS SELECT '{birds['row']}'::text AS word", "birds")
    verifier = "SELECT rolpassword FROM pg_authid WHERE rolname = 'canary'"
    birds["verifier"] = lab.psql(lab.primary, verifier)
    _rekey(hasteward, password, birds["password"])
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "canary", "namespace": "db"},
        "data": {"password": base64.b64encode(birds["password"].encode()).decode()},
    }
    lab.client.call("POST", "/api/v1/namespaces/db/secrets", secret)
    hasteward.environment |= {
        "AWS_SECRET_ACCESS_KEY": birds["cloud"],
        "HASTEWARD_PING_URL": f"http://127.0.0.1:1/{birds['url']}",
        "HASTEWARD_POST_HOOK": f"cp /dev/stdin {hasteward.folder}/of-the-hook",
    }
    del hasteward.environment["RESTIC_PASSWORD_FILE"]
    yield World(lab, hasteward, birds)
    lab.client.call("DELETE", "/api/v1/namespaces/db/secrets/canary")
    lab.psql(lab.primary, "DROP DATABASE IF EXISTS birds")
    for name in lab.psql(
        lab.primary, "SELECT datname FROM pg_database WHERE datname LIKE 'hasteward%'"
    ).split():
        lab.psql(lab.primary, f'DROP DATABASE "{name}"')
    lab.psql(lab.primary, "DROP ROLE IF EXISTS canary")


def _rekey(tool: Any, old: str, new: str) -> None:
    """Give the repository the canary as its password; new keys go where restic says."""
    (tool.folder / "password").write_text(new)
    (tool.folder / "old").write_text(old)
    environment = tool.environment | {"RESTIC_PASSWORD_FILE": str(tool.folder / "old")}
    where = tool.environment["HASTEWARD_BACKUPS_PATH"]
    command = ["restic", "-r", where, "key", "passwd", "--new-password-file", str(tool.folder / "password")]
    subprocess.run(command, env=environment, check=True, capture_output=True)


def _work(world: World, where: tuple[str, ...]) -> str:
    """Every command that starts or asks something, the password given in every way; the snapshot made."""
    folder, password = world.tool.folder, world.canaries["password"]
    by_env = {"RESTIC_PASSWORD": password}
    by_file = ("--restic-password-file", str(folder / "password"))
    # long enough to be seen on a machine that has much else to do
    by_command = ("--restic-password-command", f"sh -c 'cat {folder}/password; exec sleep 0.5'")
    by_secret = ("--restic-password-secret", "db/canary/password")
    forms = ("--output", "json", "--log-format", "json", "-v", "--report", str(folder / "report"))
    made = json.loads(world.run(0, "backup", *where, *forms, *by_secret).stdout)
    assert "no answer from 127.0.0.1" in json.dumps(made["warnings"])
    snapshot: str = made["data"]["snapshot"]
    world.run(0, "get", "backups", "--output", "json", "--verbose", *by_command)
    world.run(0, "restore", *where, "--database", "birds", "--dry-run", **by_env)
    world.run(0, "restore", *where, "--database", "birds", "--yes", "--output", "jsonl", **by_env)
    world.run(0, "export", *where, "--snapshot", snapshot, "-o", str(folder / "export.sql"), *by_file)
    world.run(0, "triage", *where, "--verbose")
    world.run(0, "doctor", "-n", "db", "--verbose", *by_secret)
    world.run(0, "init", "--backups-path", str(folder / "new"), "--verbose", **by_env)
    return snapshot


def _fail(world: World, where: tuple[str, ...], snapshot: str) -> None:
    """Commands that end badly while they hold a secret."""
    folder, password = world.tool.folder, world.canaries["password"]
    by_env = {"RESTIC_PASSWORD": password}
    world.run(12, "get", "backups", "--verbose", RESTIC_PASSWORD=world.canaries["wrong"])
    teller = folder / "teller"
    teller.write_text(f"#!/bin/sh\ncat {folder}/password\ncat {folder}/password >&2\nexit 3\n")
    teller.chmod(0o755)
    world.run(1, "get", "backups", "--verbose", "--restic-password-command", str(teller))
    world.run(3, "restore", *where, "--snapshot", f"{snapshot[:4]}ffff", "--verbose", **by_env)
    world.run(3, "init", "--verbose", **by_env)
    lost = folder / "lost"
    lost.write_text(world.lab.kubeconfig.read_text().replace("https://127.0.0.1", "https://127.0.0.2"))
    world.run(4, "triage", *where, "--verbose", "--kubeconfig", str(lost))
    world.lab.add_fault("cut", command="pg_dump --no-owner --no-privileges -d dbname='app'", after=300)
    try:
        world.run(22, "backup", *where, "--verbose", "--report", str(folder / "failed"), **by_env)
    finally:
        world.lab.clear_faults()


def _log(lab: Lab, pod: str) -> str:
    config = lab.state.load_config()
    request = urllib.request.Request(
        f"https://127.0.0.1:{config.port}/api/v1/namespaces/db/pods/{pod}/log",
        headers={"Authorization": f"Bearer {config.tokens['admin']}"},
    )
    trusted = ssl.create_default_context(cafile=str(lab.state.ca))
    with urllib.request.urlopen(request, context=trusted) as answer:  # noqa: S310  https to our own server
        text: str = answer.read().decode(errors="replace")
    return text


def _elsewhere(world: World) -> list[str]:
    """What the API server, the pods and their logs have kept."""
    lab = world.lab
    # the database itself holds row and verifier; nothing else may
    kept = {name: value for name, value in world.canaries.items() if name not in {"row", "verifier"}}
    found = canaries.in_text(world.canaries, json.dumps(lab.audit()), "the audit log")
    found += canaries.in_text(world.canaries, json.dumps(lab.get("events")), "Events")
    leases = lab.client.call("GET", "/apis/coordination.k8s.io/v1/namespaces/db/leases")
    found += canaries.in_text(world.canaries, json.dumps(leases), "Leases")
    lines = "".join(f"{value}\n" for value in kept.values()).encode()
    for pod in lab.pods:
        found += canaries.in_text(world.canaries, _log(lab, pod), f"the log of {pod}")
        found += lab.exec(pod, ["sh", "-c", SEARCH], lines).stdout.decode().split()
    return found


def test_no_command_lets_a_secret_go_anywhere(
    world: World, where: tuple[str, ...], nothing_left: Callable[[Any], None]
) -> None:
    folder = world.tool.folder
    # the store's credentials are for restic; a password command has the environment of whoever configured it
    allowed = {(name, "cloud") for name in ("restic", "setpriv", "cat", "sleep", "teller", "sh", "env")}

    with canaries.Watch(world.canaries, allowed) as seen:
        snapshot = _work(world, where)
        _fail(world, where, snapshot)

    assert {"restic", "pg_dump", "psql", "sleep"} <= seen.programs, "it was not blind"
    assert seen.hits == set()
    assert [hit for text, said in world.printed for hit in canaries.in_text(world.canaries, said, text)] == []
    given = [folder / name for name in ("password", "old", "lost", "export.sql")]
    assert canaries.in_files(world.canaries, folder, given) == []
    assert (folder / "of-the-hook").exists(), "the hook was told"
    exported = (folder / "export.sql").read_text()
    assert [world.canaries[name] in exported for name in ("row", "verifier", "role")] == [True, True, False]
    assert _elsewhere(world) == []
    nothing_left(world.tool)


def test_the_watch_sees_what_it_looks_for(tmp_path: Path) -> None:
    birds = {"one": fresh("one"), "two": fresh("two")}
    with canaries.Watch(birds, {("sleep", "two")}) as seen:
        script = f": {birds['one']}; sleep 0.3"
        subprocess.run(["sh", "-c", script], env={"PATH": "/usr/bin:/bin", "TWO": birds["two"]}, check=True)
    (tmp_path / "file").write_text(birds["two"])

    assert seen.hits == {"one in the arguments of sh", "two in the environment of sh"}
    assert canaries.in_files(birds, tmp_path, ()) == ["two in file"]
    assert canaries.in_files(birds, tmp_path, [tmp_path / "file"]) == []
