"""Directories: saved as tar with proof, brought back beside what is there, moved in; and death anywhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import standalone_kit

from hasteward.domain.errors import InvalidInput, Refused, RunFailed, Unproven
from hasteward_standalone.restore import files


def picture(folder: Path) -> dict[str, tuple[Any, ...]]:
    """Everything below a folder but what is ours: kind, mode, owner, time, content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if name.startswith(".hasteward-"):
            continue
        stat = path.lstat()
        facts = (oct(stat.st_mode), stat.st_uid, stat.st_gid, stat.st_nlink)
        if path.is_symlink():
            found[name] = (*facts, str(path.readlink()))
        elif path.is_dir():
            found[name] = facts[:3]
        else:
            found[name] = (*facts, int(stat.st_mtime), path.read_bytes())
    return found


@pytest.fixture
def data() -> Iterator[Path]:
    # in memory: a restore flushes what it moves, and a busy disk takes its time for that
    memory = Path("/dev/shm")
    root = Path(tempfile.mkdtemp(prefix="hsf-", dir=memory if os.access(memory, os.W_OK) else "/tmp"))
    fill(root / "da ta")
    yield root / "da ta"
    shutil.rmtree(root)


def fill(folder: Path) -> None:
    (folder / "sub" / "empty").mkdir(parents=True)
    (folder / "plain").write_bytes(bytes(range(256)) * 500)
    (folder / ".hidden").write_text("seen")
    (folder / "..odd").write_text("too")
    (folder / "-rf").write_text("a name like an option")
    (folder / "new\nline").write_text("x")
    (folder / "sub" / "run").write_text("#!/bin/sh\n")
    (folder / "sub" / "run").chmod(0o4750)
    (folder / "link").symlink_to("sub/run")
    (folder / "twin").hardlink_to(folder / "plain")


@pytest.fixture
def keeper(tmp_path: Path, data: Path) -> Any:
    host = standalone_kit.local(tmp_path / "locks")
    options = {"db_type": "files", "path": (str(data),)}
    return standalone_kit.Steward(host, standalone_kit.HostRef(), options)


def spoil(data: Path) -> None:
    (data / "plain").write_text("spoilt")
    (data / ".hidden").unlink()
    (data / "later").write_text("since then")


def test_a_directory_comes_back_with_modes_links_and_odd_names(keeper: Any, data: Path) -> None:
    before = picture(data)
    result = keeper.backup()
    spoil(data)
    spoilt = picture(data)
    done = keeper.restore()
    old = Path(done.outcome.kept[0])
    assert picture(data) == before != spoilt
    assert (old.name, picture(old)) == (".hasteward-old-20260102T030605Z", spoilt)
    assert result.path == "here/shop-db/files.tar"
    assert done.outcome.restored == (str(data),)
    again = keeper.backup()
    assert again.size == result.size


def test_without_keep_old_only_the_restored_files_are_there(keeper: Any, data: Path) -> None:
    before = picture(data)
    keeper.backup()
    spoil(data)
    keeper.restore(keep_old=False)
    assert picture(data) == before
    assert [path.name for path in data.glob(".hasteward-*")] == []


def test_a_dry_run_touches_nothing(keeper: Any, data: Path) -> None:
    keeper.backup()
    spoil(data)
    before = picture(data)
    keeper.approval.answer = False
    assert keeper.restore().dry_run
    assert (picture(data), list(data.glob(".hasteward-*"))) == (before, [])
    assert keeper.approval.plans[-1].gives_up == (
        f"what {data} holds now (kept in .hasteward-old-20260102T030605Z)",
    )


def test_dying_at_any_command_leaves_old_or_new_files(keeper: Any, data: Path) -> None:
    good = picture(data)
    keeper.backup()
    alive = keeper.host
    keeper.host = counted = standalone_kit.DyingHost(alive, 0, done=False)
    keeper.restore(keep_old=False)
    found = set()
    for at in range(1, counted.calls + 1):
        for done in (False, True):
            for entry in list(data.glob("*")) + list(data.glob(".[!.]*")) + list(data.glob("..?*")):
                subprocess.run(["rm", "-rf", "--", str(entry)], check=True)
            keeper.host = alive
            keeper.restore(keep_old=False)
            spoil(data)
            spoilt = picture(data)
            keeper.host = standalone_kit.DyingHost(alive, at, done=done)
            with pytest.raises(standalone_kit.Death):
                keeper.restore(keep_old=False)
            now = picture(data)
            assert now in (good, spoilt), (at, done)
            found.add(now == good)
            keeper.host = alive
            keeper.restore(keep_old=False)
            assert picture(data) == good
            assert not list(data.glob(".hasteward-new-*"))
    assert found == {True, False}


@pytest.mark.parametrize(("way", "expected"), [("out", "spoilt"), ("in", "good")])
def test_a_move_that_stopped_in_the_middle_is_finished_or_taken_back(
    keeper: Any, data: Path, way: str, expected: str
) -> None:
    """Between two renames: the marker says where every entry belongs."""
    good = picture(data)
    keeper.backup()
    spoil(data)
    spoilt = picture(data)
    old, new = data / ".hasteward-old-J", data / ".hasteward-new-J"
    done = keeper.restore()
    kept = Path(done.outcome.kept[0])
    (kept / ".hasteward-run").unlink()
    if way == "out":  # some of the old entries are still where they were
        new.mkdir()
        subprocess.run(
            ["rm", "-rf", *(str(data / n) for n in good if "/" not in n and n[0] != "-")], check=True
        )
        (data / "-rf").unlink()
        kept.rename(old)
        (old / "later").rename(data / "later")
        (old / "sub").rename(data / "sub")
    else:  # some of the new ones have not arrived
        kept.rename(old)
        new.mkdir()
        (data / "sub").rename(new / "sub")
        (data / "-rf").rename(new / "-rf")
    (data / ".hasteward-swap").write_text(f"{way} {new.name} {old.name} feed restore\n")
    with pytest.raises(Refused, match="was interrupted while it moved entries"):
        keeper.backup()
    keeper.approval.answer = True
    files.mend(keeper.context(), keeper.via, [str(data)])
    assert picture(data) == (spoilt if expected == "spoilt" else good)
    assert not (data / ".hasteward-swap").exists()


def test_bytes_that_are_not_the_proven_ones_are_never_moved_in(keeper: Any, data: Path) -> None:
    result = keeper.backup()
    spoil(data)
    before = picture(data)
    stored = bytearray(keeper.repository.files[result.snapshot])
    stored[5000] ^= 1
    keeper.repository.files[result.snapshot] = bytes(stored)
    with pytest.raises(Unproven):
        keeper.restore()
    assert (picture(data), list(data.glob(".hasteward-*"))) == (before, [])


def test_what_cannot_be_is_refused_by_name(keeper: Any, data: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="there is no directory /nowhere/at/all"):
        keeper.backup(path=("/nowhere/at/all",))
    (tmp_path / "void" / ".hasteward-old-J").mkdir(parents=True)
    with pytest.raises(Refused, match=r"void in this host is empty: .* would hide what was lost"):
        keeper.backup(path=(str(tmp_path / "void"),))
    with pytest.raises(InvalidInput, match="needs at least one --path"):
        keeper.backup(path=())
    with pytest.raises(InvalidInput, match="is not the plain absolute path"):
        keeper.backup(path=("/tmp/../etc",))
    with pytest.raises(InvalidInput, match="lies in"):
        keeper.backup(path=(str(data.parent), str(data)))
    with pytest.raises(InvalidInput, match="--path is for --db-type files"):
        keeper.backup(db_type="mysql")
    with pytest.raises(InvalidInput, match="--db-type is required"):
        keeper.backup(db_type=None)
    keeper.backup()
    (tmp_path / "other").mkdir()
    with pytest.raises(InvalidInput, match=r"the snapshot has no directory .*other"):
        keeper.restore(path=(str(tmp_path / "other"),))


def test_l8labs_a_directory_with_nothing_in_it_makes_no_backup(keeper: Any, tmp_path: Path) -> None:
    """`tar` ends well with an archive of no file; nightly runs had recorded it as a success of size 0."""
    (tmp_path / "void").mkdir()
    with pytest.raises(Refused, match="is empty"):
        keeper.backup(path=(str(tmp_path / "void"),))
    assert keeper.repository.listed == []


def test_a_file_that_grows_while_it_is_read_fails_the_dump(keeper: Any, data: Path, tmp_path: Path) -> None:
    """By a tar that says so: GNU's own words and status."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "tar").write_text(
        '#!/bin/sh\nPATH=${PATH#*:}\ntar "$@"\necho "tar: ./plain: file changed as we read it" >&2\nexit 1\n'
    )
    (tools / "tar").chmod(0o755)
    keeper.via = standalone_kit.HostRef(("sh", "-c", f'PATH={tools}:$PATH; exec "$@"', "sh"))
    with pytest.raises(RunFailed, match="file changed as we read it") as caught:
        keeper.backup()
    assert caught.value.hint.startswith("stop what writes there")
    assert [one for one in keeper.repository.listed if one.tags.type == "backup"] == []
