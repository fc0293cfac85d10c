"""The tutorial is run as it is written: its commands, their exit codes, the output that it shows."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial" / "first-backup-and-restore.md"
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
STATUS = re.compile(r"\s+# exit status (\d+)$")
#: ids, positions and times; then every number, size and folder
VOLATILE = (
    (re.compile(r"\b0/[0-9A-F]+\b|\b[0-9a-f]{8,}\b|\d{8}T\d{6}Z|\d+(\.\d+)?"), "#"),
    (re.compile(r"\b([KMG]i)?B\b"), "B"),
    (re.compile(r"/\S*/(backups|kubeconfig)"), r"/\1"),
    (re.compile(r"\s+"), " "),
)
#: it takes 20 s of processor time; the machine may be a busy one
TIMEOUT = 240


@dataclass
class Step:
    """A command as it is typed, the status it must end with, the lines of output that are shown."""

    command: str
    status: int = 0
    shown: list[str] = field(default_factory=list)


def steps(page: str) -> Iterator[Step]:
    """Every command of the page's console blocks; ``> `` continues the one before."""
    for block in CONSOLE.findall(page):
        step = Step("")
        for line in block.splitlines():
            if line.startswith("$ "):
                if step.command:
                    yield step
                found = STATUS.search(line)
                step = Step(STATUS.sub("", line[2:]), int(found[1]) if found else 0)
            elif line.startswith("> ") and not step.shown:
                step.command += "\n" + line[2:]
            elif line not in {"...", ""}:
                step.shown.append(line)
        yield step


def stable(line: str) -> str:
    """The line without what differs from run to run."""
    for pattern, instead in VOLATILE:
        line = pattern.sub(instead, line)
    return line.strip()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The name of a lab of our own, and an environment with a home of its own. No lab is left."""
    name = f"doc{secrets.token_hex(3)}"
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("HASTEWARD", "RESTIC", "XDG", "KUBE"))
    }
    environment |= {
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{ROOT / '.tools/bin'}:{environment['PATH']}",
    }
    yield name, environment
    subprocess.run(
        ["hasteward", "lab", "down", "--name", name], env=environment, capture_output=True, check=False
    )


def script(found: list[Step], name: str, mark: str) -> str:
    """One script for one shell: each command, then a line with its status. The lab gets our name."""
    lines = ["exec 2>&1"]
    for step in found:
        lines += [re.sub(r"(hasteward lab [a-z]+)", rf"\1 --name {name}", step.command), f"echo {mark} $?"]
    return "\n".join(lines) + "\n"


@pytest.mark.servers
@pytest.mark.timeout(TIMEOUT + 60)
def test_the_tutorial_runs_as_it_is_written(shell: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    name, environment = shell
    found = list(steps(TUTORIAL.read_text(encoding="utf-8")))
    mark = f"--{secrets.token_hex(8)}"

    said = played(script(found, name, mark), tmp_path, environment).replace(name, "lab")

    parts = re.split(rf"^{mark} (\d+)\n", said, flags=re.MULTILINE)
    outputs, statuses = parts[:-1:2], [int(status) for status in parts[1::2]]
    assert statuses == [step.status for step in found], said
    assert list(untrue(found, outputs)) == [], said
    assert list(tmp_path.rglob("first-backup*")) == []


def played(text: str, folder: Path, environment: dict[str, str]) -> str:
    """What the script says, all of it; when it takes too long, what it has said until then."""
    with (folder / "said").open("w+", encoding="utf-8") as said:
        process = subprocess.Popen(
            ["sh", "-c", text],
            stdin=subprocess.DEVNULL,
            stdout=said,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        try:
            process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said.seek(0)
        return said.read()


def untrue(found: list[Step], outputs: list[str]) -> Iterator[str]:
    """Every line that the page shows and the command did not say."""
    for step, output in zip(found, outputs, strict=True):
        real = {stable(line) for line in output.splitlines()}
        for line in step.shown:
            if stable(line) not in real:
                yield f"$ {step.command}: {line}"


@pytest.mark.parametrize(
    ("page", "wanted"),
    [
        (
            "```console\n$ a\nsaid\n...\n$ b   # exit status 20\n```\n",
            [Step("a", 0, ["said"]), Step("b", 20)],
        ),
        ("```console\n$ a <<X\n> 1\n> X\n```\n```sh\nnot this\n```\n", [Step("a <<X\n1\nX")]),
    ],
)
def test_commands_are_found_in_a_page(page: str, wanted: list[Step]) -> None:
    assert list(steps(page)) == wanted


def test_a_shown_line_that_was_not_said_is_found() -> None:
    shown = [Step("a", 0, ["Snapshot f110991c is saved", "  took    6.1 s", "all is well"])]
    said = ["noise\nSnapshot 0b088f65 is saved\n  took   0.2 s\nall is not well\n"]

    assert list(untrue(shown, said)) == ["$ a: all is well"]
