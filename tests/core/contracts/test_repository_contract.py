"""One contract, two repositories: what holds for real restic holds for the fake, so that it cannot drift."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hasteward.adapters.restic.password import Password
from hasteward.adapters.restic.program import find_program
from hasteward.adapters.restic.repository import ResticRepository
from hasteward.domain.errors import InvalidInput, RepositoryMissing, RunFailed
from hasteward.domain.snapshot import PROOF, SnapshotTags
from hasteward.ports.repository import Repository
from hasteward.testing.repository import FakeRepository

TOOLS = Path(__file__).parents[3] / ".tools" / "bin"
WHEN = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
TAGS = SnapshotTags("toy", "pg", "db", "backup", "job", "run", "toy-1", PROOF)
Make = Callable[[], Repository]


@pytest.fixture(params=["fake", pytest.param("restic", marks=pytest.mark.servers)])
def make(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A repository that does not exist yet."""
    if request.param == "fake":
        return lambda: FakeRepository(exists=False)
    monkeypatch.setenv("PATH", f"{TOOLS}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert shutil.which("restic")
    return lambda: ResticRepository(str(tmp_path / "repository"), Password(lambda: "x"), find_program())


def save(repository: Repository, data: bytes, *, word: bool = True) -> str:
    with repository.save("db/pg/d.sql", TAGS, WHEN, stall_seconds=20) as stream:
        for start in range(0, len(data), 1000):
            stream.write(data[start : start + 1000])
        stream.end()
        return stream.commit().snapshot_id if word else ""


def fail_within(repository: Repository) -> None:
    with repository.save("db/pg/d.sql", TAGS, WHEN, stall_seconds=20) as stream:
        stream.write(b"x" * 5000)
        raise ZeroDivisionError


def test_life_of_a_repository(make: Make) -> None:
    repository = make()
    with pytest.raises(RepositoryMissing):
        repository.open()
    created = repository.init()
    with pytest.raises(InvalidInput):
        repository.init()
    assert repository.open().id == created.id

    assert repository.snapshots() == []
    assert save(repository, b"x" * 5000, word=False) == ""
    with pytest.raises(ZeroDivisionError):
        fail_within(repository)
    assert repository.snapshots() == [], "without the word nothing is saved"

    data = bytes(range(256)) * 40
    saved = save(repository, data)
    (snapshot,) = repository.snapshots()
    assert (snapshot.id, snapshot.path, snapshot.tags, snapshot.size) == (
        saved,
        "db/pg/d.sql",
        TAGS,
        len(data),
    )
    assert snapshot.time == WHEN

    with repository.read(saved, snapshot.path, stall_seconds=20) as chunks:
        assert b"".join(bytes(chunk) for chunk in chunks) == data
    assert repository.read_small(saved, snapshot.path) == data
    with repository.read(saved, snapshot.path, stall_seconds=20) as chunks:
        next(chunks)
    with pytest.raises(RunFailed):
        repository.read_small(saved, "/other")
    with pytest.raises(RunFailed), repository.read("ab" * 32, snapshot.path, stall_seconds=20) as chunks:
        list(chunks)
