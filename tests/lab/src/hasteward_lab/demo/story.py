"""A cluster with data, a backup, an accident, the way back, and a member that dies."""

from __future__ import annotations

import gzip

from hasteward_lab.demo.play import repository
from hasteward_lab.demo.stage import Stage
from hasteward_lab.lab import Lab
from hasteward_lab.state import LabError, state_dir

FILES = ("shop.sql", "checksums.sql")
_WHERE = ("-e", "cnpg", "-c", "pg", "-n", "db")
_PSQL = ("psql", "-U", "postgres", "-d", "app", "-q")


def tell(stage: Stage, name: str) -> None:
    """The whole story."""
    _a_cluster_with_data(stage, name)
    primary = Lab.attach(name).primary
    stage.say("What does it hold? One checksum per table, sequence and large object.")
    before = _checksums(stage, name, primary)
    _back_it_up(stage)
    stage.say("The accident: a table dropped, rows changed, the sequence set back.")
    accident = "DROP TABLE orders; UPDATE customers SET name = 'oops'; SELECT setval('invoice', 1)"
    _psql(stage, name, primary, accident)
    if _checksums(stage, name, primary) == before:
        raise LabError("the accident changed nothing")
    stage.say("The way back. First the plan, then the act; the old data stays beside.")
    stage.run("hasteward", "restore", *_WHERE, "--dry-run")
    stage.run("hasteward", "restore", *_WHERE, "--yes")
    after = _checksums(stage, name, primary)
    if after != before:
        raise LabError("the restored data is not what was backed up")
    stage.say(f"Equal: all {len(before.splitlines())} checksums are those from before the accident.")
    _a_member_dies(stage, name)
    _export(stage)


def _a_cluster_with_data(stage: Stage, name: str) -> None:
    stage.say("Three real PostgreSQL servers behind an emulated Kubernetes API.")
    stage.run("hasteward", "lab", "up", "--name", name)
    stage.environment["KUBECONFIG"] = str(state_dir(name).kubeconfig)  # the line that it has just printed
    # The service account that deploy/rbac binds for restores, not the administrator.
    repository(stage, HASTEWARD_CONTEXT="repair")
    exec_psql = (
        "hasteward",
        "lab",
        "exec",
        "--name",
        name,
        "pg-1",
        "--",
        *_PSQL,
        "-o",
        "/dev/null",
        "-f",
        "-",
    )
    stage.run(*exec_psql, stdin=stage.folder / "shop.sql")
    stage.say("How is it?")
    stage.run("hasteward", "triage", *_WHERE)


def _back_it_up(stage: Stage) -> None:
    stage.say("A repository, and a backup that counts only because it was proven.")
    stage.run("hasteward", "init")
    stage.run("hasteward", "backup", *_WHERE)
    stage.run("hasteward", "get", "backups")


def _a_member_dies(stage: Stage, name: str) -> None:
    stage.say("A replica dies. Triage names it, and what is no longer known (exit status 20).")
    stage.run("hasteward", "lab", "break", "--name", name, "stop", "pg-3")
    stage.run("hasteward", "triage", *_WHERE, expect=(20,))


def _export(stage: Stage) -> None:
    stage.say("The backup as a file, checked against its proof on the way out.")
    stage.run("hasteward", "export", *_WHERE, "--snapshot", "latest", "-o", "shop.sql.gz")
    with gzip.open(stage.folder / "shop.sql.gz") as file:
        lines = sum(1 for _ in file)
    stage.say(f"shop.sql.gz holds {lines} lines of SQL that plain psql replays. That is the demo.")


def _psql(stage: Stage, name: str, primary: str, sql: str) -> None:
    stage.run("hasteward", "lab", "exec", "--name", name, primary, "--", *_PSQL, "-o", "/dev/null", "-c", sql)


def _checksums(stage: Stage, name: str, primary: str) -> str:
    argv = ("hasteward", "lab", "exec", "--name", name, primary, "--", *_PSQL, "-A", "-t", "-f", "-")
    return stage.run(*argv, stdin=stage.folder / "checksums.sql")
