"""Other objects that have a say in a cluster's databases, and who keeps the Cluster object itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hasteward_cnpg.facts.objects import mapping, name_of

Body = Mapping[str, Any]

_ARGO_ANNOTATION = "argocd.argoproj.io/tracking-id"
_ARGO_LABEL = "argocd.argoproj.io/instance"
_FLUX = {
    "kustomize.toolkit.fluxcd.io": "Kustomization",
    "helm.toolkit.fluxcd.io": "HelmRelease",
}


@dataclass(frozen=True, slots=True)
class Declared:
    """One object that names a cluster: a Pooler, Database, Publication or Subscription.

    `target` is what it is called in the server (empty for a Pooler), `database` where it lies, `wanted` is
    False when it declares that the thing must not exist.
    """

    name: str
    target: str
    database: str
    wanted: bool


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is declared about one cluster beside its Cluster object, and in it about where data comes from.

    `source` is the cluster that a replica cluster follows, None for any other; `keepers` are the GitOps
    objects that put the Cluster object back as they have it.
    """

    poolers: tuple[Declared, ...] = ()
    databases: tuple[Declared, ...] = ()
    publications: tuple[Declared, ...] = ()
    subscriptions: tuple[Declared, ...] = ()
    source: str | None = None
    keepers: tuple[str, ...] = ()


def parse_declared(bodies: Iterable[Body], cluster: str) -> tuple[Declared, ...]:
    """Those of the objects that name `cluster`, by name."""
    found = []
    for body in bodies:
        spec = mapping(body.get("spec"))
        if mapping(spec.get("cluster")).get("name") != cluster:
            continue
        target = str(spec.get("name") or "")
        found.append(
            Declared(
                name=name_of(body),
                target=target,
                database=str(spec.get("dbname") or target),
                wanted=spec.get("ensure") != "absent",
            )
        )
    return tuple(sorted(found, key=lambda item: item.name))


def replica_source(body: Body) -> str | None:
    """The cluster that this one only follows; None when it is a primary cluster."""
    replica = mapping(mapping(body.get("spec")).get("replica"))
    if not replica:
        return None
    enabled = replica.get("enabled")
    itself = str(replica.get("self") or name_of(body))
    primary = str(replica.get("primary") or "")
    follows = bool(enabled) if enabled is not None else bool(primary) and primary != itself
    return str(replica.get("source") or primary or "another one") if follows else None


def keepers(body: Body) -> tuple[str, ...]:
    """Who applies this object from a repository of files, as far as its labels and annotations tell."""
    metadata = mapping(body.get("metadata"))
    labels, annotations = mapping(metadata.get("labels")), mapping(metadata.get("annotations"))
    found = []
    application = str(annotations.get(_ARGO_ANNOTATION) or "").partition(":")[0] or labels.get(_ARGO_LABEL)
    if application:
        found.append(f"Argo CD application {application}")
    for prefix, kind in _FLUX.items():
        if labels.get(f"{prefix}/name"):
            space = labels.get(f"{prefix}/namespace")
            found.append(f"Flux {kind} {f'{space}/' if space else ''}{labels[f'{prefix}/name']}")
    return tuple(found)
