"""What every engine must keep, as tests: subclass `EngineConformance` in a test file of yours.

::

    class TestMyEngine(EngineConformance):
        engine = plugin
        states = ("member-down",)

        def world(self, state: str = HEALTHY) -> World: ...

What the engine does not offer is skipped with the engine's own reason. Needs the extra
``hasteward[testing]``.
"""

from __future__ import annotations

from hasteward.testing.conformance.base import HEALTHY, Conformance
from hasteward.testing.conformance.dump import DumpConformance
from hasteward.testing.conformance.extract import ExtractConformance
from hasteward.testing.conformance.heal import HealConformance
from hasteward.testing.conformance.info import InfoConformance
from hasteward.testing.conformance.native import NativeConformance
from hasteward.testing.conformance.restore import RestoreConformance
from hasteward.testing.conformance.stop import StopConformance
from hasteward.testing.conformance.triage import TriageConformance

__all__ = [
    "HEALTHY",
    "Conformance",
    "DumpConformance",
    "EngineConformance",
    "ExtractConformance",
    "HealConformance",
    "InfoConformance",
    "NativeConformance",
    "RestoreConformance",
    "StopConformance",
    "TriageConformance",
]


class EngineConformance(
    InfoConformance,
    TriageConformance,
    DumpConformance,
    RestoreConformance,
    HealConformance,
    NativeConformance,
    ExtractConformance,
):
    """All that is asked of every engine. One hook's part alone is a class of its own."""
