"""The API server put together: authentication, rights, faults, audit and routing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from aiohttp import web

from hasteward_lab.api import admin, discovery, logs, rest, watch
from hasteward_lab.api import exec as exec_stream
from hasteward_lab.api.context import ApiContext, AuditRecord
from hasteward_lab.api.errors import ApiError, forbidden, injected
from hasteward_lab.api.requests import Target, group_version, parse
from hasteward_lab.faults import Call

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_MAX_BODY = 8 << 20


def build(context: ApiContext, hands: admin.Hands) -> web.Application:
    """The whole API as one aiohttp application."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/lab/"):
            return await admin.serve(request, context, hands)
        request["user"] = authenticate(request, context)
        target = parse(request)
        if target is None:
            return _discovery(request)
        return await _serve(request, target, context)

    @web.middleware
    async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except ApiError as error:
            headers = {"Retry-After": "1"} if error.code == 429 else {}
            return web.json_response(error.body(), status=error.code, headers=headers)

    async def audit(request: web.Request, response: web.StreamResponse) -> None:
        # Streams live long: what was answered is known when the answer begins.
        record: AuditRecord | None = request.get("audit")
        if record:
            record.code = response.status

    application = web.Application(middlewares=[errors], client_max_size=_MAX_BODY)
    application.on_response_prepare.append(audit)
    application.router.add_route("*", "/{path:.*}", handle)
    return application


def authenticate(request: web.Request, context: ApiContext) -> str:
    """The user behind the bearer token; 401 for any other."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    user = context.tokens.get(token.strip())
    if scheme.lower() != "bearer" or user is None:
        raise ApiError(401, "Unauthorized")
    return user


def _discovery(request: web.Request) -> web.Response:
    path = request.path.rstrip("/")
    fixed: dict[str, Callable[[], object]] = {
        "/version": lambda: discovery.VERSION,
        "/api": discovery.core_versions,
        "/apis": discovery.groups,
        "/openapi/v3": discovery.openapi_index,
    }
    if path in fixed:
        return web.json_response(fixed[path]())
    if path in {"/healthz", "/livez", "/readyz"}:
        return web.Response(text="ok")
    parts = path.strip("/").split("/")
    if parts[0] == "openapi" and len(parts) > 3:
        name = parts[3] if parts[2] == "apis" else ""
        return web.json_response(discovery.openapi(name, parts[-1]))
    if parts[0] == "apis" and len(parts) == 2:
        return web.json_response({"kind": "APIGroup", "apiVersion": "v1", **discovery.group(parts[1])})
    found = group_version(request)
    if found is None or not discovery.resources(*found)["resources"]:
        raise ApiError(404, "the server could not find the requested resource")
    return web.json_response(discovery.resources(*found))


def _rights(call: Call, request: web.Request) -> list[Call]:
    """The rights a call needs; an exec over WebSocket needs both `get` and `create`."""
    if call.subresource == "exec" and request.method == "GET":
        return [replace(call, verb="get"), replace(call, verb="create")]
    return [call]


async def _serve(request: web.Request, target: Target, context: ApiContext) -> web.StreamResponse:
    command = " ".join(request.query.getall("command", []))
    call = target.call(request["user"], command)
    request["audit"] = AuditRecord(call)
    context.audit.append(request["audit"])
    delay = context.faults.take(call, "delay")
    if delay:
        await asyncio.sleep(delay.seconds)
    for needed in _rights(call, request):
        if context.faults.forbids(needed):
            resource = "/".join(filter(None, (call.resource, call.subresource)))
            group = target.resource.group
            raise forbidden(call.user, needed.verb, resource, group, namespace=call.namespace, name=call.name)
    fault = context.faults.take(call, "http")
    if fault:
        raise injected(fault.code, call.resource, call.name)
    if target.subresource == "exec":
        return await exec_stream.serve(request, target, context, call)
    if target.subresource == "log":
        return await logs.serve(request, target, context)
    if target.verb == "watch":
        return await watch.watch(request, target, context.store)
    return await rest.serve(request, target, context)
