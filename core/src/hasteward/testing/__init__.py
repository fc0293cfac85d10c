"""Fakes of every port on a virtual clock, and what every engine must keep: no server, no root, seconds.

For engine authors and for us. Each fake passes the same contract tests as the adapter it stands for. The
conformance tests (`hasteward.testing.conformance`) need pytest: ``pip install hasteward[testing]``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hasteward.testing.clock import VirtualClock
    from hasteward.testing.conformance import HEALTHY, EngineConformance
    from hasteward.testing.faults import FAILURES, FailNth, Killed, KillNth
    from hasteward.testing.kubernetes import FakeKubernetes
    from hasteward.testing.reporter import Approval, RecordingReporter
    from hasteward.testing.repository import FakeRepository
    from hasteward.testing.streams import Loss, Program, Result, StreamFault
    from hasteward.testing.world import Picture, World

_HOMES = {
    "clock": ("VirtualClock",),
    "conformance": ("HEALTHY", "EngineConformance"),
    "faults": ("FAILURES", "FailNth", "KillNth", "Killed"),
    "kubernetes": ("FakeKubernetes",),
    "reporter": ("Approval", "RecordingReporter"),
    "repository": ("FakeRepository",),
    "streams": ("Loss", "Program", "Result", "StreamFault"),
    "world": ("Picture", "World"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "FAILURES",
    "HEALTHY",
    "Approval",
    "EngineConformance",
    "FailNth",
    "FakeKubernetes",
    "FakeRepository",
    "KillNth",
    "Killed",
    "Loss",
    "Picture",
    "Program",
    "RecordingReporter",
    "Result",
    "StreamFault",
    "VirtualClock",
    "World",
]


def __getattr__(name: str) -> Any:
    """Load a part when it is asked for: the pytest plugin beside it is imported everywhere."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
