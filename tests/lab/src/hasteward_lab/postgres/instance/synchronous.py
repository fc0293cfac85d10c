"""Synchronous replication as the Cluster declares it, and what a quorum failover has to know of it."""

from __future__ import annotations

from typing import Any


def standbys(cluster: dict[str, Any]) -> tuple[str, int, list[str]]:
    """Method, number and names; no names where nothing is declared or nobody is there."""
    wish = cluster.get("spec", {}).get("postgresql", {}).get("synchronous") or {}
    status = cluster.get("status", {})
    if not wish:
        return "", 0, []
    members = [name for name in status.get("instanceNames", []) if name != status.get("currentPrimary")]
    if wish.get("dataDurability", "required") == "preferred":
        healthy = status.get("instancesStatus", {}).get("healthy", [])
        members = [name for name in members if name in healthy]
    members = members[: wish.get("maxStandbyNamesFromCluster", len(members))]
    names = [*wish.get("standbyNamesPre", []), *members, *wish.get("standbyNamesPost", [])]
    number = int(wish.get("number", 1))
    if wish.get("dataDurability") == "preferred":
        # Rather commit alone than not at all.
        number = min(number, len(names))
    return str(wish.get("method", "any")).upper(), number, names


def setting(cluster: dict[str, Any]) -> str:
    """The value of synchronous_standby_names."""
    method, number, names = standbys(cluster)
    if not names or not number:
        return ""
    quoted = ",".join(f'"{name}"' for name in names)
    return f"{method} {number} ({quoted})"


def quorum(cluster: dict[str, Any]) -> dict[str, Any] | None:
    """What the primary reports for a quorum failover; None where none is asked for."""
    wish = cluster.get("spec", {}).get("postgresql", {}).get("synchronous") or {}
    if not wish.get("failoverQuorum"):
        return None
    method, number, names = standbys(cluster)
    primary = cluster.get("status", {}).get("currentPrimary", "")
    return {"method": method, "primary": primary, "standbyNumber": number, "standbyNames": names}
