"""From which member a cluster without a Primary component may be started again. Pure.

A choice is made only when every member is accounted for, by authoritative positions alone: neither
``safe_to_bootstrap`` nor what the operator wrote down elects anybody (#1701, L46, L52).
"""

from __future__ import annotations

from dataclasses import dataclass

from hasteward.domain.reading import Known
from hasteward.domain.report import Authority
from hasteward_galera.analyse.standing import Reference, Standing, stand_all
from hasteward_galera.analyse.verdict import Doubt, Verdict
from hasteward_galera.evidence import Evidence, Position
from hasteward_galera.facts.words import listed


@dataclass(frozen=True, slots=True)
class Choice:
    """Start from `member`, which is at `position`.

    The data of `captures` is not proven to be in it, and joining would overwrite it: each is captured first,
    and `needs_force` is then true. `reason` says it in words.
    """

    member: str
    position: Position
    captures: tuple[str, ...]
    reason: str

    @property
    def needs_force(self) -> bool:
        """Whether somebody has to say that he means it."""
        return bool(self.captures)


@dataclass(frozen=True, slots=True)
class NoChoice:
    """Nobody may be started from; `reason` says what is missing, or that there is nothing to start."""

    reason: str


def choose(
    evidence: Evidence, verdict: Verdict, *, force: bool = False, wanted: str = ""
) -> Choice | NoChoice:
    """The member to start from: the one that reaches furthest, or the one that is `wanted`.

    `force` accepts that others may hold a branch of their own; those are the captures.
    """
    if verdict.components:
        words = " and ".join(str(one) for one in verdict.components)
        return NoChoice(f"a Primary component runs: {words}")
    if verdict.authority is Authority.UNDETERMINABLE:
        return NoChoice(verdict.reason)
    if not wanted and any(question.kind is Doubt.OTHER_HISTORY for question in verdict.questions):
        return NoChoice(f"which history to go on with is for a person to say: {verdict.reason}")
    name = wanted or next(one for one, standing in verdict.standings.items() if standing is Standing.IN)
    held = verdict.holdings.get(name)
    if not isinstance(held, Known) or held.value.position is None:
        return NoChoice(f"{name} holds no data of a Galera cluster")
    at = held.value.position
    reference = Reference(
        at.uuid, at.seqno, held.value.view, running=False, replicas=evidence.cluster.replicas
    )
    standings = stand_all(verdict.holdings, reference, {name: Standing.IN})
    captures = tuple(one for one, standing in standings.items() if not standing.holds_nothing_else)
    reason = f"{name} reaches furthest ({at})" if not wanted else f"{name} is wanted ({at})"
    if captures and not force:
        return NoChoice(f"{reason}, but it is not proven to hold what {listed(captures)} hold")
    return Choice(name, at, captures, reason)
