"""Reads what the look at a member's files prints before and after they are captured."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hasteward.streams.proof import Algorithm

#: the file with which a capture's tar begins
NOTE: Final = "hasteward-capture.json"
_VERSION = re.compile(r"\(PostgreSQL\) (\S+)")


@dataclass(frozen=True, slots=True)
class State:
    """The files as they lie there; two looks are equal unless somebody wrote between them.

    `mark` is a checksum of the control file and of the names, sizes and times of the log's files; `size` is
    bytes on disk. `version` is the program's own, which may be a minor release later than the one that wrote.
    """

    running: bool
    major: str
    version: str
    size: int
    tablespaces: Mapping[str, str]
    mark: tuple[str, ...]
    algorithm: Algorithm


def parse_state(text: str, algorithm: Algorithm) -> State:
    """The sections of the script; ValueError when one is not there or says nothing."""
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        if line.startswith("@@"):
            current = sections.setdefault(line[2:].strip(), [])
        else:
            current.append(line.strip())
    if "end" not in sections:
        raise ValueError("the look at the data directory was cut short")

    def value(name: str) -> str:
        lines = sections.get(name) or [""]
        if not lines[0]:
            raise ValueError(f"it does not tell {name}")
        return lines[0]

    major = value("major")
    match = _VERSION.search(" ".join(sections.get("version", [])))
    links = [line.partition(" ")[::2] for line in sections.get("tablespaces", [])]
    return State(
        running=value("server") != "gone",
        major=major,
        version=match[1] if match else major,
        size=int(value("kib")) * 1024,
        tablespaces=dict(links),
        mark=tuple(sections.get("mark", [])),
        algorithm=algorithm,
    )
