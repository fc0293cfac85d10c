"""Finding the cluster and our credentials, and saying so when they cannot be had."""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from exec_server import Peer

from hasteward.adapters.kubernetes.configuration import load
from hasteward.adapters.kubernetes.rest import KubernetesApi
from hasteward.domain.errors import DependencyError, InvalidInput
from hasteward.ports.kubernetes import PODS, ApiUnauthorized, ApiUnavailable, ExitStatus, PodRef

POD = PodRef("db", "pg-1", "postgres")
Connect = Callable[..., Any]


@pytest.fixture(autouse=True)
def _outside_a_pod(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def write(folder: Path, server: str, user: dict[str, Any], **cluster: Any) -> Path:
    """A kubeconfig with one context called `main`."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "main",
        "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "main", "context": {"cluster": "c", "user": "u", "namespace": "db"}}],
    }
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    return file


def plugin(folder: Path, script: str) -> dict[str, Any]:
    file = folder / "login-helper"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(file),
            "interactiveMode": "Never",
        }
    }


def credential(**status: str) -> str:
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    return f"cat <<'END'\n{json.dumps(answer)}\nEND"


class Doorman:
    """A play that notes the Authorization header and lets everybody in."""

    def __init__(self) -> None:
        self.seen: list[str | None] = []

    def __call__(self, peer: Peer) -> None:
        self.seen.append(peer.headers.get("authorization"))
        if "upgrade" in peer.headers:
            peer.upgrade()
            peer.status()
            peer.close()
        else:
            peer.answer(200, b"{}")


def use(file: Path) -> None:
    """One REST call and one exec."""
    client = KubernetesApi(load(file).configuration, sleep=lambda _: None)
    assert client.get(PODS, "db", "pg-1") == {}
    with client.exec(POD, ["true"], stdin=False, stall_seconds=5) as stream:
        assert isinstance(stream.receive(), ExitStatus)
    client.close()


def test_a_static_token_opens_both_doors(serve: Connect, certificates: Path, tmp_path: Path) -> None:
    doorman = Doorman()
    authority = str(certificates / "ca.pem")
    use(write(tmp_path, serve(doorman).url, {"token": "abc"}, **{"certificate-authority": authority}))
    assert doorman.seen == ["Bearer abc", "Bearer abc"]


def test_a_client_certificate_opens_both_doors(serve: Connect, certificates: Path, tmp_path: Path) -> None:
    doorman = Doorman()
    pem = str(certificates / "client.pem")
    server = serve(doorman, ask_client=True)
    file = write(
        tmp_path,
        server.url,
        {"client-certificate": pem, "client-key": pem},
        **{"certificate-authority": str(certificates / "ca.pem"), "tls-server-name": "kube.example"},
    )
    use(file)
    assert doorman.seen == [None, None]


def test_an_unknown_authority_is_refused_at_both_doors(
    serve: Connect, certificates: Path, tmp_path: Path
) -> None:
    server = serve(Doorman())
    file = write(
        tmp_path, server.url, {"token": "t"}, **{"certificate-authority": str(certificates / "strange.pem")}
    )
    client = KubernetesApi(load(file).configuration)
    with pytest.raises(ApiUnavailable, match="certificate was not accepted") as caught:
        client.get(PODS, "db", "x")
    assert caught.value.code == "kubernetes.tls"
    with (
        pytest.raises(ApiUnavailable, match="certificate was not accepted"),
        client.exec(POD, ["true"], stdin=False, stall_seconds=1),
    ):
        pass


def test_a_wrong_server_name_is_refused_and_skipping_verification_is_obeyed(
    serve: Connect, certificates: Path, tmp_path: Path
) -> None:
    doorman = Doorman()
    server = serve(doorman)
    wrong = {"certificate-authority": str(certificates / "ca.pem"), "tls-server-name": "other.example"}
    with pytest.raises(ApiUnavailable, match="certificate was not accepted"):
        use(write(tmp_path, server.url, {"token": "t"}, **wrong))
    use(write(tmp_path, server.url, {"token": "t"}, **{"insecure-skip-tls-verify": True}))
    assert len(doorman.seen) == 2


def test_an_exec_plugin_gives_the_token_and_is_asked_again_when_it_expires(
    serve: Connect, certificates: Path, tmp_path: Path
) -> None:
    doorman = Doorman()
    count = tmp_path / "count"
    expired = credential(token="tok", expirationTimestamp="2020-01-01T00:00:00Z")
    user = plugin(tmp_path, f"echo x >>{count}\n{expired}")
    use(write(tmp_path, serve(doorman).url, user, **{"certificate-authority": str(certificates / "ca.pem")}))
    assert doorman.seen == ["Bearer tok", "Bearer tok"]
    assert len(count.read_text().split()) >= 3


def test_an_exec_plugin_may_give_a_client_certificate(
    serve: Connect, certificates: Path, tmp_path: Path
) -> None:
    pem = (certificates / "client.pem").read_text()
    user = plugin(tmp_path, credential(clientCertificateData=pem, clientKeyData=pem))
    server = serve(Doorman(), ask_client=True)
    use(write(tmp_path, server.url, user, **{"certificate-authority": str(certificates / "ca.pem")}))


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo token has expired, log in >&2; exit 7", r"process returned 7\. token has expired, log in"),
        ("echo not json", "failed to decode process output"),
        (credential(), "missing token or clientCertificateData"),
        ("exit 0", "failed to decode"),
    ],
    ids=["exits 7", "not json", "no credentials", "no output"],
)
def test_a_failing_exec_plugin_is_an_error_and_never_a_stranger(
    tmp_path: Path, script: str, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    handlers = list(logging.getLogger().handlers)
    with pytest.raises(DependencyError, match=f"login-helper of the kubeconfig failed: .*{words}") as caught:
        load(write(tmp_path, "https://127.0.0.1:1", plugin(tmp_path, script)))
    assert caught.value.code == "kubeconfig.exec_plugin"
    assert logging.getLogger().handlers == handlers
    assert capfd.readouterr() == ("", "")


def test_an_exec_plugin_that_is_not_installed_is_named(tmp_path: Path) -> None:
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-helper"}}
    with pytest.raises(DependencyError, match=r"no-such-helper.*No such file"):
        load(write(tmp_path, "https://127.0.0.1:1", user))


def test_an_exec_plugin_that_fails_later_fails_that_call(
    serve: Connect, certificates: Path, tmp_path: Path
) -> None:
    user = plugin(tmp_path, credential(token="tok", expirationTimestamp="2020-01-01T00:00:00Z"))
    doorman = Doorman()
    file = write(
        tmp_path, serve(doorman).url, user, **{"certificate-authority": str(certificates / "ca.pem")}
    )
    client = KubernetesApi(load(file).configuration)
    plugin(tmp_path, "echo session over >&2; exit 1")
    with pytest.raises(DependencyError, match="session over"):
        client.get(PODS, "db", "pg-1")
    assert doorman.seen == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("just words", "cannot be used"),
        ("- a\n- b\n", "cannot be used"),
        ("a: [\ntoken: hunter2", "is not YAML"),
        ("current-context: x\ncontexts: [{name: x, context: {cluster: gone}}]\nclusters: []\n", "gone"),
        ("current-context: x\ncontexts: [{name: x, context: {}}]\nclusters: []\n", "cluster"),
        (
            """{current-context: x, contexts: [{name: x, context: {cluster: c}}],
            clusters: [{name: c, cluster: {a: 1}}]}""",
            "names no server",
        ),
    ],
)
def test_a_broken_kubeconfig_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "broken"
    file.write_text(text)
    with pytest.raises(InvalidInput, match=words) as caught:
        load(file)
    assert caught.value.code == "kubeconfig.broken"
    assert "\n" not in caught.value.message
    assert "hunter2" not in caught.value.message


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="nowhere does not exist") as caught:
        load(tmp_path / "nowhere")
    assert caught.value.code == "kubeconfig.missing"


def test_a_missing_authority_file_is_named(tmp_path: Path) -> None:
    file = write(tmp_path, "https://x", {}, **{"certificate-authority": "gone.pem"})
    with pytest.raises(InvalidInput, match=r"gone\.pem"):
        load(file)


def test_an_unknown_context_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="has no context prod") as caught:
        load(write(tmp_path, "https://x", {}), "prod")
    assert caught.value.hint == "there are: main"


def test_no_current_context_asks_for_one(tmp_path: Path) -> None:
    file = write(tmp_path, "https://x", {})
    file.write_text(file.read_text().replace("current-context: main", "current-context: ''"))
    with pytest.raises(InvalidInput, match="no current context") as caught:
        load(file)
    assert caught.value.code == "kubeconfig.context"
    assert load(file, "main").namespace == "db"


def test_the_default_rules_are_those_of_kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match="no Kubernetes cluster is configured"):
        load()
    file = write(tmp_path, "https://one", {"token": "t"})
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube/config").write_text(file.read_text().replace("https://one", "https://two"))
    assert load().configuration.host == "https://two"
    monkeypatch.setenv("KUBECONFIG", f"/nowhere/config:{file}")
    access = load()
    assert access.configuration.host == "https://one"
    assert access.source.startswith("context main of ")


def test_a_pod_without_its_token_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    with pytest.raises(InvalidInput, match="service account of this pod cannot be used") as caught:
        load()
    assert caught.value.code == "kubeconfig.service_account"


def test_a_token_file_that_vanished_is_said_plainly(tmp_path: Path) -> None:
    def refresh(_: object) -> None:
        (tmp_path / "token").read_text()

    configuration = load(write(tmp_path, "https://127.0.0.1:1", {"token": "t"})).configuration
    configuration.refresh_api_key_hook = refresh
    with pytest.raises(ApiUnauthorized, match=r"could not be refreshed: .*No such file"):
        KubernetesApi(configuration).get(PODS, "db", "x")


def test_the_official_client_is_not_imported_before_it_is_used() -> None:
    code = "import sys, hasteward.adapters.kubernetes.rest, hasteward.adapters.kubernetes.configuration;"
    code += "sys.exit('kubernetes' in sys.modules or 'websocket' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_http_proxy_is_gone_through_and_the_environment_is_not_asked_twice(
    serve: Connect, certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket
    import threading

    doorman = Doorman()
    target = serve(doorman)
    tunnels: list[str] = []

    def proxy(peer: Peer) -> None:
        # read_request took "CONNECT host:port": its second word is the target
        tunnels.append(peer.path)
        host, _, port = peer.path.rpartition(":")
        with socket.create_connection((host, int(port))) as onward:
            peer.sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

            def back() -> None:
                with contextlib.suppress(OSError):
                    while data := onward.recv(65536):
                        peer.sock.sendall(data)

            thread = threading.Thread(target=back)
            thread.start()
            with contextlib.suppress(OSError):
                while data := peer.sock.recv(65536):
                    onward.sendall(data)
                onward.shutdown(socket.SHUT_RDWR)
            thread.join()

    through = serve(proxy, tls=False)
    authority = {"certificate-authority": str(certificates / "ca.pem")}
    use(write(tmp_path, target.url, {"token": "t"}, **authority, **{"proxy-url": through.url}))
    assert len(tunnels) == 2
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    use(write(tmp_path, target.url, {"token": "t"}, **authority))
    assert len(tunnels) == 2
    assert len(doorman.seen) == 4
