"""The generic verbs on any resource of the table."""

from __future__ import annotations

import json
from typing import Any

import yaml
from aiohttp import web

from hasteward_lab.api import patch as patches
from hasteward_lab.api import table
from hasteward_lab.api.context import ApiContext
from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.requests import Target
from hasteward_lab.api.resources import REVIEWS
from hasteward_lab.api.selectors import both
from hasteward_lab.api.store import Object
from hasteward_lab.faults import Call


async def serve(request: web.Request, target: Target, context: ApiContext) -> web.Response:
    """Answer get, list, create, update, patch, delete and deletecollection."""
    if target.resource is REVIEWS:
        return web.json_response(_review(await _body(request), context, request["user"]), status=201)
    if target.subresource and not (target.subresource == "status" and target.resource.has_status):
        raise ApiError(404, "the server could not find the requested resource")
    if target.verb == "patch":
        return await _patch(request, target, context)
    if target.verb in {"delete", "deletecollection"}:
        return await _delete(request, target, context)
    if target.verb in {"create", "update"}:
        body = await _body(request)
        if target.verb == "create":
            return web.json_response(_create(target, context, body), status=201)
        return web.json_response(_update(target, context, body))
    return _read(request, target, context)


def _read(request: web.Request, target: Target, context: ApiContext) -> web.Response:
    if target.verb == "list":
        return _list(request, target, context)
    return _answer(request, target, context.store.get(target.resource, target.namespace, target.name))


async def _body(request: web.Request) -> Object:
    if "protobuf" in request.content_type:
        raise ApiError(
            415,
            "the body of the request was in an unknown format - accepted media types include: "
            "application/json, application/yaml",
        )
    text = await request.text()
    try:
        body = yaml.safe_load(text) if "yaml" in request.content_type else json.loads(text)
    except (ValueError, yaml.YAMLError) as error:
        raise ApiError(400, f"couldn't get version/kind; json parse error: {error}") from None
    if not isinstance(body, dict):
        raise ApiError(400, "the body is no object")
    return body


def _answer(request: web.Request, target: Target, item: Object) -> web.Response:
    accept = request.headers.get("Accept", "")
    if table.wanted(accept):
        version = item["metadata"]["resourceVersion"]
        include = request.query.get("includeObject", "")
        return web.json_response(table.render(target.resource, [item], version, include))
    return web.json_response(item)


def _list(request: web.Request, target: Target, context: ApiContext) -> web.Response:
    query = request.query
    match = both(query.get("labelSelector", ""), query.get("fieldSelector", ""))
    namespace = target.namespace or None
    items = [item for item in context.store.listing(target.resource, namespace) if match(item)]
    version = str(context.store.version)
    if table.wanted(request.headers.get("Accept", "")):
        include = query.get("includeObject", "")
        return web.json_response(table.render(target.resource, items, version, include))
    return web.json_response(
        {
            "kind": f"{target.resource.kind}List",
            "apiVersion": target.resource.api_version,
            "metadata": {"resourceVersion": version},
            "items": items,
        }
    )


def _placed(target: Target, body: Object) -> Object:
    meta = body.setdefault("metadata", {})
    if target.resource.namespaced:
        given = meta.setdefault("namespace", target.namespace)
        if given != target.namespace:
            raise ApiError(
                400, "the namespace of the provided object does not match the namespace sent on the request"
            )
    if target.name and meta.setdefault("name", target.name) != target.name:
        raise ApiError(
            400, f"the name of the object ({meta['name']}) does not match the name on the URL ({target.name})"
        )
    return body


def _create(target: Target, context: ApiContext, body: Object) -> Object:
    return context.store.create(target.resource, _placed(target, body))


def _update(target: Target, context: ApiContext, body: Object) -> Object:
    status = target.subresource == "status"
    return context.store.update(target.resource, _placed(target, body), status=status)


async def _patch(request: web.Request, target: Target, context: ApiContext) -> web.Response:
    body, kind = await request.read(), request.content_type
    old = context.store.find(target.resource, target.namespace, target.name)
    if old is None and kind == patches.APPLY_PATCH:
        created = patches.apply(kind, {}, body)
        return web.json_response(_create(target, context, created), status=201)
    if old is None:
        old = context.store.get(target.resource, target.namespace, target.name)
    return web.json_response(_update(target, context, patches.apply(kind, old, body)))


async def _delete(request: web.Request, target: Target, context: ApiContext) -> web.Response:
    options: dict[str, Any] = json.loads(await request.text() or "{}")
    given = request.query.get("gracePeriodSeconds", options.get("gracePeriodSeconds"))
    grace = None if given is None else int(given)
    if target.verb == "deletecollection":
        query = request.query
        match = both(query.get("labelSelector", ""), query.get("fieldSelector", ""))
        for item in filter(match, context.store.listing(target.resource, target.namespace or None)):
            meta = item["metadata"]
            context.store.delete(target.resource, meta.get("namespace", ""), meta["name"], grace=grace)
        return web.json_response({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})
    _precondition(options, target, context)
    item = context.store.delete(target.resource, target.namespace, target.name, grace=grace)
    return web.json_response(item)


def _precondition(options: dict[str, Any], target: Target, context: ApiContext) -> None:
    meta = context.store.get(target.resource, target.namespace, target.name)["metadata"]
    for field, value in (options.get("preconditions") or {}).items():
        if value is not None and meta.get(field) != value:
            raise ApiError(
                409,
                f"the {field} in the precondition ({value}) does not match the {field} in "
                f"record ({meta.get(field)}). The object might have been deleted and recreated",
            )


def _review(body: Object, context: ApiContext, user: str) -> Object:
    asked = body.get("spec", {}).get("resourceAttributes", {})
    call = Call(
        user=user,
        verb=asked.get("verb", ""),
        resource=asked.get("resource", ""),
        subresource=asked.get("subresource", ""),
        namespace=asked.get("namespace", ""),
        name=asked.get("name", ""),
    )
    allowed = not context.faults.forbids(call)
    return {**body, "status": {"allowed": allowed, "reason": "" if allowed else "no RBAC policy matched"}}
