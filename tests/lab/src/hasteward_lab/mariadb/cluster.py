"""Stands a Galera cluster up on the kubelet by asking its operator for one, as a user would."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hasteward_lab import programs
from hasteward_lab.api.auth import bootstrap
from hasteward_lab.api.resources import NODES, Resource
from hasteward_lab.kubelet.sandbox import Image
from hasteward_lab.kubelet.status import is_ready
from hasteward_lab.mariadb import config, kinds
from hasteward_lab.mariadb.agent import Agent
from hasteward_lab.mariadb.init import Init, condition
from hasteward_lab.mariadb.level import level
from hasteward_lab.mariadb.look import Look, UnreadableError
from hasteward_lab.mariadb.names import OPERATOR_IMAGE, Names
from hasteward_lab.mariadb.operator.desk import Desk
from hasteward_lab.mariadb.operator.loop import Loop
from hasteward_lab.mariadb.operator.reconcile import Pass
from hasteward_lab.mariadb.webhook import Webhook

if TYPE_CHECKING:
    from hasteward_lab.api.store import Store
    from hasteward_lab.kubelet.kubelet import Kubelet
    from hasteward_lab.kubelet.native import Place
    from hasteward_lab.kubelet.volumes import Volumes
    from hasteward_lab.state import LabConfig

Object = dict[str, Any]
Say = Callable[[str], None]

_PATIENCE = 90.0
#: what this machine may have and the database image has not
_NOT_IN_IMAGE = ("jq", "zstd", "kubectl")


class MariaDBCluster:
    """One MariaDB: its objects, its operator, and what its pods are made of."""

    def __init__(self, lab: LabConfig, store: Store, kubelet: Kubelet, volumes: Volumes) -> None:
        self._lab = lab
        self._store = store
        self._kubelet = kubelet
        self._names = Names(lab.cluster, lab.namespace)
        behaves = level(lab.level)
        self._image = f"docker-registry1.mariadb.com/library/mariadb:{version()}"
        kubelet.add_image(picture(self._image))
        kubelet.add_program(OPERATOR_IMAGE.format(behaves.version), self._native)
        self._init, self._agent = Init(store, volumes), Agent(store)
        self._desk = Desk(store, kubelet, self._names, behaves, lab.time_scale)
        self._loop = Loop(self._desk, Pass(self._desk, self._image))
        self._webhook = Webhook()
        self._volumes = volumes
        self._look = Look(volumes.root.parent / "look")

    async def _native(self, place: Place) -> None:
        """The operator's image: `init` and `agent` by the container's arguments."""
        await (self._init if place.program == "init" else self._agent)(place)

    def endpoints(self) -> dict[str, Callable[[Object], Awaitable[Any]]]:
        """What a test may ask: whether the operator and its webhook run."""

        async def operator(body: Object) -> Object:
            if body.get("up", True):
                self._loop.up()
            else:
                await self._loop.down()
            return {"up": self._loop.is_up}

        async def webhook(body: Object) -> Object:
            self._webhook.up = bool(body.get("up", True))
            return {"up": self._webhook.up}

        async def state(body: Object) -> Object:
            return self._look.state(*self._volumes_of(body["pod"]))

        async def position(body: Object) -> Object:
            data, _ = self._volumes_of(body["pod"])
            return await _told(lambda: self._look.position(data))

        async def rows(body: Object) -> Object:
            data, _ = self._volumes_of(body["pod"])
            asked = (body["schema"], body["table"], body["column"])
            return await _told(lambda: {"rows": self._look.rows(data, *asked)})

        return {
            "operator": operator,
            "webhook": webhook,
            "galera/state": state,
            "galera/position": position,
            "galera/rows": rows,
        }

    def _volumes_of(self, pod: str) -> tuple[Path, Path]:
        """Where a member's data and its configuration lie."""
        namespace = self._lab.namespace
        storage = self._volumes.path(namespace, f"storage-{pod}")
        own = self._volumes.path(namespace, f"galera-{pod}")
        return (storage, own) if own.exists() else (storage / "storage", storage / "galera")

    def webhooks(self) -> dict[Resource, Callable[[Object, Object | None], None]]:
        """Who has a say in writes to the operator's kinds."""
        return {kinds.MARIADBS: self._webhook.check}

    async def create(self, say: Say) -> None:
        """Ask for the cluster; returns when the operator calls it healthy."""
        lab, store = self._lab, self._store
        kinds.install_definitions(store)
        self._grant()
        members = int(lab.spec.get("replicas", lab.members))
        for number in range(1, members + 1):
            conditions = [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]
            labels = {"kubernetes.io/hostname": f"node-{number}"}
            meta = {"name": f"node-{number}", "labels": labels}
            store.create(NODES, {"metadata": meta, "status": {"conditions": conditions}}, status=True)
        meta = {"name": lab.cluster, "namespace": lab.namespace}
        spec = merged(default_spec(lab, self._image), lab.spec)
        store.create(kinds.MARIADBS, {"metadata": meta, "spec": spec})
        self._loop.up()
        said: set[str] = set()
        try:
            async with asyncio.timeout(_PATIENCE):
                while not self._healthy(members):
                    for pod in self._ready() - said:
                        said.add(pod)
                        say(f"{pod} is synced")
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise RuntimeError(self._last_words(members)) from None
        self._init.born()

    def _grant(self) -> None:
        """The roles of `deploy/galera`, with the name of this cluster's Secret, as its comment asks for."""
        for item in bootstrap.shipped(
            bootstrap.manifests().with_name("galera"), self._lab.namespace, ("kustomization.yaml",)
        ):
            for rule in item.get("rules", ()):
                if "resourceNames" in rule:
                    rule["resourceNames"] = [f"{self._lab.cluster}-root"]
            self._store.create(bootstrap.KINDS[item["kind"]], item)

    async def settled(self) -> None:
        """Nothing is left to happen: the operator has called it healthy."""

    async def follow(self) -> None:
        """Be the operator till the lab ends; it runs by itself."""
        await asyncio.Event().wait()

    def _ready(self) -> set[str]:
        return {pod["metadata"]["name"] for pod in self._desk.pods() if is_ready(pod)}

    def _healthy(self, members: int) -> bool:
        found = self._desk.mariadb() or {}
        well = all(condition(found, kind) == "True" for kind in ("Ready", "GaleraReady", "GaleraConfigured"))
        return well and len(self._ready()) >= members

    def _last_words(self, members: int) -> str:
        late = [pod for pod in self._names.pods(members) if pod not in self._ready()]
        for pod in late:
            path = self._kubelet.log_file(self._lab.namespace, pod, previous=False)
            said = path.read_text(encoding="utf-8", errors="replace")[-3000:] if path else "nothing"
            return f"{pod} did not become ready; its log: {said}"
        return "the operator does not call the cluster healthy"


async def _told(read: Callable[[], Object]) -> Object:
    """What a look found, or why it found nothing."""
    try:
        return await asyncio.to_thread(read)
    except UnreadableError as error:
        return {"reason": str(error)}


def version() -> str:
    """The version of this machine's server."""
    said = subprocess.run(
        [programs.find("mariadbd"), "--version"], capture_output=True, text=True, check=True
    )
    return said.stdout.split("Ver ", 1)[1].split("-", 1)[0]


def picture(name: str) -> Image:
    """The image of a database pod: this machine's MariaDB, Galera, and the scripts of its state transfers."""
    scripts = programs.galera_scripts()
    own = () if scripts.startswith("/usr/") else (scripts,)
    return Image(
        name,
        "mysql",
        999,
        own,
        own,
        writable=True,
        hidden=_NOT_IN_IMAGE,
        entrypoint=("sh", "-c", config.ENTRYPOINT, "docker-entrypoint.sh"),
        folders=("run/mysqld", "var/lib/mysql"),
        etc=(
            ("mysql/my.cnf", config.BASE_CNF),
            ("mysql/conf.d/mariadb.cnf", ""),
            ("mysql/mariadb.conf.d/50-server.cnf", ""),
        ),
    )


def default_spec(lab: LabConfig, image: str) -> Object:
    """A small cluster whose members have time to get a state transfer, which no factor shortens."""
    return {
        "image": image,
        "replicas": lab.members,
        "rootPasswordSecretKeyRef": {"name": f"{lab.cluster}-root", "key": "password", "generate": True},
        "storage": {"size": lab.volume_size},
        "myCnf": config.MY_CNF,
        "tls": {"enabled": False},
        "galera": {
            "enabled": True,
            "sst": "rsync",
            "providerOptions": config.provider_options(lab.time_scale),
            "recovery": {"enabled": True},
        },
        "startupProbe": {"failureThreshold": 60},
    }


def merged(base: Object, more: Object) -> Object:
    """A spec with another laid over it."""
    result = dict(base)
    for key, value in more.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result
