"""Transcripts of stock kubectl, in every version this machine has."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hasteward_lab.lab import Lab

pytestmark = pytest.mark.servers


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def sleeper(name: str, *command: str, restart: str = "Always") -> dict[str, Any]:
    container = {"name": "c", "image": "busybox:1.36", "command": list(command or ("sleep", "infinity"))}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0, "restartPolicy": restart}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": spec,
    }


def test_apply_creates_configures_and_leaves_unchanged(kubectl: Any, space: str) -> None:
    apply = ("apply", "-n", space, "-f", "-")
    assert kubectl(*apply, stdin=config_map("m", a="1", b="2")) == "configmap/m created\n"
    assert kubectl(*apply, stdin=config_map("m", a="1", b="2")) == "configmap/m unchanged\n"
    assert kubectl(*apply, stdin=config_map("m", a="2")) == "configmap/m configured\n"
    assert kubectl("get", "-n", space, "cm/m", "-o", "jsonpath={.data}") == '{"a":"2"}'
    assert kubectl("diff", "-n", space, "-f", "-", stdin=config_map("m", a="3"), code=1).count("a: ") >= 2
    assert kubectl("get", "-n", space, "cm/m", "-o", "jsonpath={.data.a}") == "2"


def test_server_side_apply_owns_fields_and_tells_conflicts(kubectl: Any, space: str) -> None:
    apply = ("apply", "-n", space, "--server-side", "-f", "-")
    assert kubectl(*apply, stdin=config_map("s", a="1", b="1")) == "configmap/s serverside-applied\n"
    other = (*apply, "--field-manager=other")
    told = kubectl(*other, stdin=config_map("s", a="2", c="2"), code=1)
    assert 'Apply failed with 1 conflict: conflict with "kubectl": .data.a' in told
    assert kubectl(*other, "--force-conflicts", stdin=config_map("s", a="2", c="2")).endswith("applied\n")
    # What the first manager leaves out goes; what it lost to the other stays.
    kubectl(*apply, stdin=config_map("s", d="4"))
    assert json.loads(kubectl("get", "-n", space, "cm/s", "-o", "jsonpath={.data}")) == {
        "a": "2",
        "c": "2",
        "d": "4",
    }
    entries = json.loads(kubectl("get", "-n", space, "cm/s", "-o", "json", "--show-managed-fields"))
    rows = {row["manager"]: row for row in entries["metadata"]["managedFields"]}
    assert rows["kubectl"]["fieldsV1"] == {"f:data": {"f:d": {}}}
    assert rows["other"]["operation"] == "Apply"


def test_get_in_every_format(kubectl: Any, lab: Lab) -> None:
    assert "READINESS GATES" in kubectl("get", "pods", "-o", "wide").splitlines()[0]
    assert json.loads(kubectl("get", "pod", "pg-1", "-o", "json"))["kind"] == "Pod"
    assert kubectl("get", "pod", "pg-1", "-o", "yaml").startswith("apiVersion: v1\nkind: Pod\n")
    assert kubectl("get", "pod", "pg-1", "-o", "name") == "pod/pg-1\n"
    assert kubectl("get", "pod", "pg-1", "-o", "jsonpath={.status.phase}") == "Running"
    columns = "custom-columns=N:.metadata.name,P:.status.phase"
    assert kubectl("get", "pods", "pg-1", "pg-2", "-o", columns).split() == [
        *("N", "P", "pg-1", "Running", "pg-2", "Running"),
    ]
    header = kubectl("get", "clusters.postgresql.cnpg.io", "pg").splitlines()[0].split()
    assert header == ["NAME", "AGE", "INSTANCES", "READY", "STATUS", "PRIMARY"]
    assert "pod/pg-1" in kubectl("get", "all")
    assert kubectl("get", "pods", "--chunk-size=1", "-o", "name").count("pod/") >= 3
    assert kubectl("get", "pvc,svc,secret,cm,ns,lease,node,sts,job,crd,role", "-A") != ""


def test_describe_tells_conditions_and_events(kubectl: Any, space: str) -> None:
    kubectl("apply", "-n", space, "-f", "-", stdin=sleeper("d"))
    kubectl("wait", "-n", space, "pod/d", "--for=condition=Ready", "--timeout=20s")
    told = kubectl("describe", "-n", space, "pod", "d")
    assert "Successfully assigned" in told
    assert "PodScheduled" in told
    listed = kubectl("events", "-n", space, "--for", "pod/d")
    assert "Scheduled" in listed
    assert "Scheduled" in kubectl("get", "events.events.k8s.io", "-n", space)
    for kind in ("node/node-1", "pvc/pg-1", "svc/pg-rw", "secret/pg-app", "ns/db"):
        assert "Name:" in kubectl("describe", kind), kind


def test_the_three_patches_and_a_dry_run(kubectl: Any, space: str) -> None:
    kubectl("apply", "-n", space, "-f", "-", stdin=config_map("p", a="1"))
    patch = ("patch", "-n", space, "cm/p")
    assert kubectl(*patch, "-p", '{"data":{"b":"2"}}') == "configmap/p patched\n"
    assert kubectl(*patch, "--type=merge", "-p", '{"data":{"b":null}}') == "configmap/p patched\n"
    kubectl(*patch, "--type=json", "-p", '[{"op":"test","path":"/data/a","value":"1"}]')
    failed = kubectl(*patch, "--type=json", "-p", '[{"op":"test","path":"/data/a","value":"9"}]', code=1)
    assert "the server rejected our request due to an error in our request" in failed
    kubectl(*patch, "-p", '{"data":{"x":"y"}}', "--dry-run=server")
    assert kubectl("get", "-n", space, "cm/p", "-o", "jsonpath={.data}") == '{"a":"1"}'
    strategic = kubectl("patch", "cluster", "pg", "-p", '{"metadata":{"labels":{"x":"y"}}}', code=1)
    assert "application/merge-patch+json" in strategic


def test_a_pods_containers_are_merged_by_name(kubectl: Any, space: str) -> None:
    kubectl("apply", "-n", space, "-f", "-", stdin=sleeper("m"))
    image = '{"spec":{"containers":[{"name":"c","image":"busybox:1.37"}]}}'
    assert kubectl("patch", "-n", space, "pod/m", "-p", image) == "pod/m patched\n"
    found = json.loads(kubectl("get", "-n", space, "pod/m", "-o", "json"))["spec"]["containers"]
    assert (len(found), found[0]["image"], found[0]["command"]) == (1, "busybox:1.37", ["sleep", "infinity"])
    frozen = '{"spec":{"containers":[{"name":"c","command":["true"]}]}}'
    told = kubectl("patch", "-n", space, "pod/m", "-p", frozen, code=1)
    assert 'The Pod "m" is invalid: spec: Forbidden: pod updates may not change fields' in told


def test_a_stateful_set_is_scaled_waited_for_and_deleted(kubectl: Any, space: str) -> None:
    template = sleeper("s")
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "8Mi"}}},
    }
    template["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    item = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "s"},
        "spec": {
            "replicas": 1,
            "serviceName": "s",
            "selector": {"matchLabels": {"app": "s"}},
            "template": {"metadata": {"labels": {"app": "s"}}, "spec": template["spec"]},
            "volumeClaimTemplates": [claim],
        },
    }
    here = ("-n", space)
    assert kubectl("apply", *here, "-f", "-", stdin=item) == "statefulset.apps/s created\n"
    assert kubectl("apply", *here, "-f", "-", stdin=item) == "statefulset.apps/s unchanged\n"
    assert kubectl("scale", *here, "sts/s", "--replicas=2") == "statefulset.apps/s scaled\n"
    told = kubectl("rollout", "status", *here, "sts/s", "--timeout=30s")
    assert "partitioned roll out complete: 2 new pods have been updated" in told
    assert kubectl("get", *here, "pvc", "-o", "name").split() == [
        "persistentvolumeclaim/data-s-0",
        "persistentvolumeclaim/data-s-1",
    ]
    kubectl("exec", *here, "s-1", "--", "touch", "/data/mark")
    kubectl("scale", *here, "sts/s", "--replicas=1")
    kubectl("wait", *here, "pod/s-1", "--for=delete", "--timeout=20s")
    assert kubectl("delete", *here, "sts/s", "--cascade=orphan").startswith('statefulset.apps "s" deleted')
    assert kubectl("get", *here, "pod/s-0", "-o", "jsonpath={.metadata.ownerReferences}") == ""
    again = kubectl("get", *here, "sts/s", code=1)
    assert again == 'Error from server (NotFound): statefulsets.apps "s" not found\n'


def test_a_job_runs_a_real_process_and_its_log_is_followed(kubectl: Any, space: str) -> None:
    script = "for i in 1 2 3; do echo line $i; sleep 0.2; done"
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j"},
        "spec": {"template": {"spec": sleeper("j", "sh", "-c", script, restart="Never")["spec"]}},
    }
    here = ("-n", space)
    kubectl("apply", *here, "-f", "-", stdin=job)
    kubectl("wait", *here, "job/j", "--for=jsonpath={.status.startTime}", "--timeout=20s")
    pod = kubectl("get", *here, "pods", "-l", "job-name=j", "-o", "name").strip()
    kubectl("wait", *here, pod, "--for=jsonpath={.status.startTime}", "--timeout=20s")
    assert kubectl("logs", "-f", *here, "job/j") == "line 1\nline 2\nline 3\n"
    kubectl("wait", *here, "job/j", "--for=condition=complete", "--timeout=20s")
    assert kubectl("get", *here, "job/j").splitlines()[1].split()[:3] == ["j", "Complete", "1/1"]
    assert kubectl("logs", *here, "job/j", "--tail=1") == "line 3\n"
    kubectl("delete", *here, "job/j", "--cascade=foreground")
    assert kubectl("get", *here, "pods") == f"No resources found in {space} namespace.\n"


def test_exec_passes_input_output_and_exit_codes(kubectl: Any) -> None:
    assert kubectl("exec", "pg-1", "--", "echo", "hello") == "hello\n"
    assert kubectl("exec", "-i", "pg-1", "--", "wc", "-c", stdin="x" * 100_000).strip() == "100000"
    assert "exit code 42" in kubectl("exec", "pg-1", "--", "sh", "-c", "exit 42", code=42)


def test_auth_can_i_answers_for_every_role(kubectl: Any, lab: Lab) -> None:
    assert kubectl("auth", "can-i", "delete", "pods") == "yes\n"
    assert kubectl("auth", "can-i", "get", "pods", "--subresource=exec", context="view", code=1) == "no\n"
    assert kubectl("auth", "can-i", "create", "pods", "--subresource=exec", context="backup") == "yes\n"
    assert kubectl("auth", "can-i", "list", "pods", "-n", "default", context="repair", code=1) == "no\n"
    listed = kubectl("auth", "can-i", "--list", context="view")
    assert "clusters.postgresql.cnpg.io" in listed
    assert "hasteward-backup" in kubectl("auth", "whoami", context="backup")
    assert "lab-certificate" in kubectl("auth", "whoami", context="certificate")
    assert kubectl("get", "pods", "-o", "name", context="certificate").count("pod/") >= 3


def test_a_forbidden_call_names_what_is_missing(kubectl: Any) -> None:
    told = kubectl("get", "secrets", context="view", code=1)
    assert told == (
        'Error from server (Forbidden): secrets is forbidden: User "system:serviceaccount:db:hasteward-view" '
        'cannot list resource "secrets" in API group "" in the namespace "db"\n'
    )
    told = kubectl("exec", "pg-1", "--", "true", context="view", code=1)
    assert "forbidden" in told.lower()


def test_tokens_are_made_and_die_with_their_account(kubectl: Any, lab: Lab, space: str) -> None:
    kubectl("create", "serviceaccount", "robot", "-n", space)
    kubectl(
        "create", "role", "reader", "-n", space, "--verb=get", "--resource=configmaps", "--resource-name=one"
    )
    kubectl(
        "create", "rolebinding", "reader", "-n", space, "--role=reader", f"--serviceaccount={space}:robot"
    )
    for name in ("one", "two"):
        kubectl("create", "configmap", name, "-n", space, "--from-literal=k=v")
    token = kubectl("create", "token", "robot", "-n", space).strip()
    read = ("get", "cm", "-n", space, "-o", "name", f"--token={token}", "--user=")
    config = ("--kubeconfig", "/dev/null", "--server", f"https://127.0.0.1:{lab.state.load_config().port}")
    authority = ("--certificate-authority", str(lab.state.ca))
    assert kubectl(*config, *authority, *read, "one") == "configmap/one\n"
    assert "forbidden" in kubectl(*config, *authority, *read, "two", code=1)
    kubectl("delete", "serviceaccount", "robot", "-n", space)
    assert "Unauthorized" in kubectl(*config, *authority, *read, "one", code=1)


def test_explain_knows_kinds_and_custom_fields(kubectl: Any) -> None:
    assert "KIND:       Pod" in kubectl("explain", "pods")
    assert "namespace" in kubectl("explain", "pod.metadata")
    told = kubectl("explain", "cluster.spec", "--api-version=postgresql.cnpg.io/v1")
    assert "Number of instances" in told


def test_a_definition_is_served_validated_defaulted_and_pruned(kubectl: Any, space: str) -> None:
    spec = {
        "type": "object",
        "required": ["size"],
        "properties": {
            "size": {"type": "integer", "minimum": 1, "description": "How large."},
            "colour": {"type": "string", "default": "green", "enum": ["green", "blue"]},
        },
    }
    group = f"{space}.example.org"
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
        "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
    }
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"boxes.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "boxes", "singular": "box", "kind": "Box", "shortNames": ["bx"]},
            "versions": [version],
        },
    }
    kubectl("apply", "-f", "-", stdin=definition)
    kubectl("wait", "--for=condition=Established", f"crd/boxes.{group}", "--timeout=10s")
    box = {"apiVersion": f"{group}/v1", "kind": "Box", "metadata": {"name": "b"}, "spec": {"size": 3}}
    here = ("apply", "-n", space, "-f", "-")
    assert kubectl(*here, stdin=box) == f"box.{group}/b created\n"
    assert kubectl("get", "-n", space, f"boxes.{group}").split() == ["NAME", "SIZE", "b", "3"]
    assert (
        kubectl("get", "-n", space, f"boxes.{group}/b", "-o", "jsonpath={.spec}")
        == '{"colour":"green","size":3}'
    )
    wrong = kubectl(*here, stdin=box | {"spec": {"size": 0}}, code=1)
    assert "spec.size in body should be greater than or equal to 1" in wrong
    wrong = kubectl(*here, stdin=box | {"spec": {"size": 1, "shape": "x"}}, code=1)
    assert 'unknown field "spec.shape"' in wrong
    kubectl(*here, "--validate=false", stdin=box | {"spec": {"size": 1, "shape": "x"}})
    assert "shape" not in kubectl("get", "-n", space, f"boxes.{group}/b", "-o", "jsonpath={.spec}")
    assert "How large." in kubectl("explain", "box.spec", f"--api-version={group}/v1")
    kubectl("delete", f"crd/boxes.{group}")
    assert "the server doesn't have a resource type" in kubectl("get", f"boxes.{group}", "-n", space, code=1)


def test_a_namespace_takes_all_that_is_in_it_along(kubectl: Any) -> None:
    kubectl("create", "namespace", "brief")
    kubectl("apply", "-n", "brief", "-f", "-", stdin=sleeper("x"))
    assert kubectl("get", "ns/brief").splitlines()[1].split()[:2] == ["brief", "Active"]
    kubectl("delete", "namespace", "brief", "--timeout=30s")
    assert "not found" in kubectl("get", "pod/x", "-n", "brief", code=1)
