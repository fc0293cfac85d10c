"""The tool runs with the roles this project ships, and uses no right it was not given."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from hasteward_lab.api.auth import bootstrap
from hasteward_lab.lab import Lab
from hasteward_lab.rights import Difference, compare

pytestmark = pytest.mark.servers

Tool = Callable[..., "subprocess.CompletedProcess[str]"]


CAPTURE = Path(__file__).parents[2] / "scenarios" / "capture_files.py"


@pytest.fixture
def environment(lab: Lab, tmp_path: Path) -> dict[str, str]:
    """A repository of its own."""
    (tmp_path / "password").write_text("secret")
    place = shutil.which("restic") or str(Path.cwd() / ".tools/bin/restic")
    env = {key: value for key, value in os.environ.items() if not key.startswith(("HASTEWARD", "RESTIC"))}
    return env | {
        "PATH": f"{Path(place).parent}:{os.environ['PATH']}",
        "KUBECONFIG": str(lab.kubeconfig),
        "HASTEWARD_BACKUPS_PATH": str(tmp_path / "repository"),
        "RESTIC_PASSWORD_FILE": str(tmp_path / "password"),
        **{f"XDG_{name}_HOME": str(tmp_path / name) for name in ("STATE", "CONFIG", "CACHE")},
    }


@pytest.fixture
def tool(environment: dict[str, str]) -> Tool:
    """The command line; the first argument is the context."""

    def run(context: str, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "hasteward.cli.main", *argv],
            env=environment | {"HASTEWARD_CONTEXT": context},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


@dataclass(frozen=True)
class Story:
    """What people do in a role, till it has used all that it may."""

    lab: Lab
    tool: Tool

    def asks_for(self, role: str, *argv: str, code: int = 0) -> None:
        """Run the tool in a role and make sure that it ends as it should."""
        done = self.tool(role, *argv, "-e", "cnpg", "-n", self.lab.namespace)
        assert done.returncode == code, done.stderr

    def lose_everything(self, member: str) -> None:
        """A member's data is gone, and its server with it: stopped first, or it would write again."""
        self.lab.fence(member)
        self.lab.wait(lambda: not any(line.startswith("postgres") for line in self.lab.processes(member)))
        self.lab.exec(member, ["sh", "-c", "rm -rf $PGDATA/* $PGDATA/.??*"])
        self.lab.stop(member)
        self.lab.unfence(member)

    def difference(self, role: str) -> Difference:
        """The rights granted against those used, in both directions."""
        return compare(self.lab.audit(), bootstrap.manifests(), role)


@pytest.fixture
def story(lab: Lab, tool: Tool) -> Story:
    lab.clear_audit()
    return Story(lab, tool)


#: What a triage tries in every role, and lives without.
TRIED = {"get pods/exec", "create pods/exec", "get pods/log"}


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_three_roles_are_what_is_used_and_no_more(
    story: Story, environment: dict[str, str], tmp_path: Path
) -> None:
    """Each story goes through all that its role is for, down to the name that is not there."""
    here = ("-c", story.lab.cluster)
    lease = f"/apis/coordination.k8s.io/v1/namespaces/{story.lab.namespace}/leases"
    cluster = f"/apis/postgresql.cnpg.io/v1/namespaces/{story.lab.namespace}/clusters/{story.lab.cluster}"
    story.lab.client.call("PATCH", cluster, {"spec": {"backup": {"volumeSnapshot": {"className": "csi"}}}})
    # Without exec the servers cannot be asked: not known.
    story.asks_for("view", "triage", *here, code=20)
    assert story.tool("backup", "init").returncode == 0
    for role, second in (("backup", ("backup",)), ("repair", ("restore", "--yes"))):
        for item in story.lab.client.call("GET", lease)["items"]:
            if item["metadata"]["name"].startswith("hasteward"):
                story.lab.client.call("DELETE", f"{lease}/{item['metadata']['name']}")
        # The first run makes the Lease, the second takes it over.
        story.asks_for(role, "backup", *here)
        story.asks_for(role, *second, *here)
        # The operator makes it: a Backup is created and looked at.
        story.asks_for(role, "backup", "--method", "native", *here)
    made = story.lab.client.call("GET", cluster.replace(f"clusters/{story.lab.cluster}", "backups"))["items"]
    assert [(one["spec"]["method"], one["status"]["phase"]) for one in made] == [
        ("volumeSnapshot", "completed"),
        ("volumeSnapshot", "completed"),
    ]
    story.lab.client.call("PATCH", cluster, {"spec": {"backup": None}})
    # Why a server is down is in its pod's log.
    story.lab.stop("pg-3")
    for role in ("backup", "repair"):
        story.asks_for(role, "triage", *here, code=20)
    # What a repair would have saved of it becomes a dump, in a pod that the repair role may make.
    captured = [sys.executable, str(CAPTURE), str(story.lab.kubeconfig), "3"]
    subprocess.run(captured, env=environment, check=True, timeout=120)
    story.asks_for("repair", "export", "-i", "3", "-o", str(tmp_path / "pg-3.sql"), *here)
    story.lab.start("pg-3")
    story.lab.wait_ready("pg-3")
    # A member that is made anew, and one that the operator makes anew because it holds nothing.
    story.asks_for("repair", "repair", "--yes", *here, "-i", "3", "--force")
    story.lose_everything("pg-2")
    story.asks_for("repair", "repair", "--yes", *here)
    for role in ("view", "backup", "repair"):
        # The list of clusters is asked for only when one is not found.
        story.asks_for(role, "triage", "-c", "nobody", code=3)
        found = story.difference(role)
        assert {str(right) for right in found.not_granted} == (TRIED if role == "view" else set()), role
        assert not found.not_used, f"{role}:\n{found}"


def test_a_backup_with_the_view_role_names_the_rule_to_add(lab: Lab, tool: Tool) -> None:
    about = ("-e", "cnpg", "-c", lab.cluster, "-n", lab.namespace)
    assert tool("view", "init").returncode == 0
    done = tool("view", "backup", *about)
    assert done.returncode != 0
    assert "create pods/exec" in done.stderr
