"""What a restore is about, once every gate was passed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.manifest import Section
from hasteward.domain.plan import Plan
from hasteward.ports.kubernetes import PodRef
from hasteward.streams.proof import Algorithm
from hasteward_cnpg.evidence import ServerFacts


@dataclass(frozen=True, slots=True)
class LiveDatabase:
    """A database of the primary as it is now; `activity` says in words when it was last used."""

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


@dataclass(frozen=True, slots=True)
class Survey:
    """What is on the primary now.

    `log_growth` is how many bytes the log may grow by before it is recycled. `extensions` are those that
    could be created: True if the owner of a database may, without a superuser.
    """

    databases: Mapping[str, LiveDatabase]
    roles: frozenset[str]
    role_comments: Mapping[str, str | None]
    extensions: Mapping[str, bool]
    memberships: frozenset[tuple[str, str]]
    tablespaces: frozenset[str]
    log_growth: int
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
class Target:
    """Everything the work needs. `stand` is a live database that is not replaced; empty if there is none."""

    cluster: ClusterRef
    member: str
    pod: PodRef
    server: ServerFacts
    algorithm: Algorithm
    items: tuple[Item, ...]
    stand: str
    new_roles: tuple[str, ...]
    role_keys: tuple[str, ...]
    grants: tuple[Mapping[str, Any], ...]
    leftovers: tuple[str, ...]
    dead_roles: tuple[str, ...]
    tablespaces: tuple[str, ...]
    keep_old: bool
    as_superuser: bool
    plan: Plan
