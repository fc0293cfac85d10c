"""Sizes and room, as `hasteward_sql` reads and words them."""

from __future__ import annotations

from hasteward_sql.postgresql.facts.room import (
    LEAST_MEMORY,
    MIB,
    Volume,
    parse_df,
    parse_memory,
    producer_limit,
)
from hasteward_sql.words import counted, human

__all__ = [
    "LEAST_MEMORY",
    "MIB",
    "Volume",
    "counted",
    "human",
    "parse_df",
    "parse_memory",
    "producer_limit",
]
