"""Answers as text for people."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from hasteward.cli.render.console import Paint
from hasteward.cli.render.shapes import (
    BackupData,
    BackupsData,
    ClusterData,
    ConfigData,
    DiagnosisData,
    DoctorData,
    EnginesData,
    ExportData,
    InitData,
    MemberData,
    NativeData,
    PlanData,
    RepairData,
    RestoreData,
    TriageData,
    UndoData,
    VersionData,
)
from hasteward.cli.render.units import moment, seconds, size, table
from hasteward.domain.plan import Reversal
from hasteward.domain.report import Authority, Health, Severity

Lines = Iterable[str]

_VERDICTS = {
    Authority.PROVABLE: "the newest data is proven",
    Authority.LEADER_NOT_PRIMARY: "the newest data is not on the primary",
    Authority.DIVERGED: "the members have diverged (split-brain)",
    Authority.MAJORITY_LOST: "a majority is lost for good",
    Authority.UNDETERMINABLE: "who holds the newest data cannot be determined",
}


def plan(data: PlanData, paint: Paint) -> list[str]:
    """The steps in order, what is given up, and the notes."""
    lines = [paint.bold(f"Plan: {data.title}")]
    for number, step in enumerate(data.steps, 1):
        mark = "" if step.reversal == Reversal.READ_ONLY else paint.dim(f"  ({step.reversal})")
        lines.append(f"  {number}. {step.text}{mark}")
    lines += [f"  {paint.warn('takes out of service:')} {text}" for text in data.gives_up]
    lines += [f"  note: {text}" for text in data.notes]
    return lines


def dry_run(data: PlanData | None, paint: Paint) -> Lines:
    """A plan that was not carried out."""
    if data is not None:
        yield from plan(data, paint)
        if data.gives_up:
            yield "The real run needs --yes."
    yield "Dry run: nothing was changed."


def _flags(cluster: ClusterData) -> str:
    return f"-e {cluster.engine} -c {cluster.name} -n {cluster.namespace}"


def _sections(count: int) -> str:
    return "1 section" if count == 1 else f"{count} sections"


def _facts(pairs: Iterable[tuple[str, str]]) -> list[str]:
    pairs = list(pairs)
    widest = max(len(name) for name, _ in pairs)
    return [f"  {name:<{widest}}  {value}" for name, value in pairs if value]


def init(data: InitData, paint: Paint) -> Lines:
    """The repository."""
    if data.dry_run:
        yield from dry_run(data.plan, paint)
        return
    yield f"{paint.good('Repository created')} at {data.location}"
    yield f"  id  {data.id}"
    yield "Keep the password somewhere else too: without it nothing in the repository can be read."


def backup(data: BackupData, paint: Paint) -> Lines:
    """The snapshot and how to get it back."""
    if data.dry_run:
        yield from dry_run(data.plan, paint)
        return
    if data.native is not None:
        yield from _native(data, data.native, paint)
        return
    yield f"{paint.good('Snapshot ' + data.snapshot[:8])} is saved and proven"
    yield from _facts(
        [
            ("path", data.path),
            ("member", data.member),
            ("size", f"{size(data.size)}: {_sections(data.sections)}, each proven"),
            *([] if data.shrunk_from is None else [("usual", paint.warn(size(data.shrunk_from)))]),
            ("added", f"{size(data.added)} new in the repository"),
            ("took", seconds(data.seconds)),
        ]
    )
    verb = "restore" if data.type == "backup" else "export -o FILE"
    instance = "" if data.type == "backup" else f" -i {data.path.rpartition('/')[2].partition('-')[0]}"
    yield f"Get it back: hasteward {verb} {_flags(data.cluster)} --snapshot {data.snapshot[:8]}{instance}"


def _native(data: BackupData, made: NativeData, paint: Paint) -> Lines:
    """What the operator has made, in its own words."""
    yield f"{paint.good('Backup ' + made.name)} is completed, says its operator; nothing of it was proven"
    yield from _facts(
        [
            ("method", made.method),
            ("member", data.member),
            ("from", made.started),
            ("to", made.stopped),
            *made.details.items(),
            ("took", seconds(data.seconds)),
        ]
    )


def restore(data: RestoreData, paint: Paint, *, looks: bool = True) -> Lines:
    """What is live now; `looks` says whether there is a triage to look at it."""
    if data.dry_run:
        yield from dry_run(data.plan, paint)
        return
    yield f"{paint.good('Restored')} from snapshot {data.snapshot[:8]} in {seconds(data.seconds)}"
    yield from (f"  live now: {text}" for text in data.restored)
    yield from (f"  kept:     {text}" for text in data.kept)
    yield from (f"  checked:  {text}" for text in data.checks)
    if data.undo:
        yield f"Take it back: {data.undo}"
    if looks:
        yield f"Look at it: hasteward triage {_flags(data.cluster)}"


def export(data: ExportData, paint: Paint) -> Lines:
    """The file."""
    if data.dry_run:
        yield from dry_run(data.plan, paint)
        return
    what = paint.good("proven") if data.proven else paint.warn("unproven")
    name = "standard output" if data.file == "-" else data.file
    yield f"Snapshot {data.snapshot[:8]} ({what}) is in {name}"
    yield from _facts([("path", data.path), ("size", size(data.size)), ("took", seconds(data.seconds))])


def backups(data: BackupsData, paint: Paint) -> Lines:
    """One line per snapshot, newest first."""
    if not data.backups:
        yield "No snapshot matches."
        return
    rows = [
        (
            one.id[:8],
            moment(one.time),
            # of a member there may be a dump and its files: the name tells which member, and which of them
            one.type if one.type == "backup" else f"{one.type} {one.path.rpartition('/')[2]}",
            one.namespace,
            one.cluster,
            one.engine,
            size(one.size),
            paint.good("proven") if one.proven else paint.warn("unproven"),
        )
        for one in data.backups
    ]
    header = ("ID", "TIME", "TYPE", "NAMESPACE", "CLUSTER", "ENGINE", "SIZE", "PROOF")
    yield from table(header, rows, right=("SIZE",))


def _health(value: str, paint: Paint) -> str:
    if value == Health.HEALTHY:
        return paint.good(value)
    return paint.bad(value) if value == Health.DOWN else paint.warn(value)


def _texts(member: MemberData) -> list[str]:
    return [*member.evidence, *(f"not known: {text}" for text in member.missing)]


def _member(member: MemberData, paint: Paint) -> list[tuple[str, str, str, str]]:
    first, *rest = _texts(member) or [""]
    rows = [(member.member, member.role, _health(member.health, paint), first)]
    return [*rows, *(("", "", "", text) for text in rest)]


def _diagnosis(found: DiagnosisData, paint: Paint, shown: Collection[str]) -> Lines:
    """`shown` is what the table has said of the member; it is not said again."""
    marks = {Severity.INFO: paint.dim, Severity.WARNING: paint.warn, Severity.CRITICAL: paint.bad}
    about = f" {found.member}:" if found.member else ""
    yield f"{marks[Severity(found.severity)](found.severity)}{about} {found.summary} [{found.id}]"
    yield from (f"  - {text}" for text in found.evidence if text not in shown)
    if found.remedy:
        yield f"  next: {found.remedy}"


def triage(data: TriageData, paint: Paint) -> Lines:
    """Verdict, reason, members, diagnoses."""
    name = f"{data.cluster.namespace}/{data.cluster.name}"
    verdict = paint.good("healthy") if data.healthy else paint.bad("not healthy")
    yield f"{paint.bold(name)} ({data.cluster.engine}): {verdict}; {_VERDICTS[Authority(data.authority)]}"
    yield f"  because {data.authority_reason}"
    if data.members:
        yield ""
        rows = [row for member in data.members for row in _member(member, paint)]
        yield from table(("MEMBER", "ROLE", "HEALTH", "EVIDENCE"), rows)
    shown = {member.member: _texts(member) for member in data.members}
    for found in data.diagnoses:
        yield ""
        yield from _diagnosis(found, paint, shown.get(found.member, ()))
    if data.plan is not None:
        yield ""
        yield from dry_run(data.plan, paint)


def repair(data: RepairData, paint: Paint) -> Lines:
    """Whom it treated, what was saved first, and how the cluster is now."""
    if data.settled:
        yield f"The repair that run {data.settled} began was brought to its end first."
    if data.dry_run:
        yield from dry_run(data.plan, paint)
        return
    yield from (f"{paint.good('Healed')} {one.member} by {one.remediation}" for one in data.treated)
    yield from (f"  saved first: snapshot {snapshot[:8]}" for snapshot in data.snapshots)
    yield from (f"  {text}" for text in (*data.skipped, *data.waiting))
    last = data.after
    if not data.treated:
        # who repairs nothing of what is not well is told what is wrong, and what else helps
        well = data.before is None or data.before.healthy
        last = last if well else last or data.before
        yield "Nothing to repair." if well else "Nothing that a repair would treat now."
    if last is not None:
        yield ""
        yield from triage(last, paint)


def undo(data: UndoData, paint: Paint, *, looks: bool = True) -> Lines:
    """What is as it was again."""
    if data.dry_run:
        yield from dry_run(data.plan, paint)
    elif not data.run:
        yield "No repair is unfinished and no restore has left anything; there is nothing to take back."
    else:
        yield f"{paint.good('Taken back')}: everything that run {data.run} had done"
        yield from (f"  {text}" for text in data.undone)
        yield from (f"  kept: {text}" for text in data.kept)
    if looks and not data.dry_run:
        yield f"Look at it: hasteward triage {_flags(data.cluster)}"


def engines(data: EnginesData, paint: Paint) -> Lines:
    """What is installed and what it can do."""
    if not data.engines and not data.broken:
        yield "No engine is installed."
        yield "  next: pip install hasteward-<engine>   (one per kind of database)"
        return
    if data.engines:
        names = [capability.name for capability in data.engines[0].capabilities]
        rows = []
        for engine in data.engines:
            marks = [
                paint.good("yes") if capability.supported else paint.dim("no")
                for capability in engine.capabilities
            ]
            rows.append((engine.name, *marks, engine.title))
        yield from table(("ENGINE", *(name.upper() for name in names), "TITLE"), rows)
        for engine in data.engines:
            reasons: dict[str, list[str]] = {}
            for capability in engine.capabilities:
                if not capability.supported:
                    reasons.setdefault(capability.reason, []).append(capability.name)
            yield from (f"{engine.name}: no {', '.join(what)}: {why}" for why, what in reasons.items())
    for broken in data.broken:
        yield f"{paint.bad('broken')} {broken.name} ({broken.origin}): {broken.reason}"


def doctor(data: DoctorData, paint: Paint) -> Lines:
    """One line per check, the next command below what is wrong."""
    marks: dict[str, Callable[[str], str]] = {
        "ok": paint.good,
        "problem": paint.bad,
        "warning": paint.warn,
        "skipped": paint.dim,
    }
    widest = max(len(check.name) for check in data.checks)
    for check in data.checks:
        yield f"{marks[check.state](f'{check.state:<7}')}  {check.name:<{widest}}  {check.text}"
        if check.next:
            yield f"         {'':<{widest}}  next: {check.next}"
    problems = sum(check.state == "problem" for check in data.checks)
    found = f"{problems or 'No'} problem{'s' if problems > 1 else ''} found"
    skipped = [f"{check.name} ({check.text})" for check in data.checks if check.state == "skipped"]
    yield f"{found}; not checked: {', '.join(skipped)}." if skipped else f"{found}."


def config(data: ConfigData, paint: Paint) -> Lines:
    """Every setting, its value and where it came from."""
    yield f"file: {data.file or 'none'}"
    rows = []
    for one in data.settings:
        value = paint.dim("-") if one.value in (None, "", ()) else _shown(one.value)
        rows.append((one.name, value, one.origin, one.place))
    yield from table(("SETTING", "VALUE", "FROM", "WHERE"), rows)
    yield f"the repository's password is taken from {data.password}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def version(data: VersionData, _paint: Paint) -> Lines:
    """One line."""
    yield f"hasteward {data.version} (Python {data.python}, {data.system})"
