from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from hasteward.adapters.restic.program import Program
from hasteward.adapters.restic.repository import ResticRepository
from hasteward.adapters.restic.save import backup_arguments
from hasteward.domain.errors import (
    DependencyError,
    InvalidInput,
    RepositoryLocked,
    RepositoryMissing,
    RunFailed,
    Unproven,
    WrongPassword,
)
from hasteward.domain.snapshot import SnapshotTags

pytestmark = pytest.mark.servers

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
PATH = "shop/pg/dump.sql"
NOWHERE = "rest:http://somebody:hunter22@127.0.0.1:9/repository"


def write_until_told(stream: Any, data: bytes | None = None) -> None:
    """Write until the store says no; 20 s of that is a hang. Random, or restic would store it only once."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        stream.write(os.urandom(65536) if data is None else data)
    pytest.fail("the writer was never told")


def test_what_was_committed_is_one_snapshot_with_our_tags_and_comes_back(
    repository: ResticRepository, tags: SnapshotTags
) -> None:
    content = os.urandom(3_000_000)
    with repository.save(PATH, tags, NOW, stall_seconds=20) as stream:
        stream.write(memoryview(content)[:1_000_000])
        stream.write(content[1_000_000:])
        stream.end()
        saved = stream.commit()
    [snapshot] = repository.snapshots()
    assert (saved.snapshot_id, saved.size) == (snapshot.id, len(content))
    assert saved.added >= len(content)
    assert (snapshot.path, snapshot.time, snapshot.tags, snapshot.size) == (PATH, NOW, tags, len(content))
    with repository.read(snapshot.id, PATH, stall_seconds=20) as chunks:
        assert b"".join(bytes(chunk) for chunk in chunks) == content


def test_leaving_without_the_word_saves_nothing_and_leaves_no_lock(
    repository: ResticRepository, tags: SnapshotTags, location: Path, saved_files: Callable[[Path], int]
) -> None:
    with repository.save(PATH, tags, NOW, stall_seconds=20) as stream:
        stream.write(b"data" * 100_000)
        stream.end()
        deadline = time.monotonic() + 10
        while not list((location / "locks").iterdir()) and time.monotonic() < deadline:
            time.sleep(0.01)
    assert saved_files(location) == 0
    assert list((location / "locks").iterdir()) == []


def test_an_exception_in_the_middle_passes_through_and_saves_nothing(
    repository: ResticRepository, tags: SnapshotTags, location: Path, saved_files: Callable[[Path], int]
) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        repository.save(PATH, tags, NOW, stall_seconds=20) as stream,
    ):
        stream.write(bytes([1 // 0]))
    assert saved_files(location) == 0


def test_zero_bytes_are_refused_before_the_word(
    repository: ResticRepository, tags: SnapshotTags, location: Path, saved_files: Callable[[Path], int]
) -> None:
    with repository.save(PATH, tags, NOW, stall_seconds=20) as stream:
        stream.write(b"")
        stream.end()
        with pytest.raises(Unproven, match="no bytes"):
            stream.commit()
    assert saved_files(location) == 0


def test_the_manifest_is_saved_while_the_data_waits_for_its_word(
    repository: ResticRepository, tags: SnapshotTags
) -> None:
    with repository.save(PATH, tags, NOW, stall_seconds=20) as data:
        data.write(b"data")
        data.end()
        with repository.save(f"{PATH}.manifest.json", tags, NOW, stall_seconds=20) as manifest:
            manifest.write(b"{}")
            first = manifest.commit()
        assert [snapshot.id for snapshot in repository.snapshots()] == [first.snapshot_id]
        second = data.commit()
    assert {s.id for s in repository.snapshots()} == {first.snapshot_id, second.snapshot_id}


def test_the_helper_works_on_descriptors_above_two_hundred(
    repository: ResticRepository, tags: SnapshotTags
) -> None:
    with ExitStack() as stack:
        for _ in range(250):
            stack.callback(os.close, os.open("/dev/null", os.O_RDONLY))
        with repository.save(PATH, tags, NOW, stall_seconds=20) as stream:
            assert stream._pipes.data > 200  # type: ignore[attr-defined]
            stream.write(b"data")
            assert stream.commit().size == 4


def test_where_the_pipe_of_restic_cannot_be_opened_the_helper_carries_the_data(
    repository: ResticRepository, tags: SnapshotTags, monkeypatch: pytest.MonkeyPatch
) -> None:
    def guarded(path: str, flags: int) -> int:
        raise PermissionError(path, flags)

    content = os.urandom(3_000_000)
    with repository.save(PATH, tags, NOW, stall_seconds=20) as stream:
        monkeypatch.setattr("hasteward.adapters.restic.save.os.open", guarded)
        stream.write(content)
        monkeypatch.undo()
        saved = stream.commit()
    with repository.read(saved.snapshot_id, PATH, stall_seconds=20) as chunks:
        assert b"".join(map(bytes, chunks)) == content


def test_w17_the_time_is_right_whatever_the_local_zone_and_the_given_one(
    repository: ResticRepository, tags: SnapshotTags, new_york: None
) -> None:
    given = datetime(2026, 7, 1, 1, 30, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    with repository.save(PATH, tags, given, stall_seconds=20) as stream:
        stream.write(b"data")
        stream.commit()
    [snapshot] = repository.snapshots()
    assert snapshot.time == given
    assert snapshot.time.tzinfo is UTC


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


def test_w14_a_restic_killed_first_is_noticed_at_once_and_named(
    repository: ResticRepository, tags: SnapshotTags, location: Path, processes: Any
) -> None:
    with repository.save(PATH, tags, NOW, stall_seconds=60) as stream:
        stream.write(b"x" * 1_000_000)
        groups = processes.groups(location)
        os.kill(stream._process.pid, signal.SIGKILL)  # type: ignore[attr-defined]
        began = time.monotonic()
        with pytest.raises(RunFailed, match="killed by SIGKILL") as told:
            write_until_told(stream)
        with pytest.raises(RunFailed):
            stream.commit()
    assert time.monotonic() - began < 5
    assert told.value.code == "restic.killed"
    assert processes.wait_until_gone(groups) == []


@pytest.mark.parametrize("early", [True, False])
def test_a_restic_that_has_nothing_to_do_yet_is_noticed_too_when_it_dies(
    repository: ResticRepository, tags: SnapshotTags, early: bool
) -> None:
    with repository.save(PATH, tags, NOW, stall_seconds=60) as stream:
        while not (early or stream._listening):  # type: ignore[attr-defined]
            stream.write(b"")
        os.kill(stream._process.pid, signal.SIGKILL)  # type: ignore[attr-defined]
        with pytest.raises(RunFailed, match="killed by SIGKILL"):
            write_until_told(stream, b"")


def test_a_killed_helper_saves_nothing_and_is_an_error(
    repository: ResticRepository,
    tags: SnapshotTags,
    location: Path,
    processes: Any,
    saved_files: Callable[[Path], int],
) -> None:
    with repository.save(PATH, tags, NOW, stall_seconds=60) as stream:
        stream.write(b"x" * 3_000_000)  # more than the pipe holds: the helper is there
        groups = processes.groups(location)
        (helper,) = {pid for pid in processes.members(groups) if b"/dev/fd/" in processes.told(pid)} - {
            stream._process.pid
        }  # type: ignore[attr-defined]
        os.kill(helper, signal.SIGKILL)
        with pytest.raises(RunFailed, match="command failed: signal: killed"):
            stream.commit()
    assert saved_files(location) == 0


def test_a_snapshot_of_another_size_is_taken_back_and_named(
    open_at: Callable[..., ResticRepository],
    tags: SnapshotTags,
    location: Path,
    miscounting: Program,
    saved_files: Callable[[Path], int],
) -> None:
    repository = open_at(location, program=miscounting)
    with repository.save(PATH, tags, NOW, stall_seconds=20) as stream:
        stream.write(b"four")
        with pytest.raises(Unproven, match=r"holds 3 of 4 bytes.* it was removed") as told:
            stream.commit()
    assert told.value.code == "proof.size"
    assert saved_files(location) == 0


@pytest.fixture
def miscounting(program: Program, tmp_path: Path) -> Program:
    """A restic that reports one byte fewer than it saved."""
    script = tmp_path / "restic"
    count = 's/"total_bytes_processed":4/"total_bytes_processed":3/'
    script.write_text(f"#!/bin/sh\n'{program.path}' \"$@\" | sed '{count}'\n")
    script.chmod(0o755)
    return Program(str(script), program.version)


def test_a_full_repository_is_an_error_and_no_snapshot(
    open_at: Callable[..., ResticRepository],
    tags: SnapshotTags,
    small_repository: Path,
    saved_files: Callable[[Path], int],
) -> None:
    with (
        pytest.raises(RunFailed, match="no space left on device"),
        open_at(small_repository).save(PATH, tags, NOW, stall_seconds=20) as stream,
    ):
        write_until_told(stream)
    assert saved_files(small_repository) == 0


def test_an_unreachable_store_is_a_stall_that_tells_what_restic_tries(
    open_at: Callable[..., ResticRepository], tags: SnapshotTags, processes: Any
) -> None:
    with (
        pytest.raises(DependencyError, match="connection refused") as told,
        open_at(NOWHERE).save(PATH, tags, NOW, stall_seconds=1.5) as stream,
    ):
        write_until_told(stream)
    assert told.value.code == "restic.stalled"
    assert "hunter22" not in told.value.message
    assert processes.groups(NOWHERE) == set()


def test_a_stall_after_the_word_says_that_the_snapshot_may_exist(
    repository: ResticRepository, tags: SnapshotTags, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hasteward.adapters.restic.process._TERM_SECONDS", 0.2)
    with repository.save(PATH, tags, NOW, stall_seconds=20) as stream:
        stream.write(b"data")
        stream.end()
        stream._stall = 1  # type: ignore[attr-defined]
        os.kill(stream._process.pid, signal.SIGSTOP)  # type: ignore[attr-defined]
        with pytest.raises(DependencyError, match="no progress") as told:
            stream.commit()
    assert "not known" in told.value.hint


def test_a_missing_repository_is_ten_and_a_missing_directory_asks_for_the_volume(
    open_at: Callable[..., ResticRepository], tags: SnapshotTags, tmp_path: Path
) -> None:
    with (
        pytest.raises(RepositoryMissing, match="no restic repository") as told,
        open_at(tmp_path / "nothing").save(PATH, tags, NOW, stall_seconds=20) as stream,
    ):
        write_until_told(stream)
    assert "is the volume mounted?" in told.value.hint
    assert "hasteward init --backups-path" in told.value.hint


def test_a_wrong_password_is_twelve_and_is_not_repeated(
    open_at: Callable[..., ResticRepository], tags: SnapshotTags, location: Path
) -> None:
    with (
        pytest.raises(WrongPassword) as told,
        open_at(location, password="not the one").save(PATH, tags, NOW, stall_seconds=20) as stream,
    ):
        write_until_told(stream)
    assert "not the one" not in told.value.message + told.value.hint


def test_an_exclusive_lock_is_eleven_and_names_its_holder(
    repository: ResticRepository, tags: SnapshotTags, pruning: int
) -> None:
    with (
        pytest.raises(RepositoryLocked, match=f"locked by PID {pruning}"),
        repository.save(PATH, tags, NOW, stall_seconds=20) as stream,
    ):
        write_until_told(stream)
    assert repository.snapshots() == []  # reading does not wait for it


def test_a_tag_with_a_comma_is_refused_because_restic_would_split_it() -> None:
    odd = SnapshotTags(engine="cnpg", cluster="a,b", namespace="shop", type="backup")
    with pytest.raises(InvalidInput, match="comma"):
        backup_arguments(PATH, odd, NOW, ready=3, data=4, word=5)
