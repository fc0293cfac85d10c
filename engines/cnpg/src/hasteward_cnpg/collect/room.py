"""How much memory and disk a member's container has left."""

from __future__ import annotations

from collections.abc import Sequence

from hasteward.domain.errors import HastewardError
from hasteward.domain.reading import Reading
from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import PodRef
from hasteward_cnpg.resources import DATA_DIRECTORY
from hasteward_sql.postgresql.collect import room
from hasteward_sql.postgresql.facts.room import Volume


def free_memory(context: EngineContext, pod: PodRef) -> Reading[int]:
    """Bytes the container may still use before it is killed."""
    return room.free_memory(context, pod, pod.name)


def volumes(context: EngineContext, pod: PodRef) -> tuple[Volume, Volume]:
    """The file systems of the data directory and of the log (often the same)."""
    return room.volumes(context, pod, DATA_DIRECTORY)


def volumes_each(
    context: EngineContext, pods: Sequence[PodRef]
) -> list[tuple[Volume, Volume] | HastewardError | ValueError]:
    """The same of many, or why not."""
    return room.volumes_each(context, pods, DATA_DIRECTORY)
