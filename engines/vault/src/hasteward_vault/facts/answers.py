"""Reads what the command line of Vault or OpenBao and `df` answer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from hasteward.kit.answers import Answer
from hasteward_vault.evidence import Peer, Status, Volume, Watched

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6, "us": 1e-6, "ns": 1e-9}
_SPAN = re.compile(r"([0-9.]+)(h|ms|m|s|µs|us|ns)")


def document(answer: Answer) -> Mapping[str, Any]:
    """The JSON object in an answer; ValueError with the server's own words when there is none."""
    begin = answer.text.find("{")
    try:
        found = json.loads(answer.text[begin:]) if begin >= 0 else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError(said(answer))  # noqa: TRY004  the answer is wrong, not a caller's type
    return found


def said(answer: Answer) -> str:
    """An error's text in one line: the errors the server listed, or all of it."""
    listed = [
        line.strip().removeprefix("* ") for line in answer.text.splitlines() if line.strip()[:2] == "* "
    ]
    words = "; ".join(listed) or " ".join(answer.text.split())
    return words or f"it said nothing and exited with {answer.exit_status}"


def parse_status(body: Mapping[str, Any]) -> Status:
    """``status -format=json``."""
    return Status(
        initialized=bool(body["initialized"]),
        sealed=bool(body["sealed"]),
        version=str(body["version"]),
        storage=str(body.get("storage_type") or ""),
        seal=str(body.get("type") or ""),
        shares=int(body.get("n") or 0),
        threshold=int(body.get("t") or 0),
        cluster_id=str(body.get("cluster_id") or ""),
        active=body.get("is_self") is True,
        active_since=str(body.get("active_time") or ""),
        leader_cluster_address=str(body.get("leader_cluster_address") or ""),
        committed=_index(body, "raft_committed_index"),
        applied=_index(body, "raft_applied_index"),
    )


def _index(body: Mapping[str, Any], name: str) -> int | None:
    value = body.get(name)
    return int(value) if value else None


def parse_peers(body: Mapping[str, Any]) -> tuple[Peer, ...]:
    """``sys/storage/raft/configuration``; ValueError when nobody is in it."""
    rows = body["data"]["config"]["servers"]
    if not rows:
        raise ValueError("the Raft configuration names no server")
    return tuple(
        Peer(str(row["node_id"]), str(row["address"]), bool(row.get("voter")), bool(row.get("leader")))
        for row in rows
    )


def parse_watched(body: Mapping[str, Any]) -> tuple[Watched, ...]:
    """``sys/storage/raft/autopilot/state``."""
    rows = body["data"]["servers"]
    return tuple(
        Watched(
            id=str(row["id"]),
            healthy=bool(row["healthy"]),
            alive=row.get("node_status") == "alive",
            contact=seconds(str(row.get("last_contact") or "")),
            term=int(row.get("last_term") or 0),
            index=int(row.get("last_index") or 0),
            version=str(row.get("version") or ""),
        )
        for row in rows.values()
    )


def parse_key_term(body: Mapping[str, Any]) -> int:
    """``sys/key-status``."""
    return int(body["data"]["term"])


def host_of(address: str) -> str:
    """The host of a URL (``https://[::1]:8200/``); what is no URL has none."""
    place = address.partition("://")[2].partition("/")[0]
    if place.startswith("["):
        return place[1:].partition("]")[0]
    return place.partition(":")[0]


def seconds(text: str) -> float | None:
    """A span as Go writes it (``1m3.5s``); None when it is none."""
    spans = _SPAN.findall(text)
    if not spans or "".join(number + unit for number, unit in spans) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in spans)


def parse_kept(answer: Answer) -> tuple[str, ...]:
    """Lines of ``ls -l``: the paths, with their sizes in words of ``ls``."""
    rows = [line.split() for line in answer.text.splitlines()]
    return tuple(f"{row[-1]} ({row[4]} bytes)" for row in rows if len(row) > 4 and row[4].isdigit())  # noqa: PLR2004  ls -l


def parse_volume(answer: Answer) -> Volume:
    """``df -Pk`` of one folder."""
    if answer.exit_status != 0:
        raise ValueError(said(answer))
    words = answer.text.splitlines()[-1].split()
    at = next((index for index, word in enumerate(words) if word.endswith("%")), 0)
    numbers = words[max(0, at - 3) : at]
    if len(numbers) != 3 or not all(word.lstrip("-").isdigit() for word in numbers):  # noqa: PLR2004  size, used, free
        raise ValueError(f"df answered {answer.text!r}")
    return Volume(size=int(numbers[0]) * 1024, free=int(numbers[2]) * 1024)
