"""What we know about one fact, and what that rests on.

A time-out, a refused exec, a 500 or a Pending helper is `Unread`: not knowing. `Absent` needs positive
proof (the API answered NotFound, a directory was mounted and listed empty). Zero, "", -1 and the
all-zero UUID are never stand-ins for "not known" (lessons L4, L5, L25, L48).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Known(Generic[T_co]):
    """The value was read; `source` says where (for example ``pg_stat_wal_receiver on pg-2``)."""

    value: T_co
    source: str


@dataclass(frozen=True, slots=True)
class Absent:
    """The thing is proven not to exist; `proof` says how."""

    proof: str


@dataclass(frozen=True, slots=True)
class Unread:
    """We could not find out; `reason` says why. Never a fact that discredits a member."""

    reason: str


@dataclass(frozen=True, slots=True)
class Forbidden(Unread):
    """Not read because we may not: the thing can be well, and a right is what is missing."""


Reading = Known[T_co] | Absent | Unread


def why_not(reading: Reading[object]) -> str:
    """Why there is no value, in the words of whoever looked; "" if there is one."""
    if isinstance(reading, Known):
        return ""
    return reading.proof if isinstance(reading, Absent) else reading.reason
