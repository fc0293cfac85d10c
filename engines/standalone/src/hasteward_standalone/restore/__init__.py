"""Restores by the kind of database."""

from __future__ import annotations

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import InvalidInput
from hasteward.domain.events import Warned
from hasteward.ports.context import EngineContext, RestoreOptions, RestoreOutcome, RestoreSource
from hasteward_sql import mysql
from hasteward_sql.postgresql.collect.client import Login
from hasteward_sql.postgresql.collect.server import connect
from hasteward_standalone.collect import password, place
from hasteward_standalone.facts import choice
from hasteward_standalone.resources import EXPERIMENTAL, DbType
from hasteward_standalone.restore import files, postgres


def restore(
    context: EngineContext, cluster: ClusterRef, source: RestoreSource, options: RestoreOptions
) -> RestoreOutcome:
    """Find the container, log in, load beside what is live, and swap."""
    wanted = choice(context.options)
    if wanted.db_type is DbType.MONGO:
        context.reporter.emit(Warned("mongo.experimental", EXPERIMENTAL))
        raise InvalidInput(
            "a restore of MongoDB is not available: it could not be tried on a real server",
            hint="hasteward export -o -   (writes the archive; load it with mongorestore --archive)",
            code="engine.unsupported",
        )
    where = place(context, cluster, wanted)
    secret = password(context, cluster, wanted)
    match wanted.db_type:
        case DbType.FILES:
            return files.restore(context, cluster, where, source, options, folders=wanted.path)
        case DbType.POSTGRES:
            found = connect(context, Login(where, wanted.user, password=secret))
            return postgres.restore(context, cluster, found, source, options)
        case DbType.MYSQL | DbType.MARIADB:
            server = mysql.connect(context, where, user=wanted.user, password=secret)
            return mysql.restore(context, cluster, server, source, options)
