"""Reads the JSON document that one statement on a server produces (see `hasteward_cnpg.collect.server`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hasteward_cnpg.evidence import DatabaseSize, Fork, Lsn, Receiver, ServerFacts, Slot, Standby
from hasteward_cnpg.facts.lineage import parse_history


def _object(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{what} is {type(value).__name__}, not an object")
    return value


def _rows(document: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    rows = document[key]
    if not isinstance(rows, list):
        raise TypeError(f"{key} is {type(rows).__name__}, not a list")
    return [_object(row, key) for row in rows]


def _lsn(value: Any) -> Lsn | None:
    return None if value is None else Lsn.parse(str(value))


def _integer(value: Any, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{what} is {value!r}, not a number")
    return value


def _boolean(value: Any, what: str) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{what} is {value!r}, neither true nor false")
    return value


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def parse_server(document: Any) -> ServerFacts:
    """The document as facts; ValueError when any part of it is not what it must be."""
    try:
        return _parse(_object(document, "the answer"))
    except KeyError as error:
        raise ValueError(f"the answer lacks {error.args[0]!r}") from error
    except TypeError as error:
        raise ValueError(str(error)) from error


def _parse(body: Mapping[str, Any]) -> ServerFacts:
    in_recovery = _boolean(body["in_recovery"], "in_recovery")
    receiver = None if body["receiver"] is None else _receiver(_object(body["receiver"], "receiver"))
    checkpoint = _integer(body["checkpoint_timeline"], "checkpoint_timeline")
    if not in_recovery:
        timeline = _integer(body["timeline"], "timeline")
    elif receiver is not None and receiver.timeline:
        timeline = max(receiver.timeline, checkpoint)
    else:
        # without a receiver, what it replayed last; pg_control knows it from the last restart point on
        timeline = max(checkpoint, _integer(body["recovery_timeline"], "recovery_timeline"))
    current = _lsn(body["current"])
    if not in_recovery and current is None:
        raise ValueError("a primary did not say its position")
    return ServerFacts(
        version=str(body["version"]),
        version_number=_integer(body["version_number"], "version_number"),
        system_id=str(body["system_id"]),
        in_recovery=in_recovery,
        timeline=timeline,
        checkpoint_timeline=checkpoint,
        current=current,
        received=_lsn(body["received"]) if in_recovery else None,
        replayed=_lsn(body["replayed"]) if in_recovery else None,
        last_replay=_text(body["last_replay"]),
        receiver=receiver,
        standbys=tuple(_standby(row) for row in _rows(body, "standbys")),
        slots=tuple(_slot(row) for row in _rows(body, "slots")),
        ancestors=_ancestors(timeline, body["histories"]),
        segment_bytes=_integer(body["segment_bytes"], "segment_bytes"),
        databases=tuple(
            DatabaseSize(str(row["name"]), row["size"], _boolean(row["connectable"], "connectable"))
            for row in _rows(body, "databases")
        ),
        shadowed=_boolean(body["shadowed"], "shadowed"),
        replay_paused=_boolean(body["replay_paused"], "replay_paused"),
    )


def _ancestors(timeline: int, histories: Any) -> tuple[Fork, ...] | None:
    """The history of `timeline` from its own file and no other (L2); the first one has none."""
    if timeline == 1:
        return ()
    text = _object(histories, "histories").get(str(timeline))
    return None if text is None else parse_history(str(text))


def _receiver(row: Mapping[str, Any]) -> Receiver:
    timeline = row["timeline"]
    return Receiver(
        _text(row["status"]),
        None if timeline is None else _integer(timeline, "received_tli"),
        _text(row["sender"]),
    )


def _standby(row: Mapping[str, Any]) -> Standby:
    sent, replayed = _lsn(row["sent"]), _lsn(row["replayed"])
    return Standby(
        name=_text(row["name"]),
        state=_text(row["state"]),
        sync_state=_text(row["sync_state"]),
        sent=sent,
        written=_lsn(row["written"]),
        flushed=_lsn(row["flushed"]),
        replayed=replayed,
        lag_bytes=None if sent is None or replayed is None else max(0, sent - replayed),
    )


def _slot(row: Mapping[str, Any]) -> Slot:
    return Slot(
        name=_text(row["name"]),
        kind=_text(row["kind"]),
        active=_boolean(row["active"], "active"),
        restart=_lsn(row["restart"]),
        database=_text(row["database"]),
        wal_status=_text(row["wal_status"]),
    )


def not_following(server: ServerFacts, primary: ServerFacts) -> str:
    """Why a running standby is not streaming from the primary's timeline; empty when it is."""
    receiver = server.receiver
    if receiver is None:
        return "it has no WAL receiver"
    if receiver.status != "streaming":
        return f"its WAL receiver is {receiver.status or 'in no known state'}"
    if receiver.timeline is None:
        return "its WAL receiver names no timeline"
    if receiver.timeline != primary.timeline:
        return f"it receives timeline {receiver.timeline}, the primary writes timeline {primary.timeline}"
    return ""
