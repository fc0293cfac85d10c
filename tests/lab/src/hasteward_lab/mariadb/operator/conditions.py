"""The conditions of a MariaDB and the words that stand in them."""

from __future__ import annotations

from typing import Any

from hasteward_lab.api.store import now

Object = dict[str, Any]


def set_condition(status: Object, kind: str, value: str, reason: str, message: str) -> None:
    """Set a condition; its time changes with its value only."""
    rows = status.setdefault("conditions", [])
    row = {"type": kind, "status": value, "reason": reason, "message": message}
    for index, old in enumerate(rows):
        if old["type"] == kind:
            moment = old["lastTransitionTime"] if old["status"] == value else now()
            rows[index] = {**row, "lastTransitionTime": moment}
            return
    rows.append({**row, "lastTransitionTime": now()})


def galera_ready(status: Object) -> None:
    """The cluster is whole: the latch is open."""
    set_condition(status, "GaleraReady", "True", "GaleraReady", "Galera ready")
    set_condition(status, "GaleraConfigured", "True", "GaleraConfigured", "Galera configured")


def latch(status: Object) -> None:
    """The cluster is to be recovered."""
    set_condition(status, "GaleraReady", "False", "GaleraNotReady", "Galera not ready")
    set_condition(status, "Ready", "False", "GaleraNotReady", "Galera not ready")


def ready(status: Object, value: str, reason: str, message: str) -> None:
    """What the columns of `kubectl get mariadb` show."""
    set_condition(status, "Ready", value, reason, message)
