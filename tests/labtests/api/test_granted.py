"""The tool runs with the roles this project ships, and uses no right it was not given."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hasteward_lab.api.auth import bootstrap
from hasteward_lab.lab import Lab
from hasteward_lab.rights import compare

pytestmark = pytest.mark.servers

Tool = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def tool(lab: Lab, tmp_path: Path) -> Tool:
    """The command line with a repository of its own; the first argument is the context."""
    (tmp_path / "password").write_text("secret")
    place = shutil.which("restic") or str(Path.cwd() / ".tools/bin/restic")
    env = {key: value for key, value in os.environ.items() if not key.startswith(("HASTEWARD", "RESTIC"))}
    env |= {
        "PATH": f"{Path(place).parent}:{os.environ['PATH']}",
        "KUBECONFIG": str(lab.kubeconfig),
        "HASTEWARD_BACKUPS_PATH": str(tmp_path / "repository"),
        "RESTIC_PASSWORD_FILE": str(tmp_path / "password"),
        **{f"XDG_{name}_HOME": str(tmp_path / name) for name in ("STATE", "CONFIG", "CACHE")},
    }

    def run(context: str, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "hasteward.cli.main", *argv],
            env=env | {"HASTEWARD_CONTEXT": context},
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )

    return run


def test_a_backup_needs_the_backup_role_and_no_more(lab: Lab, tool: Tool) -> None:
    about = ("-e", "cnpg", "-c", lab.cluster, "-n", lab.namespace)
    lab.clear_audit()
    assert tool("backup", "init").returncode == 0
    done = tool("backup", "backup", *about)
    assert done.returncode == 0, done.stderr
    found = compare(lab.audit(), bootstrap.manifests(), "backup")
    assert not found.not_granted, str(found)
    # The list of clusters is asked for only when one is not found.
    assert {str(right) for right in found.not_used} <= {"list clusters.postgresql.cnpg.io"}


def test_a_backup_with_the_view_role_names_the_rule_to_add(lab: Lab, tool: Tool) -> None:
    about = ("-e", "cnpg", "-c", lab.cluster, "-n", lab.namespace)
    assert tool("view", "init").returncode == 0
    done = tool("view", "backup", *about)
    assert done.returncode != 0
    assert "create pods/exec" in done.stderr
