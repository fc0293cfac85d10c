"""The API server put together: authentication, rights, faults, audit and routing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from aiohttp import web

from hasteward_lab.api import admin, discovery, logs, openapi, openapi_v2, portforward, proxy, rest, watch
from hasteward_lab.api import exec as exec_stream
from hasteward_lab.api.auth.identity import User
from hasteward_lab.api.auth.rbac import Attributes
from hasteward_lab.api.auth.reviews import allows
from hasteward_lab.api.context import ApiContext, AuditRecord
from hasteward_lab.api.errors import ApiError, forbidden, injected, no_path
from hasteward_lab.api.requests import Target, group_version, parse
from hasteward_lab.faults import Call

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_MAX_BODY = 8 << 20
_STREAMS = {"exec", "attach", "portforward"}


def build(context: ApiContext, hands: admin.Hands) -> web.Application:
    """The whole API as one aiohttp application."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/lab/"):
            return await admin.serve(request, context, hands)
        request["user"] = context.authenticator.user(request)
        target = parse(request, context.catalog)
        if target is None:
            return _path(request, context)
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


def _path(request: web.Request, context: ApiContext) -> web.Response:
    """Answer a path that is no resource, to those who may have it."""
    user: User = request["user"]
    verb = {"GET": "get", "HEAD": "head", "POST": "post"}.get(request.method, request.method.lower())
    if not allows(context, Attributes(user, verb, path=request.path))[0]:
        raise no_path(user.name, verb, request.path)
    catalog, path = context.catalog, request.path.rstrip("/")
    fixed: dict[str, Callable[[], object]] = {
        "/version": lambda: discovery.VERSION,
        "/api": discovery.core_versions,
        "/apis": lambda: discovery.groups(catalog),
        "/openapi/v3": lambda: openapi.index(catalog),
    }
    if path in fixed:
        return web.json_response(fixed[path]())
    if path == "/openapi/v2":
        return web.Response(body=openapi_v2.document(catalog), content_type=openapi_v2.CONTENT_TYPE)
    if path in {"/healthz", "/livez", "/readyz"}:
        return web.Response(text="ok")
    parts = path.strip("/").split("/")
    if parts[0] == "openapi" and len(parts) > 3:
        name = parts[3] if parts[2] == "apis" else ""
        return web.json_response(openapi.document(catalog, name, parts[-1]))
    if parts[0] == "apis" and len(parts) == 2:
        found = discovery.group(catalog, parts[1])
        return web.json_response({"kind": "APIGroup", "apiVersion": "v1", **found})
    asked = group_version(request)
    if asked is None or not discovery.resources(catalog, *asked)["resources"]:
        raise ApiError(404, "the server could not find the requested resource", details={})
    return web.json_response(discovery.resources(catalog, *asked))


def _authorize(target: Target, call: Call, request: web.Request, context: ApiContext) -> None:
    """403 unless the user may; a WebSocket into a pod is asked about twice, as `get` and as `create`."""
    user: User = request["user"]
    wanted = target.attributes(user)
    allowed, reason = allows(context, wanted)
    if not allowed:
        raise forbidden(
            user.name,
            wanted.verb,
            wanted.combined,
            wanted.group,
            namespace=wanted.namespace,
            name=wanted.name,
            reason=reason,
        )
    if target.subresource in _STREAMS and request.method == "GET":
        allowed, reason = allows(context, replace(wanted, verb="create"))
        if not allowed:
            details = {"name": target.name, "kind": "pods"}
            raise ApiError(403, f'pods "{target.name}" is forbidden: {reason}', details=details)


async def _serve(request: web.Request, target: Target, context: ApiContext) -> web.StreamResponse:
    command = " ".join(request.query.getall("command", []))
    call = target.call(request["user"].name, command)
    call = replace(call, name=target.said_name)
    request["audit"] = AuditRecord(call, target.resource.group)
    context.audit.append(request["audit"])
    delay = context.faults.take(call, "delay")
    if delay:
        await asyncio.sleep(delay.seconds)
    _authorize(target, call, request, context)
    fault = context.faults.take(call, "http")
    if fault:
        raise injected(fault.code, call.resource, call.name)
    if target.subresource == "exec":
        return await exec_stream.serve(request, target, context, call)
    if target.subresource == "portforward":
        return await portforward.serve(request, target, context)
    if target.subresource == "log":
        return await logs.serve(request, target, context)
    if target.subresource == "proxy":
        return await proxy.serve(request, target, context)
    if target.verb == "watch":
        return await watch.watch(request, target, context, call)
    return await rest.serve(request, target, context)
