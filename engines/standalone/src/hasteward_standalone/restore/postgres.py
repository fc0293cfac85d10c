"""The gates of a bare PostgreSQL; the restore itself is `hasteward_sql.postgresql.restore`."""

from __future__ import annotations

from collections.abc import Sequence

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError, Refused, RunFailed
from hasteward.ports.context import EngineContext, RestoreOptions, RestoreOutcome, RestoreSource
from hasteward.ports.kubernetes import PodRef
from hasteward_sql.postgresql.collect.room import volumes
from hasteward_sql.postgresql.collect.server import Server, connect
from hasteward_sql.postgresql.restore import carry_out, prepare
from hasteward_sql.postgresql.restore.gates import room_needed
from hasteward_sql.postgresql.restore.target import Item, Stage, Still, Words
from hasteward_sql.words import human

#: the way that the superuser comes in, and the one that most servers open to passwords
_DOORS = ("", "127.0.0.1")


def restore(
    context: EngineContext,
    cluster: ClusterRef,
    server: Server,
    source: RestoreSource,
    options: RestoreOptions,
) -> RestoreOutcome:
    """Check every gate, show the plan, load, compare, swap."""
    stage = stage_of(cluster, server)

    def room(items: Sequence[Item], log_growth: int) -> list[str]:
        return _check_room(context, server, items, log_growth, force=options.force)

    target = prepare(context, stage, source, options, say=lambda _: [], room=room)
    if not context.approve(target.plan):
        return RestoreOutcome(planned_only=True)
    return carry_out(context, target, source)


def stage_of(cluster: ClusterRef, server: Server) -> Stage:
    """The server, when names can be swapped in it; Refused when they cannot."""
    login = server.login
    if not server.superuser:
        raise Refused(
            f"{login.user} is no superuser, and only one can make the databases, their owners and the role"
            " that loads them",
            hint="--db-user postgres, or the superuser of this server",
            code="restore.not_superuser",
        )
    if server.in_recovery:
        raise Refused(
            f"the server in {login} is a standby, and nothing can be written to it",
            hint="restore into the server that it follows",
            code="restore.standby",
        )
    return Stage(
        cluster=cluster,
        login=login,
        server=server.release,
        client=server.client,
        doors=_DOORS,
        words=_words(cluster, server),
        still=_still(server),
    )


def _words(cluster: ClusterRef, server: Server) -> Words:
    login = server.login
    psql = f"psql -U {login.user}"
    match login.place:
        case PodRef() as pod:
            container = f" -c {pod.container}" if pod.container else ""
            psql = f"kubectl exec -n {pod.namespace} {pod.name} -it{container} -- {psql}"
        case host:
            psql = " ".join([*host.prefix, psql])
    return Words(
        place=f"{cluster}, PostgreSQL {server.release.text} in {login},",
        where=str(login),
        whole="the server",
        server="the server",
        image="the server",
        psql=psql,
        extension="install their packages where the server is",
        tablespace=f"{psql} -c 'CREATE TABLESPACE ...'",
        login="pg_hba.conf must let it in by password, by the socket or from 127.0.0.1 (scram-sha-256)",
        update="update the programs there to the newest minor version",
    )


def _still(before: Server) -> Still:
    """The preconditions again, right before the act; RunFailed if the world changed under us."""

    def check(context: EngineContext) -> None:
        now = connect(context, before.login)
        if now.in_recovery:
            what = "it is a standby now"
        elif now.system_id != before.system_id:
            what = "another database system answers now"
        else:
            return
        raise RunFailed(
            f"the server in {before.login} changed during the restore: {what}; nothing was swapped",
            hint="run the same command again once it is the one that you mean",
            code="restore.changed",
        )

    return check


def _check_room(
    context: EngineContext, server: Server, items: Sequence[Item], log_growth: int, *, force: bool
) -> list[str]:
    """Both copies must fit: a full volume stops a server."""
    data_need, log_need = room_needed(items, log_growth)
    try:
        data, log = volumes(context, server.login.place, server.directory)
    except (HastewardError, ValueError) as error:
        if force:
            return [f"FORCED past: how much room there is could not be read ({error})"]
        raise Refused(
            f"the free space of {server.directory} could not be read ({error})",
            hint="--force restores without knowing whether there is room",
            code="restore.space_unread",
        ) from error
    shared = log.device == data.device
    _enough(data.free, data_need + (log_need if shared else 0), server.directory)
    if shared:
        return []
    _enough(log.free, log_need, f"{server.directory}/pg_wal")
    watched = f"the log volume has {human(log.free)} free; watch it"
    return [watched] if log.free < data_need else []


def _enough(free: int, need: int, where: str) -> None:
    if free < need:
        raise Refused(
            f"{where} has {human(free)} free; the restore needs {human(need)} beside the live data",
            hint="make room there, or restore fewer databases",
            code="restore.space",
        )
