"""Runs the scripts of `facts.shell` in a member's container; every answer is a proven capture."""

from __future__ import annotations

from collections.abc import Mapping

from hasteward.domain.errors import RunFailed
from hasteward.kit.answers import Answer, split_answers
from hasteward.kit.reading import short
from hasteward.kit.streaming import capture
from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import PodRef
from hasteward_vault.collect.token import Access


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
