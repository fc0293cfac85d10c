"""What is shared lives once: no two functions of the engines, nor of their tests, differ only in names."""

from __future__ import annotations

import ast
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

#: what a name is in a syntax tree, whatever it names
_NAMES = {"id", "arg", "name", "attr", "asname", "module"}
#: what says nothing of what is done
_ASIDE = {"lineno", "ctx", "type_comment", "kind", "returns", "annotation", "decorator_list"}
#: so many pieces of syntax are more than chance: some six lines
ALIKE = 60


def shape(nodes: Iterable[ast.AST]) -> tuple[str, ...]:
    """Some syntax without its names and values: each name by when it first occurs."""
    names: dict[str, str] = {}

    def pieces(node: object) -> Iterator[str]:
        match node:
            case ast.Constant(value):
                yield type(value).__name__
            case ast.AST():
                yield type(node).__name__
                for field, value in ast.iter_fields(node):
                    if field in _NAMES and value is not None:
                        yield names.setdefault(str(value), f"name {len(names)}")
                    elif field not in _ASIDE:
                        yield from pieces(value)
            case list():
                yield from itertools.chain(["["], *map(pieces, node), ["]"])
            case _:
                yield repr(node)

    return tuple(itertools.chain(*map(pieces, nodes)))


def functions(tree: ast.Module) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    """Every function's name, line and shape, without its docstring."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            # what a hook is given is the contract's to say, and an engine is imported inside of them
            hook = any(isinstance(each, ast.Name) and each.id == "hookimpl" for each in node.decorator_list)
            said = [each for each in body if not (hook and isinstance(each, ast.ImportFrom))]
            yield node.name, node.lineno, shape(said if hook else [node.args, *said])


def twins(sources: Iterable[tuple[str, ast.Module]], size: int) -> list[str]:
    """Functions of different files that are alike and at least so big, a line for each set of them."""
    found: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for path, tree in sources:
        for name, line, pieces in functions(tree):
            if len(pieces) >= size:
                found[pieces].append(f"{path}:{line} {name}")
    return sorted(
        "; ".join(places)
        for places in found.values()
        if len({place.partition(":")[0] for place in places}) > 1
    )


@pytest.mark.parametrize("room", ["engines/*/src", "tests/engines"])
def test_no_two_functions_differ_only_in_names(root: Path, room: str) -> None:
    paths = [path for folder in root.glob(room) for path in sorted(folder.rglob("*.py"))]
    trees = [
        (path.relative_to(root).as_posix(), ast.parse(path.read_text(encoding="utf-8"))) for path in paths
    ]

    assert len(trees) > 20
    assert twins(trees, ALIKE) == []


def test_twins_are_found_and_others_are_not() -> None:
    one = "def add(x, y):\n    '''Both.'''\n    total = x + y\n    return [total, x]\n"
    other = (
        "def join(left: int, right: int) -> list[int]:\n    both = left + right\n    return [both, left]\n"
    )
    swapped = "def join(left, right):\n    both = left + right\n    return [both, right]\n"

    def found(text: str) -> list[str]:
        return twins([("a.py", ast.parse(one)), ("b.py", ast.parse(text))], 10)

    assert found(other) == ["a.py:1 add; b.py:1 join"]
    assert found(swapped) == []
