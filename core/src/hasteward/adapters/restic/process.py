"""Starting restic, listening to it, and making sure that it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from hasteward.adapters.restic.environment import (
    SHORTEST_SECRET,
    cache_usable,
    child_environment,
    secrets_in,
    temporary_directory,
)
from hasteward.adapters.restic.failures import Outcome, Redactor, failure, stalled
from hasteward.adapters.restic.password import Password, password_descriptor
from hasteward.adapters.restic.program import Program
from hasteward.domain.errors import DependencyError, HastewardError

PIPE_BYTES = 1024 * 1024
#: enough for restic's last words and the retries before them
_STDERR_KEPT = 64 * 1024
#: I/O below this within a stall deadline is a retry loop, not progress
_PROGRESS_BYTES = 64 * 1024
_TERM_SECONDS = 5.0
_LOOK_SECONDS = 0.5


class ResticStalled(Exception):
    """Restic makes no progress; turned into the domain's error once it has been ended."""


def widen(descriptor: int) -> None:
    """Let a pipe hold more; an unprivileged user may be over his limit, and then it stays as it is."""
    with contextlib.suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


class ResticProcess:
    """One running restic. Its words go to memory files and not to pipes: nobody has to drain them, and a
    restic that outlives us can still print while it removes its lock (a broken pipe would kill it there).

    Start it from the thread that will use it to the end: the kernel sends the parent-death signal when the
    *thread* that forked is gone.
    """

    def __init__(self, child: subprocess.Popen[bytes], *, stdout: int, stderr: int, redact: Redactor) -> None:
        self._child = child
        self._stdout = stdout
        self._stderr = stderr
        self.redact = redact
        self.pid = child.pid
        self._ended = threading.Event()
        self._bell, ring = os.pipe()
        self._waiter = threading.Thread(
            target=self._wait, args=(ring,), name=f"restic-{child.pid}", daemon=True
        )
        self._waiter.start()

    def _wait(self, ring: int) -> None:
        # without reaping it, which stays subprocess's business; ECHILD is that it was quicker
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        self._ended.set()
        os.close(ring)

    @property
    def stdout(self) -> int:
        """The descriptor of its output, for one whose output is a pipe."""
        assert self._child.stdout is not None  # noqa: S101 (only asked of one started that way)
        return self._child.stdout.fileno()

    @property
    def gone(self) -> bool:
        """Whether it has ended. Costs nothing to ask."""
        return self._ended.is_set()

    @property
    def bell(self) -> int:
        """A descriptor that polls as readable once restic is gone."""
        return self._bell

    def wait_gone(self, seconds: float) -> bool:
        """Wait for the end, no longer than that."""
        return self._ended.wait(seconds)

    def wait_finished(self, stall_seconds: float) -> Outcome:
        """Wait for the end as long as it makes progress; raises ResticStalled if it does not."""
        mark, since = self._work_done(), time.monotonic()
        while not self._ended.wait(min(_LOOK_SECONDS, stall_seconds)):
            now, done = time.monotonic(), self._work_done()
            if done - mark >= _PROGRESS_BYTES:
                mark, since = done, now
            elif now - since >= stall_seconds:
                raise ResticStalled
        return self.outcome()

    def _work_done(self) -> int:
        """Bytes it has read and written, to disk or network; 0 where the kernel does not tell."""
        try:
            lines = Path(f"/proc/{self.pid}/io").read_text("ascii").splitlines()
        except OSError:
            return 0
        return sum(int(line.split()[1]) for line in lines if line.startswith(("rchar:", "wchar:")))

    def outcome(self) -> Outcome:
        """How it ended; one that closed its output and still lives is ended first."""
        try:
            status = self._child.wait(_TERM_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
            status = self._child.wait()
        return Outcome(status, _content(self._stdout), self.words_so_far())

    def words_so_far(self) -> str:
        """The last of its stderr."""
        return _content(self._stderr, _STDERR_KEPT).decode("utf-8", "replace")

    def failure(self, doing: str, location: str) -> HastewardError:
        """Why it ended, as the domain's error."""
        return failure(self.outcome(), doing=doing, location=location, redact=self.redact)

    def stall_error(self, doing: str, seconds: float) -> HastewardError:
        """The domain's word for ResticStalled."""
        so_far = Outcome(0, b"", self.words_so_far())
        return stalled(so_far, doing=doing, seconds=seconds, redact=self.redact)

    def end(self, patience: float) -> None:
        """Give it `patience` seconds to end by itself, then SIGTERM (it removes its lock), then SIGKILL."""
        try:
            if patience and self.wait_gone(patience):
                return
            self._child.terminate()
            if not self.wait_gone(_TERM_SECONDS):
                self._kill()
        finally:
            self._close()

    def kill(self) -> None:
        """End it at once; for one that holds no lock."""
        try:
            self._kill()
        finally:
            self._close()

    def _kill(self) -> None:
        # the whole group: a helper that was stopped or wedged must not outlive restic
        if self._child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def _close(self) -> None:
        """Reap it and close our ends. Safe to repeat."""
        self._child.wait()
        self._waiter.join()
        if self._child.stdout is not None:
            self._child.stdout.close()
        for descriptor in (self._bell, self._stdout, self._stderr):
            if descriptor >= 0:
                os.close(descriptor)
        self._bell = self._stdout = self._stderr = -1


def _content(memory_file: int, last: int = 0) -> bytes:
    """What was written to it, or the last bytes of that; its writer's position does not move."""
    if memory_file < 0:
        return b""
    size = os.fstat(memory_file).st_size
    return os.pread(memory_file, size, max(0, size - last) if last else 0)


@dataclass(frozen=True, slots=True)
class Launcher:
    """Everything that is the same for each restic of one repository."""

    program: Program
    location: str = field(repr=False)
    password: Password
    environment: Mapping[str, str] = field(repr=False)
    #: no progress for so long ends a command that has no deadline of its own
    patience: float = 60.0

    def start(
        self, arguments: Sequence[str], *, descriptors: Sequence[int] = (), stream_stdout: bool = False
    ) -> ResticProcess:
        """Start restic; it inherits `descriptors` under their own numbers."""
        value = self.password.reveal()
        environment = child_environment(self.environment, self.location, value)
        if arguments[0] == "backup":
            environment["TMPDIR"] = temporary_directory(environment)
        options = [] if cache_usable(environment) else ["--no-cache"]
        with ExitStack() as stack:
            secret = stack.enter_context(password_descriptor(value))
            environment["RESTIC_PASSWORD_FILE"] = f"/dev/fd/{secret}"
            stdout, stderr = (_memory_file(name, stack) for name in ("stdout", "stderr"))
            argv = [*_death_signal(), self.program.path, *options, *arguments]
            try:
                child = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE if stream_stdout else stdout,
                    stderr=stderr,
                    bufsize=0,
                    env=environment,
                    pass_fds=(secret, *descriptors),
                    # Ctrl-C is for us to answer: we end restic in order, the terminal must not
                    process_group=0,
                )
            except OSError as error:
                raise DependencyError(
                    f"restic could not be started: {error}", code="restic.missing"
                ) from error
            redact = Redactor([*_long_enough(value), *secrets_in(self.environment)])
            return ResticProcess(child, stdout=os.dup(stdout), stderr=os.dup(stderr), redact=redact)

    def run(self, arguments: Sequence[str], *, doing: str) -> bytes:
        """Run a short command to its end and return what it printed; raises the reason if it failed."""
        with self.running(arguments, doing=doing) as answer:
            return answer()

    @contextlib.contextmanager
    def running(
        self, arguments: Sequence[str], *, doing: str, again: bool = False
    ) -> Iterator[Callable[[], bytes]]:
        """A short command that runs while other work goes on; call what is given to have what it printed."""
        process = self.start(arguments)

        def answer() -> bytes:
            try:
                outcome = process.wait_finished(self.patience)
            except ResticStalled:
                raise process.stall_error(doing, self.patience) from None
            if outcome.cache_unread and not again:
                # Two that begin together make the cache of a repository together, and one can find the
                # other's version file before there is anything in it.
                with self.running(arguments, doing=doing, again=True) as second:
                    return second()
            if outcome.status != 0:
                raise process.failure(doing, self.location)
            return outcome.stdout

        try:
            yield answer
        finally:
            process.end(0)


def _memory_file(name: str, stack: ExitStack) -> int:
    descriptor = os.memfd_create(f"restic-{name}")
    stack.callback(os.close, descriptor)
    return descriptor


def _long_enough(password: str) -> list[str]:
    """Hiding a shorter password would turn words of a message into stars; restic never repeats it anyway."""
    return [password] if len(password) >= SHORTEST_SECRET else []


def _death_signal() -> list[str]:
    """Let restic end when we are killed. Where util-linux is missing nothing false is saved without it."""
    setpriv = shutil.which("setpriv")
    if setpriv is None or Path(setpriv).resolve().name != "setpriv":
        # busybox has an applet of this name that does not know the option
        return []
    return [setpriv, "--pdeathsig", "TERM", "--"]
