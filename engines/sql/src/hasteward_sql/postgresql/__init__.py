"""PostgreSQL: sections by database. Only the dump is here yet; see `dump`."""

from hasteward_sql.postgresql.client import Server, connect
from hasteward_sql.postgresql.dump import FORMAT, dump

__all__ = ["FORMAT", "Server", "connect", "dump"]
