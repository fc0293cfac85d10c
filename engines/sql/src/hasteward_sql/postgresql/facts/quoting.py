"""Names and values written as SQL and as connection strings. Always quoted, never guessed."""

from __future__ import annotations

from hasteward.domain.errors import InvalidInput


def _clean(text: str) -> str:
    if "\0" in text:
        raise InvalidInput("a name or value holds a zero byte, which PostgreSQL cannot store")
    return text


def identifier(name: str) -> str:
    """`name` as a quoted SQL identifier."""
    if not name:
        raise InvalidInput("a name is empty")
    return '"' + _clean(name).replace('"', '""') + '"'


def literal(value: str) -> str:
    """`value` as a SQL string constant, spelled as PostgreSQL's quote_literal does."""
    quoted = "'" + _clean(value).replace("'", "''") + "'"
    return "E" + quoted.replace("\\", "\\\\") if "\\" in quoted else quoted


def conninfo(database: str) -> str:
    """A connection string that names nothing but the database."""
    return "dbname='" + _clean(database).replace("\\", "\\\\").replace("'", "\\'") + "'"


def connect(database: str) -> str:
    r"""The ``\connect`` of psql to `database`; InvalidInput for a name of several lines, as in pg_dump."""
    if "\n" in database or "\r" in database:
        raise InvalidInput(
            f"the name of database {database!r} holds a line break, and pg_dump refuses such a name",
            hint="rename it: ALTER DATABASE ... RENAME TO",
        )
    return f"\\connect -reuse-previous=on {identifier(conninfo(database))}"


def setting_items(value: str) -> list[str]:
    r"""Split a stored list setting (``"$user", public``) into its items, as SplitGUCList does."""
    items: list[str] = []
    rest = value.strip()
    while rest:
        if rest.startswith('"'):
            end = _closing(rest)
            items.append(rest[1:end].replace('""', '"'))
            rest = rest[end + 1 :].lstrip()
        else:
            item, comma, tail = rest.partition(",")
            items.append(item.strip())
            rest = comma + tail
        if rest and not rest.startswith(","):
            raise ValueError(f"{value!r} is not a list of names")
        rest = rest[1:].lstrip()
    return items


def _closing(text: str) -> int:
    """Where the quoted name that `text` starts with ends."""
    position = 1
    while (position := text.find('"', position)) != -1:
        if text[position : position + 2] != '""':
            return position
        position += 2
    raise ValueError(f"{text!r} has an opening quote without its end")


#: settings that PostgreSQL stores as a list of quoted names; each item must be given separately
_LISTS = frozenset(
    {
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    }
)


def set_clause(entry: str) -> str:
    """``name=value`` as pg_db_role_setting stores it, written as ``SET name TO value``."""
    name, equals, value = entry.partition("=")
    if not equals:
        raise ValueError(f"{entry!r} is not a setting")
    if name.lower() in _LISTS:
        items = ", ".join(literal(item) for item in setting_items(value)) or "''"
        return f"SET {identifier(name)} TO {items}"
    return f"SET {identifier(name)} TO {literal(value)}"
