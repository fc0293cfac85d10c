"""What an answer of the API server, or the lack of one, means for the person on call."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hasteward.domain.errors import HastewardError, InvalidInput
from hasteward.ports.kubernetes import (
    SECRETS,
    ApiConflict,
    ApiForbidden,
    ApiNotFound,
    ApiUnauthorized,
    ApiUnavailable,
    Resource,
)

_CLIP = 300
_CLIENT_ERROR = 400
_GONE = 410
_THROTTLED = 429
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, in words.

    `verbs` are the RBAC verbs it takes; `act` is the word for it where that is not the first verb.
    """

    verbs: tuple[str, ...]
    resource: Resource
    namespace: str = ""
    name: str = ""
    act: str = ""

    @property
    def what(self) -> str:
        """The object or the kind, and where."""
        kind = f"{self.resource.title} {self.name}" if self.name else self.resource.title
        return f"{kind} in namespace {self.namespace}" if self.namespace else kind

    @property
    def rule(self) -> str:
        """The RBAC rule that would allow it; a Secret is granted by its name and never all of them."""
        named = f" resourceNames {json.dumps([self.name])}" if self.resource == SECRETS and self.name else ""
        return (
            f"grant: apiGroups {json.dumps([self.resource.group])}"
            f" resources {json.dumps([self.resource.plural])}{named} verbs {json.dumps(list(self.verbs))}"
        )

    def __str__(self) -> str:
        return f"{self.act or self.verbs[0]} {self.what}"


def status_of(body: bytes | None) -> dict[str, Any]:
    """The Status object in a body; empty if it holds none."""
    try:
        status = json.loads(body or b"")
    except ValueError:
        return {}
    return status if isinstance(status, dict) and status.get("kind") == "Status" else {}


def clip(text: str) -> str:
    """One line of bounded length."""
    line = " ".join(text.split())
    return line if len(line) <= _CLIP else f"{line[: _CLIP - 1]}…"


def _words(request: Request, status: dict[str, Any], body: bytes | None) -> str:
    """The server's own words. None for secrets: a validation error quotes the value it dislikes."""
    if request.resource.group == SECRETS.group and request.resource.plural == SECRETS.plural:
        return str(status.get("reason") or "")
    text = status.get("message") if status else (body or b"").decode("utf-8", "replace")
    return clip(str(text or ""))


def refusal(request: Request, code: int, body: bytes | None) -> HastewardError:
    """The error that an HTTP answer stands for."""
    status = status_of(body)
    words = _words(request, status, body)
    said = f": {words}" if words else ""
    match code:
        case 401:
            failure: HastewardError = ApiUnauthorized(
                f"the API server did not accept our credentials to {request}",
                hint="log in again, or check the user of this kubeconfig context",
            )
        case 403:
            failure = _forbidden(request, status, said)
        case 404:
            failure = _not_found(request, status, body)
        case 409 | 410:
            failure = _conflict(request, status, code)
        case _ if code == _THROTTLED or code >= _SERVER_ERROR:
            failure = ApiUnavailable(f"the API server answered {code} to {request}{said}")
        case _ if code < _CLIENT_ERROR:
            # Redirects are not followed: they would take our token elsewhere.
            failure = ApiUnavailable(f"{request} was answered with a redirect ({code}), not by an API server")
        case _:
            failure = InvalidInput(
                f"the API server refused to {request} ({code}){said}", code="kubernetes.invalid"
            )
    return failure


def _conflict(request: Request, status: dict[str, Any], code: int) -> ApiConflict:
    if code == _GONE:
        return ApiConflict(
            f"{request}: the server no longer knows that resourceVersion; begin again",
            code="kubernetes.expired",
        )
    if status.get("reason") == "AlreadyExists":
        return ApiConflict(f"{request.what} exists already", code="kubernetes.already_exists")
    return ApiConflict(f"{request.what} was changed by somebody else meanwhile")


def _forbidden(request: Request, status: dict[str, Any], said: str) -> ApiForbidden:
    """Tell a missing right from a refusal by policy (admission, quota), which no grant would lift."""
    message = str(status.get("message") or "")
    if message and "cannot " not in message:
        return ApiForbidden(f"the API server's policy does not allow to {request}{said}")
    return ApiForbidden(f"not allowed to {request}", hint=request.rule)


def _not_found(request: Request, status: dict[str, Any], body: bytes | None) -> HastewardError:
    """Only the API server's own 404 proves absence; a load balancer's does not."""
    if status.get("reason") == "NotFound" and (status.get("details") or {}).get("name"):
        return ApiNotFound(f"{request.what} does not exist")
    if status or (body or b"").startswith(b"404 page not found"):
        return ApiNotFound(
            f"the API server does not serve {request.resource.title} ({request.resource.version})",
            code="kubernetes.kind_unknown",
        )
    return ApiUnavailable(f"{request} was answered with a 404 that is not from an API server")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and everything it wraps, outermost first."""
    seen: set[int] = set()
    todo: list[object] = [error]
    while todo:
        item = todo.pop(0)
        if isinstance(item, BaseException) and id(item) not in seen:
            seen.add(id(item))
            yield item
            todo += [getattr(item, "reason", None), item.__cause__, item.__context__, *item.args]


def why(error: BaseException) -> str:
    """The root of a connection error in a few words."""
    for item in _chain(error):
        match item:
            case ssl.SSLCertVerificationError():
                return f"its certificate was not accepted ({item.verify_message})"
            case ssl.SSLError():
                return f"TLS failed ({item.reason or item})"
            case socket.gaierror():
                return "its name could not be resolved"
            case TimeoutError():
                return "it did not answer in time"
            case OSError() if item.strerror:
                return item.strerror
            case _:
                pass
    return clip(str(error)) or type(error).__name__


def unreachable(request: Request, host: str, error: BaseException, *, wrote: bool = False) -> ApiUnavailable:
    """The error for no answer at all. `wrote`: the request may have been carried out nevertheless."""
    tls = any(isinstance(item, ssl.SSLError) for item in _chain(error))
    doubt = "; whether it was done is not known" if wrote else ""
    failure = ApiUnavailable(
        f"could not {request}: no answer from {host}: {why(error)}{doubt}",
        hint="check the certificate authority of this kubeconfig cluster" if tls else "",
        code="kubernetes.tls" if tls else "",
    )
    failure.retryable = not tls
    return failure
