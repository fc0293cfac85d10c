"""What plain questions leave open: files of members that do not answer, logs that must be held together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError
from hasteward.domain.reading import Absent, Known, Reading, Unread
from hasteward.kit.helperpod import Helper, Mount, helper_pod
from hasteward.ports.context import Depth, EngineContext
from hasteward.ports.kubernetes import PODS, Json
from hasteward_cnpg.analyse.authority import leader_of, needs_comparison, reference_of
from hasteward_cnpg.collect.files import Place, read_files, read_mark, read_tally
from hasteward_cnpg.collect.room import volumes
from hasteward_cnpg.evidence import (
    ClaimState,
    Comparison,
    ContainerState,
    Evidence,
    FileFacts,
    MemberEvidence,
    Position,
    Trouble,
)
from hasteward_cnpg.facts.lineage import Relation
from hasteward_cnpg.facts.logs import troubles
from hasteward_cnpg.facts.objects import helper_facts, mapping
from hasteward_cnpg.resources import CONTAINER, DATA_DIRECTORY, MOUNT, pod_of

_LOG_LINES = 400
_DEFAULT_SEGMENT = 16 * 1024 * 1024


@dataclass(slots=True)
class Reader:
    """Finds a place to read each member's files from; helper pods live as long as `stack`."""

    context: EngineContext
    cluster: ClusterRef
    body: Mapping[str, Any]
    pods: Mapping[str, Json]
    stack: ExitStack
    places: dict[str, Place] = field(default_factory=dict)

    def files(self, member: MemberEvidence) -> Reading[FileFacts]:
        """The member's files, if they can be read without anybody writing to them."""
        match member.claim:
            case Absent(proof):
                return Absent(proof)
            case Known(state) if state is not ClaimState.BOUND:
                return Unread(f"the volume claim of {member.name} is {state.value}")
            case Unread(why):
                return Unread(why)
            case Known():
                pass
        return self._read(member)

    def _read(self, member: MemberEvidence) -> Reading[FileFacts]:
        deep = self.context.depth >= Depth.DEEP
        if _execable(member):
            place = Place(pod_of(self.cluster, member.name), "")
            found = read_files(self.context, place)
            if isinstance(found, Known):
                self.places[member.name] = place
            # the container of a server that comes and goes may be gone before it can be asked
            if not isinstance(found, Unread) or not deep or self._runs(self._container(member.name)):
                return found
        if not deep:
            return Unread(f"the server of {member.name} is down; --deep reads its files by a helper pod")
        return self._by_helper(member)

    @staticmethod
    def _runs(containers: list[tuple[object, object, bool]] | str) -> bool:
        """Whether the server's container runs, for all that is known."""
        if isinstance(containers, str):
            return True
        return any(running for name, _, running in containers if name == CONTAINER)

    def _by_helper(self, member: MemberEvidence) -> Reading[FileFacts]:
        before = self._container(member.name)
        if not isinstance(before, str) and self._runs(before):
            return Unread(f"the container of {member.name} was started before its files could be read")
        try:
            helper = self._helper(member.name)
            pod = self.stack.enter_context(helper_pod(self.context, self.cluster.namespace, helper))
        except (HastewardError, ValueError) as error:
            return Unread(f"the files of {member.name}: {error}")
        place = Place(pod, DATA_DIRECTORY)
        found = read_files(self.context, place)
        if self._container(member.name) != before:
            return Unread(f"the container of {member.name} was started while its files were read")
        if isinstance(found, Known):
            self.places[member.name] = place
        return found

    def _container(self, name: str) -> list[tuple[object, object, bool]] | str:
        """What must not change while files are read: whether a container runs, and how often one began."""
        try:
            body = self.context.kubernetes.get(PODS, self.cluster.namespace, name)
        except HastewardError as error:
            return f"{type(error).__name__}"
        statuses = mapping(body.get("status")).get("containerStatuses") or ()
        return [
            (one.get("name"), one.get("restartCount"), "running" in mapping(one.get("state")))
            for one in statuses
        ]

    def _helper(self, member: str) -> Helper:
        facts = helper_facts(self.body, self.pods.get(member), self.pods)
        mounts = [Mount(member, MOUNT)]
        if facts.wal_volume:
            mounts.append(Mount(f"{member}-wal", facts.wal_mount))
        return Helper(
            name=f"hasteward-{member}-{self.context.run.id}",
            image=facts.image,
            mounts=tuple(mounts),
            node=facts.node,
            user=facts.user,
            group=facts.group,
            account=facts.account,
            pull_secrets=facts.pull_secrets,
            tolerations=facts.tolerations,
            cluster=self.cluster,
        )

    def room(self, member: str) -> tuple[int, int] | None:
        """Bytes free on the volumes of the data and of the log of a member that runs; None if not told."""
        with contextlib.suppress(HastewardError, ValueError):
            data, log = volumes(self.context, pod_of(self.cluster, member))
            return data.free, log.free
        return None

    def troubles(self, member: MemberEvidence, free: tuple[int, int] | None) -> frozenset[Trouble]:
        """What the member's log names; nothing when it could not be read, which discredits nobody.

        Whether a volume is full is told by the volume, where it was looked at.
        """
        said = ""
        with contextlib.suppress(HastewardError):
            pod = pod_of(self.cluster, member.name)
            for previous in (True, False):
                said += self.context.kubernetes.log(pod, previous=previous, lines=_LOG_LINES)
        found = troubles(said.splitlines())
        if free is None:
            return found
        full = min(free) < _segment_bytes(member)
        return found | {Trouble.DISK_FULL} if full else found - {Trouble.DISK_FULL}


def _execable(member: MemberEvidence) -> bool:
    return isinstance(member.pod, Known) and member.pod.value.container is ContainerState.RUNNING


def deepen(reader: Reader, evidence: Evidence) -> Evidence:
    """The evidence with files, logs and comparisons where they can change the answer."""
    members = [_with_files(reader, member) for member in evidence.members]
    evidence = replace(evidence, members=tuple(members))
    evidence = against(reader, evidence, reference_of(evidence))
    # of several that are ahead of the reference, does one hold what the others hold?
    return against(reader, evidence, leader_of(evidence))


def against(reader: Reader, evidence: Evidence, other: MemberEvidence | None) -> Evidence:
    """The evidence with every member's log held against that of `other`."""
    if other is None:
        return evidence
    members = tuple(_compared(reader, member, other) for member in evidence.members)
    return replace(evidence, members=members)


def _with_files(reader: Reader, member: MemberEvidence) -> MemberEvidence:
    if isinstance(member.server, Known):
        server = member.server.value
        reader.places[member.name] = Place(pod_of(reader.cluster, member.name), "")
        following = server.receiver is not None and server.receiver.status == "streaming"
        if not server.in_recovery and reader.context.depth >= Depth.DEEP:
            free = reader.room(member.name)
            full = free is not None and min(free) < _segment_bytes(member)
            return replace(member, troubles=frozenset({Trouble.DISK_FULL} if full else ()))
        if not server.in_recovery or following:
            return member
        return replace(member, troubles=reader.troubles(member, reader.room(member.name)))
    files = reader.files(member)
    free = files.value.free if isinstance(files, Known) else None
    return replace(member, files=files, troubles=reader.troubles(member, free))


def _compared(reader: Reader, member: MemberEvidence, reference: MemberEvidence) -> MemberEvidence:
    if member.against(reference.name) is not None:
        return member
    relation = needs_comparison(member, reference)
    if (
        relation is None
        or not isinstance(member.position, Known)
        or not isinstance(reference.position, Known)
    ):
        return member
    mine = _Log(reader, member, member.position.value)
    theirs = _Log(reader, reference, reference.position.value)
    found = _comparison(mine, theirs, relation)
    return replace(member, comparisons=(*member.comparisons, found))


@dataclass(frozen=True, slots=True)
class _Log:
    """One member's log, wherever it can be read."""

    reader: Reader
    member: MemberEvidence
    position: Position

    def tally(self, relation: Relation, extent: int) -> Reading[Any]:
        place = self.reader.places.get(self.member.name)
        if place is None:
            return Unread(f"the log of {self.member.name} cannot be read")
        if extent == 0:
            return Absent(f"{self.member.name} holds nothing past {relation.fork}")
        segment = _segment_bytes(self.member)
        return read_tally(self.reader.context, place, self.position, relation.fork, segment)

    def mark(self, relation: Relation) -> Reading[str]:
        place = self.reader.places.get(self.member.name)
        if place is None:
            return Unread(f"the log of {self.member.name} cannot be read")
        segment = _segment_bytes(self.member)
        return read_mark(self.reader.context, place, self.position, relation.fork, segment)


def _segment_bytes(member: MemberEvidence) -> int:
    if isinstance(member.files, Known):
        return member.files.value.control.segment_bytes
    return member.server.value.segment_bytes if isinstance(member.server, Known) else _DEFAULT_SEGMENT


def _comparison(mine: _Log, theirs: _Log, relation: Relation) -> Comparison:
    return Comparison(
        to=theirs.member.name,
        fork=relation.fork,
        mine=mine.tally(relation, relation.mine),
        theirs=theirs.tally(relation, relation.theirs),
        alike=_alike(mine.mark(relation), theirs.mark(relation)),
    )


def _alike(mine: Reading[str], theirs: Reading[str]) -> Reading[bool]:
    for mark in (theirs, mine):
        match mark:
            case Absent(why):
                return Absent(why)
            case Unread(why):
                return Unread(why)
            case Known():
                pass
    assert isinstance(mine, Known)  # noqa: S101  the loop above left nothing else
    assert isinstance(theirs, Known)  # noqa: S101  as above
    return Known(mine.value == theirs.value, f"{mine.source} and {theirs.source}")


@contextlib.contextmanager
def reading(
    context: EngineContext, cluster: ClusterRef, body: Mapping[str, Any], pods: Mapping[str, Json]
) -> Iterator[Reader]:
    """A reader whose helper pods go when the block ends."""
    with ExitStack() as stack:
        yield Reader(context, cluster, body, pods, stack)
