"""A schedule of six fields, seconds first, and when it is due next."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

_NAMED = {
    "@yearly": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
}
_RANGES = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_PART = re.compile(r"(\*|\?|\d+(?:-\d+)?)(?:/(\d+))?")
# Four years hold every day there is.
_DAYS = 4 * 366


@dataclass(frozen=True)
class Schedule:
    """The values each field allows; day and weekday are both to hold unless one of them was left open."""

    fields: tuple[frozenset[int], ...]
    open_day: bool
    open_weekday: bool

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """Read a schedule; ValueError says what is wrong with it."""
        words = _NAMED.get(text.strip(), text).split()
        if len(words) != len(_RANGES):
            raise ValueError(f"expected exactly 6 fields, found {len(words)}: {words}")
        fields = tuple(_field(word, *limits) for word, limits in zip(words, _RANGES, strict=True))
        return cls(fields, words[3][0] in "*?", words[5][0] in "*?")

    def after(self, moment: dt.datetime) -> dt.datetime | None:
        """The first time later than a moment; None when there never is one."""
        begin = moment.replace(microsecond=0) + dt.timedelta(seconds=1)
        seconds, minutes, hours = (sorted(row) for row in self.fields[:3])
        for ahead in range(_DAYS):
            day = begin.date() + dt.timedelta(days=ahead)
            if not self._holds(day):
                continue
            for hour in hours:
                for minute in minutes:
                    for second in seconds:
                        found = dt.datetime.combine(day, dt.time(hour, minute, second), begin.tzinfo)
                        if found >= begin:
                            return found
        return None

    def _holds(self, day: dt.date) -> bool:
        in_month, in_week = day.day in self.fields[3], day.isoweekday() % 7 in self.fields[5]
        if day.month not in self.fields[4]:
            return False
        return in_month and in_week if self.open_day or self.open_weekday else in_month or in_week


def _field(word: str, least: int, most: int) -> frozenset[int]:
    found: set[int] = set()
    for part in word.split(","):
        read = _PART.fullmatch(part)
        if not read:
            raise ValueError(f"failed to parse {part!r}")
        begin, _, end = read[1].partition("-")
        first = least if begin in "*?" else int(begin)
        last = most if begin in "*?" or (read[2] and not end) else int(end or begin)
        if not least <= first <= last <= most:
            raise ValueError(f"{part!r} is out of range: {least} to {most}")
        found.update(range(first, last + 1, int(read[2] or 1)))
    return frozenset(found)
