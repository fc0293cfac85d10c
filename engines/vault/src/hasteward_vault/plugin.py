"""Registers the vault engine. Its work is not written yet, and it says so for every capability."""

from __future__ import annotations

from hasteward import EngineSpec, hookimpl
from hasteward.domain.capability import Capability, EngineInfo, Unsupported


class Plugin(EngineSpec):
    """The engine for Vault and OpenBao, Raft storage."""

    @hookimpl
    def info(self) -> EngineInfo:
        """Introduce the engine."""
        reason = "not available in this release"
        return EngineInfo(
            name="vault",
            title="Vault and OpenBao, Raft storage",
            capabilities={capability: Unsupported(reason) for capability in Capability},
        )


plugin = Plugin()
