r"""The shell that runs beside the database and vouches for a stream (POSIX sh: dash, bash, busybox).

Exit status 0 in an explicit Status frame is necessary and not sufficient: a restarted container runtime
reports Success for a truncated stream. So the producer runs under this wrapper, which digests the bytes
where they are made and ends its output with a trailer of fixed length::

    <nonce> <algorithm> <exit status> <hex digest>\n

The nonce is random per stream, so no data can imitate it. In a download our stdin is the lifeline: when it
closes, the whole process group dies, because a client that goes away does not end the process in the pod.
In an upload stdin is the data, and a client that dies looks like a clean end of file: therefore whatever
makes an upload final must happen elsewhere, after the digest in the trailer was compared.

No temporary file, no FIFO, nothing written in the pod.

No process of ours that was killed is left for the container's first process to bury: a PostgreSQL that is
process 1 takes it for a backend of its own that crashed, and ends every session. So whatever is ended is
ended while its parent lives and waits for it (`trap : TERM` in each), and the lifeline before the trailer.
"""

from __future__ import annotations

from collections.abc import Sequence

#: what `ps` shows for a stream; the next run finds orphans of a dead one by it
STREAM_MARK = "hasteward-stream"
#: short reads, which need no Lease and are never taken for orphans
READ_MARK = "hasteward-read"

#: tee(1) copies every byte three times, eight KiB at a time; the kernel's tee and splice pass pages on, as
#: many as a pipe holds. Descriptor 5 leads to the digest. Where one end is no pipe, or the numbers of the two
#: calls on this architecture are not known here, tee(1) does it after all. It travels in the address of a
#: request, which has a limit: not a word too many.
_BRANCH = """use Config;
$^F = 9;
($t, $s) = $Config{archname} =~ /^x86_64-/ ? (276, 275) : $Config{archname} =~ /^aarch64-/ ? (77, 76) : ();
open D, ">&=5";
fcntl $_, 1031, 1 << 20 for *STDIN, *STDOUT, *D;
$n = $t && -p STDIN && -p STDOUT ? syscall $t, 0, 5, 1 << 20, 0 : -1;
exec "tee", "/dev/fd/5" if $n < 0;
while ($n) {
  $m = syscall $s, 0, 0, 1, 0, $n, 0;
  die $! if $m < 1;
  $n = $n - $m || syscall $t, 0, 5, 1 << 20, 0;
  die $! if $n < 0;
}
"""

#: $d digests, $c "$p" is the branch before it. For a short stream both are what starts first.
#: ``auto`` becomes the algorithm that a long stream from there should use
_CHOOSE = r"""t=
trap 't=1' TERM
set -f
a=$1 m=$2; shift 2
if [ "$a" = auto ]; then
  a=sha256
  if ! { grep -qm 1 -wE 'sha_ni|sha2' /proc/cpuinfo && command -v openssl; } >/dev/null 2>&1 \
    && b2sum -l 256 </dev/null >/dev/null 2>&1; then a=blake2b-256; fi
fi
c=tee p=/dev/fd/5 d=sha256sum
"""
_SHORT = "command -v sha256sum >/dev/null 2>&1 || d='openssl dgst -sha256 -r'\n"
_LONG = f"""if openssl dgst -sha256 -r </dev/null >/dev/null 2>&1; then d='openssl dgst -sha256 -r'; fi
if LC_ALL=C perl -e 1 >/dev/null 2>&1; then c='env LC_ALL=C PERL5OPT= perl -e' p='{_BRANCH}'; fi
"""
_CHOSEN = """[ "$a" != blake2b-256 ] || d='b2sum -l 256'
n=; if command -v nice >/dev/null 2>&1; then n='nice -n 5'; fi
if [ "$m" != 0 ]; then ulimit -v "$m"; fi
"""

#: whoever was asked to end has nobody to tell: a write could wait for ever. A branch that failed may keep the
#: same bytes from the data and from its digest
_TRAILER = r"""
[ -z "$t" ] || exit 143
r=255 h=none b=
for w in $o; do case $w in rc=*) r=${w#rc=} ;; branch=*) b=1 ;; -|'*'*) ;; *) h=$w ;; esac; done
[ -z "$b" ] || h=none
printf '%s %-11s %3s %64s\n' "${0##*:}" "$a" "$r" "$h" >&3
exit "$r"
"""

#: a stream that is fed begins with text for the program, up to a line with a single dot. It is kept in a
#: variable and given by the shell's own printf, so it is in no arguments, no environment and no file
FED = "while IFS= read -r l <&8 &&"
_FEED = f"""i=; {FED} [ "$l" != . ]; do i="$i$l
"; done
"""
#: where an upload finds that text; its standard input is the data
FED_DESCRIPTOR = "/dev/fd/7"


def _begin(*, short: bool) -> str:
    return _CHOOSE + (_SHORT if short else _LONG) + _CHOSEN


def _download(*, fed: bool, short: bool) -> str:
    feed, run = "", '$n "$@" </dev/null'
    if fed:
        feed, run = _FEED, 'printf %s "$i" 3>&- 4>&- 5>&- 8<&- | $n "$@"'
    return (
        _begin(short=short)
        + f"exec 3>&1 8<&0\n{feed}"
        + r"""(
  trap : TERM
  while read -r w; do :; done <&8
  kill -TERM 0
  sleep 5
  kill -KILL 0
) >/dev/null 2>&1 3>&- &
l=$!
o=$( trap : TERM; { { trap : TERM; { trap : TERM; """
        + run
        + r""" 3>&- 4>&- 5>&- 8<&-; echo "rc=$?" >&4; } \
  | $c "$p" >&3 4>&- 8<&- || echo branch=$? >&4; } 5>&1 | $d 3>&- 4>&- 8<&-; } 4>&1 )
{ kill -KILL "$l"; wait "$l"; } 2>/dev/null
"""
        + _TRAILER
    )


def _upload(*, fed: bool, short: bool) -> str:
    feed, before, after = "", "", ""
    if fed:
        feed = _FEED
        before, after = 'printf %s "$i" 3>&- 8<&- | { trap : TERM; exec 7<&0 </dev/null; ', "; } "
    return (
        _begin(short=short)
        + f"exec 3>&1 8<&0 </dev/null\n{feed}"
        + f"o=$( trap : TERM; {before}"
        + r"""{ { trap : TERM; { trap : TERM; $c "$p" <&8 3>&- 4>&- 8<&- || echo branch=$? >&4; } \
  | { trap : TERM; $n "$@" >&2 3>&- 4>&- 5>&- 8<&-; echo "rc=$?" >&4; }; } 5>&1 \
  | $d 3>&- 4>&- 8<&-; } 4>&1 """
        + f"{after})"
        + _TRAILER
    )


def download_argv(
    argv: Sequence[str],
    *,
    run: str,
    nonce: str,
    mark: str = STREAM_MARK,
    algorithm: str = "auto",
    memory_limit: int = 0,
    fed: bool = False,
    short: bool = False,
) -> list[str]:
    """Wrap a producer. `memory_limit` is bytes of address space, 0 for none.

    One that is `fed` finds the text that is sent first on its standard input. A `short` stream starts sooner,
    a long one is carried with less work.
    """
    script = _download(fed=fed, short=short)
    kib = memory_limit // 1024
    return ["sh", "-c", script, f"{mark}:{run}:{nonce}", algorithm, str(kib), *argv]


def upload_argv(
    argv: Sequence[str],
    *,
    run: str,
    nonce: str,
    mark: str = STREAM_MARK,
    algorithm: str = "auto",
    fed: bool = False,
    short: bool = False,
) -> list[str]:
    """Wrap a consumer; its stdout is sent to stderr, stdout carries the trailer alone.

    One that is `fed` finds the text that is sent first on `FED_DESCRIPTOR`; `short` as in `download_argv`.
    """
    script = _upload(fed=fed, short=short)
    return ["sh", "-c", script, f"{mark}:{run}:{nonce}", algorithm, "0", *argv]
