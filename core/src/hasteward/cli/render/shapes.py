"""The JSON that scripts read. Fields are only ever added; the schema version is in the envelope.

Sizes are bytes, times RFC 3339 in UTC, durations say their unit in their name or are seconds. Field names
are printed in camelCase.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hasteward.cli.render.document import Shape

SCHEMA_VERSION = "v1alpha1"


@dataclass(frozen=True, slots=True)
class WarningData(Shape):
    """Something to know that did not stop the run; `code` is stable."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ErrorData(Shape):
    """Why the run ended; `code` and `category` are stable, `hint` is the next command."""

    code: str
    category: str
    message: str
    hint: str
    retryable: bool


@dataclass(frozen=True, slots=True)
class Envelope(Shape):
    """The one document of ``--output json`` and the last line of ``--output jsonl``.

    `success` is ``exitCode == 0``; `data` is null when there is no answer.
    """

    schema_version: str
    command: str
    run_id: str
    success: bool
    exit_code: int
    timestamp: datetime
    duration_ms: int
    warnings: tuple[WarningData, ...]
    errors: tuple[ErrorData, ...]
    data: Any


@dataclass(frozen=True, slots=True)
class Report(Envelope):
    """The run report: the envelope, and the events in order; of progress the last line in a row."""

    events: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class StepData(Shape):
    """One act; `reversal` is ``read-only``, ``reversible`` or ``forward-only``."""

    text: str
    reversal: str


@dataclass(frozen=True, slots=True)
class PlanData(Shape):
    """What the run was about to do. A plan whose `gives_up` is not empty needs ``--yes``."""

    title: str
    steps: tuple[StepData, ...]
    gives_up: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClusterData(Shape):
    """The cluster a run was about."""

    engine: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class InitData(Shape):
    """The repository that now exists (or, in a dry run, would)."""

    id: str
    location: str
    dry_run: bool
    plan: PlanData


@dataclass(frozen=True, slots=True)
class NativeData(Shape):
    """What the database's own operator has made: its object, the way, and what it says of it."""

    name: str
    method: str
    started: str
    stopped: str
    details: dict[str, str]


@dataclass(frozen=True, slots=True)
class BackupData(Shape):
    """The snapshot that now exists. `added` is new in the repository; ids are empty in a dry run.

    `shrunk_from` is the usual size when this one is far smaller (exit status 5), else null. `native` is null
    unless ``--method native`` was given; then there is no snapshot, and what tells of one is empty.
    """

    cluster: ClusterData
    snapshot: str
    manifest: str
    path: str
    type: str
    member: str
    size: int
    added: int
    sections: int
    seconds: float
    dry_run: bool
    shrunk_from: int | None
    native: NativeData | None
    plan: PlanData | None


@dataclass(frozen=True, slots=True)
class RestoreData(Shape):
    """What is live now, where the replaced data stayed, what was verified.

    `undo` is the command that makes what was replaced live again, empty when there is none.
    """

    cluster: ClusterData
    snapshot: str
    restored: tuple[str, ...]
    kept: tuple[str, ...]
    checks: tuple[str, ...]
    undo: str
    seconds: float
    dry_run: bool
    plan: PlanData | None


@dataclass(frozen=True, slots=True)
class ExportData(Shape):
    """The file that now exists. `size` is before compression; `proven`: every byte was compared."""

    cluster: ClusterData
    snapshot: str
    path: str
    file: str
    compressed: bool
    size: int
    sections: int
    proven: bool
    seconds: float
    dry_run: bool
    plan: PlanData | None


@dataclass(frozen=True, slots=True)
class SnapshotData(Shape):
    """One snapshot; `proven` is the proof and not a hope. `size` is null when it was not recorded."""

    id: str
    time: datetime
    type: str
    engine: str
    namespace: str
    cluster: str
    path: str
    size: int | None
    proven: bool
    job: str
    run: str
    reason: str


@dataclass(frozen=True, slots=True)
class BackupsData(Shape):
    """Newest first."""

    repository: str
    backups: tuple[SnapshotData, ...]


@dataclass(frozen=True, slots=True)
class BranchData(Shape):
    """What only this member holds. `commits` is null where they could not be counted."""

    text: str
    commits: int | None


@dataclass(frozen=True, slots=True)
class MemberData(Shape):
    """One member: `health`, the `evidence` for it and what is `missing`.

    `ordinal` is the number that ``-i`` names it by; `remediation` (none, restart, wait, rewind,
    reseed) is the least that would make it healthy; `branch` is null where it holds nothing of its own.
    """

    member: str
    role: str
    health: str
    evidence: tuple[str, ...]
    missing: tuple[str, ...]
    details: dict[str, Any]
    ordinal: int | None
    remediation: str
    reason: str
    branch: BranchData | None


@dataclass(frozen=True, slots=True)
class DiagnosisData(Shape):
    """A named finding with its evidence and the remedy, a command."""

    id: str
    severity: str
    summary: str
    evidence: tuple[str, ...]
    remedy: str
    member: str


@dataclass(frozen=True, slots=True)
class TriageData(Shape):
    """The whole report. `authority`: provable, leader_not_primary, diverged, majority_lost or undeterminable.

    `newest` are the members proven to hold the newest data, `donors` those another can be built from. `plan`
    is that of a dry run with ``--deep=stop``: whom it would stop; else null.
    """

    cluster: ClusterData
    healthy: bool
    authority: str
    authority_reason: str
    members: tuple[MemberData, ...]
    diagnoses: tuple[DiagnosisData, ...]
    details: dict[str, Any]
    newest: tuple[str, ...]
    primaries: tuple[str, ...]
    donors: tuple[str, ...]
    plan: PlanData | None


@dataclass(frozen=True, slots=True)
class TreatedData(Shape):
    """A member that was (or, in a dry run, would be) treated."""

    member: str
    ordinal: int
    remediation: str
    reason: str


@dataclass(frozen=True, slots=True)
class RepairData(Shape):
    """What was treated, who needed nothing, who recovers by itself; `snapshots` were saved first.

    `before` and `after` are triage reports, null where none was made. `settled` is the id of a dead run whose
    treatment was brought to its end first.
    """

    cluster: ClusterData
    treated: tuple[TreatedData, ...]
    skipped: tuple[str, ...]
    waiting: tuple[str, ...]
    snapshots: tuple[str, ...]
    settled: str
    before: TriageData | None
    after: TriageData | None
    dry_run: bool
    plan: PlanData | None


@dataclass(frozen=True, slots=True)
class UndoData(Shape):
    """What was taken back; `run` is empty when there was nothing. `kept` is where what was live stayed."""

    cluster: ClusterData
    run: str
    undone: tuple[str, ...]
    kept: tuple[str, ...]
    dry_run: bool
    plan: PlanData | None


@dataclass(frozen=True, slots=True)
class CapabilityData(Shape):
    """Whether an engine can do it; `reason` says why not."""

    name: str
    supported: bool
    reason: str


@dataclass(frozen=True, slots=True)
class EngineData(Shape):
    """An installed engine."""

    name: str
    title: str
    capabilities: tuple[CapabilityData, ...]


@dataclass(frozen=True, slots=True)
class BrokenData(Shape):
    """A plugin that could not be loaded, and why."""

    name: str
    origin: str
    reason: str


@dataclass(frozen=True, slots=True)
class EnginesData(Shape):
    """What is installed."""

    engines: tuple[EngineData, ...]
    broken: tuple[BrokenData, ...]


@dataclass(frozen=True, slots=True)
class CheckData(Shape):
    """One check of `doctor`; `state` is ``ok``, ``problem``, ``warning`` or ``skipped``."""

    name: str
    state: str
    text: str
    next: str


@dataclass(frozen=True, slots=True)
class DoctorData(Shape):
    """Everything that was looked at."""

    checks: tuple[CheckData, ...]


@dataclass(frozen=True, slots=True)
class SettingData(Shape):
    """A setting; `origin` is ``flag``, ``environment``, ``file`` or ``default``, `place` says which one."""

    name: str
    flag: str
    env: tuple[str, ...]
    value: Any
    origin: str
    place: str


@dataclass(frozen=True, slots=True)
class ConfigData(Shape):
    """Every setting. `file` is the configuration file that was read, "" if there is none.

    `password` says where the repository's password would be taken from, or why from nowhere.
    """

    file: str
    settings: tuple[SettingData, ...]
    password: str


@dataclass(frozen=True, slots=True)
class VersionData(Shape):
    """What is running."""

    version: str
    python: str
    system: str


#: what `data` holds, per command
DATA: dict[str, type[Shape]] = {
    "init": InitData,
    "backup": BackupData,
    "get backups": BackupsData,
    "restore": RestoreData,
    "export": ExportData,
    "triage": TriageData,
    "repair": RepairData,
    "undo": UndoData,
    "engines": EnginesData,
    "doctor": DoctorData,
    "config show": ConfigData,
    "version": VersionData,
}
