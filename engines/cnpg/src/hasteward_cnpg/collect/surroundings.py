"""Reads what else is declared about a cluster. A kind that the API server does not have is proven absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.reading import Known, Unread
from hasteward.kit.reading import attempt
from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import ApiNotFound, Resource
from hasteward_cnpg.facts.surroundings import Surroundings, keepers, parse_declared, replica_source
from hasteward_cnpg.resources import CLUSTERS, DATABASES, POOLERS, PUBLICATIONS, SUBSCRIPTIONS


def read_surroundings(context: EngineContext, cluster: ClusterRef) -> Known[Surroundings] | Unread:
    """Everything or nothing: a list that could not be read is no empty list."""
    return attempt("what is declared about the cluster", lambda: _read(context, cluster))


def _read(context: EngineContext, cluster: ClusterRef) -> Surroundings:
    body: Mapping[str, Any] = context.kubernetes.get(CLUSTERS, cluster.namespace, cluster.name)

    def declared(resource: Resource) -> list[dict[str, Any]]:
        try:
            return context.kubernetes.list(resource, cluster.namespace)
        except ApiNotFound:
            return []

    return Surroundings(
        poolers=parse_declared(declared(POOLERS), cluster.name),
        databases=parse_declared(declared(DATABASES), cluster.name),
        publications=parse_declared(declared(PUBLICATIONS), cluster.name),
        subscriptions=parse_declared(declared(SUBSCRIPTIONS), cluster.name),
        source=replica_source(body),
        keepers=keepers(body),
    )
