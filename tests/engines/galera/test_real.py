# ruff: noqa: S608 - statements of a test
"""Against a real MariaDB with Galera on: what it says, what its files say, and a round trip by content."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from galera_kit import CLUSTER, ENGINE
from galera_real import Node, Steward, as_this_user

from hasteward.adapters.host.processes import HostProcesses
from hasteward.domain.errors import Refused, Unproven
from hasteward.domain.snapshot import SnapshotFilter
from hasteward.kit.answers import split_answers
from hasteward.pipelines.backup import BackupOptions, backup
from hasteward.pipelines.catalog import backups, manifest_of
from hasteward.pipelines.undo import undo
from hasteward.ports.context import EngineContext
from hasteward.ports.host import HostRef
from hasteward.ports.kubernetes import LEASES, PodRef
from hasteward.testing.faults import Killed, KillNth
from hasteward_galera.facts.galera import parse_files, parse_recovered
from hasteward_galera.facts.shell import files_argv, recover_argv
from hasteward_galera.plugin import plugin
from hasteward_sql import mysql
from hasteward_sql.mysql.swap import put_in_order

pytestmark = pytest.mark.servers

SHOP = """
CREATE DATABASE shop CHARACTER SET utf8mb4; USE shop;
CREATE TABLE item (n INT PRIMARY KEY AUTO_INCREMENT, word VARCHAR(40)) ENGINE=InnoDB;
CREATE TABLE log (n INT PRIMARY KEY, at TIMESTAMP(6) NOT NULL DEFAULT '2026-01-01') ENGINE=InnoDB;
CREATE TABLE price (n INT PRIMARY KEY, amount INT) ENGINE=InnoDB WITH SYSTEM VERSIONING;
CREATE SEQUENCE ticket START WITH 5 INCREMENT BY 0;
CREATE TRIGGER noted AFTER INSERT ON item FOR EACH ROW INSERT INTO log (n) VALUES (NEW.n);
CREATE PROCEDURE p() SELECT 1; CREATE VIEW v AS SELECT COUNT(*) AS c FROM item;
CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1;
INSERT INTO item (word) VALUES ('\N{HOT BEVERAGE}'), ('b'), (NULL); INSERT INTO price VALUES (1, 2);
CREATE DATABASE other; CREATE TABLE other.t (n INT PRIMARY KEY) ENGINE=InnoDB; INSERT INTO other.t VALUES (7);
CREATE USER IF NOT EXISTS clerk@'%' IDENTIFIED BY 'open'; GRANT SELECT ON shop.* TO clerk@'%';
"""


@pytest.fixture
def shop(galera: Node) -> Iterator[Node]:
    galera.sql(SHOP)
    yield galera
    galera.sql(
        "".join(f"DROP DATABASE `{name}`;" for name in galera.schemas()) + "DROP USER IF EXISTS clerk@'%';"
    )


@pytest.fixture
def steward(shop: Node) -> Steward:
    return Steward(shop)


def picture(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_real_server_says_where_it_is_and_who_is_with_it(shop: Node, steward: Steward) -> None:
    before = shop.committed()

    report = plugin.triage(steward.context(), CLUSTER)

    assert report.healthy, report
    details = report.assessments[0].details
    assert (details["uuid"], details["seqno"], details["provenance"]) == (*before, "live")
    assert shop.committed() == before
    assert report.diagnoses == ()


def test_w7_a_round_trip_by_content_on_galera(shop: Node, steward: Steward) -> None:
    """W7: the dump restores into the very cluster it is of; nothing of wsrep_* and global_priv is in it."""
    saved, before = shop.content("shop", "other"), shop.committed()
    steward.backup()
    bracket = manifest_of(steward.repository, backups(steward.repository, SnapshotFilter())[0]).catalog[
        "wsrep"
    ]
    shop.sql("DROP TABLE shop.log; DELETE FROM shop.item; DROP DATABASE other; DROP USER clerk@'%';")

    result = steward.restore()

    assert shop.content("shop", "other") == saved
    assert bracket == {"uuid": before[0], "first": before[1], "last": before[1]}
    assert result.outcome.restored == ("other", "shop")
    assert shop.sql("SHOW GRANTS FOR clerk@'%'").splitlines()[1] == "GRANT SELECT ON `shop`.* TO `clerk`@`%`"
    assert result.outcome.checks[-2:] == (
        "db-0 agree on the checksums of 5 tables",
        "db-0 are Synced after it",
    )
    stored = b"".join(steward.repository.files.values())
    for word in (b"LOCK TABLES", b"global_priv", b"wsrep_streaming_log", b"CREATE TABLE `wsrep"):
        assert word not in stored


def test_one_database_comes_back_by_its_name(shop: Node, steward: Steward) -> None:
    saved = shop.content("shop")
    steward.backup()
    shop.sql("DELETE FROM shop.item; DELETE FROM other.t;")

    result = steward.restore("shop")

    assert shop.content("shop") == saved
    assert shop.sql("SELECT COUNT(*) FROM other.t").strip() == "0"
    assert result.outcome.restored == ("shop",)


def test_a_restore_is_taken_back(shop: Node, steward: Steward) -> None:
    steward.backup()
    shop.sql("DELETE FROM shop.item; UPDATE other.t SET n = 8")
    spoilt = shop.content("shop", "other")
    steward.restore()

    result = undo(ENGINE, steward.context(), CLUSTER)

    assert shop.content("shop", "other") == spoilt
    assert "shop" in " ".join(result.undone)


def test_op1757_what_galera_does_not_replicate_is_refused_by_name(shop: Node, steward: Steward) -> None:
    shop.sql("CREATE TABLE other.old (n INT) ENGINE=Aria; INSERT INTO other.old VALUES (1)")
    steward.backup()
    before = shop.content("shop", "other")

    with pytest.raises(Refused, match=r"other tables: other\.old \(Aria\)") as caught:
        steward.restore()

    assert caught.value.code == "restore.not_replicated"
    assert shop.content("shop", "other") == before


def test_a_dry_run_of_a_restore_changes_nothing(shop: Node, steward: Steward) -> None:
    steward.backup()
    before, committed = shop.content("shop", "other"), shop.committed()
    steward.approval.answer = False

    result = steward.restore()

    assert result.dry_run
    assert (shop.content("shop", "other"), shop.committed()) == (before, committed)


@pytest.mark.parametrize("stop", ["kill", "stop"])
def test_a_stopped_member_tells_position_and_view_from_a_copy(shop: Node, stop: str, tmp_path: Path) -> None:
    """L49, L50: and nothing on its volume is written, not a byte."""
    for number in range(20):
        shop.sql(f"INSERT INTO shop.item (word) VALUES ('n{number}')")
    uuid, seqno = shop.committed()
    node = shop.sql("SHOW STATUS LIKE 'wsrep_gcomm_uuid'").split()[1]
    getattr(shop, stop)()
    before = picture(shop.data)
    scratch = tmp_path / "s"
    scratch.mkdir()

    def run(argv: list[str]) -> Any:
        done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
        return split_answers(done.stdout)

    try:
        files = parse_files(run(files_argv(str(shop.data), str(shop.data))))
        whose = ["env", f"PATH={as_this_user(tmp_path)}"]
        found = parse_recovered(
            run([*whose, *recover_argv(str(shop.data), str(scratch), 1 << 20, "/nowhere")])
        )
    finally:
        after = picture(shop.data)
        shop.start()

    assert after == before
    assert found.position is not None
    assert found.view is not None
    assert (found.position.uuid, found.view.nodes, found.view.names) == (uuid, frozenset({node}), {"db-0"})
    # a stop in order is itself a change of the component, and has a number of its own
    assert found.position.seqno in ({seqno} if stop == "kill" else {seqno, seqno + 1})
    assert files.grastate is not None
    assert (files.grastate.position == found.position) is (stop == "stop")
    assert set(files.schemas) == {"shop", "other"}
    assert (files.view is not None and files.view.nodes == {node}) is (stop == "kill")
    assert list(scratch.iterdir()) == []


def test_l39_two_runs_on_one_cluster_exclude_each_other(steward: Steward) -> None:
    context = steward.context()
    now = context.clock.now().isoformat()
    spec = {"holderIdentity": "somebody/else", "leaseDurationSeconds": 3600, "renewTime": now}
    body = {"metadata": {"name": "hasteward-galera-db", "namespace": "db"}, "spec": spec}
    context.kubernetes.create(LEASES, "db", body)

    with pytest.raises(Refused, match="somebody"):
        backup(ENGINE, context, CLUSTER, steward.repository, BackupOptions())

    assert steward.repository.files == {}


@pytest.fixture
def asked(shop: Node, tmp_path: Path) -> tuple[EngineContext, mysql.Server]:
    """The server of `shop`, reached as a process of this machine, by a run that bears little silence."""
    host = HostProcesses({"HOME": str(shop.folder), "PATH": os.environ["PATH"]}, tmp_path / "locks")
    context = Steward(shop).context()
    context = replace(context, host=host, tuning=replace(context.tuning, stall_seconds=3))
    return context, mysql.connect(context, HostRef(), user="root", password="")


def test_a_checksum_may_take_longer_than_a_stream_may_be_silent(
    shop: Node, asked: tuple[EngineContext, mysql.Server]
) -> None:
    """A table of hundreds of gigabytes is counted in silence; a lock makes a small one take as long."""
    context, server = asked
    words = ["mariadb", "--no-defaults", "-uroot", f"--socket={shop.socket}", "-e"]
    with subprocess.Popen([*words, "LOCK TABLES other.t WRITE; SELECT SLEEP(5)"]):
        while "SLEEP" not in shop.sql("SHOW PROCESSLIST"):
            time.sleep(0.05)
        begun = time.monotonic()
        (said,) = mysql.plain_each(context, [server], "CHECKSUM TABLE other.t")
        took = time.monotonic() - begun

    assert took > context.tuning.stall_seconds
    assert said == shop.sql("CHECKSUM TABLE other.t")


def test_a_server_that_answers_nobody_is_not_waited_for(
    shop: Node, asked: tuple[EngineContext, mysql.Server]
) -> None:
    context, server = asked
    assert shop.process is not None
    shop.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(Unproven, match=r"nothing moved for 3 s"):
            mysql.plain_each(context, [server], "CHECKSUM TABLE other.t")
    finally:
        shop.process.send_signal(signal.SIGCONT)


def die_everywhere(shop: Node, steward: Steward, step: int) -> set[str]:
    """Die before every `step`-th call of a restore; what was live after the next run put it in order."""
    steward.backup()
    good = shop.content("shop")
    spoil = "ALTER TABLE shop.item ADD x INT; DROP TRIGGER shop.noted; DELETE FROM shop.item;"
    shop.sql(spoil)
    counted = KillNth(10**6)
    steward.on_call = counted
    steward.restore("shop")
    assert shop.content("shop") == good
    calls, ends = len(counted.calls), set[str]()
    for at in range(calls, 0, -step):
        shop.sql(spoil)
        spoilt = shop.content("shop")
        steward.on_call = KillNth(at)
        with pytest.raises(Killed):
            steward.restore("shop")
        steward.on_call = None
        server = mysql.connect(steward.context(), PodRef("db", "db-0", "mariadb"), user="root", password="")
        put_in_order(steward.context(), server)
        now = shop.content("shop")
        assert now in {good, spoilt}, (at, counted.calls[at - 1])
        ends.add("new" if now == good else "old")
        assert len([one for one in shop.schemas() if one.startswith("hasteward_new")]) == 0
        steward.restore("shop")
        assert shop.content("shop") == good
        kept = [one for one in shop.schemas() if one.startswith("hasteward_old")]
        shop.sql("".join(f"DROP DATABASE `{one}`;" for one in kept))
    return ends


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_restore_that_dies_anywhere_leaves_the_old_or_the_new_on_galera(
    shop: Node, steward: Steward
) -> None:
    assert die_everywhere(shop, steward, 7) == {"old", "new"}
