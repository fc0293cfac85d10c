"""json.md and events.md, from the shapes and the events that scripts read."""

from __future__ import annotations

import dataclasses
import io
import sys
import typing
from collections.abc import Iterator
from datetime import UTC, datetime

from pieces import code, prose, table

from hasteward.cli.render import lines, shapes
from hasteward.cli.render.console import Console, Mode
from hasteward.cli.render.document import Shape, camel
from hasteward.cli.render.journal import Journal
from hasteward.cli.verb import VERBS
from hasteward.domain import events
from hasteward.domain.plan import Plan, Reversal, Step


def schema_file(command: str) -> str:
    """Where the schema of a command is, from docs/reference."""
    return f"schema/{command.replace(' ', '-')}.json"


def json_answers() -> Iterator[str]:
    """The envelope and what each command puts into it."""
    yield "# JSON answers"
    yield "`--output json` prints one document on standard output: the envelope with the command's data."
    yield "`--output jsonl` prints [events](events.md) as they happen and ends with the same envelope on one"
    yield 'line, with `"type": "result"` in front. Text for people then goes to standard error only.'
    yield ""
    yield prose(shapes.__doc__).partition("\n\n")[2]
    yield "The keys of `details` are the engine's own, in camelCase too."
    yield ""
    yield f"The version of this form is `{shapes.SCHEMA_VERSION}`."
    yield ""
    yield "## The envelope"
    yield ""
    yield prose(shapes.Envelope.__doc__)
    yield ""
    yield from shape_table(shapes.Envelope)
    for said in (shapes.ErrorData, shapes.WarningData):
        yield from shape_section(said)
    yield "The categories of errors are in [exit codes](exit-codes.md#error-codes)."
    yield ""
    yield "### Report"
    yield ""
    yield prose(shapes.Report.__doc__)
    yield "`--report FILE` writes it when the run has ended, however it ended; so do"
    yield "[hooks and notices](../how-to/be-told-when-a-run-fails.md) get it."
    yield "JSON Schema: [`schema/report.json`](schema/report.json)."
    yield ""
    yield "## The data of each command"
    yield ""
    yield "JSON Schema 2020-12 of the whole document, per command:"
    yield ""
    for command, shape in shapes.DATA.items():
        yield f"* `{command}`: {shape.__name__}, [`{schema_file(command)}`]({schema_file(command)})"
    rest = [name for name in VERBS if name not in shapes.DATA]
    yield ""
    yield f"`{'`, `'.join(rest)}` has no data of a fixed shape."
    yield ""
    for part in parts():
        yield from shape_section(part)


def parts() -> list[type]:
    """Every shape that is not of the envelope, in the order of the module."""
    skip = {shapes.Report, shapes.Envelope, shapes.ErrorData, shapes.WarningData, Shape}
    return [
        one
        for one in vars(shapes).values()
        if isinstance(one, type) and issubclass(one, Shape) and one not in skip
    ]


def shape_section(shape: type) -> Iterator[str]:
    """One shape with its fields."""
    yield f"### {shape.__name__}"
    yield ""
    yield prose(shape.__doc__)
    yield ""
    yield from shape_table(shape)


def shape_table(shape: type) -> Iterator[str]:
    """The fields of a shape, as they are called in JSON."""
    hints = typing.get_type_hints(shape)
    assert dataclasses.is_dataclass(shape)
    rows = [(code(camel(one.name)), json_type(hints[one.name])) for one in dataclasses.fields(shape)]
    yield from table(("field", "type"), rows)


def json_type(hint: object) -> str:
    """What a reader of the JSON meets."""
    arguments = typing.get_args(hint)
    if type(None) in arguments:
        return f"{json_type(arguments[0])} or null"
    if typing.get_origin(hint) is tuple:
        return f"array of {json_type(arguments[0])}"
    if typing.get_origin(hint) is dict:
        return "object"
    if isinstance(hint, type) and issubclass(hint, Shape):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    names = {str: "string", int: "integer", float: "number", bool: "boolean", datetime: "time"}
    return names.get(typing.cast("type", hint), "any")


_PLAN = Plan(
    "restore db/pg", (Step("load database app", Reversal.REVERSIBLE),), ("database app as it is now",), ()
)
EXAMPLES: dict[str, events.Event] = {
    "phase": events.PhaseStarted("restore", "loading beside the live databases"),
    "progress": events.Progress("restore", 4194304, 33554432),
    "step": events.StepDone("restore", "database app: loaded, digest compared"),
    "warning": events.Warned("config.exposed", "config.toml holds a secret and others can read it"),
    "plan": events.Planned(_PLAN),
}


def jsonl_events() -> Iterator[str]:
    """Every event with a line of it."""
    yield "# Events"
    yield "`--output jsonl` prints one JSON document per line on standard output while the run works."
    yield 'The last line is the [envelope](json.md) with `"type": "result"`;'
    yield "without it the run did not end in order."
    yield "Skip a `type` that you do not know."
    yield ""
    yield "Every event has `type`, `ts` (RFC 3339, UTC), `command` and `run`."
    yield ""
    yield "JSON Schema 2020-12 of a line: [`schema/events.json`](schema/events.json)."
    yield "`--log-format json` writes the same lines to standard error, each with a `level` (`debug`, `info`,"
    yield "`warning`, `error`) in front; what is no event has `level`, `ts`, `command`, `run` and `message`."
    yield "A [run report](json.md#report) has them in `events`."
    yield ""
    for (kind, event), line in zip(EXAMPLES.items(), typing.get_args(lines.Line), strict=True):
        yield f"## {kind}"
        yield ""
        yield prose(line.__doc__)
        if kind == "progress":
            yield "At most one line a second, and always the last one of a phase whose size was known."
        yield ""
        yield "```json"
        yield printed(event)
        yield "```"
        yield ""


def printed(event: events.Event) -> str:
    """The line that the journal prints for the event."""
    stdout, sys.stdout = sys.stdout, io.StringIO()
    try:
        now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        journal = Journal(
            Console(Mode.JSONL), "restore", "6f1d2c3b4a596877", now=lambda: now, monotonic=lambda: 1.0
        )
        journal.emit(event)
        return sys.stdout.getvalue().rstrip()
    finally:
        sys.stdout = stdout
