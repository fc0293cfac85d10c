"""For ``--verbose``: every call that goes out, what it was about and how long it took.

Only names are told: kinds, objects, snapshots, paths. Bodies, argument vectors and answers are not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hasteward.domain.errors import HastewardError
from hasteward.ports.context import Clock
from hasteward.ports.kubernetes import PodRef, Resource

_LONGEST = 80


def word(argument: object) -> str:
    """What may be told of an argument, "" if nothing."""
    match argument:
        case Resource():
            return argument.title
        case PodRef():
            return f"{argument} {argument.container}"
        case str() if len(argument) <= _LONGEST and argument.isprintable():
            return argument
        case _:
            return ""


class Traced:
    """Passes everything on to `inner`, and tells `say` of every call once it has returned or failed."""

    def __init__(self, name: str, inner: Any, say: Callable[[str], None], clock: Clock) -> None:
        self._name = name
        self._inner = inner
        self._say = say
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._inner, name)
        return self._told(name, member) if callable(member) else member

    def _told(self, name: str, member: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            words = [self._name, name, *map(word, arguments)]
            about = " ".join(one for one in words if one)
            began = self._clock.monotonic()
            try:
                answer = member(*arguments, **named)
            except HastewardError as error:
                self._say(f"{about}: {error.code} after {self._clock.monotonic() - began:.3f} s")
                raise
            self._say(f"{about}: {self._clock.monotonic() - began:.3f} s")
            return answer

        return call
