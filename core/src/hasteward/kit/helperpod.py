"""A short-lived pod of ours on a volume of a member, for looking at files whose server does not run.

It mounts read-only, carries no label of the database, has no rights of its own, ends by itself after its
deadline, and goes when the block ends. A helper that finds no node says so at once instead of waiting (L66);
meshes are asked to leave it alone, because a sidecar would keep it running (L65).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hasteward.domain.errors import HastewardError, RunFailed
from hasteward.domain.events import PhaseStarted, Warned
from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import PODS, ApiNotFound, Json, PodRef

_CONTAINER = "helper"
_POLL_SECONDS = 0.5
_TRIES = 5
#: reasons of a waiting container that time does not cure
_HOPELESS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
    }
)


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume claim and where it is mounted, read-only."""

    claim: str
    path: str


@dataclass(frozen=True, slots=True)
class Helper:
    """What the pod is made of. `node` is where the volumes are attached already, "" if nowhere.

    `user` and `group` are those of the database, so that its files can be read; `seconds` is the pod's own
    deadline, after which Kubernetes ends it whatever became of us. `scratch` is where it may write, on a
    volume of its own that goes with it; "" for nowhere.
    """

    name: str
    image: str
    mounts: tuple[Mount, ...]
    node: str = ""
    user: int = 0
    group: int = 0
    account: str = ""
    seconds: int = 600
    pull_secrets: tuple[str, ...] = ()
    tolerations: tuple[Mapping[str, Any], ...] = field(default=())
    scratch: str = ""


def _manifest(namespace: str, helper: Helper, run: str) -> Json:
    security = {
        "runAsUser": helper.user,
        "runAsGroup": helper.group,
        "runAsNonRoot": helper.user != 0,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    spec: Json = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": helper.seconds,
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "containers": [
            {
                "name": _CONTAINER,
                "image": helper.image,
                "command": ["sleep", str(helper.seconds)],
                "securityContext": security,
                "volumeMounts": [
                    {"name": f"v{number}", "mountPath": mount.path, "readOnly": True}
                    for number, mount in enumerate(helper.mounts)
                ],
            }
        ],
        "volumes": [
            {"name": f"v{number}", "persistentVolumeClaim": {"claimName": mount.claim, "readOnly": True}}
            for number, mount in enumerate(helper.mounts)
        ],
    }
    if helper.scratch:
        spec["volumes"].append({"name": "scratch", "emptyDir": {}})
        spec["containers"][0]["volumeMounts"].append({"name": "scratch", "mountPath": helper.scratch})
    if helper.node:
        spec["nodeSelector"] = {"kubernetes.io/hostname": helper.node}
    if helper.account:
        spec["serviceAccountName"] = helper.account
    if helper.pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in helper.pull_secrets]
    if helper.tolerations:
        spec["tolerations"] = [dict(one) for one in helper.tolerations]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": helper.name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "hasteward", "sidecar.istio.io/inject": "false"},
            "annotations": {
                "sidecar.istio.io/inject": "false",
                "linkerd.io/inject": "disabled",
                "hasteward.prplanit.com/run": run,
            },
        },
        "spec": spec,
    }


@contextlib.contextmanager
def helper_pod(context: EngineContext, namespace: str, helper: Helper) -> Iterator[PodRef]:
    """The running helper. Raises RunFailed with the scheduler's or kubelet's words when it cannot."""
    api = context.kubernetes
    context.reporter.emit(
        PhaseStarted("triage", f"reading the files of {helper.mounts[0].claim} by a helper pod")
    )
    try:
        api.create(PODS, namespace, _manifest(namespace, helper, context.run.id))
        _await(context, namespace, helper.name)
        yield PodRef(namespace, helper.name, _CONTAINER)
    finally:
        _remove(context, namespace, helper.name)


def _await(context: EngineContext, namespace: str, name: str) -> None:
    deadline = context.clock.monotonic() + context.tuning.delete_seconds
    while True:
        pod = context.kubernetes.get(PODS, namespace, name)
        status = pod.get("status") or {}
        if status.get("phase") == "Running":
            return
        why = _hopeless(status)
        if why:
            raise RunFailed(f"the helper pod {name} cannot run: {why}", code="helper.failed")
        if context.clock.monotonic() >= deadline:
            text = f"the helper pod {name} was not running after {context.tuning.delete_seconds:.0f} s"
            raise RunFailed(text, hint="--delete-timeout gives it more time", code="helper.slow")
        context.clock.sleep(_POLL_SECONDS)


def _hopeless(status: Mapping[str, Any]) -> str:
    """Why waiting will not help; empty as long as it may."""
    if status.get("phase") in {"Failed", "Succeeded"}:
        return str(status.get("message") or status.get("reason") or f"it is {status['phase']}")
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return str(condition.get("message") or "it is unschedulable")
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in _HOPELESS:
            return f"{waiting['reason']}: {waiting.get('message') or 'no message'}"
    return ""


def _remove(context: EngineContext, namespace: str, name: str) -> None:
    """Take it away; if the API does not let us, its own deadline will."""
    for attempt in range(1, _TRIES + 1):
        try:
            context.kubernetes.delete(PODS, namespace, name)
        except ApiNotFound:
            return
        except HastewardError as error:
            if attempt == _TRIES:
                text = (
                    f"the helper pod {name} could not be deleted ({error.message}); it ends by its deadline"
                )
                context.reporter.emit(Warned("helper.left", text))
                return
            context.clock.sleep(_POLL_SECONDS * attempt)
        else:
            return
