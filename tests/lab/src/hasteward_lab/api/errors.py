"""Errors as Kubernetes tells them: a `Status` object with a code, a reason and details."""

from __future__ import annotations

from typing import Any

REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Expired",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class ApiError(Exception):
    """An answer that is not the one asked for."""

    def __init__(
        self, code: int, message: str, *, reason: str | None = None, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = REASONS.get(code, "") if reason is None else reason
        self.details = details

    def body(self) -> dict[str, Any]:
        """The Status object for this error."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        return {**status, "code": self.code}


def not_found(resource: str, group: str, name: str) -> ApiError:
    """The object is not there."""
    return ApiError(
        404,
        f'{qualified(resource, group)} "{name}" not found',
        details=_details(resource, group, name),
    )


def already_exists(resource: str, group: str, name: str) -> ApiError:
    """An object of that name is there."""
    return ApiError(
        409,
        f'{qualified(resource, group)} "{name}" already exists',
        reason="AlreadyExists",
        details=_details(resource, group, name),
    )


def conflict(resource: str, group: str, name: str) -> ApiError:
    """Somebody else was faster."""
    return ApiError(
        409,
        f'Operation cannot be fulfilled on {qualified(resource, group)} "{name}": the object has been '
        "modified; please apply your changes to the latest version and try again",
        details=_details(resource, group, name),
    )


def expired(asked: int, oldest: int) -> ApiError:
    """The watch window has moved on."""
    return ApiError(410, f"too old resource version: {asked} ({oldest})")


def too_large(asked: int, current: int) -> ApiError:
    """A version that has not happened yet."""
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    return ApiError(
        504,
        f"Too large resource version: {asked}, current: {current}",
        details={"causes": [cause], "retryAfterSeconds": 1},
    )


def cause(field: str, message: str, reason: str = "FieldValueInvalid") -> dict[str, Any]:
    """One thing that is wrong with an object, to be told by `invalid`."""
    return {"reason": reason, "message": message, "field": field}


def invalid(kind: str, group: str, name: str, causes: list[dict[str, Any]]) -> ApiError:
    """The object is not acceptable, for these reasons."""
    texts = [f"{row['field']}: {row['message']}" for row in causes]
    told = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    return ApiError(
        422,
        f'{qualified(kind, group)} "{name}" is invalid: {told}',
        details={**_details(kind, group, name), "causes": causes},
    )


def unnamed(kind: str, group: str) -> ApiError:
    """An object without a name, and without a beginning of one."""
    text = "Required value: name or generateName is required"
    return invalid(kind, group, "", [cause("metadata.name", text, "FieldValueRequired")])


def no_path(user: str, verb: str, path: str) -> ApiError:
    """The user has no right to a path that is no resource."""
    return ApiError(403, f'forbidden: User "{user}" cannot {verb} path "{path}"', details={})


def injected(code: int, resource: str, name: str) -> ApiError:
    """An error a test asked for, worded as the server words it."""
    message = {
        401: "Unauthorized",
        429: "the server has received too many requests and has asked us to try again later",
        500: "Internal error occurred: etcdserver: request timed out",
        503: "the server is currently unable to handle the request",
        504: "Timeout: request did not complete within requested timeout - context deadline exceeded",
    }
    if code == 404:
        return not_found(resource, "", name)
    if code == 409:
        return conflict(resource, "", name)
    return ApiError(code, message.get(code, f"the server answered {code}"))


def forbidden(
    user: str, verb: str, resource: str, group: str, *, namespace: str, name: str, reason: str = ""
) -> ApiError:
    """The user has no right to do that."""
    where = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
    base = resource.split("/", 1)[0]
    what = f'{qualified(base, group)} "{name}"' if name else qualified(base, group)
    return ApiError(
        403,
        f'{what} is forbidden: User "{user}" cannot {verb} resource "{resource}" in API group '
        f'"{group}"{where}' + (f": {reason}" if reason else ""),
        details=_details(base, group, name),
    )


def qualified(resource: str, group: str) -> str:
    """Name a resource as messages do: `clusters.postgresql.cnpg.io`, `pods`."""
    return f"{resource}.{group}" if group else resource


def _details(resource: str, group: str, name: str) -> dict[str, Any]:
    details = {"name": name, "group": group, "kind": resource}
    return {key: value for key, value in details.items() if value}
