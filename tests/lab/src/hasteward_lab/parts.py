"""The databases a lab can hold, by name. Each is a part: it stands a cluster up and is its operator."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from hasteward_lab.state import LabError

if TYPE_CHECKING:
    from hasteward_lab.api.resources import Resource
    from hasteward_lab.api.store import Store
    from hasteward_lab.kubelet.kubelet import Kubelet
    from hasteward_lab.kubelet.volumes import Volumes
    from hasteward_lab.state import LabConfig

Object = dict[str, Any]
Say = Callable[[str], None]
# Takes the object and what it was before; ApiError when the write may not be.
Webhook = Callable[[Object, Object | None], None]


class Part(Protocol):
    """One database cluster of a lab."""

    def endpoints(self) -> dict[str, Callable[[Object], Awaitable[Any]]]:
        """What a test may ask of it, by path below `/lab/`."""

    def webhooks(self) -> dict[Resource, Webhook]:
        """Who has a say before an object of a kind is written."""

    async def create(self, say: Say) -> None:
        """Stand the whole cluster up; returns when every member is ready."""

    async def settled(self) -> None:
        """Wait till nothing is left to happen by itself."""

    async def follow(self) -> None:
        """Be the operator till the lab ends."""


@dataclass(frozen=True)
class Kind:
    """A part before it is made: `target` is `module:class`, `first` the number of the first member's pod.

    `cluster` and `level` are what it is called, and whose behaviour it has, when nobody says.
    """

    target: str
    first: int
    cluster: str = "pg"
    level: str = "1.30"
    #: group, version and plural of the object that stands for the cluster
    kind: tuple[str, str, str] = ("postgresql.cnpg.io", "v1", "clusters")


PARTS = {
    "postgres": Kind("hasteward_lab.postgres.cluster:PostgresCluster", 1),
    "openbao": Kind("hasteward_lab.openbao.cluster:OpenBaoCluster", 0, kind=("apps", "v1", "statefulsets")),
    "mariadb": Kind(
        "hasteward_lab.mariadb.cluster:MariaDBCluster",
        0,
        "db",
        "26.6",
        ("k8s.mariadb.com", "v1alpha1", "mariadbs"),
    ),
    # pods of a test's own: what an engine is tried on whose database no part stands up
    "bare": Kind("hasteward_lab.bare:Bare", 0, "bare", kind=("apps", "v1", "statefulsets")),
}


def kind(name: str) -> Kind:
    """The part of this name; LabError with the names there are."""
    if name not in PARTS:
        raise LabError(f"the lab has no part {name!r}; it has {', '.join(sorted(PARTS))}")
    return PARTS[name]


def make(config: LabConfig, store: Store, kubelet: Kubelet, volumes: Volumes) -> Part:
    """The part that the lab was asked for."""
    module, _, name = kind(config.part).target.partition(":")
    made: Part = getattr(import_module(module), name)(config, store, kubelet, volumes)
    return made
