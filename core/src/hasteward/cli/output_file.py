"""The file of an export: it appears under its name whole, or not at all."""

from __future__ import annotations

import contextlib
import gzip
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from hasteward.domain.errors import InvalidInput, RunFailed

STDOUT = "-"
#: SQL compresses nearly as well as at 9, in a third of the time
_LEVEL = 6


class Writer(Protocol):
    """Takes the bytes of the export."""

    def write(self, data: memoryview, /) -> object:
        """Take all of `data`."""


class _Guarded:
    """Makes a write that fails one clear error."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._name = name

    def write(self, data: memoryview, /) -> None:
        try:
            self._stream.write(data)
        except BrokenPipeError as error:
            raise RunFailed("whoever read standard output has stopped", code="output.closed") from error
        except OSError as error:
            raise _failed(self._name, error) from error


def _failed(name: str, error: OSError) -> RunFailed:
    return RunFailed(f"{name} cannot be written: {error.strerror}", code="output.failed")


def compressed(name: str) -> bool:
    """Whether the name asks for gzip."""
    return name.endswith(".gz")


def check(name: str, *, force: bool) -> None:
    """Refuse what cannot become the file, before anything is read. Raises InvalidInput."""
    if name == STDOUT:
        if sys.stdout.isatty():
            raise InvalidInput(
                "standard output is a terminal",
                hint="redirect it, or name a file: -o FILE",
                code="output.tty",
            )
        return
    path = Path(name)
    if _is_stream(path):
        return
    if not path.parent.is_dir():
        raise InvalidInput(
            f"the directory {path.parent} does not exist",
            hint=f"mkdir {path.parent}",
            code="output.directory",
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InvalidInput(
            f"the directory {path.parent} cannot be written to",
            hint="name a file in another directory",
            code="output.directory",
        )
    with contextlib.suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode):
            raise InvalidInput(
                f"{path} exists and is no regular file", hint="choose another name", code="output.exists"
            )
        if not force:
            raise InvalidInput(
                f"{path} exists",
                hint="choose another name, or add --force to replace it",
                code="output.exists",
            )


def _is_stream(path: Path) -> bool:
    """Whether bytes go through it and stay nowhere: ``/dev/null``, a FIFO. Never to be replaced by a file."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


@contextlib.contextmanager
def opened(name: str, run: str, *, force: bool) -> Iterator[Writer]:
    """Write to `name`; the file is there, complete and on disk, only after the block ended well."""
    if name == STDOUT:
        yield _Guarded(sys.stdout.buffer, "standard output")
        with _as_failure("standard output"):
            sys.stdout.buffer.flush()
        return
    path = Path(name)
    if _is_stream(path):
        with _as_failure(name):
            stream = path.open("wb")
        with stream:
            yield from _filled(stream, name)
        return
    part = path.with_name(f".hasteward-{run}.part")
    with _as_failure(name):
        # readable for us alone: a dump holds everything, password hashes too
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield from _filled(file, name)
            with _as_failure(name):
                file.flush()
                os.fsync(file.fileno())
        with _as_failure(name):
            _publish(part, path, force=force)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _filled(file: BinaryIO, name: str) -> Iterator[Writer]:
    if not compressed(name):
        yield _Guarded(file, name)
        return
    inner = Path(name).name.removesuffix(".gz")
    packer = gzip.GzipFile(inner, "wb", compresslevel=_LEVEL, fileobj=file, mtime=0)
    try:
        yield _Guarded(cast("BinaryIO", packer), name)
    except BaseException:
        # its finalizer would write the end of a file that is being thrown away
        packer.fileobj = None  # type: ignore[assignment]  # as its own close() does
        raise
    with _as_failure(name):
        packer.close()


def _publish(part: Path, path: Path, *, force: bool) -> None:
    """Give the finished file its name and see that the directory remembers."""
    if force:
        part.replace(path)
    else:
        try:
            # unlike a rename, a link never replaces what somebody else put there meanwhile
            os.link(part, path)
        except FileExistsError:
            raise InvalidInput(f"{path} exists", hint="choose another name", code="output.exists") from None
        except OSError:
            part.rename(path)  # a file system without hard links
        else:
            part.unlink()
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@contextlib.contextmanager
def _as_failure(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _failed(name, error) from error
