"""The journal of a run: a ConfigMap that tells another process how far a dead one came. No secrets.

It is written before each act (what is about to happen, and what undo will need) and after it, by
compare-and-swap on its resourceVersion: of two processes that believe the cluster is theirs, one stops.

The document under the key ``journal`` is JSON. It is there from before the first act of a run until all its
treatments have ended::

    {"schema": 2, "treatments": [
      {"run", "job",
       "target": {"member", "ordinal", "remediation", "reason", "capture", "gives_up"},
       "preconditions": {NAME: text},
       "entries": [{"act": {"id", "kind", "member", "text", "reversal", "args"},
                    "state": "pending|doing|done|postponed|released|undone", "memo": {NAME: text}},
                   ...]}, ...]}
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import TypeAdapter

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Refused
from hasteward.domain.repair import ActState, Entry, Record
from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import CONFIG_MAPS, ApiConflict, ApiNotFound, Json

SCHEMA = 2
_KEY = "journal"
_RECORDS = TypeAdapter(tuple[Record, ...])


def journal_name(cluster: ClusterRef) -> str:
    """``hasteward-<engine>-<cluster>``, as the Lease."""
    return f"hasteward-{cluster.engine}-{cluster.name}"


def _encode(records: Sequence[Record]) -> str:
    return json.dumps({"schema": SCHEMA, "treatments": [asdict(record) for record in records]}, indent=1)


def _decode(cluster: ClusterRef, body: Json) -> tuple[Record, ...]:
    name = journal_name(cluster)
    look = f"kubectl get configmap {name} -n {cluster.namespace} -o yaml"
    try:
        document: Any = json.loads((body.get("data") or {}).get(_KEY, ""))
        schema = document.pop("schema", None)
        if schema != SCHEMA:
            raise Refused(f"the journal {name} has schema {schema}", hint=look, code="journal.schema")
        records = _RECORDS.validate_python(document.get("treatments"))
        if not records:
            raise ValueError("no treatments")
    except (ValueError, TypeError, AttributeError) as error:
        raise Refused(
            f"the journal {name} cannot be read, so what a dead run left is not known",
            hint=look,
            code="journal.unreadable",
        ) from error
    return records


class StoredJournal:
    """The journal in the cluster. `records` are the treatments, in their order; there is at least one."""

    def __init__(
        self, context: EngineContext, cluster: ClusterRef, body: Json, records: tuple[Record, ...]
    ) -> None:
        self._context = context
        self._cluster = cluster
        self._body = body
        self.records = records

    @property
    def run(self) -> str:
        """The run that wrote in it last."""
        return self.records[-1].run

    @property
    def point_of_no_return(self) -> Entry | None:
        """The first forward-only act that may have begun, of any treatment."""
        return next((one.point_of_no_return for one in self.records if one.point_of_no_return), None)

    def treatment(self, place: int) -> StoredTreatment:
        """One of `records`, as a `Journal`."""
        return StoredTreatment(self, place)

    def under(self, context: EngineContext) -> None:
        """From now on it is written by this run."""
        self._context = context

    def set(self, records: tuple[Record, ...]) -> None:
        """Write it anew. Raises Refused when somebody else has written in it."""
        body = self._body | {"data": {_KEY: _encode(records)}}
        name = journal_name(self._cluster)
        try:
            self._body = self._context.kubernetes.replace(CONFIG_MAPS, self._cluster.namespace, name, body)
        except (ApiConflict, ApiNotFound) as error:
            raise Refused(
                f"the journal {name} was changed by somebody else; stopping here",
                hint=f"kubectl get configmap {name} -n {self._cluster.namespace} -o yaml",
                code="journal.changed",
            ) from error
        self.records = records

    def remove(self) -> None:
        """The run is over."""
        try:
            self._context.kubernetes.delete(CONFIG_MAPS, self._cluster.namespace, journal_name(self._cluster))
        except ApiNotFound:
            return


@dataclass(frozen=True, slots=True)
class StoredTreatment:
    """A `Journal`: one treatment of the run's."""

    stored: StoredJournal
    place: int

    @property
    def record(self) -> Record:
        """As it is stored now."""
        return self.stored.records[self.place]

    def begin(self, index: int, memo: Mapping[str, str]) -> None:
        """Write that the act begins, with what undo will need."""
        self._set(index, ActState.DOING, memo)

    def end(self, index: int) -> None:
        """Write that the act is done."""
        self._set(index, ActState.DONE)

    def postpone(self, index: int) -> None:
        """Write that the act is still to be done, and changed nothing."""
        self._set(index, ActState.POSTPONED)

    def release(self, index: int) -> None:
        """Write that the act was taken back as a part of going forward."""
        self._set(index, ActState.RELEASED)

    def taken_back(self, index: int) -> None:
        """Write that the act is undone."""
        self._set(index, ActState.UNDONE)

    def _set(self, index: int, state: ActState, memo: Mapping[str, str] | None = None) -> None:
        entries = list(self.record.entries)
        kept = entries[index].memo if memo is None else dict(memo)
        entries[index] = replace(entries[index], state=state, memo=kept)
        records = list(self.stored.records)
        records[self.place] = replace(self.record, entries=tuple(entries))
        self.stored.set(tuple(records))


def start(context: EngineContext, cluster: ClusterRef, records: tuple[Record, ...]) -> StoredJournal:
    """Write a new journal. Raises Refused (``journal.exists``) when a run is unfinished."""
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": journal_name(cluster),
            "namespace": cluster.namespace,
            "labels": {"app.kubernetes.io/managed-by": "hasteward"},
        },
        "data": {_KEY: _encode(records)},
    }
    try:
        stored = context.kubernetes.create(CONFIG_MAPS, cluster.namespace, body)
    except ApiConflict as error:
        raise Refused(
            f"a repair of {cluster} is unfinished, and its journal is there",
            hint=f"hasteward undo -e {cluster.engine} -c {cluster.name} -n {cluster.namespace}",
            code="journal.exists",
        ) from error
    return StoredJournal(context, cluster, stored, records)


def unfinished(context: EngineContext, cluster: ClusterRef) -> StoredJournal | None:
    """The journal that an earlier run left, None if there is none. Raises Refused when it cannot be read."""
    try:
        body = context.kubernetes.get(CONFIG_MAPS, cluster.namespace, journal_name(cluster))
    except ApiNotFound:
        return None
    return StoredJournal(context, cluster, body, _decode(cluster, body))
