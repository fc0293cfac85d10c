"""Plans in words. Pure: everything they say was read before."""

from __future__ import annotations

from dataclasses import dataclass

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.plan import Plan, Reversal, Step
from hasteward_vault.facts.words import human


def dump_plan(cluster: ClusterRef, *, member: str, why: str, index: int | None, doubt: str) -> Plan:
    """What a dump reads. `doubt` is why the member is not proven to lead; empty when it is."""
    notes = ["the snapshot is encrypted: what it holds is read with the unseal keys of its time, no other"]
    if doubt:
        notes.append(f"it is not proven that {member} holds the newest data: {doubt}")
    where = f" (applied entry {index})" if index is not None else ""
    return Plan(
        title=f"dump {cluster.namespace}/{cluster.name} from {member}",
        steps=(
            Step(f"take a Raft snapshot from {member}, {why}{where}; nothing is written in the pod"),
            Step("check it against its own SHA256SUMS, and that the member still leads afterwards"),
        ),
        notes=tuple(notes),
    )


@dataclass(frozen=True, slots=True)
class RestoreWords:
    """What a restore plan tells. `kept` is the file that will hold what is live now, empty for none."""

    snapshot: str
    finished: str
    index: int
    live_index: int | None
    leader: str
    size: int
    kept: str
    differences: tuple[str, ...]
    notes: tuple[str, ...]


def restore_plan(cluster: ClusterRef, words: RestoreWords) -> Plan:
    """What a restore does, in its order, and what it gives up."""
    steps = []
    if words.kept:
        steps.append(
            Step(
                f"save what is live now into {words.kept} on the volume of {words.leader}",
                Reversal.REVERSIBLE,
            )
        )
    forced = " by force, past the difference" if words.differences else ""
    steps += [
        Step(
            f"install the snapshot ({human(words.size)}) through {words.leader}{forced}; the server checks"
            " its sums before it takes any of it",
            Reversal.REVERSIBLE if words.kept else Reversal.FORWARD_ONLY,
        ),
        Step("wait until every member is unsealed and a majority follows the leader"),
    ]
    live = f"entry {words.live_index}" if words.live_index is not None else "an entry that could not be read"
    fate = f"kept in {words.kept}" if words.kept else "NOT kept"
    return Plan(
        title=(
            f"restore {cluster.namespace}/{cluster.name} from snapshot {words.snapshot[:8]}"
            f" (Raft entry {words.index}, finished {words.finished})"
        ),
        steps=tuple(steps),
        gives_up=(f"everything that {words.leader} holds now, up to {live}; {fate}",),
        notes=(*(f"FORCED past: {difference}" for difference in words.differences), *words.notes),
    )
