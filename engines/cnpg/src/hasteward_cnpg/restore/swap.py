"""The one moment that counts: every restored database takes its name in a single transaction."""

from __future__ import annotations

from hasteward.domain.errors import HastewardError, RunFailed
from hasteward.domain.events import StepDone, Warned
from hasteward.kit.reading import short
from hasteward.kit.streaming import upload
from hasteward.ports.context import EngineContext
from hasteward_cnpg.collect import read_cluster
from hasteward_cnpg.collect.psql import application_name, environment, query, run_script
from hasteward_cnpg.collect.server import read_server
from hasteward_cnpg.evidence import Lsn
from hasteward_cnpg.facts.quoting import conninfo, literal
from hasteward_cnpg.facts.room import counted
from hasteward_cnpg.resources import SUPERUSER
from hasteward_cnpg.restore.sql import drop_database, ender, swap
from hasteward_cnpg.restore.target import Target

_TRIES = 5
_SETTLE_TRIES = 8
_STANDBY_SECONDS = 60.0
#: object in use, lock not available, deadlock: somebody was in the way, and all was rolled back
_AGAIN = ("55006", "55P03", "40P01")
_ROLE = "swap"

#: $1 conninfo, $2 the ender's SQL, $3 its name; the swap itself comes by stdin
_SCRIPT = f"""p="psql -X -A -t -q -w -v ON_ERROR_STOP=1 -v VERBOSITY=verbose -U {SUPERUSER}"
PGAPPNAME="$3" $p -d "$1" -c "$2" >/dev/null 2>&1 &
e=$!
$p -d "$1"
r=$?
kill "$e" 2>/dev/null
wait "$e" 2>/dev/null
exit "$r"
"""


class SwapUnknown(RunFailed):
    """It could not be found out whether the swap was committed."""

    code = "restore.unknown"


def still_primary(context: EngineContext, target: Target) -> None:
    """The preconditions again, right before the act; RunFailed if the world changed under us."""
    facts = read_cluster(context, target.cluster)
    server = read_server(short(context), target.pod)
    if (facts.current_primary, facts.target_primary) != (target.member, target.member):
        what = f"currentPrimary is {facts.current_primary}, targetPrimary {facts.target_primary}"
    elif facts.fenced:
        what = f"instances were fenced ({', '.join(sorted(facts.fenced))})"
    elif server.in_recovery or server.timeline != target.server.timeline:
        what = f"{target.member} is on timeline {server.timeline} now, in recovery: {server.in_recovery}"
    elif server.system_id != target.server.system_id:
        what = f"{target.member} holds another database system now"
    else:
        return
    raise RunFailed(
        f"the cluster changed during the restore: {what}; nothing was swapped",
        hint="run the same command again once the cluster is healthy",
        code="restore.changed",
    )


def swapped(context: EngineContext, target: Target) -> bool:
    """Whether the transaction was committed: ends what is left of it, then reads who has which name."""
    name = literal(application_name(context, _ROLE))
    others = f"FROM pg_stat_activity WHERE application_name = {name} AND pid <> pg_backend_pid()"
    for attempt in range(_SETTLE_TRIES):
        if attempt:
            context.clock.sleep(min(2.0**attempt / 8, 5.0))
        try:
            ended = f"SELECT to_json(count(pg_terminate_backend(pid))) {others}"
            if query(short(context), target.pod, ended) != 0:
                continue
            names = query(short(context), target.pod, "SELECT json_agg(datname) FROM pg_database")
        except HastewardError:
            continue
        return not any(item.new_name in names for item in target.items)
    restored = ", ".join(item.name for item in target.items)
    raise SwapUnknown(
        f"the primary could not be asked whether the swap of {restored} was committed;"
        " either all of them are the restored ones, or none is",
        hint=f"kubectl exec -n {target.cluster.namespace} {target.member} -c postgres --"
        f" psql -U {SUPERUSER} -l   (databases called {target.items[0].new_name.rsplit('_', 1)[0]}_*"
        " mean that it was not)",
    )


def swap_all(context: EngineContext, target: Target) -> None:
    """Swap, again if somebody was in the way; returns only when it is known to be committed."""
    for attempt in range(1, _TRIES + 1):
        try:
            _try(context, target)
        except HastewardError as error:
            if swapped(context, target):
                return
            if isinstance(error, RunFailed) and not any(state in error.message for state in _AGAIN):
                raise
            if attempt == _TRIES:
                raise
            text = f"the swap was rolled back and is tried again ({attempt} of {_TRIES}): {error.message}"
            context.reporter.emit(Warned("restore.swap_again", text))
            still_primary(context, target)
        else:
            if not swapped(context, target):
                raise RunFailed("psql reported success, but the databases were not swapped")
            return


def _try(context: EngineContext, target: Target) -> None:
    context.check_lease()
    name = application_name(context, _ROLE)
    argv = [*environment(context, "lock_timeout=30s", role=_ROLE), "sh", "-c", _SCRIPT, "swap"]
    upload(
        context,
        target.pod,
        [*argv, conninfo(target.stand), ender(name), application_name(context, "ender")],
        [swap(target.items).encode()],
        what="the swap",
        algorithm=target.algorithm,
    )


def drop_old(context: EngineContext, target: Target) -> list[str]:
    """Drop the replaced databases; the names of those that stayed."""
    stayed = []
    for item in target.items:
        if item.live is None:
            continue
        context.check_lease()
        what = f"dropping {item.old_name}"
        try:
            run_script(
                context, target.pod, drop_database(item.old_name), what=what, algorithm=target.algorithm
            )
        except HastewardError as error:
            stayed.append(item.old_name)
            context.reporter.emit(Warned("restore.old_stayed", error.message))
    return stayed


def standbys_caught_up(context: EngineContext, target: Target) -> str:
    """Wait until every standby replayed the swap; what became of it, in words."""
    deadline = context.clock.monotonic() + _STANDBY_SECONDS
    position: Lsn | None = None
    while True:
        try:
            server = read_server(short(context), target.pod)
        except (HastewardError, ValueError) as error:
            text = f"whether the replicas replayed the restore could not be read ({error})"
            break
        position = position or server.current
        behind = [
            s.name for s in server.standbys if position and (s.replayed is None or s.replayed < position)
        ]
        if not behind:
            replicas = counted(len(server.standbys), "replica")
            have = "has" if len(server.standbys) == 1 else "have"
            text = f"{replicas} {have} replayed the restore up to {position}"
            context.reporter.emit(StepDone("restore", text))
            return text
        if context.clock.monotonic() >= deadline:
            text = f"{', '.join(behind)} had not replayed the restore up to {position} after a minute"
            break
        context.clock.sleep(0.5)
    context.reporter.emit(Warned("restore.standbys", text))
    return text
