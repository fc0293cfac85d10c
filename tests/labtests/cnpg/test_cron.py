"""Schedules of six fields. Source: docs/src/backup.md of CloudNativePG, and the cron library it uses."""

from __future__ import annotations

import datetime as dt

import pytest

from hasteward_lab.postgres.operator.cron import Schedule

BEGIN = dt.datetime(2026, 2, 27, 23, 59, 30, 500, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("* * * * * *", "2026-02-27T23:59:31"),
        ("*/20 * * * * *", "2026-02-27T23:59:40"),
        ("0 0 0 * * *", "2026-02-28T00:00:00"),
        ("@daily", "2026-02-28T00:00:00"),
        ("0 30 4 1,15 * *", "2026-03-01T04:30:00"),
        ("0 0 0 * * 1-5", "2026-03-02T00:00:00"),
        # Both days given: either will do.
        ("0 0 0 15 * 0", "2026-03-01T00:00:00"),
        ("5/25 59 23 * * *", "2026-02-27T23:59:55"),
        ("0 0 0 29 2 *", "2028-02-29T00:00:00"),
    ],
)
def test_the_next_time(text: str, due: str) -> None:
    assert Schedule.parse(text).after(BEGIN) == dt.datetime.fromisoformat(due).replace(tzinfo=dt.UTC)


def test_a_day_that_never_comes() -> None:
    assert Schedule.parse("0 0 0 31 2 *").after(BEGIN) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 0 * * *", "expected exactly 6 fields, found 5"),
        ("0 0 0 0 * *", "out of range: 1 to 31"),
        ("x 0 0 * * *", "failed to parse 'x'"),
    ],
)
def test_what_is_no_schedule(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Schedule.parse(text)
