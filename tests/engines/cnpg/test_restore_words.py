"""What a restore says before and after it acts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hasteward.domain.manifest import Section
from hasteward_cnpg.facts.room import MIB
from hasteward_sql.postgresql.restore import _done
from hasteward_sql.postgresql.restore.plan import Live, Replacement, RestoreWords, restore_plan
from hasteward_sql.postgresql.restore.survey import _activity
from hasteward_sql.postgresql.restore.target import Item, LiveDatabase

WORDS = RestoreWords(
    snapshot="abcdef0123",
    member="pg-2",
    finished="2026-11-21T11:33:16+00:00",
    place="db/pg on its primary pg-1",
    new_roles=(),
    leftovers=(),
    keep_old=True,
    notes=("the last",),
)
QUIET = {"seen": None, "transactions": 12, "since": None}
BEGAN = "12 transactions since the statistics began"
OFF = "track_commit_timestamp is off, so the time of the last one is not known"


@pytest.mark.parametrize(
    ("live", "said"),
    [
        (Live(17 * MIB, 0, (), "quiet"), "database app (17 MiB) as it is now; kept as old_app"),
        (
            Live(17 * MIB, 1, ("psql",), "quiet"),
            "database app (17 MiB, 1 session) as it is now; kept as old_app",
        ),
    ],
)
def test_a_plan_names_what_goes_out_of_service_and_notes_how_it_was_used(live: Live, said: str) -> None:
    databases = [Replacement("app", "old_app", live), Replacement("new", "old_new", None)]

    plan = restore_plan(databases, WORDS)

    assert plan.gives_up == (said,)
    assert plan.notes == ("app: quiet", "the last")
    assert not [step for step in plan.steps if "quiet" in step.text]


@pytest.mark.parametrize(
    ("row", "committed", "said"),
    [
        (QUIET, None, f"{BEGAN}; {OFF}"),
        (QUIET | {"transactions": 1, "since": "T1"}, None, f"1 transaction since T1; {OFF}"),
        (
            QUIET | {"seen": "T2"},
            "T3",
            f"a session was last active at T2; {BEGAN}; the last commit of the whole server was at T3",
        ),
    ],
)
def test_how_a_database_was_used(row: dict[str, object], committed: str | None, said: str) -> None:
    assert _activity(row, committed) == said


def test_only_what_was_swapped_is_called_so() -> None:
    live = LiveDatabase(
        oid=1,
        name="app",
        size=1,
        comment=None,
        template=False,
        connectable=True,
        sessions=0,
        applications=(),
        activity="",
        prepared=(),
        slots=(),
        subscriptions=(),
    )
    section = Section("database", "app", 0, 1, "sha256", "")
    old = Item("app", "new_1", "old_app", section, {}, live)
    free = replace(old, name="free", live=None)

    assert _done([old]) == "swapped in one transaction: app"
    assert _done([free]) == "took the free name free"
    assert _done([old, free, replace(free, name="b")]) == (
        "swapped in one transaction: app; took the free names free, b"
    )
