"""What a plan rests on beside the evidence: objects by their identity, images, Secrets, room. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hasteward.domain.reading import Reading
from hasteward_cnpg.facts.objects import HelperFacts, mapping
from hasteward_cnpg.resources import OPERATOR_VERSION, TABLESPACE_MOUNT

_VERSION = re.compile(r"(\d+)\.(\d+)")
Version = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes free on the volume of the data, and on that of the log (often the same)."""

    data: int
    log: int


@dataclass(frozen=True, slots=True)
class MemberGrounds:
    """One member's objects. `pod` and `claim` are UIDs, "" where there is none; `active` says whether its pod
    is ready and stays; `helper` is None where no image is known.
    """

    pod: str
    claim: str
    active: bool
    helper: HelperFacts | None
    room: Reading[Room]


@dataclass(frozen=True, slots=True)
class Grounds:
    """The cluster's. `version` is the operator's, None where no pod tells it."""

    run: str
    members: Mapping[str, MemberGrounds]
    version: Version | None
    tablespaces: tuple[str, ...]
    ca_secret: str
    replication_secret: str

    def all_others_active(self, name: str) -> bool:
        """Whether the pod of every other member runs and is ready: else the operator makes none."""
        return all(member.active for other, member in self.members.items() if other != name)


def parse_grounds(run: str, cluster: Mapping[str, Any], members: Mapping[str, MemberGrounds]) -> Grounds:
    """The parts of the Cluster that a treatment needs; the operator's own names where it does not say."""
    name = str(mapping(cluster.get("metadata")).get("name") or "")
    held = mapping(mapping(cluster.get("status")).get("certificates"))
    spaces = mapping(cluster.get("spec")).get("tablespaces") or ()
    return Grounds(
        run=run,
        members=members,
        version=None,
        tablespaces=tuple(f"{TABLESPACE_MOUNT}/{mapping(row).get('name')}/data" for row in spaces),
        ca_secret=str(held.get("serverCASecret") or f"{name}-ca"),
        replication_secret=str(held.get("replicationTLSSecret") or f"{name}-replication"),
    )


def operator_version(pods: Mapping[str, Mapping[str, Any]]) -> Version | None:
    """The lowest version that a member's pod was made by; None where none tells."""
    found = []
    for body in pods.values():
        annotations = mapping(mapping(body.get("metadata")).get("annotations"))
        match = _VERSION.match(str(annotations.get(OPERATOR_VERSION) or ""))
        if match:
            found.append((int(match[1]), int(match[2])))
    return min(found) if found else None
