"""`hasteward lab`: the lab by hand."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

from hasteward_lab import cli_break, cli_scenarios, launch
from hasteward_lab.demo.play import STORIES
from hasteward_lab.lab import Lab
from hasteward_lab.parts import PARTS
from hasteward_lab.programs import MissingError
from hasteward_lab.state import LabError, all_labs, state_dir

DEFAULT_NAME = "lab"
_NOT_YET: dict[str, Any] = {"state": {"waiting": {}}, "ready": False, "restartCount": 0}
EXIT_FAILED, EXIT_USAGE, EXIT_MISSING, EXIT_INTERRUPTED = 1, 2, 4, 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hasteward lab",
        description="A cluster in a box: the Kubernetes API emulated, the databases real.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument("--name", default=DEFAULT_NAME, help="the lab's name (default: %(default)s)")
        sub.set_defaults(run=run)
        return sub

    up = command("up", "start a lab and wait till all members are ready", _up)
    up.add_argument("--members", type=int, default=3, help="members of the cluster (default: %(default)s)")
    up.add_argument("--volume-size", default="1Gi", help="size of each volume (default: %(default)s)")
    up.add_argument("--namespace", default="db", help="namespace of the cluster (default: %(default)s)")
    up.add_argument("--cluster", help="name of the cluster (default: that of its part, e.g. pg)")
    up.add_argument("--postgres-bin", help="folder with PostgreSQL's programs (default: the newest found)")
    up.add_argument("--fsync", action="store_true", help="run the servers with fsync on")
    scale = "factor on all waits of kubelet and operator; 1 is real time (default: %(default)s)"
    up.add_argument("--time-scale", type=float, default=0.1, help=scale)
    up.add_argument("--level", help="operator's minor version (default: that of its part, e.g. 1.30)")
    up.add_argument("--part", default="postgres", choices=sorted(PARTS), help="the database: %(choices)s")
    up.add_argument("--scenario", metavar="NAME", help="bring it into a broken state: see `scenarios`")
    cli_scenarios.add_parser(command("scenarios", "list the broken states, or tell one", cli_scenarios.run))
    down = command("down", "end a lab and leave nothing", _down)
    down.add_argument("--all", action="store_true", help="end all labs")
    command("status", "tell how a lab is", _status)
    config = command("kubeconfig", "print the path of the lab's kubeconfig", _kubeconfig)
    config.add_argument("--print", action="store_true", dest="content", help="print its content instead")
    execute = command("exec", "run a command in a pod", _exec)
    execute.add_argument("pod")
    execute.add_argument("argv", nargs="+", metavar="CMD", help="the command, after --")
    cli_break.add_parser(command("break", "break something, or put it right again", cli_break.run))
    demo = command("demo", "tell the whole story: backup, accident, restore, a member that dies", _demo)
    demo.set_defaults(name="demo")
    whose = "whose story (default: %(default)s)"
    demo.add_argument("--engine", default="cnpg", choices=STORIES, help=whose)
    demo.add_argument("--keep", action="store_true", help="leave the lab and the files for a look around")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 is good, 1 failed, 2 misused, 4 this machine lacks something."""
    try:
        arguments = _parser().parse_args(sys.argv[1:] if argv is None else argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else EXIT_USAGE
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return run(arguments)
    except MissingError as error:
        _tell(f"hasteward lab: {error}")
        return EXIT_MISSING
    except LabError as error:
        _tell(f"hasteward lab: {error}")
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _tell(text: str) -> None:
    sys.stderr.write(text + "\n")


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")


def _up(arguments: argparse.Namespace) -> int:
    began = time.monotonic()

    def say(message: str) -> None:
        _tell(f"{time.monotonic() - began:5.1f} s  {message}")

    if arguments.scenario:
        lab = cli_scenarios.up(arguments.scenario, arguments.name, say)
        _print(f"export KUBECONFIG={lab.kubeconfig}")
        return 0
    lab = Lab.up(
        arguments.name,
        arguments.members,
        arguments.namespace,
        arguments.cluster,
        arguments.volume_size,
        postgres_bin=arguments.postgres_bin,
        fsync=arguments.fsync,
        time_scale=arguments.time_scale,
        level=arguments.level,
        part=arguments.part,
        keep=True,
        say=say,
    )
    say(f"lab {lab.name!r} is up: {', '.join(lab.pods)} in namespace {lab.namespace!r}")
    _print(f"export KUBECONFIG={lab.kubeconfig}")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    labs = all_labs() if arguments.all else [state_dir(arguments.name)]
    for state in labs:
        if not state.root.exists():
            raise LabError(f"there is no lab {state.name!r}")
        launch.down(state)
        _tell(f"lab {state.name!r} is gone")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    lab = Lab.attach(arguments.name)
    _print(f"lab         {lab.name}")
    _print(f"kubeconfig  {lab.kubeconfig}")
    if lab.part == "postgres":
        status = lab.cluster_object()["status"]
        ready = f"{status['readyInstances']}/{status['instances']} ready"
        _print(f"cluster     {lab.namespace}/{lab.cluster}: {status['phase']}, {ready}")
    elif lab.part == "mariadb":
        rows = lab.cluster_object().get("status", {}).get("conditions", [])
        said = next((row["message"] for row in rows if row["type"] == "Ready"), "no status yet")
        _print(f"cluster     {lab.namespace}/{lab.cluster}: {said}")
    else:
        _print(f"cluster     {lab.namespace}/{lab.cluster}: {lab.part}")
    for pod in lab.get("pods"):
        containers: list[dict[str, Any]] = pod.get("status", {}).get("containerStatuses", [])
        row: dict[str, Any] = containers[0] if containers else {**_NOT_YET}
        state = next(iter(row["state"]))
        reason = row["state"][state].get("reason", "")
        labels = pod["metadata"].get("labels", {})
        role = labels.get("cnpg.io/instanceRole") or labels.get("k8s.mariadb.com/role", "")
        words = [state, reason, "ready" if row["ready"] else "not ready", f"{row['restartCount']} restarts"]
        _print(f"{pod['metadata']['name']:<12}{role:<9}{', '.join(filter(None, words))}")
    return 0


def _kubeconfig(arguments: argparse.Namespace) -> int:
    lab = Lab.attach(arguments.name)
    _print(lab.kubeconfig.read_text(encoding="utf-8").rstrip() if arguments.content else str(lab.kubeconfig))
    return 0


def _exec(arguments: argparse.Namespace) -> int:
    stdin = None if sys.stdin is None or sys.stdin.isatty() else sys.stdin.buffer.read()
    done = Lab.attach(arguments.name).exec(arguments.pod, arguments.argv, stdin)
    sys.stdout.buffer.write(done.stdout)
    sys.stdout.buffer.flush()
    sys.stderr.buffer.write(done.stderr)
    sys.stderr.buffer.flush()
    return done.returncode


def _demo(arguments: argparse.Namespace) -> int:
    from hasteward_lab.demo.play import play

    return play(arguments.engine, arguments.name, colour=sys.stdout.isatty(), keep=arguments.keep)
