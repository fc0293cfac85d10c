"""MySQL and MariaDB: sections by schema, restored beside the live schemas and swapped by rename."""

from hasteward_sql.mysql.client import Flavour, Server, connect, plain_each
from hasteward_sql.mysql.dump import FORMAT, dump
from hasteward_sql.mysql.group import Group
from hasteward_sql.mysql.quoting import batches
from hasteward_sql.mysql.restore import restore
from hasteward_sql.mysql.undo import put_back

__all__ = [
    "FORMAT",
    "Flavour",
    "Group",
    "Server",
    "batches",
    "connect",
    "dump",
    "plain_each",
    "put_back",
    "restore",
]
