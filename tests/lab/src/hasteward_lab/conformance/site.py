"""The part of the kit that an engine's author writes: a cluster in the lab as its clients see it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

from hasteward_lab.lab import Lab

#: of a Secret, what everybody may know
_PUBLIC = {"ca.crt", "tls.crt", "dbname", "host", "namespace", "port", "user", "username"}
_SHORT = 8


class Site:
    """One cluster of a database, in a lab, with clients.

    Subclass it. What has no default here is yours to write; the rest you may change.
    """

    #: the engine's name
    engine: ClassVar[str]
    #: what names the cluster on the command line, the engine's own flags with it
    where: ClassVar[tuple[str, ...]]
    #: the lab's context, and so the account with its rights, that hasteward runs under
    context: ClassVar[str] = "repair"
    #: flags with which a restore brings back what `content` reads and leaves alone what `commit` writes to;
    #: () if a restore brings back all there is
    part: ClassVar[tuple[str, ...]] = ()
    #: where in a pod a secret might be left
    searched: ClassVar[tuple[str, ...]] = ("/tmp", "/dev/shm", "/home", "/var/tmp")
    #: False where a restore makes live what `content` reads in several acts, as the engine's page must say:
    #: one that died between them is ended by the next
    one_act: ClassVar[bool] = True

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    @classmethod
    def up(cls) -> AbstractContextManager[Self]:
        """A new lab with a cluster that is well and holds something; nothing of it stays."""
        raise NotImplementedError(f"{cls.__name__}.up() must stand a lab up and fill its cluster")

    def content(self) -> Mapping[str, Any]:
        """What a client reads, by the member it reads it from; compared whole, so take checksums of much."""
        raise NotImplementedError(f"{type(self).__name__}.content() must read from every member")

    def damage(self) -> None:
        """Do to the data what a restore is for. `content` must differ afterwards."""
        raise NotImplementedError(f"{type(self).__name__}.damage() must change what content() reads")

    def commit(self, number: int) -> None:
        """Write a number durably; return once the database has acknowledged it, LabError if it has not."""
        raise NotImplementedError(f"{type(self).__name__}.commit() must write a number")

    def committed(self) -> Mapping[str, frozenset[int]]:
        """The numbers that were written and are there, by member."""
        raise NotImplementedError(f"{type(self).__name__}.committed() must read what commit() wrote")

    def settle(self) -> None:
        """Wait until the cluster is well and every member has what any has; LabError if it never does."""
        self.lab.wait_ready()

    def rest(self) -> None:
        """Have the servers that answer write now what they would write in their own time, if they do that."""

    def tidy(self) -> None:
        """Take away what restores have kept beside the live data."""

    def secrets(self) -> dict[str, str]:
        """What may be seen nowhere but where it is: by default every Secret of the namespace.

        Of a value of many lines it is one that is in no other: of a key in PEM the second.
        """
        return {
            f"{row['metadata']['name']}/{key}": lines[1] if len(lines) > 1 else lines[0]
            for row in self.lab.get("secrets")
            for key, encoded in row.get("data", {}).items()
            if key not in _PUBLIC
            and (lines := base64.b64decode(encoded).decode(errors="replace").strip().splitlines())
            and len(lines[0]) >= _SHORT
        }

    def in_pods(self) -> set[str]:
        """Those of `secrets` that the database's own containers have in their environment."""
        secrets = self.secrets()
        references = [
            row.get("valueFrom", {}).get("secretKeyRef", {})
            for pod in self.lab.get("pods")
            for container in pod["spec"]["containers"]
            for row in container.get("env", [])
        ]
        known = {secrets.get(f"{one.get('name')}/{one.get('key')}") for one in references}
        return {name for name, value in secrets.items() if value in known}


class Broken(Protocol):
    """Makes something wrong with a cluster, and at the end of the `with` it is gone."""

    def __call__(self, site: Any) -> AbstractContextManager[Site]:
        """The site in which it is wrong: the given one, which is well again afterwards, or one of its own."""


@dataclass(frozen=True, slots=True)
class Repair:
    """A trouble that the engine heals: how it comes to be, and what a person types besides `--yes`."""

    broken: Broken
    flags: tuple[str, ...] = ()
