"""Bad input, real and dry run: one clear error, the documented exit code, nothing touched."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.servers
READS = {"get", "list", "watch"}


@pytest.fixture(autouse=True)
def no_faults_afterwards(lab: Any) -> Iterator[None]:
    yield
    lab.clear_faults()


def exec_plugin_kubeconfig(lab: Any, folder: Path) -> Path:
    import yaml

    broken = yaml.safe_load(lab.kubeconfig.read_text())
    for user in broken["users"]:
        user["user"] = {
            "exec": {
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": "false",
                "interactiveMode": "Never",
            }
        }
    path = folder / "exec-plugin"
    path.write_text(yaml.safe_dump(broken))
    return path


def unreachable_kubeconfig(lab: Any, folder: Path) -> Path:
    import yaml

    broken = yaml.safe_load(lab.kubeconfig.read_text())
    for cluster in broken["clusters"]:
        cluster["cluster"]["server"] = "https://127.0.0.1:9"
    path = folder / "unreachable"
    path.write_text(yaml.safe_dump(broken))
    return path


def scenario(name: str, lab: Any, tool: Any, folder: Path) -> tuple[list[str], dict[str, str], int, str]:
    """Flags that replace the good ones, environment, exit code, and words the message must hold."""
    garbage = folder / "garbage"
    garbage.write_text("{not: [yaml")
    wrong = folder / "wrong"
    wrong.write_text("wrong")
    table: dict[str, tuple[list[str], dict[str, str], int, str]] = {
        "unknown engine": (["-e", "nope"], {}, 3, "nope"),
        "unknown cluster": (["-c", "nope"], {}, 3, "nope"),
        "unknown namespace": (["-n", "nope"], {}, 3, "nope"),
        "impossible cluster name": (["-c", "../pg"], {}, 3, "../pg"),
        "no repository": (["--backups-path", str(folder / "none")], {}, 10, "none"),
        "path not mounted": (["--require-mount"], {}, 21, "mount"),
        "wrong password": ([], {"RESTIC_PASSWORD_FILE": str(wrong)}, 12, "password"),
        "no password file": ([], {"RESTIC_PASSWORD_FILE": str(folder / "absent")}, 3, "absent"),
        "broken kubeconfig": (["--kubeconfig", str(garbage)], {}, 3, "garbage"),
        "missing kubeconfig": (["--kubeconfig", str(folder / "gone")], {}, 3, "gone"),
        "exec plugin fails": (["--kubeconfig", str(exec_plugin_kubeconfig(lab, folder))], {}, 4, "false"),
        "server unreachable": (
            ["--kubeconfig", str(unreachable_kubeconfig(lab, folder))],
            {},
            4,
            "127.0.0.1",
        ),
        "unknown flag": (["--nope"], {}, 2, "nope"),
        "unknown snapshot": (["--snapshot", "deadbeef"], {}, 3, "deadbeef"),
        "snapshot that is no id": (["--snapshot", "yesterday"], {}, 3, "yesterday"),
        "method not available": (["--method", "native"], {}, 21, "declares no backup of its own"),
    }
    assert tool.environment
    return table[name]


COMMON = [
    "unknown engine",
    "unknown cluster",
    "unknown namespace",
    "impossible cluster name",
    "no repository",
    "path not mounted",
    "wrong password",
    "no password file",
    "broken kubeconfig",
    "missing kubeconfig",
    "exec plugin fails",
    "server unreachable",
    "unknown flag",
    "method not available",
]
CASES = [("backup", name) for name in COMMON] + [
    ("restore", name)
    for name in (
        "unknown snapshot",
        "snapshot that is no id",
        "no repository",
        "wrong password",
        "unknown engine",
    )
]


@pytest.fixture(scope="module")
def shared(lab: Any) -> dict[str, Any]:
    return {}


@pytest.fixture
def tool(shared: dict[str, Any], make_hasteward: Callable[[], Any], template: Path) -> Any:
    """One repository for the whole table: nothing in it ever changes."""
    if "tool" not in shared:
        shared["tool"] = make_hasteward()
        shutil.copytree(template, shared["tool"].environment["HASTEWARD_BACKUPS_PATH"])
    return shared["tool"]


def assert_nothing_was_touched(lab: Any) -> None:
    touched = [
        call
        for call in lab.audit()
        if call["verb"] not in READS
        and call["subresource"] != "exec"
        and call["resource"] != "selfsubjectaccessreviews"
    ]
    assert touched == []


@pytest.mark.parametrize(("verb", "name"), CASES)
def test_bad_input_is_one_clear_error(
    verb: str, name: str, lab: Any, tool: Any, where: tuple[str, ...], tmp_path: Path
) -> None:
    flags, environment, exit_code, words = scenario(name, lab, tool, tmp_path)
    before = tool.stored()
    lab.clear_audit()
    for mode in ([], ["--dry-run"]):
        done = tool(verb, *where, *flags, *mode, **environment)

        assert done.returncode == exit_code, done.stderr
        errors = [line for line in done.stderr.splitlines() if line.lower().startswith("error:")]
        assert len(errors) == 1, done.stderr
        assert words in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
    assert_nothing_was_touched(lab)
    assert tool.stored() == before


def test_a_forbidden_exec_names_the_rule_to_add(lab: Any, tool: Any, where: tuple[str, ...]) -> None:
    lab.add_fault(kind="forbid", verb="create", resource="pods", subresource="exec")
    lab.clear_audit()

    done = tool("backup", *where)

    assert done.returncode == 4, done.stderr
    assert "pods/exec" in done.stderr
    assert_nothing_was_touched(lab)


def test_a_restore_that_gives_something_up_needs_a_yes(
    lab: Any, hasteward: Any, where: tuple[str, ...]
) -> None:
    assert hasteward("backup", *where).returncode == 0
    before = lab.psql(lab.primary, "SELECT oid, datname FROM pg_database ORDER BY oid")

    done = hasteward("restore", *where)

    assert done.returncode == 21, done.stderr
    assert "--yes" in done.stderr
    assert lab.psql(lab.primary, "SELECT oid, datname FROM pg_database ORDER BY oid") == before
