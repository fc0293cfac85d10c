"""What is asked beside the streams of a dump is proven as they are."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from cnpg_kit import LocalKubernetes, Server, Stored

from hasteward.domain.errors import HastewardError, RunFailed, Unproven
from hasteward.domain.reading import Known

pytestmark = pytest.mark.servers
GIB = 1024**3
Dump = Callable[..., Stored]


def creating(argv: Sequence[str]) -> bool:
    return any("--create" in word for word in argv)


@pytest.mark.parametrize(
    ("script", "error", "code"),
    [
        ("echo no room >&2; exit 3", RunFailed, "dump.failed"),
        ("exit 0", Unproven, "proof.empty"),
        ("echo CREATE DATABASE app", Unproven, "proof.end_marker"),
    ],
)
def test_how_a_database_is_created_is_proven_as_its_content_is(
    single: LocalKubernetes, small: Server, dump: Dump, script: str, error: type[HastewardError], code: str
) -> None:
    def broken(_: Any, argv: Sequence[str]) -> Sequence[str]:
        if not creating(argv):
            return argv
        at = argv.index("pg_dump")
        return [*argv[:at], "sh", "-c", script]

    single.rewrites.append(broken)

    with pytest.raises(error, match="the dump of create app") as caught:
        dump(single)
    assert caught.value.code == code


def test_the_memory_that_a_dump_may_use_binds_every_pg_dump_of_it(
    single: LocalKubernetes, small: Server, dump: Dump, monkeypatch: pytest.MonkeyPatch
) -> None:
    choosing = importlib.import_module("hasteward_cnpg.dump.choose")
    monkeypatch.setattr(choosing, "free_memory", lambda *_: Known(8 * GIB, "cgroup"))

    def limit(_: Any, argv: Sequence[str]) -> Sequence[str]:
        if not creating(argv):
            return argv
        at = argv.index("pg_dump")
        return [*argv[:at], "sh", "-c", 'ulimit -v; exec "$@"', "sh", *argv[at:]]

    single.rewrites.append(limit)

    text = dump(single).section_text("create:app")

    assert text.splitlines()[0] == str(4 * GIB // 1024)
    assert "CREATE DATABASE app" in text
