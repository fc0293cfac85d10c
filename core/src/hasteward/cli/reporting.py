"""The end of a run as scripts, observers and files are told of it."""

from __future__ import annotations

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
from hasteward.domain.events import Warned

if TYPE_CHECKING:
    from hasteward.cli.render.shapes import Envelope
    from hasteward.cli.session import Session

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


def category(error: HastewardError) -> str:
    """The stable word for the kind of an error."""
    if error.code == "internal":
        return "internal"
    if error.exit_code == ExitCode.USAGE:
        return "user"
    return next((word for kind, word in _CATEGORIES if isinstance(error, kind)), "failed")


def envelope_of(session: Session, code: ExitCode, data: Any, error: HastewardError | None) -> Envelope:
    """The envelope as it stands now; warnings may still be added."""
    from hasteward.cli.render.envelope import envelope

    return envelope(
        command=session.command,
        run=session.run.id,
        exit_code=code,
        begun=session.begun,
        duration_ms=round((session.clock.monotonic() - session.begun_monotonic) * 1000),
        warnings=tuple(session.journal.warnings),
        errors=((error, category(error)),) if error else (),
        data=data,
    )


def check(session: Session) -> None:
    """Refuse a report file that cannot be written, before anything is done. Raises InvalidInput."""
    name = session.settings.text("report")
    if not name:
        return
    from hasteward.cli import output_file

    if name == output_file.STDOUT:
        raise InvalidInput(
            "--report cannot be standard output",
            hint="name a file, or use --output jsonl",
            code="output.exists",
        )
    output_file.check(name, force=True)
    session.report_file = name


def ended(session: Session, code: ExitCode, data: Any, error: HastewardError | None) -> None:
    """Tell the observers how it ended, then write the report file. Changes nothing of how it ended."""
    from hasteward.cli.render.envelope import report
    from hasteward.domain.run import RunOutcome

    def text() -> str:
        made = envelope_of(session, code, data, error)
        return session.console.clean(report(made, session.journal.record.lines))

    try:
        if session.observed:
            outcome = RunOutcome(
                status=code,
                seconds=session.clock.monotonic() - session.begun_monotonic,
                error=error.code if error else "",
                message=error.message if error else "",
                report=text(),
            )
            session.observers.finished(outcome)
    except KeyboardInterrupt:
        said = "told to stop while observers were told of the end; they are not waited for"
        session.journal.emit(Warned("observer.silent", said))
    if session.report_file:
        _write(session, text())


def _write(session: Session, text: str) -> None:
    from hasteward.cli import output_file

    try:
        with output_file.opened(session.report_file, f"{session.run.id}-report", force=True) as file:
            file.write(memoryview(text.encode()))
    except HastewardError as error:
        session.journal.emit(Warned("report.failed", f"there is no run report: {error.message}"))
