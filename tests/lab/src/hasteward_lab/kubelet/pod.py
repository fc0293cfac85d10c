"""One pod: its container is started, probed, restarted with back-off, held, and ended."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hasteward_lab.api import events
from hasteward_lab.api.resources import PODS
from hasteward_lab.kubelet import contents, images
from hasteward_lab.kubelet.container import RunningContainer
from hasteward_lab.kubelet.logclock import LogClock
from hasteward_lab.kubelet.native import Native, Place, Program
from hasteward_lab.kubelet.network import Network
from hasteward_lab.kubelet.probes import Prober
from hasteward_lab.kubelet.sandbox import Container, Image, Mount, write_etc
from hasteward_lab.kubelet.status import ContainerState, back_off, pod_status
from hasteward_lab.waking import woken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hasteward_lab.api.store import Store
    from hasteward_lab.kubelet.volumes import Volumes

Object = dict[str, Any]

_LONG_RUN = 600.0
# What a container runtime reports for a container that could not even begin.
_NOT_STARTED = 128


class PodWorker:
    """Keeps one pod running as its object says."""

    def __init__(
        self,
        pod: Object,
        image: Image,
        address: str,
        folder: Path,
        *,
        store: Store,
        volumes: Volumes,
        scale: float,
        issue: contents.Issue,
        programs: Mapping[str, Program],
    ) -> None:
        self.namespace: str = pod["metadata"]["namespace"]
        self.name: str = pod["metadata"]["name"]
        self.uid: str = pod["metadata"]["uid"]
        self.folder = folder
        self.address = address
        self.running: RunningContainer | None = None
        self._pod = pod
        self._spec: Object = pod["spec"]
        self._clocks: dict[Path, LogClock] = {}
        # The phase of a pod that will not run again.
        self.over = ""
        self._image = image
        self._store = store
        self._volumes = volumes
        self._scale = scale
        self._issue = issue
        row = self._spec["containers"][0]
        self._state = ContainerState(row["name"], row["image"])
        self._programs = programs
        self._first: list[Native] = []
        self._beside: list[Native] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._held = False
        self._ending = False
        self._wake = asyncio.Event()

    def container(self, argv: tuple[str, ...] | None = None) -> Container:
        """The container as the pod's object describes it, or another command in the same place."""
        row = self._spec["containers"][0]
        env = contents.environment(self._store, self._pod, row, self.address)
        return Container(
            pod=self.name,
            image=self._image,
            argv=argv or _argv(row, self._image),
            env=env,
            mounts=tuple(self._mounts(row)),
            etc=self.folder / "etc",
        )

    def set_hosts(self, hosts: Mapping[str, str]) -> None:
        """Rewrite /etc/hosts in place, for it is bound into the running container."""
        lines = ["127.0.0.1 localhost", f"{self.address} {self.name}"]
        lines += [f"{address} {name}" for name, address in sorted(hosts.items())]
        path = self.folder / "etc/hosts"
        text = "\n".join(lines) + "\n"
        if path.read_text(encoding="ascii") != text:
            path.write_text(text, encoding="ascii")

    def prepare(self) -> None:
        """Make the pod's own files; they last as long as the pod."""
        write_etc(self.folder / "etc", self._image, self.name)
        scratch = self.folder / "scratch"
        for name in ("controller/run", "controller/tmp", "controller/log", "run"):
            (scratch / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "logs").mkdir(exist_ok=True)
        self._image.prepare(self.name, scratch)
        for volume in self._spec.get("volumes", []):
            contents.fill(self._store, self._pod, volume, scratch / volume["name"], self._issue)
        self._first = self._natives(self._spec.get("initContainers") or [])
        self._beside = self._natives(self._spec["containers"][1:])

    def _natives(self, rows: list[Object]) -> list[Native]:
        """The containers whose program is the lab's own."""
        known = [row for row in rows if row["image"] in self._programs]
        return [Native(row, self._programs[row["image"]], self._place(row)) for row in known]

    def _place(self, row: Object) -> Place:
        return Place(
            self._pod,
            self.address,
            Network.path(self.name),
            {mount.target: mount.source for mount in self._mounts(row)},
            contents.environment(self._store, self._pod, row, self.address),
            self.folder / f"logs/{row['name']}.log",
            tuple(row.get("args", [])),
        )

    def log_file(self, *, previous: bool, container: str = "") -> Path | None:
        """The log of the current container or of the one before it; of the first when none is named."""
        for native in (*self._first, *self._beside):
            if container == native.state.name:
                return native.log if native.log.exists() and not previous else None
        # While it waits for its next start, the one that ended is both.
        number = self._state.starts - (1 if previous and "running" in self._state.state else 0)
        path = self.folder / f"logs/{number}.log"
        return path if number > 0 and path.exists() else None

    def is_native(self, container: str) -> bool:
        """Say whether the program of a container is the lab's own: there is nothing in it to be run."""
        return any(native.state.name == container for native in (*self._first, *self._beside))

    def clock(self, log: Path) -> LogClock:
        """When which part of a log was written."""
        return self._clocks.setdefault(log, LogClock(log))

    async def run(self) -> None:
        """Prepare the pod, then keep its containers running until it is to end."""
        try:
            await self._prepare_natives()
            await self._run_first()
        finally:
            for task in self._tasks:
                task.cancel()

    async def _prepare_natives(self) -> None:
        loop = asyncio.get_running_loop()
        for native in self._first:
            self._state.state = {"waiting": {"reason": "PodInitializing"}}
            task = loop.create_task(native.prepare(self._publish))
            self._tasks.add(task)
            await asyncio.wait([task])
            if self._is_ending():
                return
        self._tasks = {loop.create_task(native.serve(self._publish)) for native in self._beside}

    async def _run_first(self) -> None:
        """Keep the first container running."""
        while not self._ending:
            if self._held:
                await self._pause(None)
                continue
            began = time.monotonic()
            code = await self._run_once()
            if self._is_ending():
                break
            if time.monotonic() - began > _LONG_RUN * self._scale:
                self._state.restarts = 0
            self._state.ended(code)
            self.over = _outcome(self._spec.get("restartPolicy", "Always"), code)
            self._publish()
            if self.over:
                return
            wait = back_off(self._state.restarts + 1)
            if wait and not self._held:
                self._state.waiting(wait, self.name, self.namespace)
                self._publish()
                await self._pause(wait * self._scale)
            self._state.restarts += 1

    def _is_ending(self) -> bool:
        return self._ending

    async def end(self, grace: float) -> None:
        """End the container: politely for a while, then not."""
        self._ending = True
        self._wake.set()
        running = self.running
        if running is None:
            for task in self._tasks:
                task.cancel()
            return
        if grace > 0:
            running.signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(running.wait(), grace * self._scale)
        running.kill()
        await running.wait()

    def hold(self, *, gentle: bool = False) -> None:
        """Kill the container, or ask it to end, and keep it down."""
        self._held = True
        if self.running and gentle:
            self.running.signal(signal.SIGTERM)
        elif self.running:
            self.running.kill()

    def release(self) -> None:
        """Let the container start again, at once."""
        self._held = False
        self._wake.set()

    def kill(self) -> None:
        """Kill the container; what follows is the kubelet's usual restart."""
        if self.running:
            self.running.kill()

    def clean(self) -> None:
        """Remove the pod's own files."""
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _pause(self, seconds: float | None) -> None:
        if seconds is None:
            self._state.waiting(300, self.name, self.namespace)
            self._publish()
        self._wake.clear()
        await woken(self._wake, seconds)

    async def _run_once(self) -> int:
        path = self.folder / f"logs/{self._state.starts + 1}.log"
        with path.open("ab") as log:
            try:
                running = await RunningContainer.start(self.container(), log)
            except RuntimeError:
                self._state.started()
                return _NOT_STARTED
        self.running = running
        self._state.started()
        self._publish()
        loop = asyncio.get_running_loop()
        beside = [loop.create_task(self._probe(running)), loop.create_task(self.clock(path).follow())]
        try:
            return await running.wait()
        finally:
            for task in beside:
                task.cancel()
            self.clock(path).mark()
            running.kill()
            self.running = None

    async def _probe(self, running: RunningContainer) -> None:
        def ready(value: bool) -> None:
            self._state.ready = value
            self._publish()

        def tell(kind: str, reason: str, message: str) -> None:
            events.record(self._store, self._pod, kind, reason, message, component="kubelet")

        prober = Prober(self._spec["containers"][0], running, Network.path(self.name), self._scale, tell)
        await prober.follow(ready)
        running.signal(signal.SIGTERM)
        grace = float(self._spec.get("terminationGracePeriodSeconds", 30))
        await asyncio.sleep(grace * self._scale)
        running.kill()

    def _publish(self) -> None:
        def change(pod: Object) -> None:
            states = [self._state, *(native.state for native in self._beside)]
            first = [native.state for native in self._first]
            pod["status"] = pod_status(pod, states, self.address, self.over, first)

        self._store.modify(PODS, self.namespace, self.name, change)

    def _mounts(self, row: Object) -> list[Mount]:
        sources = {volume["name"]: volume for volume in self._spec.get("volumes", [])}
        mounts = []
        for mount in row.get("volumeMounts", []):
            claim = sources[mount["name"]].get("persistentVolumeClaim")
            if claim:
                source = self._volumes.path(self.namespace, claim["claimName"])
            elif sources[mount["name"]].get("emptyDir", {}).get("medium") == "Memory":
                continue
            else:
                source = self._scratch(sources[mount["name"]], mount)
            if claim and mount.get("subPath"):
                source /= mount["subPath"]
                source.mkdir(parents=True, exist_ok=True)
            mounts.append(Mount(source, mount["mountPath"], bool(mount.get("readOnly"))))
        return mounts

    def _scratch(self, volume: Object, mount: Object) -> Path:
        """Where a volume of the pod's own is: one folder each, or one for all subPaths of an emptyDir."""
        if {"secret", "configMap", "projected"} & set(volume):
            return self.folder / "scratch" / str(volume["name"]) / str(mount.get("subPath", ""))
        source = self.folder / "scratch" / str(mount.get("subPath", mount["name"]))
        source.mkdir(parents=True, exist_ok=True)
        return source


def _argv(row: Object, image: Image) -> tuple[str, ...]:
    if image.entrypoint and not row.get("command"):
        return (*image.entrypoint, *row.get("args", []))
    usual = () if row.get("command") else images.known(row["image"]) or ()
    if row.get("args") and not row.get("command") and usual in {("sh",), ("bash",)}:
        usual = ()
    return (*row.get("command", usual), *row.get("args", []))


def _outcome(policy: str, code: int) -> str:
    """The phase of a pod whose container ended; empty when it is started again."""
    if policy == "Always" or (policy == "OnFailure" and code):
        return ""
    return "Failed" if code else "Succeeded"
