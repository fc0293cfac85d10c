"""The kubelet: follows the pod objects of the store, and is what exec, logs and tests reach."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from hasteward_lab.api.errors import not_found
from hasteward_lab.api.resources import CLAIMS, PODS
from hasteward_lab.api.runtime import CommandNotFoundError, ContainerNotRunningError
from hasteward_lab.kubelet import attach, contents, images
from hasteward_lab.kubelet.container import RunningContainer
from hasteward_lab.kubelet.logclock import LogClock
from hasteward_lab.kubelet.native import Program
from hasteward_lab.kubelet.network import Network, enter
from hasteward_lab.kubelet.pod import PodWorker
from hasteward_lab.kubelet.probes import WANDERERS
from hasteward_lab.kubelet.sandbox import Image, has_program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hasteward_lab.api.store import Event, Store
    from hasteward_lab.kubelet.volumes import Volumes

Object = dict[str, Any]
Key = tuple[str, str]

_HANDOVER = 0.02
_DIALLED = 5.0
PROTECTION = "kubernetes.io/pvc-protection"
_RETRY = 0.2


class Kubelet:
    """Runs every pod of the store whose image it knows."""

    def __init__(self, store: Store, volumes: Volumes, folder: Path, scale: float) -> None:
        self._store = store
        self._volumes = volumes
        self._folder = folder
        self._scale = scale
        # What a pod's account shows the API; the API server brings it.
        self.issue: contents.Issue = lambda _namespace, _account: ""
        self._network = Network()
        self._images: dict[str, Image] = {}
        self._programs: dict[str, Program] = {}
        self._workers: dict[Key, PodWorker] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._hosts: dict[str, str] = {}
        self._services: dict[str, str] = {}
        self._named: dict[str, str] = {}
        # Pods that were given to this kubelet and not yet taken away again.
        self._begun: set[Key] = set()
        store.on_change(self._changed)

    def set_up(self) -> None:
        """Make the pod network."""
        self._network.set_up()

    @property
    def network(self) -> Network:
        """The pod network, for chaos."""
        return self._network

    def add_image(self, image: Image) -> None:
        """Make an image known."""
        self._images[image.name] = image

    def add_program(self, image: str, program: Program) -> None:
        """Make an image known whose program is the lab's own: see `kubelet.native`."""
        self._programs[image] = program

    def set_hosts(self, hosts: Mapping[str, str]) -> None:
        """Set what some names resolve to, in all pods, whatever the Services say."""
        self._named = dict(hosts)
        self._publish_hosts()

    def set_services(self, hosts: Mapping[str, str]) -> None:
        """Set what the names of Services resolve to, in all pods."""
        self._services = dict(hosts)
        self._publish_hosts()

    def _publish_hosts(self) -> None:
        self._hosts = {**self._services, **self._named}
        for worker in self._workers.values():
            worker.set_hosts(self._hosts)

    def address(self, namespace: str, pod: str) -> str | None:
        """The address of a pod that is there."""
        worker = self._workers.get((namespace, pod))
        return worker.address if worker else None

    def worker(self, namespace: str, pod: str) -> PodWorker:
        """The worker of a pod; 404 when there is none."""
        found = self._workers.get((namespace, pod))
        if found is None:
            raise not_found("pods", "", pod)
        return found

    async def run_once(self, pod: Object, name: str, argv: list[str]) -> None:
        """Run one command to its end where a pod would run; RuntimeError if it fails."""
        image = self._images[pod["spec"]["containers"][0]["image"]]
        once = {**pod, "metadata": {**pod["metadata"], "name": name, "uid": ""}}
        folder = self._folder / f"{pod['metadata']['namespace']}_{name}"
        address = self._network.add(name)
        worker = self._worker(once, image, address, folder)
        worker.prepare()
        worker.set_hosts(self._hosts)
        log = folder / "logs/1.log"
        try:
            with log.open("ab") as stream:
                running = await RunningContainer.start(worker.container(tuple(argv)), stream)
            code = await running.wait()
            if code:
                raise RuntimeError(f"{name} failed with code {code}: {_reason(log)}")
        finally:
            self._network.remove(name)
            worker.clean()

    # What the API asks (api.runtime.Runtime).

    def spawn(
        self, namespace: str, pod: str, argv: list[str], *, stdin: bool, tty: bool, container: str = ""
    ) -> subprocess.Popen[bytes]:
        """Start a command in a pod."""
        worker = self._workers.get((namespace, pod))
        if worker is not None and worker.is_native(container):
            raise CommandNotFoundError(argv[0])
        running = self._running(namespace, pod)
        path = running.container.environment()["PATH"]
        if not has_program(running.pid, "/usr", path):
            raise ContainerNotRunningError(pod)
        if not has_program(running.pid, argv[0], path):
            raise CommandNotFoundError(argv[0])
        return running.spawn(argv, stdin=stdin, merge=tty)

    async def dial(self, namespace: str, pod: str, port: int) -> socket.socket:
        """Connect to a port of a pod, as a kubelet does: in the pod's network, to its localhost."""
        path = Network.path(self._running(namespace, pod).container.pod)

        def connect() -> socket.socket:
            enter(path)
            return socket.create_connection(("127.0.0.1", port), timeout=_DIALLED)

        return await asyncio.get_running_loop().run_in_executor(WANDERERS, connect)

    def log_file(self, namespace: str, pod: str, *, previous: bool, container: str = "") -> Path | None:
        """The container's output so far."""
        worker = self._workers.get((namespace, pod))
        return worker.log_file(previous=previous, container=container) if worker else None

    def writes(self, namespace: str, pod: str, log: Path) -> bool:
        """Say whether the container that writes this log still runs."""
        worker = self._workers.get((namespace, pod))
        return worker is not None and worker.running is not None and worker.log_file(previous=False) == log

    def log_clock(self, namespace: str, pod: str, log: Path) -> LogClock:
        """When which part of a log was written."""
        return self.worker(namespace, pod).clock(log)

    def adopt(self, process: subprocess.Popen[bytes], held: list[IO[bytes]]) -> None:
        """Keep a process's pipes open and unread until it ends, and reap it."""

        def reap() -> None:
            process.wait()
            for pipe in held:
                pipe.close()

        if process.poll() is not None:
            reap()
            return
        threading.Thread(target=reap, daemon=True).start()

    # What a test asks (api.admin.Hands).

    async def stop(self, namespace: str, pod: str, *, gentle: bool = False) -> None:
        """Hold the container down, after a polite end or none."""
        self.worker(namespace, pod).hold(gentle=gentle)
        await self._until(namespace, pod, running=False)

    async def start(self, namespace: str, pod: str) -> None:
        """Let the container start again."""
        self.worker(namespace, pod).release()
        await self._until(namespace, pod, running=True)

    async def kill(self, namespace: str, pod: str) -> None:
        """Kill -9 the container."""
        worker = self.worker(namespace, pod)
        running = worker.running
        worker.kill()
        if running:
            await running.wait()

    def processes(self, namespace: str, pod: str) -> list[str]:
        """The command lines of all processes in the pod."""
        running = self.worker(namespace, pod).running
        return running.processes() if running else []

    def fill(self, namespace: str, pod: str, leave: int) -> int:
        """Fill the volume of a pod up to `leave` bytes; negative empties it again."""
        for volume in self._store.get(PODS, namespace, pod)["spec"]["volumes"]:
            claim = volume.get("persistentVolumeClaim")
            if claim:
                return self._volumes.fill(namespace, claim["claimName"], leave)
        return 0

    # The pods' lives.

    def _running(self, namespace: str, pod: str) -> RunningContainer:
        worker = self._workers.get((namespace, pod))
        if worker is None or worker.running is None or not worker.running.alive():
            raise ContainerNotRunningError(pod)
        return worker.running

    async def _until(self, namespace: str, pod: str, *, running: bool) -> None:
        for _ in range(500):
            worker = self._workers.get((namespace, pod))
            if worker is None or (worker.running is not None) is running:
                return
            await asyncio.sleep(0.02)

    def _changed(self, event: Event) -> None:
        if event.resource is not PODS:
            return
        was_placed = bool(event.before and event.before["spec"].get("nodeName"))
        if event.after and event.after["spec"].get("nodeName") and not was_placed:
            self._start(self._live(event.after))
        elif event.after and "deletionTimestamp" in event.after["metadata"]:
            meta = event.after["metadata"]
            worker = self._workers.get((meta["namespace"], meta["name"]))
            marked = event.before and "deletionTimestamp" in event.before["metadata"]
            grace = meta.get("deletionGracePeriodSeconds", 30)
            if worker is None:
                self._begun.discard((meta["namespace"], meta["name"]))
                self._store_finish_soon(meta)
            elif not marked or grace == 0:
                self._start(self._end(worker, grace))
        elif event.before and event.after is None:
            meta = event.before["metadata"]
            worker = self._workers.get((meta["namespace"], meta["name"]))
            if worker is not None and worker.uid == meta["uid"]:
                # Deleted by force: the object went first, the processes have to follow.
                self._start(self._end(worker, 0))

    def _start(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _store_finish_soon(self, meta: Object) -> None:
        ended = self._store.ended
        asyncio.get_running_loop().call_soon(ended, PODS, meta["namespace"], meta["name"])

    async def _live(self, pod: Object) -> None:
        meta = pod["metadata"]
        key = (meta["namespace"], meta["name"])
        self._begun.add(key)
        while key in self._workers:  # noqa: ASYNC110 - there is one event for all pods
            # One of that name is still on its way out.
            await asyncio.sleep(_HANDOVER)
        image = await self._pull(pod, key)
        if image is None or not await self._attached(pod, key):
            return
        address = self._network.add(meta["name"])
        folder = self._folder / f"{key[0]}_{key[1]}"
        worker = self._worker(pod, image, address, folder)
        while key in self._begun:
            try:
                worker.prepare()
                worker.container()
                break
            except contents.MissingError as error:
                self._refuse(pod, "CreateContainerConfigError", str(error), "Failed")
                await asyncio.sleep(_RETRY)
        else:
            return
        worker.set_hosts(self._hosts)
        self._workers[key] = worker
        await worker.run()

    def _worker(self, pod: Object, image: Image, address: str, folder: Path) -> PodWorker:
        store, volumes = self._store, self._volumes
        return PodWorker(
            pod,
            image,
            address,
            folder,
            store=store,
            volumes=volumes,
            scale=self._scale,
            issue=self.issue,
            programs=self._programs,
        )

    async def _pull(self, pod: Object, key: Key) -> Image | None:
        """The image of a pod; as long as nobody has it, the pod waits."""
        name = pod["spec"]["containers"][0]["image"]
        while key in self._begun:
            path = next((image.path for image in self._images.values()), ())
            image = self._images.get(name) or images.generic(pod, path)
            if image:
                return image
            self._refuse(pod, "ErrImagePull", f'failed to pull image "{name}": not found', "Failed")
            await asyncio.sleep(_RETRY)
        return None

    async def _attached(self, pod: Object, key: Key) -> bool:
        """Wait till all volumes of a pod can be mounted where it is; False when the pod went first."""
        while key in self._begun:
            obstacle = attach.obstacle(self._store, self._volumes, pod)
            if obstacle is None:
                return True
            self._refuse(pod, "ContainerCreating", obstacle.message, obstacle.reason)
            await asyncio.sleep(_RETRY)
        return False

    def _refuse(self, pod: Object, waiting: str, message: str, reason: str) -> None:
        """Say why a pod's container cannot be made yet."""
        attach.refuse(self._store, pod, waiting, message, reason)

    async def _end(self, worker: PodWorker, grace: float) -> None:
        key = (worker.namespace, worker.name)
        await worker.end(grace)
        if self._workers.get(key) is not worker:
            return
        del self._workers[key]
        with contextlib.suppress(RuntimeError):
            self._network.remove(worker.name)
        worker.clean()
        there = self._store.find(PODS, *key)
        if there is not None and there["metadata"]["uid"] == worker.uid:
            self._begun.discard(key)
            self._store.ended(PODS, *key)
        self._unprotect(worker.namespace)

    def _unprotect(self, namespace: str) -> None:
        """Let go of deleted claims that no pod uses any more."""
        used = {
            volume["persistentVolumeClaim"]["claimName"]
            for pod in self._store.listing(PODS, namespace)
            for volume in pod["spec"].get("volumes", [])
            if "persistentVolumeClaim" in volume
        }
        for claim in self._store.listing(CLAIMS, namespace):
            name = claim["metadata"]["name"]
            if "deletionTimestamp" in claim["metadata"] and name not in used:
                self._store.finish(CLAIMS, namespace, name)
                self._volumes.release(namespace, name)


def _reason(log: Path) -> str:
    """The line of a log that tells best why a program failed."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["it said nothing"]
    telling = [
        line for line in lines if any(word in line for word in ("No space", "PANIC", "FATAL", "error:"))
    ]
    return (telling or lines[-1:])[0]
