"""``--via 'podman exec -i NAME'`` into a real container, whose server nothing outside of it runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import standalone_kit

from hasteward.kit.streaming import stream_mark
from hasteward.ports.host import HostRef
from hasteward.testing.faults import Killed

pytestmark = [
    pytest.mark.servers,
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not shutil.which("podman"), reason="no podman: apt-get install podman"),
]
CONTENT = Path(__file__).with_name("content.sql")
BOTH = ("shop", "we-ird `x")


def run_words(name: str, folder: Path) -> tuple[str, ...]:
    """A container out of this machine's own programs: no image, no registry."""
    root = folder / "root"
    for part in ("usr", "etc", "dev", "proc", "sys", "tmp", "run"):
        (root / part).mkdir(parents=True)
    for link in ("bin", "lib", "lib64", "sbin"):
        (root / link).symlink_to(f"usr/{link}")
    mounts = ["-v", "/usr:/usr:ro", "-v", "/etc:/etc:ro", "-v", f"{folder}:{folder}", "--tmpfs", "/tmp"]
    return ("podman", "run", "--name", name, "--network", "host", *mounts, "--rootfs", str(root))


@pytest.fixture(scope="module")
def contained() -> Iterator[Any]:
    name, folder = f"hasteward-test-{os.getpid()}", Path(tempfile.mkdtemp(prefix="hsp-", dir="/tmp"))
    words = run_words(name, folder)
    tried = subprocess.run([*words, "true"], capture_output=True, text=True, check=False, timeout=120)
    subprocess.run(["podman", "rm", "-f", name], capture_output=True, check=False, timeout=60)
    if tried.returncode != 0:
        shutil.rmtree(folder)
        pytest.skip(f"podman can run no container here: {tried.stderr.strip()[-200:]}")
    server = standalone_kit.MariaDB(folder, box=words)
    try:
        server.start()
        word = standalone_kit.PASSWORD.replace("\\", "\\\\").replace("'", "''")
        server.sql(f"ALTER USER root@localhost IDENTIFIED BY '{word}'", password="")
        server.sql(CONTENT.read_text(encoding="utf-8"))
        yield server
    finally:
        subprocess.run(["podman", "rm", "-f", name], capture_output=True, check=False, timeout=60)
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture
def far(contained: Any, tmp_path: Path) -> Any:
    """hasteward on that container, started as the documentation says."""
    (tmp_path / "secret").write_text(standalone_kit.PASSWORD)
    name = contained.box[contained.box.index("--name") + 1]
    return standalone_kit.Steward(
        standalone_kit.local(tmp_path / "locks"),
        HostRef(("podman", "exec", "-i", name, *contained.prefix)),
        {"db_type": "mariadb", "secret_file": str(tmp_path / "secret")},
    )


def test_a_mariadb_in_a_container_comes_back_by_content(contained: Any, far: Any) -> None:
    before = contained.content(*BOTH)
    far.backup()
    contained.sql("UPDATE customer SET name = 'spoilt' WHERE id = 1; DROP VIEW a_second", "shop")
    spoilt = contained.content(*BOTH)

    far.restore()

    assert contained.content(*BOTH) == before != spoilt
    far.undo(far.last)
    assert contained.content(*BOTH) == spoilt
    far.restore(keep_old=False)
    assert contained.content(*BOTH) == before


def test_a_run_that_dies_in_a_dump_leaves_no_process_in_the_container(contained: Any, far: Any) -> None:
    contained.sql("CREATE TABLE slow AS SELECT REPEAT('x', 1000) AS v FROM seq_1_to_20000", "shop")
    died = []

    def die(call: str) -> None:
        died.append(call)
        if "save.write" in died:
            raise Killed

    far.repository.on_call = die
    with pytest.raises(Killed):
        far.backup()
    far.repository.on_call = lambda _call: None

    assert far.repository.listed == []
    deadline = time.monotonic() + 30
    while left := standalone_kit.running(stream_mark(far.via)):
        assert time.monotonic() < deadline, left
        time.sleep(0.2)
    far.backup()
