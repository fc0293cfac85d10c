"""What a replica cannot tell truthfully.

Unlogged tables exist only on the primary: pg_dump on a standby leaves their rows out without a word. And a
sequence's write-ahead record is up to 32 values ahead of what was handed out (SEQ_LOG_VALS), so a standby
shows positions that the primary has not reached.
"""

from __future__ import annotations

from collections.abc import Sequence

from hasteward.ports.context import EngineContext
from hasteward_sql.postgresql.collect.client import Asked, Login, query_each, querying

_UNLOGGED = """
SELECT coalesce(json_agg(format('%I.%I', n.nspname, c.relname) ORDER BY 1), '[]')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relpersistence = 'u' AND c.relkind = 'r'
"""

#: only sequences that were used: setval(..., false) is logged exactly, so a replica has those right
_SEQUENCES = """
SELECT coalesce(json_agg(json_build_array(schemaname, sequencename, last_value)
                ORDER BY schemaname, sequencename), '[]')
  FROM pg_sequences WHERE last_value IS NOT NULL
"""

Position = tuple[str, str, int]


def unlogged_tables(context: EngineContext, login: Login, databases: Sequence[str]) -> list[str]:
    """``database: schema.table`` of every unlogged table."""
    found = zip(databases, query_each(context, login, _UNLOGGED, databases), strict=True)
    return [f"{database}: {table}" for database, tables in found for table in tables]


def asking_positions(context: EngineContext, primary: Login, database: str) -> Asked[list[Position]]:
    """Schema, name and last value of every used sequence, from the primary."""
    asked = querying(context, primary, _SEQUENCES, database=database)
    return asked.then(lambda rows: [(str(schema), str(name), int(value)) for schema, name, value in rows])
