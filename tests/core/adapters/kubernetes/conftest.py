"""The exec server, certificates and an API client for this folder."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

_SERVER = Path(__file__).with_name("exec_server.py")


def _load_server() -> Any:
    """In importlib mode the folder is not on the path; the helper is registered by hand."""
    spec = importlib.util.spec_from_file_location("exec_server", _SERVER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["exec_server"] = module
    spec.loader.exec_module(module)
    return module


exec_server = _load_server()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    exec_server.make_certificates(folder)
    return folder


@pytest.fixture
def serve(certificates: Path) -> Iterator[Callable[..., Any]]:
    """Start a server with a play; it is stopped, and its assertions raised, at the end of the test."""
    servers: list[Any] = []

    def start(play: Any, *, tls: bool = True, ask_client: bool = False) -> Any:
        server = exec_server.Server(play, certificates if tls else None, ask_client=ask_client)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()
    for server in servers:
        for error in server.errors:
            raise error


@pytest.fixture
def api(serve: Callable[..., Any], certificates: Path) -> Callable[..., Any]:
    """A client of a new server that acts the given play."""
    from kubernetes.client import Configuration

    from hasteward.adapters.kubernetes.rest import KubernetesApi

    def connect(play: Any, *, tls: bool = True, **changes: Any) -> Any:
        server = serve(play, tls=tls, ask_client=changes.pop("ask_client", False))
        configuration = Configuration()
        configuration.host = server.url
        configuration.ssl_ca_cert = str(certificates / "ca.pem")
        configuration.proxy = None
        for name, value in changes.items():
            setattr(configuration, name, value)
        return KubernetesApi(configuration, connect_seconds=5, sleep=lambda _: None)

    return connect
