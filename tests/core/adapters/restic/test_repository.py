from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hasteward.adapters.restic.repository import ResticRepository
from hasteward.domain.errors import (
    DependencyError,
    InvalidInput,
    RepositoryMissing,
    RunFailed,
    WrongPassword,
)
from hasteward.domain.snapshot import SnapshotTags

pytestmark = pytest.mark.servers

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
NOWHERE = "rest:http://somebody:hunter22@127.0.0.1:9/nowhere"


def test_only_init_creates_and_it_never_does_so_twice(
    open_at: Callable[..., ResticRepository], tmp_path: Path
) -> None:
    fresh = open_at(tmp_path / "fresh")
    with pytest.raises(RepositoryMissing):
        fresh.open()
    with pytest.raises(RepositoryMissing):
        fresh.snapshots()
    assert not (tmp_path / "fresh").exists()
    made = fresh.init()
    assert fresh.open() == made
    assert made.location == str(tmp_path / "fresh")
    with pytest.raises(InvalidInput, match="already a repository") as told:
        fresh.init()
    assert told.value.code == "repository.exists"


def test_a_wrong_password_does_not_open(open_at: Callable[..., ResticRepository], location: Path) -> None:
    with pytest.raises(WrongPassword):
        open_at(location, password="not the one").open()


def test_a_cache_that_another_restic_is_just_making_is_read_again(
    open_at: Callable[..., ResticRepository], location: Path, environment: dict[str, str]
) -> None:
    """A backup lists and opens at once; the first ever could fail with `strconv.ParseUint: parsing ""`."""
    repository = open_at(location)
    known = repository.open()
    version = Path(environment["XDG_CACHE_HOME"], "restic", known.id, "version")
    written = version.read_bytes()
    version.unlink()
    os.mkfifo(version)
    with repository.opening() as answer:
        with version.open("wb"):
            # restic has it open now, and finds nothing in it
            version.with_suffix(".new").write_bytes(written)
            version.with_suffix(".new").replace(version)
        assert answer() == known


def test_a_cache_that_a_dead_restic_left_unmade_is_named(
    open_at: Callable[..., ResticRepository], location: Path, environment: dict[str, str]
) -> None:
    repository = open_at(location)
    version = Path(environment["XDG_CACHE_HOME"], "restic", repository.open().id, "version")
    written = version.read_bytes()
    version.write_bytes(b"")
    try:
        with pytest.raises(RunFailed, match="restic cannot read its cache: strconv") as told:
            repository.snapshots()
    finally:
        version.write_bytes(written)
    assert (told.value.code, "~/.cache/restic" in told.value.hint) == ("restic.cache", True)


def test_an_empty_password_is_refused_before_anything_is_started(
    open_at: Callable[..., ResticRepository], location: Path
) -> None:
    with pytest.raises(InvalidInput, match="password from the tests is empty"):
        open_at(location, password="\n").open()


def test_snapshots_of_other_tools_are_none_of_ours(
    repository: ResticRepository, by_hand: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    by_hand("backup", "--tag", "nightly", str(tmp_path / "notes.txt"))
    by_hand("backup", str(tmp_path / "notes.txt"))
    assert repository.snapshots() == []


def test_an_unreachable_store_ends_after_the_deadline_and_hides_the_credentials(
    open_at: Callable[..., ResticRepository], processes: Any
) -> None:
    began = time.monotonic()
    with pytest.raises(DependencyError, match="connection refused") as told:
        open_at(NOWHERE, patience=1.5).snapshots()
    assert time.monotonic() - began < 6
    assert "hunter22" not in told.value.message + repr(open_at(NOWHERE))
    assert processes.groups(NOWHERE) == set()


def test_l71_an_image_without_home_and_tmp_can_save_and_read(
    open_at: Callable[..., ResticRepository],
    location: Path,
    tags: SnapshotTags,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HOME", "XDG_CACHE_HOME", "RESTIC_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delitem(environment, "XDG_CACHE_HOME")
    monkeypatch.setenv("TMPDIR", "/nonexistent")
    repository = open_at(location)
    with repository.save("shop/pg/dump.sql", tags, NOW, stall_seconds=20) as stream:
        stream.write(b"data")
        saved = stream.commit()
    assert repository.read_small(saved.snapshot_id, "shop/pg/dump.sql") == b"data"
