"""What a run is about to do, in words: shown before it acts, identical under ``--dry-run``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reversal(StrEnum):
    """Whether a step can be taken back."""

    READ_ONLY = "read-only"
    REVERSIBLE = "reversible"
    FORWARD_ONLY = "forward-only"


@dataclass(frozen=True, slots=True)
class Step:
    """One act, in the order of execution."""

    text: str
    reversal: Reversal = Reversal.READ_ONLY


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of one run. `gives_up` says in words what will no longer be live afterwards.

    A plan that gives something up needs ``--yes``.
    """

    title: str
    steps: tuple[Step, ...]
    gives_up: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
