"""Walks through a scenario's steps in a running lab."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

from hasteward_lab.chaos.actions import action
from hasteward_lab.lab import Lab
from hasteward_lab.mariadb import hand
from hasteward_lab.scenarios import conditions, galera
from hasteward_lab.scenarios.model import (
    Caught,
    Condition,
    Copy,
    Create,
    Patch,
    Run,
    Scenario,
    Sql,
    Step,
    SwitchWal,
    Wait,
    Write,
)
from hasteward_lab.state import LabError

Say = Callable[[str], None]

LEDGER = "lab_ledger"
_LEDGER = f"CREATE TABLE IF NOT EXISTS {LEDGER} (mark text NOT NULL, n int NOT NULL, body text NOT NULL)"
_PROMOTES_WITHIN = 20.0


def start(scenario: Scenario, name: str | None, *, keep: bool, say: Say) -> Lab:
    """Start the lab a scenario plays in; its state is reached by `reach`."""
    more: dict[str, Any] = {}
    if scenario.level:
        more["level"] = scenario.level
    if scenario.spec:
        more["spec"] = scenario.spec
    if scenario.engine == "galera":
        more["part"] = "mariadb"
    return Lab.up(
        name,
        scenario.members,
        volume_size=scenario.volume_size,
        time_scale=scenario.time_scale,
        keep=keep,
        say=say,
        **more,
    )


def reach(lab: Lab, scenario: Scenario, say: Say = lambda _message: None) -> None:
    """Bring a fresh lab into the scenario's state; LabError names the step that failed."""
    for number, step in enumerate(scenario.steps, 1):
        kind, wanted = step.chosen
        say(f"{number}/{len(scenario.steps)} {_described(step)}")
        try:
            _STEPS[kind](lab, wanted)
        except LabError as error:
            raise LabError(f"{scenario.name}: step {number} ({_described(step)}): {error}") from None


def _described(step: Step) -> str:
    kind, wanted = step.chosen
    if isinstance(wanted, str | float | int):
        return f"{kind} {wanted}"
    data = wanted if isinstance(wanted, dict) else wanted.model_dump(exclude_unset=True)
    text = " ".join(
        json.dumps(data, separators=(",", ":"), default=str).translate({ord(c): None for c in '"{}'}).split()
    )
    return f"{kind} {text}"[:110]


def _write(lab: Lab, wanted: Write) -> None:
    if lab.part == "mariadb":
        galera.write(lab, wanted)
        return
    rows = f"VALUES ('{wanted.mark}', generate_series(1, {wanted.rows}), 'x')"
    lab.psql(wanted.pod, f"SET client_min_messages = error; {_LEDGER}; INSERT INTO {LEDGER} {rows}")


def _sql(lab: Lab, wanted: Sql) -> None:
    if lab.part == "mariadb":
        lab.mariadb(wanted.pod, _filled(lab, wanted.run), wanted.database)
        return
    lab.psql(wanted.pod, _filled(lab, wanted.run), wanted.database or "postgres")


def _filled(lab: Lab, text: str) -> str:
    """The text with addresses for `${pod}`."""
    return re.sub(r"\$\{((?:pg|db)-\d+)\}", lambda found: str(lab.pod(found[1])["status"]["podIP"]), text)


def _run(lab: Lab, wanted: Run) -> None:
    done = lab.exec(wanted.pod, ["sh", "-c", _filled(lab, wanted.script)])
    if done.returncode:
        raise LabError(f"ended with {done.returncode}: {done.stderr.decode(errors='replace').strip()}")


def _do(lab: Lab, wanted: dict[str, Any]) -> None:
    given = dict(wanted)
    chosen = action(given.pop("action"))
    defaults = {each.name.lstrip("-").replace("-", "_"): each for each in chosen.arguments}
    unknown = set(given) - set(defaults)
    if unknown:
        raise LabError(f"{chosen.name} does not know {', '.join(sorted(unknown))}")
    full = {
        name: given.get(name, [] if each.many else bool(each.default) if each.flag else each.default)
        for name, each in defaults.items()
    }
    chosen.call(lab, full)


def _wait(lab: Lab, wanted: Wait) -> None:
    deadline = time.monotonic() + wanted.within
    while not conditions.holds(lab, wanted.until):
        if time.monotonic() > deadline:
            raise LabError(f"was not so after {wanted.within:g} s")
        time.sleep(0.1)


def _settle(lab: Lab, member: str) -> None:
    for other in set(lab.pods) - {member}:
        _wait(lab, Wait(until=Condition(caught=Caught(pod=other, up=member))))


def _copy(lab: Lab, wanted: Copy) -> None:
    read = lab.exec(wanted.source, ["sh", "-c", f'cat "$PGDATA/{wanted.path}"'])
    if read.returncode:
        raise LabError(read.stderr.decode(errors="replace").strip())
    written = lab.exec(wanted.target, ["sh", "-c", f'cat > "$PGDATA/{wanted.path}"'], read.stdout)
    if written.returncode:
        raise LabError(written.stderr.decode(errors="replace").strip())


def _promote(lab: Lab, member: str) -> None:
    lab.psql(member, f"SELECT pg_promote(true, {int(_PROMOTES_WITHIN)})")
    deadline = time.monotonic() + _PROMOTES_WITHIN
    while lab.psql(member, "SELECT pg_is_in_recovery()") != "f":
        if time.monotonic() > deadline:
            raise LabError(f"{member} does not promote")
        time.sleep(0.1)
    # The new timeline reaches pg_control with the checkpoint after the promotion.
    lab.psql(member, "CHECKPOINT")


def _switch_wal(lab: Lab, wanted: SwitchWal) -> None:
    for _ in range(wanted.times):
        lab.psql(wanted.pod, "SELECT pg_logical_emit_message(false, 'lab', 'x')")
        lab.psql(wanted.pod, "SELECT pg_switch_wal()")
    lab.psql(wanted.pod, "CHECKPOINT")


def _annotate(lab: Lab, wanted: dict[str, dict[str, str | None]]) -> None:
    for name, changes in wanted.items():
        lab.client.call("PATCH", conditions.path_of(lab, name), {"metadata": {"annotations": changes}})


def _patch(lab: Lab, wanted: Patch) -> None:
    lab.client.call("PATCH", conditions.path_of(lab, wanted.object), wanted.merge)


def _create(lab: Lab, wanted: Create) -> None:
    lab.client.call("POST", conditions.path_of(lab, wanted.object), wanted.body)


def _operator(lab: Lab, wanted: str) -> None:
    move: Callable[[], None] | None = getattr(lab, f"operator_{wanted}", None)
    if move is not None:
        move()


def _switchover(lab: Lab, member: str) -> None:
    status = {
        "targetPrimary": member,
        "phase": "Switchover in progress",
        "phaseReason": f"Switching over to {member}",
    }
    lab.client.call("PATCH", conditions.path_of(lab, "cluster/status"), {"status": status})


def _pause(_lab: Lab, seconds: float) -> None:
    time.sleep(seconds)


_STEPS: dict[str, Callable[[Lab, Any], None]] = {
    "write": _write,
    "settle": _settle,
    "copy_file": _copy,
    "sql": _sql,
    "run": _run,
    "do": _do,
    "wait": _wait,
    "promote": _promote,
    "checkpoint": lambda lab, member: _sql(lab, Sql(pod=member, run="CHECKPOINT")),
    "switch_wal": _switch_wal,
    "annotate": _annotate,
    "patch": _patch,
    "create": _create,
    "operator": _operator,
    "switchover": _switchover,
    "pause": _pause,
    "shut_down": lambda lab, pod: lab.shut_down(pod),
    "scale": hand.scale,
    "suspend": lambda lab, on: hand.suspend(lab, on=on),
    "edit": lambda lab, wanted: lab.chaos.edit(wanted.pod, wanted.path, wanted.old, wanted.new),
    "latch": lambda lab, on: hand.latch(lab, on=on),
    "put": lambda lab, wanted: lab.chaos.put(wanted.pod, wanted.path, wanted.text),
}
