"""Has CloudNativePG make a backup, by a Backup object, and waits for what it says of it.

The object is created once, under a name that follows from the run, and is never taken away again: the
operator's backups belong to whoever keeps them. A failed Backup is final; the next run makes another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError, Refused, RunFailed
from hasteward.domain.events import PhaseStarted, StepDone, Warned
from hasteward.ports.context import EngineContext, NativeOutcome
from hasteward.ports.kubernetes import ApiNotFound, Json
from hasteward_cnpg.collect import cluster_body
from hasteward_cnpg.facts.native import (
    BackupState,
    Declared,
    Phase,
    backup_body,
    backup_name,
    declared,
    native_plan,
    parse_backup,
)
from hasteward_cnpg.facts.objects import mapping, parse_cluster
from hasteward_cnpg.resources import BACKUPS

_POLL_SECONDS = 1.0
#: how often one is told that it still goes on
_TOLD_SECONDS = 60.0


def native(context: EngineContext, cluster: ClusterRef) -> NativeOutcome:
    """Create a Backup in the way the Cluster declares and wait for its end."""
    body = cluster_body(context, cluster)
    if parse_cluster(body).hibernated:
        raise Refused(
            f"cluster {cluster.namespace}/{cluster.name} is hibernated, and its operator backs up none such",
            hint=f"kubectl annotate cluster {cluster.name} -n {cluster.namespace} --overwrite"
            " cnpg.io/hibernation=off",
            code="native.hibernated",
        )
    ways = declared(body)
    way = _chosen(context, cluster, ways)
    name = backup_name(cluster, context.run.job)
    others = [one for one in ways if one != way]
    if not context.approve(native_plan(cluster, name, way, others)):
        return NativeOutcome(name, way.way.value, planned_only=True)
    _create(context, cluster, backup_body(cluster, name, way, context.run.id))
    context.reporter.emit(StepDone("native", f"Backup {name} is created ({way})"))
    try:
        state = _Watch(context, cluster, name).until_completed()
    except KeyboardInterrupt:
        text = f"Backup {name} goes on without us: {_look(cluster, name)}"
        context.reporter.emit(Warned("native.goes_on", text))
        raise
    member, details = state.member, state.details
    return NativeOutcome(name, way.way.value, member, state.started, state.stopped, details)


def _chosen(context: EngineContext, cluster: ClusterRef, ways: Sequence[Declared]) -> Declared:
    wish = str(context.options.get("native_method") or "")
    found = [one for one in ways if not wish or one.way.value == wish]
    if found:
        return found[0]
    where = f"cluster {cluster.namespace}/{cluster.name}"
    if ways:
        has = ", ".join(str(one) for one in ways)
        raise Refused(
            f"{where} declares no backup by {wish}; it declares {has}",
            hint="leave --native-method away",
            code="native.not_declared",
        )
    raise Refused(
        f"{where} declares no backup of its own: neither spec.plugins nor spec.backup names one",
        hint="hasteward backup --method dump   (into the restic repository)",
        code="native.not_declared",
    )


def _create(context: EngineContext, cluster: ClusterRef, body: Json) -> None:
    """Create it once; an answer that was lost is looked up, for the object may be there all the same."""
    name = str(body["metadata"]["name"])
    try:
        context.kubernetes.create(BACKUPS, cluster.namespace, body)
    except HastewardError as error:
        if not error.retryable:
            raise
        if not _is_ours(context, cluster, body):
            raise type(error)(
                f"{error.message}: it is not known whether Backup {name} was created",
                hint=_look(cluster, name),
                code=error.code,
            ) from error


def _is_ours(context: EngineContext, cluster: ClusterRef, body: Json) -> bool:
    metadata = body["metadata"]
    try:
        found = context.kubernetes.get(BACKUPS, cluster.namespace, str(metadata["name"]))
    except HastewardError:
        return False
    given = mapping(mapping(found.get("metadata")).get("annotations"))
    return bool(given.items() >= metadata["annotations"].items())


def _look(cluster: ClusterRef, name: str) -> str:
    return f"kubectl get backups.postgresql.cnpg.io {name} -n {cluster.namespace} -o yaml"


class _Watch:
    """Looks at the Backup until it has ended. An API server that is away for a while is waited for."""

    def __init__(self, context: EngineContext, cluster: ClusterRef, name: str) -> None:
        self._context = context
        self._cluster = cluster
        self._name = name
        self._said = ""
        now = context.clock.monotonic()
        self._begun = self._told = self._answered = now

    def until_completed(self) -> BackupState:
        """The state at its good end; RunFailed with the operator's words at any other."""
        while True:
            state = self._read()
            if state is not None:
                self._tell(state)
                match state.phase:
                    case Phase.COMPLETED:
                        return state
                    case Phase.FAILED:
                        self._failed(state)
                    case Phase.WAITING:
                        self._expect_begin(state)
                    case Phase.WORKING:
                        pass
            self._context.clock.sleep(_POLL_SECONDS)

    def _read(self) -> BackupState | None:
        now = self._context.clock.monotonic()
        try:
            body = self._context.kubernetes.get(BACKUPS, self._cluster.namespace, self._name)
        except ApiNotFound as error:
            raise RunFailed(
                f"Backup {self._name} was deleted before it was completed",
                hint="run the same command again",
                code="native.gone",
            ) from error
        except HastewardError as error:
            if error.retryable and now - self._answered < self._context.tuning.stall_seconds:
                return None
            raise type(error)(
                f"{error.message}; Backup {self._name} goes on without us",
                hint=_look(self._cluster, self._name),
                code=error.code,
            ) from error
        self._answered = now
        return parse_backup(body)

    def _tell(self, state: BackupState) -> None:
        now = self._context.clock.monotonic()
        if state.said == self._said and now - self._told < _TOLD_SECONDS:
            return
        self._said, self._told = state.said, now
        where = f" on {state.member}" if state.member else ""
        since = f", {now - self._begun:.0f} s so far" if now > self._begun else ""
        self._context.reporter.emit(
            PhaseStarted("native", f"Backup {self._name} is {state.said}{where}{since}")
        )

    def _expect_begin(self, state: BackupState) -> None:
        waited = self._context.clock.monotonic() - self._begun
        if waited < self._context.tuning.heal_seconds:
            return
        why = f" ({state.error})" if state.error else ""
        raise RunFailed(
            f"the operator has not begun Backup {self._name} within {waited:.0f} s: it is {state.said}{why};"
            " it stays, and is begun once it can be",
            hint=f"--heal-timeout waits longer; {_look(self._cluster, self._name)}",
            code="native.not_begun",
        )

    def _failed(self, state: BackupState) -> NoReturn:
        where = f" on {state.member}" if state.member else ""
        again = "it is final; run the same command again when that is cured"
        why = state.error or f"the operator says {state.said!r} and no more"
        raise RunFailed(
            f"Backup {self._name}{where} failed: {why}",
            hint=f"{again}; {_look(self._cluster, self._name)}",
            code="native.failed",
        )
