"""Stands up a PostgreSQL cluster on the kubelet, then leaves it to its operator and instance managers."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hasteward_lab.api.resources import (
    CLAIMS,
    CLUSTERS,
    ENDPOINTS,
    NAMESPACES,
    NODES,
    PODS,
    SECRETS,
)
from hasteward_lab.kubelet.network import GATEWAY
from hasteward_lab.kubelet.sandbox import Image
from hasteward_lab.kubelet.status import is_ready
from hasteward_lab.postgres import config, level, objects, package
from hasteward_lab.postgres.door import Door
from hasteward_lab.postgres.instance.settings import REPLICATION_USER
from hasteward_lab.postgres.operator.backups import Backups
from hasteward_lab.postgres.operator.belongings import Belongings
from hasteward_lab.postgres.operator.desk import Desk
from hasteward_lab.postgres.operator.failover import Failover, role_of, set_role
from hasteward_lab.postgres.operator.instances import Instances
from hasteward_lab.postgres.operator.loop import Loop
from hasteward_lab.postgres.operator.poll import Poller
from hasteward_lab.postgres.operator.reconcile import Parts, Pass
from hasteward_lab.postgres.operator.schedule import Scheduler
from hasteward_lab.postgres.operator.status import HEALTHY, micro, set_phase

if TYPE_CHECKING:
    from hasteward_lab.api.resources import Resource
    from hasteward_lab.api.store import Store
    from hasteward_lab.kubelet.kubelet import Kubelet
    from hasteward_lab.kubelet.volumes import Volumes
    from hasteward_lab.parts import Webhook
    from hasteward_lab.state import LabConfig

Object = dict[str, Any]
Say = Callable[[str], None]

#: what this machine may have and a database image has not
_NOT_IN_IMAGE = ("jq", "rsync", "zstd")
#: seconds for one step of standing up, at a tenth of real time and less; slower clocks get longer
_READY_WITHIN = 30.0


class PostgresCluster:
    """One Cluster: its objects, its operator, and what its pods are made of."""

    def __init__(self, lab: LabConfig, store: Store, kubelet: Kubelet, volumes: Volumes) -> None:
        self._lab = lab
        self._patience = _READY_WITHIN * max(1.0, lab.time_scale * 10)
        self._store = store
        self._kubelet = kubelet
        self._volumes = volumes
        self._level = level.level(lab.level)
        self._certificates = config.Certificates.make(lab.cluster, lab.namespace)
        self._token = secrets.token_urlsafe(16)
        told = {
            "scale": lab.time_scale,
            "level": self._level.flags(),
            "fsync": lab.fsync,
            "hash": objects.OPERATOR_HASH,
            "version": self._level.version,
        }
        self._door = Door(store, lab.namespace, lab.cluster, self._token, told)
        self._image = self._picture()
        kubelet.add_image(self._image)
        self._desk = Desk(store, lab.namespace, lab.cluster)
        self._instances = Instances(self._desk, self._level, self.maker, self._provision)
        self._poller = Poller(self._certificates)
        self._belongings = Belongings(self._desk, self.maker)
        self._loop = self._operator()
        self._backups = Backups(self._desk, self._loop, lab.time_scale)
        self._schedules = Scheduler(self._desk, self._loop)

    def endpoints(self) -> dict[str, Callable[[Object], Awaitable[Any]]]:
        """What a test may ask of the operator, by path below `/lab/`."""

        async def operator(body: Object) -> Object:
            if body.get("up", True):
                self._loop.up()
            else:
                await self._loop.down()
            return {"up": self._loop.is_up}

        return {"operator": operator}

    def webhooks(self) -> dict[Resource, Webhook]:
        """Nobody has a say in its writes."""
        return {}

    async def create(self, say: Say) -> None:
        """Stand the whole cluster up; returns when every member is ready and the status says so."""
        await self._door.open()
        spec = objects.default_spec(self._lab.members, self._image.name, self._lab.volume_size)
        self._create_objects(objects.merge(spec, self._lab.spec))
        members = int(self._cluster()["spec"]["instances"])
        first, *rest = [f"{self._lab.cluster}-{serial}" for serial in range(1, members + 1)]
        say(f"setting up the primary {first}")
        self._status("Setting up primary", f"Creating primary instance {first}", first)
        await self._make(first, "initdb")
        await self._until_ready(first)
        self._label(first)
        if rest:
            say(f"cloning {' and '.join(rest)} from {first}")
            # With their names known the primary makes their slots: they stream from their first second on.
            self._status("Creating a new replica", instanceNames=[first, *rest])
            await self._until_reachable()
            # One after the other is the operator's way; a lab is to be up in seconds.
            await asyncio.gather(*(self._make(member, "join") for member in rest))
            await asyncio.gather(*(self._until_ready(member) for member in rest))
        if not self._level.serial_reuse:
            self._status("Creating a new replica", latestGeneratedNode=members)
        self._loop.up()

    async def settled(self) -> None:
        """Wait for the operator's first healthy pass, and till every replica streams."""
        async with asyncio.timeout(self._patience):
            while self._cluster()["status"].get("phase") != HEALTHY:  # noqa: ASYNC110 - no event is nearer
                await asyncio.sleep(0.02)
            while not await self._all_stream():  # noqa: ASYNC110 - only asking tells
                await asyncio.sleep(0.1)

    async def _all_stream(self) -> bool:
        view = self._desk.look()
        reports = await self._poller.ask(view.active_pods) if view else []
        rows = (reports[0].said or {}).get("replicationInfo", []) if reports else []
        return len([row for row in rows if row["state"] == "streaming"]) >= len(reports) - 1

    async def follow(self) -> None:
        """Be the operator till the lab ends."""
        await asyncio.gather(self._loop.run(), self._backups.run(), self._schedules.run())

    def maker(self, cluster: Object) -> objects.Maker:
        """What makes the objects of the Cluster as it is now; its image is made known to the kubelet."""
        name = str(cluster["spec"].get("imageName") or self._image.name)
        if "imageCatalogRef" in cluster["spec"]:
            name = f"{self._image.name}-catalog"
        self._kubelet.add_image(replace(self._image, name=name))
        major = Path(self._lab.postgres_bin).parent.name
        return objects.Maker(cluster, name, int(major) if major.isdigit() else 0, self._level.version)

    def _picture(self) -> Image:
        """The image of a database pod: this machine's PostgreSQL and the instance manager."""
        python, prefix = package.interpreter()
        with tempfile.TemporaryDirectory() as folder:
            manager = package.build(Path(folder), python)

        def prepare(_pod: str, scratch: Path) -> None:
            target = scratch / "controller/manager"
            target.write_bytes(manager)
            target.chmod(0o755)
            self._certificates.write(scratch)
            config.write_handshake(scratch, GATEWAY, self._door.port, self._token)

        binaries = self._lab.postgres_bin
        major = Path(binaries).parent.name
        own = str(Path(binaries).parent)
        binds = tuple(
            folder for folder in (own, prefix) if folder is not None and not folder.startswith("/usr/")
        )
        name = f"ghcr.io/cloudnative-pg/postgresql:{major if major.isdigit() else 'local'}"
        return Image(name, "postgres", 26, (binaries,), binds, prepare, hidden=_NOT_IN_IMAGE)

    def _operator(self) -> Loop:
        desk, scale = self._desk, self._lab.time_scale
        parts = Parts(
            desk,
            self._level,
            self.maker,
            self._poller,
            Failover(desk, self._level, scale),
            self._instances,
            self._belongings,
        )
        return Loop(self._store, self._lab.namespace, Pass(parts), scale)

    def _cluster(self) -> Object:
        return self._store.get(CLUSTERS, self._lab.namespace, self._lab.cluster)

    def _provision(self, claim: str, size: str) -> None:
        if not self._volumes.path(self._lab.namespace, claim).exists():
            self._volumes.provision(self._lab.namespace, claim, size)

    def _status(self, phase: str, reason: str = "", primary: str = "", **more: Any) -> None:
        def change(status: Object) -> None:
            set_phase(status, phase, reason)
            status.update(more)
            if primary:
                status.update({"targetPrimary": primary, "targetPrimaryTimestamp": micro()})

        view = self._desk.look()
        assert view is not None
        self._desk.write_status(view, change)

    def _create_objects(self, spec: Object) -> None:
        lab, store = self._lab, self._store
        for name in ("default", "kube-system", lab.namespace):
            if not store.find(NAMESPACES, "", name):
                body = {"metadata": {"name": name}, "status": {"phase": "Active"}}
                store.create(NAMESPACES, body, status=True)
        for serial in range(1, int(spec["instances"]) + 1):
            conditions = [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]
            node = {"metadata": {"name": f"node-{serial}"}, "status": {"conditions": conditions}}
            self._desk.create(NODES, node, status=True)
        maker = self.maker(store.create(CLUSTERS, objects.cluster(lab.cluster, lab.namespace, spec)))
        passwords = {"app": secrets.token_urlsafe(24), "superuser": secrets.token_urlsafe(24)}
        for kind, user in (("app", "app"), ("superuser", "postgres")):
            store.create(SECRETS, objects.user_secret(maker, kind, user, passwords[kind]))
        held = self._certificates
        for name, pair in (("server", held.server), ("replication", held.replication)):
            fields = {"tls.crt": pair.certificate.decode(), "tls.key": pair.key.decode()}
            store.create(SECRETS, objects.tls_secret(maker, f"{lab.cluster}-{name}", fields))
        fields = {"ca.crt": held.authority.certificate.decode(), "ca.key": held.authority.key.decode()}
        store.create(SECRETS, objects.tls_secret(maker, f"{lab.cluster}-ca", fields))
        view = self._desk.look()
        assert view is not None
        self._belongings.keep(view)
        self._door.initial_sql = initial_sql(passwords)

    async def _make(self, member: str, role: str) -> None:
        """Fill an instance's volumes and start its pod, without a job: nobody is there to see one yet."""
        maker = self.maker(self._cluster())
        self._instances.make_claims(maker, member)
        pod = objects.pod(maker, member)
        job = objects.job(maker, member, role)["spec"]
        command = job["template"]["spec"]["containers"][0]["command"]
        for left in reversed(
            range(job["backoffLimit"] + 1)
        ):  # as the job would: a clone may lose its primary
            try:
                await self._kubelet.run_once(pod, f"{member}-{role}", command)
                break
            except RuntimeError:
                if not left:
                    raise
        view = self._desk.look()
        assert view is not None
        self._instances.start(view, member)

    def _label(self, member: str) -> None:
        view = self._desk.look()
        assert view is not None
        for resource in (PODS, CLAIMS):
            item = self._store.find(resource, self._lab.namespace, member)
            if item:
                set_role(self._desk, resource, item, role_of(view, item))

    async def _until_reachable(self) -> None:
        """Wait till the primary's service leads to it."""
        async with asyncio.timeout(self._patience):
            while True:
                name = f"{self._lab.cluster}-rw"
                found = self._store.find(ENDPOINTS, self._lab.namespace, name) or {}
                if any(row.get("addresses") for row in found.get("subsets", [])):
                    return
                await asyncio.sleep(0.02)

    async def _until_ready(self, member: str) -> None:
        namespace = self._lab.namespace
        try:
            async with asyncio.timeout(self._patience):
                while not is_ready(self._store.find(PODS, namespace, member) or {}):  # noqa: ASYNC110 - only asking tells
                    await asyncio.sleep(0.02)
        except TimeoutError:
            path = self._kubelet.log_file(namespace, member, previous=False)
            said = path.read_text(encoding="utf-8", errors="replace")[-2000:] if path else "nothing"
            raise RuntimeError(f"{member} did not become ready; its log: {said}") from None


def initial_sql(passwords: dict[str, str]) -> list[str]:
    """The roles, rights and database of a new cluster."""
    functions = (
        "pg_ls_dir(text, boolean, boolean)",
        "pg_stat_file(text, boolean)",
        "pg_read_binary_file(text)",
        "pg_read_binary_file(text, bigint, bigint, boolean)",
    )
    return [
        f"CREATE ROLE {REPLICATION_USER} LOGIN REPLICATION",
        *(f"GRANT EXECUTE ON FUNCTION pg_catalog.{name} TO {REPLICATION_USER}" for name in functions),
        f"CREATE ROLE app LOGIN PASSWORD '{passwords['app']}'",
        f"ALTER ROLE postgres PASSWORD '{passwords['superuser']}'",
        "CREATE DATABASE app OWNER app",
    ]
