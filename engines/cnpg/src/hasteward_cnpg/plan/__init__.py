"""Plans in words. Pure: everything they say was read before."""

from __future__ import annotations

from collections.abc import Sequence

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.plan import Plan, Step
from hasteward_cnpg.facts.room import human


def dump_plan(
    cluster: ClusterRef,
    *,
    member: str,
    why: str,
    databases: Sequence[tuple[str, int]],
    excluded: Sequence[str],
    doubt: str,
) -> Plan:
    """What a dump reads. `databases` come with their size on disk, an estimate of what they are dumped to."""
    total = sum(size for _, size in databases)
    steps = [
        Step(f"read roles, memberships and tablespaces from {member} ({why})"),
        *(Step(f"dump database {name} (about {human(size)} on disk)") for name, size in databases),
    ]
    notes = [f"about {human(total)} on disk in {len(databases)} databases; nothing is written in the pod"]
    if excluded:
        notes.append(f"not dumped: {', '.join(excluded)} (closed to connections, or left by a restore)")
    if doubt:
        notes.append(f"it is not proven that {member} holds the newest data: {doubt}")
    title = f"dump {cluster.namespace}/{cluster.name} from {member}"
    return Plan(title, tuple(steps), notes=tuple(notes))
