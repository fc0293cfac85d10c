"""Chaos inside the supervisor: the endpoints below `/lab/chaos/`."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.resources import PODS
from hasteward_lab.chaos import digests, processes
from hasteward_lab.chaos.files import Files
from hasteward_lab.chaos.links import Links, Place
from hasteward_lab.chaos.look import Look, UnreadableError
from hasteward_lab.chaos.relay import Weather

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hasteward_lab.api.store import Event, Store
    from hasteward_lab.kubelet.container import RunningContainer
    from hasteward_lab.kubelet.kubelet import Kubelet
    from hasteward_lab.kubelet.volumes import Volumes

Json = dict[str, Any]

# How to ask whether a server answers at all, by the container it runs in; the usual one is PostgreSQL's.
_KNOCK = {"mariadb": ["mariadb-admin", "--connect-timeout=2", "ping"]}


class ChaosServer:
    """Does to the pods what no client of the API could do."""

    def __init__(
        self, store: Store, kubelet: Kubelet, volumes: Volumes, *, folder: Path, programs: Path
    ) -> None:
        self._store = store
        self._kubelet = kubelet
        self._volumes = volumes
        self.links = Links(self._places)
        self._last: dict[tuple[str, str], Json] = {}
        self.files = Files(volumes, self._pod, folder / "kept")
        self.look = Look(programs, folder / "look")
        store.on_change(self._changed)

    def endpoints(self) -> dict[str, Callable[[Json], Awaitable[Any]]]:
        """The calls by path below `/lab/`."""
        moves: dict[str, Callable[..., Any]] = {
            "freeze": self._freeze,
            "thaw": self._thaw,
            "partition": self._partition,
            "isolate": self._isolate,
            "degrade": self._degrade,
            "heal": self._heal,
            "network": self._network,
            "corrupt": self._corrupt,
            "lose": self._lose,
            "put": self._put,
            "edit": self._edit,
            "mend": self._mend,
            "server": self._server,
            "log": self._log,
            "files": self._files,
            "control": self._control,
            "replay": self._replay,
            "digests": self._digests,
        }
        return {f"chaos/{name}": _endpoint(move) for name, move in moves.items()}

    def _freeze(self, namespace: str, pod: str) -> Json:
        return {"processes": processes.freeze(self._running(namespace, pod).pid)}

    def _thaw(self, namespace: str, pod: str) -> Json:
        return {"processes": processes.thaw(self._running(namespace, pod).pid)}

    def _partition(self, namespace: str, source: str, target: str, *, one_way: bool = False) -> Json:
        self.links.cut(source, target, one_way=one_way)
        return self._network(namespace)

    def _isolate(self, namespace: str, pod: str) -> Json:
        self.links.isolate(pod)
        return self._network(namespace)

    def _degrade(self, namespace: str, pod: str, latency: float = 0.0, loss: float = 0.0) -> Json:
        self.links.weather(pod, Weather(latency, loss))
        return self._network(namespace)

    def _heal(self, namespace: str, names: tuple[str, ...] = ()) -> Json:
        self.links.heal(*names)
        return self._network(namespace)

    def _network(self, namespace: str) -> Json:
        del namespace  # names are unique on the bridge
        return {"network": self.links.listing()}

    def _corrupt(
        self, namespace: str, pod: str, path: str, offset: int = 0, length: int = 0, how: str = "zero"
    ) -> Json:
        done = self.files.corrupt(namespace, pod, path, offset=offset, length=length, how=how)
        return {"bytes": done}

    def _lose(self, namespace: str, pod: str, pattern: str) -> Json:
        return {"names": self.files.lose(namespace, pod, pattern)}

    def _put(self, namespace: str, pod: str, path: str, text: str) -> Json:
        return {"bytes": self.files.put(namespace, pod, path, text)}

    def _edit(self, namespace: str, pod: str, path: str, old: str, new: str) -> Json:
        return {"bytes": self.files.edit(namespace, pod, path, old, new)}

    def _mend(self, namespace: str, pod: str) -> Json:
        return {"mended": self.files.mend(namespace, pod)}

    async def _server(self, namespace: str, pod: str) -> Json:
        seen = {"there": False, "runs": False, "frozen": False, "answers": False}
        if self._store.find(PODS, namespace, pod) is None:
            return seen
        seen["there"] = True
        try:
            running = self._running(namespace, pod)
        except (ValueError, ApiError):
            return seen
        frozen = processes.frozen(running.pid)
        seen.update(runs=True, frozen=frozen)
        if not frozen:
            container = self._pod(namespace, pod)["spec"]["containers"][0]["name"]
            done = await running.run(_KNOCK.get(container, ["pg_isready", "-q", "-t", "2"]))
            seen["answers"] = done.returncode == 0
        return seen

    def _log(self, namespace: str, pod: str, *, previous: bool = False) -> Json:
        path = self._kubelet.log_file(namespace, pod, previous=previous)
        return {"text": path.read_text(encoding="utf-8", errors="replace") if path else ""}

    def _files(self, namespace: str, pod: str) -> Json:
        return {**self.look.files(self._pgdata(namespace, pod))}

    async def _control(self, namespace: str, pod: str) -> Json:
        return await _readable(self.look.control, self._pgdata(namespace, pod))

    async def _replay(self, namespace: str, pod: str, query: str, database: str = "postgres") -> Json:
        pgdata = self._pgdata(namespace, pod)
        return await _readable(lambda: {"rows": self.look.replay(pgdata, database, query)})

    async def _digests(self, namespace: str) -> Json:
        claims = digests.paths(self._store, self._volumes, namespace)
        return {"digests": await asyncio.to_thread(digests.of_claims, claims)}

    def _pgdata(self, namespace: str, pod: str) -> Path:
        return self.files.resolve(namespace, pod, ".")

    def _pod(self, namespace: str, name: str) -> Json:
        """A pod, or what it was: its volumes can outlive it."""
        found = self._store.find(PODS, namespace, name) or self._last.get((namespace, name))
        return found or self._store.get(PODS, namespace, name)

    def _running(self, namespace: str, pod: str) -> RunningContainer:
        running = self._kubelet.worker(namespace, pod).running
        if running is None:
            raise ValueError(f"{pod} does not run")
        return running

    def _places(self) -> dict[str, Place]:
        network = self._kubelet.network
        return {
            name: Place(name, address, network.link(name)) for name, address in network.addresses().items()
        }

    def _changed(self, event: Event) -> None:
        """A pod that comes back finds the network as it was left."""
        if event.resource is not PODS:
            return
        if event.after is not None:
            meta = event.after["metadata"]
            self._last[meta["namespace"], meta["name"]] = event.after
        if self.links.listing():
            before, after = (_address(each) for each in (event.before, event.after))
            if before != after:
                asyncio.get_running_loop().call_soon(self.links.apply)


def _address(pod: Json | None) -> str:
    return str((pod or {}).get("status", {}).get("podIP", ""))


def _endpoint(move: Callable[..., Any]) -> Callable[[Json], Awaitable[Any]]:
    async def serve(body: Json) -> Any:
        try:
            inspect.signature(move).bind(**body)
        except TypeError as error:
            raise ApiError(400, str(error)) from None
        try:
            done = move(**body)
            return await done if inspect.isawaitable(done) else done
        except (ValueError, OSError, RuntimeError) as error:
            raise ApiError(400, str(error)) from None

    return serve


async def _readable(read: Callable[..., Json], *arguments: Any) -> Json:
    """What was read, or why nothing was; in a thread, for PostgreSQL's programs take their time."""
    try:
        return {"readable": True, **await asyncio.to_thread(read, *arguments)}
    except UnreadableError as error:
        return {"readable": False, "reason": str(error)}
