"""Sizes, docstrings and printing: what a reader may rely on in every source file."""

from __future__ import annotations

import ast

Sources = list[tuple[str, str, ast.Module]]

FILE_LINES = 400
FUNCTION_LINES = 60
PRINTERS = (
    "core/src/hasteward/cli/render/",
    "tests/lab/src/hasteward_lab/cli",
    "tests/lab/src/hasteward_lab/demo",
)


def test_files_are_short(sources: Sources) -> None:
    offenders = [
        f"{place}: {lines} lines"
        for place, text, tree in sources
        if (lines := len(text.splitlines())) > FILE_LINES
    ]

    assert offenders == []


def test_functions_are_short(sources: Sources) -> None:
    offenders = [
        f"{place}:{node.lineno}: {node.name} has {lines} lines"
        for place, text, tree in sources
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES
    ]

    assert offenders == []


def test_every_public_module_says_what_it_is_for(sources: Sources) -> None:
    offenders = [
        place
        for place, text, tree in sources
        if not place.rsplit("/", 1)[-1].startswith("_") or place.endswith("__init__.py")
        if not ast.get_docstring(tree)
    ]

    assert offenders == []


def test_only_renderers_print(sources: Sources) -> None:
    offenders = [
        f"{place}:{node.lineno}"
        for place, text, tree in sources
        if not place.startswith(PRINTERS)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]

    assert offenders == []


def test_what_a_package_offers_under_the_name_of_one_of_its_modules_comes_from_there(
    sources: Sources,
) -> None:
    """From anywhere else it is the module, or not, as it was imported before."""
    modules = {place for place, _, _ in sources}
    offenders = [
        f"{place}:{node.lineno}: {alias.name}"
        for place, _, tree in sources
        if place.endswith("/__init__.py")
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if place.replace("__init__", alias.asname or alias.name) in modules
        # from the module, or the module itself
        if (node.module or "").rpartition(".")[2] not in {alias.asname or alias.name, place.split("/")[-2]}
    ]

    assert offenders == []
