"""Stands up a PostgreSQL cluster on the kubelet and keeps its pods there."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.resources import CLAIMS, CLUSTERS, NAMESPACES, NODES, PODS, SECRETS, SERVICES
from hasteward_lab.kubelet.sandbox import Image
from hasteward_lab.kubelet.status import is_ready
from hasteward_lab.postgres import config, objects
from hasteward_lab.postgres.status import ClusterStatus

if TYPE_CHECKING:
    from hasteward_lab.api.store import Store
    from hasteward_lab.kubelet.kubelet import Kubelet
    from hasteward_lab.kubelet.volumes import Volumes
    from hasteward_lab.state import LabConfig

Object = dict[str, Any]
Say = Callable[[str], None]

_READY_WITHIN = 30.0
_LOOP, _LOOP_LEAST = 0.5, 0.2


def image(bin_folder: str, certificates: config.Certificates) -> Image:
    """The image of a database pod: this machine's PostgreSQL and the stand-in for the instance manager."""
    major = Path(bin_folder).parent.name
    script = Path(__file__).with_name("manager.sh")

    def prepare(_pod: str, scratch: Path) -> None:
        target = scratch / "controller/manager"
        shutil.copyfile(script, target)
        target.chmod(0o755)
        certificates.write(scratch)

    prefix = str(Path(bin_folder).parent)
    binds = () if prefix.startswith("/usr/") else (prefix,)
    name = f"ghcr.io/cloudnative-pg/postgresql:{major if major.isdigit() else 'local'}"
    return Image(name, "postgres", 26, (bin_folder,), binds, prepare)


class PostgresCluster:
    """One Cluster with its members, objects and status."""

    def __init__(self, lab: LabConfig, store: Store, kubelet: Kubelet, volumes: Volumes) -> None:
        self._lab = lab
        self._store = store
        self._kubelet = kubelet
        self._volumes = volumes
        self._certificates = config.Certificates.make(lab.cluster, lab.namespace)
        picture = image(lab.postgres_bin, self._certificates)
        kubelet.add_image(picture)
        tag = picture.name.rsplit(":", 1)[1]
        self.plan = objects.Plan(
            lab.namespace,
            lab.cluster,
            lab.members,
            lab.volume_size,
            picture.name,
            int(tag) if tag.isdigit() else 0,
        )
        self._parent: Object = {}
        self.status = ClusterStatus(self.plan, store, kubelet)

    async def create(self, say: Say) -> None:
        """Stand the whole cluster up; returns when every member is ready."""
        self._create_objects()
        first, *rest = self.plan.names
        say(f"setting up the primary {first}")
        self.status.set_phase("Setting up primary", primary=first)
        await self._create_primary(first)
        if rest:
            say(f"cloning {' and '.join(rest)} from {first}")
            self.status.set_phase("Creating a new replica")
            await asyncio.gather(*(self.join(member) for member in rest))
        await asyncio.gather(*(self._until_ready(member) for member in self.plan.names))
        await self.status.refresh()
        self.status.set_phase("Cluster in healthy state")

    async def follow(self) -> None:
        """Keep status, labels and pods as the operator would; runs till the lab ends."""
        while True:
            try:
                self._publish_hosts()
                await self.status.refresh()
                await self._restore_members()
            except (RuntimeError, OSError, ApiError):
                # A test may have broken anything; the next round sees what is left.
                traceback.print_exc()
            await asyncio.sleep(max(_LOOP * self._lab.time_scale, _LOOP_LEAST))

    async def join(self, member: str) -> None:
        """Clone a member from the primary into a fresh volume and start its pod."""
        self._create_claim(member)
        self._publish_hosts()
        source = config.conninfo(self._host, f"{member}-join")
        argv = [
            "pg_basebackup",
            "-D",
            objects.PGDATA,
            "-d",
            source,
            "-X",
            "stream",
            "-c",
            "fast",
            "--no-sync",
        ]
        try:
            await self._kubelet.run_once(self._pod(member), f"{member}-join", argv)
        except RuntimeError:
            self._store.finish(CLAIMS, self.plan.namespace, member)
            self._volumes.release(self.plan.namespace, member)
            raise
        pgdata = self._pgdata(member)
        config.write_override(pgdata, member, self._host)
        (pgdata / "standby.signal").touch(mode=0o600)
        self._start(member)

    @property
    def _host(self) -> str:
        return f"{self.plan.name}-rw"

    def _pgdata(self, member: str) -> Path:
        return self._volumes.path(self.plan.namespace, member) / "pgdata"

    def _pod(self, member: str) -> Object:
        return objects.pod(self.plan, self._parent, member)

    def _create_objects(self) -> None:
        plan, store = self.plan, self._store
        for name in ("default", "kube-system", plan.namespace):
            if not store.find(NAMESPACES, "", name):
                store.create(
                    NAMESPACES, {"metadata": {"name": name}, "status": {"phase": "Active"}}, status=True
                )
        for serial in range(1, plan.members + 1):
            conditions = [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]
            node = {"metadata": {"name": f"node-{serial}"}, "status": {"conditions": conditions}}
            store.create(NODES, node, status=True)
        self._parent = store.create(CLUSTERS, objects.cluster(plan))
        self.passwords = {"app": secrets.token_urlsafe(24), "superuser": secrets.token_urlsafe(24)}
        for kind, user in (("app", "app"), ("superuser", "postgres")):
            store.create(SECRETS, objects.user_secret(plan, self._parent, kind, user, self.passwords[kind]))
        held = self._certificates
        for name, pair in (("server", held.server), ("replication", held.replication)):
            fields = {"tls.crt": pair.certificate.decode(), "tls.key": pair.key.decode()}
            store.create(SECRETS, objects.tls_secret(plan, self._parent, f"{plan.name}-{name}", fields))
        fields = {"ca.crt": held.authority.certificate.decode(), "ca.key": held.authority.key.decode()}
        store.create(SECRETS, objects.tls_secret(plan, self._parent, f"{plan.name}-ca", fields))
        for service in objects.services(plan, self._parent):
            store.create(SERVICES, service)

    def _create_claim(self, member: str) -> None:
        self._volumes.provision(self.plan.namespace, member, self.plan.volume_size)
        self._store.create(CLAIMS, objects.claim(self.plan, self._parent, member), status=True)

    def _start(self, member: str) -> None:
        def ready(claim: Object) -> None:
            claim["metadata"]["annotations"]["cnpg.io/pvcStatus"] = "ready"

        self._store.modify(CLAIMS, self.plan.namespace, member, ready)
        self._store.create(PODS, self._pod(member))
        self._publish_hosts()

    async def _create_primary(self, member: str) -> None:
        self._create_claim(member)
        argv = ["initdb", "-D", objects.PGDATA, "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "-k"]
        await self._kubelet.run_once(self._pod(member), f"{member}-initdb", [*argv, "--no-sync"])
        config.write_primary(self._pgdata(member), fsync=self._lab.fsync)
        config.write_override(self._pgdata(member), member, self._host)
        self._start(member)
        await self._until_ready(member)
        statements = [
            f"CREATE ROLE {config.REPLICATION_USER} LOGIN REPLICATION",
            f"CREATE ROLE app LOGIN PASSWORD '{self.passwords['app']}'",
            f"ALTER ROLE postgres PASSWORD '{self.passwords['superuser']}'",
            "CREATE DATABASE app OWNER app",
        ]
        slots = [config.slot(other) for other in self.plan.names if other != member]
        statements += [f"SELECT pg_create_physical_replication_slot('{slot}')" for slot in slots]
        await self.status.sql(member, *statements)

    async def _until_ready(self, member: str) -> None:
        try:
            async with asyncio.timeout(_READY_WITHIN):
                while not is_ready(self._store.find(PODS, self.plan.namespace, member) or {}):  # noqa: ASYNC110  the store has no event to wait on
                    await asyncio.sleep(0.05)
        except TimeoutError:
            path = self._kubelet.log_file(self.plan.namespace, member, previous=False)
            said = path.read_text(encoding="utf-8", errors="replace")[-2000:] if path else "nothing"
            raise RuntimeError(f"{member} did not become ready; its log: {said}") from None

    async def _restore_members(self) -> None:
        """Give back what was deleted: a pod on its volume, or a new clone when the volume is gone too."""
        namespace = self.plan.namespace
        for member in self.plan.names:
            if self._store.find(PODS, namespace, member):
                continue
            if self._store.find(CLAIMS, namespace, member):
                self._start(member)
            elif member != self.status.primary:
                self.status.set_phase("Creating a new replica")
                await self.join(member)
                await self._until_ready(member)
                self.status.set_phase("Cluster in healthy state")
            return

    def _publish_hosts(self) -> None:
        namespace = self.plan.namespace
        primary = self._kubelet.address(namespace, self.status.primary)
        others = [self._kubelet.address(namespace, name) for name in self.plan.names]
        replicas = [address for address in others if address and address != primary]
        services = {"rw": primary, "r": primary, "ro": replicas[0] if replicas else None}
        hosts = {}
        for service, address in services.items():
            for suffix in ("", f".{namespace}", f".{namespace}.svc", f".{namespace}.svc.cluster.local"):
                if address:
                    hosts[f"{self.plan.name}-{service}{suffix}"] = address
        self._kubelet.set_hosts(hosts)
