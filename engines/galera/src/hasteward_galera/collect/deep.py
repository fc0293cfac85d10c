"""Files of members whose server does not run, by helper pods that mount them read-only.

Files count only if no server used them meanwhile: no other pod has the volume open (a recovery Job of the
operator would), and the member's own container is the same, and still down, when the reading is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError
from hasteward.domain.reading import Absent, Known, Reading, Unread
from hasteward.kit.answers import Answer, split_answers
from hasteward.kit.helperpod import Helper, Mount, Scratch, helper_pod
from hasteward.kit.reading import attempt
from hasteward.kit.streaming import capture
from hasteward.ports.context import Depth, EngineContext
from hasteward.ports.kubernetes import PODS, PodRef
from hasteward_galera.evidence import (
    ClaimFacts,
    ClusterFacts,
    Evidence,
    FileFacts,
    MemberEvidence,
    PodFacts,
    Recovered,
    Volume,
)
from hasteward_galera.facts.galera import parse_files, parse_recovered, parse_volume
from hasteward_galera.facts.objects import mapping, mounts
from hasteward_galera.facts.shell import files_argv, recover_argv
from hasteward_galera.resources import CONTAINER, MOUNT, SCRATCH, SHARED_FOLDER, USER, claim_of

#: the most that is copied to recover a position, in KiB; a node has to have that much free
_MOST_KIB = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Look:
    """What a helper found."""

    files: Reading[FileFacts]
    recovered: Reading[Recovered]
    volume: Reading[Volume]


def deepen(context: EngineContext, cluster: ClusterRef, evidence: Evidence) -> Evidence:
    """The evidence with the files of stopped members, as far as the depth allows."""
    members = tuple(_with_files(context, cluster, evidence.cluster, member) for member in evidence.members)
    return replace(evidence, members=members)


def _with_files(
    context: EngineContext, cluster: ClusterRef, facts: ClusterFacts, member: MemberEvidence
) -> MemberEvidence:
    match member.pod, member.claim:
        case Known(pod), _ if pod.alive:
            return member
        case Unread(why), _:
            return _blind(member, why)
        case _, Absent():
            return member
        case _, Unread(why):
            return _blind(member, why)
        case pod, Known(claim):
            obstacle = _obstacle(context, facts, pod, claim)
    if obstacle:
        return _blind(member, obstacle)
    look = _look(context, cluster, facts, member)
    return replace(member, files=look.files, recovered=look.recovered, volume=look.volume)


def _blind(member: MemberEvidence, why: str) -> MemberEvidence:
    return replace(member, files=Unread(f"the files of {member.name}: {why}"))


def _obstacle(
    context: EngineContext,
    facts: ClusterFacts,
    pod: Reading[PodFacts],
    claim: ClaimFacts,
) -> str:
    """Why the files cannot be looked at; empty when they can."""
    if claim.users:
        return f"{', '.join(claim.users)} has its volume open"
    if isinstance(pod, Known) and pod.value.terminating:
        return "its pod is being deleted, and its server may still run"
    if claim.phase != "Bound":
        return f"its volume claim is {claim.phase}"
    if context.depth < Depth.DEEP:
        return "--deep reads them by a helper pod"
    return "" if facts.image else "the MariaDB names no image to look with"


def _look(context: EngineContext, cluster: ClusterRef, facts: ClusterFacts, member: MemberEvidence) -> _Look:
    before = _users(context, cluster, member.name)
    try:
        with helper_pod(context, cluster.namespace, _helper(context, cluster, facts, member)) as pod:
            found = _read(context, facts, member.name, pod)
    except (HastewardError, ValueError) as error:
        unread = Unread(f"the files of {member.name}: {error}")
        return _Look(unread, unread, unread)
    if _users(context, cluster, member.name) != before:
        unread = Unread(f"a server of {member.name} was started while its files were read")
        return _Look(unread, unread, found.volume)
    return found


def _users(context: EngineContext, cluster: ClusterRef, member: str) -> object:
    """What must not change: who else has the volume, and how often the member's container was begun."""
    try:
        pods = context.kubernetes.list(PODS, cluster.namespace)
    except HastewardError:
        return object()  # equal to nothing: then it is not proven
    seen: list[object] = []
    for body in pods:
        labels = mapping(body["metadata"].get("labels"))
        if claim_of(member) not in mounts(body) and body["metadata"]["name"] != member:
            continue
        if labels.get("app.kubernetes.io/managed-by") == "hasteward":
            continue
        rows = mapping(body.get("status")).get("containerStatuses") or ()
        states = [
            (row.get("restartCount"), "running" in mapping(row.get("state")))
            for row in rows
            if row.get("name") == CONTAINER or body["metadata"]["name"] != member
        ]
        seen.append((body["metadata"]["name"], body["metadata"].get("uid"), states))
    return seen


def _helper(
    context: EngineContext, cluster: ClusterRef, facts: ClusterFacts, member: MemberEvidence
) -> Helper:
    pod = member.pod.value if isinstance(member.pod, Known) else None
    return Helper(
        name=f"hasteward-{member.name}-{context.run.id[:8]}",
        image=facts.image,
        mounts=(Mount(claim_of(member.name), MOUNT),),
        node=pod.node if pod is not None else "",
        user=pod.user if pod is not None else USER,
        group=pod.group if pod is not None else USER,
        account=pod.account if pod is not None else "",
        pull_secrets=pod.pull_secrets if pod is not None else (),
        tolerations=pod.tolerations if pod is not None else (),
        scratch=(Scratch(SCRATCH, _MOST_KIB * 1024),),
        cluster=cluster,
    )


def _read(context: EngineContext, facts: ClusterFacts, member: str, pod: PodRef) -> _Look:
    data = f"{MOUNT}/{SHARED_FOLDER}" if facts.shared_volume else MOUNT
    source = f"the files of {member}"
    answers = _run(context, pod, files_argv(MOUNT, data))
    volume = attempt(f"df of {member}", lambda: parse_volume(answers["disk"]))
    match answers["presence"].text.strip():
        case "empty":
            empty = Absent(f"{source}: the volume is mounted, and its data directory is empty")
            return _Look(empty, empty, volume)
        case "there":
            files = attempt(source, lambda: parse_files(answers))
        case _:
            unread = Unread(f"{source}: it could not be told whether there is a data directory")
            return _Look(unread, unread, volume)
    argv = recover_argv(data, SCRATCH, _MOST_KIB, facts.library)
    recovered = attempt(f"wsrep-recover of {member}", lambda: parse_recovered(_run(context, pod, argv)))
    return _Look(files, recovered, volume)


def _run(context: EngineContext, pod: PodRef, argv: list[str]) -> Mapping[str, Answer]:
    answer = capture(context, pod, argv)
    if answer.exit_status != 0:
        said = " ".join(answer.stderr.split()) or "no message"
        raise ValueError(f"looking at the files in {pod} exited with {answer.exit_status}: {said}")
    return split_answers(answer.stdout.decode("utf-8", "replace"))
