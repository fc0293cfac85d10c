"""Backup and restore of a real MariaDB, compared by content."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Any

import pytest
import standalone_kit

from hasteward.domain.errors import InvalidInput, Refused, RunFailed

pytestmark = pytest.mark.servers
BOTH = ("shop", "we-ird `x")


def test_everything_comes_back_and_what_was_live_is_kept(shop: Any, steward: Any) -> None:
    before = shop.content(*BOTH)
    result = steward.backup()
    shop.sql(
        "UPDATE customer SET name = 'spoilt' WHERE id = 1; DROP VIEW a_second; DROP TRIGGER noted", "shop"
    )
    shop.sql("CREATE TABLE later (n INT); INSERT INTO later VALUES (7)", "shop")
    spoilt = shop.content(*BOTH)
    done = steward.restore()
    assert shop.content(*BOTH) == before != spoilt
    job = "20260102T030605Z"
    assert done.outcome.restored == BOTH
    assert done.outcome.kept == (f"hasteward_old_{job}_shop", f"hasteward_old_{job}_we-ird `x")
    assert shop.sql("SELECT * FROM later", f"hasteward_old_{job}_shop") == "7\n"
    assert shop.schemas() == sorted([*BOTH, *done.outcome.kept])
    assert result.path == "here/shop-db/mysqldump.sql"


def test_borgmatic_1303_accounts_that_are_missing_come_back_and_the_others_keep_their_password(
    shop: Any, steward: Any
) -> None:
    """Dumps of everything hold `mysql.global_priv`: restored elsewhere, they replaced the root account."""
    root = "SHOW CREATE USER root@localhost"
    grants = shop.sql("SHOW GRANTS FOR 'clerk'@'%'; SHOW GRANTS FOR reader; SHOW CREATE USER 'clerk'@'%'")
    steward.backup()
    shop.sql("DROP USER 'clerk'@'%'; DROP ROLE reader")
    steward.restore("shop")
    again = shop.sql("SHOW GRANTS FOR 'clerk'@'%'; SHOW GRANTS FOR reader; SHOW CREATE USER 'clerk'@'%'")
    assert again == grants
    shop.sql("ALTER USER 'clerk'@'%' IDENTIFIED BY 'changed since'")
    saved = shop.sql(root)
    shop.sql("ALTER USER root@localhost WITH MAX_USER_CONNECTIONS 99")
    changed, now = shop.sql("SHOW CREATE USER 'clerk'@'%'"), shop.sql(root)
    steward.restore("shop")
    assert shop.sql("SHOW CREATE USER 'clerk'@'%'") == changed != grants.splitlines()[-1]
    assert shop.sql(root) == now != saved
    shop.sql("ALTER USER root@localhost WITH MAX_USER_CONNECTIONS 0")


def test_w7_the_stored_file_replays_with_the_plain_client_and_holds_nothing_that_breaks_a_server(
    shop: Any, steward: Any
) -> None:
    """W7: a dump of everything stopped half way at tables of the server itself."""
    before = shop.content(*BOTH)
    result = steward.backup()
    stored = steward.repository.files[result.snapshot]
    for word in (b"LOCK TABLES", b"global_priv", b"wsrep_", b"`mysql`", b"GTID_PURGED"):
        assert word not in stored
    shop.sql("DROP DATABASE shop; DROP DATABASE `we-ird ``x`; DROP USER 'clerk'@'%'; DROP ROLE reader")
    shop.sql(stored.decode("utf-8", "surrogateescape"))
    assert shop.content(*BOTH) == before


def test_a_schema_that_is_gone_is_made_again_and_leaves_nothing_behind(shop: Any, steward: Any) -> None:
    before = shop.content("shop")
    steward.backup()
    shop.sql("DROP DATABASE shop")
    done = steward.restore("shop")
    assert (done.outcome.restored, done.outcome.kept) == (("shop",), ())
    assert shop.content("shop") == before
    assert shop.schemas() == list(BOTH)


def test_a_view_whose_table_was_dropped_stops_neither_the_restore_nor_the_next_backup(
    shop: Any, steward: Any
) -> None:
    """The very accident that one restores after: the server's own dump program fails on such a view."""
    shop.sql("CREATE TABLE seen (n INT); CREATE VIEW sight AS SELECT n FROM seen", "shop")
    before = shop.content("shop")
    steward.backup()
    shop.sql("DROP TABLE seen", "shop")
    steward.backup()
    assert "dump.broken_views" in steward.reporter.warnings()
    steward.repository.listed.pop()  # that one, which cannot hold the view
    steward.repository.listed.pop()
    steward.restore("shop")
    assert shop.content("shop") == before


def test_without_keep_old_nothing_is_kept(shop: Any, steward: Any) -> None:
    steward.backup()
    steward.restore("shop", keep_old=False)
    assert shop.schemas() == list(BOTH)
    assert "DROPPED after the swap" in steward.approval.plans[-1].gives_up[0]


def test_a_restore_is_undone_the_same_way_backwards(shop: Any, steward: Any) -> None:
    steward.backup()
    shop.sql("DELETE FROM customer; DROP VIEW a_second; CREATE TABLE later (n INT)", "shop")
    spoilt = shop.content("shop")
    steward.restore("shop")
    run, restored = steward.last, shop.content("shop")
    result = steward.undo()
    assert (result.run, result.undone) == (run, ("schema shop is what it was before",))
    assert shop.content("shop") == spoilt != restored
    assert [name for name in shop.schemas() if name.startswith("hasteward")] == list(result.kept)
    assert steward.approval.plans[-1].gives_up[0].startswith("schema shop (")
    assert steward.undo().run == ""
    back = steward.undo(f"{steward.runs - 1:016x}")
    assert (back.undone, shop.content("shop")) == (result.undone, restored)


@pytest.mark.long
def test_an_undo_names_what_it_cannot_take_back(shop: Any, steward: Any) -> None:
    steward.backup()
    steward.restore(keep_old=False)
    dropped = steward.last
    with pytest.raises(Refused, match=f"run {dropped} has left nothing"):
        steward.undo(dropped)
    steward.restore("shop")
    first = steward.last
    shop.sql("DROP DATABASE shop")
    steward.restore()
    second = steward.last
    assert steward.undo().run == second
    assert "shop" in shop.schemas()
    shop.sql("SET GLOBAL read_only = ON")
    with pytest.raises(Refused, match="read-only"):
        steward.undo(first)
    shop.sql("SET GLOBAL read_only = OFF")
    assert steward.undo(first).undone == ("schema shop is what it was before",)


def test_a_dry_run_and_a_refused_plan_touch_nothing(shop: Any, steward: Any) -> None:
    steward.backup()
    shop.sql("DELETE FROM customer", "shop")
    before, schemas = shop.content("shop"), shop.schemas()
    steward.approval.answer = False
    done = steward.restore("shop")
    assert (done.dry_run, shop.content("shop"), shop.schemas()) == (True, before, schemas)
    plan = steward.approval.plans[-1]
    assert [step.text.split(" (")[0] for step in plan.steps] == [
        "finish or take back what an interrupted restore has left",
        "load shop",
        "swap the tables of shop in one RENAME",
    ]
    assert plan.gives_up[0].startswith("schema shop (5 tables, ")


def test_a_new_session_keeps_the_swap_waiting_and_everything_is_as_it_was(shop: Any, steward: Any) -> None:
    """Somebody holds a table for good: the swap is given up, and the live schema has all it had."""
    steward.backup()
    before = shop.content("shop")
    holder = shop.session("BEGIN; SELECT * FROM customer; SELECT SLEEP(100)", "shop")
    try:
        with pytest.raises(RunFailed, match=r"ERROR 1205.*not restored: shop"):
            steward.restore("shop")
    finally:
        holder.kill()
        holder.wait()
    shop.settle()
    assert (shop.content("shop"), shop.schemas()) == (before, list(BOTH))


def test_of_two_schemas_one_that_is_live_is_taken_back_when_the_other_cannot_be(
    shop: Any, steward: Any
) -> None:
    """Nothing is dropped before all are live, so `--no-keep-old` takes no way back."""
    steward.backup()
    shop.sql("DELETE FROM customer", "shop")
    before = shop.content(*BOTH)
    holder = shop.session("BEGIN; SELECT * FROM t; SELECT SLEEP(100)", BOTH[1])
    try:
        told = r"ERROR 1205.*live: shop \(hasteward undo 0{15}2 takes that back\); not restored: we-ird `x"
        with pytest.raises(RunFailed, match=told) as caught:
            steward.restore(keep_old=False)
    finally:
        holder.kill()
        holder.wait()
    shop.settle()
    assert (caught.value.code, shop.content(*BOTH) == before) == ("restore.partly", False)
    assert steward.undo("0000000000000002").undone == ("schema shop is what it was before",)
    assert shop.content(*BOTH) == before


@pytest.mark.parametrize(
    ("prepare", "error", "message"),
    [
        (
            "CREATE TABLE `we-ird ``x`.child (c INT, FOREIGN KEY far (c) REFERENCES shop.customer (id))",
            Refused,
            r"foreign key far of we-ird `x\.child refers to schema shop",
        ),
        ("SET GLOBAL read_only = ON", Refused, "the server is read-only"),
        (
            "XA START 'x'; INSERT INTO `we-ird ``x`.t VALUES (9, 'x'); XA END 'x'; XA PREPARE 'x'",
            Refused,
            "XA RECOVER",
        ),
    ],
)
def test_what_stands_in_the_way_is_named_and_nothing_is_touched(
    shop: Any, steward: Any, prepare: str, error: type[Exception], message: str
) -> None:
    steward.backup()
    shop.sql(prepare)
    try:
        with pytest.raises(error, match=message):
            steward.restore("shop")
    finally:
        shop.sql("SET GLOBAL read_only = OFF; DROP TABLE IF EXISTS `we-ird ``x`.child")
        shop.sql("XA ROLLBACK 'x'" if "XA" in prepare else "SELECT 1")
    assert shop.schemas() == list(BOTH)


def test_l8labs_a_server_without_a_schema_makes_no_backup(mariadb: Any, steward: Any) -> None:
    with pytest.raises(Refused, match="has no schema of a user"):
        steward.backup()
    assert steward.repository.listed == []


def test_wrong_names_are_said_with_the_right_ones(shop: Any, steward: Any) -> None:
    steward.backup()
    with pytest.raises(InvalidInput, match="the snapshot has no schema shpo"):
        steward.restore("shpo")
    with pytest.raises(InvalidInput, match=r"secret.* cannot be read: No such file"):
        steward.backup(secret_file="/nowhere/secret")
    with pytest.raises(RunFailed, match=r"ERROR 1045 .*Access denied"):
        steward.backup(secret_file=None)


def test_the_password_is_in_no_process_while_a_dump_and_a_restore_run(
    shop: Any, steward: Any, tmp_path: Path
) -> None:
    """Every word of every process that runs meanwhile, and every variable of it."""
    needle = standalone_kit.PASSWORD.encode()
    found: list[bytes] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            for process in Path("/proc").iterdir():
                for name in ("cmdline", "environ"):
                    with contextlib.suppress(OSError):
                        seen = (process / name).read_bytes()
                        found.extend([seen] if needle in seen else [])

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        steward.backup()
        steward.restore("shop")
    finally:
        over.set()
        watcher.join()
    assert found == []
    assert not any(needle in data for data in steward.repository.files.values())
    assert needle.decode() not in repr(steward.reporter.events)
