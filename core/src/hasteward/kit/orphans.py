"""Ending the streams that a dead run left in a pod or on a host.

A client that goes away does not end the process in the pod. The wrapper's lifeline does, except when the
kubelet or the runtime died in mid-stream: then producer or consumer wait for ever. The cluster's Lease is
held by the caller, so every stream of another run in the pod belongs to a dead one. A host shows the
processes of everybody: there only streams count that carry the mark of the very lock that the caller holds.
"""

from __future__ import annotations

from hasteward.domain.events import Warned
from hasteward.kit.streaming import capture, stream_mark
from hasteward.ports.context import EngineContext
from hasteward.ports.host import Place

# $0 of our wrappers is "<mark>:<run>:<nonce>"; field 5 of stat is the process group, which the runtime made
# one per exec. POSIX sh and /proc only: ps and pkill are not in every image. What is in another PID namespace
# is only seen from a host: it is a stream in another container, and none of ours.
_END = r"""
n=$(readlink /proc/self/ns/pid 2>/dev/null)
for f in $(grep -ls "$1:" /proc/[0-9]*/cmdline); do
  m=$(tr '\0' '\n' <"$f" 2>/dev/null | grep "^$1:" | head -n 1)
  case $m in ''|"$1:$2:"*) continue ;; esac
  [ "$(readlink "${f%/*}/ns/pid" 2>/dev/null)" = "$n" ] || continue
  s=$(cat "${f%/*}/stat" 2>/dev/null) || continue
  set -- "$1" "$2" ${s##*)}
  g=$5
  # gently first, so that each is buried by its own parent and none by a server that is process 1
  kill -TERM "-$g" 2>/dev/null && echo "$m"
  for w in 1 2 3; do kill -0 "-$g" 2>/dev/null && sleep 1; done
  kill -KILL "-$g" 2>/dev/null
  set -- "$1" "$2"
done
exit 0
"""


def end_orphans(context: EngineContext, pod: Place) -> list[str]:
    """Kill the process groups of streams of other runs in `pod`; return the run ids that were found."""
    found = capture(context, pod, ["sh", "-c", _END, "sh", stream_mark(pod), context.run.id])
    runs = sorted({line.split(":")[1] for line in found.stdout.decode().splitlines() if ":" in line})
    for run in runs:
        context.reporter.emit(Warned("orphan.ended", f"ended a stream that dead run {run} left in {pod}"))
    return runs
