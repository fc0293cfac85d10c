"""A pod of ours on the volumes of a member whose server does not run: to look at its files, or to mend them.

It mounts read-only unless a mount says otherwise, carries no label that the database's own objects select
by, has no rights of its own and ends by itself after its deadline. `helper_pod` takes it away when its block
ends; `start_helper` leaves it to an act of a journal. A helper that finds no node says so at once instead of
waiting (L66); meshes are asked to leave it alone, because a sidecar would keep it running (L65).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError, RunFailed
from hasteward.domain.events import PhaseStarted, Warned
from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import PODS, ApiNotFound, Json, PodRef
from hasteward.streams.wrapper import READ_MARK, STREAM_MARK

_CONTAINER = "helper"
_POLL_SECONDS = 0.5
_TRIES = 5
_OURS = {"app.kubernetes.io/managed-by": "hasteward"}
_RUN = "hasteward.prplanit.com/run"
_OVER = frozenset({"Failed", "Succeeded"})
# $1 seconds between two looks: it ends when ten in a row see no stream of ours. POSIX sh and /proc only; the
# brackets keep the pattern from finding itself.
_OF_OURS = " ".join(f"-e '[{mark[0]}]{mark[1:]}-'" for mark in (STREAM_MARK, READ_MARK))
_WHILE_USED = f"""
i=0
while [ "$i" -lt 10 ]; do
  sleep "$1"
  if grep -qs {_OF_OURS} /proc/[0-9]*/cmdline; then i=0; else i=$((i + 1)); fi
done
"""
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
    """A volume claim and where it is mounted."""

    claim: str
    path: str
    read_only: bool = True


@dataclass(frozen=True, slots=True)
class SecretMount:
    """Files of a Secret, for the pod alone: we neither read nor need a right to it."""

    secret: str
    path: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scratch:
    """A directory of the pod's own, gone with it; the node must have `size` bytes free."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Helper:
    """What the pod is made of. `node` is where the volumes are attached already, "" if nowhere.

    `user` and `group` are those of the database, so that its files can be read; `seconds` is the pod's own
    deadline, after which Kubernetes ends it whatever became of us. `labels` are for network policies; they
    MUST NOT match a selector of the database's services. `cluster` is whom it looks at, so that a later run
    finds what a dead one left. `scratch` is where it may write. `idle` ends the pod sooner, when that long no
    stream of ours was in it: what a dead run left does not keep its room until the deadline.
    """

    name: str
    image: str
    mounts: tuple[Mount, ...]
    node: str = ""
    user: int = 0
    group: int = 0
    account: str = ""
    seconds: int = 600
    scratch: tuple[Scratch, ...] = ()
    #: what it is for, as one is told; "" where it is there to read its first mount
    purpose: str = ""
    pull_secrets: tuple[str, ...] = ()
    tolerations: tuple[Mapping[str, Any], ...] = field(default=())
    secrets: tuple[SecretMount, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    cluster: ClusterRef | None = None
    idle: int = 0


def _volumes(helper: Helper) -> tuple[list[Json], list[Json]]:
    """The pod's volumes, and where its container mounts them."""
    volumes: list[Json] = []
    mounts: list[Json] = []
    for number, mount in enumerate(helper.mounts):
        claim = {"claimName": mount.claim, "readOnly": mount.read_only}
        volumes.append({"name": f"v{number}", "persistentVolumeClaim": claim})
        mounts.append({"name": f"v{number}", "mountPath": mount.path, "readOnly": mount.read_only})
    for number, secret in enumerate(helper.secrets):
        items = [{"key": key, "path": key} for key in secret.keys]
        # a client refuses a private key that others may read
        source = {"secretName": secret.secret, "items": items, "defaultMode": 0o400}
        volumes.append({"name": f"s{number}", "secret": source})
        mounts.append({"name": f"s{number}", "mountPath": secret.path, "readOnly": True})
    for number, one in enumerate(helper.scratch):
        volumes.append({"name": f"e{number}", "emptyDir": {"sizeLimit": str(one.size)}})
        mounts.append({"name": f"e{number}", "mountPath": one.path})
    return volumes, mounts


def _command(helper: Helper) -> list[str]:
    if helper.idle:
        return ["sh", "-c", _WHILE_USED, "sh", str(max(1, helper.idle // 10))]
    return ["sleep", str(helper.seconds)]


def _container(helper: Helper, mounts: list[Json]) -> Json:
    container: Json = {
        "name": _CONTAINER,
        "image": helper.image,
        "command": _command(helper),
        "securityContext": {
            "runAsUser": helper.user,
            "runAsGroup": helper.group,
            "runAsNonRoot": helper.user != 0,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": mounts,
    }
    if helper.scratch:
        # room that is asked for: the scheduler finds a node that has it, or says that there is none
        room = {"ephemeral-storage": str(sum(one.size for one in helper.scratch))}
        container["resources"] = {"requests": room, "limits": room}
    return container


def manifest(namespace: str, helper: Helper, run: str) -> Json:
    """The pod as it is created; it holds no secret."""
    volumes, mounts = _volumes(helper)
    spec: Json = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": helper.seconds,
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "containers": [_container(helper, mounts)],
        "volumes": volumes,
    }
    if helper.secrets:
        # the files of a Secret are root's: the group lets the database's user read them
        spec["securityContext"] = {"fsGroup": helper.group, "fsGroupChangePolicy": "OnRootMismatch"}
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
            "labels": {
                **helper.labels,
                **(_marks(helper.cluster) if helper.cluster is not None else {}),
                **_OURS,
                "sidecar.istio.io/inject": "false",
            },
            "annotations": {
                "sidecar.istio.io/inject": "false",
                "linkerd.io/inject": "disabled",
                _RUN: run,
            },
        },
        "spec": spec,
    }


@contextlib.contextmanager
def helper_pod(context: EngineContext, namespace: str, helper: Helper) -> Iterator[PodRef]:
    """The running helper. Raises RunFailed with the scheduler's or kubelet's words when it cannot."""
    api = context.kubernetes
    doing = helper.purpose or f"reading the files of {helper.mounts[0].claim} by a helper pod"
    context.reporter.emit(PhaseStarted("triage", doing))
    try:
        api.create(PODS, namespace, manifest(namespace, helper, context.run.id))
        _await(context, namespace, helper.name)
        yield PodRef(namespace, helper.name, _CONTAINER)
    finally:
        _remove(context, namespace, helper.name)


def start_helper(context: EngineContext, namespace: str, body: Json) -> PodRef:
    """The running helper that `body` (of `manifest`) describes, made if it is not there or has ended.

    Nobody takes it away but `end_helper`, or its own deadline. Raises RunFailed when it cannot run.
    """
    name = str(body["metadata"]["name"])
    phase = _phase(context, namespace, name)
    if phase in _OVER:
        end_helper(context, namespace, name)
        phase = None
    if phase is None:
        context.kubernetes.create(PODS, namespace, body)
    _await(context, namespace, name)
    return PodRef(namespace, name, _CONTAINER)


def end_helper(context: EngineContext, namespace: str, name: str) -> None:
    """Take it away, and wait until it no longer holds its volumes. Raises RunFailed when it does not go."""
    deadline = context.clock.monotonic() + context.tuning.delete_seconds
    with contextlib.suppress(ApiNotFound):
        context.kubernetes.delete(PODS, namespace, name)
    while _phase(context, namespace, name) is not None:
        if context.clock.monotonic() >= deadline:
            raise RunFailed(
                f"the helper pod {name} does not go",
                hint=f"kubectl delete pod {name} -n {namespace}",
                code="helper.left",
            )
        context.clock.sleep(_POLL_SECONDS)


def is_helper(body: Mapping[str, Any]) -> bool:
    """Whether a pod is one of ours."""
    return _OURS.items() <= dict((body.get("metadata") or {}).get("labels") or {}).items()


def left_helpers(context: EngineContext, cluster: ClusterRef) -> list[str]:
    """Helpers that look at `cluster` and are not of this run. A dead run's stay, as ended pods, for good.

    One that runs and holds no claim is left: it stands in nobody's way and may be somebody's at work, who
    needs no Lease for that; when it is nobody's, it ends by itself.
    """
    selector = ",".join(f"{key}={value}" for key, value in (_OURS | _marks(cluster)).items())
    return [
        str(body["metadata"]["name"])
        for body in context.kubernetes.list(PODS, cluster.namespace, labels=selector)
        if (body["metadata"].get("annotations") or {}).get(_RUN) != context.run.id
        and (_holds_a_claim(body) or (body.get("status") or {}).get("phase") in _OVER)
    ]


def _holds_a_claim(body: Json) -> bool:
    return any("persistentVolumeClaim" in volume for volume in body["spec"].get("volumes") or ())


def _marks(cluster: ClusterRef) -> dict[str, str]:
    return {
        "hasteward.prplanit.com/engine": cluster.engine,
        "hasteward.prplanit.com/cluster": cluster.name,
    }


def _phase(context: EngineContext, namespace: str, name: str) -> str | None:
    """The pod's phase; None when it is proven not to be there."""
    try:
        pod = context.kubernetes.get(PODS, namespace, name)
    except ApiNotFound:
        return None
    return str((pod.get("status") or {}).get("phase") or "Pending")


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
    if status.get("phase") in _OVER:
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
