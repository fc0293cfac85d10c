"""What the lab adds to hasteward: the command `lab`. Imports nothing heavy: `--help` calls this."""

from __future__ import annotations

from hasteward import CommandSpec, PluginSpec, hookimpl


class LabPlugin(PluginSpec):
    """Adds `hasteward lab`."""

    @hookimpl
    def commands(self) -> tuple[CommandSpec, ...]:
        """The command, as data."""
        text = "A cluster in a box: the Kubernetes API emulated, the databases real."
        return (CommandSpec("lab", text, "hasteward_lab.cli:main"),)


plugin = LabPlugin()
