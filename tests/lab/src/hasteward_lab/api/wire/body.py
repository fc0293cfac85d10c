"""Reads the body of a request."""

from __future__ import annotations

import json
from typing import Any

import yaml
from aiohttp import web

from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.wire import protobuf

Object = dict[str, Any]

_TYPES = "application/json, application/yaml, application/vnd.kubernetes.protobuf, application/cbor"


def unsupported(resource: str = "") -> ApiError:
    """The server does not read that format."""
    del resource
    return ApiError(
        415,
        "the body of the request was in an unknown format - accepted media types include: " + _TYPES,
    )


async def read(request: web.Request, *, required: bool = True) -> Object:
    """The object in the body; 400 and 415 as the server has them."""
    data = await request.read()
    if not data and not required:
        return {}
    kind = request.content_type
    if "protobuf" in kind:
        found = protobuf.decode(data)
        if found is None:
            raise unsupported()
        return found
    if kind not in {"application/json", "application/yaml", "application/octet-stream", "text/plain"}:
        raise unsupported()
    try:
        body = yaml.safe_load(data) if kind == "application/yaml" else json.loads(data)
    except (ValueError, yaml.YAMLError) as error:
        raise ApiError(400, f"couldn't get version/kind; json parse error: {error}") from None
    if not isinstance(body, dict):
        raise ApiError(400, "couldn't get version/kind; json parse error: json: cannot unmarshal")
    return body
