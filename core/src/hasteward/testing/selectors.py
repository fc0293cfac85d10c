"""Label selectors, as the API server reads them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

Match = Callable[[Mapping[str, str]], bool]

_SET = re.compile(r"(?P<key>\S+)\s+(?P<how>in|notin)\s+\((?P<values>[^)]*)\)")
_EQUAL = re.compile(r"(?P<key>[^!=\s]+)\s*(?P<how>==|=|!=)\s*(?P<value>\S*)")
_PARTS = re.compile(r",(?![^(]*\))")


def parse(selector: str) -> Match:
    """A predicate on labels; every part of the selector must hold."""
    parts = [_part(part.strip()) for part in _PARTS.split(selector) if part.strip()]
    return lambda labels: all(part(labels) for part in parts)


def _part(text: str) -> Match:
    if found := _SET.fullmatch(text):
        key, values = found["key"], {value.strip() for value in found["values"].split(",")}
        if found["how"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found := _EQUAL.fullmatch(text):
        key, value = found["key"], found["value"]
        if found["how"] == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if text.startswith("!"):
        return lambda labels: text[1:] not in labels
    return lambda labels: text in labels
