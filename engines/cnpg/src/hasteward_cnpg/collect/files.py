"""Reads the files of a member whose server does not answer: through exec, or by a helper pod.

Two short commands: one looks at the directory (never trusting what might be a mount that failed), one walks
the log from the last checkpoint to the first invalid record. Files count only if no server used them
meanwhile: in its own pod the script looks for the process, and for a pod that is down the container must be
the same, and still down, when the reading is over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hasteward.domain.errors import HastewardError, RunFailed
from hasteward.domain.reading import Absent, Known, Reading, Unread
from hasteward.kit.streaming import capture
from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import PodRef
from hasteward_cnpg.evidence import FileFacts, Lsn, Position, Tally
from hasteward_cnpg.facts.files import (
    Look,
    Presence,
    holders,
    parse_control,
    parse_end,
    parse_look,
    parse_tally,
    segment_name,
    start_of,
)
from hasteward_cnpg.facts.lineage import Stretch, past
from hasteward_sql.postgresql.collect.client import one_line

#: a member's own container knows its directory; a helper is told
_DIRECTORY = "d=${1:-${PGDATA:-/var/lib/postgresql/data/pgdata}}\n"
_LOOK = (
    _DIRECTORY
    + r"""
if [ -f "$d/global/pg_control" ]; then p=there
elif [ ! -e "$d" ] && mountpoint -q "${d%/*}" 2>/dev/null; then p=empty
elif [ -d "$d" ] && l=$(ls -A "$d" 2>/dev/null) && { [ -z "$l" ] || [ "$l" = lost+found ]; }; then p=empty
else p=unknown; fi
s=gone
for p2 in /proc/[0-9]*; do
  read -r n 2>/dev/null <"$p2/comm" || continue
  if [ "$n" = postgres ] && [ "$p2/cwd" -ef "$d" ]; then s=running; fi
done
echo "@@presence"; echo "$p"; echo "@@server"; echo "$s"
if [ $p = there ]; then
  echo "@@control"; pg_controldata "$d" || exit 1
  echo "@@segments"; ls "$d/pg_wal/"
  for h in "$d"/pg_wal/*.history; do
    [ -f "$h" ] || continue
    echo "@@history ${h##*/}"; cat "$h"; echo
  done
  echo "@@room"; df -Pk "$d" "$d/pg_wal/." 2>/dev/null
fi
echo "@@end"
"""
)
#: $1 data directory, $2 timeline, $3 start; says where it stopped on stderr, and its status is then 1
_WALK = _DIRECTORY + r'pg_waldump -q -p "$d/pg_wal" -t "$2" -s "$3" 2>&1; exit 0'
#: $1 data directory, $2 timeline, $3 start, $4 end, $5 the log file of the start: for one that is not there
#: pg_waldump would wait five seconds
_COUNT = (
    _DIRECTORY
    + r"""
[ -f "$d/pg_wal/$5" ] || { echo "$5 is not there" >&2; exit 1; }
o=$(pg_waldump -p "$d/pg_wal" -t "$2" -s "$3" -e "$4" -r Transaction) || exit
printf '%s\n' "$o" | { n=0; l=; while IFS= read -r x; do
  case $x in *'desc: COMMIT'*) n=$((n+1)); l=$x ;; esac
done; printf '%s\n%s\n' "$n" "$l"; }
"""
)
#: $1 data directory, $2 offset, $3 count, then the log files that may hold it, the likeliest first
_BYTES = (
    _DIRECTORY
    + r"""
o=$2 n=$3; shift 3
for f do
  [ -f "$d/pg_wal/$f" ] || continue
  dd if="$d/pg_wal/$f" bs=1 skip="$o" count="$n" 2>/dev/null | cksum
  exit
done
exit 3
"""
)
_NO_FILE = 3
_PAGE = 8192


@dataclass(frozen=True, slots=True)
class Place:
    """A container from which a member's data directory can be read; an empty name means its own PGDATA."""

    pod: PodRef
    directory: str


def _run(context: EngineContext, place: Place, script: str, *arguments: str) -> str:
    argv = ["env", "LC_ALL=C", "TZ=UTC", "sh", "-c", script, "sh", *arguments]
    answer = capture(context, place.pod, argv)
    if answer.exit_status != 0:
        said = one_line(answer.stderr) or "no message"
        raise RunFailed(f"looking at the files in {place.pod} exited with {answer.exit_status}: {said}")
    return answer.stdout.decode("utf-8", "replace")


def read_files(context: EngineContext, place: Place) -> Reading[FileFacts]:
    """The member's files, Absent where a mounted directory was listed and is empty."""
    source = f"the files of {place.pod.name}"
    try:
        look = parse_look(_run(context, place, _LOOK, place.directory))
        if look.running:
            return Unread(f"{source}: a server uses them, and does not answer")
        match look.presence:
            case Presence.EMPTY:
                return Absent(f"{source}: the volume is mounted, and its data directory is empty")
            case Presence.UNKNOWN:
                return Unread(f"{source}: it could not be told whether there is a data directory")
            case Presence.THERE:
                return Known(_walk(context, place, look), source)
    except (HastewardError, ValueError) as error:
        return Unread(f"{source}: {error}")


def _walk(context: EngineContext, place: Place, look: Look) -> FileFacts:
    control = parse_control(look.control)
    start = start_of(control, look)
    said = _run(context, place, _WALK, place.directory, str(start.timeline), str(start.at))
    return FileFacts(control, parse_end(start, said, control.segment_bytes), look.free)


def _count(
    context: EngineContext, place: Place, part: Stretch, later: Sequence[Stretch], segment_bytes: int
) -> str:
    """The commits of one stretch; all of it, or RunFailed.

    A promotion renames the last file of the timeline that it leaves, and begins the next one with a copy of
    it: what cannot be read by its own number may stand whole in the file of a later timeline.
    """
    failure: RunFailed | None = None
    for stretch in later:
        file = segment_name(stretch.timeline, part.start, segment_bytes)
        arguments = (place.directory, str(stretch.timeline), str(part.start), str(part.end), file)
        try:
            return _run(context, place, _COUNT, *arguments)
        except RunFailed as error:
            failure = failure or error
    raise failure or RunFailed(f"there is no log of timeline {part.timeline} to count in")


def read_tally(
    context: EngineContext, place: Place, position: Position, fork: Lsn, segment_bytes: int
) -> Reading[Tally]:
    """The commits that a member holds past `fork`."""
    source = f"pg_waldump in {place.pod.name}"
    try:
        parts = past(position, fork)
        texts = [
            _count(context, place, part, parts[number:], segment_bytes) for number, part in enumerate(parts)
        ]
        return Known(parse_tally(texts), source)
    except (HastewardError, ValueError) as error:
        return Unread(f"{source}: {error}")


def read_mark(
    context: EngineContext, place: Place, position: Position, fork: Lsn, segment_bytes: int
) -> Reading[str]:
    """A checksum of the last bytes before `fork`; Absent where that part of the log is no longer there."""
    source = f"the log of {place.pod.name}"
    last = Lsn(fork.position - 1)
    files = holders(position, last, segment_bytes)
    if not files:
        return Unread(f"{source}: it does not reach back to {fork}")
    count = last.position % _PAGE + 1
    offset = last.position % segment_bytes - count + 1
    argv = ["sh", "-c", _BYTES, "sh", place.directory, str(offset), str(count), *files]
    try:
        answer = capture(context, place.pod, argv)
    except HastewardError as error:
        return Unread(f"{source}: {error.message}")
    if answer.exit_status == _NO_FILE:
        return Absent(f"{files[-1]} is not there")
    if answer.exit_status != 0:
        return Unread(f"{source}: reading {files[-1]} exited with {answer.exit_status}")
    return Known(answer.stdout.decode("ascii", "replace").strip(), source)
