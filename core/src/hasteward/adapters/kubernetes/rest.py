"""Objects of the API server, as plain dicts over raw paths.

The typed API classes of the official client are never touched: importing them costs a second and 90 MB. We
use its configuration, its token refresh and the connection pool it builds (TLS, certificates, proxies).
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import quote, urlencode

from hasteward.adapters.kubernetes.answers import Request, clip, refusal, unreachable
from hasteward.domain.errors import HastewardError
from hasteward.ports.kubernetes import (
    ApiConflict,
    ApiUnauthorized,
    ApiUnavailable,
    ExecStream,
    Json,
    PodRef,
    Resource,
)

Items = list[Json]

_TRIES = 3
_RETRY_AFTER_LIMIT = 15.0
_PAGE = 500
_OK = range(200, 300)
_WATCH_LINE_LIMIT = 64 * 1024 * 1024
_LOG_BYTES = 4 * 1024 * 1024
_BAD_REQUEST = 400
_LOGS = Resource("", "v1", "pods/log")
_REVIEWS = Resource("authorization.k8s.io", "v1", "selfsubjectaccessreviews")


def path_of(resource: Resource, namespace: str, name: str = "") -> str:
    """The URL path. A plural like ``clusters/status`` addresses a subresource of the object."""
    plural, _, subresource = resource.plural.partition("/")
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    parts = [root]
    if namespace:
        parts.append(f"namespaces/{quote(namespace, safe='')}")
    parts.append(plural)
    if name:
        parts.append(quote(name, safe=""))
    if subresource:
        parts.append(subresource)
    return "/".join(parts)


class KubernetesApi:
    """Implements `hasteward.ports.kubernetes.Kubernetes`.

    `configuration` is the official client's, see `configuration.load`. One instance may be used by several
    threads: connections come from one pool, which is thread-safe, and the token refresh, which is not, runs
    under a lock. Reads are tried three times, writes once.
    """

    def __init__(
        self,
        configuration: Any,
        *,
        connect_seconds: float = 10.0,
        read_seconds: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        from kubernetes.client import ApiClient

        self._configuration = configuration
        self._client: Any = ApiClient(configuration)
        self._pool = self._client.rest_client.pool_manager
        self._host = str(configuration.host).rstrip("/")
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._sleep = sleep
        self._refreshing = threading.Lock()

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def get(self, resource: Resource, namespace: str, name: str) -> Json:
        """One object."""
        return self._read(Request(("get",), resource, namespace, name), path_of(resource, namespace, name))

    def list(self, resource: Resource, namespace: str, *, labels: str = "") -> Items:
        """All objects of a namespace ("" for all namespaces) that match a label selector."""
        try:
            return self._list(resource, namespace, labels)
        except ApiConflict:
            # The server forgot the place we had reached in the pages: once more from the start.
            return self._list(resource, namespace, labels)

    def _list(self, resource: Resource, namespace: str, labels: str) -> Items:
        request = Request(("list",), resource, namespace)
        query = {"limit": str(_PAGE)} | ({"labelSelector": labels} if labels else {})
        items: Items = []
        while True:
            page = self._read(request, f"{path_of(resource, namespace)}?{urlencode(query)}")
            items += page.get("items") or []
            more = (page.get("metadata") or {}).get("continue")
            if not more:
                return items
            query["continue"] = more

    def create(self, resource: Resource, namespace: str, body: Mapping[str, Any]) -> Json:
        """Create; ApiConflict if it exists."""
        name = str((body.get("metadata") or {}).get("name") or "")
        request = Request(("create",), resource, namespace, name)
        return self._send(request, "POST", path_of(resource, namespace), body)

    def replace(self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]) -> Json:
        """Update with the resourceVersion in `body`; ApiConflict if it is stale."""
        request = Request(("update",), resource, namespace, name)
        return self._send(request, "PUT", path_of(resource, namespace, name), body)

    def patch(self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]) -> Json:
        """Merge patch."""
        request = Request(("patch",), resource, namespace, name)
        path = path_of(resource, namespace, name)
        return self._send(request, "PATCH", path, body, content_type="application/merge-patch+json")

    def delete(self, resource: Resource, namespace: str, name: str, *, grace: int | None = None) -> None:
        """Delete; ApiNotFound if it is not there. `grace` as the port says."""
        request = Request(("delete",), resource, namespace, name)
        query = "" if grace is None else f"?gracePeriodSeconds={grace}"
        self._send(request, "DELETE", path_of(resource, namespace, name) + query, None)

    def watch(
        self, resource: Resource, namespace: str, *, since: str, seconds: int, labels: str = ""
    ) -> Iterator[Json]:
        """Watch events after resourceVersion `since`, for at most `seconds`.

        With `since` empty the server first sends everything there is as ADDED. BOOKMARK events carry nothing
        but a newer resourceVersion. Raises ApiConflict (``kubernetes.expired``) when the server no longer
        knows `since`: begin again with it empty. Raises ApiUnavailable when the connection is lost.
        """
        request = Request(("watch",), resource, namespace)
        query = {"watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": str(seconds)}
        query |= {"resourceVersion": since} if since else {}
        query |= {"labelSelector": labels} if labels else {}
        path = f"{path_of(resource, namespace)}?{urlencode(query)}"
        # The server ends the watch; ours is only the deadline for one that died.
        response = self._request(request, "GET", path, read_seconds=seconds + self._read_seconds)
        if response.status not in _OK:
            raise refusal(request, response.status, self._body(request, response))
        return self._events(request, response)

    def _events(self, request: Request, response: Any) -> Iterator[Json]:
        import urllib3

        try:
            for line in _lines(response.stream(65536)):
                event = json.loads(line)
                if event.get("type") == "ERROR":
                    status = event.get("object") or {}
                    raise refusal(request, int(status.get("code") or 500), json.dumps(status).encode())
                yield event
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise unreachable(request, self._host, error) from error
        except ValueError as error:
            raise ApiUnavailable(f"{request}: the API server sent an event that is not JSON") from error
        finally:
            response.close()

    def log(self, pod: PodRef, *, previous: bool = False, lines: int = 500) -> str:
        """The last lines of a container's log; "" when the container has not run (yet, or before)."""
        query = {"container": pod.container, "tailLines": str(lines), "limitBytes": str(_LOG_BYTES)}
        query |= {"previous": "true"} if previous else {}
        request = Request(("get",), _LOGS, pod.namespace, pod.name)
        path = f"{path_of(_LOGS, pod.namespace, pod.name)}?{urlencode(query)}"
        response = self._request(request, "GET", path)
        body = self._body(request, response)
        if response.status == _BAD_REQUEST:
            # how the server says that there is no such container (yet): waiting to start, never terminated
            return ""
        if response.status not in _OK:
            raise refusal(request, response.status, body)
        return body.decode("utf-8", "replace")

    def may(
        self, verb: str, resource: Resource, namespace: str, subresource: str = "", *, name: str = ""
    ) -> bool:
        """Ask SelfSubjectAccessReview whether we are allowed to."""
        attributes = {"verb": verb, "group": resource.group, "resource": resource.plural}
        attributes |= {"namespace": namespace} if namespace else {}
        attributes |= {"subresource": subresource} if subresource else {}
        attributes |= {"name": name} if name else {}
        review = {
            "apiVersion": f"{_REVIEWS.group}/{_REVIEWS.version}",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer = self._send(Request(("create",), _REVIEWS), "POST", path_of(_REVIEWS, ""), review)
        return (answer.get("status") or {}).get("allowed") is True

    def exec(
        self, pod: PodRef, argv: Sequence[str], *, stdin: bool, stall_seconds: float
    ) -> AbstractContextManager[ExecStream]:
        """Start a process. Leaving the context closes the connection, whatever happened."""
        from hasteward.adapters.kubernetes.exec import open_exec

        return open_exec(
            self._configuration,
            pod,
            argv,
            authorization=self._authorization(),
            stdin=stdin,
            stall_seconds=stall_seconds,
            connect_seconds=self._connect_seconds,
        )

    # -- one request -------------------------------------------------------------------------------------

    def _authorization(self) -> str:
        """The Authorization header; empty with a client certificate. Refreshes the token when it is due."""
        with self._refreshing:
            try:
                for identifier in ("BearerToken", "authorization"):
                    if value := self._configuration.get_api_key_with_prefix(identifier):
                        return str(value)
            except HastewardError:
                raise
            except Exception as error:  # the library's refresh hooks raise whatever they meet
                raise ApiUnauthorized(
                    f"the credentials could not be refreshed: {clip(str(error))}", hint="log in again"
                ) from error
        return ""

    def _request(
        self,
        request: Request,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        content_type: str = "",
        read_seconds: float = 0,
    ) -> Any:
        """Send, and return urllib3's response with the body still to be read."""
        import urllib3

        headers = {"Accept": "application/json", "User-Agent": "hasteward"}
        headers |= {"Content-Type": content_type} if content_type else {}
        if authorization := self._authorization():
            headers["Authorization"] = authorization
        timeout = urllib3.Timeout(connect=self._connect_seconds, read=read_seconds or self._read_seconds)
        try:
            return self._pool.request(
                method,
                self._host + path,
                body=body,
                headers=headers,
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._lost(request, error) from error

    def _lost(self, request: Request, error: Exception) -> ApiUnavailable:
        import urllib3

        connected = not isinstance(error, urllib3.exceptions.ConnectTimeoutError)
        wrote = connected and request.verbs[0] in {"create", "update", "patch", "delete"}
        if isinstance(error, urllib3.exceptions.NewConnectionError | urllib3.exceptions.SSLError):
            wrote = False
        return unreachable(request, self._host, error, wrote=wrote)

    def _body(self, request: Request, response: Any) -> bytes:
        import urllib3

        try:
            return bytes(response.read())
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._lost(request, error) from error
        finally:
            response.release_conn()

    def _send(
        self,
        request: Request,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        *,
        content_type: str = "application/json",
    ) -> Json:
        """A write: sent once, because whether a lost one was carried out is not known."""
        sent = None if body is None else json.dumps(body).encode()
        kind = "" if body is None else content_type
        response = self._request(request, method, path, body=sent, content_type=kind)
        return self._parsed(request, response.status, self._body(request, response))

    def _read(self, request: Request, path: str) -> Json:
        """A read: tried again when the server is busy or the connection was lost."""
        for attempt in range(1, _TRIES + 1):
            asked_to_wait = 0.0
            try:
                response = self._request(request, "GET", path)
                asked_to_wait = _retry_after(response.headers.get("Retry-After"))
                return self._parsed(request, response.status, self._body(request, response))
            except ApiUnavailable as error:
                if attempt == _TRIES or not error.retryable or asked_to_wait > _RETRY_AFTER_LIMIT:
                    raise
            # Jitter needs no cryptography; it keeps many clients from coming back together.
            self._sleep(max(asked_to_wait, 0.2 * 2**attempt * random.uniform(0.5, 1.5)))  # noqa: S311  jitter, not a secret
        raise AssertionError("the last try returns or raises")

    def _parsed(self, request: Request, status: int, body: bytes) -> Json:
        if status not in _OK:
            raise refusal(request, status, body)
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ApiUnavailable(f"{request} was answered with something that is not a Kubernetes object")
        return answer


def _retry_after(header: str | None) -> float:
    """Seconds the server asks us to wait; 0 if it does not, or names a date."""
    try:
        return max(0.0, float(header or 0))
    except ValueError:
        return 0.0


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Cut a stream at its newlines. A last line without one is a cut connection: it is not passed on."""
    rest = bytearray()
    for chunk in chunks:
        start = len(rest)
        rest += chunk
        if b"\n" not in chunk:
            if len(rest) > _WATCH_LINE_LIMIT:
                raise ValueError("a watch event without end")
            continue
        cut = rest.rindex(b"\n", start) + 1
        whole = bytes(rest[:cut])
        del rest[:cut]
        yield from (line for line in whole.split(b"\n") if line)
