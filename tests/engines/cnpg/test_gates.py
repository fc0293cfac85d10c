"""Every gate refuses with its reason and a next command, and nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from cnpg_kit import CLUSTER, LocalKubernetes, Server, Stored, context_for, plan_of

from hasteward.domain.errors import InvalidInput, Refused
from hasteward.ports.context import RestoreOptions
from hasteward.ports.kubernetes import PodRef
from hasteward_cnpg.plugin import plugin

pytestmark = pytest.mark.servers

Dump = Callable[..., Stored]
Prepare = Callable[[LocalKubernetes, Server], Any]


def fence(api: LocalKubernetes, _: Server) -> None:
    api.annotate("cnpg.io/fencedInstances", '["pg-2"]')


def fence_all(api: LocalKubernetes, _: Server) -> None:
    api.annotate("cnpg.io/fencedInstances", '["*"]')


def fence_garbled(api: LocalKubernetes, _: Server) -> None:
    api.annotate("cnpg.io/fencedInstances", "pg-2")


def hibernate(api: LocalKubernetes, _: Server) -> None:
    api.annotate("cnpg.io/hibernation", "on")


def switchover(api: LocalKubernetes, _: Server) -> None:
    api.cluster["status"]["targetPrimary"] = "pg-2"


def down(api: LocalKubernetes, _: Server) -> None:
    del api.objects["pods", "pg-2"]


def full(api: LocalKubernetes, _: Server) -> None:
    lines = "Filesystem 1024-blocks Used Available Capacity Mounted on\\n/dev/x 9999 9000 999 91%% /data\\n"

    def df(pod: PodRef, argv: Sequence[str]) -> list[str]:
        return [f"printf '{lines}'" if "df -Pk" in word else word for word in argv]

    api.rewrites.append(df)


def two_volumes(api: LocalKubernetes, log_free: int) -> None:
    rows = f"/dev/x 9 9 99999999 1%% /data\\n/dev/y 9 9 {log_free} 1%% /wal\\n"
    lines = f"Filesystem 1024-blocks Used Available Capacity Mounted on\\n{rows}"

    def df(pod: PodRef, argv: Sequence[str]) -> list[str]:
        words = lines if pod.name == "pg-2" else lines.replace(f" {log_free} ", " 99999999 ")
        return [f"printf '{words}'" if "df -Pk" in word else word for word in argv]

    api.rewrites.append(df)


def full_log(api: LocalKubernetes, _: Server) -> None:
    two_volumes(api, 999)


def declared_away(api: LocalKubernetes, _: Server) -> None:
    spec = {"cluster": {"name": "pg"}, "name": "app", "ensure": "absent"}
    api.objects["databases", "drop-app"] = {"metadata": {"name": "drop-app"}, "spec": spec}


def follower(api: LocalKubernetes, _: Server) -> None:
    api.cluster["spec"]["replica"] = {"enabled": True, "source": "pg-away"}


def no_df(api: LocalKubernetes, _: Server) -> None:
    api.rewrites.append(lambda _, argv: ["exit 9" if "df -Pk" in word else word for word in argv])


def prepared(_: LocalKubernetes, server: Server) -> None:
    server.psql("BEGIN; INSERT INTO t VALUES (9); PREPARE TRANSACTION 'two-phase'", "app")


def slot(_: LocalKubernetes, server: Server) -> None:
    server.psql("SELECT pg_create_logical_replication_slot('cdc', 'pgoutput')", "app")


def subscription(_: LocalKubernetes, server: Server) -> None:
    server.psql(
        "CREATE SUBSCRIPTION sub CONNECTION 'dbname=app' PUBLICATION p"
        " WITH (connect = false, slot_name = NONE)",
        "app",
    )


@pytest.mark.parametrize(
    ("prepare", "words", "hint"),
    [
        (fence, "instances are fenced (pg-2)", "kubectl describe clusters.postgresql.cnpg.io pg"),
        (fence_all, "instances are fenced (*)", "kubectl describe"),
        (fence_garbled, "is not JSON", "kubectl describe"),
        (hibernate, "hibernated", "kubectl describe"),
        (switchover, "a change of primary is under way", "kubectl describe"),
        (down, "it may hold commits the primary does not have", "hasteward triage -e cnpg -c pg -n db"),
        (full, "pg-1 has 999 KiB free on its data volume", "spec.storage.size"),
        (full_log, "pg-2 has 999 KiB free on its log volume", "spec.walStorage.size"),
        (
            declared_away,
            "Database object drop-app declares that database app must not",
            "kubectl delete databases",
        ),
        (follower, "db/pg is a replica cluster: its data comes from pg-away", "spec.replica"),
        (no_df, "the free space of pg-1 could not be read", "kubectl describe pod pg-1"),
        (prepared, "prepared transactions: two-phase", "ROLLBACK PREPARED"),
        (slot, "logical replication slots: cdc", "pg_drop_replication_slot"),
        (subscription, "subscriptions: sub", "DROP SUBSCRIPTION"),
    ],
)
def test_gates(
    api: LocalKubernetes, small: Server, small_dump: Stored, prepare: Prepare, words: str, hint: str
) -> None:
    prepare(api, small)
    before = small.psql("SELECT array_agg(datname ORDER BY oid) FROM pg_database")
    context = context_for(api, run="run2")
    try:
        with pytest.raises(Refused) as caught:
            plugin.restore(context, CLUSTER, small_dump, RestoreOptions())
    finally:
        if small.psql("SELECT 1 FROM pg_prepared_xacts"):
            small.psql("ROLLBACK PREPARED 'two-phase'", "app")
        if small.psql("SELECT 1 FROM pg_subscription"):
            small.psql("DROP SUBSCRIPTION sub", "app")

    assert words in caught.value.message
    assert hint in caught.value.hint
    assert small.psql("SELECT array_agg(datname ORDER BY oid) FROM pg_database") == before
    assert context.approve.plans == []  # type: ignore[attr-defined]


def test_gates_of_the_snapshot(single: LocalKubernetes, small: Server, small_dump: Stored) -> None:
    source = small_dump
    databases = source.manifest.catalog["databases"]
    table = [
        (source.changed(format="pg_dumpall"), (), Refused, "only 'postgresql-sections-2'"),
        (source.changed(server_version="99.1"), (), Refused, "which is older"),
        (source.changed(server_version="?"), (), Refused, "does not say which server"),
        (source, ("nope",), InvalidInput, "has no database nope"),
        (source.changed(catalog={"databases": {}}), (), InvalidInput, "no database of a user"),
        (source.changed(sections=()), (), Refused, "no section for app"),
        (
            source.changed(catalog={"databases": databases | {"app": databases["app"] | {"owner": "who"}}}),
            (),
            Refused,
            "belongs to role who",
        ),
        (
            source.changed(catalog={"databases": {"app": databases["app"] | {"tablespace": "fast"}}}),
            (),
            Refused,
            "tablespace fast",
        ),
    ]
    for changed, names, kind, words in table:
        with pytest.raises(kind, match=words):
            plugin.restore(context_for(single, run="run2"), CLUSTER, changed, RestoreOptions(databases=names))
    assert small.psql("SELECT count(*) FROM pg_database") == "4"


def test_force_goes_past_a_member_that_is_down_and_says_so(
    api: LocalKubernetes, small: Server, small_dump: Stored
) -> None:
    down(api, small)
    context = context_for(api, run="run2", approve=False)

    outcome = plugin.restore(context, CLUSTER, small_dump, RestoreOptions(force=True))

    assert outcome.planned_only
    assert any(note.startswith("FORCED past: pg-2 could not be read") for note in plan_of(context).notes)


def test_force_does_not_go_past_two_primaries(
    api: LocalKubernetes, small_dump: Stored, fresh: Server, dump: Dump
) -> None:
    api.servers["pg-2"] = fresh

    with pytest.raises(Refused, match="two members accept writes: pg-1, pg-2"):
        plugin.restore(context_for(api, run="run2"), CLUSTER, small_dump, RestoreOptions(force=True))
    with pytest.raises(Refused, match="two members accept writes"):
        dump(api)


def test_the_plan_says_what_is_given_up(single: LocalKubernetes, small: Server, dump: Dump) -> None:
    source = dump(single)
    small.psql("CREATE DATABASE other; CREATE DATABASE hasteward_new_mine")
    small.psql("COMMENT ON DATABASE hasteward_new_mine IS 'not yours'; CREATE DATABASE hasteward_new_dead")
    context = context_for(single, run="run2", approve=False)

    assert plugin.restore(context, CLUSTER, replace(source), RestoreOptions()).planned_only

    plan = plan_of(context)
    (given_up,) = plan.gives_up
    assert given_up.startswith("database app (")
    assert given_up.endswith(") as it is now; kept as hasteward_old_20260821T090021Z_app")
    assert any(note.startswith("app: ") and "transactions since" in note for note in plan.notes)
    text = "\n".join([*(step.text for step in plan.steps), *plan.notes])
    assert "drop what a dead run left: hasteward_new_dead" in text
    assert "left as they are: hasteward_new_mine" in text
    assert "not in the snapshot, left as they are:" in text
    assert "other" in text
    assert "track_commit_timestamp is off" in text
    assert "in the snapshot, but not restored: template1, postgres" in text
