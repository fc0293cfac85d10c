"""What steps wait for and facts claim, looked up in a running lab."""

from __future__ import annotations

import re
from typing import Any

from hasteward_lab.lab import Lab
from hasteward_lab.mariadb import hand
from hasteward_lab.mariadb.files import ZERO
from hasteward_lab.scenarios import galera
from hasteward_lab.scenarios.model import Answer, Caught, Condition, Fact, Value, Words
from hasteward_lab.state import LabError

STREAMING = "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'"


def path_of(lab: Lab, name: str) -> str:
    """The API's path of an object: `cluster`, `cluster/status`, or a core one as `pods/pg-1`."""
    head, _, rest = name.partition("/")
    if head == "cluster":
        return f"{lab.cluster_path}/{rest}" if rest else lab.cluster_path
    if head == "statefulset":
        return f"/apis/apps/v1/namespaces/{lab.namespace}/statefulsets/{lab.cluster}"
    return f"/api/v1/namespaces/{lab.namespace}/{name}"


def holds(lab: Lab, condition: Condition) -> bool:
    """Say whether a condition is true now; a member that cannot be asked makes it false."""
    kind, wanted = condition.chosen
    try:
        return bool(_CONDITIONS[kind](lab, wanted))
    except LabError:
        return False


def proven(lab: Lab, fact: Fact) -> str:
    """Empty when a fact holds; else what was found instead."""
    kind, wanted = fact.chosen
    if kind == "says":
        return "" if _says(lab, wanted) else f"{wanted.match!r} was never said"
    if kind == "condition":
        return "" if _conditions(lab, wanted) else f"the conditions are not {wanted}"
    try:
        found = _value(lab, wanted) if kind == "value" else _LOOKS[kind](lab, wanted)
    except LabError as error:
        found = str(error)
    return "" if found == wanted.equals else f"found {found!r}, not {wanted.equals!r}"


def is_streaming(lab: Lab, member: str) -> bool:
    """Say whether a member receives WAL, by its own word."""
    return lab.psql(member, STREAMING) == "1"


def is_ready(lab: Lab, member: str) -> bool:
    """Say whether a pod is Ready."""
    rows = lab.pod(member).get("status", {}).get("conditions", [])
    return any(row["type"] == "Ready" and row["status"] == "True" for row in rows)


def at(data: Any, path: str) -> Any:
    """What is at a dotted path; None when there is nothing. `\\.` is a dot in a key."""
    for part in re.split(r"(?<!\\)\.", path):
        key = part.replace("\\.", ".")
        if isinstance(data, list):
            data = data[int(key)] if int(key) < len(data) else None
        else:
            data = data.get(key) if isinstance(data, dict) else None
    return data


def _value(lab: Lab, wanted: Value) -> Any:
    return at(lab.client.call("GET", path_of(lab, wanted.object)), wanted.path)


def _says(lab: Lab, wanted: Words) -> bool:
    said = lab.chaos.log(wanted.pod, previous=wanted.previous)
    return re.search(wanted.match, said) is not None


def _caught(lab: Lab, wanted: Caught) -> bool:
    if lab.part == "mariadb":
        return galera.caught_up(lab, wanted.pod, wanted.up)
    end = lab.psql(wanted.up, "SELECT pg_current_wal_lsn()")
    return lab.psql(wanted.pod, f"SELECT pg_last_wal_replay_lsn() >= '{end}'") == "t"


def _script(lab: Lab, wanted: Answer) -> str:
    done = lab.exec(wanted.pod, ["sh", "-c", wanted.query])
    return (done.stdout + done.stderr).decode(errors="replace").strip()


def ask(lab: Lab, pod: str, sql: str) -> str:
    """A query's answer, by the client of the lab's part."""
    return lab.mariadb(pod, sql) if lab.part == "mariadb" else lab.psql(pod, sql)


def _galera_file(lab: Lab, wanted: Answer) -> str:
    """`grastate` as `uuid seqno flag` (`zero` and `own` for the UUID), `view`, `bootstrap`, or `position`."""
    if wanted.query == "position":
        return str(hand.position(lab, wanted.pod)[1])
    found = hand.state(lab, wanted.pod)[wanted.query]
    if not isinstance(found, dict):
        return str(found).lower()
    owner = "zero" if found["uuid"] == ZERO else "own"
    return f"{owner} {found['seqno']} {int(found['safeToBootstrap'])}"


def _conditions(lab: Lab, wanted: dict[str, str]) -> bool:
    return all(hand.condition(lab, kind) == value for kind, value in wanted.items())


def _files(lab: Lab, wanted: Answer) -> str:
    if lab.part == "mariadb":
        return _galera_file(lab, wanted)
    found = lab.chaos.files(wanted.pod)[wanted.query]
    return " ".join(found) if isinstance(found, list) else str(found).lower()


_LOOKS: dict[str, Any] = {
    "answer": lambda lab, wanted: ask(lab, wanted.pod, wanted.query),
    "control": lambda lab, wanted: lab.chaos.control(wanted.pod).get(wanted.query, ""),
    "files": _files,
    "script": _script,
}
_CONDITIONS: dict[str, Any] = {
    "ready": lambda lab, names: all(is_ready(lab, name) for name in names),
    "not_ready": lambda lab, names: not any(is_ready(lab, name) for name in names),
    "streaming": lambda lab, names: all(is_streaming(lab, name) for name in names),
    "not_streaming": lambda lab, names: not any(is_streaming(lab, name) for name in names),
    "down": lambda lab, names: all(not lab.chaos.server(name)["answers"] for name in names),
    "caught": _caught,
    "answer": lambda lab, wanted: ask(lab, wanted.pod, wanted.query) == wanted.equals,
    "wsrep": lambda lab, wanted: all(hand.told(lab, name) == word for name, word in wanted.items()),
    "condition": _conditions,
    "reason": lambda lab, words: words in hand.condition(lab, "Ready", "message"),
    "value": lambda lab, wanted: _value(lab, wanted) == wanted.equals,
    "says": _says,
}
