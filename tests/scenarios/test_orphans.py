"""A stream that a dead run left in a pod is ended by the next run, and nobody else's."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from hasteward.adapters.kubernetes.configuration import load
from hasteward.adapters.kubernetes.rest import KubernetesApi
from hasteward.adapters.system import SystemClock
from hasteward.kit.orphans import end_orphans
from hasteward.kit.streaming import stream_mark
from hasteward.ports.context import EngineContext, Run
from hasteward.ports.kubernetes import PodRef
from hasteward.streams.wrapper import READ_MARK, download_argv
from hasteward.testing.reporter import Approval, RecordingReporter

pytestmark = pytest.mark.servers
POD = "pg-3"


def wait_for(lab: Any, needle: str, *, present: bool) -> None:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if any(needle in line for line in lab.processes(POD)) is present:
            return
        time.sleep(0.05)
    raise AssertionError(f"{needle!r} present: {not present}")


def test_orphans_of_other_runs_are_ended_and_nothing_else(lab: Any) -> None:
    api = KubernetesApi(load(lab.kubeconfig).configuration)
    run = Run("a" * 16, datetime.now(UTC))
    context = EngineContext(api, SystemClock(), RecordingReporter(), run, Approval())
    pod = PodRef("db", POD, "postgres")
    ours = stream_mark(pod)
    other = stream_mark(PodRef("db", "other-1", "postgres"))
    streams = {"dead": ours, "a" * 16: ours, "reader": READ_MARK, "elsewhere": other}
    stop = threading.Event()

    def hold(run_id: str, mark: str) -> None:
        argv = download_argv(["sleep", "61"], run=run_id, nonce="0" * 32, mark=mark)
        with api.exec(pod, argv, stdin=True, stall_seconds=60):
            stop.wait(20)

    threads = [threading.Thread(target=hold, args=pair) for pair in streams.items()]
    for thread in threads:
        thread.start()
    try:
        for run_id, mark in streams.items():
            wait_for(lab, f"{mark}:{run_id}", present=True)

        assert end_orphans(context, pod) == ["dead"]

        wait_for(lab, f"{ours}:dead", present=False)
        for run_id in ("a" * 16, "reader", "elsewhere"):
            wait_for(lab, f"{streams[run_id]}:{run_id}", present=True)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    wait_for(lab, "hasteward-", present=False)
    assert not any("sleep 61" in line for line in lab.processes(POD))
