"""Open the connection of an exec and agree on v5.channel.k8s.io.

v5 is the first version with a half-close of stdin; without it a process that reads to the end of its input
can never be fed. Older servers get one clear refusal.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from hasteward.adapters.kubernetes.answers import Request, refusal, status_of, unreachable
from hasteward.adapters.kubernetes.tls import TlsContext, TlsSocket
from hasteward.adapters.kubernetes.wire import Socket
from hasteward.domain.errors import DependencyError, HastewardError, InvalidInput
from hasteward.ports.kubernetes import ApiNotFound, ApiUnavailable, PodRef, Resource

PROTOCOL = "v5.channel.k8s.io"
_EXEC = Resource("", "v1", "pods/exec")
_FORBIDDEN = 403
_BAD_REQUEST = 400
_ANY_HOST = ["direct.invalid"]
#: a dead peer is noticed after a good two minutes even when nothing is to be sent
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 8),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)


def connect(
    configuration: Any,
    pod: PodRef,
    argv: Sequence[str],
    *,
    authorization: str,
    stdin: bool,
    timeout: float,
) -> Socket:
    """The connected socket right after the handshake. Raises the Api* errors and DependencyError."""
    # A WebSocket exec takes both verbs: get for the upgrade, create since Kubernetes 1.35.
    request = Request(("get", "create"), _EXEC, pod.namespace, pod.name, act="use")
    host = str(configuration.host).rstrip("/")
    try:
        path = _path(pod, argv, stdin=stdin)
        return _handshake(configuration, request, host, path, authorization=authorization, timeout=timeout)
    except HastewardError as error:
        raise _in_words(error, pod) from error


def _path(pod: PodRef, argv: Sequence[str], *, stdin: bool) -> str:
    query = [("container", pod.container), ("stdout", "true"), ("stderr", "true")]
    query += [("stdin", "true")] if stdin else []
    query += [("command", argument) for argument in argv]
    namespace, name = quote(pod.namespace, safe=""), quote(pod.name, safe="")
    return f"/api/v1/namespaces/{namespace}/pods/{name}/exec?{urlencode(query)}"


def _in_words(error: HastewardError, pod: PodRef) -> HastewardError:
    """Say pod and container where the resource's name would mislead."""
    if isinstance(error, ApiNotFound):
        return ApiNotFound(f"pod {pod} does not exist")
    if isinstance(error, InvalidInput):
        where = f"cannot run a command in container {pod.container} of {pod}"
        return InvalidInput(f"{where}: {error.message}", hint=error.hint, code="kubernetes.exec_refused")
    return error


def _handshake(
    configuration: Any, request: Request, host: str, path: str, *, authorization: str, timeout: float
) -> Socket:
    import websocket

    url = f"ws{host.removeprefix('http')}{path}"
    headers = [f"Sec-WebSocket-Protocol: {PROTOCOL}", "User-Agent: hasteward"]
    headers += [f"Authorization: {authorization}"] if authorization else []
    # The protocol goes in by hand: given to the library, it would turn an older answer into "invalid header".
    options: dict[str, Any] = {"header": headers, "suppress_origin": True, "redirect_limit": 0}
    raw: Socket | None = None
    try:
        if proxy := _proxy(configuration, host):
            tls = _tls(configuration, host)
            options |= proxy | {"sslopt": tls, "sockopt": _KEEPALIVE}
        else:
            raw = options["socket"] = _direct(configuration, host, timeout)
        connection: Any = websocket.create_connection(url, timeout=timeout, **options)
    except websocket.WebSocketBadStatusException as error:
        raise _refused(request, error) from None
    except (websocket.WebSocketException, OSError) as error:
        if raw is not None:
            raw.close()
        raise unreachable(request, host, error) from error
    agreed = (connection.handshake_response.headers or {}).get("sec-websocket-protocol")
    sock: Socket = connection.sock
    if agreed != PROTOCOL:
        sock.close()
        raise _too_old(f"it answered {agreed or 'with no protocol at all'}")
    return sock


def _too_old(detail: str) -> DependencyError:
    error = DependencyError(
        f"exec needs Kubernetes 1.30 or newer: the server does not speak {PROTOCOL} ({detail})",
        code="kubernetes.too_old",
    )
    error.retryable = False
    return error


def _refused(request: Request, error: Any) -> HastewardError:
    """The error for an HTTP answer that is not an upgrade."""
    headers = error.resp_headers or {}
    if error.status_code == _FORBIDDEN and not error.resp_body and "content-type" not in headers:
        # A kubelet that knows none of the offered protocols; the API server's own 403 has a type and a text.
        return _too_old("it refused the upgrade")
    failure = refusal(request, error.status_code, error.resp_body)
    if error.status_code == _BAD_REQUEST:
        words = str(status_of(error.resp_body).get("message") or failure.message)
        return InvalidInput(words)
    return failure


def _tls(configuration: Any, host: str) -> dict[str, Any]:
    """What websocket-client calls sslopt."""
    context = _context(configuration)
    name = configuration.tls_server_name or urlsplit(host).hostname
    return {"context": TlsContext(context), "server_hostname": name}


def _context(configuration: Any) -> ssl.SSLContext:
    data = getattr(configuration, "ca_cert_data", None)
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert or None, cadata=data)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file or None)
    return context


def _direct(configuration: Any, host: str, timeout: float) -> Socket:
    """A connection without a proxy. Our own, because the library would look for one in the environment."""
    parts = urlsplit(host)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    raw = socket.create_connection((parts.hostname or "", port), timeout=timeout)
    try:
        for option in _KEEPALIVE:
            raw.setsockopt(*option)
        if not secure:
            return raw
        name = configuration.tls_server_name or parts.hostname
        return TlsSocket(raw, _context(configuration), name)
    except BaseException:
        raw.close()
        raise


def _proxy(configuration: Any, host: str) -> dict[str, Any]:
    """The options for websocket-client's proxy; empty for none. The environment was read already."""
    from kubernetes.client import rest

    if not configuration.proxy:
        return {}
    bypass = getattr(rest, "should_bypass_proxies", None)
    if bypass is not None and bypass(host, configuration.no_proxy or ""):
        return {}
    parts = urlsplit(configuration.proxy)
    if parts.scheme not in {"http", "socks4", "socks4a", "socks5", "socks5h"}:
        raise ApiUnavailable(f"proxies of the kind {parts.scheme} are not supported for exec")
    options = {
        "http_proxy_host": parts.hostname,
        "http_proxy_port": parts.port or (80 if parts.scheme == "http" else 1080),
        "proxy_type": parts.scheme,
        # Not empty: then the library would ask the environment once more.
        "http_no_proxy": _ANY_HOST,
    }
    if parts.username:
        options["http_proxy_auth"] = (unquote(parts.username), unquote(parts.password or ""))
    return options
