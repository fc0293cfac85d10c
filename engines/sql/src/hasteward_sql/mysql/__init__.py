"""MySQL and MariaDB: sections by schema, restored beside the live schemas and swapped by rename."""

from hasteward_sql.mysql.client import Flavour, Server, connect
from hasteward_sql.mysql.dump import FORMAT, dump
from hasteward_sql.mysql.group import Group
from hasteward_sql.mysql.restore import restore

__all__ = ["FORMAT", "Flavour", "Group", "Server", "connect", "dump", "restore"]
