"""Three Galera members, a backup, an accident, the way back, and a member that dies."""

from __future__ import annotations

from hasteward_lab.demo.play import repository
from hasteward_lab.demo.stage import Stage
from hasteward_lab.state import LabError, state_dir

FILES = ("shop-galera.sql",)
_WHERE = ("-e", "galera", "-c", "db", "-n", "db")
_MEMBERS = ("db-0", "db-1", "db-2")


def tell(stage: Stage, name: str) -> None:
    """The whole story."""
    stage.say("Three real MariaDB servers with Galera behind an emulated Kubernetes API and operator.")
    what = ("--part", "mariadb", "--cluster", "db", "--namespace", "db")
    stage.run("hasteward", "lab", "up", "--name", name, *what)
    stage.environment["KUBECONFIG"] = str(state_dir(name).kubeconfig)  # the line that it has just printed
    # The service account that deploy/rbac and deploy/galera bind for restores, not the administrator.
    repository(stage, HASTEWARD_CONTEXT="repair")
    _client(stage, name, "db-0", stdin="shop-galera.sql")
    stage.say("How is it?")
    stage.run("hasteward", "triage", *_WHERE)
    stage.say("A backup, from the member that has the least to do.")
    stage.run("hasteward", "init")
    stage.run("hasteward", "backup", *_WHERE)
    before = _sums(stage, name)
    stage.say("The accident, on one member and so on all.")
    _client(stage, name, "db-1", "DROP TABLE shop.orders; DELETE FROM shop.customers")
    stage.say(
        "The way back: loaded beside, compared by checksum on every member, swapped as one act for all."
    )
    stage.run("hasteward", "restore", *_WHERE, "--dry-run")
    stage.run("hasteward", "restore", *_WHERE, "--yes")
    if _sums(stage, name) != before:
        raise LabError("the restored data is not what was backed up")
    stage.say("Equal on all three: every checksum is that from before the accident.")
    _a_member_dies(stage, name)


def _a_member_dies(stage: Stage, name: str) -> None:
    stage.say("A member dies, and does not get to write down where it was (exit status 20).")
    stage.run("hasteward", "lab", "break", "--name", name, "stop", "db-2")
    stage.run("hasteward", "triage", *_WHERE, expect=(20,))
    stage.say(
        "Its position from a copy of its files; it was last with processes that went on: nothing is lost."
    )
    stage.run("hasteward", "triage", *_WHERE, "--deep", expect=(20,))


def _sums(stage: Stage, name: str) -> list[str]:
    return [_client(stage, name, pod, "CHECKSUM TABLE shop.customers, shop.orders") for pod in _MEMBERS]


def _client(stage: Stage, name: str, pod: str, sql: str = "", *, stdin: str = "") -> str:
    """The client program in a member's container; it knows the password from its environment."""
    script = 'exec mariadb -uroot -p"$MARIADB_ROOT_PASSWORD" -NB "$@"'
    words = ("sh", "-c", script, "sh", *(("-e", sql) if sql else ()))
    argv = ("hasteward", "lab", "exec", "--name", name, pod, "--", *words)
    return stage.run(*argv, stdin=stage.folder / stdin) if stdin else stage.run(*argv)
