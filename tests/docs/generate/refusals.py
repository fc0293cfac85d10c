"""refusals.md, from every place in the code that refuses.

What is found is a call of `Refused`, of a method that makes one (`_refuse`, `refused`), or of a gate's
`Refusal`. What is filled in while it runs reads as `…`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pieces import table

ROOT = Path(__file__).resolve().parents[3]
FILLED = "…"
#: methods that make a Refused of a code and a text
HELPERS = ("_refuse", "refused")


@dataclass(frozen=True, order=True)
class Row:
    """One refusal. `where` is the folder of the distribution, `place` file and line."""

    where: str
    code: str
    message: str
    hint: str
    place: str


@dataclass(frozen=True)
class Source:
    """One module, and what every module has, for looking up what a name stands for."""

    where: str
    file: Path
    tree: ast.Module
    everything: Everything

    @cached_property
    def constants(self) -> dict[str, ast.expr]:
        """What the module's own names stand for."""
        return {
            target.id: node.value
            for node in self.tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }


@dataclass
class Everything:
    """All modules of the core and of the engines."""

    sources: list[Source] = field(default_factory=list)

    @cached_property
    def functions(self) -> dict[str, list[tuple[Source, ast.FunctionDef]]]:
        """By name."""
        found: dict[str, list[tuple[Source, ast.FunctionDef]]] = {}
        for source in self.sources:
            for function in _functions(source.tree):
                found.setdefault(function.name, []).append((source, function))
        return found

    @cached_property
    def keywords(self) -> dict[str, list[tuple[Source, ast.FunctionDef | None, ast.expr]]]:
        """What is handed over under a name: how a field that is read elsewhere was filled."""
        found: dict[str, list[tuple[Source, ast.FunctionDef | None, ast.expr]]] = {}
        for source in self.sources:
            inner = _enclosing(source.tree)
            for call in _calls(source.tree):
                for keyword in call.keywords:
                    one = (source, inner.get(id(call)), keyword.value)
                    found.setdefault(keyword.arg or "", []).append(one)
        return found


@dataclass(frozen=True)
class Reader:
    """Reads expressions of one function as text."""

    source: Source
    function: ast.FunctionDef | None
    met: AbstractSet[str] = frozenset()

    def either(self, node: ast.expr | None) -> str:
        """All that it may read like."""
        return "" if node is None else " / ".join(dict.fromkeys(self.texts(node)))

    def texts(self, node: ast.expr) -> list[str]:
        """Each text that the expression may be."""
        found: list[str] = []
        match node:
            case ast.Constant(value=str() as value):
                found = [value]
            case ast.JoinedStr(values=values):
                found = ["".join(self._filled_in(part) for part in values)]
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                found = [one + other for one in self.texts(left) for other in self.texts(right)]
            case ast.IfExp(body=one, orelse=other):
                found = self.texts(one) + self.texts(other)
            case ast.BoolOp(values=values):
                found = [text for value in values for text in self.texts(value) if text != FILLED]
            case ast.Name(id=name) if name not in self.met:
                found = self._named(name)
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name not in self.met:
                found = self._returned(name)
            case ast.Attribute(attr=name) if name not in self.met:
                found = self._handed_over(name)
            case _:
                pass
        return found or [FILLED]

    def _filled_in(self, part: ast.expr) -> str:
        """A part of a text; what stands for one text only is written out."""
        if isinstance(part, ast.Constant):
            return str(part.value)
        known = isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.Name)
        found = self.texts(part.value) if known else []  # type: ignore[attr-defined]
        return found[0] if len(found) == 1 else FILLED

    def _inside(self, name: str, source: Source, function: ast.FunctionDef | None) -> Reader:
        return Reader(source, function, {*self.met, name})

    def _named(self, name: str) -> list[str]:
        deeper = self._inside(name, self.source, self.function)
        found = []
        for node in ast.walk(self.function) if self.function is not None else ():
            if isinstance(node, ast.Assign) and any(_is(target, name) for target in node.targets):
                found += deeper.texts(node.value)
        constant = self.source.constants.get(name)
        return found if found or constant is None else deeper.texts(constant)

    def _returned(self, name: str) -> list[str]:
        found = []
        for source, function in self.source.everything.functions.get(name, []):
            if source.where == self.source.where:
                deeper = self._inside(name, source, function)
                returns = [node for node in ast.walk(function) if isinstance(node, ast.Return) and node.value]
                found += [text for node in returns if node.value for text in deeper.texts(node.value)]
        return [text for text in found if text.strip(f"{FILLED}/ ")]

    def _handed_over(self, name: str) -> list[str]:
        found = []
        for source, function, value in self.source.everything.keywords.get(name, []):
            found += self._inside(name, source, function).texts(value)
        return [text for text in found if len(text.strip(f"{FILLED}/ ")) > 10]


def rows() -> list[Row]:
    """Every refusal of the core and of the engines."""
    everything = Everything()
    for folder in sorted([ROOT / "core", *(ROOT / "engines").iterdir()]):
        for file in sorted((folder / "src").rglob("*.py")):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            everything.sources.append(Source(folder.name, file, tree, everything))
    found = [
        row for source in everything.sources if "testing" not in source.file.parts for row in _of(source)
    ]
    return sorted(found)


def refusals() -> Iterator[str]:
    """The page."""
    yield "# Refusals"
    yield "Whatever hasteward says no with: exit status 21. Nothing was touched, or all was taken back."
    yield ""
    yield "With `--output json` the columns are the error's `code`, `message` and `hint`; for people the hint"
    yield "stands below the message, after `next:`. The code names the rule, the message the evidence."
    yield f"`{FILLED}` is filled in, and where it depends, the ways to say it stand beside each other."
    yield "The words may change, the codes do not."
    every = rows()
    for where in dict.fromkeys(row.where for row in every):
        yield ""
        yield f"## {where}"
        yield ""
        seen = dict.fromkeys((row.code, row.message, row.hint) for row in every if row.where == where)
        cells = [(f"`{code}`", _cell(message), _cell(hint)) for code, message, hint in seen]
        yield from table(("code", "it says", "next"), cells)


def _cell(text: str) -> str:
    return text.replace("<", "\\<").replace("\n", " ")


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _enclosing(tree: ast.AST) -> dict[int, ast.FunctionDef]:
    return {id(call): function for function in _functions(tree) for call in _calls(function)}


def _of(source: Source) -> Iterator[Row]:
    inner = _enclosing(source.tree)
    for call in _calls(source.tree):
        function = inner.get(id(call))
        if function is not None:
            place = f"{source.file.relative_to(ROOT)}:{call.lineno}"
            for code, message, hint in _said(call, Reader(source, function)):
                yield Row(source.where, code, message, hint, place)


def _said(call: ast.Call, reader: Reader) -> Iterator[tuple[str, str, str]]:
    """Code, message and hint of a call that refuses; nothing for any other."""
    name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
    given = dict(enumerate(call.args))
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    if name == "Refusal":
        for code in _rules(given[0], reader):
            yield f"gate.{code.lower()}", reader.either(given[1]), reader.either(given.get(2))
    elif name == "Refused" and reader.function is not None and reader.function.name not in HELPERS:
        codes = reader.texts(named["code"]) if "code" in named else ["gate.refused"]
        for code in codes:
            yield code, reader.either(given[0]), reader.either(named.get("hint"))
    elif name in HELPERS and isinstance(given.get(0), ast.Constant):
        prefix, usual = _made_by(name, reader)
        hint = given.get(2) or named.get("hint")
        yield (
            f"{prefix}{reader.texts(given[0])[0]}",
            reader.either(given[1]),
            usual if hint is None else reader.either(hint),
        )


def _rules(node: ast.expr, reader: Reader) -> list[str]:
    """The names of the rules; one that is held by a name may be any of those given to it."""
    if isinstance(node, ast.Attribute):
        return [node.attr]
    assert reader.function is not None
    return [
        part.attr
        for assigned in ast.walk(reader.function)
        if isinstance(assigned, ast.Assign) and any(_is(t, ast.unparse(node)) for t in assigned.targets)
        for part in ast.walk(assigned.value)
        if isinstance(part, ast.Attribute) and _is(part.value, "Rule")
    ]


def _made_by(name: str, reader: Reader) -> tuple[str, str]:
    """What stands before the code that the method is told, and the next command where none is told."""
    for source, function in reader.source.everything.functions.get(name, []):
        if source.where != reader.source.where:
            continue
        inside = Reader(source, function)
        for call in _calls(function):
            named = {keyword.arg: keyword.value for keyword in call.keywords}
            if _is(call.func, "Refused"):
                return inside.texts(named["code"])[0].removesuffix(FILLED), inside.either(named["hint"])
    raise AssertionError(f"{name} of {reader.source.file} makes no Refused")
