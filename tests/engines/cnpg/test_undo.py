"""A restore is taken back under the same gates; what is kept, and by whom, is read from the primary."""

from __future__ import annotations

from typing import Any

import pytest
from cnpg_kit import CLUSTER, LocalKubernetes, Server, Stored, context_for, plan_of

from hasteward.domain.errors import Refused
from hasteward.ports.context import PutBack, RestoreOptions
from hasteward_cnpg.plugin import plugin

pytestmark = pytest.mark.servers


def rows(server: Server, database: str = "app") -> str:
    return server.psql("SELECT id FROM t ORDER BY 1", database).replace("\n", ",")


@pytest.fixture
def restored(single: LocalKubernetes, small: Server, small_dump: Stored) -> LocalKubernetes:
    """Two rows restored, where one had been left."""
    small.psql("DELETE FROM t WHERE id = 1", "app")
    plugin.restore(context_for(single, run="run2", minute=2), CLUSTER, small_dump, RestoreOptions())
    assert rows(small) == "1,2"
    return single


def back(api: LocalKubernetes, run: str = "", **options: Any) -> PutBack:
    return plugin.put_back(context_for(api, run="run3", minute=3, **options), CLUSTER, run)


def test_the_last_restore_is_taken_back(restored: LocalKubernetes, small: Server) -> None:
    result = back(restored)

    assert result == PutBack(
        "run2", ("database app is what it was before",), ("hasteward_old_20260821T090321Z_app",)
    )
    assert (rows(small), rows(small, result.kept[0])) == ("2", "1,2")


def test_the_plan_is_about_the_primary_and_a_dry_run_changes_nothing(
    restored: LocalKubernetes, small: Server
) -> None:
    context = context_for(restored, run="run3", minute=3, approve=False)

    assert plugin.put_back(context, CLUSTER, "run2") == PutBack("run2", planned_only=True)
    assert plan_of(context).title == "take the restore of run run2 back in db/pg on its primary pg-1"
    assert rows(small) == "1,2"


def test_the_gates_of_a_restore_are_those_of_an_undo(restored: LocalKubernetes, small: Server) -> None:
    restored.annotate("cnpg.io/fencedInstances", '["pg-1"]')
    with pytest.raises(Refused, match="instances are fenced"):
        back(restored)
    restored.annotate("cnpg.io/fencedInstances", "")
    spec = {"cluster": {"name": "pg"}, "name": "app", "ensure": "absent"}
    restored.objects["databases", "drop-app"] = {"metadata": {"name": "drop-app"}, "spec": spec}
    with pytest.raises(Refused, match="Database object drop-app declares"):
        back(restored)
    del restored.objects["databases", "drop-app"]
    small.psql("SELECT pg_create_logical_replication_slot('cdc', 'pgoutput')", "app")
    with pytest.raises(Refused, match="logical replication slots: cdc"):
        back(restored)
    assert rows(small) == "1,2"


def test_a_restore_that_was_killed_in_its_load_is_taken_back(
    single: LocalKubernetes, small: Server, small_dump: Stored
) -> None:
    class Killed(BaseException):
        pass

    def kill(verb: str, what: str, argv: Any) -> None:
        if killed or (verb == "exec" and any("synchronous_commit" in word for word in argv)):
            killed.append(True)
            raise Killed

    killed: list[bool] = []
    single.faults.append(kill)
    with pytest.raises(Killed):
        plugin.restore(context_for(single, run="run2", minute=2), CLUSTER, small_dump, RestoreOptions())
    single.faults.clear()

    result = back(single)

    assert result.run == "run2"
    assert sorted(result.undone) == [
        "hasteward_load_20260821T090221Z is dropped",
        "hasteward_new_20260821T090221Z_1 is dropped",
    ]
    assert not small.psql("SELECT datname FROM pg_database WHERE datname ~ '^hasteward'")
    assert back(single) == PutBack()
