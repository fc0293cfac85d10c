"""Directories: extracted beside what is there, on the same volume, then moved in entry by entry.

A mount point cannot be renamed, so its entries are: the old ones into ``.hasteward-old-JOB``, the new ones
out of ``.hasteward-new-JOB``. While that lasts, ``.hasteward-swap`` says what moves where and for which run,
so that the next restore can finish, or take back, what a dead one began. What was replaced is marked with
its run (``.hasteward-run``), by which `files_undo` finds it.
"""

from __future__ import annotations

from collections.abc import Sequence

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError, InvalidInput, Refused, RunFailed
from hasteward.domain.events import PhaseStarted, StepDone, Warned
from hasteward.domain.plan import Plan, Reversal, Step
from hasteward.kit.orphans import end_orphans
from hasteward.kit.streaming import capture, upload
from hasteward.ports.context import EngineContext, RestoreOptions, RestoreOutcome, RestoreSource
from hasteward.ports.host import Place
from hasteward_sql.words import human
from hasteward_standalone.collect.files import OURS, look

_ROOM = 1.1
# Beside the directory ($1): what moves in ($2), where the old entries go ($3), the run ($4), what it is ($5).
# "out" is written before the first old entry moves and "in" after the last, so the marker tells where every
# entry belongs; a move is a rename on one volume and cannot be half done.
_MOVES = r"""
cd -- "$1" || exit 9
move() { # FROM TO: every entry but ours
  for e in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    [ -e "$e" ] || [ -L "$e" ] || continue
    case ${e##*/} in .hasteward-*) continue ;; esac
    mv -f -- "$e" "$2"/ || exit 8
  done
}
flush() { sync -f . 2>/dev/null || sync; }
say() {
  echo "$1" >.hasteward-swap.tmp && flush && mv -f .hasteward-swap.tmp .hasteward-swap && flush || exit 7
}
finish() { # FROM OLD RUN KIND
  if [ -d "$1" ]; then
    move "$1" .
    rm -f -- "$1/.hasteward-run"
    rmdir -- "$1" || exit 5
  fi
  echo "$3 $4" >"$2/.hasteward-run" || exit 5
  flush
  rm -f .hasteward-swap
}
"""
SWAP = (
    _MOVES
    + r"""[ -e .hasteward-swap ] && exit 6
mkdir -- "$3" || exit 5
say "out $2 $3 $4 $5"
move . "$3"
say "in $2 $3 $4 $5"
finish "$2" "$3" "$4" "$5"
"""
)
#: prints what it did
_MEND = (
    _MOVES
    + r"""
rm -f .hasteward-swap.tmp
if read -r way from old run kind 2>/dev/null <.hasteward-swap; then
  [ -n "$kind" ] || exit 6
  case $way in
    out) move "$old" . && rmdir -- "$old" || exit 5
      flush
      rm -f .hasteward-swap
      echo "took back a restore that died" ;;
    in) finish "$from" "$old" "$run" "$kind"
      echo "finished a restore that died" ;;
    *) exit 6 ;;
  esac
fi
for e in .hasteward-new-*; do
  [ -d "$e" ] && rm -rf -- "$e" && echo "removed $e, which a dead restore was loading"
done
for e in .hasteward-old-*; do
  [ -d "$e" ] && [ ! -e "$e/.hasteward-run" ] && rmdir -- "$e" 2>/dev/null
done
exit 0
"""
)


def restore(
    context: EngineContext,
    cluster: ClusterRef,
    where: Place,
    source: RestoreSource,
    options: RestoreOptions,
    *,
    folders: Sequence[str],
) -> RestoreOutcome:
    """Check, show the plan, extract beside, compare the digest, move."""
    notes = _check(context, where, source, options, folders)
    job = context.run.job
    if not context.approve(_plan(cluster, where, source, options, folders=folders, notes=notes, job=job)):
        return RestoreOutcome(planned_only=True)
    end_orphans(context, where)
    checks = mend(context, where, folders)
    context.reporter.emit(PhaseStarted("restore", "extracting beside the live files"))
    try:
        for section, chunks in source.read([f"files:{folder}" for folder in folders]):
            context.check_lease()
            new = f"{section.name}/{OURS}new-{job}"
            argv = ["sh", "-c", 'mkdir -- "$1" && exec tar -C "$1" --numeric-owner -xpf -', "sh", new]
            what = f"the files of {section.name}"
            algorithm = capture(context, where, ["true"]).algorithm
            same = algorithm == section.algorithm
            given, known = (chunks.fed(), section.fed_digest) if same else (chunks, "")
            proof = upload(context, where, argv, given, what=what, algorithm=algorithm, known=known)
            checks.append(f"{section.name}: {proof.length} bytes, digest compared where they arrived")
    except BaseException:
        _discard(context, where, folders)
        raise
    return _swap_all(context, where, options, folders, checks)


def _swap_all(
    context: EngineContext, where: Place, options: RestoreOptions, folders: Sequence[str], checks: list[str]
) -> RestoreOutcome:
    job = context.run.job
    kept, live = [], []
    for folder in folders:
        context.check_lease()
        names = (f"{OURS}new-{job}", f"{OURS}old-{job}", context.run.id, "restore")
        run_script(context, where, SWAP, folder, *names, what=f"moving the files of {folder}")
        live.append(folder)
        context.reporter.emit(StepDone("restore", f"{folder} holds the restored files"))
        old = f"{folder}/{OURS}old-{job}"
        if options.keep_old:
            kept.append(old)
        else:
            capture(context, where, ["rm", "-rf", "--", old])
    return RestoreOutcome(restored=tuple(live), kept=tuple(kept), checks=tuple(checks))


def run_script(context: EngineContext, where: Place, script: str, folder: str, *words: str, what: str) -> str:
    """Run a script on a directory; what it printed."""
    answer = capture(context, where, ["sh", "-c", script, "sh", folder, *words])
    if answer.exit_status != 0:
        raise RunFailed(
            f"{what} in {where} stopped (status {answer.exit_status}): {answer.stderr.strip()}",
            hint="run the same command again: it finishes, or takes back, what was begun",
            code="restore.files",
        )
    return answer.stdout.decode("utf-8", "replace")


def mend(context: EngineContext, where: Place, folders: Sequence[str]) -> list[str]:
    """Put in order what dead restores left; our lock keeps live ones away."""
    said = []
    for folder in folders:
        context.check_lease()
        answer = run_script(context, where, _MEND, folder, what=f"putting {folder} in order")
        said += [f"{folder}: {line}" for line in answer.splitlines()]
    for text in said:
        context.reporter.emit(StepDone("restore", text))
    return said


def _discard(context: EngineContext, where: Place, folders: Sequence[str]) -> None:
    try:
        for folder in folders:
            capture(context, where, ["rm", "-rf", "--", f"{folder}/{OURS}new-{context.run.job}"])
    except HastewardError as error:
        context.reporter.emit(Warned("restore.left", f"{error.message}; the next restore removes it"))


def _check(
    context: EngineContext,
    where: Place,
    source: RestoreSource,
    options: RestoreOptions,
    folders: Sequence[str],
) -> list[str]:
    have = [section.name for section in source.manifest.sections if section.kind == "files"]
    unknown = [folder for folder in folders if folder not in have]
    if unknown or options.databases:
        raise InvalidInput(
            f"the snapshot has no directory {', '.join(unknown) or ', '.join(options.databases)}",
            hint=f"name one that it has with --path: {', '.join(have)}",
            code="restore.no_such_database",
        )
    notes = []
    for folder in folders:
        _, trouble = look(context, where, folder)
        if trouble == "absent":
            raise InvalidInput(
                f"there is no directory {folder} in {where}", hint="create it, empty", code="files.absent"
            )
        if trouble == "swapping":
            notes.append(f"a restore of {folder} was interrupted; that is put in order first")
        section = source.manifest.section(f"files:{folder}")
        needed = round((section.length if section else 0) * _ROOM)
        answer = capture(context, where, ["df", "-P", "-k", "--", folder])
        free = _free(answer.stdout.decode("utf-8", "replace"), folder)
        if free < needed:
            raise Refused(
                f"{folder} has {human(free)} free, and {human(needed)} are needed beside what is there",
                hint="enlarge the volume, or delete what is not needed there",
                code="restore.space",
            )
    skipped = [name for name in have if name not in folders]
    if skipped:
        notes.append(f"in the snapshot, but not restored: {', '.join(skipped)}")
    return notes


def _plan(
    cluster: ClusterRef,
    where: Place,
    source: RestoreSource,
    options: RestoreOptions,
    *,
    folders: Sequence[str],
    notes: list[str],
    job: str,
) -> Plan:
    steps = [Step("finish or take back what an interrupted restore has left", Reversal.REVERSIBLE)]
    steps += [
        Step(f"extract {folder} into {folder}/{OURS}new-{job}", Reversal.REVERSIBLE) for folder in folders
    ]
    steps += [Step(f"move the entries of {folder}", Reversal.REVERSIBLE) for folder in folders]
    kept = f"kept in {OURS}old-{job}" if options.keep_old else "DELETED after the move"
    gives_up = tuple(f"what {folder} holds now ({kept})" for folder in folders)
    notes = ["stop what reads and writes there: the entries are moved one by one", *notes]
    title = f"restore snapshot {source.snapshot_id[:8]} of {source.manifest.finished} into {cluster}, {where}"
    return Plan(title, tuple(steps), gives_up, tuple(notes))


def _free(printed: str, folder: str) -> int:
    """Bytes that are free, from what ``df -P -k`` prints; RunFailed when it does not tell."""
    try:
        return int(printed.splitlines()[1].split()[-3]) * 1024
    except (IndexError, ValueError) as error:
        raise RunFailed(f"df does not tell how much room {folder} has", code="files.room") from error
