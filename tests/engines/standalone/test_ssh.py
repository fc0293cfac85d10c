"""``--via 'ssh HOST'`` through a real SSH server: by content, cut off, and not let in."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import standalone_kit

from hasteward.domain.errors import HastewardError, RunFailed
from hasteward.kit.streaming import stream_mark
from hasteward.ports.host import HostRef

FETCHED = Path(__file__).parents[3] / ".tools" / "sshd" / "sshd"
SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin") or (
    str(FETCHED) if FETCHED.exists() else ""
)
pytestmark = [
    pytest.mark.servers,
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not SSHD, reason="no SSH server: tools/fetch-sshd .tools/sshd"),
    pytest.mark.skipif(not shutil.which("ssh"), reason="no SSH client: apt-get install openssh-client"),
]
SERVER = """
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/key.pub
AuthenticationMethods publickey
StrictModes no
UsePAM no
PidFile none
"""
CLIENT = """
Host box stranger
  HostName 127.0.0.1
  Port {port}
  UserKnownHostsFile {folder}/known
  BatchMode yes
  IdentitiesOnly yes
Host box
  IdentityFile {folder}/key
Host stranger
  IdentityFile {folder}/other
Host shared
  HostName 127.0.0.1
  Port {port}
  UserKnownHostsFile {folder}/known
  BatchMode yes
  IdentityFile {folder}/key
  ControlMaster auto
  ControlPath {folder}/m
  ControlPersist 60
"""


@dataclass
class Ssh:
    """A server of this user's own, and the configuration that finds it."""

    folder: Path
    server: subprocess.Popen[bytes]

    def prefix(self, host: str = "box") -> tuple[str, ...]:
        return ("ssh", "-F", str(self.folder / "client"), host)

    def hang_up(self) -> None:
        """End the connection that is kept for all, if there is one."""
        subprocess.run([*self.prefix("shared"), "-O", "exit"], capture_output=True, check=False)

    def cut(self) -> int:
        """Kill the processes that serve a connection each, and nothing else; how many there were."""
        found = [
            pid
            for pid in below(self.server.pid)
            if (words := standalone_kit.told(pid, "cmdline")).startswith(b"sshd: ")
            and b"[listener]" not in words
        ]
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(found)


def below(pid: int) -> list[int]:
    """The children of a process, their children, and so on."""
    children = [int(child) for child in standalone_kit.told(pid, f"task/{pid}/children").split()]
    return [one for child in children for one in (child, *below(child))]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ssh]:
    folder = tmp_path_factory.mktemp("ssh")
    port = free_port()
    for key in ("host", "key", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
    (folder / "server").write_text(SERVER.format(folder=folder, port=port))
    (folder / "client").write_text(CLIENT.format(folder=folder, port=port))
    (folder / "known").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    words = [SSHD, "-D", "-e", "-f", str(folder / "server")]
    if os.getuid() == 0:  # then it wants an account and a folder that only its package makes
        accounts = Path("/etc/passwd").read_text(encoding="utf-8")
        (folder / "passwd").write_text(f"{accounts}sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n")
        box = ["bwrap", "--die-with-parent", "--dev-bind", "/", "/", "--tmpfs", "/run", "--dir", "/run/sshd"]
        words = [*box, "--ro-bind", str(folder / "passwd"), "/etc/passwd", *words]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(words, stderr=log)
    made = Ssh(folder, server)
    try:
        deadline = time.monotonic() + 60
        while subprocess.run([*made.prefix(), "true"], capture_output=True, check=False).returncode:
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        yield made
    finally:
        made.hang_up()
        server.terminate()
        server.wait()


def through(steward: Any, *prefix: str) -> Any:
    """The same hasteward, on the far side."""
    steward.via = HostRef((*prefix, *steward.via.prefix))
    return steward


@pytest.mark.parametrize("host", ["box", "shared"])
def test_a_mariadb_comes_back_by_content_also_over_one_shared_connection(
    shop: Any, steward: Any, ssh: Ssh, host: str
) -> None:
    far = through(steward, *ssh.prefix(host))
    before = shop.content("shop", "we-ird `x")
    far.backup()
    shop.sql(
        "UPDATE customer SET name = 'spoilt' WHERE id = 1; DROP VIEW a_second; CREATE TABLE later (n INT)",
        "shop",
    )
    spoilt = shop.content("shop", "we-ird `x")

    far.restore()

    assert shop.content("shop", "we-ird `x") == before != spoilt
    far.undo(far.last)
    assert shop.content("shop", "we-ird `x") == spoilt


def test_a_postgresql_comes_back_by_content(app: Any, keeper: Any, ssh: Ssh) -> None:
    far = through(keeper, *ssh.prefix("shared"))
    before = app.content("app")
    far.backup()
    app.psql("DELETE FROM t; CREATE TABLE later (n int)", "app")

    far.restore("app")

    assert app.content("app") == before


def test_a_connection_that_is_cut_makes_no_backup_and_leaves_no_process_there(
    shop: Any, steward: Any, ssh: Ssh
) -> None:
    """Not the client's death, which ends its input in order: the server's, as when a line goes dead."""
    shop.sql("CREATE TABLE slow AS SELECT REPEAT('x', 1000) AS v FROM seq_1_to_20000", "shop")
    far = through(steward, *ssh.prefix())
    ssh.hang_up()  # whatever is served now is served to us
    cut = []

    def cut_once(call: str) -> None:
        if call == "save.write" and not cut:
            cut.extend([call] * ssh.cut())

    far.repository.on_call = cut_once
    with pytest.raises(HastewardError) as lost:
        far.backup()
    far.repository.on_call = lambda _call: None

    assert cut
    assert lost.value.code.startswith("stream.") or isinstance(lost.value, RunFailed)
    assert far.repository.listed == []
    deadline = time.monotonic() + 30
    while left := standalone_kit.running(stream_mark(far.via)):
        assert time.monotonic() < deadline, left
        time.sleep(0.2)
    far.backup()


def test_a_key_that_is_not_let_in_is_one_clear_error(shop: Any, steward: Any, ssh: Ssh) -> None:
    far = through(steward, *ssh.prefix("stranger"))

    with pytest.raises(HastewardError, match="Permission denied") as refused:
        far.backup()

    assert standalone_kit.PASSWORD not in refused.value.message
    assert far.repository.listed == []
    assert isinstance(refused.value, RunFailed)
