"""Reading a fact so that a failure never becomes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from hasteward.domain.errors import HastewardError
from hasteward.domain.reading import Forbidden, Known, Unread
from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import ApiForbidden

T = TypeVar("T")

#: a member that does not answer a short question for this long is not read; a dump may wait longer
_STALL_SECONDS = 30.0


def attempt(source: str, read: Callable[[], T]) -> Known[T] | Unread:
    """What `read` returns, or why it could not: a failure is never a fact."""
    try:
        return Known(read(), source)
    except ApiForbidden as error:
        return Forbidden(f"{source}: {error.message}")
    except HastewardError as error:
        return Unread(f"{source}: {error.message}")
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        return Unread(f"{source}: the answer was not understood ({error})")


def short(context: EngineContext) -> EngineContext:
    """The context for short questions."""
    stall = min(_STALL_SECONDS, context.tuning.stall_seconds)
    return replace(context, tuning=replace(context.tuning, stall_seconds=stall))
