"""A restore of a bare PostgreSQL is taken back, whoever made it and however it ended."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import standalone_kit
from postgres_kit import Postgres

from hasteward.domain.errors import Refused

pytestmark = pytest.mark.servers

OURS = "SELECT datname FROM pg_database WHERE datname ~ '^hasteward' ORDER BY 1"
ROLES = "SELECT rolname FROM pg_roles WHERE rolname ~ '^hasteward' ORDER BY 1"
MARKS = "SELECT count(*) FROM pg_db_role_setting WHERE array_to_string(setconfig, ',') ~ 'hasteward'"
#: what the restore brings, and what is there before it
NEW, OLD = "1,2", "9"


def rows(server: Postgres, database: str = "app") -> str:
    return server.psql("SELECT id FROM t ORDER BY 1", database).replace("\n", ",")


@pytest.fixture
def spoilt(app: Postgres, keeper: Any) -> Postgres:
    """A backup of the good rows, and one other row since."""
    keeper.backup()
    app.psql("DELETE FROM t; INSERT INTO t VALUES (9, 'live')", "app")
    app.psql("COMMENT ON DATABASE app IS 'it''s ours'")
    return app


def test_what_a_restore_replaced_is_live_again_and_what_it_brought_is_kept(
    spoilt: Postgres, keeper: Any
) -> None:
    before = spoilt.content("app")["app"]
    (replaced,) = keeper.restore().outcome.kept
    restore = keeper.last
    assert (rows(spoilt), rows(spoilt, replaced)) == (NEW, OLD)

    result = keeper.undo()

    (kept,) = result.kept
    assert (result.run, result.undone) == (restore, ("database app is what it was before",))
    assert (rows(spoilt), rows(spoilt, kept)) == (OLD, NEW)
    assert spoilt.content("app")["app"] == before
    assert spoilt.names() == ["app", kept]
    assert spoilt.psql(MARKS) == "1"
    (gives_up,) = keeper.approval.plans[-1].gives_up
    assert gives_up.startswith("database app (")
    assert gives_up.endswith(f"as it is now; kept as {kept}")


def test_undo_is_not_undone_by_a_second_one_but_by_its_own_run(spoilt: Postgres, keeper: Any) -> None:
    keeper.restore()
    keeper.undo()
    undo = keeper.last

    again = keeper.undo()
    assert (again.run, again.undone, rows(spoilt)) == ("", (), OLD)

    back = keeper.undo(undo)
    assert (back.run, rows(spoilt), rows(spoilt, back.kept[0])) == (undo, NEW, OLD)


def test_restores_are_taken_back_in_the_order_they_came(spoilt: Postgres, keeper: Any) -> None:
    keeper.restore()
    first = keeper.last
    spoilt.psql("INSERT INTO t VALUES (3, 'meanwhile')", "app")
    keeper.restore()

    with pytest.raises(Refused, match=f"database app is not what run {first} had put there") as caught:
        keeper.undo(first)
    assert "undo what replaced it first" in caught.value.hint

    keeper.undo()
    assert rows(spoilt) == "1,2,3"
    keeper.undo()
    assert rows(spoilt) == OLD


def test_what_was_dropped_cannot_be_put_back(spoilt: Postgres, keeper: Any) -> None:
    spoilt.psql("CREATE DATABASE other STRATEGY file_copy")
    keeper.backup()
    keeper.restore(keep_old=False)
    run = keeper.last
    assert keeper.undo().run == ""
    with pytest.raises(Refused, match=f"run {run} has left nothing in the server") as caught:
        keeper.undo(run)
    assert caught.value.code == "undo.nothing_kept"

    kept = keeper.restore().outcome.kept
    spoilt.psql(f'DROP DATABASE "{kept[0]}"')
    with pytest.raises(Refused, match=f"{kept[0]} was dropped, so it cannot be put back"):
        keeper.undo()
    assert rows(spoilt) == OLD


def test_a_name_that_was_free_is_free_again_and_a_dropped_one_is_back(spoilt: Postgres, keeper: Any) -> None:
    spoilt.psql("CREATE DATABASE other STRATEGY file_copy IS_TEMPLATE true")
    spoilt.psql("CREATE TABLE t AS SELECT 5 AS id", "other")
    keeper.backup()
    spoilt.psql("ALTER DATABASE app RENAME TO gone; DROP DATABASE gone")
    keeper.restore()
    spoilt.psql("ALTER DATABASE other IS_TEMPLATE false; DROP DATABASE other")

    result = keeper.undo()

    assert set(result.undone) == {
        "database other is what it was before",
        "database app is out of service: its name was free",
    }
    (kept,) = result.kept
    assert spoilt.names() == [kept, "other"]
    assert (rows(spoilt, "other"), rows(spoilt, kept)) == ("5", OLD)
    assert spoilt.psql("SELECT datistemplate FROM pg_database WHERE datname = 'other'") == "t"


def test_a_dry_run_and_a_missing_yes_change_nothing(spoilt: Postgres, keeper: Any) -> None:
    keeper.restore()
    names = spoilt.names()
    keeper.approval.answer = False
    assert keeper.undo().dry_run
    keeper.approval.answer, keeper.approval.yes = True, False
    with pytest.raises(Refused, match="agreed"):
        keeper.undo()
    assert (spoilt.names(), rows(spoilt)) == (names, NEW)
    dry, real = keeper.approval.plans[-2:]
    assert (dry.title, len(dry.steps), dry.notes) == (real.title, len(real.steps), real.notes)


def test_an_owner_cannot_forge_what_is_put_back(spoilt: Postgres, keeper: Any) -> None:
    """He may rename his database and write comments and settings, but not those of the superuser in it."""
    spoilt.psql(
        "ALTER ROLE app CREATEDB; SET SESSION AUTHORIZATION app;"
        'CREATE DATABASE "hasteward_old_20260102T030405Z_postgres" STRATEGY file_copy'
    )
    mark = (
        '{"role": "kept", "run": "x", "job": "20260102T030405Z", "undo": false, "keep": true, "oid": null,'
        ' "database": "payroll", "template": false, "kept": [], "free": {}}'
    )
    name = "hasteward_old_20260102T030405Z_postgres"
    spoilt.psql(
        f"""SET SESSION AUTHORIZATION app; COMMENT ON DATABASE "{name}" IS '{mark}';
        RESET SESSION AUTHORIZATION;
        -- up to PostgreSQL 14 he may do this too
        ALTER DATABASE "{name}" SET hasteward.kept = '{mark}';
        ALTER ROLE app IN DATABASE "{name}" SET hasteward.kept = '{mark}'"""
    )

    assert keeper.undo().run == ""
    assert spoilt.names() == ["app", name]


# --- deaths -----------------------------------------------------------------------------------------------


def reset(server: Postgres) -> None:
    for name in server.psql(OURS).splitlines():
        server.psql(f'DROP DATABASE "{name}" WITH (FORCE)')
    for role in server.psql(ROLES).splitlines():
        server.psql(f"DROP OWNED BY {role}; DROP ROLE {role}")
    server.psql("DELETE FROM t; INSERT INTO t VALUES (9, 'live')", "app")


def deaths(keeper: Any, act: Any, prepare: Any, calls: Iterable[int] | None) -> Iterable[str]:
    """Die at every chosen command of `act`, before it and when it is done."""
    alive = keeper.host
    counted = standalone_kit.DyingHost(alive, 0, done=False)
    prepare()
    keeper.host = counted
    act()
    for at in calls or range(1, counted.calls + 1):
        for done in (False, True):
            keeper.host = alive
            prepare()
            keeper.host = standalone_kit.DyingHost(alive, min(at, counted.calls), done=done)
            with pytest.raises(standalone_kit.Death):
                act()
            keeper.host = alive
            yield f"{'after' if done else 'before'} command {at} of {counted.calls}"


def die_in_a_restore(server: Postgres, keeper: Any, calls: Iterable[int] | None) -> set[str]:
    """Old or new is live; `undo` always ends at the old, and leaves only what it says that it keeps."""
    found = set()
    for where in deaths(keeper, keeper.restore, lambda: reset(server), calls):
        live = rows(server)
        assert live in {OLD, NEW}, where
        found.add(live)
        left = server.psql(OURS) + server.psql(ROLES)

        result = keeper.undo()

        assert rows(server) == OLD, where
        assert bool(result.undone) == bool(left), where
        assert server.psql(OURS).splitlines() == list(result.kept), where
        assert server.psql(ROLES) == "", where
        assert bool(result.kept) == (live == NEW), where
    return found


def die_in_an_undo(server: Postgres, keeper: Any, calls: Iterable[int] | None) -> set[str]:
    """Old or new is live, the other is kept; and the same command again ends at the old."""
    found = set()

    def restored() -> None:
        reset(server)
        keeper.restore()

    for where in deaths(keeper, keeper.undo, restored, calls):
        live = rows(server)
        assert live in {OLD, NEW}, where
        found.add(live)
        result = keeper.undo()
        assert rows(server) == OLD, where
        assert bool(result.run) == (live == NEW), where
        (kept,) = server.psql(OURS).splitlines()
        assert rows(server, kept) == NEW, where
    return found


def test_a_restore_that_dies_is_taken_back_by_undo(spoilt: Postgres, keeper: Any) -> None:
    assert die_in_a_restore(spoilt, keeper, (9, 21)) == {OLD, NEW}


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_restore_that_dies_anywhere_is_taken_back_by_undo(spoilt: Postgres, keeper: Any) -> None:
    assert die_in_a_restore(spoilt, keeper, None) == {OLD, NEW}


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_an_undo_that_dies_anywhere_is_finished_by_the_next(spoilt: Postgres, keeper: Any) -> None:
    assert die_in_an_undo(spoilt, keeper, None) == {OLD, NEW}
