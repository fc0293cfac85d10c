"""The files of a stopped server, read by the real programs; and what their words are taken for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cnpg_kit import LocalKubernetes, Server, context_for, run

from hasteward.domain.reading import Absent, Known, Unread
from hasteward.ports.kubernetes import PodRef
from hasteward_cnpg.collect.files import Place, read_files, read_mark, read_tally
from hasteward_cnpg.evidence import Fork, Lsn, Position
from hasteward_cnpg.facts.files import (
    Presence,
    Start,
    holders,
    parse_control,
    parse_end,
    parse_look,
    segment_name,
    segment_start,
)

SEGMENT = 16 * 1024 * 1024
OWN = Place(PodRef("db", "pg-1", "postgres"), "")


@pytest.fixture
def crashed(pristine: Path) -> Iterator[tuple[LocalKubernetes, str, str]]:
    """A server that died at work, with 7 commits behind its last checkpoint, and where they lie."""
    server = Server("pg-1", pristine).start()
    server.psql("CREATE TABLE t (n int)")
    server.psql("CHECKPOINT")
    before = server.psql("SELECT pg_current_wal_insert_lsn()")
    for number in range(7):
        server.psql(f"INSERT INTO t VALUES ({number})")  # noqa: S608  a number
    after = server.psql("SELECT pg_current_wal_flush_lsn()")
    server.stop()
    yield LocalKubernetes({"pg-1": server}), before, after
    server.remove()


@pytest.mark.servers
def test_w1_the_end_of_valid_log_is_found_past_the_last_checkpoint(
    crashed: tuple[LocalKubernetes, str, str],
) -> None:
    api, before, after = crashed
    context = context_for(api)

    found = read_files(context, OWN)

    assert isinstance(found, Known), found
    position = found.value.position
    assert position.timeline == 1
    assert found.value.control.checkpoint < Lsn.parse(before) < Lsn.parse(after) <= position.end
    tally = read_tally(context, OWN, position, Lsn.parse(before), 16 * 1024 * 1024)
    assert isinstance(tally, Known), tally
    assert tally.value.commits == 7
    assert tally.value.last


@pytest.mark.servers
def test_the_log_of_a_copy_is_alike_and_another_servers_is_not(
    crashed: tuple[LocalKubernetes, str, str],
) -> None:
    api, before, _ = crashed
    context, fork = context_for(api), Lsn.parse(before)
    copy = Server("pg-2", api.servers["pg-1"].data)
    stranger = Server("pg-3").init().start()
    stranger.psql("CREATE TABLE t (n text); INSERT INTO t SELECT 'other' FROM generate_series(1, 20000)")
    stranger.stop()
    api.servers |= {"pg-2": copy, "pg-3": stranger}
    try:
        first, second, third = (
            read_mark(
                context,
                Place(PodRef("db", name, "postgres"), ""),
                Position(1, Lsn(1 << 30), ()),
                fork,
                SEGMENT,
            )
            for name in ("pg-1", "pg-2", "pg-3")
        )
        shutil.rmtree(copy.data / "pg_wal")
        (copy.data / "pg_wal").mkdir()
        gone = read_mark(
            context, Place(PodRef("db", "pg-2", "postgres"), ""), Position(1, Lsn(1 << 30), ()), fork, SEGMENT
        )
    finally:
        copy.remove()
        stranger.remove()

    assert isinstance(first, Known)
    assert isinstance(second, Known)
    assert isinstance(third, Known)
    assert first.value == second.value
    assert first.value != third.value
    assert isinstance(gone, Absent)


@pytest.mark.servers
def test_what_cannot_be_read_is_unread_and_what_is_empty_is_absent(
    crashed: tuple[LocalKubernetes, str, str],
) -> None:
    api, _, _ = crashed
    context, data = context_for(api), api.servers["pg-1"].data
    shutil.move(data / "pg_wal", data / "pg_wal.away")
    (data / "pg_wal").mkdir()
    no_log = read_files(context, OWN)
    for entry in list(data.iterdir()):
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    empty = read_files(context, OWN)
    (data / "something").touch()
    strange = read_files(context, OWN)
    (data / "something").unlink()

    assert isinstance(no_log, Unread)
    assert isinstance(empty, Absent)
    assert isinstance(strange, Unread)


@pytest.mark.servers
def test_files_of_a_running_server_are_not_read(crashed: tuple[LocalKubernetes, str, str]) -> None:
    api, _, _ = crashed
    api.servers["pg-1"].start()

    found = read_files(context_for(api), OWN)

    assert isinstance(found, Unread)
    assert "a server uses them" in found.reason


# --- words ------------------------------------------------------------------------------------------------

START = Start(1, Lsn(0x1000000), ())


@pytest.mark.parametrize(
    ("words", "end"),
    [
        ("error in WAL record at 0/1526048: invalid record length at 0/15261E0: wanted 24, got 0", 0x15261E0),
        ("invalid record length at 0/15261E0: expected at least 24, got 0", 0x15261E0),
        ("record with incorrect prev-link 0/FF000000 at 0/1600000", 0x1600000),
        (
            "unexpected pageaddr 0/5000000 in log segment 000000010000000000000001, LSN 0/1800000, offset 0",
            0x1800000,
        ),
        ('could not find file "000000010000000000000003": No such file or directory', 0x3000000),
        ('could not open file "pg_wal/000000010000000000000003": No such file or directory', 0x3000000),
    ],
)
def test_how_a_reader_of_the_log_says_where_it_ends(words: str, end: int) -> None:
    assert parse_end(START, f"pg_waldump: error: {words}", SEGMENT) == Position(1, Lsn(end), ())


@pytest.mark.parametrize(
    "words",
    [
        "",
        "could not find a valid record after 0/1000000",
        'could not find file "000000010000000000000001": No such file or directory',
        "out of memory",
    ],
)
def test_words_that_tell_no_end_are_not_guessed_at(words: str) -> None:
    with pytest.raises(ValueError, match="the end of its log was not found"):
        parse_end(START, words, SEGMENT)


def test_a_look_that_was_cut_short_is_no_look() -> None:
    with pytest.raises(ValueError, match="cut short"):
        parse_look("@@presence\nthere\n")

    look = parse_look("@@presence\nthere\n@@server\ngone\n@@history 0000000A.history\n1\t0/50\tx\n@@end\n")
    assert (look.presence, look.running, dict(look.histories)) == (Presence.THERE, False, {10: "1\t0/50\tx"})


def test_a_control_file_without_what_is_needed_is_refused() -> None:
    with pytest.raises(ValueError, match="does not tell 'Database system identifier'"):
        parse_control("pg_control version number: 1300")


def test_names_of_log_files_and_positions_are_each_others_inverse() -> None:
    for at in (0, SEGMENT, 0xFF000000, 0x100000000, 0x2_34000000):
        assert segment_start(segment_name(3, Lsn(at), SEGMENT), SEGMENT) == Lsn(at)


def test_log_before_a_switch_is_in_the_new_timelines_file_or_in_a_partial_one() -> None:
    position = Position(2, Lsn(0x1800000), (Fork(1, Lsn(0x1500000)),))

    assert holders(position, Lsn(0x14FFFFF), SEGMENT) == (
        "000000020000000000000001",
        "000000010000000000000001",
        "000000010000000000000001.partial",
    )
    assert holders(position, Lsn(0x1800000), SEGMENT) == ()


def test_pg_controldata_of_this_machine_is_understood(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = Server("pg-1").init()
    try:
        control = parse_control(run("pg_controldata", str(server.data)))
    finally:
        server.remove()

    assert (control.state, control.timeline, control.segment_bytes) == ("shut down", 1, SEGMENT)
    assert control.was_writing
