"""Core knows no engine: not by name, not by import, not by being installed together."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import hasteward

Sources = list[tuple[str, str, ast.Module]]

NAMES = (
    "cnpg",
    "cloudnativepg",
    "cloudnative-pg",
    "galera",
    "mariadb",
    "mysql",
    "vault",
    "openbao",
    "standalone(?!_mode)",  # click has a parameter of that name
)

PUBLIC = {*hasteward.__all__, "domain", "streams", "ports", "kit", "hookspecs"}

# Runs with core and the third parties on the path and nothing else: `-S` leaves out the .pth files through
# which the engines and the lab would be found.
ALONE = """
import importlib, importlib.util, pkgutil, sys
sys.path[:0] = sys.argv[1:]
for name in ("cnpg", "galera", "vault", "standalone", "lab"):
    assert importlib.util.find_spec(f"hasteward_{name}") is None, f"{name} is not supposed to be here"
import hasteward
for module in pkgutil.walk_packages(hasteward.__path__, "hasteward."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from hasteward import plugins
from hasteward.domain.errors import InvalidInput
found = plugins.load([])
assert not found.engines and not found.broken and not found.commands
try:
    found.engine("anything")
except InvalidInput as error:
    print(error.message, "|", error.hint)
"""


def test_no_engine_is_named_in_core(sources: Sources) -> None:
    pattern = re.compile("|".join(NAMES), re.IGNORECASE)
    offenders = [
        f"{place}:{number}: {line.strip()}"
        for place, text, tree in sources
        if place.startswith("core/src/")
        for number, line in enumerate([place, *text.splitlines()])
        if pattern.search(line)
    ]

    assert offenders == []


def test_core_imports_and_answers_with_no_engine_installed(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", ALONE, str(root / "core/src"), sysconfig.get_path("purelib")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.stderr == ""
    assert done.stdout == (
        "no engine is installed, so 'anything' is not known | pip install hasteward-anything\n"
    )


def test_engines_import_only_the_public_half_of_core(sources: Sources) -> None:
    # Direct imports, by room: what is public may itself import nothing private (the contract "core-layers").
    offenders = [
        f"{place}: {name}"
        for place, _, tree in sources
        if place.startswith("engines/")
        for node in ast.walk(tree)
        for name in imported(node)
        if name.startswith("hasteward.") and name.split(".")[1] not in PUBLIC
    ]

    assert offenders == []


def imported(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module="hasteward", names=names):
            return [f"hasteward.{alias.name}" for alias in names]
        case ast.ImportFrom(module=str(module)):
            return [module]
        case _:
            return []
