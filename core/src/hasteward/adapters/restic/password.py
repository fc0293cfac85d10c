"""The repository's password: held as a way to get it, handed over by descriptor, never printed."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from hasteward.adapters.programs import run_program
from hasteward.domain.errors import InvalidInput, RunFailed
from hasteward.ports.kubernetes import SECRETS, Kubernetes

#: what fits into any pipe without a reader
_LONGEST = 4096
#: long enough for somebody to touch a key or type into a dialogue
COMMAND_SECONDS = 60.0


class Password:
    """`obtain` fetches the value each time it is needed; `source` says where from, for messages."""

    __slots__ = ("_obtain", "source")

    def __init__(self, obtain: Callable[[], str], source: str = "RESTIC_PASSWORD") -> None:
        self._obtain = obtain
        self.source = source

    def __repr__(self) -> str:
        return f"Password(source={self.source!r})"

    def reveal(self) -> str:
        """The value itself; for the descriptor and for redaction only."""
        # restic trims what it reads from a password file, so the value is what remains
        value = self._obtain().strip()
        if not value:
            raise _none(f"the repository password from {self.source} is empty")
        if len(value.encode()) >= _LONGEST:
            raise _none(f"the repository password from {self.source} is longer than {_LONGEST} bytes")
        return value


def _none(message: str, hint: str = "") -> InvalidInput:
    return InvalidInput(message, hint=hint, code="repository.no_password")


def from_file(name: str, place: str) -> str:
    """The content of a file, which may be a pipe: it is read once. `place` is where the name was given."""
    try:
        value = Path(name).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        message = f"the password file {name} cannot be read: {why}"
        # the decoder's error holds the bytes of the file
        raise _none(message, f"see {place}") from (error if isinstance(error, OSError) else None)
    if not value:
        raise _none(f"the password file {name} is empty")
    return value


def from_command(
    argv: Sequence[str], place: str, environment: Mapping[str, str], *, seconds: float = COMMAND_SECONDS
) -> str:
    """The first line that a program prints. No shell is started, and what it says besides is not shown."""
    name = f"the password command {argv[0]!r}"
    hint = f"run it yourself to see what it says; it is given by {place}"
    try:
        finished = run_program(argv, environment, seconds=seconds)
    except OSError as error:
        raise _none(f"{name} cannot be started: {error.strerror}", f"see {place}") from error
    if finished.status != 0:
        raise RunFailed(f"{name} {finished.ending}", hint=hint, code="repository.password_command")
    line = finished.output.partition(b"\n")[0]
    try:
        value = line.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise _none(f"{name} printed something that is not text", hint) from None
    if not value:
        raise _none(f"{name} printed an empty first line", hint)
    return value


def secret_reference(text: str, place: str) -> tuple[str, str, str]:
    """Namespace, name and key of ``NAMESPACE/NAME/KEY``."""
    parts = tuple(text.split("/"))
    match parts:
        case (str(namespace), str(name), str(key)) if all(parts):
            return namespace, name, key
        case _:
            raise InvalidInput(f"{place}: {text!r} is not NAMESPACE/NAME/KEY", code="setting.invalid")


def from_secret(kubernetes: Kubernetes, text: str, place: str) -> str:
    """A key of a Kubernetes Secret. Takes `get` of that one Secret, by name. Raises the Api* errors."""
    namespace, name, key = secret_reference(text, place)
    data = kubernetes.get(SECRETS, namespace, name).get("data") or {}
    if key not in data:
        keys = ", ".join(sorted(data)) or "none"
        raise _none(f"the Secret {namespace}/{name} has no key {key!r}; it has: {keys}", f"see {place}")
    try:
        value = base64.b64decode(str(data[key]), validate=True).decode("utf-8").strip()
    except (binascii.Error, UnicodeDecodeError):
        # their text would quote what could not be read
        raise _none(f"key {key} of the Secret {namespace}/{name} is not text", f"see {place}") from None
    if not value:
        raise _none(f"key {key} of the Secret {namespace}/{name} is empty", f"see {place}")
    return value


@contextmanager
def password_descriptor(value: str) -> Iterator[int]:
    """A pipe that holds the password and its end. One restic reads it once; then it is empty, so that
    nothing restic starts can find it there.
    """
    reader, writer = os.pipe()
    try:
        try:
            os.write(writer, value.encode() + b"\n")
        finally:
            os.close(writer)
        yield reader
    finally:
        os.close(reader)
