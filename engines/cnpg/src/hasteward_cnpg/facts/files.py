"""Reads what the scripts of `hasteward_cnpg.collect.files` print: controldata, histories, the log's end."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from hasteward_cnpg.evidence import ControlFacts, Fork, Lsn, Position, Tally
from hasteward_cnpg.facts.lineage import parse_history, past
from hasteward_cnpg.facts.room import parse_df

_SEGMENT = re.compile(r"([0-9A-F]{8})[0-9A-F]{16}")
_HISTORY = re.compile(r"([0-9A-F]{8})\.history")
_LSN = r"([0-9A-F]{1,8}/[0-9A-F]{1,8})"
#: how a reader of the log says where valid log ends, in PostgreSQL 14 to 18; the position is the end
_ENDS = tuple(
    re.compile(words)
    for words in (
        rf"invalid record length at {_LSN}",
        rf"record with incorrect prev-link [0-9A-F/]+ at {_LSN}",
        rf"record with invalid length at {_LSN}",
        rf"invalid resource manager ID \d+ at {_LSN}",
        rf"invalid magic number [0-9A-F]+ in (?:WAL|log) segment [0-9A-F]+, LSN {_LSN}",
        rf"unexpected pageaddr [0-9A-F/]+ in (?:WAL|log) segment [0-9A-F]+, LSN {_LSN}",
        rf"out-of-sequence timeline ID \d+ \(after \d+\) in (?:WAL|log) segment [0-9A-F]+, LSN {_LSN}",
        rf"there is no contrecord flag at {_LSN}",
        rf"invalid contrecord length \d+ (?:\(expected \d+\) )?at {_LSN}",
        rf"contrecord is requested by {_LSN}",
        rf"incorrect resource manager data checksum in record at {_LSN}",
    )
)
_NO_FILE = re.compile(r'could not (?:find|open) file "?(?:[^"]*/)?([0-9A-F]{24})')
_COMMIT_TIME = re.compile(
    r"desc: COMMIT(?:_PREPARED)? (?:[^;]*?)(\d{4}-\d\d-\d\d [0-9:.]+(?: [A-Z+\-0-9:]+)?)"
)


class Presence(StrEnum):
    """Three-valued, because a mount that failed looks like an empty directory (L5)."""

    THERE = "there"
    EMPTY = "empty"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Look:
    """What the first script found. `running` is True while a server process uses the directory."""

    presence: Presence
    running: bool
    control: str
    segments: tuple[str, ...]
    histories: Mapping[int, str]
    free: tuple[int, int] | None = None


def parse_look(text: str) -> Look:
    """The sections of the first script: lines that begin with ``@@`` name what follows."""
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        if line.startswith("@@"):
            current = sections.setdefault(line[2:].strip(), [])
        else:
            current.append(line)
    if "end" not in sections:
        raise ValueError("the look at the data directory was cut short")
    histories = {
        int(match[1], 16): "\n".join(lines)
        for name, lines in sections.items()
        if (match := _HISTORY.fullmatch(name.removeprefix("history ")))
    }
    presence = (sections.get("presence") or ["unknown"])[0].strip()
    return Look(
        presence=Presence(presence),
        running=(sections.get("server") or ["running"])[0].strip() != "gone",
        control="\n".join(sections.get("control", [])),
        segments=tuple(name for name in sections.get("segments", []) if _SEGMENT.fullmatch(name)),
        histories=histories,
        free=_free(sections.get("room", [])),
    )


def _free(lines: list[str]) -> tuple[int, int] | None:
    """Bytes left on the volumes of the data and of the log; None where df did not tell."""
    try:
        volumes = parse_df("\n".join(lines))
    except ValueError:
        return None
    return volumes[0].free, volumes[-1].free


def parse_control(text: str) -> ControlFacts:
    """The lines of pg_controldata (LC_ALL=C); ValueError when one that is needed is not there."""
    lines = dict(part.partition(":")[::2] for part in text.splitlines() if ":" in part)

    def value(label: str) -> str:
        found = lines.get(label, "").strip()
        if not found:
            raise ValueError(f"pg_controldata does not tell {label!r}")
        return found

    return ControlFacts(
        system_id=value("Database system identifier"),
        state=value("Database cluster state"),
        timeline=int(value("Latest checkpoint's TimeLineID")),
        checkpoint=Lsn.parse(value("Latest checkpoint location")),
        redo=Lsn.parse(value("Latest checkpoint's REDO location")),
        segment_bytes=int(value("Bytes per WAL segment")),
    )


@dataclass(frozen=True, slots=True)
class Start:
    """Where to begin to read the log of a stopped member, and the way it came."""

    timeline: int
    at: Lsn
    ancestors: tuple[Fork, ...]


def start_of(control: ControlFacts, look: Look) -> Start:
    """The member's own timeline is the furthest one it holds log of that comes from its last checkpoint.

    A standby that was following a promotion has log of the new timeline while its control file still names
    the old one. Raises ValueError when the history of that timeline is not there: then nothing tells the way.
    """
    held = {int(name[:8], 16) for name in look.segments}
    for timeline in sorted(held, reverse=True):
        if timeline < control.timeline:
            break
        if timeline == control.timeline:
            return Start(timeline, control.redo, _history(timeline, look))
        text = look.histories.get(timeline)
        forks = parse_history(text) if text is not None else ()
        through = [fork for fork in forks if fork.timeline == control.timeline]
        if through and through[0].at >= control.redo:
            return Start(timeline, forks[-1].at, forks)
    raise ValueError(f"there is no log of timeline {control.timeline}, where its last checkpoint lies")


def _history(timeline: int, look: Look) -> tuple[Fork, ...]:
    if timeline == 1:
        return ()
    text = look.histories.get(timeline)
    if text is None:
        raise ValueError(f"the history file of its timeline {timeline} is not there")
    return parse_history(text)


def parse_end(start: Start, message: str, segment_bytes: int) -> Position:
    """Where valid log ends, by the words with which pg_waldump stopped; ValueError when they do not tell."""
    for pattern in _ENDS:
        match = pattern.search(message)
        if match is not None:
            return Position(start.timeline, max(start.at, Lsn.parse(match[1])), start.ancestors)
    match = _NO_FILE.search(message)
    if match is not None:
        end = segment_start(match[1], segment_bytes)
        if end > start.at:
            return Position(start.timeline, end, start.ancestors)
    raise ValueError(f"the end of its log was not found: {' '.join(message.split()) or 'no message'}")


def segment_start(name: str, segment_bytes: int) -> Lsn:
    """The position at which a log file begins."""
    per_id = 0x100000000 // segment_bytes
    return Lsn((int(name[8:16], 16) * per_id + int(name[16:24], 16)) * segment_bytes)


def segment_name(timeline: int, at: Lsn, segment_bytes: int) -> str:
    """The log file that holds the byte at a position."""
    number = at.position // segment_bytes
    per_id = 0x100000000 // segment_bytes
    return f"{timeline:08X}{number // per_id:08X}{number % per_id:08X}"


def holders(position: Position, at: Lsn, segment_bytes: int) -> tuple[str, ...]:
    """The log files that hold the byte at `at`, the newest first; none where the way does not lead past it.

    A promotion copies the begun file to the new timeline and renames the old one, so what lies before a
    switch is found in the new timeline's file, or in one that ends in ``.partial``.
    """
    stretches = past(position, at)
    if not stretches:
        return ()
    segment = at.position // segment_bytes
    found = [
        segment_name(stretch.timeline, at, segment_bytes)
        for stretch in stretches
        if stretch.start.position // segment_bytes == segment or stretch is stretches[0]
    ]
    return (*reversed(found), f"{found[0]}.partial")


def parse_tally(texts: Iterable[str]) -> Tally:
    """Numbers of commits and the last commit record, of each stretch in turn (two lines each)."""
    commits, last = 0, ""
    for text in texts:
        number, _, record = text.strip().partition("\n")
        commits += int(number)
        match = _COMMIT_TIME.search(record)
        if match is not None:
            last = match[1]
    return Tally(commits, last)
