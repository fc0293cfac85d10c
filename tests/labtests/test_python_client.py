"""The official Python client against the lab."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream

from hasteward_lab.lab import Lab

pytestmark = pytest.mark.servers


@pytest.fixture
def api(lab: Lab) -> Iterator[Any]:
    with config.new_client_from_config(config_file=str(lab.kubeconfig)) as connection:
        yield connection
        # The client does not close its connections itself.
        connection.rest_client.pool_manager.clear()


def test_lists_reads_and_errors(api: Any, lab: Lab) -> None:
    core = client.CoreV1Api(api)
    pods = core.list_namespaced_pod(lab.namespace, label_selector="cnpg.io/podRole=instance").items
    assert [pod.metadata.name for pod in pods] == ["pg-1", "pg-2", "pg-3"]
    assert all(status.ready for pod in pods for status in pod.status.container_statuses)
    assert core.read_namespaced_secret("pg-superuser", lab.namespace).type == "kubernetes.io/basic-auth"
    with pytest.raises(ApiException) as caught:
        core.read_namespaced_pod("nobody", lab.namespace)
    assert (caught.value.status, caught.value.reason) == (404, "Not Found")


def test_custom_objects_and_a_lease(api: Any, lab: Lab) -> None:
    address = ("postgresql.cnpg.io", "v1", lab.namespace, "clusters", lab.cluster)
    custom = client.CustomObjectsApi(api)
    patched = custom.patch_namespaced_custom_object(*address, {"metadata": {"annotations": {"x": "y"}}})
    assert patched["metadata"]["annotations"] == {"x": "y"}
    custom.patch_namespaced_custom_object(*address, {"metadata": {"annotations": {"x": None}}})
    leases = client.CoordinationV1Api(api)
    lease = client.V1Lease(
        metadata=client.V1ObjectMeta(name="mine"), spec=client.V1LeaseSpec(holder_identity="a")
    )
    first = leases.create_namespaced_lease(lab.namespace, lease)
    first.spec.holder_identity = "b"
    leases.replace_namespaced_lease("mine", lab.namespace, first)
    with pytest.raises(ApiException) as caught:
        leases.replace_namespaced_lease("mine", lab.namespace, first)
    assert caught.value.status == 409
    leases.delete_namespaced_lease("mine", lab.namespace)


def test_watch_begins_with_what_is_there(api: Any, lab: Lab) -> None:
    names = []
    events = watch.Watch()
    for event in events.stream(client.CoreV1Api(api).list_namespaced_pod, lab.namespace, timeout_seconds=5):
        names.append((event["type"], event["object"].metadata.name))
        if len(names) == 3:
            events.stop()
    assert names == [("ADDED", "pg-1"), ("ADDED", "pg-2"), ("ADDED", "pg-3")]


def test_exec_and_logs(api: Any, lab: Lab) -> None:
    core = client.CoreV1Api(api)
    command = ["sh", "-c", "echo $HOSTNAME; echo warned >&2; exit 5"]
    open_stream = stream(
        core.connect_get_namespaced_pod_exec,
        "pg-2",
        lab.namespace,
        command=command,
        stdout=True,
        stderr=True,
        _preload_content=False,
    )
    open_stream.run_forever(timeout=10)
    assert open_stream.read_stdout() == "pg-2\n"
    assert open_stream.read_stderr() == "warned\n"
    assert open_stream.returncode == 5
    # Its close() leaves the socket open once the server has closed the stream.
    open_stream.sock.shutdown()
    assert "ready to accept" in core.read_namespaced_pod_log("pg-2", lab.namespace)
