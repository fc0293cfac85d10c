"""Asks every instance for its status, live, and puts the most advanced first."""

from __future__ import annotations

import asyncio
import json
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hasteward_lab.postgres.operator.view import Object, name_of, ready

if TYPE_CHECKING:
    from hasteward_lab.postgres.config import Certificates

_PORT, _TIMEOUT = 8000, 3.0


@dataclass(frozen=True)
class Report:
    """What one instance said; `said` is None when it could not be asked or refused."""

    name: str
    pod_ready: bool
    said: Object | None
    error: str = ""

    @property
    def primary(self) -> bool:
        """Say whether it calls itself a primary."""
        return bool(self.said and self.said.get("isPrimary"))

    @property
    def unavailable(self) -> bool:
        """Say whether it is down by design, as a fenced one is."""
        return bool(self.said and self.said.get("mightBeUnavailable"))

    @property
    def receiving(self) -> bool:
        """Say whether it still receives WAL from somebody."""
        return bool(self.said and self.said.get("isWalReceiverActive"))

    def lsn(self, field: str) -> int:
        """A position in the log as a number; -1 when there is none."""
        return parse_lsn(str((self.said or {}).get(field, "")))


def parse_lsn(text: str) -> int:
    """A position in the log as a number; -1 for what is none."""
    high, _, low = text.partition("/")
    try:
        return (int(high, 16) << 32) + int(low, 16)
    except ValueError:
        return -1


def order(reports: list[Report]) -> list[Report]:
    """Who answered first; then primaries; then by received and by replayed WAL; then by name."""
    return sorted(
        reports,
        key=lambda row: (
            row.said is None,
            not row.primary,
            -row.lsn("receivedLsn"),
            -row.lsn("replayLsn"),
            row.name,
        ),
    )


class Poller:
    """The operator's HTTPS client, with its own certificate."""

    def __init__(self, certificates: Certificates) -> None:
        self._tls = ssl.create_default_context(cadata=certificates.authority.certificate.decode())
        # Pods are reached by address; the certificate names the service.
        self._tls.check_hostname = False
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "operator.pem"
            path.touch(mode=0o600)
            path.write_bytes(certificates.operator.certificate + certificates.operator.key)
            self._tls.load_cert_chain(path)

    async def ask(self, pods: tuple[Object, ...]) -> list[Report]:
        """Ask all of them at once."""
        return order(list(await asyncio.gather(*(self._one(pod) for pod in pods))))

    async def _one(self, pod: Object) -> Report:
        name, is_ready = name_of(pod), ready(pod)
        address = pod.get("status", {}).get("podIP", "")
        try:
            async with asyncio.timeout(_TIMEOUT):
                code, body = await self._get(address, "/pg/status")
        except (OSError, TimeoutError, ValueError, IndexError) as error:
            return Report(name, is_ready, None, str(error) or type(error).__name__)
        if code != 200:
            return Report(name, is_ready, None, body.decode(errors="replace"))
        said: dict[str, Any] = json.loads(body)
        return Report(name, is_ready, said)

    async def _get(self, address: str, path: str) -> tuple[int, bytes]:
        if not address:
            raise OSError("the pod has no address yet")
        reader, writer = await asyncio.open_connection(address, _PORT, ssl=self._tls)
        try:
            writer.write(f"GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
            data = await reader.read()
        finally:
            writer.close()
        head, _, body = data.partition(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1]), body
