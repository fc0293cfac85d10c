"""One lab for the folder; every test leaves it as it found it."""

from hasteward_lab.pytest_plugin import faults, kubectl, lab

__all__ = ["faults", "kubectl", "lab"]
