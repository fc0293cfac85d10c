"""The init container: writes the member's Galera configuration before its server starts."""

from __future__ import annotations

import asyncio
import re
import shutil
from typing import TYPE_CHECKING, Any

from hasteward_lab.api.resources import PODS
from hasteward_lab.kubelet.status import is_ready
from hasteward_lab.mariadb import config, files, sql
from hasteward_lab.mariadb.kinds import MARIADBS
from hasteward_lab.mariadb.names import CONFIG, DATA, Names, ordinal

if TYPE_CHECKING:
    from hasteward_lab.api.store import Store
    from hasteward_lab.kubelet.native import Place
    from hasteward_lab.kubelet.volumes import Volumes

Object = dict[str, Any]

_LOOK = 0.1
_OF_ONE_SERVER = shutil.ignore_patterns("*.pid", "*.sock", "galera.cache", "gvwstate.dat", "ib*tmp*", "ddl_*")
_LEFT_OVER = ("wsrep_sst.pid", "sst_in_progress")
_ADDRESS = re.compile(r"^(wsrep_node_address=|wsrep_sst_receive_address=).*$", re.MULTILINE)
_IST = re.compile(r"ist\.recv_addr=[0-9.]+:4568")


class Init:
    """`mariadb-operator init galera`.

    One thing no real one does, while the lab itself comes up: a joiner finds a copy of the first member's
    database on its volume, and needs no state transfer, which takes five seconds whatever the data.
    """

    def __init__(self, store: Store, volumes: Volumes) -> None:
        self._store = store
        self._volumes = volumes
        self._quick = True

    def born(self) -> None:
        """The lab is up: from now on nobody is helped."""
        self._quick = False

    async def __call__(self, place: Place) -> None:
        """Do all of it, then end. It never takes a stale 1-bootstrap.cnf away."""
        names = Names(place.env["MARIADB_NAME"], place.namespace)
        data, folder = place.mounts[DATA], place.mounts[CONFIG]
        found = self._store.find(MARIADBS, names.namespace, names.cluster)
        if found is None or not await place.reaches_api():
            _readdress(folder / files.GALERA_CNF, place.address)
            place.say("the MariaDB cannot be read: only the addresses were written anew")
            return
        text = config.galera_cnf(found, names, place.name, place.address, place.env["MARIADB_ROOT_PASSWORD"])
        (folder / files.GALERA_CNF).write_text(text, encoding="utf-8")
        number = ordinal(place.name)
        fresh = not any((data / name).exists() for name in (files.GRASTATE, files.VIEW))
        if fresh and not configured(found):
            if number == 0:
                place.say("bootstrapping a new cluster")
                files.write_bootstrap(folder)
            else:
                await self._until_ready(names, number - 1, place)
                if self._quick:
                    await self._help(place, names)
        for name in _LEFT_OVER:
            (data / name).unlink(missing_ok=True)

    async def _help(self, place: Place, names: Names) -> None:
        """Let a first joiner begin where the first member is."""
        first, target = names.pod(0), place.mounts[DATA]
        address = str(self._store.get(PODS, names.namespace, first)["status"]["podIP"])
        source = self._volumes.path(names.namespace, f"storage-{first}") / target.name
        if not source.is_dir():
            source = source.parent
        password = place.env["MARIADB_ROOT_PASSWORD"]

        def copy(seen: sql.Wsrep) -> None:
            shutil.copytree(source, target, dirs_exist_ok=True, ignore=_OF_ONE_SERVER)
            group, seqno = seen.values["wsrep_cluster_state_uuid"], int(seen.values["wsrep_last_committed"])
            begun = files.GaleraState("2.1", group, seqno, safe_to_bootstrap=False)
            (target / files.GRASTATE).write_text(begun.render(), encoding="ascii")

        await asyncio.to_thread(sql.quiesced, address, password, copy)

    async def _until_ready(self, names: Names, number: int, place: Place) -> None:
        pod = names.pod(number)
        place.say(f"waiting for {pod}")
        while not is_ready(self._store.find(PODS, names.namespace, pod) or {}):  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(_LOOK)


def configured(mariadb: Object) -> bool:
    """Say whether the cluster was whole once."""
    return condition(mariadb, "GaleraConfigured") == "True"


def condition(mariadb: Object, kind: str) -> str:
    """The status of a condition; empty when there is none."""
    rows = mariadb.get("status", {}).get("conditions") or []
    return next((str(row["status"]) for row in rows if row["type"] == kind), "")


def _readdress(path: Any, address: str) -> None:
    if not path.exists():
        raise RuntimeError("the MariaDB cannot be read, and there is no configuration from before")
    text = path.read_text(encoding="utf-8")
    text = _ADDRESS.sub(lambda found: found[1] + address + (":4444" if "sst" in found[1] else ""), text)
    path.write_text(_IST.sub(f"ist.recv_addr={address}:4568", text), encoding="utf-8")
