"""How much memory and disk the place of a server has left."""

from __future__ import annotations

from collections.abc import Sequence

from hasteward.domain.errors import HastewardError, RunFailed
from hasteward.domain.reading import Known, Reading, Unread
from hasteward.kit.streaming import Captured, Question, capture, capture_each
from hasteward.ports.context import EngineContext
from hasteward.ports.host import Place
from hasteward_sql.postgresql.collect.client import one_line
from hasteward_sql.postgresql.facts.room import Volume, parse_df, parse_memory

_MEMORY = "cd /sys/fs/cgroup && cat memory.max memory.current && grep '^inactive_file ' memory.stat"
#: the log may be on a volume of its own, behind a symbolic link
_DISK = 'd=${PGDATA:-$1}; exec df -Pk "$d" "$d/pg_wal/."'


def free_memory(context: EngineContext, place: Place, name: str) -> Reading[int]:
    """Bytes that the container called `name` may still use before it is killed."""
    try:
        answer = capture(context, place, ["sh", "-c", _MEMORY])
    except HastewardError as error:
        return Unread(error.message)
    free = parse_memory(answer.stdout.decode("utf-8", "replace"))
    if free is None:
        return Unread(f"{name} has no memory limit that could be read")
    return Known(free, f"cgroup of {name}")


def volumes(context: EngineContext, place: Place, directory: str) -> tuple[Volume, Volume]:
    """The file systems of the data directory and of the log (often the same).

    `directory` is used where the environment does not say PGDATA.
    """
    (found,) = volumes_each(context, [place], directory)
    if isinstance(found, Exception):
        raise found
    return found


def volumes_each(
    context: EngineContext, places: Sequence[Place], directory: str
) -> list[tuple[Volume, Volume] | HastewardError | ValueError]:
    """The same of many places that look at the same time; an error stands where its answer would."""
    argv = ["env", "LC_ALL=C", "sh", "-c", _DISK, "sh", directory]
    answers = capture_each(context, [Question(place, argv) for place in places])
    found: list[tuple[Volume, Volume] | HastewardError | ValueError] = []
    for place, answer in zip(places, answers, strict=True):
        try:
            found.append(_volumes(place, answer))
        except (HastewardError, ValueError) as error:
            found.append(error)
    return found


def _volumes(place: Place, answer: Captured | HastewardError) -> tuple[Volume, Volume]:
    if isinstance(answer, HastewardError):
        raise answer
    if answer.exit_status != 0:
        raise RunFailed(f"df in {place} exited with {answer.exit_status}: {one_line(answer.stderr)}")
    found = parse_df(answer.stdout.decode("utf-8", "replace"))
    return found[0], found[-1]
