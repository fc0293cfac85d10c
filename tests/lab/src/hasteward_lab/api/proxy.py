"""`pods/proxy`: a request handed on to a port of a pod, inside the pod network."""

from __future__ import annotations

import ssl

import aiohttp
from aiohttp import web

from hasteward_lab.api.context import ApiContext
from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.requests import Target
from hasteward_lab.api.resources import PODS

_DROPPED = {"authorization", "host", "connection", "upgrade", "accept-encoding"}
_KEPT_BACK = {"transfer-encoding", "content-length", "connection", "content-encoding"}
_LIMIT = 30.0


def _address(name: str) -> tuple[str, str, int]:
    """Scheme, pod and port of `[https:]POD[:PORT]`."""
    parts = name.split(":")
    scheme = parts.pop(0) if len(parts) == 3 or parts[0] in {"http", "https"} else "http"
    port = int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 80
    return scheme or "http", parts[0], port


async def serve(request: web.Request, target: Target, context: ApiContext) -> web.Response:
    """Hand a request on, and its answer back; 503 when nobody answers there."""
    scheme, name, port = _address(target.name)
    pod = context.store.get(PODS, target.namespace, name)
    address = pod.get("status", {}).get("podIP")
    if not address:
        raise ApiError(503, f"address not allowed: pod {name} has no address yet", details={})
    url = f"{scheme}://{address}:{port}/{target.rest}"
    headers = {key: value for key, value in request.headers.items() if key.lower() not in _DROPPED}
    # The API server does not check whom it reaches behind a proxy path.
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    timeout = aiohttp.ClientTimeout(total=_LIMIT)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session,
            session.request(
                request.method,
                url,
                params=request.query_string,
                headers=headers,
                data=await request.read(),
                ssl=tls,
                allow_redirects=False,
            ) as answered,
        ):
            back = {key: value for key, value in answered.headers.items() if key.lower() not in _KEPT_BACK}
            return web.Response(status=answered.status, body=await answered.read(), headers=back)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ApiError(
            503,
            f"error trying to reach service: {str(error) or 'context deadline exceeded'}",
            details={"causes": [{"reason": "UnexpectedServerResponse", "message": str(error)}]},
        ) from None
