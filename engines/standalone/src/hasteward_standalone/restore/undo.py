"""Takes restores back by the kind of database."""

from __future__ import annotations

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import InvalidInput
from hasteward.ports.context import EngineContext, PutBack
from hasteward_sql import mysql
from hasteward_sql.postgresql.collect.client import Login
from hasteward_sql.postgresql.collect.server import connect
from hasteward_sql.postgresql.restore import undo as postgresql
from hasteward_standalone.collect import password, place
from hasteward_standalone.facts import choice
from hasteward_standalone.resources import DbType
from hasteward_standalone.restore import files_undo
from hasteward_standalone.restore.postgres import stage_of


def put_back(context: EngineContext, cluster: ClusterRef, run: str) -> PutBack:
    """Find the container, log in, and swap back what the restore of `run` has kept."""
    wanted = choice(context.options)
    if wanted.db_type is DbType.MONGO:
        raise InvalidInput("there is no restore of MongoDB to take back", code="engine.unsupported")
    where = place(context, cluster, wanted)
    secret = password(context, cluster, wanted)
    match wanted.db_type:
        case DbType.FILES:
            return files_undo.put_back(context, cluster, where, run, folders=wanted.path)
        case DbType.POSTGRES:
            found = connect(context, Login(where, wanted.user, password=secret))
            return postgresql.put_back(context, stage_of(cluster, found), run, say=lambda _names: [])
        case DbType.MYSQL | DbType.MARIADB:
            server = mysql.connect(context, where, user=wanted.user, password=secret)
            return mysql.put_back(context, cluster, server, run)
