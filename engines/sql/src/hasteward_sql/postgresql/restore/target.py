"""What a restore is about, once every gate was passed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.manifest import Section
from hasteward.domain.plan import Plan
from hasteward.ports.context import EngineContext
from hasteward.streams.proof import Algorithm
from hasteward_sql.postgresql.collect.client import Login
from hasteward_sql.postgresql.facts.release import Release

#: raises RunFailed when the server is no longer as the plan found it; asked right before a swap
Still = Callable[[EngineContext], None]


@dataclass(frozen=True, slots=True)
class Words:
    """What things are called where this server runs, and the commands that come next there.

    `where` names the server alone (``pg-1``), `whole` all of it (``the cluster``), `place` it within a title
    (``db/pg on its primary pg-1``). The rest are a command that opens psql as the superuser, and hints.
    """

    place: str
    where: str
    whole: str
    server: str
    image: str
    psql: str
    extension: str
    tablespace: str
    login: str
    update: str


@dataclass(frozen=True, slots=True)
class Stage:
    """The server to restore to, as the engine proved it.

    `client` is the version of the psql there; `doors` are the hosts by which a role with a password is let
    in, "" for the way that psql goes by itself.
    """

    cluster: ClusterRef
    login: Login
    server: Release
    client: Release
    doors: tuple[str, ...]
    words: Words
    still: Still


@dataclass(frozen=True, slots=True)
class LiveDatabase:
    """A database of the server as it is now; `activity` says in words when it was last used.

    `kept` is the mark of one that a swap has replaced and kept.
    """

    oid: int
    name: str
    size: int
    comment: str | None
    template: bool
    connectable: bool
    sessions: int
    applications: tuple[str, ...]
    activity: str
    prepared: tuple[str, ...]
    slots: tuple[str, ...]
    subscriptions: tuple[str, ...]
    kept: str | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    """What is on the server now.

    `superuser` is the name of the first one. `log_growth` is how many bytes the log may grow by before it is
    recycled. `autovacuum` tells that the server gathers statistics by itself. `extensions` are those that
    could be created: True if the owner of a database may, without a superuser.
    """

    databases: Mapping[str, LiveDatabase]
    roles: frozenset[str]
    role_comments: Mapping[str, str | None]
    superuser: str
    extensions: Mapping[str, bool]
    memberships: frozenset[tuple[str, str]]
    tablespaces: frozenset[str]
    log_growth: int
    autovacuum: bool
    algorithm: Algorithm


@dataclass(frozen=True, slots=True)
class Item:
    """One database to restore. `entry` is its part of the manifest's catalog."""

    name: str
    new_name: str
    old_name: str
    section: Section
    entry: Mapping[str, Any]
    live: LiveDatabase | None


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What dead runs left: databases being loaded, replaced ones that were to be dropped, roles."""

    databases: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.databases, *self.unwanted, *self.roles)


@dataclass(frozen=True, slots=True)
class Scene:
    """Where names are swapped: `stand` is a database that is not, for the session that does it."""

    stage: Stage
    algorithm: Algorithm
    stand: str
    superuser: str


@dataclass(frozen=True, slots=True)
class Target:
    """Everything the work needs."""

    scene: Scene
    items: tuple[Item, ...]
    new_roles: tuple[str, ...]
    role_keys: tuple[str, ...]
    grants: tuple[Mapping[str, Any], ...]
    leftovers: Leftovers
    tablespaces: tuple[str, ...]
    keep_old: bool
    as_superuser: bool
    analyse: bool
    plan: Plan


@dataclass(frozen=True, slots=True)
class Incoming:
    """A database that takes a name: what it is called, its oid, and what becomes of its properties.

    `limit` is None when its connection limit stays; `kept` says that it was a kept one.
    """

    name: str
    oid: int
    comment: str | None
    limit: int | None
    template: bool
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Exchange:
    """One name of a swap: `incoming` takes it, and `outgoing`, which has it now, is called `old_name`."""

    name: str
    incoming: Incoming | None
    outgoing: LiveDatabase | None
    old_name: str
