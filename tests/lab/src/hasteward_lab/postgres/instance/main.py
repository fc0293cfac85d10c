"""The commands of `/controller/manager`."""

from __future__ import annotations

import sys


def main() -> int:
    """Run one command."""
    argv = sys.argv[1:]
    from . import commands

    if argv[:1] == ["wal-archive"]:
        return commands.wal_archive(argv[1:])
    jobs = {"init": commands.init, "join": commands.join}
    if argv[:1] == ["instance"] and argv[1] in jobs:
        return jobs[argv[1]]()
    if argv[:2] == ["instance", "run"]:
        from .manager import Manager
        from .settings import read

        return Manager(read()).run()
    sys.stderr.write(f"unknown command: {' '.join(argv)}\n")
    return 2
