"""How much memory and disk a member's container has left."""

from __future__ import annotations

from hasteward.domain.errors import HastewardError, RunFailed
from hasteward.domain.reading import Known, Reading, Unread
from hasteward.kit.streaming import capture
from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import PodRef
from hasteward_cnpg.collect.psql import one_line
from hasteward_cnpg.facts.room import Volume, parse_df, parse_memory
from hasteward_cnpg.resources import DATA_DIRECTORY

_MEMORY = "cd /sys/fs/cgroup && cat memory.max memory.current && grep '^inactive_file ' memory.stat"
#: the log may be on a volume of its own, behind a symbolic link
_DISK = f'd=${{PGDATA:-{DATA_DIRECTORY}}}; exec df -Pk "$d" "$d/pg_wal/."'


def free_memory(context: EngineContext, pod: PodRef) -> Reading[int]:
    """Bytes the container may still use before it is killed."""
    try:
        answer = capture(context, pod, ["sh", "-c", _MEMORY])
    except HastewardError as error:
        return Unread(error.message)
    free = parse_memory(answer.stdout.decode("utf-8", "replace"))
    if free is None:
        return Unread(f"{pod.name} has no memory limit that could be read")
    return Known(free, f"cgroup of {pod.name}")


def volumes(context: EngineContext, pod: PodRef) -> tuple[Volume, Volume]:
    """The file systems of the data directory and of the log (often the same)."""
    answer = capture(context, pod, ["env", "LC_ALL=C", "sh", "-c", _DISK])
    if answer.exit_status != 0:
        raise RunFailed(f"df in {pod} exited with {answer.exit_status}: {one_line(answer.stderr)}")
    found = parse_df(answer.stdout.decode("utf-8", "replace"))
    return found[0], found[-1]
