#!/bin/sh
# PID 1 of a database container: starts the server, passes signals on, and ends when it ends.
set -u
case "${1:-}" in
    wal-archive) exit 0 ;;
    wal-restore) exit 1 ;;
esac
# Left behind by a container that was killed: no server can be running in a new one.
rm -f /controller/run/.s.PGSQL.* "$PGDATA/postmaster.pid"
echo "instance manager: starting the server in $PGDATA"
postgres -D "$PGDATA" &
server=$!
asked=0
trap 'asked=1; kill -INT "$server" 2>/dev/null' TERM INT
while :; do
    wait "$server"
    code=$?
    # `wait` also returns when a signal was trapped; the server may still be there.
    kill -0 "$server" 2>/dev/null || break
done
if [ "$asked" = 1 ]; then
    exit 0
fi
echo "instance manager: the server ended unexpectedly with code $code"
[ "$code" -ne 0 ] || code=1
exit "$code"
