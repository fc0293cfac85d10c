"""Stands an OpenBao cluster up on the kubelet, and unseals its servers as long as the lab lasts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from hasteward_lab import programs
from hasteward_lab.api.auth import bootstrap
from hasteward_lab.api.resources import CONFIG_MAPS, NODES, PODS, SECRETS, SERVICES, STATEFUL_SETS
from hasteward_lab.controllers.base import owned_by
from hasteward_lab.kubelet.sandbox import Image
from hasteward_lab.kubelet.status import is_ready
from hasteward_lab.openbao import objects
from hasteward_lab.openbao.server import RefusedError, Servers
from hasteward_lab.pki import Authority

if TYPE_CHECKING:
    from hasteward_lab.api.resources import Resource
    from hasteward_lab.api.store import Store
    from hasteward_lab.kubelet.kubelet import Kubelet
    from hasteward_lab.kubelet.volumes import Volumes
    from hasteward_lab.parts import Webhook
    from hasteward_lab.state import LabConfig

Object = dict[str, Any]
Say = Callable[[str], None]

#: the Secret that hasteward takes its token from when nothing else is said
TOKEN_SECRET = "hasteward-vault"
_IMAGE = "quay.io/openbao/openbao:2.7.2"
_PATIENCE = 60.0
_LOOK = 0.1


class OpenBaoCluster:
    """One release: its objects, and the somebody who types in the unseal keys."""

    def __init__(self, lab: LabConfig, store: Store, kubelet: Kubelet, _volumes: Volumes) -> None:
        self._lab = lab
        self._store = store
        self._kubelet = kubelet
        authority = Authority(f"{lab.cluster}-ca")
        self._tls = authority.issue(lab.cluster, objects.names(lab.cluster, lab.namespace))
        self._ca = authority.pair.certificate
        self._servers = Servers(self._ca)
        self._unseals = True
        self._key = ""
        self._root = ""
        self._refused = ""
        folder = programs.openbao_bin()
        # The chart leaves the container's root writable; a restore needs its /tmp.
        kubelet.add_image(Image(_IMAGE, "openbao", 100, (folder,), (folder,), writable=True))

    def endpoints(self) -> dict[str, Callable[[Object], Awaitable[Any]]]:
        """What a test may ask: whether somebody unseals, and a call of a member's API as root."""

        async def operator(body: Object) -> Object:
            self._unseals = bool(body.get("up", True))
            return {"up": self._unseals}

        async def call(body: Object) -> Object:
            address = self._kubelet.address(self._lab.namespace, body["pod"])
            try:
                return await self._servers.call(
                    str(address), body["method"], body["path"], body.get("body"), self._root
                )
            except (RefusedError, aiohttp.ClientError, OSError, TimeoutError) as error:
                return {"lab_error": str(error) or type(error).__name__}

        return {"operator": operator, "openbao": call}

    def webhooks(self) -> dict[Resource, Webhook]:
        """Nobody has a say in its writes."""
        return {}

    async def create(self, say: Say) -> None:
        """Stand the whole cluster up; returns when every member is unsealed."""
        lab, store = self._lab, self._store
        for number in range(1, lab.members + 1):
            conditions = [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]
            node = {"metadata": {"name": f"node-{number}"}, "status": {"conditions": conditions}}
            store.create(NODES, node, status=True)
        store.create(CONFIG_MAPS, objects.config_map(lab.cluster, lab.namespace, lab.members))
        pair = {"tls.crt": self._tls.certificate, "tls.key": self._tls.key, "ca.crt": self._ca}
        store.create(SECRETS, objects.secret(f"{lab.cluster}-tls", lab.namespace, pair))
        for service in objects.services(lab.cluster, lab.namespace):
            store.create(SERVICES, service)
        store.create(
            STATEFUL_SETS,
            objects.stateful_set(lab.cluster, lab.namespace, lab.members, _IMAGE, lab.volume_size),
        )
        first = f"{lab.cluster}-0"
        say(f"initialising {first}")
        async with self._patience(first):
            await self._initialise(first)
            await self._unseal_one(first)
            await self._active(first)
            # A joiner has a vote when it was well for so long: ten seconds, if nothing is said.
            quick = {"server_stabilization_time": "1s"}
            await self._patiently(first, "POST", "sys/storage/raft/autopilot/configuration", quick)
        say("unsealing the others")
        async with self._patience(f"{lab.cluster}-{lab.members - 1}"):
            while not all(is_ready(pod) for pod in self._pods()) or len(self._pods()) < lab.members:
                await self._round()
                await asyncio.sleep(_LOOK)
        await self._give_rights(first)

    async def settled(self) -> None:
        """Wait till every member is a voter: before that there is no failover."""
        async with self._patience(f"{self._lab.cluster}-0"):
            while True:
                with contextlib.suppress(RefusedError, aiohttp.ClientError, OSError, TimeoutError):
                    found = await self._servers.call(
                        self._address(f"{self._lab.cluster}-0"),
                        "GET",
                        "sys/storage/raft/configuration",
                        token=self._root,
                    )
                    rows = found["data"]["config"]["servers"]
                    if sum(bool(row["voter"]) for row in rows) >= self._lab.members:
                        return
                await self._round()
                await asyncio.sleep(_LOOK)

    @contextlib.asynccontextmanager
    async def _patience(self, pod: str) -> AsyncIterator[None]:
        """As long as one step of standing up may take; a failure shows the pod's last words."""
        try:
            async with asyncio.timeout(_PATIENCE):
                yield
        except TimeoutError:
            path = self._kubelet.log_file(self._lab.namespace, pod, previous=False)
            said = path.read_text(encoding="utf-8", errors="replace")[-2000:] if path else "nothing"
            message = f"{pod} did not come up ({self._refused}); its log: {said}"
            raise RuntimeError(message) from None

    async def follow(self) -> None:
        """Type in the unseal key wherever it is asked for, and label the pods as the servers do."""
        while True:
            await self._round()
            await asyncio.sleep(_LOOK * 3)

    async def _round(self) -> None:
        await asyncio.gather(*(self._look_after(pod["metadata"]["name"]) for pod in self._pods()))

    async def _look_after(self, pod: str) -> None:
        address = self._kubelet.address(self._lab.namespace, pod)
        if address is None:
            return
        try:
            health = await self._servers.call(address, "GET", "sys/health")
            if health["sealed"] and self._unseals and self._key:
                await self._servers.call(address, "PUT", "sys/unseal", {"key": self._key})
        except (RefusedError, aiohttp.ClientError, OSError, TimeoutError, KeyError):
            return
        active = not health["sealed"] and not health["standby"]
        self._label(pod, active=active, sealed=bool(health["sealed"]))

    def _label(self, pod: str, *, active: bool, sealed: bool) -> None:
        words = {"openbao-active": str(active).lower(), "openbao-sealed": str(sealed).lower()}
        found = self._store.find(PODS, self._lab.namespace, pod)
        if found is None or words.items() <= (found["metadata"].get("labels") or {}).items():
            return

        def change(item: Object) -> None:
            item["metadata"].setdefault("labels", {}).update(words)

        self._store.modify(PODS, self._lab.namespace, pod, change)

    def _pods(self) -> list[Object]:
        owner = self._store.find(STATEFUL_SETS, self._lab.namespace, self._lab.cluster)
        pods = self._store.listing(PODS, self._lab.namespace)
        return [pod for pod in pods if owner is not None and owned_by(pod, owner)]

    def _address(self, pod: str) -> str:
        return str(self._kubelet.address(self._lab.namespace, pod))

    async def _patiently(self, pod: str, method: str, path: str, body: Object | None = None) -> Object:
        while True:
            try:
                return await self._servers.call(self._address(pod), method, path, body, self._root)
            except (RefusedError, aiohttp.ClientError, OSError, TimeoutError) as error:
                self._refused = str(error)
                await asyncio.sleep(_LOOK)

    async def _initialise(self, pod: str) -> None:
        await self._patiently(pod, "GET", "sys/seal-status")
        made = await self._patiently(pod, "PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self._key, self._root = made["keys_base64"][0], made["root_token"]
        fields = {"unseal-key": self._key, "root-token": self._root}
        self._store.create(
            SECRETS, objects.secret(f"{self._lab.cluster}-unseal", self._lab.namespace, fields)
        )

    async def _unseal_one(self, pod: str) -> None:
        await self._patiently(pod, "PUT", "sys/unseal", {"key": self._key})

    async def _active(self, pod: str) -> None:
        while (await self._patiently(pod, "GET", "sys/leader")).get("is_self") is not True:  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(_LOOK)

    async def _give_rights(self, pod: str) -> None:
        """The policies of deploy/vault, and a token with them for each of the Secret's keys."""
        await self._patiently(pod, "POST", "sys/mounts/kv", {"type": "kv"})
        fields = {}
        for policy in sorted(_policies().glob("*.hcl")):
            text = policy.read_text(encoding="utf-8")
            await self._patiently(pod, "PUT", f"sys/policies/acl/hasteward-{policy.stem}", {"policy": text})
            wish = {"policies": [f"hasteward-{policy.stem}"], "no_default_policy": True, "period": "24h"}
            made = await self._patiently(pod, "POST", "auth/token/create-orphan", wish)
            fields[policy.stem] = made["auth"]["client_token"]
        fields["token"] = fields["repair"]
        self._store.create(SECRETS, objects.secret(TOKEN_SECRET, self._lab.namespace, fields))
        for item in bootstrap.shipped(_policies(), self._lab.namespace, ["kustomization.yaml"]):
            self._store.create(bootstrap.KINDS[item["kind"]], item)


def _policies() -> Path:
    return bootstrap.manifests().parent / "vault"
