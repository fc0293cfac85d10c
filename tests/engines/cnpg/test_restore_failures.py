"""What goes wrong during a restore leaves the live databases live, and says what stayed."""

# ruff: noqa: PYI034, PYI036 - the double of a context manager

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cnpg_kit import (
    BIN,
    CLUSTER,
    LocalKubernetes,
    Server,
    Stored,
    StoredBytes,
    context_for,
    reporter_of,
    restore,
)

from hasteward.domain.errors import HastewardError, Refused, RunFailed, Unproven
from hasteward.ports.context import RestoreOptions
from hasteward.ports.kubernetes import ApiUnavailable, PodRef, StreamBroken
from hasteward_cnpg.plugin import plugin

pytestmark = pytest.mark.servers

OURS = "SELECT datname FROM pg_database WHERE datname LIKE 'hasteward%' ORDER BY 1"


class Killed(BaseException):
    """The process is gone: nothing after it runs, no clean-up either."""


@pytest.fixture
def source(small: Server, small_dump: Stored) -> Stored:
    small.psql("DELETE FROM t WHERE id = 1", "app")
    return small_dump


def rows(server: Server) -> str:
    return server.psql("SELECT id FROM t ORDER BY 1", "app").replace("\n", ",")


def word_in(argv: Sequence[str], word: str) -> bool:
    return any(word in part for part in argv)


def test_a_load_that_fails_leaves_everything_as_it_was(
    single: LocalKubernetes, small: Server, source: Stored
) -> None:
    small.psql("REASSIGN OWNED BY app TO postgres; DROP ROLE app", "app")
    bad = bytearray(source.data)
    position = bad.index(b"COPY public.t")
    bad[position : position + 4] = b"OOPS"

    with pytest.raises(RunFailed, match=r"load of database app.*OOPS"):
        restore(single, replace(source, data=bytes(bad)))

    assert rows(small) == "2"
    assert not small.psql(OURS)
    assert not small.psql("SELECT 1 FROM pg_roles WHERE rolname = 'app'"), "the role was taken back too"


@pytest.mark.parametrize(("autovacuum", "known"), [("on", "f"), ("off", "t")])
def test_statistics_are_gathered_where_the_server_does_not_do_it_by_itself(
    single: LocalKubernetes, small: Server, source: Stored, autovacuum: str, known: str
) -> None:
    """Where it does, they come within its next round: two rows are too few for one that came by now."""
    small.psql(f"ALTER SYSTEM SET autovacuum = {autovacuum}")
    try:
        small.psql("SELECT pg_reload_conf()")
        deadline = time.monotonic() + 10
        while small.psql("SHOW autovacuum") != autovacuum:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        restore(single, source)
    finally:
        small.psql("ALTER SYSTEM RESET autovacuum")
        small.psql("SELECT pg_reload_conf()")

    assert small.psql("SELECT count(*) > 0 FROM pg_stats WHERE tablename = 't'", "app") == known


def test_bytes_that_are_not_the_manifests_are_not_swapped_in(
    single: LocalKubernetes, small: Server, source: Stored
) -> None:
    bad = source.data.replace(b"two", b"owt")

    with pytest.raises(Unproven, match=r"the digest made in .* is not the one here"):
        restore(single, replace(source, data=bad))

    assert rows(small) == "2"
    assert not small.psql(OURS)


def test_other_numbers_of_objects_are_refused(single: LocalKubernetes, small: Server, source: Stored) -> None:
    source.manifest.catalog["databases"]["app"]["counts"]["tables"] = 9

    with pytest.raises(Unproven, match="tables: 1 instead of 9"):
        restore(single, source)

    assert rows(small) == "2"
    assert not small.psql(OURS)


def test_numbers_that_were_not_recorded_are_not_compared(
    single: LocalKubernetes, small: Server, source: Stored
) -> None:
    source.manifest.catalog["databases"]["app"]["counts"] = None

    outcome = restore(single, source)

    assert rows(small) == "1,2"
    assert "app: objects were not counted when it was dumped" in outcome.checks


def test_ctrl_c_in_the_load_takes_the_new_database_away(
    single: LocalKubernetes, small: Server, source: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fed(section: Any) -> Iterator[memoryview]:
        yield memoryview(b"CREATE TABLE half (id int);\n")
        raise KeyboardInterrupt

    monkeypatch.setattr(StoredBytes, "fed", fed)

    with pytest.raises(KeyboardInterrupt):
        restore(single, source)

    assert rows(small) == "2"
    assert not small.psql(OURS)


@pytest.mark.parametrize("word", ["extensions", "create", "swap"])
def test_killed_and_run_again(single: LocalKubernetes, small: Server, source: Stored, word: str) -> None:
    def kill(verb: str, what: str, argv: Sequence[str]) -> None:
        if killed or (verb == "exec" and hits(argv)):
            killed.append(True)
            raise Killed

    def hits(argv: Sequence[str]) -> bool:
        match word:
            case "swap":
                return "swap" in argv
            case "create":
                return word_in(argv, "dbname='hasteward_new") and word_in(argv, "synchronous_commit")
            case _:
                return word_in(argv, "dbname='hasteward_new") and not word_in(argv, "synchronous_commit")

    killed: list[bool] = []
    single.faults.append(kill)
    with pytest.raises(Killed):
        restore(single, source)
    assert small.psql(OURS) == "hasteward_new_20260821T090221Z_1"
    assert rows(small) == "2"

    single.faults.clear()
    restore(single, source, "run3", keep_old=False)

    assert rows(small) == "1,2"
    assert not small.psql(OURS)


def test_a_lost_answer_to_the_swap_is_looked_up(
    single: LocalKubernetes, small: Server, source: Stored
) -> None:
    """The COMMIT happened, the Status did not arrive: the names are read again and tell."""
    cut_after(single, "swap")

    outcome = restore(single, source)

    assert outcome.restored == ("app",)
    assert rows(small) == "1,2"


def cut_after(api: LocalKubernetes, word: str) -> None:
    """The process runs to its end, but we lose the connection before its answer."""
    plain = api.exec

    def cut(pod: PodRef, argv: Sequence[str], **how: Any) -> Any:
        manager = plain(pod, argv, **how)
        if word not in argv:
            return manager
        return Deaf(manager)

    api.exec = cut  # type: ignore[method-assign]


class Deaf:
    """An exec whose answer never arrives."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager

    def __enter__(self) -> Deaf:
        self._stream = self._manager.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._manager.__exit__(None, None, None)

    def send(self, data: bytes) -> bool:
        return bool(self._stream.send(data))

    def finish_input(self) -> None:
        self._stream.finish_input()

    def receive(self) -> Any:
        while self._stream.receive() is not None:
            pass
        raise StreamBroken("the connection was lost")


def test_an_unreachable_primary_after_the_swap_is_said_to_be_unknown(
    single: LocalKubernetes, small: Server, source: Stored
) -> None:
    gone: list[bool] = []

    def lose(verb: str, what: str, argv: Sequence[str]) -> None:
        if gone or "swap" in argv:
            gone.append(True)
            raise ApiUnavailable("the API server is away")

    single.faults.append(lose)
    context = context_for(single, run="run2", minute=2)
    context = replace(context, clock=Hasty())

    with pytest.raises(RunFailed, match="either all of them are the restored ones, or none is") as caught:
        plugin.restore(context, CLUSTER, source, RestoreOptions())

    assert caught.value.code == "restore.unknown"
    assert "kubectl exec -n db pg-1" in caught.value.hint
    single.faults.clear()
    restore(single, source, "run3", keep_old=False)
    assert rows(small) == "1,2"


class Hasty:
    """A clock whose waits cost nothing."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Do not."""


def test_clients_that_reconnect_at_once_do_not_stop_the_swap(
    single: LocalKubernetes, small: Server, source: Stored
) -> None:
    """Each guest sits in the database, and comes back the moment it is thrown out."""
    stop = threading.Event()

    def guest() -> None:
        argv = [str(BIN / "psql"), "-Xq", "-h", str(small.folder), "-U", "postgres", "app", "-c"]
        while not stop.is_set():
            subprocess.run(
                [*argv, "SELECT pg_sleep(20)"],
                env={"PGAPPNAME": "guest", "LC_ALL": "C"},
                capture_output=True,
                check=False,
            )

    guests = [threading.Thread(target=guest) for _ in range(6)]
    for thread in guests:
        thread.start()
    try:
        time.sleep(0.3)
        outcome = restore(single, source)
    finally:
        stop.set()
        small.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'guest'")
        for thread in guests:
            while thread.is_alive():
                small.psql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'guest'"
                )
                thread.join(0.1)

    assert outcome.restored == ("app",)
    assert rows(small) == "1,2"


def test_a_switchover_during_the_load_stops_before_the_swap(
    single: LocalKubernetes, small: Server, source: Stored
) -> None:
    def switch(verb: str, what: str, argv: Sequence[str]) -> None:
        if word_in(argv, "synchronous_commit"):
            single.cluster["status"]["targetPrimary"] = "pg-2"

    single.faults.append(switch)

    with pytest.raises(RunFailed, match="the cluster changed during the restore"):
        restore(single, source)

    assert rows(small) == "2"
    assert not small.psql(OURS)


def test_a_database_that_was_replaced_meanwhile_is_not_swapped(
    single: LocalKubernetes, small: Server, source: Stored
) -> None:
    def replace_it(verb: str, what: str, argv: Sequence[str]) -> None:
        if "swap" in argv and not small.psql("SELECT 1 FROM pg_database WHERE datname = 'mine'"):
            small.psql("ALTER DATABASE app RENAME TO mine; CREATE DATABASE app")

    single.faults.append(replace_it)

    with pytest.raises(RunFailed, match="replaced meanwhile"):
        restore(single, source)

    assert small.psql(OURS) == ""


def test_a_lost_lease_stops_the_swap(single: LocalKubernetes, small: Server, source: Stored) -> None:
    def lost() -> None:
        raise Refused("another run holds the Lease")

    context = replace(context_for(single, run="run2", minute=2), check_lease=lost)

    with pytest.raises(HastewardError, match="Lease"):
        plugin.restore(context, CLUSTER, source, RestoreOptions())

    assert rows(small) == "2"
    assert not small.psql(OURS)


def test_a_replica_that_lags_is_a_warning(api: LocalKubernetes, small: Server, source: Stored) -> None:
    replica = api.servers["pg-2"]
    for _ in range(100):
        if replica.psql("SELECT 1 FROM pg_database WHERE datname = 'app'"):
            break
        time.sleep(0.05)
    paused: list[bool] = []

    def pause(verb: str, what: str, argv: Sequence[str]) -> None:
        if "swap" in argv and not paused:
            paused.append(True)
            replica.psql("SELECT pg_wal_replay_pause()")

    class Leaping(Hasty):
        passed = 0.0

        def monotonic(self) -> float:
            self.passed += 30
            return self.passed

    api.faults.append(pause)
    context = replace(context_for(api, run="run2", minute=2), clock=Leaping())
    try:
        outcome = plugin.restore(context, CLUSTER, source, RestoreOptions())
    finally:
        replica.psql("SELECT pg_wal_replay_resume()")

    assert outcome.restored == ("app",)
    assert "restore.standbys" in reporter_of(context).warnings()
    assert "pg-2 had not replayed" in outcome.checks[-1]
