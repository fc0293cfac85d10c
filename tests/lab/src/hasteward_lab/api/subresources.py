"""The subresources that are small: scale, token, eviction."""

from __future__ import annotations

import copy
import json
from typing import Any

from aiohttp import web

from hasteward_lab.api.auth import reviews
from hasteward_lab.api.context import ApiContext
from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.patches import json_patch, merge
from hasteward_lab.api.requests import Target
from hasteward_lab.api.resources import BUDGETS, PODS
from hasteward_lab.api.selectors import label_selector
from hasteward_lab.api.wire import body as bodies
from hasteward_lab.api.writes import JSON_PATCH, Write

Object = dict[str, Any]


async def token(request: web.Request, target: Target, context: ApiContext) -> web.Response:
    """Issue a token for a service account."""
    body = await bodies.read(request)
    return web.json_response(reviews.token_request(body, context, target.namespace, target.name), status=201)


async def scale(request: web.Request, target: Target, context: ApiContext) -> web.Response:
    """Read or change how many replicas there are to be."""
    item = context.store.get(target.resource, target.namespace, target.name)
    paths = _paths(target, context)
    shown = _scale(item, paths)
    if target.verb == "get":
        return web.json_response(shown)
    if target.verb == "patch":
        body = json.loads(await request.read())
        json_kind = request.content_type == JSON_PATCH
        wanted = json_patch.apply(shown, body) if json_kind else merge.merge(shown, body)
    else:
        wanted = await bodies.read(request)
    replicas = (wanted.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or replicas < 0:
        raise ApiError(422, "spec.replicas: Invalid value: must be greater than or equal to 0")
    given = wanted.get("metadata", {}).get("resourceVersion")
    new = copy.deepcopy(item)
    _put(new, paths["spec"], replicas)
    new["metadata"]["resourceVersion"] = given or item["metadata"]["resourceVersion"]
    write = Write.of(request, target, context)
    return web.json_response(_scale(write.update(item, new), paths))


def _paths(target: Target, context: ApiContext) -> dict[str, list[str]]:
    version = context.catalog.version_of(target.resource)
    found = (version or {}).get("subresources", {}).get("scale", {})
    return {
        "spec": found.get("specReplicasPath", ".spec.replicas").strip(".").split("."),
        "status": found.get("statusReplicasPath", ".status.replicas").strip(".").split("."),
        "selector": found.get("labelSelectorPath", "").strip(".").split("."),
    }


def _look(item: Object, path: list[str]) -> Any:
    found: Any = item
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _put(item: Object, path: list[str], value: Any) -> None:
    for key in path[:-1]:
        item = item.setdefault(key, {})
    item[path[-1]] = value


def _scale(item: Object, paths: dict[str, list[str]]) -> Object:
    keys = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status = {"replicas": _look(item, paths["status"]) or 0}
    labels = item.get("spec", {}).get("selector", {}).get("matchLabels") or {}
    selector = _look(item, paths["selector"]) or ",".join(f"{k}={v}" for k, v in sorted(labels.items()))
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: item["metadata"][key] for key in keys if key in item["metadata"]},
        "spec": {"replicas": _look(item, paths["spec"]) or 0},
        "status": {**status, "selector": selector} if selector else status,
    }


async def evict(request: web.Request, target: Target, context: ApiContext) -> web.Response:
    """Delete a pod unless a disruption budget forbids it."""
    body = await bodies.read(request)
    pod = context.store.get(PODS, target.namespace, target.name)
    for budget in context.store.listing(BUDGETS, target.namespace):
        labels = budget.get("spec", {}).get("selector", {}).get("matchLabels") or {}
        about = label_selector(",".join(f"{key}={value}" for key, value in labels.items()))
        if labels and about(pod) and budget.get("status", {}).get("disruptionsAllowed", 0) <= 0:
            name = budget["metadata"]["name"]
            told = f"The disruption budget {name} needs more healthy pods"
            raise ApiError(
                429,
                "Cannot evict pod as it would violate the pod's disruption budget.",
                details={"causes": [{"reason": "DisruptionBudget", "message": told}]},
            )
    grace = (body.get("deleteOptions") or {}).get("gracePeriodSeconds")
    context.store.delete(PODS, target.namespace, target.name, grace=grace)
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    return web.json_response(status, status=201)
