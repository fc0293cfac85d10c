"""JSON Schema of what scripts read, generated from the shapes."""

from __future__ import annotations

from typing import Any

from hasteward.cli.render.shapes import DATA, Envelope


def schema(command: str) -> dict[str, Any]:
    """The schema of the envelope of `command`, with its data in place."""
    from pydantic import TypeAdapter

    envelope: dict[str, Any] = TypeAdapter(Envelope).json_schema(mode="serialization")
    data: dict[str, Any] = TypeAdapter(DATA[command]).json_schema(mode="serialization")
    definitions = {**envelope.pop("$defs", {}), **data.pop("$defs", {})}
    definitions["Data"] = data
    envelope["properties"]["data"] = {"anyOf": [{"$ref": "#/$defs/Data"}, {"type": "null"}]}
    envelope["$defs"] = definitions
    envelope["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    envelope["title"] = f"hasteward {command}"
    return envelope
