r"""What runs in the server's container: POSIX sh around the product's own command line.

The token is fed to the exec (or is read or asked for in the pod) and stays in a variable of the shell. The
command line is handed it through its own token helper, the file ``.vault-token`` in the home folder: for us a
link to descriptor 9 in a folder of our own, which is removed at the end. So the token is in no argument, no
environment and no file; what a killed run leaves is a link that leads nowhere, and the next run removes it.

`-c` names the cluster, not the server: the address that the container's environment gives is used, and it is
reported, because an address that leads to another server would make every answer a lie.
"""

from __future__ import annotations

_PROGRAM = r"""set -f
b=
for p in bao vault; do if command -v "$p" >/dev/null 2>&1; then b=$p; break; fi; done
if [ -z "$b" ]; then echo 'neither bao nor vault is in this container' >&2; exit 127; fi
if [ -z "${BAO_ADDR:-$VAULT_ADDR}" ]; then
  BAO_ADDR=https://127.0.0.1:8200 VAULT_ADDR=https://127.0.0.1:8200; export BAO_ADDR VAULT_ADDR
fi
unset BAO_TOKEN VAULT_TOKEN BAO_NAMESPACE VAULT_NAMESPACE BAO_CONFIG_PATH VAULT_CONFIG_PATH
say() { s=$1; shift; o=$("$@" 2>&1); r=$?; printf '@@ %s %s\n%s\n' "$s" "$r" "$o"; }
"""

# $1 says how: given FD, file PATH, kubernetes ROLE MOUNT
_LOGIN = r"""
if [ "$(command -v printf)" != printf ]; then echo 'this shell has no printf of its own' >&2; exit 125; fi
d=
for r in /dev/shm "${HOME:-/}" /tmp; do
  set +f
  for o in "$r"/hasteward.*; do
    if [ -L "$o/.vault-token" ] && ! [ -d "/proc/${o##*.}" ]; then rm -rf "$o"; fi
  done
  set -f
  if mkdir -m 700 "$r/hasteward.$$" 2>/dev/null; then d=$r/hasteward.$$; break; fi
done
if [ -z "$d" ]; then echo 'no folder of this container can be written to' >&2; exit 126; fi
left() { rm -rf "$d"; }
trap left EXIT
ln -s /proc/self/fd/9 "$d/.vault-token"
case $1 in
  given) t=$(cat <&"$2") || exit 124; shift 2 ;;
  file) t=$(cat "$2") || exit 124; shift 2 ;;
  kubernetes)
    t=$("$b" write -field=token "auth/$3/login" "role=$2" \
      jwt=@/var/run/secrets/kubernetes.io/serviceaccount/token) || exit 124
    left() { w token revoke -self >/dev/null 2>&1; rm -rf "$d"; }
    shift 3 ;;
esac
w() { { printf '%s' "$t" | HOME=$d "$b" "$@" 9<&0 <&6; } 6<&0; }
"""

#: $1 the data's folder: the address that is asked, the status anybody may see, the disk, what restores kept
STATUS = (
    _PROGRAM
    + r"""
printf '@@ address 0\n%s\n' "${BAO_ADDR:-$VAULT_ADDR}"
export BAO_CLIENT_TIMEOUT=15 VAULT_CLIENT_TIMEOUT=15 BAO_MAX_RETRIES=0 VAULT_MAX_RETRIES=0
say status "$b" status -format=json
say disk df -Pk "$1"
kept() { set +f; for k in "$1"/hasteward-kept-*; do if [ -f "$k" ]; then ls -l "$k"; fi; done; }
say kept kept "$1"
"""
)

#: the folder in which the server unpacks a snapshot before it takes it
TEMPORARY = r"""
t=${TMPDIR:-/tmp}
if ! [ -d "$t" ] || ! [ -w "$t" ]; then echo "$t cannot be written to" >&2; exit 1; fi
echo "@@ disk 0"
exec df -Pk "$t"
"""

#: what only a leader can say; before the token's words nothing, after them nothing
RAFT = (
    _PROGRAM
    + _LOGIN
    + r"""
say peers w read -format=json sys/storage/raft/configuration
say autopilot w read -format=json sys/storage/raft/autopilot/state
say keys w read -format=json sys/key-status
"""
)

#: the snapshot, unpacked: `-` as its name would make a file of that name
SAVE = (
    _PROGRAM
    + _LOGIN
    + r"""
exec 4>&1
s=$( { { w operator raft snapshot save /dev/stdout 3>&- 4>&-; echo $? >&3; } \
  | gzip -dc >&4 3>&- 4>&-; } 3>&1 )
z=$?
exec 4>&-
if [ "$s" != 0 ]; then exit "$s"; fi
exit $z
"""
)

#: $1 the file on the data's volume that will hold what is live now
KEEP = (
    _PROGRAM
    + _LOGIN
    + r"""
umask 077
rm -f "$1.part"
w operator raft snapshot save "$1.part" && mv "$1.part" "$1" && ls -l "$1" && exit 0
s=$?
rm -f "$1.part"
exit $s
"""
)

#: $1 the file that is no longer needed
FORGET = r"""
exec rm -f "$1" "$1.part"
"""

#: standard input is a snapshot; $1 is ``-force`` or empty
RESTORE = (
    _PROGRAM
    + _LOGIN
    + r"""
w operator raft snapshot restore $1 /dev/stdin
"""
)

#: $1 the data's folder of a server that neither leads nor follows: all that Raft and its storage have there.
#: Each write changes the beginning of its file, so what has the same beginning afterwards was not written to.
CAPTURE = r"""
cd "$1" || exit 1
mark() { for f in vault.db raft/raft.db; do if [ -f "$f" ]; then head -c 131072 "$f" | cksum; fi; done; }
m=$(mark)
tar -cf - vault.db raft || exit
if [ "$(mark)" != "$m" ]; then echo 'the server wrote to its files meanwhile' >&2; exit 75; fi
"""

#: $1 the file, $2 the first block of 4096 bytes, $3 how many
BLOCKS = r"""
exec dd if="$1" bs=4096 skip="$2" count="$3" 2>/dev/null
"""

#: $1 the data's folder, $2 the configuration in which a server that starts finds itself alone. What lies
#: there already and is not ours stops us.
ALONE = r"""
cd "$1/raft" || exit 1
umask 077
if [ -e peers.json ] && [ "$(cat peers.json)" != "$2" ]; then
  echo 'there is a raft/peers.json already, and not the one of this repair' >&2; exit 73
fi
printf '%s\n' "$2" >peers.json.hasteward && mv peers.json.hasteward peers.json
"""

#: $1 the data's folder, $2 the configuration that is taken back; says whether a server has read it already
NOT_ALONE = r"""
cd "$1/raft" || exit 1
rm -f peers.json.hasteward
if ! [ -e peers.json ]; then echo gone; exit 0; fi
if [ "$(cat peers.json)" = "$2" ]; then rm peers.json && echo removed; exit; fi
echo 'raft/peers.json is not the one of this repair' >&2; exit 73
"""

#: $1 the peer
REMOVE_PEER = (
    _PROGRAM
    + _LOGIN
    + r"""
w operator raft remove-peer "$1"
"""
)
