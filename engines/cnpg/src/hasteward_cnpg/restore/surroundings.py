"""What others declare about the restored databases: refused where it would undo the restore, else said."""

from __future__ import annotations

from collections.abc import Sequence

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Refused
from hasteward.domain.reading import Forbidden, Known, Unread
from hasteward.ports.context import EngineContext
from hasteward_cnpg.collect.surroundings import read_surroundings
from hasteward_cnpg.facts.surroundings import Declared, Surroundings


def check_surroundings(context: EngineContext, cluster: ClusterRef, names: Sequence[str]) -> list[str]:
    """Notes for the plan; Refused when the operator would drop the restored databases or write into them."""
    match read_surroundings(context, cluster):
        case Forbidden(reason):
            raise Refused(
                f"{reason}; what else is declared about the databases decides whether the restore would last",
                hint="grant list on poolers, databases, publications and subscriptions of postgresql.cnpg.io"
                " (the Role in run-without-cluster-admin)",
                code="restore.surroundings_unread",
            )
        case Unread(reason):
            raise Refused(
                f"{reason}; what else is declared about the databases decides whether the restore would last",
                hint="run the same command again once the API server answers",
                code="restore.surroundings_unread",
            )
        case Known(found):
            _check_source(cluster, found)
            _check_declared(cluster, found, names)
            return _notes(cluster, found, names)


def _check_source(cluster: ClusterRef, found: Surroundings) -> None:
    if found.source is not None:
        raise Refused(
            f"{cluster.namespace}/{cluster.name} is a replica cluster: its data comes from {found.source},"
            " and nothing can be written to it",
            hint="restore into the cluster that it follows, or promote this one first (spec.replica)",
            code="restore.replica_cluster",
        )


def _check_declared(cluster: ClusterRef, found: Surroundings, names: Sequence[str]) -> None:
    for item in found.databases:
        if item.target in names and not item.wanted:
            raise Refused(
                f"Database object {item.name} declares that database {item.target} must not exist:"
                " the operator would drop what was restored",
                hint=_delete("databases", item, cluster),
                code="restore.declared_absent",
            )
    for item in found.subscriptions:
        if item.database in names and item.wanted:
            raise Refused(
                f"Subscription object {item.name} declares subscription {item.target} in database"
                f" {item.database}: the operator would make it again, and its first copy would write into"
                " what was restored",
                hint=f"{_delete('subscriptions', item, cluster)}; make it again after the restore",
                code="restore.declared_subscription",
            )


def _delete(plural: str, item: Declared, cluster: ClusterRef) -> str:
    return f"kubectl delete {plural}.postgresql.cnpg.io {item.name} -n {cluster.namespace}"


def _notes(cluster: ClusterRef, found: Surroundings, names: Sequence[str]) -> list[str]:
    notes = [
        f"Database object {item.name} declares database {item.target}: the operator goes on to give it the"
        " owner and settings that are declared"
        for item in found.databases
        if item.target in names
    ]
    notes += [
        f"Publication object {item.name} declares publication {item.target} in database {item.database}:"
        " its subscribers must make their subscriptions again, for replication slots do not come back"
        for item in found.publications
        if item.database in names
    ]
    if found.poolers:
        poolers = ", ".join(item.name for item in found.poolers)
        notes.append(
            f"clients that come through pooler {poolers} lose their sessions at the swap like all others,"
            " and reach the restored databases afterwards"
        )
    notes += [
        f"{keeper} keeps the Cluster object {cluster.name}: what it declares (roles, databases) comes back as"
        " it is there"
        for keeper in found.keepers
    ]
    return notes
