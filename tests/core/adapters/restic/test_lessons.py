"""What retention later rests on, shown with restic's own command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from hasteward.adapters.restic.repository import ResticRepository
from hasteward.domain.snapshot import SnapshotTags

pytestmark = pytest.mark.servers


def test_w15_snapshots_of_any_machine_are_one_group_of_retention(
    repository: ResticRepository, tags: SnapshotTags, by_hand: Callable[..., str]
) -> None:
    for hour in range(3):
        when = datetime(2026, 3, 4, hour, tzinfo=UTC) + timedelta()
        with repository.save("shop/pg/dump.sql", tags, when, stall_seconds=20) as stream:
            stream.write(b"data %d" % hour)
            stream.commit()

    listed = json.loads(by_hand("snapshots", "--json"))
    assert {entry["hostname"] for entry in listed} == {"hasteward"}
    (group,) = json.loads(by_hand("forget", "--json", "--group-by", "paths", "--keep-last", "1", "--dry-run"))
    assert (len(group["keep"]), len(group["remove"])) == (1, 2)
    assert group["keep"][0]["time"].startswith("2026-03-04T02:00:00")
