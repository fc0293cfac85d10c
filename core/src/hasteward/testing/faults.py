"""What goes wrong, and when: hang one of these into `on_call` of the fakes.

A sweep asks for every k in turn::

    for k in itertools.count(1):
        fault = FailNth(k, ApiUnavailable("503"))
        world.on_call = fault
        ...
        if not fault.struck:
            break
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hasteward.domain.errors import DependencyError, HastewardError
from hasteward.ports.kubernetes import ApiUnavailable, StreamBroken


class Killed(BaseException):
    """Our process is dead from here on. No `except Exception` sees it, as none sees a SIGKILL."""


@dataclass(slots=True)
class FailNth:
    """Fails the `nth` call (from 1) whose name contains `match`; all others work.

    Without an `error` it is the one that the real port would raise there: a lost stream within an exec, an
    API server or a store that is not available. `calls` are the names of all matching calls so far.
    """

    nth: int
    error: HastewardError | None = None
    match: str = ""
    calls: list[str] = field(default_factory=list)
    struck: str = ""

    def __call__(self, call: str) -> None:
        """Count, and fail when it is time."""
        if self.match not in call:
            return
        self.calls.append(call)
        if len(self.calls) == self.nth:
            self.struck = call
            raise self.error or usual_error(call)


@dataclass(slots=True)
class KillNth:
    """Kills our process before the `nth` call (from 1); a dead process makes no further call.

    Whatever a `finally` still tries against the fakes dies too, so nothing is tidied up that would not be.
    """

    nth: int
    calls: list[str] = field(default_factory=list)
    struck: str = ""

    def __call__(self, call: str) -> None:
        """Count, and die when it is time."""
        self.calls.append(call)
        if len(self.calls) >= self.nth:
            self.struck = self.struck or call
            raise Killed(f"killed before {self.struck}")


@dataclass(slots=True)
class Counter:
    """Fails nothing and keeps the names of all calls."""

    calls: list[str] = field(default_factory=list)

    def __call__(self, call: str) -> None:
        """Remember."""
        self.calls.append(call)


def usual_error(call: str) -> HastewardError:
    """What the real port raises when this call fails."""
    if call.startswith("exec."):
        return StreamBroken(f"injected: the connection was lost at {call}")
    if " " in call or call == "exec":
        return ApiUnavailable(f"injected: the API server did not answer {call}")
    return DependencyError(f"injected: the store failed at {call}", code="restic.failed")
