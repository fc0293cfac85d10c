"""hooks.md, from the docstrings of the hooks."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator

from pieces import code, prose, table

from hasteward import hookspecs


def hooks() -> Iterator[str]:
    """The contract between core and engines."""
    yield "# Hooks"
    yield prose(hookspecs.__doc__)
    yield ""
    yield "The source is [`hookspecs.py`](../../core/src/hasteward/hookspecs.py); the types it names are in"
    yield "[`ports/context.py`](../../core/src/hasteward/ports/context.py) and"
    yield "[`domain/`](../../core/src/hasteward/domain)."
    yield "[Write an engine](../how-to/write-an-engine.md) goes from an empty folder to a conformant one."
    yield ""
    yield f"Entry points: engines in `{hookspecs.ENGINE_GROUP}`, other plugins in `{hookspecs.PLUGIN_GROUP}`."
    yield ""
    for owner in (hookspecs.EngineSpec, hookspecs.ObserverSpec, hookspecs.PluginSpec):
        yield f"## {owner.__name__}"
        yield ""
        yield prose(owner.__doc__)
        yield ""
        for name, hook in vars(owner).items():
            if hasattr(hook, f"{hookspecs.PROJECT}_spec"):
                yield from hook_section(name, hook)
    yield "## CommandSpec"
    yield ""
    yield prose(hookspecs.CommandSpec.__doc__)
    yield ""
    rows = [(code(one.name), code(one.type)) for one in dataclasses.fields(hookspecs.CommandSpec)]
    yield from table(("field", "type"), rows)


def hook_section(name: str, hook: Callable[..., object]) -> Iterator[str]:
    """One hook: signature and obligations."""
    yield f"### {name}"
    yield ""
    yield "```python"
    signature = inspect.signature(hook)
    inner = ", ".join(
        key if key == "self" else f"{key}: {parameter.annotation}"
        for key, parameter in signature.parameters.items()
    )
    yield f"def {name}({inner}) -> {signature.return_annotation}"
    yield "```"
    yield ""
    yield prose(hook.__doc__)
    yield ""
