"""A helper pod: it says why it cannot run, and it is gone afterwards, whatever happened."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import DependencyError, RunFailed
from hasteward.kit.helperpod import (
    Helper,
    Mount,
    Scratch,
    SecretMount,
    end_helper,
    helper_pod,
    left_helpers,
    manifest,
    start_helper,
)
from hasteward.ports.context import EngineContext, Run
from hasteward.ports.kubernetes import PODS, PodRef, Resource
from hasteward.streams.wrapper import READ_MARK
from hasteward.testing.clock import VirtualClock
from hasteward.testing.kubernetes import FakeKubernetes, Result
from hasteward.testing.reporter import Approval, RecordingReporter

HELPER = Helper(
    name="hasteward-box-2-abc",
    image="box:1",
    mounts=(Mount("box-2", "/data"),),
    node="node-2",
    user=26,
    group=26,
    account="box",
    pull_secrets=("registry",),
    tolerations=({"key": "dedicated", "operator": "Exists"},),
)


class Kubelet(VirtualClock):
    """Moves the pod on whenever somebody waits."""

    def __init__(self, api: FakeKubernetes, *statuses: dict[str, Any]) -> None:
        super().__init__()
        self._api = api
        self._statuses = list(statuses)

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        body = self._api.objects.get((PODS.title, "db", HELPER.name))
        if body is not None and self._statuses:
            body["status"] = self._statuses.pop(0)


def world(*statuses: dict[str, Any]) -> tuple[FakeKubernetes, EngineContext]:
    api = FakeKubernetes(lambda _pod, _argv, _stdin: Result())
    context = EngineContext(
        kubernetes=api,
        clock=Kubelet(api, *statuses),
        reporter=RecordingReporter(),
        run=Run("0123", datetime(2026, 1, 2, tzinfo=UTC)),
        approve=Approval(),
    )
    return api, context


def test_it_runs_for_the_block_and_is_gone_afterwards() -> None:
    api, context = world({"phase": "Pending"}, {"phase": "Running"})

    with helper_pod(context, "db", HELPER) as pod:
        assert pod == PodRef("db", "hasteward-box-2-abc", "helper")
        body = api.get(PODS, "db", HELPER.name)

    assert api.objects == {}
    spec = body["spec"]
    assert spec["volumes"][0]["persistentVolumeClaim"] == {"claimName": "box-2", "readOnly": True}
    assert spec["containers"][0]["volumeMounts"] == [{"name": "v0", "mountPath": "/data", "readOnly": True}]
    assert spec["activeDeadlineSeconds"] == 600
    assert spec["automountServiceAccountToken"] is False
    assert spec["nodeSelector"] == {"kubernetes.io/hostname": "node-2"}
    assert spec["serviceAccountName"] == "box"
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert spec["tolerations"] == [{"key": "dedicated", "operator": "Exists"}]


def test_l65_meshes_are_asked_to_leave_it_alone_and_it_carries_no_label_of_the_database() -> None:
    api, context = world({"phase": "Running"})

    with helper_pod(context, "db", HELPER):
        metadata = api.get(PODS, "db", HELPER.name)["metadata"]

    assert metadata["labels"] == {
        "app.kubernetes.io/managed-by": "hasteward",
        "sidecar.istio.io/inject": "false",
    }
    assert metadata["annotations"]["sidecar.istio.io/inject"] == "false"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (
            {
                "phase": "Pending",
                "conditions": [
                    {"type": "PodScheduled", "reason": "Unschedulable", "message": "0/3 nodes: too many pods"}
                ],
            },
            "0/3 nodes: too many pods",
        ),
        (
            {
                "phase": "Pending",
                "containerStatuses": [
                    {"state": {"waiting": {"reason": "ErrImagePull", "message": "denied"}}}
                ],
            },
            "ErrImagePull: denied",
        ),
        ({"phase": "Failed", "message": "evicted"}, "evicted"),
        ({"phase": "Succeeded"}, "it is Succeeded"),
    ],
)
def test_l66_what_waiting_does_not_cure_is_said_at_once(status: dict[str, Any], words: str) -> None:
    api, context = world({"phase": "Pending"}, status)

    with pytest.raises(RunFailed) as error, helper_pod(context, "db", HELPER):
        raise AssertionError("it does not run")

    assert error.value.message.endswith(words)
    assert context.clock.monotonic() < 5
    assert api.objects == {}


def test_one_that_stays_pending_is_given_up_after_the_time_that_the_user_set() -> None:
    """L67."""
    api, context = world()

    with pytest.raises(RunFailed) as error, helper_pod(context, "db", HELPER):
        raise AssertionError("it does not run")

    assert error.value.code == "helper.slow"
    assert 300 <= context.clock.monotonic() < 302
    assert api.objects == {}


def test_a_helper_that_cannot_be_deleted_ends_by_its_deadline_and_that_is_said() -> None:
    api, context = world({"phase": "Running"})

    def refuse(name: str) -> None:
        if name == "delete pods":
            raise DependencyError("the API is away")

    with helper_pod(context, "db", HELPER):
        api.on_call = refuse

    assert isinstance(context.reporter, RecordingReporter)
    assert context.reporter.warnings() == ["helper.left"]


def test_one_that_somebody_else_deleted_is_gone() -> None:
    api, context = world({"phase": "Running"})

    with helper_pod(context, "db", HELPER):
        api.objects.clear()

    assert isinstance(context.reporter, RecordingReporter)
    assert context.reporter.warnings() == []


def test_one_that_works_mounts_what_it_was_given_and_secrets_that_only_it_reads() -> None:
    body = manifest(
        "db",
        replace(
            HELPER,
            mounts=(Mount("box-2", "/data", read_only=False),),
            secrets=(SecretMount("box-keys", "/keys", ("tls.key",)),),
            labels={"box/cluster": "b"},
        ),
        "0123",
    )

    assert body["spec"]["volumes"] == [
        {"name": "v0", "persistentVolumeClaim": {"claimName": "box-2", "readOnly": False}},
        {
            "name": "s0",
            "secret": {
                "secretName": "box-keys",
                "items": [{"key": "tls.key", "path": "tls.key"}],
                "defaultMode": 0o400,
            },
        },
    ]
    assert body["spec"]["containers"][0]["volumeMounts"] == [
        {"name": "v0", "mountPath": "/data", "readOnly": False},
        {"name": "s0", "mountPath": "/keys", "readOnly": True},
    ]
    assert body["spec"]["securityContext"] == {"fsGroup": 26, "fsGroupChangePolicy": "OnRootMismatch"}
    assert body["metadata"]["labels"]["box/cluster"] == "b"


def test_one_that_is_left_to_an_act_is_made_again_when_it_has_ended_and_stays_when_it_runs() -> None:
    api, context = world({"phase": "Running"}, {"phase": "Failed"}, {"phase": "Running"})
    body = manifest("db", HELPER, "0123")

    start_helper(context, "db", body)
    start_helper(context, "db", body)
    context.clock.sleep(1)
    assert start_helper(context, "db", body) == PodRef("db", HELPER.name, "helper")

    made = [f"create pods {HELPER.name}", f"delete pods {HELPER.name}", f"create pods {HELPER.name}"]
    assert api.writes == made
    end_helper(context, "db", HELPER.name)
    end_helper(context, "db", HELPER.name)
    assert api.objects == {}


class Held(FakeKubernetes):
    """A finalizer holds every pod."""

    def delete(self, resource: Resource, namespace: str, name: str) -> None:
        self.on_call(f"delete {resource.plural} {namespace} {name}")


def test_one_that_does_not_go_is_named() -> None:
    _, context = world({"phase": "Running"})
    api = Held(lambda _pod, _argv, _stdin: Result())
    context = replace(context, kubernetes=api, clock=Kubelet(api, {"phase": "Running"}))
    start_helper(context, "db", manifest("db", HELPER, "0123"))

    with pytest.raises(RunFailed) as error:
        end_helper(context, "db", HELPER.name)

    assert (error.value.code, HELPER.name in error.value.hint) == ("helper.left", True)


def test_those_of_other_runs_on_the_same_cluster_are_found() -> None:
    api, context = world()
    mine, other = ClusterRef("toy", "db", "box"), ClusterRef("toy", "db", "boxes")
    for name, cluster, run in (("dead", mine, "9999"), ("own", mine, "0123"), ("else", other, "9999")):
        api.add(PODS, manifest("db", replace(HELPER, name=name, cluster=cluster), run))

    assert left_helpers(context, mine) == ["dead"]


@pytest.mark.parametrize(("phase", "found"), [("Running", []), ("Pending", []), ("Failed", ["dead"])])
def test_one_that_holds_no_claim_is_left_until_it_has_ended(phase: str, found: list[str]) -> None:
    """It may be somebody's at work, who needs no Lease to read a capture."""
    api, context = world()
    mine = ClusterRef("toy", "db", "box")
    scratch = replace(HELPER, name="dead", cluster=mine, mounts=(), scratch=(Scratch("/scratch", 1),))
    api.add(PODS, manifest("db", scratch, "9999") | {"status": {"phase": phase}})

    assert left_helpers(context, mine) == found


def idle_command(interval: str) -> list[str]:
    (container,) = manifest("db", replace(HELPER, idle=600), "9999")["spec"]["containers"]
    *command, seconds = container["command"]
    assert seconds == "60"
    return [*command, interval]


def test_the_pod_of_a_dead_run_ends_when_no_stream_of_ours_is_in_it() -> None:
    """A pod shows only its own processes, so this one has a PID namespace of its own."""
    scene = """sh -c 'sleep 1; echo the stream' "$MARK-0:9999:x" & "$@"; echo the pod"""
    alone = ["bwrap", "--dev-bind", "/", "/", "--unshare-pid", "--proc", "/proc", "--die-with-parent"]

    done = subprocess.run(
        [*alone, "sh", "-c", scene, "sh", *idle_command("0.01")],
        env=dict(os.environ) | {"MARK": READ_MARK},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert done.stdout.splitlines() == ["the stream", "the pod"]
