"""Backup and restore of a real MariaDB, compared by content."""

from __future__ import annotations

from typing import Any

import pytest

from hasteward.domain.errors import InvalidInput, Refused, RunFailed

pytestmark = pytest.mark.servers
BOTH = ("shop", "we-ird `x")


def test_everything_comes_back_and_what_was_live_is_kept(shop: Any, steward: Any) -> None:
    before = shop.content(*BOTH)
    result = steward.backup()
    shop.sql("UPDATE customer SET name = 'spoilt' WHERE id = 1; DROP VIEW a_second; DROP TRIGGER noted", "shop")
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
