"""hasteward: triage, repair, backup and restore of database clusters. Import from here to write an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hasteward.hookspecs import CommandSpec, EngineSpec, ObserverSpec, PluginSpec, hookimpl

__all__ = ["CommandSpec", "EngineSpec", "ObserverSpec", "PluginSpec", "__version__", "hookimpl"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load the contract when it is asked for: ``hasteward --version`` needs none of it."""
    if name in {"CommandSpec", "EngineSpec", "ObserverSpec", "PluginSpec", "hookimpl"}:
        from hasteward import hookspecs

        return getattr(hookspecs, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
