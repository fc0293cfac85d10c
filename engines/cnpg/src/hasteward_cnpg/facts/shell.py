"""The scripts that work on a member's volumes. POSIX sh; each comes to the same end when it is run again.

What is being made is called ``NAME.hasteward-new-RUN`` beside the directory that it is for, what it replaced
``NAME.hasteward-old-RUN``, and a directory that is being rewound ``NAME.hasteward-rewind-RUN``: so a server
never finds half of anything under the name that it looks for. All begin with the same words: member, data
directory, run, directory of the log where it has a volume of its own ("" if not); directories of tablespaces
come last.
"""

from __future__ import annotations

from typing import Final

_WORDS: Final = r"""
set -eu
umask 077
m=$1 d=$2 s=$3 w=$4
shift 4
n=$d.hasteward-new-$s
"""
#: makes a directory one of a standby of this cluster: the operator's own settings are in override.conf, and
#: what is in postgresql.auto.conf would win over them
_FINISH: Final = r"""
finish() {
  f=$1/postgresql.auto.conf
  if [ -f "$f" ]; then
    chmod 600 "$f"
    p='^[[:space:]]*(primary_conninfo|primary_slot_name|restore_command|recovery_target[a-z_]*)[[:space:]=]'
    grep -Eiv "$p" "$f" >"$f.hasteward" || [ $? -eq 1 ]
    cat "$f.hasteward" >"$f"
    rm "$f.hasteward"
  fi
  rm -f "$1"/cnpg_initialized-* "$1/recovery.signal" "$1/postmaster.pid"
  : >"$1/cnpg_initialized-$m"
  : >"$1/standby.signal"
}
"""

#: says what the other end is: system identifier, timeline, position, database
IDENTIFY: Final = r"""psql -X -A -t -q -w -d "$1 replication=true" -c IDENTIFY_SYSTEM"""

#: $5 is where to clone from
CLONE: Final = (
    _WORDS
    + _FINISH
    + r"""
c=$1
shift
rm -rf "$n"
for x do
  rm -rf "$x.hasteward-new-$s"
  set -- "$@" -T "$x=$x.hasteward-new-$s"
  shift
done
if [ -n "$w" ]; then
  rm -rf "$w.hasteward-new-$s"
  set -- "$@" --waldir "$w.hasteward-new-$s"
fi
pg_basebackup -D "$n" -d "$c" -X stream -c fast -P -w "$@" 2>&1
finish "$n"
sync
"""
)
#: takes back a clone that nothing uses yet
UNCLONE: Final = (
    _WORDS
    + r"""
rm -rf "$n"
for x in ${w:+"$w"} "$@"; do rm -rf "$x.hasteward-new-$s"; done
"""
)
#: pg_rewind was begun by somebody who died: what became of the directory cannot be told
BROKEN: Final = 9
#: pg_rewind itself said no
FAILED: Final = 8
#: $5 is what to rewind to
REWIND: Final = (
    _WORDS
    + _FINISH
    + r"""
c=$1
r=$d.hasteward-rewind-$s
if [ ! -e "$r" ] && [ ! -e "$d" ] && [ -f "$n/standby.signal" ]; then exit 0; fi
if [ -e "$r" ] || [ ! -d "$d" ]; then exit 9; fi
mv "$d" "$r"
chmod 700 "$r"
rm -f "$r/postmaster.pid"
[ ! -f "$r/postgresql.auto.conf" ] || chmod 600 "$r/postgresql.auto.conf"
pg_rewind -P --target-pgdata="$r" --source-server="$c" 2>&1 || exit 8
finish "$r"
mv "$r" "$n"
sync
"""
)
#: removes the member's data, to make room or because a rewind broke it
EMPTY: Final = (
    _WORDS
    + r"""
rm -rf "$d" "$d.hasteward-rewind-$s" "$n"
for x in ${w:+"$w"} "$@"; do rm -rf "$x" "$x.hasteward-new-$s"; done
"""
)
#: $5 is "keep" or "drop": what becomes of what was there before
ADOPT: Final = (
    _WORDS
    + r"""
k=$1
shift
if [ ! -d "$n" ]; then
  [ -f "$d/standby.signal" ] && [ -e "$d/cnpg_initialized-$m" ] && exit 0
  echo "there is no $n" >&2
  exit 1
fi
swap() {
  [ -d "$1.hasteward-new-$s" ] || return 0
  if [ -e "$1" ]; then
    if [ "$k" = keep ]; then mv "$1" "$1.hasteward-old-$s"; else rm -rf "$1"; fi
  fi
  mv "$1.hasteward-new-$s" "$1"
}
for x do swap "$x"; done
for l in "$n"/pg_tblspc/*; do
  [ -h "$l" ] || continue
  t=$(readlink "$l")
  case $t in *".hasteward-new-$s") ln -sfn "${t%.hasteward-new-$s}" "$l" ;; esac
done
if [ -n "$w" ]; then
  swap "$w"
  ln -sfn "$w" "$n/pg_wal"
fi
swap "$d"
sync
"""
)
#: removes what was put aside
DISCARD: Final = (
    _WORDS
    + r"""
for x in "$d" ${w:+"$w"} "$@"; do rm -rf "$x.hasteward-old-$s"; done
"""
)
#: $1 data directory: whether a server uses it, in this pod
SERVES: Final = r"""
for p in /proc/[0-9]*; do
  read -r n 2>/dev/null <"$p/comm" || continue
  if [ "$n" = postgres ] && [ "$p/cwd" -ef "$1" ]; then echo running; exit; fi
done
echo gone
"""


def script(text: str, *words: str) -> list[str]:
    """The command that runs a script, the same in every locale."""
    return ["env", "LC_ALL=C", "TZ=UTC", "sh", "-c", text, "sh", *words]
