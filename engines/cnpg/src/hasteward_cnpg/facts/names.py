"""Names that the operator makes."""

from __future__ import annotations

import re

#: spec.replicationSlots.highAvailability.slotPrefix, as it is unless somebody changed it
SLOT_PREFIX = "_cnpg_"


def slot_name(member: str, prefix: str = SLOT_PREFIX) -> str:
    """The replication slot of a member: every run of other characters becomes an underscore."""
    return prefix + re.sub(r"[^a-z0-9_]+", "_", member.lower())


def ordinal_of(member: str) -> int | None:
    """The number in a member's name (``pg-2``), None for a name without one."""
    number = member.rpartition("-")[2]
    return int(number) if number.isascii() and number.isdigit() else None
