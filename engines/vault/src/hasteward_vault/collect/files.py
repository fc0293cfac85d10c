"""Reads what is asked only where nobody leads: the survivors' own files, and what is left of the others."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import RunFailed
from hasteward.domain.reading import Absent, Known, Reading, Unread
from hasteward.kit.reading import attempt, short
from hasteward.kit.streaming import capture
from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import PERSISTENT_VOLUME_CLAIMS, Json, PodRef
from hasteward_vault.collect.ask import script
from hasteward_vault.evidence import Evidence, RaftLog
from hasteward_vault.facts.bolt import BLOCK, Blocks, Bucket, head, root
from hasteward_vault.facts.objects import name_of
from hasteward_vault.facts.raftfiles import LOG, STORE, parse_log
from hasteward_vault.facts.shell import BLOCKS
from hasteward_vault.resources import pod_of

_TRIES = 3
_BEGINNING = 32  # blocks: two pages of the largest size


def with_files(context: EngineContext, cluster: ClusterRef, evidence: Evidence) -> Evidence:
    """The evidence with the log of every server that runs, and the claim of every other."""
    claims: Reading[dict[str, Json]] | None = None
    members = []
    for member in evidence.members:
        match member.pod:
            case Known(pod) if pod.alive:
                place = pod_of(cluster, member.name, evidence.stateful_set.container)
                read = partial(_log, context, place, evidence.stateful_set.data)
                members.append(replace(member, log=attempt(f"the files of {member.name}", read)))
            case Known() | Absent():
                if claims is None:
                    claims = attempt("the list of claims", partial(_claims, context, cluster))
                members.append(replace(member, claim=_claim(evidence, member.name, claims)))
            case Unread(why):
                members.append(replace(member, claim=Unread(why)))
    return replace(evidence, members=tuple(members))


def _claims(context: EngineContext, cluster: ClusterRef) -> dict[str, Json]:
    return {name_of(row): row for row in context.kubernetes.list(PERSISTENT_VOLUME_CLAIMS, cluster.namespace)}


def _claim(evidence: Evidence, member: str, claims: Reading[dict[str, Json]]) -> Reading[str]:
    """The volume behind a member's claim; absent where there is none, or none was ever bound to it."""
    if not evidence.stateful_set.claim:
        return Unread("its volume is not made by its StatefulSet")
    name = f"{evidence.stateful_set.claim}-{member}"
    match claims:
        case Known(rows, source) if name in rows:
            volume = str((rows[name].get("spec") or {}).get("volumeName") or "")
            return Known(volume, source) if volume else Absent(f"claim {name} was never bound to a volume")
        case Known():
            return Absent(f"there is no claim {name}")
        case Absent(why) | Unread(why):
            return Unread(why)


def _log(context: EngineContext, pod: PodRef, folder: str) -> RaftLog:
    """Both files, each read in peace; RunFailed when the server goes on writing them."""
    for _ in range(_TRIES):
        store, log = (partial(_blocks, context, pod, f"{folder}/{name}") for name in (STORE, LOG))
        (before_store, of_store), (before_log, of_log) = root(_held(store)), root(_held(log))
        found = parse_log(of_store, of_log)
        if head(store(0, _heads(of_store))) == before_store and head(log(0, _heads(of_log))) == before_log:
            return found
    raise RunFailed(f"the files of {pod.name} change while they are read", code="vault.files")


def _held(blocks: Blocks) -> Blocks:
    """The same, with the beginning of the file read once: most of what is wanted lies there."""
    begin = blocks(0, _BEGINNING)

    def within(first: int, count: int) -> bytes:
        end = (first + count) * BLOCK
        return begin[first * BLOCK : end] if end <= len(begin) or first == 0 else blocks(first, count)

    return within


def _heads(bucket: Bucket) -> int:
    """How many blocks the two first pages take."""
    return 2 * bucket.page_size // BLOCK


def _blocks(context: EngineContext, pod: PodRef, path: str, first: int, count: int) -> bytes:
    answer = capture(short(context), pod, script(BLOCKS, path, str(first), str(count)))
    if answer.exit_status != 0:
        raise RunFailed(f"{path} on {pod.name}: {' '.join(answer.stderr.split())}", code="vault.files")
    return answer.stdout


__all__ = ["with_files"]
