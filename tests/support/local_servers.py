"""What tests with servers of their own on this machine share."""

from __future__ import annotations

import socket

#: of every MariaDB and MySQL
_OWN_SCHEMAS = {"information_schema", "performance_schema", "mysql", "sys"}


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


def of_users(schemas: str) -> list[str]:
    """What SHOW DATABASES says, without the server's own."""
    return [name for name in schemas.splitlines() if name not in _OWN_SCHEMAS]
