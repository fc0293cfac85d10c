"""The API's own rules, asked without kubectl in between."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hasteward_lab.lab import Lab
from hasteward_lab.state import LabError

pytestmark = pytest.mark.servers

CLAIMS = "/api/v1/namespaces/db/persistentvolumeclaims"
MAPS = "/api/v1/namespaces/db/configmaps"
CLUSTER = "/apis/postgresql.cnpg.io/v1/namespaces/db/clusters/pg"


def raw(
    lab: Lab,
    path: str,
    *,
    method: str = "GET",
    token: str | None = None,
    body: Any = None,
    lines: int = 0,
    kind: str = "application/json",
) -> Any:
    """One request; the status and body, or the first lines of a stream."""
    config = lab.state.load_config()
    headers = {"Authorization": f"Bearer {token or config.tokens['admin']}", "Content-Type": kind}
    url = f"https://127.0.0.1:{config.port}{path}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    tls = ssl.create_default_context(cafile=str(lab.state.ca))
    try:
        with urllib.request.urlopen(request, context=tls, timeout=10) as answer:  # noqa: S310 - https
            if lines:
                return [json.loads(answer.readline()) for _ in range(lines)]
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


@pytest.fixture
def config_map(lab: Lab) -> Iterator[Callable[[], dict[str, Any]]]:
    lab.client.call("POST", MAPS, {"metadata": {"name": "m"}, "data": {"k": "0"}})
    yield lambda: lab.client.call("GET", f"{MAPS}/m")
    raw(lab, f"{MAPS}/m", method="DELETE")


def test_a_wrong_token_is_unauthorized(lab: Lab) -> None:
    code, status = raw(lab, "/api/v1/pods", token="wrong")
    assert (code, status["kind"], status["reason"]) == (401, "Status", "Unauthorized")
    code, _ = raw(lab, "/lab/faults", token=lab.state.load_config().tokens["admin"])
    assert code == 401


def test_discovery_names_the_groups(lab: Lab) -> None:
    groups = {row["name"] for row in lab.client.call("GET", "/apis")["groups"]}
    assert {"coordination.k8s.io", "postgresql.cnpg.io", "rbac.authorization.k8s.io", "batch"} <= groups
    rows = lab.client.call("GET", "/api/v1")["resources"]
    assert {"pods", "pods/exec", "pods/log", "secrets"} <= {row["name"] for row in rows}
    assert raw(lab, "/apis/nothing.example/v1")[0] == 404
    assert raw(lab, "/api/v1/namespaces/db/unicorns")[0] == 404


def test_a_stale_update_is_refused(lab: Lab, config_map: Callable[[], dict[str, Any]]) -> None:
    first = config_map()
    lab.client.call("PUT", f"{MAPS}/m", {**first, "data": {"k": "1"}})
    code, status = raw(lab, f"{MAPS}/m", method="PUT", body={**first, "data": {"k": "2"}})
    assert (code, status["reason"]) == (409, "Conflict")
    assert config_map()["data"] == {"k": "1"}
    stale = {"metadata": {"resourceVersion": first["metadata"]["resourceVersion"]}, "data": {"k": "3"}}
    merge = "application/merge-patch+json"
    assert raw(lab, f"{MAPS}/m", method="PATCH", body=stale, kind=merge)[0] == 409


def test_identity_survives_an_update(lab: Lab, config_map: Callable[[], dict[str, Any]]) -> None:
    first = config_map()
    forged = {**first, "metadata": {**first["metadata"], "uid": "x", "creationTimestamp": "y"}, "data": {}}
    lab.client.call("PUT", f"{MAPS}/m", forged)
    assert config_map()["metadata"]["uid"] == first["metadata"]["uid"]
    assert config_map()["metadata"]["creationTimestamp"] == first["metadata"]["creationTimestamp"]


def test_a_finalizer_keeps_an_object_until_it_is_taken_away(
    lab: Lab, config_map: Callable[[], dict[str, Any]]
) -> None:
    lab.client.call("PATCH", f"{MAPS}/m", {"metadata": {"finalizers": ["test/hold"]}})
    lab.client.call("DELETE", f"{MAPS}/m")
    assert "deletionTimestamp" in config_map()["metadata"]
    lab.client.call("PATCH", f"{MAPS}/m", {"metadata": {"finalizers": None}})
    assert raw(lab, f"{MAPS}/m")[0] == 404


def test_a_watch_resumes_where_it_was(lab: Lab, config_map: Callable[[], dict[str, Any]]) -> None:
    version = config_map()["metadata"]["resourceVersion"]
    for value in ("1", "2"):
        lab.client.call("PATCH", f"{MAPS}/m", {"data": {"k": value}})
    lab.client.call("DELETE", f"{MAPS}/m")
    path = f"{MAPS}?watch=1&resourceVersion={version}&fieldSelector=metadata.name%3Dm"
    events = raw(lab, path, lines=3)
    assert [event["type"] for event in events] == ["MODIFIED", "MODIFIED", "DELETED"]
    assert [event["object"]["data"]["k"] for event in events] == ["1", "2", "2"]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(set(versions))
    assert versions[0] > int(version)
    later = raw(lab, path.replace(version, str(versions[0])), lines=2)
    assert [event["type"] for event in later] == ["MODIFIED", "DELETED"]


def test_a_selector_makes_events_of_its_own(lab: Lab, config_map: Callable[[], dict[str, Any]]) -> None:
    version = config_map()["metadata"]["resourceVersion"]
    lab.client.call("PATCH", f"{MAPS}/m", {"metadata": {"labels": {"in": "yes"}}})
    lab.client.call("PATCH", f"{MAPS}/m", {"metadata": {"labels": {"in": None}}})
    events = raw(lab, f"{MAPS}?watch=1&resourceVersion={version}&labelSelector=in%3Dyes", lines=2)
    assert [event["type"] for event in events] == ["ADDED", "DELETED"]


def test_a_watch_from_a_forgotten_version_is_gone(lab: Lab, config_map: Callable[[], dict[str, Any]]) -> None:
    version = config_map()["metadata"]["resourceVersion"]
    lab.compact()
    (event,) = raw(lab, f"{MAPS}?watch=1&resourceVersion={version}", lines=1)
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


def test_a_failed_call_is_the_one_that_was_asked_for(faults: Lab) -> None:
    faults.add_fault("http", verb="get", resource="clusters", nth=2, code=503)
    assert raw(faults, CLUSTER)[0] == 200
    code, status = raw(faults, CLUSTER)
    assert (code, status["reason"]) == (503, "ServiceUnavailable")
    assert raw(faults, CLUSTER)[0] == 200
    assert [row["met"] for row in faults.faults()] == [3]


def test_rights_are_per_identity(faults: Lab) -> None:
    tokens = faults.state.load_config().tokens
    user = "system:serviceaccount:db:hasteward-view"
    faults.add_fault("forbid", user=user, verb="list", resource="pods")
    code, status = raw(faults, "/api/v1/namespaces/db/pods", token=tokens["view"])
    assert (code, status["reason"]) == (403, "Forbidden")
    assert status["message"] == (
        f'pods is forbidden: User "{user}" cannot list resource "pods" in API group "" in the namespace "db"'
    )
    assert raw(faults, "/api/v1/namespaces/db/pods", token=tokens["backup"])[0] == 200


def test_an_access_review_says_what_the_call_would_meet(faults: Lab) -> None:
    def allowed(verb: str) -> bool:
        wish = {"verb": verb, "resource": "pods", "subresource": "exec", "namespace": "db"}
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = faults.client.call("POST", path, {"spec": {"resourceAttributes": wish}})
        return bool(answer["status"]["allowed"])

    faults.add_fault("forbid", verb="create", resource="pods", subresource="exec")
    assert allowed("get")
    assert not allowed("create")


def test_the_audit_tells_who_did_what(lab: Lab) -> None:
    lab.clear_audit()
    tokens = lab.state.load_config().tokens
    raw(lab, CLUSTER, token=tokens["repair"])
    raw(lab, f"{CLUSTER}-none", token=tokens["repair"])
    raw(lab, f"{CLAIMS}/pg-1", token=tokens["repair"])
    lab.exec("pg-1", ["true"])
    rows = [
        (row["user"], row["verb"], row["resource"], row["subresource"], row["name"], row["code"])
        for row in lab.audit()
    ]
    repair = "system:serviceaccount:db:hasteward-repair"
    assert rows == [
        (repair, "get", "clusters", "", "pg", 200),
        (repair, "get", "clusters", "", "pg-none", 404),
        (repair, "get", "persistentvolumeclaims", "", "pg-1", 403),
        ("lab-admin", "get", "pods", "exec", "pg-1", 101),
    ]


def test_an_unknown_fault_is_refused(lab: Lab) -> None:
    with pytest.raises(LabError, match="unknown fields: colour"):
        lab.client.lab("POST", "faults", {"kind": "cut", "colour": "red"})
