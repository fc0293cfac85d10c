"""Reads Galera's own files and what a server says of itself."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping

from hasteward.kit.answers import Answer
from hasteward_galera.evidence import FileFacts, Grastate, Position, Recovered, ServerFacts, View, Volume
from hasteward_galera.resources import ZERO

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_RECOVERED = re.compile(r"WSREP: Recovered position: ([0-9a-f-]{36}):(-?\d+)")
#: gcomm's number for the view of a Primary component
_PRIMARY_VIEW = "3"
#: no cluster counts this far: such a seqno is a phantom
_MOST = 1_000_000_000_000
_DF_FIELDS = 4


def position(uuid: str, seqno: int) -> Position | None:
    """A position, or None for Galera's stand-ins: the zero UUID, -1 and seqnos that nobody can have."""
    if not _UUID.fullmatch(uuid):
        raise ValueError(f"{uuid!r} is no UUID")
    if seqno > _MOST:
        raise ValueError(f"seqno {seqno} cannot be: the file or the server is damaged")
    return None if uuid == ZERO or seqno < 0 else Position(uuid, seqno)


def parse_grastate(text: str) -> Grastate:
    """``grastate.dat``; ValueError when it lacks what every one has."""
    rows = dict(re.findall(r"^(uuid|seqno|safe_to_bootstrap):\s*(\S+)\s*$", text, re.MULTILINE))
    try:
        uuid, seqno, safe = rows["uuid"], int(rows["seqno"]), rows["safe_to_bootstrap"]
    except KeyError as error:
        raise ValueError(f"grastate.dat has no {error.args[0]}") from error
    if safe not in {"0", "1"}:
        raise ValueError(f"grastate.dat says safe_to_bootstrap: {safe}")
    return Grastate(uuid, seqno, safe == "1", position(uuid, seqno))


def parse_gvwstate(text: str, uuid: str) -> View | None:
    """The Primary component in ``gvwstate.dat``; None when the last one was not Primary.

    The file does not say which history it was about; `uuid` is that of the member's data.
    """
    head = re.search(r"^view_id: (\d+) ", text, re.MULTILINE)
    if head is None:
        raise ValueError("gvwstate.dat has no view_id")
    nodes = re.findall(r"^member: ([0-9a-f-]{36}) ", text, re.MULTILINE)
    if head[1] != _PRIMARY_VIEW or not nodes:
        return None
    return View(uuid, frozenset(nodes))


def parse_files(answers: Mapping[str, Answer]) -> FileFacts:
    """The files of a stopped server. A damaged ``grastate.dat`` says nothing, and InnoDB still may."""
    grastate = None
    if _there(answers["grastate"]):
        with contextlib.suppress(ValueError):
            grastate = parse_grastate(answers["grastate"].text)
    view = None
    if _there(answers["gvwstate"]):
        view = parse_gvwstate(answers["gvwstate"].text, grastate.uuid if grastate is not None else ZERO)
    return FileFacts(
        grastate,
        view,
        transfer=answers["transfer"].text.strip() == "unfinished",
        schemas=tuple(answers["schemas"].text.split("/")[:-1]),
    )


def _there(answer: Answer) -> bool:
    """Whether the file exists and is not empty; ValueError when that could not be told."""
    if answer.exit_status not in {0, 3}:
        raise ValueError(f"it could not be read: {answer.text[-200:]}")
    return answer.exit_status == 0 and bool(answer.text.strip())


def parse_recovered(answers: Mapping[str, Answer]) -> Recovered:
    """What the copy of a stopped member's InnoDB told; ValueError when it told nothing.

    The last line counts: a log that is appended to repeats older ones.
    """
    found = _RECOVERED.findall(answers["recover"].text)
    if answers["recover"].exit_status != 0 or not found:
        words = " ".join(answers["recover"].text.split())[-300:]
        raise ValueError(f"wsrep-recover told no position: {words or 'no message'}")
    uuid, seqno = found[-1]
    view = None
    if answers["view"].exit_status == 0:
        view = parse_view([line.split("\t") for line in answers["view"].text.splitlines()])
    return Recovered(position(uuid, int(seqno)), view)


def parse_view(rows: list[list[str]]) -> View | None:
    """The view in ``mysql.wsrep_cluster`` and its members; None when there is none."""
    heads = [row[1] for row in rows if row[0] == "view"]
    members = [(row[1], row[2]) for row in rows if row[0] == "member"]
    if len(heads) != 1 or not members:
        return None
    return View(heads[0], frozenset(node for node, _ in members), frozenset(name for _, name in members))


def parse_server(answer: Answer) -> ServerFacts:
    """What a server says of itself; ValueError with its own words when it says nothing of use.

    Names come in capitals or not (L54); what is there and not understood is an error, never "off".
    """
    rows = [line.split("\t") for line in answer.text.splitlines()]
    said = {row[0].lower(): row[1] for row in rows if len(row) == 2}  # noqa: PLR2004  name and value
    if "hasteward_end" not in said:
        words = " ".join(answer.text.split())[-300:]
        raise ValueError(words or f"the client exited with {answer.exit_status}")
    if said.get("wsrep_on_now", "OFF") != "ON" or "wsrep_cluster_state_uuid" not in said:
        raise ValueError("the server answers, but Galera is not on in it")
    primary = said["wsrep_cluster_status"] == "Primary"
    uuid, seqno = said["wsrep_cluster_state_uuid"], int(said["wsrep_last_committed"])
    size = int(said["wsrep_cluster_size"])
    view = parse_view(rows)
    node = said.get("wsrep_gcomm_uuid", "")
    if view is not None and primary and (len(view.nodes) != size or node not in view.nodes):
        view = None  # the table is not about the component that it is in
    return ServerFacts(
        version=said["hasteward_version"],
        uuid=uuid,
        seqno=seqno,
        primary=primary,
        state=said["wsrep_local_state_comment"],
        ready=said["wsrep_ready"] == "ON",
        connected=said["wsrep_connected"] == "ON",
        size=size,
        node=node,
        position=position(uuid, seqno) if _UUID.fullmatch(uuid) else None,
        view=view,
        desynced=said.get("hasteward_desync", "0") == "1",
        queue=int(said.get("wsrep_local_recv_queue", "0")),
        paused=float(said.get("wsrep_flow_control_paused", "0")),
    )


def parse_volume(answer: Answer) -> Volume:
    """``df -P -k`` of one directory."""
    if answer.exit_status != 0:
        raise ValueError(answer.text[-200:] or "df failed")
    fields = answer.text.splitlines()[-1].split()
    if len(fields) < _DF_FIELDS:
        raise ValueError(f"df said {answer.text[-100:]!r}")
    return Volume(size=int(fields[-5]) * 1024, free=int(fields[-3]) * 1024)
