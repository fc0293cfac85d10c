"""``hasteward completion SHELL``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hasteward.cli.verb import Answer, Argument, Verb

if TYPE_CHECKING:
    from hasteward.cli.render.console import Paint
    from hasteward.cli.session import Session

SHELLS = ("bash", "zsh", "fish")


def _text(data: Any, _paint: Paint) -> Iterable[str]:
    yield data["script"]


def _run(session: Session) -> Answer:
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # re-exported unsaid

    script = get_completion_script(
        prog_name="hasteward", complete_var="_HASTEWARD_COMPLETE", shell=session.arguments["shell"]
    )
    return Answer({"script": script}, _text)


VERB = Verb(
    _run,
    "Load it at once with `source <(hasteward completion bash)`, or for good:\n\n"
    "hasteward completion bash > ~/.local/share/bash-completion/completions/hasteward",
    argument=Argument("shell", SHELLS),
)
