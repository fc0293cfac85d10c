"""Create, update and patch: admission, ownership of fields, and the dry run of all of it."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import Any

import yaml
from aiohttp import web

from hasteward_lab.api import admission, automount, events
from hasteward_lab.api.context import ApiContext
from hasteward_lab.api.crd import install, structural
from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.patches import apply, json_patch, managed, merge
from hasteward_lab.api.patches.managed import Owner
from hasteward_lab.api.patches.shape import Shapes
from hasteward_lab.api.requests import Target
from hasteward_lab.api.resources import DEFINITIONS, NAMESPACES, PODS
from hasteward_lab.api.wire import body as bodies

Object = dict[str, Any]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
APPLY_CBOR = "application/apply-patch+cbor"
_TYPES = (JSON_PATCH, MERGE_PATCH, APPLY_PATCH, STRATEGIC_PATCH)


@dataclass(frozen=True)
class Write:
    """One write request: where to, by whom, and whether it is only tried."""

    target: Target
    context: ApiContext
    manager: str
    dry: bool
    strict: bool

    @classmethod
    def of(cls, request: web.Request, target: Target, context: ApiContext) -> Write:
        """Take the query of a write apart."""
        dry = request.query.getall("dryRun", [])
        if any(value != "All" for value in dry if value):
            raise ApiError(400, f'Invalid value: "{dry[0]}": must be All')
        agent = request.headers.get("User-Agent", "unknown").split("/", 1)[0]
        manager = request.query.get("fieldManager") or agent
        strict = request.query.get("fieldValidation") == "Strict"
        return cls(target, context, manager, "All" in dry, strict)

    @property
    def shapes(self) -> Shapes:
        """How lists and maps of this kind merge."""
        version = self.context.catalog.version_of(self.target.resource)
        if version is None:
            return Shapes()
        return Shapes(structural.schema_of(version), custom=True)

    def owner(self, operation: str = managed.UPDATE) -> Owner:
        """Who will own what this request writes."""
        target = self.target
        below = target.subresource if target.subresource in {"status", "scale"} else ""
        return Owner(self.manager, operation, target.resource.api_version, below)

    def placed(self, item: Object) -> Object:
        """The object with the address of the request; 400 when it claims another one."""
        meta, target = item.setdefault("metadata", {}), self.target
        if item.get("kind", target.resource.kind) != target.resource.kind:
            raise ApiError(
                400,
                f'{item["kind"]} in version "{target.resource.version}" cannot be handled as a '
                f"{target.resource.kind}: the object provided is unrecognized",
            )
        if target.resource.namespaced:
            if meta.setdefault("namespace", target.namespace) != target.namespace:
                raise ApiError(
                    400,
                    "the namespace of the provided object does not match the namespace sent on the request",
                )
        else:
            meta.pop("namespace", None)
        if target.name and meta.setdefault("name", target.name) != target.name:
            raise ApiError(
                400,
                f"the name of the object ({meta['name']}) does not match the name on the URL ({target.name})",
            )
        return item

    def create(self, item: Object) -> Object:
        """Add an object."""
        resource, store = self.target.resource, self.context.store
        item = self._admitted(self.placed(item), None)
        self._namespace_takes_it()
        managed_given = item["metadata"].get("managedFields")
        if not managed_given or managed_given[0].get("operation") != managed.APPLY:
            item["metadata"].pop("managedFields", None)
            shown = {key: value for key, value in item.items() if key != "status"}
            managed.updated(None, shown, self.owner(), self.shapes)
        return store.create(events.stored(resource), events.taken(resource, item), dry=self.dry)

    def update(self, old: Object, item: Object, *, owned: bool = False) -> Object:
        """Replace an object; with `owned` its field entries are already what they are to be."""
        resource, store = self.target.resource, self.context.store
        status = self.target.subresource == "status"
        item = self.placed(item)
        if status:
            item = {**copy.deepcopy(old), "status": item.get("status", {}), "metadata": item["metadata"]}
        item = self._admitted(item, old)
        if not owned:
            if resource.has_status and not status:
                item = {**item, "status": old["status"]} if "status" in old else _without(item, "status")
            if status:
                # Of the metadata of a status write only the version counts.
                version = item["metadata"].get("resourceVersion")
                meta = copy.deepcopy(old["metadata"])
                item["metadata"] = {**meta, **({"resourceVersion": version} if version else {})}
                if not version:
                    del item["metadata"]["resourceVersion"]
            managed.updated(old, item, self.owner(), self.shapes)
        return store.update(
            events.stored(resource), events.taken(resource, item), status=status, dry=self.dry
        )

    def _admitted(self, item: Object, old: Object | None) -> Object:
        resource = self.target.resource
        version = self.context.catalog.version_of(resource)
        if version is not None:
            item = structural.admit(resource, version, item, strict=self.strict)
            webhook = self.context.webhooks.get(resource)
            if webhook is not None and not self.target.subresource:
                webhook(item, old)
            return item
        item = admission.defaulted(resource, item)
        admission.check(resource, item, old)
        if resource == PODS and old is None:
            return automount.mounted(self.context.store, item)
        return install.admit(item, old) if resource == DEFINITIONS else item

    def _namespace_takes_it(self) -> None:
        target = self.target
        if not target.resource.namespaced:
            return
        found = self.context.store.find(NAMESPACES, "", target.namespace)
        if found is None:
            raise ApiError(
                404,
                f'namespaces "{target.namespace}" not found',
                details={"name": target.namespace, "kind": "namespaces"},
            )
        if "deletionTimestamp" in found["metadata"]:
            text = "because it is being terminated"
            raise ApiError(
                403,
                f"{target.resource.plural} is forbidden: unable to create new content in namespace "
                f"{target.namespace} {text}",
                details={"kind": target.resource.plural},
            )


def _without(item: Object, key: str) -> Object:
    return {name: value for name, value in item.items() if name != key}


async def patch(request: web.Request, write: Write) -> tuple[Object, int]:
    """Answer a patch request: the object, and 201 when an apply made it."""
    kind = request.content_type
    if kind not in _TYPES or (kind == STRATEGIC_PATCH and _is_custom(write)):
        raise ApiError(
            415,
            "the body of the request was in an unknown format - accepted media types include: "
            + ", ".join(name for name in _TYPES if name != STRATEGIC_PATCH or not _is_custom(write)),
        )
    target, store = write.target, write.context.store
    data = await request.read()
    stored = events.stored(target.resource)
    if kind == APPLY_PATCH:
        return _apply(request, write, data)
    old = events.shown(target.resource, store.get(stored, target.namespace, target.name))
    try:
        body = json.loads(data)
    except ValueError as error:
        raise ApiError(400, f"error decoding patch: {error}") from None
    new: Object
    if kind == JSON_PATCH:
        new = json_patch.apply(old, body)
    elif not isinstance(body, dict):
        raise ApiError(400, "error decoding patch: json: cannot unmarshal array into Go value")
    elif kind == MERGE_PATCH:
        new = merge.merge(old, body)
    else:
        new = merge.strategic(old, body, write.shapes)
    return write.update(old, new), 200


def _is_custom(write: Write) -> bool:
    return write.context.catalog.version_of(write.target.resource) is not None


def _apply(request: web.Request, write: Write, data: bytes) -> tuple[Object, int]:
    target, store = write.target, write.context.store
    if not request.query.get("fieldManager"):
        raise ApiError(
            422,
            'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply '
            "patch",
            details={
                "group": "meta.k8s.io",
                "kind": "PatchOptions",
                "causes": [
                    {
                        "reason": "FieldValueRequired",
                        "message": "Required value: is required for apply patch",
                        "field": "fieldManager",
                    }
                ],
            },
        )
    try:
        wanted = yaml.safe_load(data)
    except yaml.YAMLError as error:
        raise ApiError(400, f"error decoding YAML: {error}") from None
    if not isinstance(wanted, dict):
        raise ApiError(400, "error decoding YAML: not an object")
    if wanted.get("metadata", {}).get("managedFields"):
        raise ApiError(400, "metadata.managedFields must be nil")
    wanted = write.placed(wanted)
    given = wanted["metadata"].pop("resourceVersion", None)
    old = store.find(target.resource, target.namespace, target.name)
    owner = write.owner(managed.APPLY)
    force = request.query.get("force") in {"1", "true"}
    if old is None:
        if target.subresource:
            store.get(target.resource, target.namespace, target.name)
        fresh = apply.apply({"metadata": {}}, wanted, owner, write.shapes, force=force)
        return write.create(fresh), 201
    new = apply.apply(old, wanted, owner, write.shapes, force=force)
    if given:
        new["metadata"]["resourceVersion"] = given
    return write.update(old, new, owned=True), 200


async def incoming(request: web.Request) -> Object:
    """The object in the body of a create or update."""
    return await bodies.read(request)
