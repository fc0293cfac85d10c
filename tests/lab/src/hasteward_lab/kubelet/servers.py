"""What runs in the usual images of database servers: made at the first start, as their entry points do."""

from __future__ import annotations

# Like the image of that name: data in /var/lib/mysql, socket where clients look for it, root's password from
# the environment. A small server, and quick rather than safe: a lab ends anyway.
_MARIADB = r"""
set -e
mkdir -p /var/lib/mysql /run/mysqld
who=$(id -un)
first=
if [ ! -d /var/lib/mysql/mysql ]; then
  mariadb-install-db --no-defaults --user="$who" --datadir=/var/lib/mysql --skip-test-db \
    --auth-root-authentication-method=normal >/dev/null
  word=$(printf %s "$MARIADB_ROOT_PASSWORD" | sed "s/[\\\\']/\\\\&/g")
  printf "ALTER USER root@localhost IDENTIFIED BY '%s';\n" "$word" >/tmp/first.sql
  first=--init-file=/tmp/first.sql
fi
exec mariadbd --no-defaults --user="$who" --datadir=/var/lib/mysql --socket=/run/mysqld/mysqld.sock \
  --innodb-buffer-pool-size=32M --innodb-log-file-size=8M --innodb-flush-log-at-trx-commit=0 \
  --performance-schema=OFF $first
"""

#: the command of an image
COMMANDS = {"mariadb": ("sh", "-c", _MARIADB)}
