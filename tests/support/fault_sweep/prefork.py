"""Runs the command line in forks of one process that has loaded it already: 40 runs for the imports of one.

Reads one JSON document per line: `argv`, `environment`, `folder`, `out`, `err` and perhaps `clock` start a
run and are answered with its pid; `wait` is answered with the exit status (negative for a signal). Every run
is a process of its own, with the real `main`.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def preload() -> None:
    import kubernetes.client
    import kubernetes.config

    import hasteward.adapters.kubernetes.configuration
    import hasteward.adapters.kubernetes.exec
    import hasteward.adapters.kubernetes.rest
    import hasteward.adapters.restic.repository
    import hasteward.cli.main
    from hasteward.plugins import installed_entry_points, load

    assert load(installed_entry_points()).engines
    assert kubernetes.client
    hasteward.cli.main.main(["version"])


def jump(how: dict[str, Any]) -> None:
    """Let this process's clocks jump when it starts the exec that `match` is part of."""
    from datetime import timedelta

    from hasteward.adapters.kubernetes.rest import KubernetesApi
    from hasteward.adapters.system import SystemClock

    now, monotonic, start = SystemClock.now, SystemClock.monotonic, KubernetesApi.exec
    jumped = {"wall": timedelta(), "asleep": 0.0}

    def exec_(self: Any, pod: Any, argv: Any, **more: Any) -> Any:
        if how["match"] in " ".join(argv):
            jumped["wall"] = timedelta(seconds=how["seconds"])
            jumped["asleep"] = float(how["seconds"]) if how["asleep"] else 0.0
        return start(self, pod, argv, **more)

    KubernetesApi.exec = exec_  # type: ignore[method-assign]
    SystemClock.now = lambda self: now(self) + jumped["wall"]  # type: ignore[method-assign]
    SystemClock.monotonic = lambda self: monotonic(self) + jumped["asleep"]  # type: ignore[method-assign]


def child(asked: dict[str, Any]) -> int:
    from hasteward.cli.main import main

    os.chdir(asked["folder"])
    for name, number in (("out", 1), ("err", 2)):
        opened = os.open(asked[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, number)
        os.close(opened)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.environ.clear()
    os.environ.update(asked["environment"])
    if asked.get("clock"):
        jump(asked["clock"])
    try:
        return main(asked["argv"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def serve() -> None:
    orders = os.fdopen(os.dup(0), "r")
    answers = os.fdopen(os.dup(1), "w")
    for line in orders:
        asked = json.loads(line)
        if "wait" in asked:
            _, status = os.waitpid(asked["wait"], 0)
            answer: dict[str, int] = {"status": os.waitstatus_to_exitcode(status)}
        else:
            pid = os.fork()
            if pid == 0:
                code = 70
                try:
                    orders.close()
                    answers.close()
                    code = child(asked)
                finally:
                    os._exit(code)
            answer = {"pid": pid}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    kept = os.dup(1)
    os.dup2(2, 1)
    preload()
    sys.stdout.flush()
    os.dup2(kept, 1)
    os.close(kept)
    serve()
