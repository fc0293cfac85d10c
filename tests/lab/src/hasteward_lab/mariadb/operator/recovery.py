"""One pass of the recovery of a Galera cluster: blocking, as it is in the operator.

It looks at no `suspend` once it has begun, and forgets nothing it has written.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from hasteward_lab.api.resources import JOBS, PODS, STATEFUL_SETS
from hasteward_lab.api.store import now
from hasteward_lab.mariadb import files
from hasteward_lab.mariadb.names import ordinal
from hasteward_lab.mariadb.operator.defaults import seconds
from hasteward_lab.mariadb.operator.restart import AGENT_WITHIN, RecoveryError, Restart, healthy
from hasteward_lab.mariadb.operator.source import NoSourceError, choose

if TYPE_CHECKING:
    from hasteward_lab.mariadb.operator.desk import Desk

Object = dict[str, Any]

_AGAIN = 5.0
_LOOK = 0.1


class Recovery:
    """Brings a latched cluster back from the member that the operator takes for the newest."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def run(self, mariadb: Object) -> float | None:
        """One pass; seconds till the next when there is nothing to be done yet. RecoveryError if it fails."""
        pods = [pod["metadata"]["name"] for pod in self._desk.pods() if pod["spec"].get("nodeName")]
        if not pods:
            return _AGAIN
        self._reset_if_late(mariadb)
        if not self._state().get("bootstrap"):
            await self._find_source(mariadb, pods)
        if not self._state().get("podsRestarted"):
            await Restart(self._desk).run(mariadb, self._source(mariadb))
            self._write(podsRestarted=True)
        return None

    def _state(self) -> Object:
        found = self._desk.mariadb() or {}
        return found.get("status", {}).get("galeraRecovery") or {}

    def _write(self, **fields: Any) -> None:
        def change(status: Object) -> None:
            status["galeraRecovery"] = {**(status.get("galeraRecovery") or {}), **fields}

        self._desk.status(change)

    def _reset_if_late(self, mariadb: Object) -> None:
        begun = self._state().get("bootstrap")
        limit = seconds(_option(mariadb, "clusterBootstrapTimeout", "10m")) * self._desk.scale
        if not begun or _age(begun["time"]) <= limit:
            return
        self._desk.event("Warning", "GaleraClusterBootstrapTimeout", "Galera cluster bootstrap timed out")
        keeps = self._desk.level.keeps_findings

        def change(status: Object) -> None:
            old = status.pop("galeraRecovery")
            if keeps:
                kept = {key: old[key] for key in ("state", "recovered") if key in old}
                status["galeraRecovery"] = kept

        self._desk.status(change)

    async def _find_source(self, mariadb: Object, pods: list[str]) -> None:
        forced = _option(mariadb, "forceClusterBootstrapInPod", "")
        if forced:
            self._write(bootstrap={"pod": forced, "time": now()})
            return
        await self._states(mariadb, pods)
        try:
            pod, _ = self._choose(mariadb)
        except NoSourceError:
            await self._open_all(mariadb, pods)
            try:
                pod, _ = self._choose(mariadb)
            except NoSourceError as error:
                raise RecoveryError(f"error getting bootstrap source: {error}") from None
        self._write(bootstrap={"pod": pod, "time": now()})

    def _choose(self, mariadb: Object) -> tuple[str, Object]:
        names = self._desk.names.pods(int(mariadb["spec"]["replicas"]))
        return choose(self._state(), names, self._desk.level)

    def _source(self, mariadb: Object) -> tuple[str, Object | None]:
        """Chosen anew from what was found, and not taken from what was written down."""
        forced = _option(mariadb, "forceClusterBootstrapInPod", "")
        if forced:
            return forced, None
        try:
            pod, row = self._choose(mariadb)
        except NoSourceError as error:
            raise RecoveryError(f"error getting bootstrap source: {error}") from None
        return pod, {"uuid": row["uuid"], "seqno": row["seqno"]}

    async def _states(self, mariadb: Object, pods: list[str]) -> None:
        """Ask every agent for grastate.dat; a pod without one is silently left without a record."""
        limit = seconds(_option(mariadb, "podRecoveryTimeout", "5m")) * self._desk.scale
        todo = [pod for pod in pods if pod not in (self._state().get("state") or {})]

        async def fetch(pod: str) -> None:
            async with asyncio.timeout(limit):
                await healthy(self._desk, pod, AGENT_WITHIN * self._desk.scale)
                while True:
                    try:
                        code, answer = await self._desk.agent(pod, "GET", "/api/galera/state")
                    except OSError:
                        code, answer = 0, {}
                    if code == 200:
                        self._write(state={**(self._state().get("state") or {}), pod: answer})
                        self._desk.event(
                            "Normal", "GaleraPodStateFetched", f"Galera state fetched in Pod '{pod}'"
                        )
                        return
                    if code == 404:
                        return
                    await asyncio.sleep(max(self._desk.scale, _LOOK))

        await _all(todo, fetch, "error getting state", "error getting Galera state for Pod '{}'")

    async def _open_all(self, mariadb: Object, pods: list[str]) -> None:
        """Stop everybody, let a Job open each data directory, and start everybody again."""
        down = seconds(_option(mariadb, "clusterDownscaleTimeout", "5m")) * self._desk.scale
        up = seconds(_option(mariadb, "clusterUpscaleTimeout", "5m")) * self._desk.scale
        nodes = {pod["metadata"]["name"]: pod["spec"].get("nodeName", "") for pod in self._desk.pods()}
        self._scale(0)
        if not await _until(lambda: self._replicas() == 0, down):
            raise RecoveryError("error downscaling cluster: context deadline exceeded")
        try:
            todo = [pod for pod in pods if pod not in (self._state().get("recovered") or {})]

            async def open_one(pod: str) -> None:
                await self._open(mariadb, pod, nodes.get(pod, ""))

            await _all(todo, open_one, "error performing recovery", "error recovering Pod '{}'")
        finally:
            replicas = int(mariadb["spec"]["replicas"])
            self._scale(replicas)
            await _until(lambda: self._replicas() == replicas, up)

    async def _open(self, mariadb: Object, pod: str, node: str) -> None:
        desk, namespace = self._desk, self._desk.names.namespace
        limit = seconds(_option(mariadb, "podRecoveryTimeout", "5m")) * desk.scale
        job = desk.maker(mariadb).recovery_job(ordinal(pod), node)
        name = job["metadata"]["name"]
        desk.ensure(JOBS, job)
        try:
            async with asyncio.timeout(max(limit, AGENT_WITHIN * desk.scale)):
                while not _complete(desk.store.find(JOBS, namespace, name)):  # noqa: ASYNC110 - only asking tells
                    await asyncio.sleep(_LOOK)
            position = files.recovered(self._log(name))
            if position is None:
                raise RecoveryError("unable to find a recovered position in the logs")
            found = {"uuid": position[0], "seqno": position[1]}
            self._write(recovered={**(self._state().get("recovered") or {}), pod: found})
            desk.event("Normal", "GaleraPodRecovered", f"Recovered Galera sequence in Pod '{pod}'")
        finally:
            desk.delete(JOBS, name)
            await _until(lambda: not self._job_pods(name), limit)

    def _job_pods(self, job: str) -> list[Object]:
        rows = self._desk.store.listing(PODS, self._desk.names.namespace)
        return [row for row in rows if (row["metadata"].get("labels") or {}).get("job-name") == job]

    def _log(self, job: str) -> str:
        for pod in self._job_pods(job)[:1]:
            name = pod["metadata"]["name"]
            path = self._desk.kubelet.log_file(self._desk.names.namespace, name, previous=False)
            return path.read_text(encoding="utf-8", errors="replace") if path else ""
        return ""

    def _scale(self, replicas: int) -> None:
        def change(item: Object) -> None:
            item["spec"]["replicas"] = replicas

        self._desk.store.modify(STATEFUL_SETS, self._desk.names.namespace, self._desk.names.cluster, change)

    def _replicas(self) -> int:
        found = self._desk.stateful_set() or {}
        return int(found.get("status", {}).get("replicas", 0))


async def _all(pods: list[str], work: Callable[[str], Awaitable[None]], doing: str, each: str) -> None:
    """Do it for all pods at once; one that fails fails the pass, after all have ended."""
    done = await asyncio.gather(*(work(pod) for pod in pods), return_exceptions=True)
    failed = []
    for pod, error in zip(pods, done, strict=True):
        if isinstance(error, asyncio.CancelledError):
            raise error
        if isinstance(error, TimeoutError):
            failed.append(f"{each.format(pod)}: context deadline exceeded")
        elif isinstance(error, RecoveryError | OSError):
            failed.append(f"{each.format(pod)}: {error}")
        elif error is not None:
            raise error
    if failed:
        count = f"{len(failed)} error{'s' if len(failed) > 1 else ''} occurred:"
        raise RecoveryError(f"{doing}: {count}\n\t* " + "\n\t* ".join(failed) + "\n\n")


async def _until(holds: Callable[[], bool], limit: float) -> bool:
    deadline = time.monotonic() + limit
    while not holds():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_LOOK)
    return True


def _option(mariadb: Object, name: str, usual: str) -> str:
    return str(mariadb["spec"]["galera"]["recovery"].get(name) or usual)


def _complete(job: Object | None) -> bool:
    rows = (job or {}).get("status", {}).get("conditions", [])
    return any(row["type"] == "Complete" and row["status"] == "True" for row in rows)


def _age(moment: str) -> float:
    return (dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(moment)).total_seconds()
