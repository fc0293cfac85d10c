"""The generic verbs on any resource of the catalogue."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from hasteward_lab.api import deletes, events, lists, subresources, table, writes
from hasteward_lab.api.auth import reviews
from hasteward_lab.api.context import ApiContext
from hasteward_lab.api.crd import install
from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.requests import Target
from hasteward_lab.api.resources import ACCOUNTS, DEFINITIONS, PODS, REVIEWS
from hasteward_lab.api.writes import Write

Object = dict[str, Any]


async def serve(request: web.Request, target: Target, context: ApiContext) -> web.Response:
    """Answer get, list, create, update, patch, delete and deletecollection."""
    if target.verb not in target.resource.verbs:
        raise ApiError(405, "the server does not allow this method on the requested resource", details={})
    if target.resource in REVIEWS:
        body = await writes.incoming(request)
        answered = reviews.answer(target.resource, body, context, request["user"])
        return web.json_response(answered, status=201)
    if target.subresource:
        small = await _small(request, target, context)
        if small is not None:
            return small
    if target.verb in {"delete", "deletecollection"}:
        return await deletes.answer(request, target, context)
    if target.verb == "list":
        return lists.answer(request, target, context)
    if target.verb == "get":
        stored = events.stored(target.resource)
        item = context.store.get(stored, target.namespace, target.name)
        return answer(request, target, events.shown(target.resource, item), context)
    return await _write(request, target, context)


async def _small(request: web.Request, target: Target, context: ApiContext) -> web.Response | None:
    """Answer a subresource that is no view of the object itself; None for `status`."""
    if target.subresource == "status" and target.resource.has_status:
        return None
    if target.subresource in target.resource.subresources:
        if target.subresource == "scale" and target.verb in {"get", "update", "patch"}:
            return await subresources.scale(request, target, context)
        if target.resource == ACCOUNTS and target.verb == "create":
            return await subresources.token(request, target, context)
        if target.resource == PODS and target.subresource == "eviction" and target.verb == "create":
            return await subresources.evict(request, target, context)
    raise ApiError(404, "the server could not find the requested resource", details={})


async def _write(request: web.Request, target: Target, context: ApiContext) -> web.Response:
    write = Write.of(request, target, context)
    code = 200
    if target.verb == "patch":
        item, code = await writes.patch(request, write)
    else:
        body = await writes.incoming(request)
        if target.verb == "create":
            item, code = write.create(body), 201
        else:
            stored = events.stored(target.resource)
            item = write.update(context.store.get(stored, target.namespace, target.name), body)
    if target.resource == DEFINITIONS and not write.dry:
        install.establish(context.store, item["metadata"]["name"])
    return answer(request, target, events.shown(target.resource, item), context, code)


def answer(
    request: web.Request, target: Target, item: Object, context: ApiContext, code: int = 200
) -> web.Response:
    """Write one object in the form the client accepts."""
    accept = request.headers.get("Accept", "")
    if table.wanted(accept):
        meta = {"resourceVersion": item["metadata"].get("resourceVersion", "")}
        include = request.query.get("includeObject", "")
        defined = context.catalog.version_of(target.resource)
        return web.json_response(table.render(target.resource, [item], meta, include, defined), status=code)
    if "as=PartialObjectMetadata" in accept:
        item = table.partial(item)
    return web.json_response(item, status=code)
