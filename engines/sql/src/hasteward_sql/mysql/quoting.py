"""Names and texts as SQL and option files take them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hasteward.domain.errors import InvalidInput

#: the kernel takes 128 KiB as one argument, and it travels in the address of a request, where it is longer
_BATCH_BYTES = 32 * 1024


def identifier(name: object) -> str:
    """A name in backticks."""
    text = str(name)
    if "\0" in text:
        raise InvalidInput("a name cannot hold a NUL")
    return "`" + text.replace("`", "``") + "`"


def qualified(schema: str, name: str) -> str:
    """``schema``.``name``."""
    return f"{identifier(schema)}.{identifier(name)}"


def literal(data: bytes | str) -> str:
    """A value as hexadecimal digits: the same under every SQL mode and character set."""
    raw = data.encode() if isinstance(data, str) else data
    return f"X'{raw.hex()}'"


def text_literal(text: str) -> str:
    """The same, compared as text."""
    return f"CONVERT({literal(text)} USING utf8mb4)"


def account(user: str, host: str) -> str:
    """An account as statements name it; one without host is a role."""
    return f"{identifier(user)}@{identifier(host)}" if host else identifier(user)


def option_file(password: str) -> str:
    """The option file that gives a client its password."""
    if any(letter in password for letter in "\0\n\r"):
        raise InvalidInput("the database password holds a line break, which no option file can express")
    escaped = password.replace("\\", "\\\\").replace('"', '\\"')
    return f'[client]\npassword="{escaped}"\n'


def batches(words: Iterable[str]) -> Iterator[list[str]]:
    """All of `words` in turn, together as long as the statement in one argument of a program may be."""
    batch: list[str] = []
    size = 0
    for word in words:
        if batch and size + len(word.encode()) > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(word)
        size += len(word.encode()) + 2
    if batch:
        yield batch
