"""Finds the container and the password. Nothing is changed."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import InvalidInput, Refused
from hasteward.ports.context import EngineContext
from hasteward.ports.host import Place
from hasteward.ports.kubernetes import PODS, SECRETS, ApiNotFound, Json, PodRef
from hasteward_standalone.facts import Choice

_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
#: labels by which charts and people name what a pod belongs to
_LABELS = ("app.kubernetes.io/instance", "app.kubernetes.io/name", "app")


def place(context: EngineContext, cluster: ClusterRef, wanted: Choice) -> Place:
    """The host that ``--via`` leads to, or the one running pod that the cluster's name means."""
    if context.via is not None:
        if wanted.container:
            raise InvalidInput(
                "--container is about pods; with --via the prefix says where",
                hint="--via 'docker exec -i NAME'",
                code="option.invalid",
            )
        return context.via
    pods = context.kubernetes.list(PODS, cluster.namespace)
    named = [pod for pod in pods if pod["metadata"]["name"] in {cluster.name, f"{cluster.name}-0"}]
    labelled = [pod for pod in pods if _belongs(pod, cluster.name)]
    found = named or labelled
    if not found:
        raise InvalidInput(
            f"no pod in namespace {cluster.namespace} is called {cluster.name} or labelled so",
            hint=f"kubectl get pods -n {cluster.namespace} --show-labels   (-c takes a pod's name)",
            code="pod.unknown",
        )
    running = [pod for pod in found if _runs(pod)]
    if len(running) != 1:
        names = ", ".join(pod["metadata"]["name"] for pod in found)
        what = "none of them runs" if not running else f"{len(running)} of them run"
        raise Refused(
            f"{cluster.name} must mean one running pod; it means {names}, and {what}",
            hint="give a pod's name with -c",
            code="pod.not_one",
        )
    return _container(cluster, running[0], wanted.container)


def _belongs(pod: Json, name: str) -> bool:
    labels = pod["metadata"].get("labels") or {}
    return any(labels.get(label) == name for label in _LABELS)


def _runs(pod: Json) -> bool:
    return (pod.get("status") or {}).get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]


def _container(cluster: ClusterRef, pod: Json, wanted: str) -> PodRef:
    meta = pod["metadata"]
    names = [str(one["name"]) for one in pod["spec"]["containers"]]
    default = (meta.get("annotations") or {}).get(_DEFAULT_CONTAINER, "")
    chosen = wanted or default or (names[0] if len(names) == 1 else "")
    if chosen not in names:
        raise InvalidInput(
            f"pod {meta['name']} has the containers {', '.join(names)}"
            + (f" and no {chosen}" if chosen else ""),
            hint="give one with --container",
            code="container.unknown",
        )
    return PodRef(cluster.namespace, str(meta["name"]), chosen)


def password(context: EngineContext, cluster: ClusterRef, wanted: Choice) -> str:
    """The database password; "" when the local login is to be used."""
    if wanted.secret_file:
        try:
            return Path(wanted.secret_file).expanduser().read_text(encoding="utf-8").rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            raise InvalidInput(f"{wanted.secret_file} cannot be read: {why}", code="secret.file") from None
    if not wanted.secret_name:
        return ""
    if context.via is not None:
        raise InvalidInput(
            "--secret-name is about Kubernetes, which --via goes without",
            hint="--secret-file FILE",
            code="option.invalid",
        )
    return _from_secret(context, cluster, wanted)


def _from_secret(context: EngineContext, cluster: ClusterRef, wanted: Choice) -> str:
    try:
        secret = context.kubernetes.get(SECRETS, cluster.namespace, wanted.secret_name)
    except ApiNotFound as error:
        raise InvalidInput(error.message, hint="look at --secret-name", code="secret.unknown") from error
    data = secret.get("data") or {}
    if wanted.secret_key not in data:
        raise InvalidInput(
            f"secret {wanted.secret_name} has no key {wanted.secret_key}; it has {', '.join(sorted(data))}",
            hint="give one with --secret-key",
            code="secret.key",
        )
    try:
        return base64.b64decode(data[wanted.secret_key], validate=True).decode().rstrip("\n")
    except (binascii.Error, UnicodeDecodeError):
        message = f"key {wanted.secret_key} of secret {wanted.secret_name} is not text"
        raise InvalidInput(message, code="secret.key") from None
