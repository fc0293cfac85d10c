"""Who runs together with whom. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from hasteward.domain.reading import Known
from hasteward_galera.evidence import Evidence, MemberEvidence, ServerFacts, View


@dataclass(frozen=True, slots=True)
class Component:
    """Servers that are Primary together. `size` is how many the servers say they are.

    `names` are those that the component itself counts in, whether we could ask them or not.
    """

    members: tuple[str, ...]
    uuid: str
    seqno: int
    size: int
    view: View | None

    @property
    def names(self) -> frozenset[str]:
        """Members by name, by their own word and by the component's."""
        return frozenset(self.members) | (self.view.names if self.view is not None else frozenset())

    def __str__(self) -> str:
        return f"{', '.join(self.members)} ({self.size} in it, at {self.uuid[:8]}:{self.seqno})"


def server_of(member: MemberEvidence | None) -> ServerFacts | None:
    """What a member's server said, if it was read."""
    return member.server.value if member is not None and isinstance(member.server, Known) else None


def _key(server: ServerFacts) -> tuple[object, ...]:
    if server.view is not None:
        return (server.uuid, server.view.nodes)
    # without its view a server may stand with any other of its history that counts as many
    return (server.uuid, server.size)


def components(evidence: Evidence) -> tuple[Component, ...]:
    """Every Primary component that is seen, the largest first."""
    groups: dict[tuple[object, ...], list[MemberEvidence]] = {}
    for member in evidence.members:
        server = server_of(member)
        if server is not None and server.primary and server.position is not None:
            groups.setdefault(_key(server), []).append(member)
    found = [_component(tuple(group)) for group in groups.values()]
    return tuple(sorted(found, key=lambda one: (-one.size, one.members)))


def _component(group: tuple[MemberEvidence, ...]) -> Component:
    servers = [server for member in group if (server := server_of(member)) is not None]
    return Component(
        members=tuple(member.name for member in group),
        uuid=servers[0].uuid,
        seqno=max(server.seqno for server in servers),
        size=servers[0].size,
        view=servers[0].view,
    )
