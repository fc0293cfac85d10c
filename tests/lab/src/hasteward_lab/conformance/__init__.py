"""What an engine must keep on real servers, as tests: subclass `LabConformance` in a test file of yours.

::

    class Mine(Site):
        engine = "mine"
        where = ("-e", "mine", "-n", "db", "-c", "shop")
        ...


    class TestMine(LabConformance):
        subject = Mine

Everything is done as a person does it: by the command line, in a process of its own, under an account of the
roles that are shipped, against servers that run. What the engine does not offer is skipped with its own
reason. A conftest.py says ``pytest_plugins = ["hasteward_lab.pytest_plugin"]``. What takes minutes is marked
`long`.
"""

from __future__ import annotations

import pytest

_PARTS = ("base", "commandline", "dump", "heal", "picture", "restore", "saving", "triage")
pytest.register_assert_rewrite(*(f"{__name__}.{part}" for part in _PARTS))

from hasteward_lab.conformance.base import Conformance, Tools  # noqa: E402  explained before it is imported
from hasteward_lab.conformance.commandline import Hasteward, cheap_repository, copied, triaged  # noqa: E402  as above
from hasteward_lab.conformance.dump import DumpConformance  # noqa: E402  as above
from hasteward_lab.conformance.heal import HealConformance  # noqa: E402  as above
from hasteward_lab.conformance.ledger import Ledger  # noqa: E402  as above
from hasteward_lab.conformance.picture import Picture, ours, writes  # noqa: E402  as above
from hasteward_lab.conformance.restore import RestoreConformance  # noqa: E402  as above
from hasteward_lab.conformance.site import Broken, Repair, Site  # noqa: E402  as above
from hasteward_lab.conformance.triage import TriageConformance  # noqa: E402  as above

__all__ = [
    "Broken",
    "Conformance",
    "DumpConformance",
    "Hasteward",
    "HealConformance",
    "LabConformance",
    "Ledger",
    "Picture",
    "Repair",
    "RestoreConformance",
    "Site",
    "Tools",
    "TriageConformance",
    "cheap_repository",
    "copied",
    "ours",
    "triaged",
    "writes",
]


class LabConformance(TriageConformance, DumpConformance, RestoreConformance, HealConformance):
    """All of it. One command's part alone is a class of its own."""
