"""JSON Schema of what scripts read, generated from the shapes."""

from __future__ import annotations

from typing import Any

from hasteward.cli.render.shapes import DATA, Envelope, Report

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def events_schema() -> dict[str, Any]:
    """The schema of one line of ``--output jsonl``; the last one is the result."""
    from pydantic import TypeAdapter

    from hasteward.cli.render.lines import Line

    document: dict[str, Any] = TypeAdapter(Line).json_schema(mode="serialization")
    envelope: dict[str, Any] = TypeAdapter(Envelope).json_schema(mode="serialization")
    document["$defs"] |= envelope.pop("$defs", {})
    envelope["properties"] = {"type": {"const": "result", "type": "string"}, **envelope["properties"]}
    envelope["required"] = ["type", *envelope["required"]]
    document["$defs"]["Result"] = envelope
    document["anyOf"].append({"$ref": "#/$defs/Result"})
    return document | {"$schema": _DIALECT, "title": "hasteward --output jsonl"}


def report_schema() -> dict[str, Any]:
    """The schema of a run report, whatever the command: its data is that of the command's own schema."""
    from pydantic import TypeAdapter

    from hasteward.cli.render.lines import Line

    document: dict[str, Any] = TypeAdapter(Report).json_schema(mode="serialization")
    line: dict[str, Any] = TypeAdapter(Line).json_schema(mode="serialization")
    document["$defs"] |= line.pop("$defs")
    document["$defs"]["Line"] = line
    document["properties"]["events"]["items"] = {"$ref": "#/$defs/Line"}
    return document | {"$schema": _DIALECT, "title": "hasteward run report"}


def schema(command: str) -> dict[str, Any]:
    """The schema of the envelope of `command`, with its data in place."""
    from pydantic import TypeAdapter

    envelope: dict[str, Any] = TypeAdapter(Envelope).json_schema(mode="serialization")
    data: dict[str, Any] = TypeAdapter(DATA[command]).json_schema(mode="serialization")
    definitions = {**envelope.pop("$defs", {}), **data.pop("$defs", {})}
    definitions["Data"] = data
    envelope["properties"]["data"] = {"anyOf": [{"$ref": "#/$defs/Data"}, {"type": "null"}]}
    envelope["$defs"] = definitions
    envelope["$schema"] = _DIALECT
    envelope["title"] = f"hasteward {command}"
    return envelope
