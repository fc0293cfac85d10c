"""The scripts that are run in a member's container or in a helper pod. POSIX sh, dash and busybox.

Each answers in parts (`hasteward.kit.answers`). None writes anywhere but into a helper's own scratch.
"""

from __future__ import annotations

from typing import Final

#: a view belongs to the answer only if the tables are there (Galera 4), so it comes after the end mark
_SQL: Final = """SET SESSION wsrep_dirty_reads = ON;
SELECT 'hasteward_version', VERSION();
SELECT 'hasteward_desync', @@GLOBAL.wsrep_desync;
SELECT 'wsrep_on_now', IF(@@GLOBAL.wsrep_on, 'ON', 'OFF');
SELECT VARIABLE_NAME, VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS
 WHERE VARIABLE_NAME LIKE 'wsrep%';
SELECT 'hasteward_end', 'ok';
SELECT 'view', cluster_uuid FROM mysql.wsrep_cluster;
SELECT 'member', node_uuid, node_name FROM mysql.wsrep_cluster_members;
"""

#: MariaDB has renamed its programs, so both names are tried (L64)
_CLIENT: Final = """c=
for n in mariadb mysql; do command -v "$n" >/dev/null 2>&1 && { c=$n; break; }; done
"""

#: $1 the data directory, $2 the folder of the configuration, $3 the statements; stdin: an option file, or
#: nothing. Quoting stays whole because nothing here is put together from text (L55).
STATUS: Final = (
    _CLIENT
    + r"""
if [ -z "$c" ]; then echo "@@ status 127"; echo "there is no client program"; else
  o=$("$c" --defaults-extra-file=/dev/stdin --user=root --protocol=socket --connect-timeout=5 \
    --batch --skip-column-names -e "$3" 2>&1); r=$?
  echo "@@ status $r"; printf '%s\n' "$o"
fi
o=$(df -P -k "$1" 2>&1 | tail -n 1); r=$?
echo "@@ disk $r"; printf '%s\n' "$o"
echo "@@ bootstrap 0"; [ -e "$2/1-bootstrap.cnf" ] && echo there
exit 0
"""
)
STATUS_SQL: Final = _SQL

_FILE: Final = """show() {
  if [ -f "$2" ]; then o=$(cat "$2" 2>&1); r=$?; else o=; r=3; fi
  echo "@@ $1 $r"; printf '%s\\n' "$o"
}
"""

#: $1 the mount, $2 the data directory. A mount that failed is never an empty directory (L5).
FILES: Final = (
    _FILE
    + r"""
p=unknown
if [ -f "$2/ibdata1" ] || [ -f "$2/grastate.dat" ]; then p=there
elif [ ! -e "$2" ] && mountpoint -q "$1" 2>/dev/null; then p=empty
elif [ -d "$2" ] && l=$(ls -A "$2" 2>/dev/null) && { [ -z "$l" ] || [ "$l" = lost+found ]; }; then p=empty
fi
echo "@@ presence 0"; echo "$p"
show grastate "$2/grastate.dat"
show gvwstate "$2/gvwstate.dat"
echo "@@ schemas 0"
for f in "$2"/*/; do
  n=${f%/}; n=${n##*/}
  case $n in '*'|mysql|performance_schema|sys|lost+found|'#innodb'*) ;; *) printf '%s/' "$n" ;; esac
done
echo
echo "@@ transfer 0"
for f in sst_in_progress wsrep_sst.pid rsync_sst.pid; do
  if [ -e "$2/$f" ]; then echo unfinished; break; fi
done
o=$(df -P -k "$2" 2>&1 | tail -n 1); r=$?
echo "@@ disk $r"; printf '%s\n' "$o"
exit 0
"""
)

#: $1 the data directory (never written to), $2 scratch, $3 the most to copy in KiB, $4 Galera's library.
#: The system tablespace, the log and the server's own schema are enough: position and last view are in them.
#: Galera and ROW are named, or the server refuses or skips the recovery (L49, L50).
RECOVER: Final = r"""
w=$2/copy
k=$(cd "$1" && du -ck ibdata* ib_logfile* undo[0-9]* mysql 2>/dev/null | tail -n 1 | cut -f 1)
if [ "${k:-0}" -gt "$3" ]; then echo "@@ recover 9"; echo "$k KiB would have to be copied"; exit 0; fi
l=$4
for f in "$4" /usr/lib/galera/libgalera_smm.so /usr/lib64/galera/libgalera_smm.so \
  /usr/lib64/galera-4/libgalera_smm.so; do [ -f "$f" ] && { l=$f; break; }; done
s=
for n in mariadbd mysqld; do s=$(command -v "$n" || ls "/usr/sbin/$n" 2>/dev/null) && break; done
rm -rf "$w"; mkdir "$w" && for f in "$1"/ibdata* "$1"/ib_logfile* "$1"/undo[0-9]* "$1"/mysql; do
  [ -e "$f" ] && { cp -R "$f" "$w/" || exit 1; }
done
o=$("$s" --no-defaults --datadir="$w" --tmpdir="$2" --socket="$2/s" --pid-file="$2/p" --skip-networking \
  --innodb-force-recovery=1 --binlog-format=ROW --wsrep-on=ON --wsrep-provider="$l" \
  --wsrep-cluster-address=gcomm:// --wsrep-recover 2>&1); r=$?
echo "@@ recover $r"; printf '%s\n' "$o" | tail -n 30
printf '%s\n' "SELECT 'view', cluster_uuid FROM mysql.wsrep_cluster INTO OUTFILE '$w/v';" \
  "SELECT 'member', node_uuid, node_name FROM mysql.wsrep_cluster_members INTO OUTFILE '$w/m';" |
  "$s" --no-defaults --datadir="$w" --tmpdir="$2" --socket="$2/s" --pid-file="$2/p" \
  --innodb-force-recovery=1 --bootstrap >/dev/null 2>&1
o=$(cat "$w/v" "$w/m" 2>&1); r=$?
echo "@@ view $r"; printf '%s\n' "$o"
rm -rf "$w" "$2/s" "$2/p"
exit 0
"""


def status_argv(data: str, config: str) -> list[str]:
    """Ask a running server; the password comes by standard input."""
    return ["env", "LC_ALL=C", "sh", "-c", STATUS, "sh", data, config, STATUS_SQL]


def files_argv(mount: str, data: str) -> list[str]:
    """Look at the files of a stopped one."""
    return ["env", "LC_ALL=C", "sh", "-c", FILES, "sh", mount, data]


def recover_argv(data: str, scratch: str, most_kib: int, library: str) -> list[str]:
    """Recover the position from a copy of a stopped one."""
    return ["env", "LC_ALL=C", "sh", "-c", RECOVER, "sh", data, scratch, str(most_kib), library]
