"""The process that holds a lab: the API server and the kubelet, in a world of their own.

It runs as the first process of its own PID namespace: whatever ends it, everything ends with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
import ssl
import sys
from pathlib import Path
from typing import Any

from hasteward_lab.state import LabConfig, StateDir

# A real server promises a pod's token for an hour and takes it for a year.
_YEAR = 365 * 86400


def _reap_for(child: int) -> None:
    """Be PID 1: bury every orphan, and end when the supervisor proper ends."""
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    while True:
        try:
            pid, status = os.wait()
        except InterruptedError:
            continue
        if pid == child:
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _own_world(state: StateDir) -> None:
    """Mount what must vanish with this process."""
    from hasteward_lab.kubelet.network import run

    run("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", str(state.world))
    run("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run")


class _Progress:
    """Lines to whoever started the lab, who may have stopped listening."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def say(self, message: str, **more: Any) -> None:
        line = json.dumps({"message": message, **more}) + "\n"
        with contextlib.suppress(OSError):
            os.write(self._descriptor, line.encode())

    def close(self) -> None:
        os.close(self._descriptor)


async def _serve(state: StateDir, config: LabConfig, listening: int, progress: _Progress) -> None:
    from aiohttp import web

    from hasteward_lab import parts
    from hasteward_lab.api import app
    from hasteward_lab.api.auth import bootstrap
    from hasteward_lab.api.context import ApiContext
    from hasteward_lab.api.crd import install
    from hasteward_lab.api.store import Store
    from hasteward_lab.chaos.server import ChaosServer
    from hasteward_lab.controllers.plane import ControlPlane
    from hasteward_lab.kubeconfig import user
    from hasteward_lab.kubelet.kubelet import Kubelet
    from hasteward_lab.kubelet.network import GATEWAY
    from hasteward_lab.kubelet.volumes import Volumes

    store = Store()
    volumes = Volumes(state.world / "volumes")
    kubelet = Kubelet(store, volumes, state.world / "pods", config.time_scale)
    kubelet.set_up()
    bootstrap.install(store, config.namespace, state.ca.read_text(encoding="ascii"))
    install.install_named(store)
    users = {token: user(identity, config.namespace) for identity, token in config.tokens.items()}
    context = ApiContext(store, kubelet, users, config.lab_token)
    kubelet.issue = lambda namespace, account: context.authenticator.issue(namespace, account, _YEAR, [])[0]
    chaos = ChaosServer(
        store, kubelet, volumes, folder=state.world / "chaos", programs=Path(config.postgres_bin)
    )
    context.extra.update(chaos.endpoints())
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(state.root / "api.crt", state.root / "api.key")
    # A client certificate of the lab's own authority is one way to say who one is.
    tls.load_verify_locations(state.ca)
    tls.verify_mode = ssl.CERT_OPTIONAL
    ControlPlane(store, kubelet, volumes, context.faults, config.time_scale).start()
    runner = web.AppRunner(app.build(context, kubelet), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.SockSite(runner, socket.socket(fileno=listening), ssl_context=tls).start()
    # As pods reach it, by the Service `kubernetes`.
    await web.TCPSite(runner, GATEWAY, 443, ssl_context=tls).start()
    progress.say("the API answers")
    cluster = parts.make(config, store, kubelet, volumes)
    context.extra.update(cluster.endpoints())
    context.webhooks.update(cluster.webhooks())
    await cluster.create(progress.say)
    following = asyncio.create_task(cluster.follow())
    await cluster.settled()
    progress.say("ready", ready=True)
    progress.close()
    await following


async def _lifeline(descriptor: int, state: StateDir) -> None:
    """End the lab when the process that holds the other end is gone."""
    from hasteward_lab.kubelet.network import run

    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    loop.add_reader(descriptor, gone.set)
    await gone.wait()
    # What is mounted cannot be removed; the pods end with this process a moment later.
    run("umount", "--lazy", str(state.world))
    state.remove()
    os._exit(0)


async def _run(state: StateDir, listening: int, progress: _Progress, lifeline: int) -> None:
    config = state.load_config()
    tasks = [asyncio.create_task(_serve(state, config, listening, progress))]
    if lifeline >= 0:
        tasks.append(asyncio.create_task(_lifeline(lifeline, state)))
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


def main(argv: list[str]) -> int:
    """Hold a lab: STATE-FOLDER LISTENING-FD PROGRESS-FD LIFELINE-FD (-1 for none)."""
    state = StateDir(Path(argv[0]))
    listening, progress_fd, lifeline = (int(text) for text in argv[1:4])
    child = os.fork()
    if child:
        for descriptor in {listening, progress_fd, lifeline} - {-1}:
            os.close(descriptor)
        _reap_for(child)
    progress = _Progress(progress_fd)
    try:
        _own_world(state)
        # Many short-lived objects, few cycles: collect rarely.
        gc.set_threshold(50_000)
        asyncio.run(_run(state, listening, progress, lifeline))
    except Exception as error:  # the launcher shows it; the log has the traceback
        progress.say(str(error), failed=True)
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
