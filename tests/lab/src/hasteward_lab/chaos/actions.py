"""The actions of `hasteward lab break`, as data: one line each, its arguments, its undo, and the call.

Light on purpose: the command line's help is made from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, get_args

from hasteward_lab.faults import Fault, Kind, Stream

if TYPE_CHECKING:
    from hasteward_lab.lab import Lab

Call = Callable[["Lab", dict[str, Any]], Any]


@dataclass(frozen=True)
class Argument:
    """One argument of an action: positional, or an option when its name begins with `--`."""

    name: str
    text: str
    kind: Callable[[str], Any] = str
    default: Any = None
    many: bool = False
    choices: tuple[str, ...] = ()

    @property
    def flag(self) -> bool:
        """Say whether it is a switch without a value."""
        return self.kind is bool


@dataclass(frozen=True)
class Action:
    """Something that can be broken, or put right."""

    name: str
    text: str
    call: Call
    arguments: tuple[Argument, ...] = ()
    undo: str = ""


POD = Argument("pod", "the pod")
_FIELDS = {field.name: field for field in fields(Fault) if field.name not in {"kind", "stream"}}
_TEXTS = {
    "command": "only execs whose command contains this",
    "user": "only calls of this user",
    "verb": "only this verb (get, list, watch, create, update, patch, delete)",
    "resource": "only this resource (pods, clusters ...); without --subresource not its subresources",
    "subresource": "only this subresource (exec, log, status ...; * for all)",
    "name": "only the object of this name",
    "nth": "only the k-th matching call, from 1 (default: every)",
    "after": "let so many bytes of the stream pass first",
    "code": "the status code of the answer (401, 403, 409, 429, 500, 503 ...)",
    "seconds": "for how long",
    "damage": "what becomes of the frame (cut, abort, stall, flip, duplicate, missing, early, late, false)",
    "place": "which frame of the stream (first, middle, last; default: middle)",
}


def _fault_argument(name: str) -> Argument:
    default = _FIELDS[name].default
    kind: Callable[[str], Any] = type(default) if type(default) in {int, float} else str
    option = f"--call-{name}" if name == "name" else f"--{name.replace('_', '-')}"
    return Argument(option, _TEXTS.get(name, name), kind)


def _fault_arguments() -> tuple[Argument, ...]:
    rows = tuple(_fault_argument(name) for name in _FIELDS)
    return (*rows, Argument("--stream", "which stream of an exec", choices=get_args(Stream)))


def _add_fault(lab: Lab, given: dict[str, Any]) -> None:
    given = {name.removeprefix("call_"): value for name, value in given.items() if value is not None}
    lab.add_fault(given.pop("kind"), **given)


def _api(lab: Lab, given: dict[str, Any]) -> None:
    _add_fault(lab, {**given, "kind": "forbid" if given["code"] == 403 else "http"})


def _move(name: str) -> Call:
    return lambda lab, given: getattr(lab, name)(**given)


def _chaos(name: str) -> Call:
    return lambda lab, given: getattr(lab.chaos, name)(**given)


def _heal(lab: Lab, given: dict[str, Any]) -> None:
    lab.chaos.heal(*given["names"])


_CORRUPT = (
    POD,
    Argument("path", "the file; relative to PGDATA, e.g. global/pg_control"),
    Argument("--offset", "first byte to overwrite; negative from the end (default: 0)", int, 0),
    Argument("--length", "how many bytes; 0 means all the rest (default: 0)", int, 0),
    Argument(
        "--how",
        "how to damage it (default: zero)",
        str,
        "zero",
        choices=("zero", "ones", "flip", "truncate"),
    ),
)
_DEGRADE = (
    POD,
    Argument("--latency", "seconds each way", float, 0.0),
    Argument("--loss", "fraction of the packets lost, e.g. 0.1", float, 0.0),
)
_PARTITION = (
    Argument("source", "a pod, or `api`"),
    Argument("target", "a pod, or `api`"),
    Argument("--one-way", "lose only what goes from the first to the second", bool),
)
_NAMES = Argument("names", "none: everything; one pod: its; two: what is between them", many=True)
_KIND = Argument("kind", "see `hasteward_lab.faults`", choices=get_args(Kind))

ACTIONS = (
    Action("kill", "kill -9 the container; the kubelet restarts it", _move("kill"), (POD,)),
    Action("stop", "hold the container down", _move("stop"), (POD,), "start"),
    Action(
        "shut-down",
        "end the server politely and hold its container down",
        _move("shut_down"),
        (POD,),
        "start",
    ),
    Action("start", "let a held container start again", _move("start"), (POD,)),
    Action("freeze", "stop all processes of a pod, as a hung node does", _chaos("freeze"), (POD,), "thaw"),
    Action("thaw", "let a frozen pod go on", _chaos("thaw"), (POD,)),
    Action(
        "partition",
        "lose packets between two pods, or a pod and the API",
        _chaos("partition"),
        _PARTITION,
        "heal",
    ),
    Action("isolate", "pull a pod's network plug", _chaos("isolate"), (POD,), "heal"),
    Action("degrade", "make a pod's link slow or lossy", _chaos("degrade"), _DEGRADE, "heal"),
    Action("heal", "end partitions, pulled plugs and bad links", _heal, (_NAMES,)),
    Action(
        "fill",
        "fill a pod's volume, for a real ENOSPC",
        lambda lab, given: lab.fill(given["pod"], given["leave"]),
        (POD, Argument("--leave", "bytes to leave free (default: 0)", int, 0)),
        "empty",
    ),
    Action("empty", "take away what fill put there", lambda lab, given: lab.fill(given["pod"], -1), (POD,)),
    Action("corrupt", "overwrite bytes of a file in a pod's volume", _chaos("corrupt"), _CORRUPT, "mend"),
    Action(
        "lose",
        "delete files of a pod's volume, e.g. 'pg_wal/*.history', or ./ for all of PGDATA",
        _chaos("lose"),
        (POD, Argument("pattern", "path with a pattern in its last part")),
        "mend",
    ),
    Action("mend", "put back what corrupt and lose took", _chaos("mend"), (POD,)),
    Action("lose-pvc", "delete a pod's claim with the pod: the data is gone", _chaos("lose_pvc"), (POD,)),
    Action(
        "delete",
        "delete a pod through the API; the operator makes it again",
        lambda lab, given: lab.delete_pod(given["pod"], grace=given["grace"]),
        (POD, Argument("--grace", "seconds it is given to end (default: 1)", int, 1)),
    ),
    Action(
        "unschedulable",
        "let pods whose name contains this find no node",
        lambda lab, given: lab.add_fault("unschedulable", name=given["pod"]),
        (POD,),
        "clear-faults",
    ),
    Action(
        "operator-down",
        "take the database operator down: nothing heals",
        lambda lab, _given: lab.operator_down(),
        undo="operator-up",
    ),
    Action("operator-up", "let the database operator run again", lambda lab, _given: lab.operator_up()),
    Action("promote", "switch over to a pod as `kubectl cnpg promote` does", _move("promote"), (POD,)),
    Action("fence", "fence an instance, or all with *", _move("fence"), (POD,), "unfence"),
    Action("unfence", "end the fence of an instance, or all with *", _move("unfence"), (POD,)),
    Action(
        "api",
        "answer calls of the API with a status code, all or the k-th",
        _api,
        (
            Argument("code", _TEXTS["code"], int),
            *(_fault_argument(name) for name in _FIELDS if name not in {"code", "after"}),
        ),
        "clear-faults",
    ),
    Action(
        "fault",
        "put any fault in force, exec and watch faults too",
        _add_fault,
        (_KIND, *_fault_arguments()),
        "clear-faults",
    ),
    Action("clear-faults", "end all faults of the API", lambda lab, _given: lab.clear_faults()),
)


def action(name: str) -> Action:
    """The action of a name; KeyError when there is none."""
    return {each.name: each for each in ACTIONS}[name]
