"""Runs one verb and delivers its answer or its failure in the form that was asked for."""

from __future__ import annotations

import itertools
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hasteward.domain.errors import (
    DependencyError,
    ExitCode,
    HastewardError,
    Interrupted,
    InvalidInput,
    PermissionDenied,
    Refused,
    RepositoryLocked,
    RepositoryMissing,
    Unproven,
    WrongPassword,
)

if TYPE_CHECKING:
    from hasteward.cli.parser import Invocation
    from hasteward.cli.render.console import Console
    from hasteward.cli.session import Session
    from hasteward.cli.verb import Answer
    from hasteward.wiring import Factories

#: the first class that fits gives the category
_CATEGORIES: tuple[tuple[type[HastewardError], str], ...] = (
    (InvalidInput, "validation"),
    (PermissionDenied, "permission"),
    (DependencyError, "dependency"),
    (RepositoryLocked, "transient"),
    (RepositoryMissing, "environment"),
    (WrongPassword, "environment"),
    (Refused, "safety"),
    (Unproven, "proof"),
    (Interrupted, "interrupted"),
)


def run(asked: Invocation, factories: Factories | None, environ: Mapping[str, str]) -> int:
    """Run it. Errors before there is a session go up to `main`; later ones are delivered here."""
    from hasteward.adapters.system import SystemClock
    from hasteward.cli.parser import settings_of
    from hasteward.cli.render.console import Console, Mode
    from hasteward.cli.session import Session
    from hasteward.config.resolve import resolve

    names = (setting.name for setting in settings_of(asked.verb))
    settings = resolve(names, asked.given, environ, asked.engines, asked.known_options)
    console = Console(
        Mode(settings.text("output")),
        color=not settings.flag("no_color"),
        verbose=settings.flag("verbose"),
    )
    clock = factories.clock() if factories else SystemClock()
    session = Session(
        asked.command,
        settings,
        console,
        clock=clock,
        arguments=asked.arguments,
        factories=factories,
    )
    try:
        answer = asked.verb.run(session)
    except KeyboardInterrupt as error:
        return _fail(session, Interrupted(f"stopped by {getattr(error, 'signal_name', 'SIGINT')}"))
    except Exception as error:  # noqa: BLE001  the edge: everything ends as one line and a status
        return _fail(session, error)
    return _deliver(session, answer)


def _deliver(session: Session, answer: Answer) -> int:
    from hasteward.cli.render.console import Mode

    session.journal.close()
    console = session.console
    try:
        if console.mode is Mode.HUMAN and answer.to_stderr:
            console.note(answer.human(answer.data, console.paint_notes))
        elif console.mode is Mode.HUMAN:
            console.answer(answer.human(answer.data, console.paint))
        else:
            _envelope(session, answer.exit_code, answer.data, ())
    except BrokenPipeError:
        # whoever read us has stopped; the interpreter must not complain about it at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return answer.exit_code or ExitCode.FAILED
    return answer.exit_code


def _fail(session: Session, error: Exception) -> int:
    from hasteward.cli.render.console import Mode

    session.journal.close()
    known = _known(error)
    if isinstance(known, WrongPassword) and session.password_source:
        known.hint = f"the password was taken from {session.password_source}; give this repository's own"
    if session.console.mode is not Mode.HUMAN:
        _envelope(session, known.exit_code, None, (known,))
    _say(session.console, known, error)
    return known.exit_code


def failed(error: Exception, arguments: Sequence[str]) -> int:
    """Deliver a failure from before the settings were known, in the form that was probably asked for."""
    from hasteward.cli.render.console import Console, Mode

    known = _known(error)
    mode = Mode.HUMAN
    wanted = _peek(arguments)
    if wanted in set(Mode):
        mode = Mode(wanted)
    verbose = not {"-v", "--verbose"}.isdisjoint(arguments)
    console = Console(mode, color=not os.environ.get("NO_COLOR"), verbose=verbose)
    if mode is not Mode.HUMAN:
        _early_envelope(console, arguments, known)
    _say(console, known, error)
    return known.exit_code


def _peek(arguments: Sequence[str]) -> str:
    for word, following in itertools.pairwise([*arguments, ""]):
        if word == "--output":
            return following
        if word.startswith("--output="):
            return word.partition("=")[2]
    return os.environ.get("HASTEWARD_OUTPUT", "")


def _command(arguments: Sequence[str]) -> str:
    """The verb that was probably meant. Only known words: any other may be the value of a flag, a secret."""
    from hasteward.cli.verb import VERBS

    words = " ".join(arguments).split()
    return next((verb for verb in VERBS if set(verb.split()) <= set(words)), "")


def _known(error: Exception) -> HastewardError:
    """The error as something with a code and a status."""
    if isinstance(error, HastewardError):
        return error
    text = " ".join(str(error).split())
    return HastewardError(
        f"internal error: {type(error).__name__}: {text}".rstrip(": "),
        hint="run it again with --verbose and report what it prints",
        code="internal",
    )


def _say(console: Console, known: HastewardError, error: Exception) -> None:
    hint = known.hint
    if known.code == "internal" and console.verbose:
        console.note("".join(traceback.format_exception(error)).splitlines())
        hint = "report this"
    console.error(known.message, hint)


def category(error: HastewardError) -> str:
    """The stable word for the kind of an error."""
    if error.code == "internal":
        return "internal"
    if error.exit_code == ExitCode.USAGE:
        return "user"
    return next((word for kind, word in _CATEGORIES if isinstance(error, kind)), "failed")


def _envelope(session: Session, code: ExitCode, data: Any, errors: Sequence[HastewardError]) -> None:
    from hasteward.cli.render.envelope import print_envelope

    print_envelope(
        session.console,
        command=session.command,
        run=session.run.id,
        exit_code=code,
        begun=session.begun,
        duration_ms=round((session.clock.monotonic() - session.begun_monotonic) * 1000),
        warnings=tuple(session.journal.warnings),
        errors=tuple((error, category(error)) for error in errors),
        data=data,
    )


def _early_envelope(console: Console, arguments: Sequence[str], error: HastewardError) -> None:
    from hasteward.adapters.system import SystemClock
    from hasteward.cli.render.envelope import print_envelope

    print_envelope(
        console,
        command=_command(arguments),
        run="",
        exit_code=error.exit_code,
        begun=SystemClock().now(),
        duration_ms=0,
        warnings=(),
        errors=((error, category(error)),),
        data=None,
    )
