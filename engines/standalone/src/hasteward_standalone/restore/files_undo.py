"""Takes a restore of directories back: what it replaced and kept changes places with what it brought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Refused, Unproven
from hasteward.domain.events import StepDone
from hasteward.domain.plan import Plan, Reversal, Step
from hasteward.kit.orphans import end_orphans
from hasteward.ports.context import EngineContext, PutBack
from hasteward.ports.host import Place
from hasteward_standalone.collect.files import OURS
from hasteward_standalone.restore.files import SWAP, mend, run_script

#: "half FROM OLD RUN KIND", "kept NAME RUN KIND" and "new NAME", a line each
_LIST = r"""
cd -- "$1" || exit 9
read -r way from old run kind 2>/dev/null <.hasteward-swap && echo "half $way $from $old $run $kind"
for e in .hasteward-old-*; do
  read -r run kind 2>/dev/null <"$e/.hasteward-run" && echo "kept $e $run $kind"
done
for e in .hasteward-new-*; do [ -d "$e" ] && echo "new $e"; done
exit 0
"""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A directory of ours in `folder` with what a run replaced; `half` when that run died meanwhile."""

    folder: str
    name: str
    run: str
    undo: bool
    half: bool = False


@dataclass(frozen=True, slots=True)
class _Found:
    kept: tuple[_Kept, ...]
    loading: tuple[str, ...]

    def of(self, run: str) -> list[_Kept]:
        """What one run has kept."""
        return [one for one in self.kept if one.run == run]


def put_back(
    context: EngineContext, cluster: ClusterRef, where: Place, run: str, *, folders: Sequence[str]
) -> PutBack:
    """Take back the restore of `run`; without one, what a dead run was at, else the last restore."""
    found = _look(context, where, folders)
    half = next((one.run for one in found.kept if one.half), "")
    if found.loading and not half and not run:
        return _remove(context, cluster, where, folders, found.loading)
    restores = [one for one in found.kept if not one.undo]
    last = max(restores, key=lambda one: one.name).run if restores else ""
    wanted = run or half or last
    if not wanted:
        return PutBack()
    chosen = found.of(wanted)
    _check(where, found, wanted, chosen)
    plan = _plan(context, cluster, where, wanted, chosen)
    if not context.approve(plan):
        return PutBack(wanted, planned_only=True)
    end_orphans(context, where)
    undone = mend(context, where, folders)
    kept = []
    for one in _look(context, where, folders).of(wanted):
        context.check_lease()
        old = f"{OURS}old-{context.run.job}"
        what = f"moving the files of {one.folder} back"
        run_script(context, where, SWAP, one.folder, one.name, old, context.run.id, "undo", what=what)
        text = f"{one.folder} is what it was before"
        context.reporter.emit(StepDone("undo", text))
        undone.append(text)
        kept.append(f"{one.folder}/{old}")
    return PutBack(wanted, tuple(undone), tuple(kept))


def _look(context: EngineContext, where: Place, folders: Sequence[str]) -> _Found:
    kept: list[_Kept] = []
    loading: list[str] = []
    for folder in folders:
        said = run_script(context, where, _LIST, folder, what=f"looking into {folder}")
        for line in said.splitlines():
            match line.split():
                case ["half", _, _, old, run, kind]:
                    kept.append(_Kept(folder, old, run, kind == "undo", half=True))
                case ["kept", name, run, kind]:
                    kept.append(_Kept(folder, name, run, kind == "undo"))
                case ["new", name]:
                    loading.append(f"{folder}/{name}")
                case _:
                    raise Unproven(f"{folder} in {where} holds a mark that cannot be read: {line!r}")
    return _Found(tuple(kept), tuple(loading))


def _check(where: Place, found: _Found, run: str, chosen: Sequence[_Kept]) -> None:
    if not chosen:
        raise Refused(
            f"run {run} has left nothing in these directories of {where} that could be put back: what it"
            " replaced is deleted (--no-keep-old, or by hand)",
            hint="hasteward get backups   (a restore brings back what a snapshot holds)",
            code="undo.nothing_kept",
        )
    for one in chosen:
        later = [o for o in found.kept if o.folder == one.folder and not o.undo and o.name > one.name]
        if later:
            raise Refused(
                f"{one.folder} is not what run {run} had put there: run {later[-1].run} has replaced it",
                hint=f"hasteward undo {later[-1].run}   (that one first, with the same options)",
                code="undo.replaced",
            )


def _plan(
    context: EngineContext, cluster: ClusterRef, where: Place, run: str, chosen: Sequence[_Kept]
) -> Plan:
    steps = [Step("finish or take back what an interrupted run has left", Reversal.REVERSIBLE)]
    steps += [Step(f"move the entries of {one.folder}", Reversal.REVERSIBLE) for one in chosen]
    kept = f"kept in {OURS}old-{context.run.job}"
    gives_up = tuple(f"what {one.folder} holds now ({kept})" for one in chosen)
    notes = ("stop what reads and writes there: the entries are moved one by one",)
    return Plan(f"take the restore of run {run} back in {cluster}, {where}", tuple(steps), gives_up, notes)


def _remove(
    context: EngineContext,
    cluster: ClusterRef,
    where: Place,
    folders: Sequence[str],
    loading: Sequence[str],
) -> PutBack:
    """A restore that died before it moved anything."""
    steps = tuple(Step(f"remove {one}, which a dead run has left", Reversal.FORWARD_ONLY) for one in loading)
    title = f"take back what a restore of {cluster} in {where} was loading when it died"
    if not context.approve(Plan(title, steps, notes=("the live files are as they were before it",))):
        return PutBack("(not known)", planned_only=True)
    end_orphans(context, where)
    return PutBack("(not known)", tuple(mend(context, where, folders)))
