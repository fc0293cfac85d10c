"""Directories as tar, each a section of its own."""

from __future__ import annotations

from collections.abc import Sequence

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import InvalidInput, Refused, RunFailed
from hasteward.domain.events import Progress
from hasteward.domain.plan import Plan, Step
from hasteward.kit.orphans import end_orphans
from hasteward.kit.sections import SectionWriter
from hasteward.kit.streaming import capture
from hasteward.ports.context import DumpProof, DumpSink, EngineContext
from hasteward.ports.host import Place
from hasteward_sql.words import human
from hasteward_standalone.collect.files import OURS, look

#: a tar ends with at least two blocks of nothing
END_MARKER = bytes(512)


def dump(
    context: EngineContext, cluster: ClusterRef, where: Place, sink: DumpSink, folders: Sequence[str]
) -> DumpProof:
    """One tar per directory. A file that changes while it is read fails the dump: stop what writes."""
    sizes = {}
    for folder in folders:
        sizes[folder], trouble = look(context, where, folder)
        if trouble == "absent":
            raise InvalidInput(f"there is no directory {folder} in {where}", code="files.absent")
        if trouble == "empty":
            raise Refused(
                f"{folder} in {where} is empty: a backup of it would hide what was lost",
                hint="look whether the volume is mounted",
                code="dump.empty",
            )
        if trouble:
            raise Refused(
                f"a restore of {folder} in {where} was interrupted while it moved entries",
                hint="run that hasteward restore again: it puts this in order first",
                code="dump.half_restored",
            )
    steps = tuple(Step(f"save {folder} ({human(size)})") for folder, size in sizes.items())
    notes = ("files are saved one after the other; a file that changes meanwhile fails the dump",)
    if not context.approve(Plan(f"save files of {cluster} in {where}", steps, (), notes)):
        return DumpProof(str(where), "", (), planned_only=True)
    end_orphans(context, where)
    context.reporter.emit(Progress("dump", 0, about=sum(sizes.values())))
    writer = SectionWriter(context, sink, capture(context, where, ["true"]).algorithm)
    for folder in folders:
        argv = ["tar", "-C", folder, "--numeric-owner", f"--exclude=./{OURS}*", "-cf", "-", "."]
        try:
            writer.stream("files", folder, where, argv, end_marker=END_MARKER)
        except RunFailed as error:
            if "changed as we read it" not in error.message:
                raise
            hint = "stop what writes there, or save a snapshot of the volume"
            raise RunFailed(error.message, hint=hint, code="files.changed") from error
    return DumpProof(str(where), "", writer.sections, {"folders": {name: sizes[name] for name in folders}})
