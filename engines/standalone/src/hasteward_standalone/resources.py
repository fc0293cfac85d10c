"""Names: the kinds of databases, their files and formats, and the engine's options."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from hasteward.domain.capability import DumpLayout
from hasteward.domain.errors import InvalidInput
from hasteward.domain.option import Kind, OptionSpec, Value


class DbType(StrEnum):
    """What ``--db-type`` can be."""

    POSTGRES = "postgres"
    MYSQL = "mysql"
    MARIADB = "mariadb"
    MONGO = "mongo"
    FILES = "files"


def db_type(options: Mapping[str, Value]) -> DbType:
    """What ``--db-type`` says. Raises InvalidInput when it is not given."""
    given = options.get("db_type")
    if not given:
        raise InvalidInput(
            "--db-type is required", hint=f"give one of {', '.join(DbType)}", code="setting.missing"
        )
    return DbType(str(given))


#: where a dump lies below ``<namespace>/<cluster>/``, and what it is
LAYOUTS = {
    DbType.POSTGRES: DumpLayout("pgdumpall.sql", "postgresql-sections-2"),
    DbType.MYSQL: DumpLayout("mysqldump.sql", "mysql-sections-1"),
    DbType.MARIADB: DumpLayout("mysqldump.sql", "mysql-sections-1"),
    DbType.MONGO: DumpLayout("mongodump.archive", "mongo-archive-1"),
    DbType.FILES: DumpLayout("files.tar", "tar-sections-1"),
}
USERS = {
    DbType.POSTGRES: "postgres",
    DbType.MYSQL: "root",
    DbType.MARIADB: "root",
    DbType.MONGO: "",
    DbType.FILES: "",
}

#: said on every run with MongoDB
EXPERIMENTAL = (
    "MongoDB is experimental: this was never run against a real server, only against a fake mongodump"
)

OPTIONS = (
    OptionSpec("db_type", "What runs there.", Kind.CHOICE, choices=tuple(DbType)),
    OptionSpec("container", "Container in the pod, if it has several.", metavar="NAME"),
    OptionSpec(
        "secret_name",
        "Kubernetes Secret with the database password; without one the local login is used.",
        metavar="NAME",
    ),
    OptionSpec("secret_key", "Key of the password in the Secret.", default="password", metavar="KEY"),
    OptionSpec("secret_file", "File on this machine that holds the database password.", metavar="FILE"),
    OptionSpec("db_user", "Database user; postgres or root if not given.", metavar="NAME"),
    OptionSpec("path", "Directory to save, for files; may be given several times.", Kind.LIST, metavar="DIR"),
)
