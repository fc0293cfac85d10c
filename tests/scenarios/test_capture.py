"""A branch that the cluster has given up comes back from the files that were captured of it."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hasteward_lab.lab import Lab

pytestmark = [pytest.mark.servers, pytest.mark.long, pytest.mark.timeout(600)]

COUNT = "SELECT mark || ' ' || count(*) FROM ledger GROUP BY mark ORDER BY mark"


def write(lab: Lab, pod: str, mark: str, rows: int) -> None:
    """Rows whose commit was acknowledged."""
    lab.psql(pod, f"INSERT INTO ledger SELECT '{mark}', generate_series(1, {rows})", "app")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A cluster that failed over while its primary went on committing; pg-1 is stopped and diverged."""
    with Lab.up(members=3, volume_size="384Mi", time_scale=0.1) as running:
        running.psql("pg-1", "CREATE TABLE ledger (mark text, n int)", "app")
        write(running, "pg-1", "before", 10)
        running.psql("pg-1", "CHECKPOINT")
        running.operator_down()
        running.chaos.isolate("pg-2")
        running.chaos.isolate("pg-3")
        write(running, "pg-1", "lost", 5000)
        running.stop("pg-1")
        running.chaos.heal()
        running.promote("pg-2")
        running.wait(lambda: running.psql("pg-2", "SELECT pg_is_in_recovery()") == "f")
        write(running, "pg-2", "after", 20)
        yield running


def test_acknowledged_rows_of_a_given_up_branch_are_in_its_capture_and_can_be_live_again(
    lab: Lab, hasteward: Any, where: tuple[str, ...], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("capture_files.py"), str(lab.kubeconfig), "1"],
        env=hasteward.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    capture = done.stdout.strip()
    # the operator rewinds the old primary, and its branch is gone
    lab.start("pg-1")
    lab.operator_up()
    lab.wait_ready(timeout=90)
    lab.wait(lambda: lab.psql("pg-1", COUNT, "app").split("\n") == ["after 20", "before 10"], 60)

    listed = hasteward.backups()
    assert [(one["id"], one["type"], one["path"], one["proven"]) for one in listed] == [
        (capture, "diverged", "db/pg/1-pgdata.tar", True)
    ]
    raw = hasteward("export", *where, "-i", "1", "--raw", "-o", str(tmp_path / "pg-1.tar"))
    assert raw.returncode == 0, raw.stderr
    with tarfile.open(tmp_path / "pg-1.tar") as archive:
        assert {"hasteward-capture.json", "./PG_VERSION", "./global/pg_control"} <= set(archive.getnames())

    plan = hasteward("export", *where, "-i", "1", "-o", str(tmp_path / "pg-1.sql"), "--dry-run")
    assert "make a dump of the files of pg-1" in plan.stdout
    assert [pod for pod in lab.pods if "scratch" in pod] == []
    written = hasteward("export", *where, "-i", "1", "-o", str(tmp_path / "pg-1.sql"))
    assert written.returncode == 0, written.stderr
    text = (tmp_path / "pg-1.sql").read_text()
    assert len(re.findall(r"^lost\t\d+$", text, re.MULTILINE)) == 5000
    assert "after\t1\n" not in text
    assert [pod for pod in lab.pods if "scratch" in pod] == []

    refused = hasteward("restore", *where, "-i", "1", "--database", "app")
    assert (refused.returncode, "takes database app out of service" in refused.stderr) == (21, True)
    restored = hasteward.json("restore", *where, "-i", "1", "--database", "app", "--yes")

    (kept,) = restored["kept"]
    assert restored["restored"] == ["app"]
    assert lab.psql("pg-2", COUNT, "app").split("\n") == ["before 10", "lost 5000"]
    assert lab.psql("pg-2", COUNT, kept).split("\n") == ["after 20", "before 10"]
    # the dump was made once, for the export
    assert sorted(one["path"] for one in hasteward.backups()) == [
        "db/pg/1-pgdata.tar",
        "db/pg/1-pgdumpall.sql",
    ]
