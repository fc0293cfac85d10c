"""Three OpenBao servers, a backup, an accident, the way back, and a standby that dies."""

from __future__ import annotations

import base64

from hasteward_lab.demo.play import repository
from hasteward_lab.demo.stage import Stage
from hasteward_lab.lab import Lab
from hasteward_lab.state import LabError, state_dir

FILES = ()
_WHERE = ("-e", "vault", "-c", "bao", "-n", "vault")


def tell(stage: Stage, name: str) -> None:
    """The whole story."""
    _a_cluster_with_a_secret(stage, name)
    stage.say("A repository, and a snapshot that counts only because the leader led all the time.")
    stage.run("hasteward", "init")
    stage.run("hasteward", "backup", *_WHERE)
    stage.say("The accident: all secrets are gone.")
    _bao(stage, name, "bao secrets disable kv")
    stage.say("The way back. First the plan, then the act; what was live is kept on the leader's volume.")
    stage.run("hasteward", "restore", *_WHERE, "--dry-run")
    stage.run("hasteward", "restore", *_WHERE, "--yes")
    if _bao(stage, name, "bao read -field=colour kv/shop").strip() != "green":
        raise LabError("the restored secret is not the one that was backed up")
    stage.say("Equal: the secret is what it was.")
    stage.say("The snapshot as a file that `bao operator raft snapshot restore` takes.")
    stage.run("hasteward", "export", *_WHERE, "--snapshot", "latest", "-o", "raft.snap.gz")
    stage.run("tar", "-tzf", "raft.snap.gz")
    _a_standby_dies(stage, name)


def _a_cluster_with_a_secret(stage: Stage, name: str) -> None:
    stage.say("Three real OpenBao servers with Raft storage behind an emulated Kubernetes API.")
    what = ("--part", "openbao", "--cluster", "bao", "--namespace", "vault", "--volume-size", "256Mi")
    stage.run("hasteward", "lab", "up", "--name", name, *what)
    stage.environment["KUBECONFIG"] = str(state_dir(name).kubeconfig)  # the line that it has just printed
    repository(stage, HASTEWARD_CONTEXT="repair")
    secret = Lab.attach(name).client.call("GET", "/api/v1/namespaces/vault/secrets/bao-unseal")
    token = stage.folder / "root-token"
    token.touch(mode=0o600)
    token.write_bytes(base64.b64decode(secret["data"]["root-token"]))
    _bao(stage, name, "bao write kv/shop colour=green")
    stage.say("How is it?")
    stage.run("hasteward", "triage", *_WHERE)


def _a_standby_dies(stage: Stage, name: str) -> None:
    stage.say("A standby dies. Triage names it, and that no other may be lost (exit status 20).")
    lab = Lab.attach(name)
    leader = next(
        pod["metadata"]["name"]
        for pod in lab.get("pods")
        if pod["metadata"]["labels"].get("openbao-active") == "true"
    )
    standby = next(pod for pod in lab.pods if pod != leader)
    stage.run("hasteward", "lab", "break", "--name", name, "stop", standby)
    stage.run("hasteward", "triage", *_WHERE, expect=(20,))


def _bao(stage: Stage, name: str, command: str) -> str:
    script = f"export BAO_TOKEN=$(cat); {command}"
    argv = ("hasteward", "lab", "exec", "--name", name, "bao-0", "--", "sh", "-c", script)
    return stage.run(*argv, stdin=stage.folder / "root-token")
