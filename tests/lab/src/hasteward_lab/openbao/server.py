"""What the lab itself asks of an OpenBao server, straight at the pod's address."""

from __future__ import annotations

import ssl
from typing import Any

import aiohttp

from hasteward_lab.openbao.objects import PORT

Object = dict[str, Any]

_PATIENCE = aiohttp.ClientTimeout(total=5)


class RefusedError(Exception):
    """The server answered with an error; the message is its own."""


class Servers:
    """A client of every member, by address."""

    def __init__(self, authority: bytes) -> None:
        self._tls = ssl.create_default_context(cadata=authority.decode())
        # The address changes with the pod; the authority is the cluster's own.
        self._tls.check_hostname = False

    async def call(
        self, address: str, method: str, path: str, body: Object | None = None, token: str = ""
    ) -> Object:
        """One call below `/v1/`; RefusedError when the server says no, OSError or so when it is not there."""
        headers = {"X-Vault-Token": token} if token else {}
        url = f"https://{address}:{PORT}/v1/{path}"
        async with (
            aiohttp.ClientSession(timeout=_PATIENCE) as session,
            session.request(method, url, json=body, headers=headers, ssl=self._tls) as answer,
        ):
            text = await answer.text()
            if answer.status >= 400 and not path.startswith("sys/health"):
                raise RefusedError(f"{method} {path}: {answer.status} {text.strip()}")
            found: Object = await answer.json(content_type=None) if text else {}
            return found
