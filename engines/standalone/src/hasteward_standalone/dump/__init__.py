"""Dumps by the kind of database."""

from __future__ import annotations

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import InvalidInput
from hasteward.ports.context import DumpOptions, DumpProof, DumpSink, EngineContext
from hasteward_sql import mysql
from hasteward_sql.postgresql.collect.client import Login
from hasteward_sql.postgresql.collect.server import connect
from hasteward_standalone.collect import password, place
from hasteward_standalone.dump import files, mongo, postgres
from hasteward_standalone.facts import choice
from hasteward_standalone.resources import DbType


def dump(context: EngineContext, cluster: ClusterRef, sink: DumpSink, options: DumpOptions) -> DumpProof:
    """Find the container, log in, and push every section into `sink`."""
    wanted = choice(context.options)
    if options.instance is not None:
        raise InvalidInput("a bare container has no members, so -i has no meaning", code="member.unknown")
    where = place(context, cluster, wanted)
    secret = password(context, cluster, wanted)
    match wanted.db_type:
        case DbType.MYSQL | DbType.MARIADB:
            server = mysql.connect(context, where, user=wanted.user, password=secret)
            return mysql.dump(context, cluster, server, sink)
        case DbType.FILES:
            return files.dump(context, cluster, where, sink, wanted.path)
        case DbType.MONGO:
            return mongo.dump(context, cluster, where, sink, user=wanted.user, password=secret)
        case DbType.POSTGRES:
            found = connect(context, Login(where, wanted.user, password=secret))
            return postgres.dump(context, cluster, found, sink)
