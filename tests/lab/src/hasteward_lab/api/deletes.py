"""Delete and deletecollection, with preconditions, grace and propagation."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from hasteward_lab.api import events, lists
from hasteward_lab.api.context import ApiContext
from hasteward_lab.api.errors import ApiError, qualified
from hasteward_lab.api.requests import Target
from hasteward_lab.api.resources import PODS
from hasteward_lab.api.selectors import both
from hasteward_lab.api.wire import body as bodies

Object = dict[str, Any]


async def answer(request: web.Request, target: Target, context: ApiContext) -> web.Response:
    """Answer a delete: the object when it lives on for a while, a Status when it is gone."""
    options = await bodies.read(request, required=False)
    query = request.query
    given = query.get("gracePeriodSeconds", options.get("gracePeriodSeconds"))
    propagation = query.get("propagationPolicy") or options.get("propagationPolicy") or "Background"
    if options.get("orphanDependents"):
        propagation = "Orphan"
    if propagation not in {"Background", "Foreground", "Orphan"}:
        raise ApiError(
            422, f'DeleteOptions "" is invalid: propagationPolicy: Unsupported value: "{propagation}"'
        )
    dry = "All" in (query.getall("dryRun", []) or options.get("dryRun") or [])
    grace = None if given is None else int(given)
    if target.verb == "deletecollection":
        return _all(request, target, context, grace, propagation)
    stored = events.stored(target.resource)
    old = context.store.get(stored, target.namespace, target.name)
    _precondition(options, target, old)
    item = context.store.delete(
        stored, target.namespace, target.name, grace=grace, propagation=propagation, dry=dry
    )
    # A pod is told as it is now; of all else that is gone only that it is gone.
    if target.resource == PODS or "deletionTimestamp" in item["metadata"]:
        return web.json_response(item)
    meta = item["metadata"]
    group = {"group": target.resource.group} if target.resource.group else {}
    details = {"name": meta["name"], **group, "kind": target.resource.plural, "uid": meta["uid"]}
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    return web.json_response({**status, "details": details})


def _all(
    request: web.Request, target: Target, context: ApiContext, grace: int | None, propagation: str
) -> web.Response:
    query = request.query
    match = both(query.get("labelSelector", ""), query.get("fieldSelector", ""), target.resource)
    stored = events.stored(target.resource)
    found = [item for item in context.store.listing(stored, target.namespace or None) if match(item)]
    for item in found:
        meta = item["metadata"]
        context.store.delete(
            stored, meta.get("namespace", ""), meta["name"], grace=grace, propagation=propagation
        )
    version = {"resourceVersion": str(context.store.version)}
    return lists.respond(request, target.resource, found, version, context)


def _precondition(options: Object, target: Target, old: Object) -> None:
    meta, resource = old["metadata"], target.resource
    named = f'{qualified(resource.plural, resource.group)} "{target.name}"'
    words = {"uid": "UID", "resourceVersion": "ResourceVersion"}
    for field, value in (options.get("preconditions") or {}).items():
        if value and meta.get(field) != value:
            word = words.get(field, field)
            again = (
                " The object might have been deleted and then recreated"
                if field == "uid"
                else (" The object might have been modified")
            )
            raise ApiError(
                409,
                f"Operation cannot be fulfilled on {named}: the {word} in the precondition ({value}) does "
                f"not match the {word} in record ({meta.get(field)}).{again}",
                details={"name": target.name, "kind": resource.plural},
            )
