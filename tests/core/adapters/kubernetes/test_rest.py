"""REST calls against a small HTTP server: paths, bodies, errors, retries, watches."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from hasteward.adapters.kubernetes.rest import KubernetesApi, path_of
from hasteward.domain.errors import HastewardError, InvalidInput
from hasteward.ports.kubernetes import (
    LEASES,
    PODS,
    SECRETS,
    ApiConflict,
    ApiForbidden,
    ApiNotFound,
    ApiUnauthorized,
    ApiUnavailable,
    PodRef,
    Resource,
)

Answer = tuple[int, dict[str, str], bytes]
CLUSTERS = Resource("postgresql.cnpg.io", "v1", "clusters")


class Api(ThreadingHTTPServer):
    """Gives the prepared answers one after the other and remembers the requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[Answer | Callable[[Any], None]] = []
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Api

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {k.lower(): v for k, v in self.headers.items()}
        self.server.requests.append((self.command, self.path, headers, json.loads(body) if body else None))
        answer = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
        if callable(answer):
            answer(self)
            return
        code, extra, data = answer
        self.send_response(code)
        for name, value in {"Content-Length": str(len(data)), **extra}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - http.server's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass


@pytest.fixture
def server() -> Iterator[Api]:
    with Api() as api:
        thread = threading.Thread(target=api.serve_forever, args=(0.02,))
        thread.start()
        yield api
        api.shutdown()
        thread.join()


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def client(server: Api, slept: list[float]) -> Iterator[KubernetesApi]:
    from kubernetes.client import Configuration

    configuration = Configuration()
    configuration.host = f"http://127.0.0.1:{server.server_port}"
    configuration.proxy = None
    configuration.api_key["BearerToken"] = "Bearer tok"
    client = KubernetesApi(configuration, connect_seconds=2, read_seconds=0.3, sleep=slept.append)
    yield client
    client.close()


def ok(body: object = None) -> Answer:
    return 200, {}, json.dumps(body if body is not None else {}).encode()


def status(code: int, reason: str, message: str = "", **details: str) -> Answer:
    body = {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}
    return code, {"Content-Type": "application/json"}, json.dumps(body).encode()


def hang_up(handler: Any) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def test_paths_are_those_of_the_api() -> None:
    assert path_of(PODS, "db", "a") == "/api/v1/namespaces/db/pods/a"
    assert path_of(PODS, "") == "/api/v1/pods"
    assert path_of(LEASES, "db") == "/apis/coordination.k8s.io/v1/namespaces/db/leases"
    status_of = Resource("postgresql.cnpg.io", "v1", "clusters/status")
    assert path_of(status_of, "db", "pg").endswith("/namespaces/db/clusters/pg/status")


def test_every_verb_is_sent_with_its_method_body_and_token(server: Api, client: KubernetesApi) -> None:
    server.answers = [ok({"a": 1})]
    body = {"metadata": {"name": "x"}}
    assert client.get(PODS, "db", "x") == {"a": 1}
    client.create(PODS, "db", body)
    client.replace(PODS, "db", "x", body)
    client.patch(CLUSTERS, "db", "x", body)
    client.delete(PODS, "db", "x")
    assert [(method, sent) for method, _, _, sent in server.requests] == [
        ("GET", None),
        ("POST", body),
        ("PUT", body),
        ("PATCH", body),
        ("DELETE", None),
    ]
    assert server.requests[3][2]["content-type"] == "application/merge-patch+json"
    assert {headers["authorization"] for _, _, headers, _ in server.requests} == {"Bearer tok"}


def test_how_long_a_pod_may_take_to_end_is_said_only_where_it_is_wished(
    server: Api, client: KubernetesApi
) -> None:
    server.answers = [ok({})]
    client.delete(PODS, "db", "x")
    client.delete(PODS, "db", "x", grace=30)
    path = path_of(PODS, "db", "x")
    assert [sent for _, sent, _, _ in server.requests] == [path, f"{path}?gracePeriodSeconds=30"]


def test_a_list_follows_its_pages_and_selects_by_label(server: Api, client: KubernetesApi) -> None:
    server.answers = [ok({"items": [{"n": 1}], "metadata": {"continue": "a/b="}}), ok({"items": [{"n": 2}]})]
    assert client.list(PODS, "db", labels="app=pg,role!=x") == [{"n": 1}, {"n": 2}]
    assert "labelSelector=app%3Dpg%2Crole%21%3Dx" in server.requests[0][1]
    assert "continue=a%2Fb%3D" in server.requests[1][1]


def test_a_list_whose_pages_expired_begins_again(server: Api, client: KubernetesApi) -> None:
    server.answers = [
        ok({"items": [{"n": 1}], "metadata": {"continue": "x"}}),
        status(410, "Expired"),
        ok({"items": [{"n": 9}]}),
    ]
    assert client.list(PODS, "db") == [{"n": 9}]


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (status(401, "Unauthorized"), ApiUnauthorized, "kubernetes.unauthorized"),
        (status(404, "NotFound", "no", name="x"), ApiNotFound, "kubernetes.not_found"),
        (status(404, "NotFound", "the server could not find it"), ApiNotFound, "kubernetes.kind_unknown"),
        ((404, {}, b"404 page not found\n"), ApiNotFound, "kubernetes.kind_unknown"),
        ((404, {}, b"<html>nothing here</html>"), ApiUnavailable, "kubernetes.unavailable"),
        (status(409, "Conflict", "modified"), ApiConflict, "kubernetes.conflict"),
        (status(409, "AlreadyExists", "exists"), ApiConflict, "kubernetes.already_exists"),
        (status(410, "Expired"), ApiConflict, "kubernetes.expired"),
        (status(422, "Invalid", "spec.x: Required value"), InvalidInput, "kubernetes.invalid"),
        (status(429, "TooManyRequests", "later"), ApiUnavailable, "kubernetes.unavailable"),
        (status(500, "InternalError", "etcd"), ApiUnavailable, "kubernetes.unavailable"),
        ((503, {}, b"no healthy upstream"), ApiUnavailable, "kubernetes.unavailable"),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), ApiUnavailable, "kubernetes.unavailable"),
        ((200, {}, b"<html>login</html>"), ApiUnavailable, "kubernetes.unavailable"),
    ],
)
def test_an_answer_becomes_the_error_of_the_port(
    server: Api, client: KubernetesApi, answer: Answer, kind: type[HastewardError], code: str
) -> None:
    server.answers = [answer]
    for call in (lambda: client.get(PODS, "db", "x"), lambda: client.replace(PODS, "db", "x", {})):
        with pytest.raises(kind, match=r"x|pods") as caught:
            call()
        assert type(caught.value) is kind
        assert caught.value.code == code
        assert "\n" not in caught.value.message


def test_a_missing_right_names_the_rule_that_would_grant_it(server: Api, client: KubernetesApi) -> None:
    server.answers = [status(403, "Forbidden", 'clusters "pg" is forbidden: User "u" cannot patch resource')]
    with pytest.raises(
        ApiForbidden, match=r"not allowed to patch clusters\.postgresql\.cnpg\.io pg in namespace db"
    ) as c:
        client.patch(CLUSTERS, "db", "pg", {})
    assert c.value.hint == 'grant: apiGroups ["postgresql.cnpg.io"] resources ["clusters"] verbs ["patch"]'


def test_a_secret_is_to_be_granted_by_its_name(server: Api, client: KubernetesApi) -> None:
    server.answers = [status(403, "Forbidden", 'secrets "s" is forbidden: User "u" cannot get resource')]
    with pytest.raises(ApiForbidden, match="not allowed to get secrets s in namespace db") as caught:
        client.get(SECRETS, "db", "s")
    assert (
        caught.value.hint == 'grant: apiGroups [""] resources ["secrets"] resourceNames ["s"] verbs ["get"]'
    )


def test_a_refusal_by_policy_is_not_called_a_missing_right(server: Api, client: KubernetesApi) -> None:
    server.answers = [status(403, "Forbidden", 'pods "x" is forbidden: exceeded quota: pods=1')]
    with pytest.raises(ApiForbidden, match=r"policy.*exceeded quota") as caught:
        client.create(PODS, "db", {"metadata": {"name": "x"}})
    assert caught.value.hint == ""


@pytest.mark.parametrize("code", [403, 409, 422, 500])
def test_what_the_server_says_about_a_secret_is_not_repeated(
    server: Api, client: KubernetesApi, code: int
) -> None:
    server.answers = [status(code, "Invalid", 'Secret "s" is invalid: data[k]: Invalid value: "hunter2"')]
    with pytest.raises(HastewardError) as caught:
        client.create(SECRETS, "db", {"metadata": {"name": "s"}, "stringData": {"k": "hunter2"}})
    assert "hunter2" not in caught.value.message + caught.value.hint


def test_reads_are_tried_three_times(server: Api, client: KubernetesApi, slept: list[float]) -> None:
    server.answers = [status(503, "ServiceUnavailable"), hang_up, ok({"a": 1})]
    assert client.get(PODS, "db", "x") == {"a": 1}
    assert len(server.requests) == 3
    assert len(slept) == 2
    server.answers = [status(500, "InternalError")]
    with pytest.raises(ApiUnavailable):
        client.get(PODS, "db", "x")
    assert len(server.requests) == 6


def test_the_server_says_how_long_to_wait(server: Api, client: KubernetesApi, slept: list[float]) -> None:
    server.answers = [(429, {"Retry-After": "7"}, b""), ok()]
    client.get(PODS, "db", "x")
    assert slept == [7]
    server.answers = [(429, {"Retry-After": "3600"}, b"")]
    with pytest.raises(ApiUnavailable):
        client.get(PODS, "db", "x")
    assert slept == [7]


@pytest.mark.parametrize("answer", [status(503, "ServiceUnavailable"), hang_up])
def test_writes_are_sent_once(
    server: Api, client: KubernetesApi, slept: list[float], answer: Answer | Callable[[Any], None]
) -> None:
    server.answers = [answer]
    for call in (
        lambda: client.create(PODS, "db", {}),
        lambda: client.replace(PODS, "db", "x", {}),
        lambda: client.patch(PODS, "db", "x", {}),
        lambda: client.delete(PODS, "db", "x"),
    ):
        with pytest.raises(ApiUnavailable):
            call()
    assert len(server.requests) == 4
    assert slept == []


def test_a_server_that_does_not_answer_leaves_a_write_in_doubt(server: Api, client: KubernetesApi) -> None:
    server.answers = [lambda _: time.sleep(0.6)]
    with pytest.raises(ApiUnavailable, match="did not answer in time; whether it was done is not known"):
        client.delete(PODS, "db", "x")


def test_nobody_listening_is_unavailable(client: KubernetesApi) -> None:
    client._host = "http://127.0.0.1:1"
    with pytest.raises(ApiUnavailable, match=r"no answer from http://127\.0\.0\.1:1: Connection refused$"):
        client.delete(PODS, "db", "x")


def test_may_asks_the_server_and_believes_only_a_yes(server: Api, client: KubernetesApi) -> None:
    server.answers = [ok({"status": {"allowed": True}}), ok({"status": {"allowed": False}}), ok({})]
    assert client.may("create", PODS, "db", "exec")
    assert not client.may("list", CLUSTERS, "")
    assert not client.may("list", CLUSTERS, "")
    asked = [sent["spec"]["resourceAttributes"] for *_, sent in server.requests]
    assert asked[0] == {
        "verb": "create",
        "group": "",
        "resource": "pods",
        "subresource": "exec",
        "namespace": "db",
    }
    assert "namespace" not in asked[1]


def test_may_asks_about_one_object(server: Api, client: KubernetesApi) -> None:
    server.answers = [ok({"status": {"allowed": True}})]
    assert client.may("get", SECRETS, "db", name="s")
    ((*_, sent),) = server.requests
    assert sent["spec"]["resourceAttributes"] == {
        "verb": "get",
        "group": "",
        "resource": "secrets",
        "namespace": "db",
        "name": "s",
    }


def stream(*chunks: bytes, cut: bool = False) -> Callable[[Any], None]:
    def send(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for chunk in chunks:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        if cut:
            hang_up(handler)
        else:
            handler.wfile.write(b"0\r\n\r\n")

    return send


def test_a_watch_gives_whole_events_however_they_are_cut(server: Api, client: KubernetesApi) -> None:
    events = [{"type": "ADDED", "object": {"n": n}} for n in range(3)] + [{"type": "BOOKMARK", "object": {}}]
    lines = b"".join(json.dumps(event).encode() + b"\n" for event in events)
    server.answers = [stream(lines[:10], lines[10:60], lines[60:])]
    assert list(client.watch(PODS, "db", since="41", seconds=5, labels="a=b")) == events
    assert server.requests[0][1] == (
        "/api/v1/namespaces/db/pods?watch=1&allowWatchBookmarks=true&timeoutSeconds=5"
        "&resourceVersion=41&labelSelector=a%3Db"
    )


def test_an_expired_watch_is_a_conflict_by_its_code(server: Api, client: KubernetesApi) -> None:
    gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}
    server.answers = [stream(json.dumps(gone).encode() + b"\n"), status(410, "Expired")]
    for _ in range(2):
        with pytest.raises(ApiConflict) as caught:
            list(client.watch(PODS, "db", since="1", seconds=5))
        assert caught.value.code == "kubernetes.expired"


def test_a_watch_that_is_cut_is_unavailable_after_its_whole_events(
    server: Api, client: KubernetesApi
) -> None:
    server.answers = [stream(b'{"type": "ADDED"}\n{"type": "MOD', cut=True)]
    seen = []
    with pytest.raises(ApiUnavailable):
        seen.extend(client.watch(PODS, "db", since="1", seconds=5))
    assert seen == [{"type": "ADDED"}]


def test_an_event_arrives_while_the_watch_goes_on(server: Api, client: KubernetesApi) -> None:
    seen = threading.Event()

    def slow(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"12\r\n" + b'{"type": "ADDED"}\n' + b"\r\n")
        assert seen.wait(5)
        handler.wfile.write(b"0\r\n\r\n")

    server.answers = [slow]
    for event in client.watch(PODS, "db", since="1", seconds=5):
        assert event == {"type": "ADDED"}
        seen.set()


def test_a_leader_may_renew_beside_the_main_thread(server: Api, client: KubernetesApi) -> None:
    server.answers = [ok({"a": 1})]
    failures: list[Exception] = []

    def renew() -> None:
        try:
            for _ in range(15):
                client.replace(LEASES, "db", "l", {})
        except Exception as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=renew) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(15):
        client.get(PODS, "db", "x")
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(server.requests) == 60


def test_a_log_is_text_and_a_container_that_has_not_run_has_none(server: Api, client: KubernetesApi) -> None:
    pod = PodRef("db", "pg-1", "postgres")
    server.answers = [
        (200, {}, b"one\ntwo\n"),
        status(400, "BadRequest", "is waiting to start"),
        status(403, "Forbidden", "no"),
    ]

    assert client.log(pod, lines=2) == "one\ntwo\n"
    assert client.log(pod, previous=True) == ""
    with pytest.raises(ApiForbidden):
        client.log(pod)

    first, second, _ = (path for _, path, _, _ in server.requests)
    assert first == "/api/v1/namespaces/db/pods/pg-1/log?container=postgres&tailLines=2&limitBytes=4194304"
    assert second.endswith("&previous=true")
