"""The operator's eyes and hands: the store, the agents, and SQL as root."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import aiohttp

from hasteward_lab.api import events
from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.resources import PODS, SECRETS, STATEFUL_SETS
from hasteward_lab.mariadb import sql
from hasteward_lab.mariadb.kinds import MARIADBS
from hasteward_lab.mariadb.names import AGENT_PORT, Names, ordinal
from hasteward_lab.mariadb.objects import Maker

if TYPE_CHECKING:
    from hasteward_lab.api.resources import Resource
    from hasteward_lab.api.store import Store
    from hasteward_lab.kubelet.kubelet import Kubelet
    from hasteward_lab.mariadb.level import Level

Object = dict[str, Any]

_ASKED = aiohttp.ClientTimeout(total=2.0)
CONFLICT, NOT_FOUND = 409, 404


class Desk:
    """Reads and writes around one MariaDB."""

    def __init__(self, store: Store, kubelet: Kubelet, names: Names, level: Level, scale: float) -> None:
        self.store = store
        self.kubelet = kubelet
        self.names = names
        self.level = level
        self.scale = scale

    def mariadb(self) -> Object | None:
        """The MariaDB as it is now."""
        return self.store.find(MARIADBS, self.names.namespace, self.names.cluster)

    def maker(self, mariadb: Object) -> Maker:
        """What makes the objects it is to have."""
        return Maker(mariadb, self.level.version)

    def stateful_set(self) -> Object | None:
        """Its StatefulSet."""
        return self.store.find(STATEFUL_SETS, self.names.namespace, self.names.cluster)

    def pods(self) -> list[Object]:
        """Its members' pods by number; ValueError for a stranger with its labels, but for Jobs' pods."""
        wanted = self.names.labels.items()
        found = [
            pod
            for pod in self.store.listing(PODS, self.names.namespace)
            if wanted <= (pod["metadata"].get("labels") or {}).items()
            and "job-name" not in pod["metadata"]["labels"]
        ]
        replicas = int((self.mariadb() or {"spec": {"replicas": 0}})["spec"]["replicas"])
        for pod in found:
            name = pod["metadata"]["name"]
            if ordinal(name) >= replicas:
                raise ValueError(f"invalid Pod name: {name}")
        return sorted(found, key=lambda pod: ordinal(pod["metadata"]["name"]))

    def status(self, change: Callable[[Object], None]) -> None:
        """Change the status: a merge patch that asks for no version."""

        def write(item: Object) -> None:
            change(item.setdefault("status", {}))

        self.store.modify(MARIADBS, self.names.namespace, self.names.cluster, write)

    def spec(self, change: Callable[[Object], None]) -> None:
        """Change the spec."""
        self.store.modify(
            MARIADBS, self.names.namespace, self.names.cluster, lambda item: change(item["spec"])
        )

    def event(self, kind: str, reason: str, message: str) -> None:
        """Record an Event on the MariaDB."""
        found = self.mariadb()
        if found is not None:
            events.record(self.store, found, kind, reason, message, component="galera")

    def ensure(self, resource: Resource, body: Object) -> None:
        """Create an object if it is not there."""
        try:
            self.store.create(resource, body)
        except ApiError as error:
            if error.code != CONFLICT:
                raise

    def delete(self, resource: Resource, name: str, *, propagation: str = "Background") -> None:
        """Delete an object; gone ones are no error."""
        try:
            self.store.delete(resource, self.names.namespace, name, propagation=propagation)
        except ApiError as error:
            if error.code != NOT_FOUND:
                raise

    def secret(self, name: str, key: str) -> str:
        """A value of a Secret; empty when it is not there."""
        found = self.store.find(SECRETS, self.names.namespace, name) or {}
        return base64.b64decode(found.get("data", {}).get(key, "")).decode()

    def password(self, mariadb: Object) -> str:
        """Root's password as the Secret has it."""
        reference = mariadb["spec"]["rootPasswordSecretKeyRef"]
        return self.secret(reference["name"], reference["key"])

    async def wsrep(self, pod: str, mariadb: Object) -> sql.Wsrep | None:
        """What a pod says of its cluster; None when it cannot be asked."""
        address, password = self.kubelet.address(self.names.namespace, pod), self.password(mariadb)
        if address is None:
            return None
        try:
            return await asyncio.to_thread(sql.wsrep, address, password)
        except sql.SqlError:
            return None

    async def agent(self, pod: str, method: str, path: str, body: Object | None = None) -> tuple[int, Object]:
        """A call of a pod's agent: status and answer; OSError when it is not there."""
        address = self.kubelet.address(self.names.namespace, pod)
        if address is None:
            raise OSError("no route to host")
        word = self.secret(f"{self.names.cluster}-agent-auth", "password")
        auth = aiohttp.BasicAuth("mariadb-operator", word)
        try:
            async with (
                aiohttp.ClientSession(timeout=_ASKED, auth=auth) as session,
                session.request(method, f"http://{address}:{AGENT_PORT}{path}", json=body) as answer,
            ):
                text = await answer.text()
                return answer.status, (await answer.json(content_type=None) if text else {})
        except (aiohttp.ClientError, TimeoutError) as error:
            raise OSError(str(error) or "context deadline exceeded") from None
