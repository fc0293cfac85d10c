"""port-forward of every kubectl of this machine: SPDY by itself, or inside a WebSocket."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import pytest

pytestmark = pytest.mark.servers


def tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def check(forwarded: Any, release: str) -> None:
    """The status port answers on the pod's localhost; a port where nobody listens is told by its number."""
    with (
        forwarded(release, "pod/pg-1", 8000) as (port, _),
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        tls().wrap_socket(plain) as stream,
    ):
        stream.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert stream.makefile("rb").read().endswith(b"\r\n\r\nOK")
    with forwarded(release, "pod/pg-1", 1) as (port, complaint):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            assert plain.recv(1) == b""
        assert "error forwarding port 1 to pod pg-1" in complaint()


def test_port_forward_leads_into_the_pods_network(
    forwarded: Any, kubectl: Any, request: pytest.FixtureRequest
) -> None:
    check(forwarded, request.node.callspec.params["kubectl"])


@pytest.mark.long
def test_an_old_kubectl_forwards_too(
    forwarded: Any, old_kubectl: Any, request: pytest.FixtureRequest
) -> None:
    check(forwarded, request.node.callspec.params["old_kubectl"])


def test_nobody_forwards_into_a_pod_that_does_not_run(kubectl: Any, space: str) -> None:
    pod: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "no"}}
    pod["spec"] = {"containers": [{"name": "c", "image": "nowhere.example/none:1"}]}
    kubectl("apply", "-n", space, "-f", "-", stdin=pod)
    told = kubectl("port-forward", "-n", space, "pod/no", ":80", code=1)
    assert "pod is not running. Current status=Pending" in told
