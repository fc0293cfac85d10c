"""One point of the fault table, played on the lab: real servers, real restic, the real command line."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fault_sweep import points as table
from fault_sweep.gates import Door, Gate, LockGate, StoreGate, StreamGate, processes, wait_for

WHERE = ("-e", "cnpg", "-c", "pg", "-n", "db")
PASSWORD = "correct horse battery"
TOOLS = Path(__file__).parents[3] / ".tools" / "bin"
#: what the command of each exec contains, and no other one
MATCH = {
    "dump": "pg_dump --no-owner --no-privileges -d dbname='app'",
    "load": "synchronous_commit=off",
    "swap": "-swap ",
}
CONTENT = "CREATE TABLE t AS SELECT n, md5(n::text) AS m FROM generate_series(1, 1500) n"
DAMAGE = "UPDATE t SET m = 'damaged' WHERE n % 5 = 0"
FINGERPRINT = "SELECT count(*), md5(string_agg(m, ',' ORDER BY n)) FROM t"
OURS = "SELECT count(*) FROM pg_database WHERE datname LIKE 'hasteward_new%'"
VERBS: dict[str, tuple[str, ...]] = {
    "backup": (),
    "restore": ("--database", "app", "--yes", "--no-keep-old"),
    "export": ("-o", "export.sql.gz", "--force"),
}
#: the requests by which a call of the store is told apart: every restic begins with GET config
STEPS: dict[tuple[str, str], tuple[tuple[str, str, int], ...]] = {
    ("backup", "open"): (("GET", "config", 1),),
    ("backup", "save"): (("POST", "locks", 1),),
    ("backup", "manifest"): (("POST", "snapshots", 1),),
    ("backup", "commit"): (("POST", "snapshots", 2),),
    ("restore", "open"): (("GET", "config", 1),),
    ("restore", "snapshots"): (("GET", "config", 2),),
    ("restore", "manifest"): (("GET", "config", 3),),
    ("restore", "read"): (("GET", "config", 4), ("GET", "data", 1)),
}
STATUS = {"500": 500, "403": 403, "full": 507}
STALL_SECONDS = "4"


@dataclass
class Done:
    code: int
    err: str


class Forks:
    """Starts runs in forks of one loaded process; see prefork.py."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("prefork.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _ask(self, document: dict[str, Any]) -> dict[str, int]:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(document) + "\n")
        self._server.stdin.flush()
        answer: dict[str, int] = json.loads(self._server.stdout.readline())
        return answer

    def start(self, argv: list[str], environment: dict[str, str], folder: Path, clock: Any) -> int:
        out, err = str(folder / "out"), str(folder / "err")
        places = {"folder": str(folder), "out": out, "err": err}
        return self._ask({"argv": argv, "environment": environment, "clock": clock, **places})["pid"]

    def wait(self, pid: int, seconds: float = 90) -> int:
        late = threading.Timer(seconds, os.kill, (pid, signal.SIGKILL))
        late.start()
        try:
            return self._ask({"wait": pid})["status"]
        finally:
            late.cancel()
            late.join()

    def stop(self) -> None:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()


@dataclass
class LabWorld:
    """The lab, a repository behind a REST backend with accidents, and one fault at a time."""

    lab: Any
    backend: Any
    forks: Forks
    folder: Path
    pristine: Path
    environment: dict[str, str]
    #: the rows of the database as they are backed up, and as a restore finds them
    content: str = ""
    damaged: str = ""
    #: the stored file, and how long the section that is loaded is in it
    whole: bytes | None = None
    load_bytes: int = 0
    clock: dict[str, Any] | None = None
    #: changes of the environment for the struck run only
    changed: dict[str, str] = field(default_factory=dict)
    #: what is done while the run is held at a gate
    gate: Gate | None = None
    act: Callable[[int], None] | None = None
    #: faults of the API that nothing met with: a test of nothing
    missed: list[Any] = field(default_factory=list)
    #: put right what the fault left, in this order
    afterwards: list[Callable[[], None]] = field(default_factory=list)

    # -- running

    def run(self, verb: str, *extra: str) -> Done:
        """Run a verb to its end; with a gate, do the act there."""
        argv = [*verb.split(), *(() if verb == "get backups" else WHERE), *VERBS.get(verb, ()), *extra]
        pid = self.forks.start(argv, self.environment | self.changed, self.folder, self.clock)
        try:
            if self.gate is not None and self.act is not None:
                self.gate.reached()
                self.act(pid)
                self.gate.release()
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            if self.gate is not None:
                self.gate.release()
            raise
        finally:
            code = self.forks.wait(pid)
        return Done(code, (self.folder / "err").read_text())

    def prepare(self) -> None:
        """Fill the database, make the one good backup, and learn what it holds."""
        self.sql(CONTENT, "app")
        self.content = self.live()
        done = self.run("backup", "--output", "json")
        assert done.code == 0, done.err
        made = json.loads((self.folder / "out").read_text())["data"]
        manifest = subprocess.run(
            ["restic", "-r", self.backend.url, "dump", made["manifest"], f"/{made['path']}.manifest.json"],
            env=self.environment,
            capture_output=True,
            check=True,
        )
        sections = json.loads(manifest.stdout)["sections"]
        self.load_bytes = next(s["length"] for s in sections if (s["kind"], s["name"]) == ("database", "app"))
        assert self.run("export").code == 0
        self.whole = self.exported()
        shutil.copytree(self.backend.root, self.pristine)

    def backup_data(self) -> list[dict[str, Any]]:
        """What `get backups` lists."""
        done = self.run("get backups", "--output", "json")
        assert done.code == 0, done.err
        listed: list[dict[str, Any]] = json.loads((self.folder / "out").read_text())["data"]["backups"]
        return listed

    @property
    def snapshots(self) -> int:
        return sum(1 for _ in self.backend.names("snapshots"))

    @property
    def target(self) -> Path:
        return self.folder / "export.sql.gz"

    def exported(self) -> bytes | None:
        return gzip.decompress(self.target.read_bytes()) if self.target.exists() else None

    def live(self) -> str:
        return str(self.lab.psql(self.lab.primary, FINGERPRINT, "app"))

    def sql(self, text: str, database: str = "postgres") -> str:
        return str(self.lab.psql(self.lab.primary, text, database))

    def reset(self) -> None:
        """The repository with its one good backup, and nothing else."""
        shutil.rmtree(self.backend.root)
        shutil.copytree(self.pristine, self.backend.root)
        self.target.unlink(missing_ok=True)

    # -- the fault

    def arm(self, point: table.Point) -> list[str]:
        """Put the fault in force; more arguments for the run."""
        store = "restore" if point.verb == "export" else point.verb
        match point.injection:
            case table.Frame():
                self._arm_frame(point.injection)
            case table.Dies(status, lie):
                damage = "false" if lie else ""
                self.lab.add_fault("exit", command=MATCH["dump"], code=status, after=3000, damage=damage)
            case table.Api(call, code):
                self._arm_api(call, code)
            case table.Store(call, trouble):
                self._arm_store(store, call, trouble)
            case table.Signal():
                self._arm_signal(store, point.injection)
            case table.Clock(seconds, moment, asleep):
                self.clock = {"match": MATCH[moment], "seconds": seconds, "asleep": asleep}
            case table.Gone(what, moment):
                self._arm_gone(what, moment)
        slow = not isinstance(point.injection, table.Api | table.Dies | table.Clock)
        return ["--stall-timeout", STALL_SECONDS if slow else "30"]

    def _arm_frame(self, frame: table.Frame) -> None:
        fault: dict[str, Any] = {"command": MATCH[frame.stream], "stream": frame.channel}
        if frame.channel != "stdin":
            self.lab.add_fault("frames", damage=frame.damage, place=frame.place, **fault)
            return
        at = {"first": 0, "middle": self.load_bytes // 2, "last": self.load_bytes - 1}[frame.place]
        kinds = {"abort": "cut", "stall": "stall", "flip": "flip"}
        if frame.damage in kinds:
            self.lab.add_fault(kinds[frame.damage], after=at, **fault)
        else:
            self.lab.add_fault("frames", damage=frame.damage, after=at, **fault)

    def _arm_api(self, call: str, code: int) -> None:
        match call.split("."):
            case ["exec", stream]:
                self.lab.add_fault("http", command=MATCH[stream], code=code)
            case ["cluster", _]:
                self.lab.add_fault("http", verb="get", resource="clusters", code=code)
            case ["lease", "get"]:
                self.lab.add_fault("http", verb="get", resource="leases", name="hasteward-cnpg-pg", code=code)
            case ["lease", which]:
                nth = 1 if which == "take" else 2
                self.lab.add_fault(
                    "http", verb="update", resource="leases", name="hasteward-cnpg-pg", nth=nth, code=code
                )

    def _arm_store(self, verb: str, call: str, trouble: str) -> None:
        if trouble in {"flip", "short", "lost"}:
            self._rot(trouble)
        elif trouble in {"missing", "replaced"}:
            self.changed["PATH"] = str(self.folder / trouble) + ":/usr/bin:/bin"
        elif trouble == "no repository":
            self.backend.root.joinpath("config").unlink()
        elif trouble == "wrong password":
            (self.folder / "wrong").write_text("not this one")
            self.changed["RESTIC_PASSWORD_FILE"] = str(self.folder / "wrong")
        elif trouble == "locked":
            self._lock()
        elif trouble == "killed":
            self.gate = StoreGate(self.backend, *STEPS[verb, call])
            self.act = lambda _pid: self._signal_restic(signal.SIGKILL, manifest=call == "manifest")
        else:
            # no answer at all is a time-out
            self.backend.strike(*STEPS[verb, call], code=STATUS.get(trouble, 0))

    def _rot(self, how: str) -> None:
        pack = max(self.backend.names("data"), key=lambda path: path.stat().st_size)
        content = bytearray(pack.read_bytes())
        if how == "lost":
            pack.unlink()
            return
        if how == "short":
            del content[-100:]
        else:
            content[len(content) // 2] ^= 1
        pack.write_bytes(content)

    def _lock(self) -> None:
        """Somebody's prune holds the repository, and stands still."""
        held = self.backend.strike(("POST", "locks", 1), ("GET", "index", 1))
        environment = self.environment | {"RESTIC_REPOSITORY": self.backend.url}
        child = subprocess.Popen(
            ["restic", "prune"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        assert held.reached.wait(20)
        child.send_signal(signal.SIGSTOP)

        def end() -> None:
            # in order: a prune that is killed leaves a lock, and that is not ours to judge
            child.send_signal(signal.SIGCONT)
            child.wait(60)

        self.afterwards.append(end)
        self.backend.calm()

    def _restics(self) -> dict[int, list[str]]:
        running = processes(self.backend.url)
        return {pid: words for pid, words in running.items() if words[0].endswith("restic")}

    def _signal_restic(self, number: int, *, manifest: bool = False) -> None:
        """Send a signal to the restic at work: of two, the one that saves the manifest, or the other."""
        restics = self._restics()
        told = {pid for pid, words in restics.items() if any("manifest.json" in word for word in words)}
        chosen = (told if manifest else set(restics) - told) or set(restics)
        assert chosen, "no restic is at work"
        for pid in chosen:
            os.kill(pid, number)
        if isinstance(self.gate, StoreGate):
            # answered at once, it could be done before it has noticed its signal
            wait_for(lambda: not chosen & set(self._restics()), "the end of a restic that got a signal")

    def _signal_helper(self, number: int) -> None:
        """The dump may wait for its lock before restic has come so far as to start its helper."""

        def helpers() -> list[int]:
            running = processes(self.backend.url)
            waits = [pid for pid, words in running.items() if any("read -r w" in word for word in words)]
            return [pid for pid in waits if not running[pid][0].endswith("restic")]

        wait_for(helpers, "a helper of restic's")
        for pid in helpers():
            os.kill(pid, number)

    def _signal_in_pod(self, number: int, pattern: str) -> None:
        script = (
            f'for p in /proc/[0-9]*; do case "$(tr "\\0" " " <$p/cmdline 2>/dev/null)" in'
            f" {pattern}) kill -{number} ${{p#/proc/}} && echo struck;; esac; done"
        )
        strike = ["sh", "-c", script]
        wait_for(lambda: b"struck" in self.lab.exec(self.lab.primary, strike).stdout, pattern)

    def _gate_at(self, verb: str, moment: str) -> Gate:
        match moment:
            case "dump":
                return LockGate(self.lab)
            case "load":
                return StreamGate(self.lab, command=MATCH["load"], stream="stdin", after=self.load_bytes // 2)
            case "swap":
                return StreamGate(self.lab, command=MATCH["swap"], stream="stdin")
            case _:
                return StoreGate(self.backend, *STEPS[verb, moment])

    def _arm_signal(self, verb: str, point: table.Signal) -> None:
        number = signal.Signals[point.signal]
        # the store is what a reading restic waits for, whoever then waits for restic
        moment = "read" if (verb, point.process) == ("restore", "restic") else point.moment
        self.gate = self._gate_at(verb, moment)
        match point.process:
            case "hasteward":
                self.act = lambda pid: os.kill(pid, number)
            case "restic":
                self.act = lambda _pid: self._signal_restic(number)
            case "helper":
                self.act = lambda _pid: self._signal_helper(number)
            case "producer":
                self.act = lambda _pid: self._signal_in_pod(number, "pg_dump\\ *")
            case _:
                self.act = lambda _pid: self._signal_in_pod(number, "psql\\ *hasteward_new*")

    def _arm_gone(self, what: str, moment: str) -> None:
        if what == "kubelet":
            stream = "stdin" if moment == "load" else "stdout"
            after = self.load_bytes // 2
            self.lab.add_fault("orphan", command=MATCH[moment], stream=stream, after=after)
            return
        self.afterwards.append(self.lab.wait_ready)
        if what == "api":
            self._use_a_door(shut=moment == "open")
            if moment == "open":
                return
        self.gate = self._gate_at("", moment)
        pod = self.lab.primary
        match what:
            case "pod":
                self.act = lambda _pid: self.lab.delete_pod(pod, grace=0)
            case "container":
                self.act = lambda _pid: self.lab.kill(pod)
            case _:
                self.act = lambda _pid: self.door.shut()

    def _use_a_door(self, *, shut: bool) -> None:
        port = self.lab.state.load_config().port
        self.door = Door(port)
        kubeconfig = self.folder / "door.yaml"
        kubeconfig.write_text(self.lab.kubeconfig.read_text().replace(f":{port}", f":{self.door.port}"))
        self.changed["KUBECONFIG"] = str(kubeconfig)
        self.afterwards.append(self.door.shut)
        if shut:
            self.door.shut()

    def disarm(self) -> None:
        """End the fault; what it did to the world stays."""
        self.missed = [row for row in self.lab.faults() if not row["met"]]
        self.lab.clear_faults()
        self.backend.calm()
        self.clock, self.gate, self.act = None, None, None
        self.changed.clear()
        while self.afterwards:
            self.afterwards.pop()()
        if not (self.backend.root / "config").exists():
            shutil.copy(self.pristine / "config", self.backend.root / "config")
        for pack in (self.pristine / "data").glob("*/*"):
            shutil.copy(pack, self.backend.place("data", pack.name))


def settle(world: LabWorld) -> None:
    """Wait until the database answers: a deleted pod comes back."""

    def answers() -> bool:
        try:
            return world.live() != ""
        except Exception:  # noqa: BLE001 - whatever it says meanwhile
            return False

    wait_for(answers, "a database that answers")
