"""Which pod a cluster is begun again from: the operator's choice, with what is wrong with it."""

from __future__ import annotations

from typing import Any

from hasteward_lab.mariadb.files import ZERO
from hasteward_lab.mariadb.level import Level

Object = dict[str, Any]


class NoSourceError(Exception):
    """Nothing to begin from; the message is the operator's."""


def choose(recovery: Object, pods: list[str], level: Level) -> tuple[str, Object]:
    """The pod and its position. UUIDs are never compared between pods, at either level."""
    states, found = recovery.get("state") or {}, recovery.get("recovered") or {}
    if not _complete(states, found, pods, level):
        raise NoSourceError("recovery status not completed")
    if not level.skips_empty:
        for pod in pods:
            if states.get(pod, {}).get("safeToBootstrap"):
                return pod, states[pod]
    best: tuple[str, Object] | None = None
    for pod in pods:
        if level.skips_empty and (_empty(states.get(pod)) or _empty(found.get(pod))):
            continue
        for row in (states.get(pod), found.get(pod)):
            # Ties go to the highest ordinal.
            if row and row["seqno"] >= 0 and (best is None or row["seqno"] >= best[1]["seqno"]):
                best = pod, row
    if best is None:
        raise NoSourceError("bootstrap source not found")
    return best


def _complete(states: Object, found: Object, pods: list[str], level: Level) -> bool:
    for state in states.values():
        if state["safeToBootstrap"] and (state["seqno"] >= 0 or not level.skips_empty):
            return True
    skipped = [pod for pod in pods if _empty(found.get(pod))]
    known = [pod for pod in pods if _seqno(states, pod) >= 0 or _seqno(found, pod) >= 0 or pod in skipped]
    return len(known) == len(pods) and len(skipped) < len(pods)


def _empty(row: Object | None) -> bool:
    return row is not None and row["uuid"] == ZERO and row["seqno"] == -1


def _seqno(rows: Object, pod: str) -> int:
    return int(rows.get(pod, {}).get("seqno", -1))
