"""Runs one verb and delivers its answer or its failure in the form that was asked for."""

from __future__ import annotations

import itertools
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hasteward.domain.errors import ExitCode, HastewardError, Interrupted, WrongPassword

if TYPE_CHECKING:
    from hasteward.cli.parser import Invocation
    from hasteward.cli.render.console import Console
    from hasteward.cli.session import Session
    from hasteward.cli.verb import Answer
    from hasteward.wiring import Factories


def run(asked: Invocation, factories: Factories | None, environ: Mapping[str, str]) -> int:
    """Run it. Errors before there is a session go up to `main`; later ones are delivered here."""
    from hasteward.adapters.system import SystemClock
    from hasteward.cli import reporting
    from hasteward.cli.parser import settings_of
    from hasteward.cli.session import Session
    from hasteward.config.resolve import resolve

    names = (setting.name for setting in settings_of(asked.verb))
    settings = resolve(names, asked.given, environ, asked.engines, asked.known_options)
    clock = factories.clock() if factories else SystemClock()
    session = Session(asked.command, settings, clock=clock, arguments=asked.arguments, factories=factories)
    try:
        reporting.check(session)
        if asked.verb.observed:
            session.observers.before_run()
        answer = asked.verb.run(session)
    except KeyboardInterrupt as error:
        return _fail(session, Interrupted(f"stopped by {getattr(error, 'signal_name', 'SIGINT')}"))
    except Exception as error:  # noqa: BLE001  the edge: everything ends as one line and a status
        return _fail(session, error)
    return _deliver(session, answer)


def _deliver(session: Session, answer: Answer) -> int:
    from hasteward.cli import reporting
    from hasteward.cli.render.console import Mode

    session.journal.close()
    reporting.ended(session, answer.exit_code, answer.data, None)
    console = session.console
    try:
        if console.mode is Mode.HUMAN and answer.to_stderr:
            console.note(answer.human(answer.data, console.paint_notes))
        elif console.mode is Mode.HUMAN:
            console.answer(answer.human(answer.data, console.paint))
        else:
            _print(session, answer.exit_code, answer.data, None)
    except BrokenPipeError:
        # whoever read us has stopped; the interpreter must not complain about it at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return answer.exit_code or ExitCode.FAILED
    return answer.exit_code


def _fail(session: Session, error: Exception) -> int:
    from hasteward.cli import reporting
    from hasteward.cli.render.console import Mode

    session.journal.close()
    known = _known(error)
    if isinstance(known, WrongPassword) and session.password_source:
        known.hint = f"the password was taken from {session.password_source}; give this repository's own"
    reporting.ended(session, known.exit_code, None, known)
    if session.console.mode is not Mode.HUMAN:
        _print(session, known.exit_code, None, known)
    _say(session.console, known, error)
    return known.exit_code


def _print(session: Session, code: ExitCode, data: Any, error: HastewardError | None) -> None:
    from hasteward.cli import reporting
    from hasteward.cli.render.envelope import print_envelope

    print_envelope(session.console, reporting.envelope_of(session, code, data, error))


def failed(error: Exception, arguments: Sequence[str]) -> int:
    """Deliver a failure from before the settings were known, in the form that was probably asked for."""
    from hasteward.cli.render.console import Console, Log, Mode
    from hasteward.cli.session import hide_environment

    known = _known(error)
    mode = Mode.HUMAN
    wanted = _peek(arguments, "--output", "HASTEWARD_OUTPUT")
    if wanted in set(Mode):
        mode = Mode(wanted)
    verbose = not {"-v", "--verbose"}.isdisjoint(arguments)
    log = None
    if _peek(arguments, "--log-format", "HASTEWARD_LOG_FORMAT") == "json":
        from hasteward.adapters.system import SystemClock

        log = Log({"command": _command(arguments), "run": ""}, SystemClock().now)
    console = Console(mode, color=not os.environ.get("NO_COLOR"), verbose=verbose, log=log)
    hide_environment(console)
    if mode is not Mode.HUMAN:
        _early_envelope(console, arguments, known)
    _say(console, known, error)
    return known.exit_code


def _peek(arguments: Sequence[str], flag: str, variable: str) -> str:
    for word, following in itertools.pairwise([*arguments, ""]):
        if word == flag:
            return following
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return os.environ.get(variable, "")


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


def _early_envelope(console: Console, arguments: Sequence[str], error: HastewardError) -> None:
    from hasteward.adapters.system import SystemClock
    from hasteward.cli.render.envelope import envelope, print_envelope
    from hasteward.cli.reporting import category

    made = envelope(
        command=_command(arguments),
        run="",
        exit_code=error.exit_code,
        begun=SystemClock().now(),
        duration_ms=0,
        warnings=(),
        errors=((error, category(error)),),
        data=None,
    )
    print_envelope(console, made)
