"""One point of the fault table, played on fakes: the whole command line, a virtual clock, no server."""

from __future__ import annotations

import contextlib
import gzip
import io
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from fault_sweep import points as table
from fault_sweep.toy import BODY, BOXES, OLD, PROGRAM, Server, SweepClock, SweepRepository, SweepToy
from fault_sweep.wire import Accident, WireKubernetes
from hasteward.cli.main import main
from hasteward.cli.signals import Stopped
from hasteward.domain.errors import (
    DependencyError,
    HastewardError,
    PermissionDenied,
    RepositoryLocked,
    RepositoryMissing,
    RunFailed,
    WrongPassword,
)
from hasteward.hookspecs import ENGINE_GROUP
from hasteward.ports.kubernetes import (
    LEASES,
    ApiConflict,
    ApiForbidden,
    ApiNotFound,
    ApiUnauthorized,
    ApiUnavailable,
)
from hasteward.wiring import Factories

WHERE = ("-e", "toy", "-n", "db", "-c", "box", "--backups-path", "/nowhere/store")
PASSWORD = "open sesame"
ANY_API, ANY_STORE = "any call of the API", "any call of the store"


class Killed(BaseException):
    """SIGKILL of hasteward: nothing of it runs any more."""


@dataclass(frozen=True)
class Entry:
    name: str
    group: str
    what: Any
    value: str = "toy_module"

    def load(self) -> Any:
        return self.what


@dataclass
class Done:
    code: int
    err: str


#: which call of the fake repository a call of the table is, and its count in a run
STORE_CALLS = {
    ("backup", "open"): ("open", 1),
    ("backup", "save"): ("save.write", 2),
    ("backup", "manifest"): ("save.commit", 1),
    ("backup", "commit"): ("save.commit", 2),
    ("restore", "open"): ("open", 1),
    ("restore", "snapshots"): ("snapshots", 1),
    ("restore", "manifest"): ("read_small", 1),
    ("restore", "read"): ("read.chunk", 2),
}
#: as above, for the moments of signals
MOMENTS = {
    ("backup", "open"): ("open", 1),
    ("backup", "dump"): ("save.write", 3),
    ("backup", "manifest"): ("save.commit", 1),
    ("backup", "commit"): ("save.committed", 2),
    ("restore", "open"): ("open", 1),
    ("restore", "load"): ("read.chunk", 2),
    ("restore", "read"): ("read.chunk", 2),
    ("restore", "swap"): ("exec toyswap", 1),
}
API_CALLS = {
    "cluster.get": ("get boxes",),
    "lease.get": ("get leases",),
    "lease.take": ("create leases", "replace leases"),
    "lease.release": ("replace leases",),
}


TROUBLES: dict[str, tuple[type[HastewardError], str]] = {
    "missing": (DependencyError, "restic.missing"),
    "replaced": (DependencyError, "restic.version"),
    "timeout": (DependencyError, "restic.stalled"),
    "500": (DependencyError, "restic.stalled"),
    "403": (PermissionDenied, "restic.denied"),
    "no repository": (RepositoryMissing, ""),
    "wrong password": (WrongPassword, ""),
    "locked": (RepositoryLocked, ""),
}


def trouble(name: str) -> HastewardError:
    """What the restic adapter raises for it (tests/core/adapters/restic shows that)."""
    kind, code = TROUBLES.get(name, (RunFailed, "restic.failed"))
    return kind(f"the repository failed: {name}", code=code)


def api_error(code: int) -> HastewardError:
    """What the Kubernetes adapter raises for an answer with that code."""
    match code:
        case 401:
            return ApiUnauthorized("401")
        case 403:
            return ApiForbidden("403")
        case 404:
            return ApiNotFound("404")
        case 409:
            return ApiConflict("409")
        case _:
            return ApiUnavailable(str(code))


@dataclass
class SweepWorld:
    """Everything a run needs, faked, and one fault at a time in it."""

    folder: Path
    server: Server = field(default_factory=Server)
    clock: SweepClock = field(default_factory=SweepClock)
    counts: dict[str, int] = field(default_factory=dict)
    #: name of the call, which one of them, and what then happens
    strikes: list[tuple[str, int, Callable[[], None]]] = field(default_factory=list)
    dead: HastewardError | Killed | None = None
    #: stored bytes as they were before they rotted
    kept: dict[str, bytes] = field(default_factory=dict)
    #: how often the fault was met
    struck: int = 0

    def __post_init__(self) -> None:
        self.kubernetes = WireKubernetes(self.server, on_call=self._called)
        self.kubernetes.on_exec = self._executed
        self.kubernetes.add(BOXES, {"metadata": {"namespace": "db", "name": "box"}})
        self.repository = SweepRepository(on_call=self._stored)

    # -- running

    def run(self, verb: str) -> Done:
        extra = {"backup": (), "restore": ("--yes",), "export": ("-o", str(self.target), "--force")}[verb]
        out, err = io.StringIO(), io.StringIO()
        self.counts.clear()
        factories = Factories(
            entry_points=lambda: [Entry("toy", ENGINE_GROUP, SweepToy())],
            kubernetes=lambda _settings: self.kubernetes,
            repository=lambda _settings, _secret: self.repository,
            clock=lambda: self.clock,
        )
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main([verb, *WHERE, *extra], factories)
            except Killed:
                code = table.KILLED
        self.clock.sleep(1)
        return Done(code, err.getvalue())

    @property
    def target(self) -> Path:
        return self.folder / "export.sql.gz"

    def exported(self) -> bytes | None:
        return gzip.decompress(self.target.read_bytes()) if self.target.exists() else None

    # -- the fault

    def _called(self, name: str) -> None:
        if name == "exec":
            return  # told with its command
        self._count(name)
        self._count(ANY_API)
        self._fail_if_dead()

    def _fail_if_dead(self) -> None:
        if isinstance(self.dead, HastewardError):
            self.struck += 1
            raise self.dead

    def _executed(self, command: str) -> None:
        self._count(next((f"exec {name}" for name in PROGRAM.values() if name in command), "exec"))
        self._count(ANY_API)
        self._fail_if_dead()
        accident = self.kubernetes.accident
        self.struck += bool(accident and accident.match in command)
        self.struck += any(program in command for program in self.server.dies)

    def _stored(self, name: str) -> None:
        self._count(name)
        self._count(ANY_STORE)

    def _count(self, name: str) -> None:
        if isinstance(self.dead, Killed):
            raise self.dead
        self.counts[name] = self.counts.get(name, 0) + 1
        for call, which, act in self.strikes:
            if call == name and which in {0, self.counts[name]}:
                self.struck += 1
                act()

    def _strike(self, call: str, which: int, act: Callable[[], None]) -> None:
        self.strikes.append((call, which, act))

    def arm(self, point: table.Point) -> None:
        """Put the point's fault in force."""
        verb = "restore" if point.verb == "export" else point.verb
        match point.injection:
            case table.Frame(stream, channel, damage, place):
                self.kubernetes.accident = Accident(PROGRAM[stream], channel, damage, place, len(BODY))
            case table.Dies(status, lie):
                self.server.dies["toydump"] = status
                if lie:
                    self.kubernetes.accident = Accident("toydump", "status", "false")
            case table.Api(call, code):
                self._arm_api(call, api_error(code))
            case table.Store(call, what) if what in {"flip", "short", "lost"}:
                self._rot(what)
            case table.Store(call, what):
                self._strike(*STORE_CALLS[verb, call], _raising(trouble(what)))
            case table.Signal(process, name, moment):
                self._arm_signal(verb, process, name, moment)
            case table.Clock(seconds, moment, asleep):
                self._strike(f"exec {PROGRAM[moment]}", 1, lambda: self._jump(seconds, asleep=asleep))
            case table.Gone(what, moment):
                self._arm_gone(what, moment)

    def fail_call(self, k: int, code: int | str) -> None:
        """The k-th call fails, of the API with a status or (`store`) of the repository."""
        if code == "store":
            self._strike(ANY_STORE, k, _raising(trouble("full")))
        else:
            self._strike(ANY_API, k, _raising(api_error(int(code))))

    def _arm_api(self, call: str, error: HastewardError) -> None:
        if call.startswith("exec."):
            self._strike(f"exec {PROGRAM[call.removeprefix('exec.')]}", 0, _raising(error))
            return
        for name in API_CALLS[call]:
            which = {"lease.take": 1, "lease.release": 2 if self._lease_exists else 1}.get(call, 0)
            self._strike(name, which, _raising(error))

    @property
    def _lease_exists(self) -> bool:
        return any(title == LEASES.title for title, _, _ in self.kubernetes.objects)

    def _arm_signal(self, verb: str, process: str, name: str, moment: str) -> None:
        number = signal.Signals[name]
        if process in {"producer", "consumer"}:
            self.server.dies[PROGRAM[moment]] = 128 + number
        elif process != "hasteward":
            self._strike(*MOMENTS[verb, moment], _raising(trouble(f"killed by {name}")))
        elif name == "SIGKILL":
            self._strike(*MOMENTS[verb, moment], self._die)
        else:
            self._strike(*MOMENTS[verb, moment], _raising(Stopped(number)))

    def _die(self) -> None:
        self.dead = Killed()
        raise self.dead

    def _jump(self, seconds: int, *, asleep: bool) -> None:
        self.clock.wall += timedelta(seconds=seconds)
        if asleep:
            self.clock.woke_after += seconds

    def _arm_gone(self, what: str, moment: str) -> None:
        if moment == "open":
            self.dead = ApiUnavailable("connection refused")
            return
        channel = "stdin" if moment == "load" else "stdout"
        gone: dict[str, HastewardError] = {
            "pod": ApiNotFound("the pod does not exist"),
            "api": ApiUnavailable("connection refused"),
        }
        if what == "container":
            self.server.dies[PROGRAM[moment]] = 137
            return
        self.kubernetes.accident = Accident(PROGRAM[moment], channel, "abort", "middle", len(BODY))
        if what in gone:
            error = gone[what]

            def go() -> None:
                # the exec itself still began; every call after it meets with this
                self.strikes.append(("exec toyswap", 0, _raising(error)))
                if what == "api":
                    self.strikes += [(name, 0, _raising(error)) for name in API_CALLS["lease.release"]]

            self._strike(f"exec {PROGRAM[moment]}", 1, go)

    def _rot(self, what: str) -> None:
        """The stored bytes of the newest data snapshot are no longer the ones that were saved."""
        data = next(snapshot for snapshot in self.repository.listed if snapshot.tags.type == "backup")
        self.struck += 1
        stored = bytearray(self.repository.files[data.id])
        if what == "flip":
            stored[len(stored) // 2] ^= 1
        elif what == "short":
            del stored[-1:]
        else:
            self._strike("read", 0, _raising(RunFailed("a pack is missing")))
        self.kept[data.id] = self.repository.files[data.id]
        self.repository.files[data.id] = bytes(stored)

    def disarm(self) -> None:
        """End the fault; what it did stays."""
        self.strikes.clear()
        self.server.dies.clear()
        self.kubernetes.accident = None
        self.dead = None
        self.repository.files |= self.kept
        # a Lease that could not be given back is waited for; all others must be free at once
        if self.holder:
            self.clock.sleep(600)

    @property
    def holder(self) -> str:
        leases = [body for (title, _, _), body in self.kubernetes.objects.items() if title == LEASES.title]
        return str(leases[0]["spec"]["holderIdentity"]) if leases else ""

    def restored_by_hand(self) -> None:
        """Put a proven backup there and damage what is live, as a restore finds it."""
        self.target.unlink(missing_ok=True)
        assert self.run("backup").code == 0
        self.server.live = OLD

    def all_proven_backups(self) -> list[bytes]:
        """The bytes of every snapshot that counts, each read from the store."""
        from hasteward.domain.snapshot import entries

        proven = [entry for entry in entries(self.repository.listed) if entry.proven]
        return [self.repository.files[entry.snapshot.id] for entry in proven]


def _raising(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act
