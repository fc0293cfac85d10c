"""The commands as a person types them, on three real servers: secrets and bad input."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from vault_real import Bao

from hasteward_lab import canaries
from hasteward_lab.conformance import Hasteward

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]
WHERE = ("-e", "vault", "-c", "bao", "-n", "vault")


@pytest.fixture
def tool(bao: Bao, tmp_path: Path) -> Iterator[Hasteward]:
    """The command line, its repository made; what restores kept is removed afterwards."""
    word = f"canary-{secrets.token_hex(8)}"
    with Hasteward.on(bao.lab, tmp_path, context="repair", password=word) as made:
        made.said("init")
        yield made
    for pod in bao.lab.pods:
        bao.lab.exec(pod, ["sh", "-c", "rm -f /openbao/data/hasteward-kept-*"])


def token_of(bao: Bao, key: str) -> str:
    data = bao.lab.client.call("GET", "/api/v1/namespaces/vault/secrets/hasteward-vault")["data"]
    return base64.b64decode(data[key]).decode()


def test_no_command_shows_or_leaves_a_secret(bao: Bao, tool: Hasteward) -> None:
    """In no process, here or in the pods, and in nothing that was said, written or recorded."""
    leader = bao.leader()
    bao.put("bird", row := f"canary-{secrets.token_hex(8)}", leader)
    token = tool.folder / "token"
    token.write_text(token_of(bao, "repair"))
    birds = {
        "repair": token_of(bao, "repair"),
        "backup": token_of(bao, "backup"),
        "password": (tool.folder / "password").read_text(),
        "row": row,
    }
    bao.lab.clear_audit()
    forms = ("--output", "json", "--log-format", "json", "-v", "--report", str(tool.folder / "report"))
    by_file = ("--token-from", f"file:{token}")
    said = ""
    with canaries.Watch(birds) as watch:
        said += tool.said("triage", *WHERE, *forms, *by_file)
        said += tool.said("backup", *WHERE, *forms, "--token-from", "secret:hasteward-vault/backup")
        said += tool.said("restore", *WHERE, "--yes", "-v", *by_file)
        said += tool.said("repair", *WHERE, "--dry-run", "-v")
        said += tool.said("export", *WHERE, "-o", str(tool.folder / "raft.snap.gz"), "-v")
        typed = f"s.{secrets.token_hex(12)}"
        said += tool.said("triage", *WHERE, "-v", "--token-from", typed, status=3)
        weaker = ("--token-from", "secret:hasteward-vault/backup")
        said += tool.said("restore", *WHERE, "--yes", *weaker, status=1)
    bao.until(lambda found: found.healthy)

    assert watch.hits == set()
    assert "bao" in watch.programs, "the watch saw the pods' processes"
    assert canaries.in_text(birds | {"typed": typed}, said, "what was said") == []
    assert canaries.in_text(birds, json.dumps(bao.lab.audit()), "the audit log") == []
    assert canaries.in_files(birds, tool.folder, (tool.folder / "password", token)) == []
    search = "grep -rlaF -f - /openbao/data /dev/shm /tmp /home 2>/dev/null || true"
    for pod in bao.lab.pods:
        found = bao.lab.exec(pod, ["sh", "-c", search], "\n".join(birds.values()).encode())
        assert found.stdout == b"", pod


#: what is wrong, how the command ends, and what it says
BAD = {
    "no such cluster": (("-c", "nope"), 3, "there is no StatefulSet vault/nope"),
    "a token instead of its place": (("--token-from", "s.typed"), 3, "the value given is not a SOURCE"),
    "no such secret": (("--token-from", "secret:nope"), 21, "nope"),
    "no such key": (("--token-from", "secret:hasteward-vault/nope"), 21, "has no key nope"),
    "no such file": (("--token-from", "file:/nope"), 21, "the token file /nope cannot be read"),
    "no such role": (("--token-from", "kubernetes:nope"), 21, "could not be read"),
    # the shipped role is bound in one namespace, so that is what is missing
    "no such namespace": (("-n", "nope"), 4, "not allowed in namespace nope"),
    "unknown flag": (("--nope",), 2, "nope"),
    "no repository": (("--backups-path", "/nope/at/all"), 10, "/nope/at/all"),
    "wrong password": (("--restic-password-file", "/etc/hostname"), 12, "password"),
    "no such snapshot": (("--snapshot", "deadbeef"), 3, "deadbeef"),
    "a database of what has none": (("--database", "kv"), 21, "no databases to choose from"),
    "no such member": (("-i", "9"), 3, "has no member 9"),
}
QUICK = ("a token instead of its place", "no such key")
READS = {"get", "list", "watch"}


def changes(bao: Bao) -> list[str]:
    """What was changed in the cluster; an exec and a question about one's own rights change nothing."""
    return [
        f"{row['verb']} {row['resource']}"
        for row in bao.lab.audit()
        if row["user"].endswith(":hasteward-repair")
        and row["verb"] not in READS
        and row["resource"] not in {"selfsubjectaccessreviews", "selfsubjectreviews"}
        and row["subresource"] != "exec"
    ]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.long) for name in BAD]
)
def test_bad_input_is_one_clear_error_and_touches_nothing(bao: Bao, tool: Hasteward, name: str) -> None:
    flags, status, words = BAD[name]
    restore = name in {"no such snapshot", "a database of what has none"}
    if restore:
        tool.said("backup", *WHERE)
    before = bao.triage().details
    bao.lab.clear_audit()
    stored = sorted(str(path) for path in (tool.folder / "repository").rglob("*"))

    command = ("restore", *WHERE, "--yes") if restore else ("backup", *WHERE)
    real = tool.said(*command, *flags, status=status)
    dry = tool.said(*command, *flags, "--dry-run", status=status)

    assert words in real
    assert words in dry
    assert "Traceback" not in real + dry
    assert "s.typed" not in real + dry
    assert changes(bao) == []
    assert sorted(str(path) for path in (tool.folder / "repository").rglob("*")) == stored
    assert bao.triage().details["leader"] == before["leader"]
