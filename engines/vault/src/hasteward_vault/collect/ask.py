"""Runs the scripts of `facts.shell` in a member's container; every answer is a proven capture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from hasteward.domain.errors import HastewardError, RunFailed
from hasteward.domain.reading import Known, Unread
from hasteward.kit.streaming import capture
from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import ApiForbidden, PodRef
from hasteward_vault.collect.token import Access
from hasteward_vault.evidence import Forbidden
from hasteward_vault.facts.answers import Answer, split_answers

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
        return Unread(f"{source}: {error}")


def short(context: EngineContext) -> EngineContext:
    """The context for short questions."""
    stall = min(_STALL_SECONDS, context.tuning.stall_seconds)
    return replace(context, tuning=replace(context.tuning, stall_seconds=stall))


def script(text: str, *arguments: str) -> list[str]:
    """A script as a command; what it prints is the same in every locale."""
    return ["env", "LC_ALL=C", "sh", "-c", text, "sh", *arguments]


def ask(
    context: EngineContext, pod: PodRef, text: str, *arguments: str, access: Access | None = None
) -> Mapping[str, Answer]:
    """Run a script that answers in parts; RunFailed when it could not."""
    words = access.words if access else ()
    answer = capture(
        short(context),
        pod,
        script(text, *words, *arguments),
        feed=access.feed if access else "",
    )
    if answer.exit_status != 0:
        said = " ".join(answer.stderr.split()) or f"exit status {answer.exit_status}"
        raise RunFailed(f"{pod.name} cannot be asked: {said}", code="vault.ask")
    return split_answers(answer.stdout.decode("utf-8", "replace"))
