"""The official Python client: watch, conflict, dynamic client, exec, election."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client, config, dynamic, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock
from kubernetes.stream import stream

from hasteward_lab.lab import Lab

pytestmark = pytest.mark.servers


@pytest.fixture
def api(lab: Lab) -> Iterator[Any]:
    with config.new_client_from_config(config_file=str(lab.kubeconfig)) as connection:
        yield connection
        connection.rest_client.pool_manager.clear()


def config_map(name: str, **data: str) -> Any:
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name), data=data)


def test_a_watch_is_resumed_from_the_version_of_a_list(api: Any, space: str) -> None:
    core = client.CoreV1Api(api)
    core.create_namespaced_config_map(space, config_map("a"))
    version = core.list_namespaced_config_map(space).metadata.resource_version
    core.create_namespaced_config_map(space, config_map("b"))
    core.delete_namespaced_config_map("a", space)
    seen = [
        (event["type"], event["object"].metadata.name)
        for event in watch.Watch().stream(
            core.list_namespaced_config_map, space, resource_version=version, timeout_seconds=1
        )
    ]
    assert seen == [("ADDED", "b"), ("DELETED", "a")]


def test_the_slower_of_two_writers_gets_a_conflict(api: Any, space: str) -> None:
    core = client.CoreV1Api(api)
    first = core.create_namespaced_config_map(space, config_map("c", k="1"))
    first.data = {"k": "2"}
    core.replace_namespaced_config_map("c", space, first)
    with pytest.raises(ApiException) as caught:
        core.replace_namespaced_config_map("c", space, first)
    assert caught.value.status == 409
    assert "the object has been modified" in caught.value.body


def test_the_dynamic_client_applies_on_the_server(api: Any, space: str) -> None:
    kinds = dynamic.DynamicClient(api)
    maps = kinds.resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "d"}, "data": {"k": "1"}}
    made = maps.server_side_apply(body=body, namespace=space, name="d", field_manager="one")
    assert made.metadata.managedFields[0].manager == "one"
    body["data"] = {"k": "2"}
    with pytest.raises(ApiException) as caught:
        maps.server_side_apply(body=body, namespace=space, name="d", field_manager="two")
    assert "FieldManagerConflict" in str(caught.value.body)
    forced = maps.server_side_apply(
        body=body, namespace=space, name="d", field_manager="two", force_conflicts=True
    )
    assert forced.data.k == "2"
    assert [row.manager for row in forced.metadata.managedFields] == ["two"]


@pytest.mark.parametrize("content", ["x" * 70_000, b"\xff" * 70_000], ids=["text", "bytes"])
def test_exec_closes_its_input_with_v5(api: Any, lab: Lab, content: str | bytes) -> None:
    """The client's own stream: its input has an end only since v5, and it may be text or bytes."""
    open_stream = stream(
        client.CoreV1Api(api).connect_get_namespaced_pod_exec,
        "pg-2",
        lab.namespace,
        command=["wc", "-c"],
        stdin=True,
        stdout=True,
        stderr=True,
        _preload_content=False,
    )
    assert open_stream.subprotocol == "v5.channel.k8s.io"
    open_stream.write_stdin(content)
    open_stream.close_channel(0)
    open_stream.run_forever(timeout=10)
    assert open_stream.read_stdout().strip() == "70000"
    assert open_stream.returncode == 0
    # Its close() leaves the socket open once the server has closed the stream.
    open_stream.sock.shutdown()


def test_a_lease_has_one_leader(lab: Lab, space: str) -> None:
    led: list[str] = []
    done = threading.Event()

    def candidate(name: str) -> None:
        with config.new_client_from_config(config_file=str(lab.kubeconfig)) as connection:
            lock = LeaseLock("leader", space, name)
            lock.api_instance = client.CoordinationV1Api(connection)

            def lead() -> None:
                led.append(name)
                done.set()

            chosen = electionconfig.Config(
                lock,
                lease_duration=3,
                renew_deadline=2,
                retry_period=1,
                onstarted_leading=lead,
                onstopped_leading=None,
            )
            election = leaderelection.LeaderElection(chosen)
            election.try_acquire_or_renew() and lead()
            connection.rest_client.pool_manager.clear()

    for name in ("first", "second"):
        candidate(name)
    assert led == ["first"]


def test_a_service_account_token_opens_its_rights(lab: Lab, api: Any) -> None:
    tokens = client.CoreV1Api(api).create_namespaced_service_account_token(
        "hasteward-view",
        lab.namespace,
        client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=[])),
    )
    rows = lab.client.call("GET", f"/api/v1/namespaces/{lab.namespace}/pods", token=tokens.status.token)
    assert len(rows["items"]) >= 3
