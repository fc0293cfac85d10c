"""Twelve ways to lose a stream, on real servers: no bad snapshot, a documented exit, one clear message."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.servers


@pytest.fixture(autouse=True)
def no_faults_afterwards(lab: Any) -> Iterator[None]:
    yield
    lab.clear_faults()


def assert_no_backup_and_one_clear_error(
    tool: Any, done: subprocess.CompletedProcess[str], exit_code: int
) -> str:
    error = assert_one_clear_error(done, exit_code)
    assert tool.stored("snapshots") == []
    return error


def assert_one_clear_error(done: subprocess.CompletedProcess[str], exit_code: int) -> str:
    assert done.returncode == exit_code, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return errors[0]


#: the content of database app, and nothing else that is read from it
DUMP = {"command": "pg_dump --no-owner --no-privileges -d dbname='app'"}
STREAM_FAULTS: dict[str, tuple[dict[str, Any], int]] = {
    "cut at the first byte": ({"kind": "cut", "after": 1}, 22),
    "cut in the middle": ({"kind": "cut", "after": 3_000_000}, 22),
    "stall in the middle": ({"kind": "stall", "after": 3_000_000}, 22),
    "false Success with truncated data": ({"kind": "false-success", "after": 3_000_000}, 22),
    "no Status": ({"kind": "no-status"}, 22),
    "one byte flipped": ({"kind": "flip", "after": 3_000_000}, 22),
}


#: every byte and every loss is swept on fakes; these prove it on real servers each time, the rest at length
QUICK = ("cut at the first byte", "stall in the middle", "false Success with truncated data", "no Status")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in STREAM_FAULTS]
)
def test_a_lost_stream_makes_no_backup(
    name: str, lab: Any, hasteward: Any, where: tuple[str, ...], nothing_left: Callable[[Any], None]
) -> None:
    fault, exit_code = STREAM_FAULTS[name]
    lab.add_fault(**DUMP, **fault)

    done = hasteward("backup", *where, "--stall-timeout", "3")

    assert_no_backup_and_one_clear_error(hasteward, done, exit_code)
    lab.clear_faults()
    if fault["kind"] == "false-success":
        # a runtime that died leaves the process waiting; the next run ends it
        assert hasteward("backup", *where).returncode == 0
    nothing_left(hasteward)


def test_a_cut_at_the_last_byte_makes_no_backup(lab: Any, hasteward: Any, where: tuple[str, ...]) -> None:
    first = hasteward.json("backup", *where)
    listed = subprocess.run(
        ["restic", "dump", first["manifest"], f"/{first['path']}.manifest.json"],
        env=hasteward.environment | {"RESTIC_REPOSITORY": hasteward.environment["HASTEWARD_BACKUPS_PATH"]},
        capture_output=True,
        check=True,
    )
    sections = json.loads(listed.stdout)["sections"]
    whole = next(s["length"] for s in sections if (s["kind"], s["name"]) == ("database", "app"))
    trailer = 114
    lab.add_fault(kind="cut", **DUMP, after=whole + trailer - 1)

    done = hasteward("backup", *where)

    assert done.returncode == 22, done.stderr
    assert [entry["id"] for entry in hasteward.backups()] == [first["snapshot"]]


def dumping_member(lab: Any, *, timeout: float = 20) -> str:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        for pod in lab.pods:
            if any(line.startswith("pg_dump") and "app" in line for line in lab.processes(pod)):
                return str(pod)
        time.sleep(0.01)
    raise AssertionError("no pg_dump was seen")


def test_a_pod_deleted_in_mid_dump_makes_no_backup(lab: Any, hasteward: Any, where: tuple[str, ...]) -> None:
    lab.add_fault(kind="stall", **DUMP, after=1_000_000)
    process = hasteward.start("backup", *where, "--stall-timeout", "6")
    member = dumping_member(lab)
    time.sleep(0.5)
    lab.delete_pod(member, grace=0)
    out, err = process.communicate(timeout=60)

    done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
    assert done.returncode in {1, 22}, err
    assert_no_backup_and_one_clear_error(hasteward, done, done.returncode)
    lab.clear_faults()
    lab.wait_ready()


def test_a_dump_that_exits_with_1_makes_no_backup(lab: Any, hasteward: Any, where: tuple[str, ...]) -> None:
    stop = threading.Event()

    def end_the_dump(pod: str) -> None:
        sql = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE 'hasteward%' AND datname = 'app' AND query LIKE '%COPY%'"
        )
        # in one session: a new one for every look would be slower than the dump
        look = f"PERFORM pg_stat_clear_snapshot(), count(*) FROM ({sql}) t; PERFORM pg_sleep(0.002);"
        while not stop.is_set():
            lab.psql(pod, f"DO $$ BEGIN FOR i IN 1..500 LOOP {look} END LOOP; END $$")

    threads = [threading.Thread(target=end_the_dump, args=(pod,)) for pod in lab.pods]
    for thread in threads:
        thread.start()
    try:
        done = hasteward("backup", *where)
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    message = assert_no_backup_and_one_clear_error(hasteward, done, 1)
    assert "exited with 1" in message


def test_restic_killed_in_mid_dump_makes_no_backup_and_no_hang(
    lab: Any, hasteward: Any, where: tuple[str, ...], nothing_left: Callable[[Any], None]
) -> None:
    lab.add_fault(kind="stall", **DUMP, after=2_000_000)
    process = hasteward.start("backup", *where, "--stall-timeout", "20")
    dumping_member(lab)
    deadline = time.monotonic() + 10
    killed = False
    while not killed and time.monotonic() < deadline:
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                ours = str(hasteward.folder).encode() in (entry / "environ").read_bytes()
            except OSError:
                continue
            if ours and words[0].endswith(b"restic") and b"backup" in words:
                os.kill(int(entry.name), 9)
                killed = True
    assert killed
    lab.clear_faults()
    out, err = process.communicate(timeout=60)

    done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
    assert done.returncode in {1, 4, 22}, err
    assert_no_backup_and_one_clear_error(hasteward, done, done.returncode)
    nothing_left(hasteward)


def test_a_full_repository_makes_no_backup(
    lab: Any, make_hasteward: Callable[[], Any], where: tuple[str, ...], tmp_path: Path
) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)], check=True)
    try:
        tool = make_hasteward()
        tool.environment["HASTEWARD_BACKUPS_PATH"] = str(mount / "repository")
        assert tool("init").returncode == 0

        done = tool("backup", *where)

        assert done.returncode in {1, 4}, done.stderr
        assert_one_clear_error(done, done.returncode)
        # the manifest may have found room; alone it is no backup
        assert tool.backups() == []
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_a_wrong_password_touches_nothing(
    lab: Any, hasteward: Any, where: tuple[str, ...], tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong")
    lab.clear_audit()

    done = hasteward("backup", *where, RESTIC_PASSWORD_FILE=str(wrong))

    assert_no_backup_and_one_clear_error(hasteward, done, 12)
    assert [call for call in lab.audit() if call["subresource"] == "exec"] == []


def test_a_helper_with_two_hundred_descriptors_open_still_commits(
    lab: Any, hasteward: Any, where: tuple[str, ...]
) -> None:
    script = (
        "import os, sys\n"
        "held = [os.dup(2) for _ in range(200)]\n"
        "[os.set_inheritable(fd, True) for fd in held]\n"
        "from hasteward.cli.main import main\n"
        f"sys.argv = ['hasteward', 'backup', *{where!r}]\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=hasteward.environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert [entry["proven"] for entry in hasteward.backups()] == [True]
