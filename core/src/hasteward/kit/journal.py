"""The journal of a repair: a ConfigMap that tells another process how far a dead one came. No secrets.

It is written before each act (what is about to happen, and what undo will need) and after it, by
compare-and-swap on its resourceVersion: of two processes that believe the cluster is theirs, one stops.

The document under the key ``journal`` is JSON::

    {"schema": 1, "run", "job",
     "target": {"member", "ordinal", "remediation", "reason", "capture", "gives_up"},
     "preconditions": {NAME: text},
     "entries": [{"act": {"id", "kind", "member", "text", "reversal", "args"},
                  "state": "pending|doing|done|released|undone", "memo": {NAME: text}}, ...]}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from pydantic import TypeAdapter

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Refused
from hasteward.domain.repair import ActState, Record
from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import CONFIG_MAPS, ApiConflict, ApiNotFound, Json

SCHEMA = 1
_KEY = "journal"
_RECORD = TypeAdapter(Record)


def journal_name(cluster: ClusterRef) -> str:
    """``hasteward-<engine>-<cluster>``, as the Lease."""
    return f"hasteward-{cluster.engine}-{cluster.name}"


def _encode(record: Record) -> str:
    return json.dumps({"schema": SCHEMA, **asdict(record)}, indent=1)


def _decode(cluster: ClusterRef, body: Json) -> Record:
    name = journal_name(cluster)
    look = f"kubectl get configmap {name} -n {cluster.namespace} -o yaml"
    try:
        document: Any = json.loads((body.get("data") or {}).get(_KEY, ""))
        schema = document.pop("schema", None)
        if schema != SCHEMA:
            raise Refused(f"the journal {name} has schema {schema}", hint=look, code="journal.schema")
        return _RECORD.validate_python(document)
    except (ValueError, TypeError, AttributeError) as error:
        raise Refused(
            f"the journal {name} cannot be read, so what a dead run left is not known",
            hint=look,
            code="journal.unreadable",
        ) from error


class StoredJournal:
    """A `Journal` in the cluster."""

    def __init__(self, context: EngineContext, cluster: ClusterRef, body: Json, record: Record) -> None:
        self._context = context
        self._cluster = cluster
        self._body = body
        self.record = record

    def begin(self, index: int, memo: Mapping[str, str]) -> None:
        """Write that the act begins, with what undo will need."""
        self._set(index, ActState.DOING, memo)

    def end(self, index: int) -> None:
        """Write that the act is done."""
        self._set(index, ActState.DONE, self.record.entries[index].memo)

    def release(self, index: int) -> None:
        """Write that the act was taken back as a part of going forward."""
        self._set(index, ActState.RELEASED, self.record.entries[index].memo)

    def taken_back(self, index: int) -> None:
        """Write that the act is undone."""
        self._set(index, ActState.UNDONE, self.record.entries[index].memo)

    def _set(self, index: int, state: ActState, memo: Mapping[str, str]) -> None:
        entries = list(self.record.entries)
        entries[index] = replace(entries[index], state=state, memo=dict(memo))
        record = replace(self.record, entries=tuple(entries))
        body = self._body | {"data": {_KEY: _encode(record)}}
        name = journal_name(self._cluster)
        try:
            self._body = self._context.kubernetes.replace(CONFIG_MAPS, self._cluster.namespace, name, body)
        except (ApiConflict, ApiNotFound) as error:
            raise Refused(
                f"the journal {name} was changed by somebody else; stopping here",
                hint=f"kubectl get configmap {name} -n {self._cluster.namespace} -o yaml",
                code="journal.changed",
            ) from error
        self.record = record

    def remove(self) -> None:
        """The treatment is over."""
        try:
            self._context.kubernetes.delete(CONFIG_MAPS, self._cluster.namespace, journal_name(self._cluster))
        except ApiNotFound:
            return


def start(context: EngineContext, cluster: ClusterRef, record: Record) -> StoredJournal:
    """Write a new journal. Raises Refused (``journal.exists``) when a treatment is unfinished."""
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": journal_name(cluster),
            "namespace": cluster.namespace,
            "labels": {"app.kubernetes.io/managed-by": "hasteward"},
        },
        "data": {_KEY: _encode(record)},
    }
    try:
        stored = context.kubernetes.create(CONFIG_MAPS, cluster.namespace, body)
    except ApiConflict as error:
        raise Refused(
            f"a repair of {cluster} is unfinished, and its journal is there",
            hint=f"hasteward undo -e {cluster.engine} -c {cluster.name} -n {cluster.namespace}",
            code="journal.exists",
        ) from error
    return StoredJournal(context, cluster, stored, record)


def unfinished(context: EngineContext, cluster: ClusterRef) -> StoredJournal | None:
    """The journal that an earlier run left, None if there is none. Raises Refused when it cannot be read."""
    try:
        body = context.kubernetes.get(CONFIG_MAPS, cluster.namespace, journal_name(cluster))
    except ApiNotFound:
        return None
    return StoredJournal(context, cluster, body, _decode(cluster, body))
