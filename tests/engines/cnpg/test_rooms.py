"""The pure readers: memory, disk, objects, roles, plans."""

from __future__ import annotations

import pytest

from hasteward.domain.capability import Capability, Supported
from hasteward_cnpg.evidence import ContainerState
from hasteward_cnpg.facts.objects import parse_cluster, parse_fences, parse_pod, parse_volumes
from hasteward_cnpg.facts.room import MIB, human, parse_df, parse_memory, producer_limit
from hasteward_cnpg.facts.server import parse_server
from hasteward_cnpg.plugin import plugin
from hasteward_sql.postgresql.facts.grants import grant_sql, in_order
from hasteward_sql.postgresql.restore.sql import create_database
from hasteward_sql.postgresql.restore.target import Item


def test_the_engine_says_what_it_can() -> None:
    info = plugin.info()

    assert (info.name, info.dump_file, info.dump_format) == ("cnpg", "pgdumpall.sql", "postgresql-sections-2")
    assert {c for c in Capability if isinstance(info.capability(c), Supported)} == set(Capability)


@pytest.mark.parametrize(
    ("text", "free"),
    [
        (f"{1000 * MIB}\n{900 * MIB}\ninactive_file {600 * MIB}\n", 700 * MIB),
        (f"{1000 * MIB}\n{900 * MIB}\n", 100 * MIB),
        (f"max\n{900 * MIB}\ninactive_file 1\n", None),
        ("", None),
        ("cat: memory.max: No such file or directory", None),
        ("1\n2\n3\n", None),
    ],
)
def test_free_memory_counts_what_only_caches_files(text: str, free: int | None) -> None:
    assert parse_memory(text) == free


def test_the_producer_gets_half_of_what_is_free_or_no_limit() -> None:
    assert [producer_limit(free) for free in (None, 255 * MIB, 256 * MIB)] == [0, 0, 128 * MIB]


def test_df_is_read_with_spaces_in_its_names() -> None:
    text = "Filesystem 1024-blocks Used Available Capacity Mounted on\n//nas/a b 100 40 60 40% /var/my data\n"

    (volume,) = parse_df(text)

    assert (volume.device, volume.free, volume.mount) == ("//nas/a b", 60 * 1024, "/var/my data")
    for bad in ("", "Filesystem\n", "Filesystem\ngarbage\n"):
        with pytest.raises(ValueError, match="df"):
            parse_df(bad)


def test_sizes_for_people() -> None:
    assert [human(n) for n in (0, 1023, 1536, 10 * MIB, 5000 * MIB, 9 * 1024**4)] == [
        "0 B",
        "1023 B",
        "1.5 KiB",
        "10 MiB",
        "4.9 GiB",
        "9216 GiB",
    ]


def test_fences() -> None:
    assert parse_fences('["pg-1", "pg-2"]') == (frozenset({"pg-1", "pg-2"}), "")
    assert parse_fences("") == parse_fences("[]") == (frozenset(), "")
    assert "not a list" in parse_fences('{"pg-1": 1}')[1]


def test_a_pod_is_judged_by_its_container_called_postgres() -> None:
    statuses = [
        {"name": "plugin", "ready": True, "state": {"running": {}}},
        {
            "name": "postgres",
            "ready": False,
            "restartCount": 4,
            "state": {"waiting": {"reason": "OOMKilled"}},
        },
    ]
    pod = parse_pod({"metadata": {}, "status": {"phase": "Running", "containerStatuses": statuses}})

    assert (pod.container, pod.reason, pod.restarts, pod.serving) == (
        ContainerState.WAITING,
        "OOMKilled",
        4,
        False,
    )
    assert parse_pod({"status": {"phase": "Pending"}}).container is ContainerState.MISSING


def test_an_empty_cluster_names_nobody() -> None:
    facts = parse_cluster({"metadata": {}, "spec": {"instances": 3}})

    assert (facts.instance_names, facts.current_primary, facts.hibernated) == ((), "", False)


def test_detached_volumes_are_no_members() -> None:
    claim = {"metadata": {"name": "pg-4", "annotations": {"cnpg.io/pvcStatus": "detached"}}}

    found = parse_volumes([claim])

    assert (found.owners, found.detached) == (frozenset(), ("pg-4",))


@pytest.mark.parametrize("document", [None, [], {}, {"in_recovery": 1}, {"in_recovery": True}])
def test_an_answer_of_another_shape_is_an_error(document: object) -> None:
    with pytest.raises(ValueError, match=r"lacks|not|neither"):
        parse_server(document)


def grant(role: str, member: str, grantor: str, *, admin: bool = False) -> dict[str, object]:
    return {"role": role, "member": member, "grantor": grantor, "admin": admin, "inherit": None, "set": None}


def test_grants_come_after_the_right_to_grant() -> None:
    late, middle, first = (
        grant("r", "c", "b"),
        grant("r", "b", "a", admin=True),
        grant("r", "a", "su", admin=True),
    )

    assert in_order([late, middle, first], "su") == [first, middle, late]
    assert in_order([grant("r", "x", "who")], "su") == [grant("r", "x", "who")]


def test_grants_are_spelled_as_their_version_knows_them() -> None:
    old = grant("r", "m", "su", admin=True)

    assert grant_sql(old) == 'GRANT "r" TO "m" WITH ADMIN OPTION GRANTED BY "su";'
    assert grant_sql(old | {"inherit": False, "set": True}) == (
        'GRANT "r" TO "m" WITH ADMIN TRUE, INHERIT FALSE, SET TRUE GRANTED BY "su";'
    )


@pytest.mark.parametrize(
    ("provider", "locale", "major", "words"),
    [
        ("libc", None, 14, None),
        ("libc", None, 15, "LOCALE_PROVIDER libc"),
        ("icu", "de", 16, "LOCALE_PROVIDER icu ICU_LOCALE 'de'"),
        ("builtin", "C.UTF-8", 17, "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"),
    ],
)
def test_a_database_is_created_with_the_locale_it_had(
    provider: str, locale: str | None, major: int, words: str | None
) -> None:
    entry = {
        "encoding": "UTF8",
        "collate": "C",
        "ctype": "C",
        "owner": 'o"wner',
        "tablespace": "pg_default",
        "provider": provider,
        "icu_locale": locale,
        "icu_rules": None,
    }
    sql = create_database(Item("app", "new", "old", None, entry, None), "run", major)  # type: ignore[arg-type]

    assert (words in sql) if words else ("LOCALE_PROVIDER" not in sql)
    assert 'OWNER "o""wner"' in sql
    assert "CONNECTION LIMIT 0" in sql
