"""A kubectl from before WebSockets, as Debian 12 ships it (1.20): SPDY, and one OpenAPI document in protobuf.

What it cannot do here: `explain` of built-in kinds, and `--dry-run=server`, which it wants to see there.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = [pytest.mark.servers, pytest.mark.long]


def test_objects_are_applied_patched_and_deleted(old_kubectl: Any, space: str) -> None:
    kubectl = old_kubectl
    apply = ("apply", "-n", space, "-f", "-")
    item = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": "1"}}
    assert kubectl(*apply, stdin=item) == "configmap/m created\n"
    assert kubectl(*apply, stdin=item) == "configmap/m unchanged\n"
    assert kubectl(*apply, stdin=item | {"data": {"a": "2"}}) == "configmap/m configured\n"
    assert kubectl("apply", "--server-side", *apply[1:], "--force-conflicts", stdin=item).endswith(
        "applied\n"
    )
    assert kubectl("patch", "-n", space, "cm/m", "-p", '{"data":{"b":"2"}}') == "configmap/m patched\n"
    assert kubectl("get", "-n", space, "cm/m", "-o", "jsonpath={.data}") == '{"a":"1","b":"2"}'
    assert kubectl("delete", "-n", space, "cm/m") == 'configmap "m" deleted\n'


def test_a_set_is_applied_twice_scaled_and_rolled_out(old_kubectl: Any, space: str) -> None:
    kubectl = old_kubectl
    container = {"name": "c", "image": "busybox", "command": ["sleep", "600"]}
    template = {"metadata": {"labels": {"app": "s"}}, "spec": {"containers": [container]}}
    template["spec"] |= {"terminationGracePeriodSeconds": 0}
    spec = {"serviceName": "s", "selector": {"matchLabels": {"app": "s"}}, "template": template}
    item = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "s"}, "spec": spec}
    assert kubectl("apply", "-n", space, "-f", "-", stdin=item) == "statefulset.apps/s created\n"
    assert kubectl("apply", "-n", space, "-f", "-", stdin=item) == "statefulset.apps/s unchanged\n"
    kubectl("scale", "-n", space, "sts/s", "--replicas=2")
    told = kubectl("rollout", "status", "-n", space, "sts/s", "--timeout=30s")
    assert "2 new pods have been updated" in told


def test_a_cluster_is_read_in_every_format(old_kubectl: Any) -> None:
    kubectl = old_kubectl
    assert kubectl("get", "pods", "-o", "wide").splitlines()[0].split()[:3] == ["NAME", "READY", "STATUS"]
    assert json.loads(kubectl("get", "cluster", "pg", "-o", "json"))["kind"] == "Cluster"
    assert kubectl("get", "pod", "pg-1", "-o", "name") == "pod/pg-1\n"
    assert "Controlled By:  Cluster/pg" in kubectl("describe", "pod", "pg-1")
    told = kubectl("explain", "cluster.spec", "--api-version=postgresql.cnpg.io/v1")
    assert "Specification of the desired behavior" in told
    assert kubectl("auth", "can-i", "create", "pods", "--subresource=exec", context="backup") == "yes\n"
    assert "database system is ready" in kubectl("logs", "pg-1")


def test_exec_passes_input_output_and_exit_codes(old_kubectl: Any) -> None:
    kubectl = old_kubectl
    assert kubectl("exec", "pg-1", "--", "sh", "-c", "echo out; echo err >&2") == "out\nerr\n"
    assert kubectl("exec", "-i", "pg-1", "--", "wc", "-c", stdin="x" * 3_000_000).strip() == "3000000"
    assert len(kubectl("exec", "pg-1", "--", "head", "-c", "3000000", "/dev/zero")) == 3_000_000
    assert "exit code 42" in kubectl("exec", "pg-1", "--", "sh", "-c", "exit 42", code=42)
    assert "executable file not found" in kubectl("exec", "pg-1", "--", "no-such-program", code=1)
    assert "forbidden" in kubectl("exec", "pg-1", "--", "true", context="view", code=1).lower()
