"""The envelope around every machine-readable answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from hasteward.cli.render.console import Console, Mode
from hasteward.cli.render.document import dumps
from hasteward.cli.render.shapes import SCHEMA_VERSION, Envelope, ErrorData, WarningData
from hasteward.domain.errors import ExitCode, HastewardError


def print_envelope(
    console: Console,
    *,
    command: str,
    run: str,
    exit_code: ExitCode,
    begun: datetime,
    duration_ms: int,
    warnings: tuple[WarningData, ...],
    errors: Sequence[tuple[HastewardError, str]],
    data: Any,
) -> None:
    """Print it: one document, or one line that says it is the result."""
    envelope = Envelope(
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
    if console.mode is Mode.JSONL:
        console.answer([dumps(envelope, lead={"type": "result"})])
    else:
        console.answer([dumps(envelope, indent=2)])
