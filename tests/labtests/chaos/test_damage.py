"""Frozen pods and damaged files: the effect is real, and the undo is too."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hasteward_lab.lab import Lab
from hasteward_lab.state import LabError

pytestmark = pytest.mark.servers


def test_a_frozen_pod_stands_still_and_thaws(lab: Lab, eventually: Callable[..., None]) -> None:
    assert lab.chaos.freeze("pg-3") > 3
    seen = lab.chaos.server("pg-3")
    assert (seen["there"], seen["runs"], seen["frozen"], seen["answers"]) == (True, True, True, False)
    host = lab.pod("pg-3")["status"]["podIP"]
    assert lab.exec("pg-1", ["pg_isready", "-q", "-h", host, "-t", "1"]).returncode == 2
    assert lab.chaos.thaw("pg-3") > 3
    eventually(lambda: bool(lab.chaos.server("pg-3")["answers"]))
    assert lab.psql("pg-3", "SELECT 1") == "1"


def test_damage_to_a_file_kills_the_server_and_is_mended(lab: Lab, eventually: Callable[..., None]) -> None:
    lab.stop("pg-3")
    before = lab.chaos.control("pg-3")
    assert lab.chaos.corrupt("pg-3", "global/pg_control", offset=16, length=64, how="flip") == 64
    with pytest.raises(LabError, match="checksum"):
        lab.chaos.control("pg-3")
    lab.start("pg-3")
    eventually(lambda: "FATAL" in lab.chaos.log("pg-3") + lab.chaos.log("pg-3", previous=True))
    lab.stop("pg-3")
    assert lab.chaos.mend("pg-3") == 1
    assert lab.chaos.control("pg-3") == before
    lab.start("pg-3")
    eventually(lambda: bool(lab.chaos.server("pg-3")["answers"]))


def test_lost_files_come_back_newest_first(lab: Lab, eventually: Callable[..., None]) -> None:
    lab.stop("pg-3")
    segments = lab.chaos.files("pg-3")["segments"]
    assert lab.chaos.lose("pg-3", "pg_wal/0000*") == segments != []
    assert lab.chaos.files("pg-3")["segments"] == []
    assert "pg_wal" in lab.chaos.lose("pg-3", "./")
    assert lab.chaos.files("pg-3") == {"there": False, "signals": [], "history": [], "segments": []}
    lab.chaos.mend("pg-3")
    assert lab.chaos.files("pg-3")["segments"] == segments
    lab.start("pg-3")
    eventually(lambda: bool(lab.chaos.server("pg-3")["answers"]))


def test_the_data_of_a_stopped_member_is_asked_in_a_copy(lab: Lab, eventually: Callable[..., None]) -> None:
    lab.psql("pg-1", "CREATE TABLE kept AS SELECT 'seen'::text AS word")
    eventually(lambda: lab.psql("pg-3", "SELECT to_regclass('kept') IS NOT NULL") == "t")
    lab.stop("pg-3")
    before = lab.chaos.files("pg-3")
    assert lab.chaos.replay("pg-3", "SELECT word FROM kept") == ["seen"]
    assert lab.chaos.files("pg-3") == before
    lab.start("pg-3")
    lab.psql("pg-1", "DROP TABLE kept")
    eventually(lambda: bool(lab.chaos.server("pg-3")["answers"]))


@pytest.mark.parametrize("path", ["/etc/passwd", "../../outside", "/proc/1/mem"])
def test_only_the_files_of_a_claim_can_be_damaged(lab: Lab, path: str) -> None:
    with pytest.raises(LabError, match=r"on no claim|not for here"):
        lab.chaos.corrupt("pg-3", path)


def test_a_lost_claim_is_really_lost(lab: Lab, eventually: Callable[..., None]) -> None:
    """The operator then clones a new one; the mark of the old one is gone."""
    lab.exec("pg-3", ["touch", "/var/lib/postgresql/data/mark"])
    old = lab.pod("pg-3")["metadata"]["uid"]
    lab.chaos.lose_pvc("pg-3")

    def renewed() -> bool:
        return any(
            row["metadata"]["uid"] != old and row["metadata"]["name"] not in {"pg-1", "pg-2"}
            for row in lab.get("pods")
            if row["metadata"]["labels"].get("cnpg.io/podRole") == "instance"
        )

    eventually(renewed, 30)
    eventually(lambda: bool(lab.chaos.server("pg-3")["answers"]), 30)
    assert lab.exec("pg-3", ["test", "-e", "/var/lib/postgresql/data/mark"]).returncode == 1
