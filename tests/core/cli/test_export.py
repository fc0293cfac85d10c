from __future__ import annotations

import gzip
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hasteward.cli.output_file import opened
from hasteward.domain.errors import InvalidInput, RunFailed


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def saved(cli: Any, there: tuple[str, ...]) -> str:
    snapshot: str = cli("backup", *there, "--output", "json").data["snapshot"]
    return snapshot


@pytest.mark.usefixtures("saved")
def test_a_name_ending_in_gz_is_compressed(
    cli: Any, there: tuple[str, ...], tmp_path: Path, dump_bytes: bytes
) -> None:
    target = tmp_path / "dump.sql.gz"

    done = cli("export", *there, "-o", str(target), "--output", "json")

    assert done.code == 0, done.err
    assert gzip.decompress(target.read_bytes()) == dump_bytes
    assert subprocess.run(["gzip", "-t", str(target)], check=False).returncode == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert names(tmp_path) == ["dump.sql.gz"]
    assert (done.data["compressed"], done.data["proven"]) == (True, True)
    assert done.data["size"] == len(dump_bytes)


@pytest.mark.usefixtures("saved")
def test_any_other_name_is_raw(cli: Any, there: tuple[str, ...], tmp_path: Path, dump_bytes: bytes) -> None:
    target = tmp_path / "dump.sql"

    done = cli("export", *there, "-o", str(target))

    assert target.read_bytes() == dump_bytes
    assert f"(proven) is in {target}" in done.out


def test_standard_output_carries_the_bytes_alone(
    cli: Any, there: tuple[str, ...], saved: str, dump_bytes: bytes
) -> None:
    done = cli("export", *there, "--snapshot", saved[:8], "-o", "-")

    assert done.code == 0
    assert done.out.encode() == dump_bytes
    assert "is in standard output" in done.err


@pytest.mark.usefixtures("saved")
def test_standard_output_cannot_carry_two_things(cli: Any, there: tuple[str, ...]) -> None:
    assert cli("export", *there, "-o", "-", "--output", "json").code == 3


@pytest.mark.usefixtures("saved")
def test_a_file_that_exists_is_replaced_by_force_only(
    cli: Any, there: tuple[str, ...], tmp_path: Path, dump_bytes: bytes
) -> None:
    target = tmp_path / "dump.sql"
    target.write_text("mine")

    done = cli("export", *there, "-o", str(target))
    assert done.code == 3
    assert "--force" in done.err
    assert target.read_text() == "mine"

    assert cli("export", *there, "-o", str(target), "--force").code == 0
    assert target.read_bytes() == dump_bytes


@pytest.mark.parametrize("name", ["dump.sql", "dump.sql.gz"])
@pytest.mark.parametrize("existing", [None, b"mine"])
def test_bytes_that_are_not_the_proven_ones_leave_no_file(
    name: str, existing: bytes | None, cli: Any, there: tuple[str, ...], saved: str, tmp_path: Path
) -> None:
    target = tmp_path / name
    if existing is not None:
        target.write_bytes(existing)
    stored = bytearray(cli.repository.files[saved])
    stored[-1] ^= 1
    cli.repository.files[saved] = bytes(stored)

    done = cli("export", *there, "-o", str(target), "--force")

    assert done.code == 22
    assert done.out == ""
    assert names(tmp_path) == ([name] if existing is not None else [])
    if existing is not None:
        assert target.read_bytes() == existing


@pytest.mark.usefixtures("saved")
def test_an_interruption_leaves_no_file(cli: Any, there: tuple[str, ...], tmp_path: Path) -> None:
    def stop(call: str) -> None:
        if call == "read.chunk":
            raise KeyboardInterrupt

    cli.repository.on_call = stop
    target = tmp_path / "dump.sql.gz"

    assert cli("export", *there, "-o", str(target)).code == 130
    assert names(tmp_path) == []


@pytest.mark.usefixtures("saved")
def test_a_dry_run_writes_no_file(cli: Any, there: tuple[str, ...], tmp_path: Path) -> None:
    done = cli("export", *there, "-o", str(tmp_path / "dump"), "--dry-run")

    assert done.code == 0
    assert "Plan: export a snapshot" in done.out
    assert names(tmp_path) == []


@pytest.mark.parametrize("mode", [(), ("--dry-run",)])
@pytest.mark.parametrize("snapshot", ["deadbeef", "yesterday"])
@pytest.mark.usefixtures("saved")
def test_an_unknown_snapshot_leaves_no_file(
    snapshot: str, mode: tuple[str, ...], cli: Any, there: tuple[str, ...], tmp_path: Path
) -> None:
    done = cli("export", *there, "-o", str(tmp_path / "dump"), "--snapshot", snapshot, *mode)

    assert done.code == 3
    assert snapshot in done.err
    assert names(tmp_path) == []


def test_places_that_cannot_hold_the_file_are_refused_first(
    cli: Any, there: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for place in (tmp_path, tmp_path / "none" / "dump", tmp_path / "link"):
        assert cli("export", *there, "-o", str(place), "--force").code == 3
    assert cli("export", *there).code == 3
    assert cli.secrets == []


@pytest.mark.usefixtures("saved")
def test_devices_and_pipes_are_written_to_and_not_replaced(
    cli: Any, there: tuple[str, ...], tmp_path: Path
) -> None:
    assert cli("export", *there, "-o", "/dev/null", "--force").code == 0
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    done = cli("export", *there, "-o", "/dev/full")
    assert done.code == 1
    assert "No space left on device" in done.err


def test_a_name_taken_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "dump"

    def export() -> None:
        with opened(str(target), "r", force=False) as output:
            output.write(memoryview(b"ours"))
            target.write_text("theirs")

    with pytest.raises(InvalidInput, match="exists"):
        export()

    assert target.read_text() == "theirs"
    assert names(tmp_path) == ["dump"]


def test_a_directory_that_vanished_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="No such file"), opened(str(tmp_path / "x" / "y"), "r", force=False):
        pass


def test_a_reader_that_stops_ends_the_export() -> None:
    script = (
        "from hasteward.cli.output_file import opened\n"
        "import sys\n"
        "try:\n"
        "  with opened('-', 'r', force=False) as output:\n"
        "    for _ in range(100): output.write(memoryview(bytes(65536)))\n"
        "except Exception as error:\n"
        "  print(type(error).__name__, error.code, file=sys.stderr)\n"
        "import os; os._exit(0)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b"RunFailed output.closed\n"
