"""Where a lab lives on disk: one short private folder per lab, and nothing anywhere else."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


class LabError(Exception):
    """A lab could not do what was asked; the message is one line for a person."""


@dataclass(frozen=True)
class LabConfig:
    """All that one lab was asked to be; written by the launcher, read by the supervisor."""

    name: str
    namespace: str
    cluster: str
    members: int
    volume_size: str
    postgres_bin: str
    fsync: bool
    time_scale: float
    port: int
    tokens: dict[str, str]
    lab_token: str
    level: str = "1.30"
    spec: dict[str, Any] = field(default_factory=dict)
    part: str = "postgres"


@dataclass(frozen=True)
class Process:
    """A process of this machine, told apart from a later one with the same number by its start time."""

    pid: int
    started: str

    def alive(self) -> bool:
        """Say whether this very process still runs."""
        return start_time(self.pid) == self.started


def start_time(pid: int) -> str | None:
    """Read the kernel's start time of a process; None when there is none (a zombie counts as none)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return None if fields[0] in {"Z", "X"} else fields[19]


@dataclass(frozen=True)
class StateDir:
    """The folder of one lab."""

    root: Path

    @property
    def name(self) -> str:
        """The lab's name."""
        return self.root.name

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig, readable by its owner only."""
        return self.root / "kubeconfig"

    @property
    def log(self) -> Path:
        """What the supervisor had to say."""
        return self.root / "supervisor.log"

    @property
    def world(self) -> Path:
        """Mount point of everything that must vanish with the supervisor."""
        return self.root / "w"

    @property
    def ca(self) -> Path:
        """The certificate of the API's authority."""
        return self.root / "ca.crt"

    def create(self) -> None:
        """Make the folder; refuse if a lab of this name is already there."""
        self.root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self.root.mkdir(mode=0o700)
        except FileExistsError:
            raise LabError(
                f"lab {self.name!r} is already there: `hasteward lab down --name {self.name}` first"
            ) from None
        self.world.mkdir(mode=0o700)

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file only its owner can read, whole or not at all."""
        path = self.root / name
        data = content.encode() if isinstance(content, str) else content
        partial = path.with_name(path.name + ".new")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        partial.replace(path)
        return path

    def save_config(self, config: LabConfig) -> None:
        """Keep what this lab was asked to be."""
        self.write("config.json", json.dumps(asdict(config), indent=1))

    def load_config(self) -> LabConfig:
        """Read back what this lab was asked to be."""
        try:
            data: dict[str, Any] = json.loads((self.root / "config.json").read_bytes())
        except FileNotFoundError:
            raise LabError(f"there is no lab {self.name!r}; `hasteward lab up` makes one") from None
        return LabConfig(**data)

    def save_process(self, process: Process) -> None:
        """Keep which process holds this lab."""
        self.write("process.json", json.dumps(asdict(process)))

    def load_process(self) -> Process | None:
        """Read which process holds this lab; None when it never came that far."""
        try:
            return Process(**json.loads((self.root / "process.json").read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def remove(self) -> None:
        """Delete the folder and, when it was the last one, the home of all labs."""
        shutil.rmtree(self.root, ignore_errors=True)
        try:
            self.root.parent.rmdir()
        except OSError:
            return


def home() -> Path:
    """The folder of all labs of this user; short, because socket paths are short."""
    chosen = os.environ.get("HASTEWARD_LAB_HOME")
    return Path(chosen) if chosen else Path(f"/tmp/hasteward-lab-{os.getuid()}")


def state_dir(name: str) -> StateDir:
    """The folder of the lab of this name, there or not."""
    if not _NAME.fullmatch(name):
        raise LabError(f"{name!r} is no name for a lab: lower-case letters, digits and '-', at most 32")
    return StateDir(home() / name)


def all_labs() -> list[StateDir]:
    """Every lab of this user, by name."""
    if not home().is_dir():
        return []
    return [StateDir(path) for path in sorted(home().iterdir()) if path.is_dir()]
