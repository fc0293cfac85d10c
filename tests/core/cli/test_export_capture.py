"""Export and restore of the files that a repair has captured of a member."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hasteward.domain.errors import ExitCode
from hasteward.domain.snapshot import PROOF, SnapshotTags
from hasteward.kit.sections import SectionWriter
from hasteward.pipelines.backup import save
from hasteward.ports.context import DumpProof, DumpSink, EngineContext, Run
from hasteward.streams.proof import Algorithm
from hasteward.testing.clock import VirtualClock
from hasteward.testing.reporter import Approval, RecordingReporter

FILES = b"wheels and springs"


@pytest.fixture
def capture(cli: Any) -> str:
    """The files of member 2, as a repair has saved them."""
    run = Run("c" * 16, datetime(2026, 1, 1, 12, tzinfo=UTC))
    context = EngineContext(cli.kubernetes, VirtualClock(), RecordingReporter(), run, Approval())
    tags = SnapshotTags("toy", "box", "db", "diverged", run.job, run.id, "physical", PROOF, "escrow")

    def produce(sink: DumpSink) -> DumpProof:
        writer = SectionWriter(context, sink, Algorithm.BLAKE2B_256)
        writer.text("files", "", FILES)
        return DumpProof("box-2", "1", writer.sections)

    return save(context, cli.repository, "db/box/2-toy.tar", tags, produce).snapshot


@pytest.mark.usefixtures("capture")
def test_an_export_of_a_member_is_the_dump_that_is_made_of_its_files(
    cli: Any, there: tuple[str, ...], tmp_path: Path
) -> None:
    target = tmp_path / "two.sql"

    done = cli("export", *there, "-i", "2", "-o", str(target))

    assert done.code == 0, done.err
    assert target.read_bytes() == b"made of " + FILES
    assert "Plan: put the toy together" in done.err
    assert "db/box/2-toy.txt" in done.out


def test_raw_are_the_files_themselves_and_nothing_is_made(
    cli: Any, there: tuple[str, ...], tmp_path: Path, capture: str
) -> None:
    target = tmp_path / "two.tar"

    done = cli("export", *there, "-i", "2", "--raw", "-o", str(target), "--output", "json")

    assert done.code == 0, done.err
    assert target.read_bytes() == FILES
    assert (done.data["snapshot"], done.data["path"]) == (capture, "db/box/2-toy.tar")
    assert len(cli.repository.listed) == 2


@pytest.mark.usefixtures("capture")
def test_raw_needs_a_member_and_an_engine_that_captures(
    cli: Any, there: tuple[str, ...], tmp_path: Path
) -> None:
    done = cli("export", *there, "--raw", "-o", str(tmp_path / "x"))

    assert done.code == ExitCode.INVALID
    assert "--raw is for the captured files of one member" in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("capture")
def test_a_dry_run_of_an_export_shows_how_the_dump_is_made(
    cli: Any, there: tuple[str, ...], tmp_path: Path
) -> None:
    done = cli("export", *there, "-i", "2", "-o", str(tmp_path / "x.sql"), "--dry-run")

    assert done.code == 0, done.err
    assert "Plan: put the toy together" in done.out
    assert list(tmp_path.iterdir()) == []
    assert len(cli.repository.listed) == 2


@pytest.mark.usefixtures("capture")
@pytest.mark.parametrize("verb", [("export", "-o", "x.sql"), ("restore",)])
def test_rights_for_the_scratch_server_are_asked_for_first(
    verb: tuple[str, ...], cli: Any, there: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cli.kubernetes.denied = {("get", "boxes")}

    done = cli(*verb, *there, "-i", "2")

    assert done.code == ExitCode.DEPENDENCY
    assert "get boxes.toys.example.com" in done.err
    assert list(tmp_path.iterdir()) == []
    assert cli.kubernetes.writes == []


def test_a_restore_takes_the_dump_that_was_made(cli: Any, there: tuple[str, ...], capture: str) -> None:
    done = cli("restore", *there, "-i", "2", "--yes", "--output", "json")

    assert done.code == 0, done.err
    (dump,) = [
        one for one in cli.repository.listed if one.tags.reason == "extract" and one.path.endswith("txt")
    ]
    assert done.data["snapshot"] == dump.id != capture
    assert dump.time == datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_an_engine_that_captures_nothing_says_so(cli: Any, there: tuple[str, ...], tmp_path: Path) -> None:
    cli.toy.files = None

    done = cli("export", *there, "-i", "2", "--raw", "-o", str(tmp_path / "x"))

    assert done.code == ExitCode.INVALID
    assert "engine toy captures no files" in done.err
