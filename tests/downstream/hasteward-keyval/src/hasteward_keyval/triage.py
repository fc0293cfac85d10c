"""How the members are, and what that rests on. `collect` reads the world, `judge` is pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError, InvalidInput, Refused
from hasteward.domain.reading import Absent, Known, Reading, Unread
from hasteward.domain.report import Assessment, Authority, Health, TriageReport
from hasteward.kit.streaming import capture
from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import PODS, PodRef

STORE = "/data/store"
END = b"# end\n"
_WHOLE = re.compile(rb"# version (\d+)\n.*# end\n", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Member:
    pod: PodRef
    primary: bool
    version: Reading[int]


def members(context: EngineContext, cluster: ClusterRef) -> list[tuple[PodRef, bool]]:
    """Every member, and whether it is labelled the primary."""
    found = context.kubernetes.list(PODS, cluster.namespace, labels=f"keyval={cluster.name}")
    if not found:
        raise InvalidInput(f"no pod in namespace {cluster.namespace} has the label keyval={cluster.name}")
    metas = [pod["metadata"] for pod in found]
    return [
        (PodRef(cluster.namespace, meta["name"], "store"), meta["labels"].get("role") == "primary")
        for meta in metas
    ]


def primary(context: EngineContext, cluster: ClusterRef) -> PodRef:
    """The one member that takes writes."""
    found = [pod for pod, is_primary in members(context, cluster) if is_primary]
    if len(found) != 1:
        raise Refused(f"{len(found)} members of {cluster} are labelled role=primary; there must be one")
    return found[0]


def collect(context: EngineContext, cluster: ClusterRef) -> list[Member]:
    return [Member(pod, first, _version(context, pod)) for pod, first in members(context, cluster)]


def _version(context: EngineContext, pod: PodRef) -> Reading[int]:
    try:
        answer = capture(context, pod, ["cat", STORE])
    except HastewardError as error:
        return Unread(error.message)
    if answer.exit_status:
        return Unread(f"cat exited with {answer.exit_status}: {answer.stderr}")
    if whole := _WHOLE.fullmatch(answer.stdout):
        return Known(int(whole[1]), f"{STORE} on {pod}")
    return Absent(f"{STORE} on {pod} was read and is not a whole store")


def judge(cluster: ClusterRef, found: Sequence[Member]) -> TriageReport:
    newest = max((m.version.value for m in found if isinstance(m.version, Known)), default=0)
    missing = tuple(f"{m.pod.name}: {m.version.reason}" for m in found if isinstance(m.version, Unread))
    leaders = [member.version for member in found if member.primary]
    if missing or len(leaders) != 1:
        authority, reason = Authority.UNDETERMINABLE, "; ".join(missing) or f"{len(leaders)} primaries"
    elif isinstance(leaders[0], Known) and leaders[0].value == newest:
        authority, reason = Authority.PROVABLE, f"the primary holds the newest version, {newest}"
    else:
        authority, reason = Authority.LEADER_NOT_PRIMARY, f"version {newest} is not on the primary"
    assessments = tuple(_assess(member, newest, missing) for member in found)
    return TriageReport(cluster, authority, reason, assessments, ())


def _assess(member: Member, newest: int, missing: tuple[str, ...]) -> Assessment:
    match member.version:
        case Unread(reason):
            health, evidence = Health.UNDETERMINABLE, reason
        case Absent(proof):
            health, evidence = Health.DOWN, proof
        case Known(value, source) if value < newest:
            health, evidence = Health.LAGGING, f"version {value} in {source}; the newest is {newest}"
        case Known(value, source):
            # a member that could not be read may hold more: the best that we know of is then not the newest
            health = Health.UNDETERMINABLE if missing else Health.HEALTHY
            evidence = f"version {value} in {source}"
    role = "primary" if member.primary else "replica"
    return Assessment(member.pod.name, role, health, (evidence,), missing)
