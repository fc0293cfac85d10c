"""A machine without Kubernetes as engines see it: commands are run there through a prefix."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from hasteward.domain.errors import DependencyError
from hasteward.ports.kubernetes import ExecStream, PodRef


@dataclass(frozen=True, slots=True)
class HostRef:
    """Where commands run: behind these words (``docker exec -i shop-db``), or here when there are none."""

    prefix: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join(self.prefix) or "this host"


#: where a command can be run
Place = PodRef | HostRef


class Host(Protocol):
    """Runs commands on a `HostRef`; the stream is that of an exec in a pod, and the same proof holds."""

    def run(
        self, host: HostRef, argv: Sequence[str], *, stall_seconds: float
    ) -> AbstractContextManager[ExecStream]:
        """Start a process; leaving the context ends it, whatever happened.

        Raises DependencyError when the prefix's program is not there. No environment variable that could
        hold a secret reaches the process.
        """

    def lock(self, host: HostRef) -> AbstractContextManager[None]:
        """Keep other runs of this user on this machine off `host`. Raises Refused (``lock.held``).

        The lock is gone when the process that holds it is.
        """


class NoHost:
    """For runs that have a cluster: there is no host to run anything on."""

    def run(
        self, host: HostRef, argv: Sequence[str], *, stall_seconds: float
    ) -> AbstractContextManager[ExecStream]:
        """Refuse."""
        del argv, stall_seconds
        raise DependencyError(f"this run was given no way to start processes on {host}", code="host.none")

    def lock(self, host: HostRef) -> AbstractContextManager[None]:
        """Refuse."""
        raise DependencyError(f"this run was given no way to lock {host}", code="host.none")
