"""Stock kubectl against the lab."""

from __future__ import annotations

import json

import pytest

from hasteward_lab.lab import Lab
from hasteward_lab.pytest_plugin import Kubectl

pytestmark = pytest.mark.servers


def test_get_pods_prints_the_columns_of_a_real_server(kubectl: Kubectl) -> None:
    lines = kubectl("get", "pods").stdout.splitlines()
    assert lines[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert [line.split()[:3] for line in lines[1:]] == [[f"pg-{n}", "1/1", "Running"] for n in (1, 2, 3)]


def test_a_pod_carries_what_the_operator_gives_it(kubectl: Kubectl, lab: Lab) -> None:
    pod = json.loads(kubectl("get", "pod", "pg-2", "-o", "json").stdout)
    assert pod["metadata"]["labels"]["cnpg.io/cluster"] == "pg"
    assert pod["metadata"]["labels"]["cnpg.io/podRole"] == "instance"
    assert pod["metadata"]["labels"]["cnpg.io/instanceRole"] == "replica"
    assert pod["metadata"]["ownerReferences"][0]["uid"] == lab.cluster_object()["metadata"]["uid"]
    assert pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == "pg-2"
    container = pod["status"]["containerStatuses"][0]
    assert container["name"] == "postgres"
    assert container["ready"] is True
    env = {row["name"]: row["value"] for row in pod["spec"]["containers"][0]["env"]}
    assert env["PGDATA"] == "/var/lib/postgresql/data/pgdata"
    assert env["PGHOST"] == "/controller/run"


def test_labels_and_fields_select(kubectl: Kubectl) -> None:
    names = kubectl("get", "pods", "-l", "cnpg.io/instanceRole=primary", "-o", "name").stdout.split()
    assert names == ["pod/pg-1"]
    names = kubectl("get", "pods", "-l", "cnpg.io/instanceRole notin (primary),role", "-o", "name").stdout
    assert names.split() == ["pod/pg-2", "pod/pg-3"]
    names = kubectl("get", "pods", "-A", "--field-selector", "metadata.name=pg-3", "-o", "name").stdout
    assert names.split() == ["pod/pg-3"]
    names = kubectl("get", "pods", "--field-selector", "status.phase!=Running", "-o", "name").stdout
    assert names.split() == []


def test_patches_of_each_kind(kubectl: Kubectl, lab: Lab) -> None:
    merge = '{"metadata":{"annotations":{"a":"1","b":"2"}}}'
    done = kubectl("patch", "cluster", "pg", "--type", "merge", "-p", merge)
    assert done.returncode == 0, done.stderr
    drop = '[{"op":"remove","path":"/metadata/annotations/a"}]'
    done = kubectl("patch", "cluster", "pg", "--type", "json", "-p", drop)
    assert done.returncode == 0, done.stderr
    assert lab.cluster_object()["metadata"]["annotations"] == {"b": "2"}
    done = kubectl("annotate", "cluster", "pg", "b-")
    assert done.returncode == 0, done.stderr
    assert not lab.cluster_object()["metadata"]["annotations"]
    strategic = '{"metadata":{"labels":{"x":"y"}}}'
    assert kubectl("patch", "pod", "pg-2", "-p", strategic).returncode == 0
    assert lab.pod("pg-2")["metadata"]["labels"]["x"] == "y"
    assert kubectl("label", "pod", "pg-2", "x-").returncode == 0
    assert "x" not in lab.pod("pg-2")["metadata"]["labels"]


def test_status_is_a_world_of_its_own(kubectl: Kubectl, lab: Lab) -> None:
    before = lab.cluster_object()
    kubectl("patch", "cluster", "pg", "--type", "merge", "-p", '{"status":{"phase":"nonsense"}}')
    assert lab.cluster_object()["status"]["phase"] == before["status"]["phase"]
    patch = '{"status":{"phaseReason":"told by a test"},"spec":{"instances":9}}'
    done = kubectl("patch", "cluster", "pg", "--subresource=status", "--type", "merge", "-p", patch)
    assert done.returncode == 0, done.stderr
    after = lab.cluster_object()
    assert after["status"]["phaseReason"] == "told by a test"
    assert after["spec"]["instances"] == 3
    assert after["metadata"]["generation"] == before["metadata"]["generation"]


def test_apply_create_and_delete(kubectl: Kubectl) -> None:
    manifest = json.dumps(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"k": "v"}}
    )
    assert kubectl("apply", "-f", "-", stdin=manifest).stdout == "configmap/c created\n"
    assert kubectl("apply", "-f", "-", stdin=manifest).stdout == "configmap/c unchanged\n"
    again = kubectl("create", "-f", "-", stdin=manifest)
    assert again.returncode == 1
    assert "(AlreadyExists)" in again.stderr
    assert kubectl("delete", "configmap", "c").stdout.startswith('configmap "c" deleted')
    missing = kubectl("get", "configmap", "c")
    assert missing.stderr == 'Error from server (NotFound): configmaps "c" not found\n'


def test_exec_tells_output_and_exit_code(kubectl: Kubectl) -> None:
    done = kubectl("exec", "pg-1", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.stdout, done.returncode) == ("out\n", 7)
    assert done.stderr == "err\ncommand terminated with exit code 7\n"
    assert kubectl("exec", "pg-1", "-c", "postgres", "--", "id", "-un").stdout == "postgres\n"


def test_exec_ends_the_input(kubectl: Kubectl) -> None:
    done = kubectl("exec", "-i", "pg-1", "--", "wc", "-c", stdin="x" * 300_000)
    assert (done.stdout.strip(), done.returncode) == ("300000", 0)


def test_exec_in_what_is_not_there(kubectl: Kubectl) -> None:
    assert '"nobody" not found' in kubectl("exec", "nobody", "--", "true").stderr
    assert "executable file not found in $PATH" in kubectl("exec", "pg-1", "--", "no-such-program").stderr
    wrong = kubectl("exec", "pg-1", "-c", "sidecar", "--", "true")
    assert "container sidecar is not valid for pod pg-1" in wrong.stderr


def test_logs(kubectl: Kubectl) -> None:
    text = kubectl("logs", "pg-1").stdout
    assert "database system is ready to accept connections" in text
    assert kubectl("logs", "pg-1", "--tail", "1").stdout == text.splitlines(keepends=True)[-1]
    assert "previous terminated container" in kubectl("logs", "pg-1", "--previous").stderr


def test_describe_and_forbidden(kubectl: Kubectl, faults: Lab) -> None:
    assert "Controlled By:  Cluster/pg" in kubectl("describe", "pod", "pg-1").stdout
    faults.add_fault("forbid", verb="delete", resource="pods")
    denied = kubectl("delete", "pod", "pg-3").stderr
    assert denied.startswith(
        'Error from server (Forbidden): pods "pg-3" is forbidden: User "lab-admin" cannot'
    )


def test_secrets_open_the_database(kubectl: Kubectl, lab: Lab) -> None:
    secret = json.loads(kubectl("get", "secret", "pg-app", "-o", "json").stdout)
    assert secret["type"] == "kubernetes.io/basic-auth"
    script = 'PGPASSWORD="$1" psql -h pg-rw -U app -d app -Atc "select current_user, inet_server_port()"'
    import base64

    password = base64.b64decode(secret["data"]["password"]).decode()
    done = lab.exec("pg-2", ["sh", "-c", script, "sh", password])
    assert done.stdout == b"app|5432\n", done.stderr
    assert lab.exec("pg-2", ["sh", "-c", script, "sh", "wrong"]).returncode == 2
