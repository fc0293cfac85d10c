"""``--via 'podman exec -i NAME'`` and ``docker``: a server that runs in a container."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import standalone_kit

from hasteward.kit.streaming import stream_mark
from hasteward.ports.host import HostRef
from hasteward.testing.faults import Killed

pytestmark = [pytest.mark.servers, pytest.mark.long, pytest.mark.timeout(600)]
CONTENT = Path(__file__).with_name("content.sql")
DOCKER = Path(__file__).parents[3] / ".tools" / "docker"
BOTH = ("shop", "we-ird `x")
NAME = f"hasteward-test-{os.getpid()}"


def make_root(folder: Path) -> Path:
    """What a container needs to use this machine's own programs: no image of anybody, no registry."""
    root = folder / "root"
    for part in ("usr", "etc", "dev", "proc", "sys", "tmp", "run"):
        (root / part).mkdir(parents=True)
    for link in ("bin", "lib", "lib64", "sbin"):
        (root / link).symlink_to(f"usr/{link}")
    return root


def run_options(folder: Path) -> tuple[str, ...]:
    """How it is run; with limits that nobody has to be raised to, which root may not do everywhere."""
    mounts = ["-v", "/usr:/usr:ro", "-v", "/etc:/etc:ro", "-v", f"{folder}:{folder}", "--tmpfs", "/tmp"]
    limits = ["--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096"]
    return ("--name", NAME, "--network", "host", *limits, *mounts)


@contextmanager
def podman(folder: Path) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The words before everything, and those at the end of `run`."""
    if not shutil.which("podman"):
        pytest.skip("no podman: apt-get install podman runc")
    yield ("podman",), ("--rootfs", str(make_root(folder)))


@contextmanager
def docker(folder: Path) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """A daemon of its own, in a mount namespace of its own, that touches no network and no image."""
    if not (DOCKER / "dockerd").exists():
        pytest.skip("no Docker: tools/fetch-docker .tools/docker")
    if os.getuid() != 0:
        pytest.skip("Docker's daemon takes root")
    words = ["unshare", "--mount", "dockerd", "-H", f"unix://{folder}/d", "--storage-driver=vfs"]
    words += ["--bridge=none", "--iptables=false", "--ip6tables=false", f"--data-root={folder}/images"]
    words += [f"--exec-root={folder}/exec", f"--pidfile={folder}/pid"]
    path = {"PATH": f"{DOCKER}:{os.environ['PATH']}", "LD_LIBRARY_PATH": str(DOCKER)}
    with (folder / "daemon").open("wb") as log:
        daemon = subprocess.Popen(words, stdout=log, stderr=log, env=dict(os.environ) | path)
    client = (str(DOCKER / "docker"), "-H", f"unix://{folder}/d")
    try:
        deadline = time.monotonic() + 60
        while not plain(*client, "version"):
            if daemon.poll() is not None or time.monotonic() > deadline:
                pytest.skip(f"dockerd does not run here: {(folder / 'daemon').read_text()[-300:]}")
            time.sleep(0.2)
        archive = subprocess.Popen(["tar", "-C", make_root(folder), "-c", "."], stdout=subprocess.PIPE)
        subprocess.run([*client, "import", "-", "nothing:1"], stdin=archive.stdout, check=True, timeout=60)
        archive.communicate()
        yield client, ("nothing:1",)
    finally:
        daemon.terminate()
        daemon.wait(timeout=60)


def plain(*words: str) -> bool:
    """Whether it succeeds."""
    return subprocess.run(words, capture_output=True, check=False, timeout=60).returncode == 0


@pytest.fixture(scope="module", params=[podman, docker], ids=["podman", "docker"])
def contained(request: pytest.FixtureRequest) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """The server, and the words that run something beside it."""
    folder = Path(tempfile.mkdtemp(prefix="hsp-", dir="/tmp"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        client, image = stack.enter_context(request.param(folder))
        words = (*client, "run", *run_options(folder), *image)
        tried = subprocess.run([*words, "true"], capture_output=True, text=True, check=False, timeout=120)
        plain(*client, "rm", "-f", NAME)
        if tried.returncode != 0:
            pytest.skip(f"{client[0]} can run no container here: {tried.stderr.strip()[-200:]}")
        server = standalone_kit.MariaDB(folder, box=words)
        stack.callback(server.stop)
        stack.callback(plain, *client, "rm", "-f", NAME)
        server.start()
        word = standalone_kit.PASSWORD.replace("\\", "\\\\").replace("'", "''")
        server.sql(f"ALTER USER root@localhost IDENTIFIED BY '{word}'", password="")
        server.sql(CONTENT.read_text(encoding="utf-8"))
        yield server, (*client, "exec", "-i", NAME)


@pytest.fixture
def server(contained: tuple[Any, tuple[str, ...]]) -> Any:
    return contained[0]


@pytest.fixture
def far(contained: tuple[Any, tuple[str, ...]], tmp_path: Path) -> Any:
    """hasteward on that container, started as the documentation says."""
    (tmp_path / "secret").write_text(standalone_kit.PASSWORD)
    server, inside = contained
    return standalone_kit.Steward(
        standalone_kit.local(tmp_path / "locks"),
        HostRef((*inside, *server.prefix)),
        {"db_type": "mariadb", "secret_file": str(tmp_path / "secret")},
    )


def test_a_mariadb_in_a_container_comes_back_by_content(server: Any, far: Any) -> None:
    before = server.content(*BOTH)
    far.backup()
    server.sql("UPDATE customer SET name = 'spoilt' WHERE id = 1; DROP VIEW a_second", "shop")
    spoilt = server.content(*BOTH)

    far.restore()

    assert server.content(*BOTH) == before != spoilt
    far.undo(far.last)
    assert server.content(*BOTH) == spoilt
    far.restore(keep_old=False)
    assert server.content(*BOTH) == before


def test_a_run_that_dies_in_a_dump_leaves_no_process_in_the_container(server: Any, far: Any) -> None:
    server.sql("CREATE TABLE slow AS SELECT REPEAT('x', 1000) AS v FROM seq_1_to_20000", "shop")
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
