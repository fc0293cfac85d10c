"""What goes wrong, and when: hang one of these into `on_call` of the fakes, or of a whole `World`.

A sweep asks for every k in turn, until k is beyond the last call::

    for k in itertools.count(1):
        world = make_world()
        world.on_call = fault = FailNth(k)
        ...
        if not fault.struck:
            break
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hasteward.domain.errors import HastewardError, RunFailed
from hasteward.ports.kubernetes import (
    ApiConflict,
    ApiForbidden,
    ApiNotFound,
    ApiUnauthorized,
    ApiUnavailable,
    StreamBroken,
    StreamStalled,
)

#: the error for a call, by its name; None where this kind of failure cannot happen
Failure = Callable[[str], HastewardError | None]

_WRITES = ("create ", "replace ", "patch ", "delete ")


class Killed(BaseException):
    """Our process is dead from here on. No `except Exception` sees it, as none sees a SIGKILL."""


def asks_api(call: str) -> bool:
    """Whether the call goes to the API server, and not into a stream or to the store."""
    return " " in call or call == "exec"


def away(call: str) -> HastewardError:
    """What the real port raises when the other side is not there."""
    if call.startswith("exec."):
        return StreamBroken(f"injected: the connection was lost at {call}")
    if asks_api(call) or call == "watch.event":
        return ApiUnavailable(f"injected: the API server did not answer {call}")
    return RunFailed(f"injected: the store failed at {call}", code="restic.failed")


def stalled(call: str) -> HastewardError | None:
    """Nothing moves in a stream any more."""
    return StreamStalled(f"injected: nothing moved at {call}") if call.startswith("exec.") else None


def forbidden(call: str) -> HastewardError | None:
    """403."""
    return ApiForbidden(f"injected: not allowed to {call}") if asks_api(call) else None


def unauthorized(call: str) -> HastewardError | None:
    """401."""
    return ApiUnauthorized(f"injected: no credentials to {call}") if asks_api(call) else None


def conflict(call: str) -> HastewardError | None:
    """409: somebody else was faster."""
    return ApiConflict(f"injected: conflict at {call}") if call.startswith(_WRITES) else None


def pod_gone(call: str) -> HastewardError | None:
    """The pod went between its choice and the exec."""
    return ApiNotFound("injected: the pod does not exist") if call == "exec" else None


#: what a sweep tries at every call; streams are lost by a `StreamFault`, which knows more ways
FAILURES: Mapping[str, Failure] = {
    "away": away,
    "forbidden": forbidden,
    "unauthorized": unauthorized,
    "conflict": conflict,
    "pod gone": pod_gone,
}


@dataclass(slots=True)
class FailNth:
    """Fails the `nth` call (from 1) that can fail this way and whose name contains `match`.

    `failure` is an error, or chooses one by the call. `calls` are the names of all calls that counted.
    """

    nth: int
    failure: HastewardError | Failure = away
    match: str = ""
    calls: list[str] = field(default_factory=list)
    struck: str = ""

    def __call__(self, call: str) -> None:
        """Count, and fail when it is time."""
        error = self.failure if isinstance(self.failure, HastewardError) else self.failure(call)
        if error is None or self.match not in call:
            return
        self.calls.append(call)
        if len(self.calls) == self.nth:
            self.struck = call
            raise error


@dataclass(slots=True)
class KillNth:
    """Kills our process before the `nth` call (from 1); a dead process makes no further call.

    Whatever a `finally` still tries against the fakes dies too: nothing is tidied up that would not be.
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
