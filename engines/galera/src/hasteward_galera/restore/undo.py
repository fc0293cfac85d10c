"""Takes a restore back. A RENAME is one act for all members, so back is as whole as forth was."""

from __future__ import annotations

from hasteward.domain.cluster import ClusterRef
from hasteward.ports.context import EngineContext, PutBack, RestoreOptions
from hasteward_galera.analyse import analyse
from hasteward_galera.collect import collect
from hasteward_galera.collect.login import demand
from hasteward_galera.resources import pod_of
from hasteward_galera.restore.gates import find_target
from hasteward_sql import mysql


def put_back(context: EngineContext, cluster: ClusterRef, run: str) -> PutBack:
    """The same gates about the cluster as a restore has, and then what the schemas themselves tell."""
    evidence = collect(context, cluster)
    target = find_target(cluster, evidence, analyse(evidence), RestoreOptions())
    word = demand(context, cluster, evidence.cluster)
    server = mysql.connect(context, pod_of(cluster, target.member), user="root", password=word)
    return mysql.put_back(context, cluster, server, run, grouped=True)
