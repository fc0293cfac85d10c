from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hasteward.adapters.restic.repository import ResticRepository
from hasteward.domain.errors import RunFailed
from hasteward.domain.snapshot import SnapshotTags

pytestmark = pytest.mark.servers

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
PATH = "shop/pg/dump.sql"
SIZE = 30_000_000


@pytest.fixture(scope="module")
def filled(
    open_at: Callable[..., ResticRepository],
    template: Path,
    tags: SnapshotTags,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, str]:
    """A repository with a snapshot of several packs, and the snapshot's id."""
    location = Path(shutil.copytree(template, tmp_path_factory.mktemp("filled") / "repository"))
    with open_at(location).save(PATH, tags, NOW, stall_seconds=20) as stream:
        for _ in range(SIZE // 1_000_000):
            stream.write(os.urandom(1_000_000))
        return location, stream.commit().snapshot_id


@pytest.fixture
def location(filled: tuple[Path, str], tmp_path: Path) -> Path:
    return Path(shutil.copytree(filled[0], tmp_path / "repository"))


@pytest.fixture
def stored(filled: tuple[Path, str]) -> str:
    return filled[1]


def test_a_damaged_pack_never_ends_as_if_the_file_were_whole(
    repository: ResticRepository, stored: str, location: Path
) -> None:
    packs = sorted((location / "data").glob("*/*"), key=lambda pack: pack.stat().st_size)
    packs[-1].chmod(0o600)
    with packs[-1].open("r+b") as pack:
        pack.seek(packs[-1].stat().st_size // 2)
        pack.write(b"\0" * 64)
    received = 0
    with repository.read(stored, PATH, stall_seconds=20) as chunks:
        with pytest.raises(RunFailed, match=r"reading /shop/pg/dump\.sql") as told:  # noqa: PT012  the bytes that came are counted
            for chunk in chunks:
                received += len(chunk)
        with pytest.raises(RunFailed):
            next(chunks)
    assert received < SIZE
    assert told.value.code == "restic.failed"


def test_leaving_early_leaves_no_process_and_says_nothing(
    repository: ResticRepository, stored: str, location: Path, processes: Any
) -> None:
    with repository.read(stored, PATH, stall_seconds=20) as chunks:
        assert len(next(chunks)) > 0
        groups = processes.groups(location)
        assert len(groups) == 1
        began = time.monotonic()
    assert time.monotonic() - began < 2
    assert processes.members(groups) == []


def test_a_reader_works_on_a_repository_that_cannot_be_locked(
    repository: ResticRepository, stored: str, location: Path
) -> None:
    (location / "locks").rmdir()
    (location / "locks").write_bytes(b"no lock can be made here")
    assert [snapshot.id for snapshot in repository.snapshots()] == [stored]
    with repository.read(stored, f"/{PATH}", stall_seconds=20) as chunks:
        assert sum(len(chunk) for chunk in chunks) == SIZE


def test_a_file_that_is_too_large_for_memory_is_not_read_small(
    repository: ResticRepository, stored: str
) -> None:
    with pytest.raises(RunFailed, match="larger than"):
        repository.read_small(stored, PATH)


def test_a_file_that_is_not_there_is_an_error(
    repository: ResticRepository, stored: str, open_at: Callable[..., ResticRepository]
) -> None:
    with pytest.raises(RunFailed, match=r"other\.sql"):
        repository.read_small(stored, "shop/pg/other.sql")
