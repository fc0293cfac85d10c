"""Declared tablespaces: a folder on each instance's own volume, made known on the primary."""

from __future__ import annotations

from typing import Any

from . import wire
from .server import Server
from .settings import TABLESPACES


def make_folders(cluster: dict[str, Any]) -> None:
    """Make the folders, on every instance and before its server starts: replay needs them."""
    for row in cluster.get("spec", {}).get("tablespaces") or []:
        folder = TABLESPACES / row["name"] / "data"
        if folder.parent.exists():
            folder.mkdir(mode=0o700, exist_ok=True)


def declared(cluster: dict[str, Any]) -> list[dict[str, str]]:
    """The status of all declared ones once they are there."""
    return [
        {
            "name": row["name"],
            "owner": (row.get("owner") or {}).get("name", "postgres"),
            "state": "reconciled",
        }
        for row in cluster.get("spec", {}).get("tablespaces") or []
    ]


def make(server: Server, rows: list[dict[str, str]]) -> None:
    """Make those that are missing; ServerError while the server cannot."""
    there = {row[0] for row in server.sql("SELECT spcname FROM pg_tablespace")}
    for row in rows:
        if row["name"] not in there:
            folder = TABLESPACES / row["name"] / "data"
            with wire.Connection(timeout=30.0) as connection:
                connection.query(
                    f'CREATE TABLESPACE "{row["name"]}" OWNER "{row["owner"]}" LOCATION \'{folder}\''
                )
