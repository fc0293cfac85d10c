"""How an instance manager reaches the API: the Cluster, its status and the Lease, over the pod's network."""

from __future__ import annotations

import json
import socket
from typing import Any

from .settings import Settings

Object = dict[str, Any]


class DoorError(Exception):
    """The API did not answer, or refused."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def request(
    address: tuple[str, int], method: str, path: str, body: Object | None = None, **more: Any
) -> tuple[int, bytes]:
    """One plain HTTP exchange; small on purpose: the big libraries double the start-up time."""
    data = b"" if body is None else json.dumps(body).encode()
    token, timeout = more.get("token", ""), more.get("timeout", 5.0)
    head = (
        f"{method} {path} HTTP/1.0\r\nHost: {address[0]}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    with socket.create_connection(address, timeout=min(timeout, 5.0)) as connection:
        connection.settimeout(timeout)
        connection.sendall(head.encode() + data)
        with connection.makefile("rb") as stream:
            answer = stream.read()
    header, _, payload = answer.partition(b"\r\n\r\n")
    parts = header.split(b" ", 2)
    if len(parts) < 2:
        raise OSError("the API closed the connection")
    return int(parts[1]), payload


class Door:
    """The API as one instance manager sees it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def cluster(self, since: str = "", wait: float = 0.0, patience: float = 5.0) -> Object | None:
        """The Cluster and the lab's settings; with `since`, only once there is a newer version."""
        code, payload = self._call("GET", f"/v1/cluster?since={since}&wait={wait}", timeout=wait + patience)
        if code == 204:
            return None
        found: Object = json.loads(payload)
        return found

    def patch_status(self, fields: Object, version: str) -> None:
        """Merge fields into the status, if the Cluster is still at that version; DoorError 409 if not."""
        self._call("POST", "/v1/status", {"resourceVersion": version, "status": fields})

    def lease(self) -> Object | None:
        """The Lease of the primary."""
        code, payload = self._call("GET", "/v1/lease", allowed=404)
        return None if code == 404 else json.loads(payload)

    def put_lease(self, lease: Object) -> None:
        """Write the Lease; DoorError 409 when another was faster."""
        self._call("PUT", "/v1/lease", lease)

    def initial_sql(self) -> list[str]:
        """What a new primary is told to set up."""
        rows: list[str] = json.loads(self._call("GET", "/v1/initial-sql")[1])
        return rows

    def set_condition(self, kind: str, holds: bool, reason: str, message: str) -> None:
        """Set one condition of the Cluster."""
        row = {"type": kind, "status": "True" if holds else "False", "reason": reason, "message": message}
        self._call("POST", "/v1/condition", row)

    def put_quorum(self, status: Object) -> None:
        """Tell what a quorum failover has to know; nothing happens where the object is not there."""
        self._call("PUT", "/v1/quorum", status)

    def _call(
        self, method: str, path: str, body: Object | None = None, *, timeout: float = 5.0, allowed: int = 200
    ) -> tuple[int, bytes]:
        settings = self._settings
        try:
            code, payload = request(
                settings.door, method, path, body, token=f"{settings.token}/{settings.pod}", timeout=timeout
            )
        except OSError as error:
            raise DoorError(0, f"the API does not answer: {error}") from None
        if code not in {200, 204, allowed}:
            raise DoorError(code, payload.decode(errors="replace")[:200])
        return code, payload
