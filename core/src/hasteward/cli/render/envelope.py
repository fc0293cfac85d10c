"""The envelope around every machine-readable answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from hasteward.cli.render.console import Console, Mode
from hasteward.cli.render.document import dumps
from hasteward.cli.render.lines import Line
from hasteward.cli.render.shapes import SCHEMA_VERSION, Envelope, ErrorData, Report, WarningData
from hasteward.domain.errors import ExitCode, HastewardError


def envelope(
    *,
    command: str,
    run: str,
    exit_code: ExitCode,
    begun: datetime,
    duration_ms: int,
    warnings: tuple[WarningData, ...],
    errors: Sequence[tuple[HastewardError, str]],
    data: Any,
) -> Envelope:
    """Make it."""
    return Envelope(
        schema_version=SCHEMA_VERSION,
        command=command,
        run_id=run,
        success=exit_code == ExitCode.OK,
        exit_code=int(exit_code),
        timestamp=begun,
        duration_ms=duration_ms,
        warnings=warnings,
        errors=tuple(
            ErrorData(error.code, category, error.message, error.hint, error.retryable)
            for error, category in errors
        ),
        data=data,
    )


def print_envelope(console: Console, made: Envelope) -> None:
    """Print it: one document, or one line that says it is the result."""
    if console.mode is Mode.JSONL:
        console.answer([dumps(made, lead={"type": "result"})])
    else:
        console.answer([dumps(made, indent=2)])


def report(made: Envelope, lines: Sequence[Line]) -> str:
    """The run report as JSON text: the envelope, and every event."""
    fields = {name: getattr(made, name) for name in Envelope.__slots__}
    return dumps(Report(**fields, events=tuple(lines)), indent=2) + "\n"
