"""Dataclasses as JSON: camelCase names, RFC 3339 times in UTC, nothing else changed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar


def camel(name: str) -> str:
    """``run_id`` -> ``runId``."""
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


class Shape:
    """The base of everything that is printed as JSON.

    Its configuration is read by pydantic when the JSON Schema is generated.
    """

    __slots__ = ()
    __pydantic_config__: ClassVar[dict[str, Any]] = {"alias_generator": camel}


def stamp(moment: datetime) -> str:
    """RFC 3339 in UTC, with milliseconds only where there are some."""
    moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")[:-6] + "Z"


def _plain(value: Any) -> Any:
    """What `json` does not know by itself. Keys of mappings are data and stay as they are."""
    if dataclasses.is_dataclass(value):
        return {camel(field.name): getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, Mapping):
        return dict(value)
    return sorted(value) if isinstance(value, set | frozenset) else str(value)


def dumps(value: Any, *, indent: int | None = None, lead: Mapping[str, str] | None = None) -> str:
    """One JSON document; `lead` is put before the fields of a dataclass."""
    document = {**lead, **_plain(value)} if lead else value
    # an unreadable character in a name must not break the reader: escapes are plain ASCII
    return json.dumps(document, indent=indent, default=_plain)
