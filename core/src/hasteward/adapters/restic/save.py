"""Saving a stream so that it becomes a snapshot by our word alone.

Restic saves whatever it got when its input ends, also when we were killed. So its input is a helper that
succeeds only after it has read the word from a pipe of ours::

    restic backup --stdin-from-command -- sh -c '(echo $$) >READY; read -r w <WORD && [ "$w" = commit ]'

The data goes past the helper, straight into the pipe that restic reads and the helper only holds open: a
copy of every byte would be a tenth of the work of a backup. Where that pipe cannot be opened from outside,
the word `copy` makes the helper carry the data after all. If we die, every pipe of ours closes, the helper
fails, and restic saves nothing.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from hasteward.adapters.restic.failures import Outcome
from hasteward.adapters.restic.process import PIPE_BYTES, Launcher, ResticProcess, ResticStalled, widen
from hasteward.domain.errors import HastewardError, InvalidInput, Unproven
from hasteward.domain.snapshot import HOST, SnapshotTags
from hasteward.ports.repository import Saved

# /dev/fd/N and not <&N, because dash refuses descriptors above 9; echo in a process of its own, because the
# shell's own output must be restic's pipe at every moment after it
_HELPER = (
    "(echo $$) >/dev/fd/{ready}; read -r w </dev/fd/{word} &&"
    ' if [ "$w" = copy ]; then cat /dev/fd/{data} && read -r w </dev/fd/{word}; fi &&'
    ' [ "$w" = commit ]'
)
_COPY = b"copy\n"
_WORD = b"commit\n"
#: kept here until restic has opened the repository, so that the producer need not wait for it
_EARLY_BYTES = PIPE_BYTES
#: how long a restic whose helper has failed takes to remove its lock and end, and more
_ABORT_SECONDS = 5.0


class ResticSaveStream:
    """A snapshot being made; see `hasteward.ports.repository.SaveStream`."""

    def __init__(
        self,
        launcher: Launcher,
        process: ResticProcess,
        *,
        path: str,
        pipes: _Pipes,
        stall_seconds: float,
    ) -> None:
        self._launcher = launcher
        self._process = process
        self._doing = f"saving {path}"
        self._path = path
        self._pipes = pipes
        self._stall = stall_seconds
        self._early = bytearray()
        self._listening = False
        self._ended = False
        self._written = 0
        self._failed: HastewardError | None = None

    def write(self, data: bytes | memoryview) -> None:
        """Hand over bytes; raises the reason if restic has died or takes nothing for the stall deadline."""
        self._check_alive()
        if self._ended:
            raise ValueError("write after end")
        view = memoryview(data).cast("B")
        if not self._listening:
            if len(self._early) + len(view) <= _EARLY_BYTES and not self._ready(0):
                self._early += view
                self._written += len(view)
                return
            self._begin()
        self._put(view)
        self._written += len(view)

    def _begin(self) -> None:
        """Wait for restic to listen, and give it what has been kept for it."""
        if not self._ready(self._stall):
            raise self._remember(self._process.stall_error(self._doing, self._stall))
        if not self._pipes.meet():
            raise self._died()
        self._listening = True
        early, self._early = self._early, bytearray()
        self._put(memoryview(early))

    def _ready(self, seconds: float) -> bool:
        """Whether the helper is there within that time; raises the reason if restic is gone instead."""
        return self._wait_for(self._pipes.ready, select.POLLIN, seconds)

    def _put(self, view: memoryview) -> None:
        while len(view):
            try:
                count = os.write(self._pipes.data, view)
            except BlockingIOError:
                if not self._wait_for(self._pipes.data, select.POLLOUT, self._stall):
                    raise self._remember(self._process.stall_error(self._doing, self._stall)) from None
                continue
            except BrokenPipeError:
                raise self._died() from None
            view = view[count:]

    def end(self) -> None:
        """No more bytes follow."""
        self._check_alive()
        if not self._listening:
            self._begin()
        self._ended = True
        self._pipes.close_data()

    def commit(self) -> Saved:
        """Give the word, wait for the snapshot, and check that it holds exactly what was written."""
        self.end()
        if self._written == 0:
            raise Unproven(
                f"{self._path} has no bytes, so it was not saved",
                hint="an empty dump is a failed one; look at the database's own log",
                code="proof.empty",
            )
        # POSIX: seven bytes into an empty pipe neither block nor arrive in part
        with contextlib.suppress(BrokenPipeError):
            os.write(self._pipes.word, _WORD)
        self._pipes.close_word()
        try:
            outcome = self._process.wait_finished(self._stall)
        except ResticStalled:
            raise self._stalled_after_word() from None
        return self._accept(outcome)

    def _accept(self, outcome: Outcome) -> Saved:
        from hasteward.adapters.restic.messages import SummaryMessage, find_message

        summary = find_message(SummaryMessage, outcome.stdout.decode("utf-8", "replace"))
        snapshot = summary.snapshot_id if summary else ""
        size = summary.total_bytes_processed if summary else 0
        if outcome.status == 0 and summary and snapshot and size == self._written:
            return Saved(snapshot, size, summary.data_added)
        if not snapshot:
            if outcome.status != 0:
                raise self._remember(self._process.failure(self._doing, self._launcher.location))
            raise Unproven(
                f"restic ended without naming a snapshot of {self._path}", code="proof.no_snapshot"
            )
        raise Unproven(
            f"snapshot {snapshot[:8]} of {self._path} holds {size} of {self._written} bytes"
            f" (restic exited with {outcome.status}){self._discard(snapshot)}",
            hint="run the same command again, and check the repository",
            code="proof.size",
        )

    def _discard(self, snapshot: str) -> str:
        """Take a snapshot back that should not exist, and say how that went."""
        try:
            self._launcher.run(["forget", "--json", snapshot], doing=f"forgetting {snapshot[:8]}")
        except HastewardError as error:
            return f"; it could not be removed and must not be used: {error.message}"
        return "; it was removed"

    def abort(self) -> None:
        """Whatever is not committed by now never will be. Safe after `commit` too."""
        self._pipes.close()
        # one that stalled will not end by itself, so it is not waited for
        self._process.end(0 if self._failed else _ABORT_SECONDS)

    def _check_alive(self) -> None:
        if self._failed:
            raise self._failed
        if self._process.gone:
            raise self._died()

    def _wait_for(self, descriptor: int, event: int, seconds: float) -> bool:
        """Whether it came within that time; raises the reason if restic is gone."""
        poller = select.poll()
        poller.register(descriptor, event)
        poller.register(self._process.bell, select.POLLIN)
        events = dict(poller.poll(seconds * 1000))
        if self._process.bell in events:
            raise self._died()
        return bool(events)

    def _died(self) -> HastewardError:
        """Why the pipe is broken: restic's own reason, once it has given it."""
        # nobody reads the data any more, so closing it only helps the rest to end
        self._pipes.close()
        self._process.wait_gone(_ABORT_SECONDS)
        if not self._process.gone:
            return self._remember(self._process.stall_error(self._doing, _ABORT_SECONDS))
        return self._remember(self._process.failure(self._doing, self._launcher.location))

    def _stalled_after_word(self) -> HastewardError:
        error = self._process.stall_error(self._doing, self._stall)
        self._process.end(0)
        error.hint = (
            "the dump was complete, but whether restic finished the snapshot is not known:"
            " list the backups before running it again"
        )
        return self._remember(error)

    def _remember(self, error: HastewardError) -> HastewardError:
        """Say the same again to whoever asks next."""
        self._failed = error
        return error


class _Pipes:
    """Our ends of what connects us with the helper, and through it with restic."""

    def __init__(self, ready: int, data: int, word: int) -> None:
        self.ready = ready
        self.data = data
        self.word = word

    def meet(self) -> bool:
        """The helper has said who it is: find the way past it. False if it is gone already."""
        said = os.read(self.ready, 32)
        if not said.endswith(b"\n"):
            return False
        try:
            beside = os.open(f"/proc/{int(said)}/fd/1", os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            with contextlib.suppress(BrokenPipeError):
                os.write(self.word, _COPY)
        else:
            os.close(self.data)
            self.data = beside
        widen(self.data)
        return True

    def close(self) -> None:
        """The word's pipe first: nothing that happens after this can become a snapshot."""
        self.close_word()
        self.close_data()
        if self.ready >= 0:
            os.close(self.ready)
            self.ready = -1

    def close_word(self) -> None:
        if self.word >= 0:
            os.close(self.word)
            self.word = -1

    def close_data(self) -> None:
        if self.data >= 0:
            os.close(self.data)
            self.data = -1


@contextmanager
def saving(
    launcher: Launcher, path: str, tags: SnapshotTags, time: datetime, *, stall_seconds: float
) -> Iterator[ResticSaveStream]:
    """Begin a snapshot holding one file; leaving without `commit` saves nothing."""
    stream = _start(launcher, path, tags, time, stall_seconds=stall_seconds)
    try:
        yield stream
    finally:
        stream.abort()


def _start(
    launcher: Launcher, path: str, tags: SnapshotTags, time: datetime, *, stall_seconds: float
) -> ResticSaveStream:
    (ready_out, ready_in), (data_out, data_in), (word_out, word_in) = os.pipe(), os.pipe(), os.pipe()
    theirs = (ready_in, data_out, word_out)
    pipes = _Pipes(ready_out, data_in, word_in)
    try:
        os.set_blocking(data_in, False)
        arguments = backup_arguments(path, tags, time, ready=ready_in, data=data_out, word=word_out)
        process = launcher.start(arguments, descriptors=theirs)
    except BaseException:
        pipes.close()
        raise
    finally:
        for descriptor in theirs:
            os.close(descriptor)
    return ResticSaveStream(launcher, process, path=path, pipes=pipes, stall_seconds=stall_seconds)


def backup_arguments(
    path: str, tags: SnapshotTags, time: datetime, *, ready: int, data: int, word: int
) -> list[str]:
    """Restic's arguments for one save; `time` is rendered in UTC, the zone restic is started with."""
    if time.tzinfo is None:
        raise ValueError("the time of a snapshot needs a zone")
    flags = []
    for pair in tags.pairs():
        if "," in pair:
            # restic would split it into two tags
            raise InvalidInput(f"the tag {pair!r} holds a comma, which restic does not allow")
        flags += ["--tag", pair]
    return [
        "backup",
        "--json",
        "--quiet",
        *("--host", HOST),
        *("--stdin-filename", path),
        *("--time", time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")),
        *flags,
        "--stdin-from-command",
        "--",
        # the backend's credentials in restic's environment are nothing for a shell
        *(_tool("env"), "-i", f"PATH={os.environ.get('PATH', os.defpath)}"),
        *(_tool("sh"), "-c", _HELPER.format(ready=ready, data=data, word=word)),
    ]


def _tool(name: str) -> str:
    return shutil.which(name) or name
