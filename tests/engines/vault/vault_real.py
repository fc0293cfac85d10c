"""The lab's OpenBao cluster as an administrator and as hasteward see it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from vault_kit import CLUSTER, ENGINE

from hasteward.adapters.kubernetes.configuration import load
from hasteward.adapters.kubernetes.rest import KubernetesApi
from hasteward.adapters.system import SystemClock
from hasteward.domain.repair import RepairRequest
from hasteward.domain.report import TriageReport
from hasteward.domain.snapshot import SnapshotType
from hasteward.pipelines.backup import BackupOptions, BackupResult, backup
from hasteward.pipelines.repair import RepairResult, repair
from hasteward.pipelines.restore import RestoreRequest, RestoreResult, restore
from hasteward.ports.context import EngineContext, RestoreOptions, Run, Tuning
from hasteward.testing.reporter import Approval, RecordingReporter
from hasteward.testing.repository import FakeRepository
from hasteward_lab.lab import Lab
from hasteward_vault.plugin import plugin


class Bao:
    """The lab's cluster as an administrator and as hasteward see it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.heal_seconds = 90.0
        self._runs = 0

    def call(self, method: str, path: str, body: Any = None, pod: str = "bao-0") -> Any:
        """A call as root, straight at a pod."""
        asked = {"pod": pod, "method": method, "path": path, "body": body}
        return self.lab.client.lab("POST", "openbao", asked)

    def put(self, key: str, value: str, pod: str = "bao-0") -> None:
        answer = self.call("POST", f"kv/{key}", {"value": value}, pod)
        assert answer == {}, answer

    def get(self, key: str, pod: str = "bao-0") -> str | None:
        answer = self.call("GET", f"kv/{key}", None, pod)
        return None if "404" in answer.get("lab_error", "") else str(answer["data"]["value"])

    def context(self, token: str = "secret:hasteward-vault", role: str = "repair") -> EngineContext:  # noqa: S107  where it is
        self._runs += 1
        return EngineContext(
            kubernetes=KubernetesApi(load(self.lab.kubeconfig, role).configuration),
            clock=SystemClock(),
            reporter=RecordingReporter(),
            run=Run(f"real{self._runs}", datetime.now(UTC)),
            approve=Approval(),
            tuning=Tuning(heal_seconds=self.heal_seconds),
            options={"token_from": token},
        )

    def triage(self, **access: str) -> TriageReport:
        return plugin.triage(self.context(**access), CLUSTER)

    def backup(self, store: FakeRepository, instance: int | None = None, **access: str) -> BackupResult:
        kind = SnapshotType.BACKUP if instance is None else SnapshotType.DIVERGED
        return backup(ENGINE, self.context(**access), CLUSTER, store, BackupOptions(kind, instance))

    def restore(self, store: FakeRepository, *, force: bool = False, **access: str) -> RestoreResult:
        request = RestoreRequest(options=RestoreOptions(force=force))
        return restore(ENGINE, self.context(**access), CLUSTER, store, request)

    def until(self, holds: Callable[[TriageReport], bool], seconds: float = 60) -> TriageReport:
        """Triage again and again until something holds."""
        clock = SystemClock()
        deadline = clock.monotonic() + seconds
        while not holds(report := self.triage()):
            assert clock.monotonic() < deadline, report
            clock.sleep(0.5)
        return report

    def repair(self, store: FakeRepository, **request: Any) -> RepairResult:
        """As the account for repairs."""
        return repair(ENGINE, self.context(), CLUSTER, store, RepairRequest(**request))

    def leader(self) -> str:
        """Who leads; fails when nobody is proven to."""
        return str(self.triage().details["leader"])
