"""Pods that a client makes: where they run, what keeps them waiting, and how they end."""

from __future__ import annotations

import asyncio
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from hasteward_lab.lab import Lab
from hasteward_lab.state import LabError

pytestmark = pytest.mark.servers


def eventually(check: Callable[[], Any], limit: float = 15.0) -> Any:
    """Wait till a check gives something."""
    deadline = time.monotonic() + limit
    while not (found := check()):
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.05)
    return found


def raw_text(lab: Lab, path: str) -> str:
    """What a path answers that is no JSON."""
    config = lab.state.load_config()
    headers = {"Authorization": f"Bearer {config.tokens['admin']}"}
    request = urllib.request.Request(f"https://127.0.0.1:{config.port}{path}", headers=headers)
    tls = ssl.create_default_context(cafile=str(lab.state.ca))
    try:
        with urllib.request.urlopen(request, context=tls, timeout=10) as answer:  # noqa: S310 - https
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()


def helper(name: str, claim: str, *, node: str = "", command: str = "sleep 600") -> dict[str, Any]:
    """A pod that mounts a claim of the database, as a repair would make it."""
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsUser": 26},
        "containers": [
            {
                "name": "h",
                "image": "busybox",
                "command": ["sh", "-c", command],
                "volumeMounts": [{"name": "v", "mountPath": "/v"}],
            }
        ],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}],
    }
    if node:
        spec["nodeName"] = node
    return {"metadata": {"name": name}, "spec": spec}


@pytest.fixture
def pods(lab: Lab) -> Any:
    path = f"/api/v1/namespaces/{lab.namespace}/pods"
    made: list[str] = []

    def make(body: dict[str, Any]) -> Callable[[], dict[str, Any]]:
        lab.client.call("POST", path, body)
        made.append(body["metadata"]["name"])
        return lambda: lab.pod(body["metadata"]["name"])

    yield make
    for name in made:
        try:
            lab.delete_pod(name, grace=0)
        except LabError:
            continue
    eventually(lambda: not set(made) & set(lab.pods))


def phase(pod: dict[str, Any]) -> str:
    return str(pod.get("status", {}).get("phase"))


def said(lab: Lab, name: str) -> str:
    rows = lab.get("events")
    return " ".join(row["message"] for row in rows if row["involvedObject"]["name"] == name)


def test_a_helper_on_the_same_node_shares_the_volume(lab: Lab, pods: Any) -> None:
    node = lab.pod("pg-2")["spec"]["nodeName"]
    look = pods(
        helper("helper-same", "pg-2", node=node, command="ls /v > /dev/termination-log; ls /v; id -u")
    )
    eventually(lambda: phase(look()) == "Succeeded")
    assert look()["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 0


def test_a_helper_on_another_node_waits_for_the_volume(lab: Lab, pods: Any) -> None:
    node = lab.pod("pg-2")["spec"]["nodeName"]
    other = next(row for row in ("node-1", "node-2", "node-3") if row != node)
    look = pods(helper("helper-other", "pg-2", node=other))
    eventually(lambda: "Multi-Attach error for volume" in said(lab, "helper-other"))
    assert phase(look()) == "Pending"


def test_a_pod_without_a_node_says_why(faults: Lab, pods: Any) -> None:
    faults.add_fault("unschedulable", name="helper-lost")
    look = pods(helper("helper-lost", "pg-2"))
    condition = eventually(lambda: (look().get("status") or {}).get("conditions"))[0]
    assert (condition["type"], condition["status"], condition["reason"]) == (
        "PodScheduled",
        "False",
        "Unschedulable",
    )
    faults.clear_faults()
    eventually(lambda: look()["spec"].get("nodeName"))


def test_a_claim_that_is_not_there_keeps_a_pod_pending(lab: Lab, pods: Any) -> None:
    look = pods(helper("helper-none", "no-such-claim"))
    eventually(lambda: 'persistentvolumeclaim "no-such-claim" not found' in said(lab, "helper-none"))
    assert phase(look()) == "Pending"


def test_an_image_nobody_has_is_not_pulled(lab: Lab, pods: Any) -> None:
    body = helper("helper-image", "pg-2", node=lab.pod("pg-2")["spec"]["nodeName"])
    body["spec"]["containers"][0]["image"] = "registry.example/none:1"
    look = pods(body)
    states = eventually(lambda: look().get("status", {}).get("containerStatuses"))
    assert states[0]["state"]["waiting"]["reason"] == "ErrImagePull"


def test_a_failed_job_stops_at_its_limit(lab: Lab, space: str) -> None:
    path = f"/apis/batch/v1/namespaces/{space}/jobs"
    container = {"name": "c", "image": "busybox", "command": ["sh", "-c", "exit 3"]}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    lab.client.call(
        "POST", path, {"metadata": {"name": "j"}, "spec": {"backoffLimit": 0, "template": template}}
    )

    def failed() -> Any:
        rows = lab.client.call("GET", f"{path}/j").get("status", {}).get("conditions", [])
        return [row["reason"] for row in rows if row["type"] == "Failed"]

    assert eventually(failed) == ["BackoffLimitExceeded"]


def test_what_nobody_owns_any_more_is_collected(lab: Lab, space: str) -> None:
    path = f"/api/v1/namespaces/{space}/configmaps"
    owner = lab.client.call("POST", path, {"metadata": {"name": "owner"}})
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    for name, held in (("kept", "test/hold"), ("gone", "")):
        meta = {"name": name, "ownerReferences": [{**reference, "blockOwnerDeletion": True}]}
        lab.client.call("POST", path, {"metadata": {**meta, "finalizers": [held] if held else []}})
    lab.client.call("DELETE", f"{path}/owner?propagationPolicy=Foreground")

    def left() -> list[str]:
        rows = lab.client.call("GET", path)["items"]
        return [row["metadata"]["name"] for row in rows if row["metadata"]["name"] != "kube-root-ca.crt"]

    eventually(lambda: left() == ["kept", "owner"])
    lab.client.call("PATCH", f"{path}/kept", {"metadata": {"finalizers": None}})
    eventually(lambda: left() == [])


def test_a_claim_grows_while_it_is_in_use(lab: Lab, space: str) -> None:
    path = f"/api/v1/namespaces/{space}/persistentvolumeclaims"
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "8Mi"}}}
    lab.client.call("POST", path, {"metadata": {"name": "c"}, "spec": wanted})
    eventually(lambda: lab.client.call("GET", f"{path}/c").get("status", {}).get("phase") == "Bound")
    larger = {"spec": {"resources": {"requests": {"storage": "16Mi"}}}}
    lab.client.call("PATCH", f"{path}/c", larger)
    eventually(lambda: lab.client.call("GET", f"{path}/c")["status"]["capacity"] == {"storage": "16Mi"})
    with pytest.raises(LabError, match=r"field can not be less than status\.capacity"):
        lab.client.call("PATCH", f"{path}/c", {"spec": {"resources": {"requests": {"storage": "1Mi"}}}})


def test_a_log_can_be_asked_for_by_time(lab: Lab, space: str) -> None:
    path = f"/api/v1/namespaces/{space}/pods"
    command = ["sh", "-c", "echo early; sleep 2; echo late; exec sleep 60"]
    container = {"name": "c", "image": "busybox", "command": command}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    lab.client.call("POST", path, {"metadata": {"name": "p"}, "spec": spec})

    def log(query: str = "") -> str:
        return raw_text(lab, f"{path}/p/log?{query}")

    eventually(lambda: "late" in log())
    assert log() == "early\nlate\n"
    assert log("sinceSeconds=1") == "late\n"
    assert log("limitBytes=3") == "ear"
    stamped = log("timestamps=true&tailLines=1").split()
    assert (stamped[0][-1], stamped[1]) == ("Z", "late")


def test_a_kubelet_that_dies_leaves_the_process_waiting_on_its_input(faults: Lab) -> None:
    async def talk() -> int | None:
        async with faults.client.open_exec(
            "pg-1", ["sh", "-c", "cat >/dev/null; sleep 33"], stdin=True
        ) as stream:
            await stream.send_bytes(b"\x00" + b"x" * 5000)
            async for _ in stream:
                pass
            return stream.close_code

    faults.add_fault("orphan", command="sleep 33", stream="stdin", after=1000)
    assert asyncio.run(talk()) == 1006
    time.sleep(0.5)
    lines = faults.processes("pg-1")
    # Still reading, neither gone nor past its input.
    assert any(line == "cat" for line in lines)
    assert not any(line == "sleep 33" for line in lines)
    faults.exec("pg-1", ["pkill", "-x", "cat"])
    faults.exec("pg-1", ["pkill", "-f", "^sleep 33"])


INSIDE = """
import json, os, ssl, urllib.request
folder = "/var/run/secrets/kubernetes.io/serviceaccount/"
read = lambda name: open(folder + name).read()
tls = ssl.create_default_context(cafile=folder + "ca.crt")
for host in (os.environ["KUBERNETES_SERVICE_HOST"], "kubernetes.default.svc"):
    where = (host, os.environ["KUBERNETES_SERVICE_PORT"], read("namespace"))
    url = "https://%s:%s/api/v1/namespaces/%s/pods" % where
    asked = urllib.request.Request(url, headers={"Authorization": "Bearer " + read("token")})
    print(json.load(urllib.request.urlopen(asked, context=tls))["kind"])
"""


def test_a_pod_reaches_the_api_as_its_account(lab: Lab) -> None:
    """In-cluster configuration, as every client library looks for it."""
    body = helper("inside", "pg-1", node=lab.pod("pg-1")["spec"]["nodeName"])
    body["spec"]["serviceAccountName"] = "hasteward-view"
    body["spec"]["containers"][0]["command"] = ["/usr/bin/python3", "-c", INSIDE]
    body["spec"]["containers"][0]["volumeMounts"] = []
    pods = f"/api/v1/namespaces/{lab.namespace}/pods"
    made = lab.client.call("POST", pods, body)
    try:
        assert "projected" in made["spec"]["volumes"][-1]
        eventually(lambda: lab.pod("inside")["status"].get("phase") == "Succeeded")
        assert raw_text(lab, f"{pods}/inside/log") == "PodList\nPodList\n"
        who = {row["user"] for row in lab.audit() if row["resource"] == "pods" and row["verb"] == "list"}
        assert f"system:serviceaccount:{lab.namespace}:hasteward-view" in who
    finally:
        lab.client.call("DELETE", f"{pods}/inside")


def test_a_pod_of_an_account_that_is_not_there_is_refused(lab: Lab) -> None:
    body = helper("nobodys", "pg-1")
    body["spec"]["serviceAccountName"] = "nobody"
    with pytest.raises(LabError, match='error looking up service account db/nobody: serviceaccount "nobody"'):
        lab.client.call("POST", f"/api/v1/namespaces/{lab.namespace}/pods", body)


def test_a_pod_that_wants_no_token_gets_none(lab: Lab) -> None:
    body = helper("tokenless", "pg-1")
    body["spec"]["automountServiceAccountToken"] = False
    made = lab.client.call("POST", f"/api/v1/namespaces/{lab.namespace}/pods?dryRun=All", body)
    assert [row["name"] for row in made["spec"]["volumes"]] == ["v"]
