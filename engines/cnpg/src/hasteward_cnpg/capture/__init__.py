"""Saves the files of a member whose server is gone, as one tar, before anything overwrites them.

What a logical dump cannot hold, because its server does not run, the files do: every commit up to the end of
valid log. The tar is read where the files lie (the member's own container under a fence, or a helper pod on
its volumes), through the proven stream, with links followed: log and tablespaces are in it wherever they are
mounted, and a volume that is not there makes it fail. The files are looked at before and after: what changed
meanwhile was no capture.

The tar begins with a file of ours, `NOTE`, that says what it is; the manifest's catalog holds the same::

    {"member", "image": "" when not known, "major": text, "tablespaces": {OID: LOCATION}, "bytes": on disk,
     "control": {"system_id", "state", "timeline", "checkpoint", "redo"} | null,
     "end": {"timeline", "lsn", "history": [{"timeline", "lsn"}, ...]} | null,
     "doubt": why these two are null}
"""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
from typing import Any

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError, Refused, RunFailed, Unproven
from hasteward.domain.events import PhaseStarted, Progress, Warned
from hasteward.domain.reading import Absent, Known, Unread
from hasteward.kit.orphans import end_orphans
from hasteward.kit.sections import SectionWriter
from hasteward.kit.streaming import capture
from hasteward.ports.context import Captures, DumpProof, DumpSink, EngineContext
from hasteward.ports.kubernetes import PODS
from hasteward.streams.proof import Algorithm
from hasteward_cnpg.collect.files import Place, read_files
from hasteward_cnpg.evidence import FileFacts
from hasteward_cnpg.facts.capture import NOTE, State, parse_state
from hasteward_cnpg.facts.objects import mapping
from hasteward_cnpg.resources import CAPTURE_FILE, CAPTURE_FORMAT, CONTAINER
from hasteward_sql.postgresql.collect.client import one_line

#: a tar ends with blocks of zeroes
_END_MARKER = bytes(tarfile.BLOCKSIZE)
_DIRECTORY = "d=${1:-${PGDATA:-/var/lib/postgresql/data/pgdata}}\n"
#: one line for each thing that no running server leaves alone; $1 data directory
_STATE = (
    _DIRECTORY
    + r"""
[ -f "$d/PG_VERSION" ] || { echo "there is no PG_VERSION in $d" >&2; exit 1; }
s=gone
for p in /proc/[0-9]*; do
  read -r n 2>/dev/null <"$p/comm" || continue
  if [ "$n" = postgres ] && [ "$p/cwd" -ef "$d" ]; then s=running; fi
done
echo "@@server"; echo "$s"
echo "@@major"; cat "$d/PG_VERSION"
echo "@@version"; postgres --version 2>/dev/null
echo "@@kib"; du -skL "$d" | { read -r k x; echo "$k"; }
echo "@@tablespaces"
for l in "$d"/pg_tblspc/*; do
  if [ -L "$l" ]; then printf '%s %s\n' "${l##*/}" "$(readlink "$l")"; fi
done
echo "@@mark"
cksum <"$d/global/pg_control"
TZ=UTC ls -lnL "$d/pg_wal/" | cksum
echo "@@end"
"""
)
_TAR = (
    _DIRECTORY
    + r"""
s=; if tar --sort=name --version >/dev/null 2>&1; then s=--sort=name; fi
exec tar -c -h $s -f - -C "$d" .
"""
)


def save_pgdata(
    context: EngineContext,
    cluster: ClusterRef,
    captures: Captures,
    *,
    member: str,
    ordinal: int,
    place: Place,
) -> str:
    """Capture the member's files at `place` into the repository; the id of the proven snapshot.

    The server MUST have been proven to be gone, and its container unable to start it, before this is called;
    a server that is seen here all the same is refused. A helper pod's deadline must leave it the time.
    """
    return captures.save(
        ordinal,
        CAPTURE_FILE,
        CAPTURE_FORMAT,
        lambda sink: capture_pgdata(context, cluster, member=member, place=place, sink=sink),
    )


def capture_pgdata(
    context: EngineContext, cluster: ClusterRef, *, member: str, place: Place, sink: DumpSink
) -> DumpProof:
    """Write the member's files as one tar into `sink`; Unproven when they did not hold still."""
    context.reporter.emit(PhaseStarted("capture", f"capturing the files of {cluster.namespace}/{member}"))
    before = _state(context, place, member)
    catalog = _catalog(context, member, place, before)
    end_orphans(context, place.pod)
    context.reporter.emit(Progress("dump", 0, about=before.size))
    writer = SectionWriter(context, sink, before.algorithm)
    writer.text("note", "", _note(catalog, int(context.run.started.timestamp())))
    argv = ["env", "LC_ALL=C", "sh", "-c", _TAR, "sh", place.directory]
    writer.stream("files", "pgdata", place.pod, argv, end_marker=_END_MARKER)
    if _state(context, place, member) != before:
        raise Unproven(
            f"the files of {member} changed while they were captured; nothing was kept",
            hint="see what writes there, then run the same command again",
            code="capture.moved",
        )
    return DumpProof(member, before.version, writer.sections, catalog)


def _state(context: EngineContext, place: Place, member: str) -> State:
    answer = capture(context, place.pod, ["env", "LC_ALL=C", "sh", "-c", _STATE, "sh", place.directory])
    if answer.exit_status != 0:
        raise RunFailed(
            f"the files of {member} cannot be captured: {one_line(answer.stderr) or 'no message'}",
            code="capture.no_files",
        )
    try:
        state = parse_state(answer.stdout.decode("utf-8", "replace"), Algorithm(answer.algorithm))
    except ValueError as error:
        raise Unproven(f"the files of {member} could not be looked at: {error}") from error
    if state.running:
        raise Refused(
            f"the server of {member} runs: its files are no capture while it writes to them",
            hint="a repair stops it first; to save what it says of itself: hasteward backup -i N",
            code="capture.running",
        )
    return state


def _catalog(context: EngineContext, member: str, place: Place, state: State) -> dict[str, Any]:
    control, end, doubt = None, None, ""
    found = read_files(context, place)
    if isinstance(found, Unread):  # it is worth a second look: without it nobody can tell a short recovery
        found = read_files(context, place)
    match found:
        case Known(FileFacts() as facts):
            control = {
                "system_id": facts.control.system_id,
                "state": facts.control.state,
                "timeline": facts.control.timeline,
                "checkpoint": str(facts.control.checkpoint),
                "redo": str(facts.control.redo),
            }
            history = [{"timeline": fork.timeline, "lsn": str(fork.at)} for fork in facts.position.ancestors]
            end = {"timeline": facts.position.timeline, "lsn": str(facts.position.end), "history": history}
        case Unread(why) | Absent(why):
            doubt = why
            text = f"the files of {member} are captured, but may not recover: {why}"
            context.reporter.emit(Warned("capture.doubt", text))
    return {
        "member": member,
        "image": _image(context, place),
        "major": state.major,
        "tablespaces": dict(state.tablespaces),
        "bytes": state.size,
        "control": control,
        "end": end,
        "doubt": doubt,
    }


def _image(context: EngineContext, place: Place) -> str:
    """What the container runs, "" when the API does not tell: then a restore takes the cluster's."""
    with contextlib.suppress(HastewardError):
        body = context.kubernetes.get(PODS, place.pod.namespace, place.pod.name)
        wanted = {place.pod.container, CONTAINER}
        for container in mapping(body.get("spec")).get("containers") or ():
            if mapping(container).get("name") in wanted:
                return str(container.get("image") or "")
    return ""


def _note(catalog: dict[str, Any], time: int) -> bytes:
    """A tar's member without the tar's end, so that what follows belongs to the same archive."""
    text = json.dumps(catalog, indent=1, sort_keys=True).encode() + b"\n"
    info = tarfile.TarInfo(NOTE)
    info.size, info.mode, info.mtime = len(text), 0o600, time
    whole = io.BytesIO()
    whole.write(info.tobuf(tarfile.USTAR_FORMAT))
    whole.write(text)
    whole.write(bytes(-len(text) % tarfile.BLOCKSIZE))
    return whole.getvalue()
