"""Users, grants and databases that are declared as objects: the operator's statements, and its finalizers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hasteward_lab.api.resources import SECRETS, STATEFUL_SETS
from hasteward_lab.mariadb import sql
from hasteward_lab.mariadb.kinds import DATABASES, GRANTS, USERS
from hasteward_lab.mariadb.operator import conditions
from hasteward_lab.waking import woken

if TYPE_CHECKING:
    from hasteward_lab.api.resources import Resource
    from hasteward_lab.api.store import Event
    from hasteward_lab.mariadb.operator.desk import Desk

Object = dict[str, Any]

#: in the order in which they need each other
KINDS = (DATABASES, USERS, GRANTS)
_REQUEUE, _SOON = 30.0, 1.0
# What is declared is written each time, and every member applies it.
_LEAST_REQUEUE, _LEAST = 10.0, 0.2


class Declared:
    """Brings what is declared into the server, again and again; suspended or not."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._wake = asyncio.Event()
        desk.store.on_change(self._changed)

    async def run(self) -> None:
        """Look till the operator goes down."""
        while True:
            self._wake.clear()
            done = [await self._one(kind, item) for kind in KINDS for item in self._listed(kind)]
            wait, least = (_REQUEUE, _LEAST_REQUEUE) if all(done) else (_SOON, _LEAST)
            await woken(self._wake, max(wait * self._desk.scale, least))

    def _listed(self, kind: Resource) -> list[Object]:
        return self._desk.store.listing(kind, self._desk.names.namespace)

    def _changed(self, event: Event) -> None:
        if event.resource in {*KINDS, SECRETS, STATEFUL_SETS}:
            self._wake.set()

    async def _one(self, kind: Resource, item: Object) -> bool:
        """Whether nothing is left to be done for it."""
        mariadb, wanted = self._desk.mariadb(), item["spec"]["mariaDbRef"]["name"]
        if mariadb is not None and wanted != self._desk.names.cluster:
            mariadb = None
        if "deletionTimestamp" in item["metadata"]:
            return await self._leave(kind, item, mariadb)
        if mariadb is None:
            text = f'mariadbs.k8s.mariadb.com "{wanted}" not found'
            self._write(kind, item, lambda found: _failed(found, text))
            return False
        if not self._healthy(mariadb):
            return False
        try:
            await self._run(mariadb, await self._making(kind, item, mariadb))
        except sql.SqlError as error:
            text = f"Error creating {item['metadata']['name']}: {error}"
            self._write(kind, item, lambda found: _failed(found, text))
            return False
        self._write(kind, item, lambda found: _created(kind, found, item["spec"]))
        return True

    async def _leave(self, kind: Resource, item: Object, mariadb: Object | None) -> bool:
        """What was declared goes with its object, unless it is to stay or there is nothing to go from."""
        if mariadb is not None and "deletionTimestamp" not in mariadb["metadata"]:
            if not self._healthy(mariadb):
                return False
            if item["spec"].get("cleanupPolicy", "Delete") == "Delete":
                try:
                    await self._run(mariadb, await self._removing(kind, item, mariadb))
                except sql.SqlError:
                    return False
        self._write(kind, item, lambda found: _release(kind, found))
        return True

    def _healthy(self, mariadb: Object) -> bool:
        ready = (self._desk.stateful_set() or {}).get("status", {}).get("readyReplicas", 0)
        return bool(ready == int(mariadb["spec"]["replicas"]))

    def _write(self, kind: Resource, item: Object, change: Callable[[Object], None]) -> None:
        meta = item["metadata"]
        self._desk.store.modify(kind, meta["namespace"], meta["name"], change)

    # --- statements -----------------------------------------------------------------------------------

    async def _run(self, mariadb: Object, statements: list[str]) -> None:
        for statement in statements:
            await self._ask(mariadb, statement)

    async def _ask(self, mariadb: Object, statement: str) -> list[tuple[str, ...]]:
        """Through the primary, as root."""
        primary = mariadb.get("status", {}).get("currentPrimary") or self._desk.names.pod(0)
        address = self._desk.kubelet.address(self._desk.names.namespace, primary)
        if address is None:
            raise sql.SqlError("no route to host")
        return await asyncio.to_thread(
            sql.query, address, self._desk.password(mariadb), statement, patience=5.0
        )

    async def _making(self, kind: Resource, item: Object, mariadb: Object) -> list[str]:
        spec, name = item["spec"], item["spec"].get("name") or item["metadata"]["name"]
        if kind is DATABASES:
            how = f"CHARACTER SET {spec['characterSet']} COLLATE {spec['collate']}"
            return [f"CREATE DATABASE IF NOT EXISTS {_name(name)} {how}"]
        if kind is USERS:
            return await self._making_user(spec, name, mariadb)
        asked, given = spec["privileges"], item.get("status", {}).get("currentPrivileges", [])
        gone = [one for one in given if one not in asked]
        revoke = [f"REVOKE {', '.join(gone)} ON {_place(spec)} FROM {_grantee(spec)}"] if gone else []
        option = " WITH GRANT OPTION" if spec["grantOption"] else ""
        return [*revoke, f"GRANT {', '.join(asked)} ON {_place(spec)} TO {_grantee(spec)}{option}"]

    async def _making_user(self, spec: Object, name: str, mariadb: Object) -> list[str]:
        who, how = _account(name, spec), f"WITH MAX_USER_CONNECTIONS {spec['maxUserConnections']}"
        reference = spec.get("passwordSecretKeyRef")
        if not reference:
            if await self._there(mariadb, name, spec):
                return []
            made = f"CREATE USER IF NOT EXISTS {who} {how} ACCOUNT LOCK PASSWORD EXPIRE"
            return [f"DROP USER IF EXISTS {who}", made]
        password = self._desk.secret(reference["name"], reference["key"])
        if not password:
            raise sql.SqlError(f'error reading user password secret: Secret "{reference["name"]}" not found')
        how = f"{who} IDENTIFIED BY {_text(password)} {how}"
        if await self._there(mariadb, name, spec):
            return [f"ALTER USER {how}"]
        return [f"DROP USER IF EXISTS {who}", f"CREATE USER IF NOT EXISTS {how}"]

    async def _removing(self, kind: Resource, item: Object, mariadb: Object) -> list[str]:
        spec, name = item["spec"], item["spec"].get("name") or item["metadata"]["name"]
        if kind is DATABASES:
            return [f"DROP DATABASE IF EXISTS {_name(name)}"]
        if kind is USERS:
            return [f"DROP USER IF EXISTS {_account(name, spec)}"]
        if not await self._there(mariadb, spec["username"], spec):
            return []
        what = [*spec["privileges"], *(["GRANT OPTION"] if spec["grantOption"] else [])]
        return [f"REVOKE {', '.join(what)} ON {_place(spec)} FROM {_grantee(spec)}"]

    async def _there(self, mariadb: Object, name: str, spec: Object) -> bool:
        where = f"user = {_text(name)} AND host = {_text(spec.get('host') or '%')}"
        asked = f"SELECT 1 FROM mysql.user WHERE {where}"  # noqa: S608 - quoted above
        return bool(await self._ask(mariadb, asked))


def _mark(kind: Resource) -> str:
    return f"{kind.kind.lower()}.{kind.group}/finalizer"


def _release(kind: Resource, item: Object) -> None:
    held = item["metadata"].get("finalizers", [])
    item["metadata"]["finalizers"] = [one for one in held if one != _mark(kind)]


def _failed(item: Object, text: str) -> None:
    conditions.ready(item.setdefault("status", {}), "False", "Failed", text)


def _created(kind: Resource, item: Object, spec: Object) -> None:
    status, mark = item.setdefault("status", {}), _mark(kind)
    conditions.ready(status, "True", "Created", "Created")
    if kind is GRANTS:
        status["currentPrivileges"] = list(spec["privileges"])
    if mark not in item["metadata"].get("finalizers", []):
        item["metadata"]["finalizers"] = [*item["metadata"].get("finalizers", []), mark]


def _text(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"


def _name(word: str) -> str:
    return word if word == "*" else "`" + word.replace("`", "``") + "`"


def _account(name: str, spec: Object) -> str:
    return f"{_text(name)}@{_text(spec.get('host') or '%')}"


def _grantee(spec: Object) -> str:
    return _account(spec["username"], spec)


def _place(spec: Object) -> str:
    return f"{_name(spec['database'])}.{_name(spec['table'])}"
