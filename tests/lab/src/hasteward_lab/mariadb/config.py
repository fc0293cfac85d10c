"""The configuration files of a member, as the operator and the init container write them."""

from __future__ import annotations

from typing import Any

from hasteward_lab.mariadb.names import Names

Object = dict[str, Any]

# Less, and a busy machine suspects its neighbours of being dead.
_LEAST_SUSPECT = 2.0
LIBRARY = "/usr/lib/galera/libgalera_smm.so"
#: an image's own file: the server and its clients read what is mounted there
BASE_CNF = "[client-server]\n!includedir /etc/mysql/conf.d/\n!includedir /etc/mysql/mariadb.conf.d/\n"
DEFAULT_CNF = "[mariadb]\nskip-name-resolve\ntemp-pool\nignore_db_dirs = 'lost+found'\n"
#: small and quick: a lab has little memory, and ends anyway
MY_CNF = """[mariadb]
innodb_buffer_pool_size=24M
innodb_log_file_size=8M
innodb_log_buffer_size=2M
innodb_flush_log_at_trx_commit=2
innodb_buffer_pool_dump_at_shutdown=OFF
innodb_buffer_pool_load_at_startup=OFF
aria_pagecache_buffer_size=4M
key_buffer_size=1M
performance_schema=OFF
max_connections=60
"""


def provider_options(scale: float) -> dict[str, str]:
    """What a lab sets by `providerOptions`: a small gcache, and group communication as quick as its clock."""
    period = max(5.0 * scale, _LEAST_SUSPECT)
    return {
        "gcache.size": "16M",
        "gcache.page_size": "16M",
        "evs.keepalive_period": _seconds(period / 5),
        "evs.inactive_check_period": _seconds(period / 5),
        "evs.suspect_timeout": _seconds(period),
        "evs.inactive_timeout": _seconds(period * 3),
        "evs.install_timeout": _seconds(period * 3),
    }


def _seconds(value: float) -> str:
    return f"PT{value:.2f}S"


def galera_cnf(mariadb: Object, names: Names, pod: str, address: str, password: str) -> str:
    """0-galera.cnf of a member."""
    spec = mariadb["spec"]
    galera = spec["galera"]
    hosts = ",".join(names.host(each) for each in names.pods(int(spec["replicas"])))
    secure = bool(spec.get("tls", {}).get("enabled"))
    own = {"gmcast.listen_addr": "tcp://0.0.0.0:4567", "ist.recv_addr": f"{address}:4568"}
    if secure:
        own |= {"socket.ssl": "true", "socket.dynamic": str(not spec["tls"].get("required")).lower()}
    options = {**own, **galera.get("providerOptions", {})}
    joined = "; ".join(f"{key}={options[key]}" for key in sorted(options))
    rows = {
        "bind_address": "*",
        "default_storage_engine": "InnoDB",
        "binlog_format": "row",
        "innodb_autoinc_lock_mode": "2",
        "wsrep_on": "ON",
        "wsrep_cluster_address": f'"gcomm://{hosts}"',
        "wsrep_cluster_name": "mariadb-operator",
        "wsrep_slave_threads": str(galera.get("replicaThreads", 1)),
        "wsrep_node_address": address,
        "wsrep_node_name": pod,
        "wsrep_provider": galera.get("galeraLibPath", LIBRARY),
        "wsrep_provider_options": f'"{joined}"',
        "wsrep_sst_method": galera["sst"],
        "wsrep_sst_receive_address": f"{address}:4444",
    }
    if galera["sst"] in {"mariabackup", "mysqldump"}:
        rows["wsrep_sst_auth"] = f'"root:{password}"'
    return "[mariadb]\n" + "".join(f"{key}={value}\n" for key, value in rows.items())


#: the image's entry point: an empty data directory becomes a server with root's accounts
ENTRYPOINT = r"""
set -eu
case "${1:-}" in
  '' | -*) set -- mariadbd "$@" ;;
  mariadbd | mysqld) ;;
  *) exec "$@" ;;
esac
if [ ! -d /var/lib/mysql/mysql ]; then
  quoted() { printf %s "$1" | sed "s/[\\\\']/\\\\&/g"; }
  word=$(quoted "$MARIADB_ROOT_PASSWORD")
  check=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  {
    echo "FLUSH PRIVILEGES;"
    echo "DROP USER IF EXISTS root@'127.0.0.1', root@'::1';"
    echo "DELETE FROM mysql.global_priv WHERE User = 'root' AND Host NOT IN ('localhost', '%');"
    echo "FLUSH PRIVILEGES;"
    echo "ALTER USER root@localhost IDENTIFIED BY '$word';"
    echo "CREATE USER root@'${MARIADB_ROOT_HOST:-%}' IDENTIFIED BY '$word';"
    echo "GRANT ALL ON *.* TO root@'${MARIADB_ROOT_HOST:-%}' WITH GRANT OPTION;"
    for host in 127.0.0.1 ::1 localhost; do
      echo "CREATE USER IF NOT EXISTS healthcheck@'$host' IDENTIFIED BY '$check';"
    done
  } >/tmp/first.sql
  mariadb-install-db --no-defaults --datadir=/var/lib/mysql --skip-test-db --cross-bootstrap \
    --auth-root-authentication-method=normal --extra-file=/tmp/first.sql \
    --innodb-log-file-size=8M --innodb-buffer-pool-size=24M --innodb-flush-log-at-trx-commit=0 \
    >/tmp/init.log 2>&1 || { cat /tmp/init.log >&2; exit 1; }
  (umask 077; printf '[mariadb-client]\nuser=healthcheck\npassword=%s\nprotocol=tcp\n' "$check" \
    >/var/lib/mysql/.my-healthcheck.cnf)
  rm -f /tmp/first.sql
fi
exec "$@"
"""
