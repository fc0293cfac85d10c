"""hasteward as a person runs it: in processes of its own, with a home and a repository of its own."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hasteward_lab.lab import Lab

#: of every test's repository, and a canary: it may show nowhere. Another process of tests has another one
PASSWORD = f"correct horse battery {secrets.token_hex(8)}"
_ENDS_WITHIN = 10.0


@dataclass(slots=True)
class Hasteward:
    """The command line. `with Hasteward.on(lab, folder) as hasteward:` ends whatever of it still runs."""

    folder: Path
    environment: dict[str, str]
    #: how long a command may take, in seconds
    patience: float = 300
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @classmethod
    def at(cls, folder: Path, *, password: str = PASSWORD, **own: str) -> Self:
        """In an empty folder, with some environment of its own. The repository is there only after `init`."""
        for name in ("home", "tmp"):
            (folder / name).mkdir()
        secret = folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(password)
        foreign = ("HASTEWARD", "RESTIC", "XDG_", "KUBECONFIG")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
        places = {
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "HASTEWARD_BACKUPS_PATH": str(folder / "repository"),
            "RESTIC_PASSWORD_FILE": str(secret),
        }
        return cls(folder, kept | places | own)

    @classmethod
    def on(cls, lab: Lab, folder: Path, *, context: str = "admin", password: str = PASSWORD) -> Self:
        """On a lab, as the account of one of its contexts."""
        kubeconfig = str(lab.kubeconfig)
        return cls.at(folder, password=password, KUBECONFIG=kubeconfig, HASTEWARD_CONTEXT=context)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()

    def start(self, *argv: str, **environment: str) -> subprocess.Popen[str]:
        """Begin a command."""
        process = subprocess.Popen(
            [sys.executable, "-m", "hasteward.cli.main", *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**self.environment, **environment},
        )
        self.started.append(process)
        return process

    def __call__(self, *argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        process = self.start(*argv, **environment)
        out, err = process.communicate(timeout=self.patience)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def told(self, *argv: str, status: int = 0, **environment: str) -> tuple[str, str]:
        """Run a command that must end with `status`; its answer, and what it said beside."""
        done = self(*argv, **environment)
        assert done.returncode == status, f"{argv}: {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout, done.stderr

    def said(self, *argv: str, status: int = 0) -> str:
        """The same; everything it said."""
        return "".join(self.told(*argv, status=status))

    def answer(self, *argv: str, status: int = 0, **environment: str) -> dict[str, Any]:
        """Run a command that must end with `status`; its whole envelope, and under `said` what it told."""
        out, err = self.told(*argv, "--output", "json", status=status, **environment)
        envelope: dict[str, Any] = json.loads(out or "{}")
        return envelope | {"said": err}

    def json(self, *argv: str) -> dict[str, Any]:
        """Run a command that must succeed; the `data` of its envelope."""
        data: dict[str, Any] = self.answer(*argv)["data"]
        return data

    def killed(self, *argv: str, after: float) -> None:
        """Begin a command, and kill it (SIGKILL) so many seconds later."""
        process = self.start(*argv)
        time.sleep(after)
        process.kill()
        process.communicate()

    @property
    def repository(self) -> Path:
        """Where its backups are."""
        return Path(self.environment["HASTEWARD_BACKUPS_PATH"])

    def stored(self, folder: str = "") -> list[str]:
        """Every file of the repository (or of one of its folders), a lock that was left too."""
        root = self.repository
        return sorted(str(path.relative_to(root)) for path in (root / folder).rglob("*") if path.is_file())

    def backups(self) -> list[dict[str, Any]]:
        """Every data snapshot as `get backups` lists it."""
        listed: list[dict[str, Any]] = self.json("get", "backups")["backups"]
        return listed

    def left_running(self, lab: Lab) -> list[str]:
        """What still runs on behalf of it: here (by its folder) and in the pods."""
        found = []
        needle = str(self.folder).encode()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes()
                state = (process / "stat").read_text().rpartition(")")[2].split()[0]
                ours = needle in (process / "environ").read_bytes() + words
            except OSError:
                continue
            if ours and state != "Z" and int(process.name) != os.getpid():
                found.append(words.replace(b"\0", b" ").decode(errors="replace"))
        for pod in lab.pods:
            found += [f"{pod}: {line}" for line in lab.processes(pod) if "hasteward" in line]
        return found

    def leaves_nothing_running(self, lab: Lab) -> None:
        """Assert it, within the ten seconds that are promised."""
        deadline = time.monotonic() + _ENDS_WITHIN
        while (found := self.left_running(lab)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert found == []


def triaged(lab: Lab, engine: str, *flags: str) -> dict[str, Any]:
    """What a triage of the lab's own cluster finds, whatever that is; it may find no error of ours."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "hasteward.cli.main", "triage", "-e", engine, "-c", lab.cluster),
            *("-n", lab.namespace, "--output", "json", "--stall-timeout", "15", *flags),
        ],
        env=dict(os.environ) | {"KUBECONFIG": str(lab.kubeconfig)},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    envelope: dict[str, Any] = json.loads(done.stdout)
    assert not envelope["errors"], envelope["errors"]
    data: dict[str, Any] = envelope["data"]
    return data


def cheap_repository(location: Path, password: str = PASSWORD) -> Path:
    """An empty repository whose key is cheap: restic measures scrypt, and slowed down it takes less of it.

    Nearly all of a restic call's time is key derivation otherwise. A test may start from a copy.
    """
    environment = dict(os.environ) | {"RESTIC_PASSWORD": password, "RESTIC_REPOSITORY": str(location)}
    child = subprocess.Popen(["restic", "init", "--quiet"], env=environment)
    while child.poll() is None:
        child.send_signal(signal.SIGSTOP)
        time.sleep(0.02)
        child.send_signal(signal.SIGCONT)
        time.sleep(0.004)
    assert child.returncode == 0, "`restic init` failed; is restic on the PATH?"
    return location


def copied(template: Path, hasteward: Hasteward) -> Hasteward:
    """The command line with a copy of an empty repository for its own."""
    shutil.copytree(template, hasteward.repository)
    return hasteward
