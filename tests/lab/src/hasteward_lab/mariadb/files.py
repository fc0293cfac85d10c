"""The files Galera and its operator keep on a member's volumes."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from pathlib import Path

ZERO = "00000000-0000-0000-0000-000000000000"
GRASTATE, VIEW = "grastate.dat", "gvwstate.dat"
GALERA_CNF, BOOTSTRAP_CNF = "0-galera.cnf", "1-bootstrap.cnf"
_BOOTSTRAP = '[galera]\nwsrep_new_cluster="ON"\n'
_RECOVERED = re.compile(r"WSREP: Recovered position: ([0-9a-f-]{36}):(-?\d+)")


class CorruptError(ValueError):
    """A state file is there and says nothing sensible."""


@dataclass(frozen=True)
class GaleraState:
    """grastate.dat."""

    version: str
    uuid: str
    seqno: int
    safe_to_bootstrap: bool

    @classmethod
    def parse(cls, text: str) -> GaleraState:
        """Read the file; CorruptError when one of the four keys is missing or makes no sense."""
        rows = (line.partition(":") for line in text.splitlines() if not line.startswith("#"))
        found = {key.strip(): value.strip() for key, colon, value in rows if colon}
        try:
            flag = {"0": False, "1": True}[found["safe_to_bootstrap"]]
            return cls(found["version"], str(uuid.UUID(found["uuid"])), int(found["seqno"]), flag)
        except (KeyError, ValueError) as error:
            raise CorruptError(f"invalid galera state: {error}") from None

    def render(self) -> str:
        """The file's content."""
        return (
            f"# GALERA saved state\nversion: {self.version}\nuuid:    {self.uuid}\n"
            f"seqno:   {self.seqno}\nsafe_to_bootstrap: {int(self.safe_to_bootstrap)}\n"
        )

    def to_json(self) -> dict[str, str | int | bool]:
        """As the agent tells it."""
        return {
            "version": self.version,
            "uuid": self.uuid,
            "seqno": self.seqno,
            "safeToBootstrap": self.safe_to_bootstrap,
        }


def read_state(data: Path) -> GaleraState | None:
    """grastate.dat of a data directory; None when it is absent or empty, CorruptError when it is garbage."""
    try:
        text = (data / GRASTATE).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    return GaleraState.parse(text) if text.strip() else None


def write_bootstrap(config: Path) -> None:
    """Let the next start of the server begin a cluster."""
    (config / BOOTSTRAP_CNF).write_text(_BOOTSTRAP, encoding="ascii")


def recovered(log: str) -> tuple[str, int] | None:
    """The last position a `--wsrep-recover` reported."""
    found = _RECOVERED.findall(log)
    return (found[-1][0], int(found[-1][1])) if found else None
