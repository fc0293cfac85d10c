"""The one moment that counts: every database takes its name in a single transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hasteward.domain.errors import HastewardError, RunFailed
from hasteward.domain.events import StepDone, Warned
from hasteward.kit.reading import short
from hasteward.ports.context import EngineContext
from hasteward.streams.proof import Algorithm
from hasteward_sql.postgresql.collect.client import (
    application_name,
    environment,
    feed_script,
    query,
    query_all,
    run_script,
)
from hasteward_sql.postgresql.facts.marks import Swap
from hasteward_sql.postgresql.facts.quoting import conninfo, literal
from hasteward_sql.postgresql.restore.sql import drop_database, ender, swap
from hasteward_sql.postgresql.restore.target import Exchange, Scene, Stage
from hasteward_sql.words import counted

_TRIES = 5
_SETTLE_TRIES = 8
_STANDBY_SECONDS = 60.0
#: object in use, lock not available, deadlock: somebody was in the way, and all was rolled back
_AGAIN = ("55006", "55P03", "40P01")
_ROLE = "swap"

#: $1 conninfo, $2 the ender's SQL, $3 its name, then the words of the log-in; the swap itself comes by stdin.
#: A password is its first line: both programs need it, and the shell's own printf gives it to them.
_SCRIPT = """trap : TERM
c=$1 e=$2 n=$3; shift 3
p() { psql -X -A -t -q -v ON_ERROR_STOP=1 -v VERBOSITY=verbose -d "$c" "$@"; }
if [ "$1" = -W ]; then
  IFS= read -r w
  printf '%s\\n' "$w" | PGAPPNAME="$n" psql -X -A -t -q -d "$c" "$@" -c "$e" >/dev/null 2>&1 &
  k=$!
  { printf '%s\\n' "$w"; cat; } | p "$@"
else
  PGAPPNAME="$n" psql -X -A -t -q -d "$c" "$@" -c "$e" </dev/null >/dev/null 2>&1 &
  k=$!
  p "$@"
fi
r=$?
kill "$k" 2>/dev/null
wait "$k" 2>/dev/null
exit "$r"
"""
#: these only take the log away; they replay nothing
_NO_STANDBYS = "'pg_receivewal', 'pg_basebackup'"
_STANDBYS = """
SELECT json_build_object('position', p.at, 'standbys', count(s.pid),
  'behind', coalesce(json_agg(s.application_name ORDER BY s.application_name)
    FILTER (WHERE s.pid IS NOT NULL AND (s.replay_lsn IS NULL OR s.replay_lsn < p.at)), '[]'))
FROM (SELECT {0}::pg_lsn AS at) p
LEFT JOIN pg_stat_replication s ON s.application_name NOT IN ({1})
GROUP BY p.at
"""


class SwapUnknown(RunFailed):
    """It could not be found out whether the swap was committed."""

    code = "restore.unknown"


def run_as_superuser(
    context: EngineContext,
    stage: Stage,
    algorithm: Algorithm,
    script: str,
    what: str,
    *,
    database: str = "postgres",
) -> None:
    """Run a script as superuser; without triggers on events, which others may own."""
    run_script(
        context,
        stage.login,
        script,
        what=what,
        algorithm=algorithm,
        database=database,
        options=("session_replication_role=replica",),
    )


def oids(context: EngineContext, scene: Scene) -> dict[str, int]:
    """The oid of every database, by name."""
    sql = "SELECT json_object_agg(datname, oid::bigint) FROM pg_database"
    found: dict[str, Any] = query(context, scene.stage.login, sql)
    return {name: int(oid) for name, oid in found.items()}


def swapped(context: EngineContext, scene: Scene, exchanges: Iterable[Exchange]) -> bool:
    """Whether the transaction was committed: ends what is left of it, then reads who has which name."""
    name = literal(application_name(context, _ROLE))
    login = scene.stage.login
    others = f"FROM pg_stat_activity WHERE application_name = {name} AND pid <> pg_backend_pid()"
    for attempt in range(_SETTLE_TRIES):
        if attempt:
            context.clock.sleep(min(2.0**attempt / 8, 5.0))
        try:
            ended = f"SELECT to_json(count(pg_terminate_backend(pid))) {others}"
            asked = (ended, "SELECT json_agg(datname) FROM pg_database")
            still_there, names = query_all(short(context), login, asked, database="postgres")
        except HastewardError:
            continue
        if still_there:
            continue
        return all(_has_moved(one, names) for one in exchanges)
    moved = ", ".join(one.name for one in exchanges)
    waiting = next((one.incoming.name for one in exchanges if one.incoming), "")
    words = scene.stage.words
    raise SwapUnknown(
        f"{words.server} could not be asked whether the swap of {moved} was committed;"
        " either all of them are the restored ones, or none is",
        hint=f"{words.psql} -l   (databases called {waiting.rsplit('_', 1)[0]}_* mean that it was not)",
    )


def _has_moved(one: Exchange, names: Sequence[str]) -> bool:
    return one.incoming.name not in names if one.incoming is not None else one.old_name in names


def swap_all(context: EngineContext, scene: Scene, exchanges: Sequence[Exchange], whole: Swap) -> None:
    """Swap, again if somebody was in the way; returns only when it is known to be committed."""
    for attempt in range(1, _TRIES + 1):
        try:
            _try(context, scene, exchanges, whole)
        except HastewardError as error:
            if swapped(context, scene, exchanges):
                return
            if isinstance(error, RunFailed) and not any(state in error.message for state in _AGAIN):
                raise
            if attempt == _TRIES:
                raise
            text = f"the swap was rolled back and is tried again ({attempt} of {_TRIES}): {error.message}"
            context.reporter.emit(Warned("restore.swap_again", text))
            scene.stage.still(context)
        else:
            if not swapped(context, scene, exchanges):
                raise RunFailed("psql reported success, but the databases were not swapped")
            return


def _try(context: EngineContext, scene: Scene, exchanges: Sequence[Exchange], whole: Swap) -> None:
    context.check_lease()
    login = scene.stage.login
    name = application_name(context, _ROLE)
    argv = [*environment(context, "lock_timeout=30s", role=_ROLE), "sh", "-c", _SCRIPT, "swap"]
    argv += [conninfo(scene.stand), ender(name), application_name(context, "ender"), *login.words]
    sql = swap(exchanges, scene.superuser, whole)
    feed_script(context, login, argv, sql, what="the swap", algorithm=scene.algorithm)


def drop_kept(context: EngineContext, scene: Scene, names: Iterable[str]) -> list[str]:
    """Drop replaced databases; the names of those that stayed."""
    stayed = []
    for name in names:
        context.check_lease()
        try:
            run_script(
                context,
                scene.stage.login,
                drop_database(name),
                what=f"dropping {name}",
                algorithm=scene.algorithm,
            )
        except HastewardError as error:
            stayed.append(name)
            context.reporter.emit(Warned("restore.old_stayed", error.message))
    return stayed


def standbys_caught_up(context: EngineContext, scene: Scene) -> str:
    """Wait until every standby replayed the swap; what became of it, in words."""
    deadline = context.clock.monotonic() + _STANDBY_SECONDS
    position = "pg_current_wal_lsn()"
    while True:
        try:
            sql = _STANDBYS.format(position, _NO_STANDBYS)
            found = query(short(context), scene.stage.login, sql)
        except HastewardError as error:
            text = f"whether the replicas replayed the restore could not be read ({error})"
            break
        position = literal(str(found["position"]))
        if not found["behind"]:
            replicas = counted(int(found["standbys"]), "replica")
            have = "has" if found["standbys"] == 1 else "have"
            text = f"{replicas} {have} replayed the restore up to {found['position']}"
            context.reporter.emit(StepDone("restore", text))
            return text
        if context.clock.monotonic() >= deadline:
            behind = ", ".join(found["behind"])
            text = f"{behind} had not replayed the restore up to {found['position']} after a minute"
            break
        context.clock.sleep(0.5)
    context.reporter.emit(Warned("restore.standbys", text))
    return text
