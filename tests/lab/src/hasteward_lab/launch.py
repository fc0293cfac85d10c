"""Starts and ends the supervisor of a lab from outside its world."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hasteward_lab import programs
from hasteward_lab.kubeconfig import IDENTITIES, render
from hasteward_lab.kubelet.network import GATEWAY
from hasteward_lab.pki import Authority
from hasteward_lab.state import LabConfig, LabError, Process, StateDir, start_time

Say = Callable[[str], None]

_ENDS_WITHIN = 10.0


@dataclass(frozen=True)
class Wish:
    """What the caller wants a lab to be."""

    members: int = 3
    namespace: str = "db"
    cluster: str = "pg"
    volume_size: str = "1Gi"
    postgres_bin: str | None = None
    fsync: bool = False
    time_scale: float = 0.1
    level: str = "1.30"
    spec: dict[str, Any] = field(default_factory=dict)


def up(state: StateDir, wish: Wish, say: Say, *, lifeline: int = -1) -> None:
    """Start a lab and return when all its members are ready; on failure nothing is left."""
    programs.check()
    binaries = programs.postgres_bin(wish.postgres_bin)
    if not 1 <= wish.members <= 9:
        raise LabError("a lab has 1 to 9 members")
    state.create()
    try:
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
            _write_files(state, wish, binaries, listening.getsockname()[1])
            _start(state, listening.fileno(), lifeline, say)
    except BaseException:
        down(state)
        raise


def _write_files(state: StateDir, wish: Wish, binaries: str, port: int) -> None:
    authority = Authority(f"hasteward-lab-{state.name}")
    inside = [f"kubernetes{end}" for end in ("", ".default", ".default.svc", ".default.svc.cluster.local")]
    server = authority.issue("kube-apiserver", ("127.0.0.1", "localhost", GATEWAY, *inside))
    state.write("ca.crt", authority.pair.certificate)
    state.write("api.crt", server.certificate)
    state.write("api.key", server.key)
    tokens = {identity: secrets.token_urlsafe(24) for identity in IDENTITIES}
    config = LabConfig(
        name=state.name,
        namespace=wish.namespace,
        cluster=wish.cluster,
        members=wish.members,
        volume_size=wish.volume_size,
        postgres_bin=binaries,
        fsync=wish.fsync,
        time_scale=wish.time_scale,
        level=wish.level,
        spec=wish.spec,
        port=port,
        tokens=tokens,
        lab_token=secrets.token_urlsafe(24),
    )
    state.save_config(config)
    client = authority.issue("lab-certificate", groups=("system:masters",))
    text = render(f"lab-{state.name}", port, authority.pair.certificate, tokens, wish.namespace, client)
    state.write("kubeconfig", text)


def _start(state: StateDir, listening: int, lifeline: int, say: Say) -> None:
    reading, writing = os.pipe()
    handed = [descriptor for descriptor in (listening, writing, lifeline) if descriptor >= 0]
    module = [sys.executable, "-m", "hasteward_lab.supervisor"]
    argv = [*programs.unshare(), "--", *module, str(state.root), *map(str, (listening, writing, lifeline))]
    try:
        with state.log.open("ab") as log:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=handed,
                cwd="/",
                start_new_session=True,
            )
    finally:
        os.close(writing)
    # The lab outlives this process on purpose; `down` finds it by number and start time.
    process.returncode = 0
    state.save_process(Process(process.pid, start_time(process.pid) or ""))
    with os.fdopen(reading, encoding="utf-8") as lines:
        for line in lines:
            said = json.loads(line)
            if said.get("ready"):
                return
            if said.get("failed"):
                raise LabError(f"the lab did not come up: {said['message']}")
            say(said["message"])
    tail = state.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    raise LabError(f"the lab ended while it came up: {' '.join(tail)}")


def down(state: StateDir) -> None:
    """End a lab: no process, no mount and no file of it is left, in whatever state it was."""
    process = state.load_process()
    if process and process.alive():
        _end(process)
    with contextlib.suppress(ChildProcessError):
        if process:
            os.waitpid(process.pid, os.WNOHANG)
    state.remove()


def _end(process: Process) -> None:
    """Kill the world's first process and wait till the kernel has buried all others."""
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    with contextlib.suppress(OSError):
        for child in map(int, path.read_text(encoding="ascii").split()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
    deadline = time.monotonic() + _ENDS_WITHIN
    while process.alive():
        if time.monotonic() > deadline:
            os.kill(process.pid, signal.SIGKILL)
            return
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)
        time.sleep(0.02)
