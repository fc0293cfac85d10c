"""Lists: selected, in chunks of one consistent snapshot, as objects or as a table."""

from __future__ import annotations

import base64
import json
from typing import Any

from aiohttp import web

from hasteward_lab.api import events, table
from hasteward_lab.api.context import ApiContext
from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.requests import Target
from hasteward_lab.api.resources import Resource
from hasteward_lab.api.selectors import both

Object = dict[str, Any]

_STALE = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new "
    "list without the continue parameter, or use the continue token in this response to retrieve the "
    "remainder of the results. Continuing with the provided token results in an inconsistent list - objects "
    "that were created, modified, or deleted between the time the first chunk was returned and now may show "
    "up in the list."
)


def answer(request: web.Request, target: Target, context: ApiContext) -> web.Response:
    """Answer a list request."""
    query = request.query
    match = both(query.get("labelSelector", ""), query.get("fieldSelector", ""), target.resource)
    namespace = target.namespace or None
    version, start = _place(query.get("continue", ""), query, context)
    stored = events.stored(target.resource)
    try:
        rows = context.store.listing_at(stored, namespace, version)
    except ApiError as error:
        if error.code == 410 and start:
            raise ApiError(410, _STALE) from None
        raise
    rows = [events.shown(target.resource, item) for item in rows if _key(item) > start]
    items = [item for item in rows if match(item)]
    meta: Object = {"resourceVersion": str(version)}
    limit = int(query.get("limit") or 0)
    if limit and len(items) > limit:
        if not (query.get("labelSelector") or query.get("fieldSelector")):
            meta["remainingItemCount"] = len(items) - limit
        items = items[:limit]
        meta["continue"] = _token(version, _key(items[-1]))
    return respond(request, target.resource, items, meta, context)


def respond(
    request: web.Request, resource: Resource, items: list[Object], meta: Object, context: ApiContext
) -> web.Response:
    """Write a list in the form the client accepts."""
    accept = request.headers.get("Accept", "")
    if table.wanted(accept):
        include = request.query.get("includeObject", "")
        defined = context.catalog.version_of(resource)
        return web.json_response(table.render(resource, items, meta, include, defined))
    kind, api_version = f"{resource.kind}List", resource.api_version
    if "as=PartialObjectMetadataList" in accept:
        kind, api_version = "PartialObjectMetadataList", "meta.k8s.io/v1"
        items = [table.partial(item) for item in items]
    return web.json_response({"kind": kind, "apiVersion": api_version, "metadata": meta, "items": items})


def _key(item: Object) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _place(token: str, query: Any, context: ApiContext) -> tuple[int, tuple[str, str]]:
    """The version to list at, and the place after which to go on."""
    current = context.store.version
    if token:
        try:
            held = json.loads(base64.urlsafe_b64decode(token + "=="))
            return int(held["rv"]), (held["start"][0], held["start"][1])
        except (ValueError, KeyError, TypeError):
            raise ApiError(400, f"continue key is not valid: {token}") from None
    asked, how = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
    if not asked.isdigit() and asked:
        raise ApiError(400, f'Invalid value: "{asked}": strconv.ParseUint: parsing "{asked}": invalid syntax')
    if how and not asked:
        raise ApiError(400, "resourceVersionMatch is forbidden unless resourceVersion is provided")
    if how == "Exact":
        return int(asked), ("", "")
    if asked and int(asked) > current:
        # Answered as an error of the future by the store.
        return int(asked), ("", "")
    return current, ("", "")


def _token(version: int, last: tuple[str, str]) -> str:
    data = {"v": "meta.k8s.io/v1", "rv": version, "start": list(last)}
    return base64.urlsafe_b64encode(json.dumps(data, separators=(",", ":")).encode()).rstrip(b"=").decode()
