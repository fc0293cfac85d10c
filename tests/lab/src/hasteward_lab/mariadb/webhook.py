"""The operator's validating webhook: what it refuses, and what becomes of writes while it is down."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from hasteward_lab.api.errors import ApiError, cause, invalid
from hasteward_lab.kubelet.volumes import parse_size
from hasteward_lab.mariadb.kinds import MARIADBS
from hasteward_lab.state import LabError

Object = dict[str, Any]

_NAME = "vmariadb-v1alpha1.kb.io"
_IMMUTABLE = (("storage", "storageClassName"), ("database",), ("username",), ("timeZone",))
_ONCE = (
    ("rootPasswordSecretKeyRef",),
    ("rootEmptyPassword",),
    ("galera", "config"),
    ("storage", "ephemeral"),
    ("serviceAccountName",),
)


class Webhook:
    """Checks a MariaDB as a whole, at every create and update of it (its status and scale are others)."""

    def __init__(self) -> None:
        self.up = True

    def check(self, new: Object, old: Object | None) -> None:
        """ApiError when the write may not be."""
        if not self.up:
            raise ApiError(
                500,
                f'Internal error occurred: failed calling webhook "{_NAME}": failed to call webhook: Post '
                '"https://mariadb-operator-webhook.default.svc:443/validate-k8s-mariadb-com-v1alpha1-mariadb'
                '?timeout=10s": dial tcp 10.96.0.10:443: connect: connection refused',
            )
        causes = [*_even(new["spec"]), *_galera(new["spec"]), *_other(new["spec"])]
        if old is not None:
            causes += _changes(old["spec"], new["spec"])
        if causes:
            raise _denied(invalid(MARIADBS.kind, MARIADBS.group, new["metadata"]["name"], causes))


def _denied(error: ApiError) -> ApiError:
    error.message = f'admission webhook "{_NAME}" denied the request: {error.message}'
    return error


def _wrong(field: str, value: Any, text: str) -> Object:
    shown = f'"{value}"' if isinstance(value, str) else str(value).lower()
    return cause(f"spec.{field}", f"Invalid value: {shown}: {text}")


def _even(spec: Object) -> Iterator[Object]:
    galera = spec.get("galera", {}).get("enabled")
    if galera and int(spec.get("replicas", 1)) % 2 == 0 and not spec.get("replicasAllowEvenNumber"):
        text = "An odd number of MariaDB instances (mariadb.spec.replicas) is required to avoid split brain"
        yield _wrong(
            "replicas",
            spec.get("replicas"),
            f"{text} situations for Galera. Use 'mariadb.spec.replicasAllowEvenNumber: true' to disable this"
            " validation.",
        )


def _galera(spec: Object) -> Iterator[Object]:
    galera, replicas = spec.get("galera", {}), int(spec.get("replicas", 1))
    if not galera.get("enabled"):
        return
    if spec.get("replication", {}).get("enabled"):
        yield _wrong("replication", value=True, text="Only one high availability method can be enabled")
    if replicas <= 1:
        yield _wrong(
            "replicas", replicas, "Multiple replicas must be specified when 'spec.galera' is configured"
        )
    index = int(galera.get("primary", {}).get("podIndex", 0))
    if not 0 <= index < replicas:
        yield _wrong(
            "galera.primary.podIndex", index, "'spec.galera.primary.podIndex' out of 'spec.replicas' bounds"
        )
    recovery = galera.get("recovery", {})
    least = recovery.get("minClusterSize", 1)
    if isinstance(least, int) and least > replicas:
        yield _wrong(
            "galera.recovery.minClusterSize", least, "'minClusterSize' out of 'spec.replicas' bounds"
        )
    forced = recovery.get("forceClusterBootstrapInPod")
    if forced and recovery.get("enabled"):
        found = re.fullmatch(r".+-(\d+)", forced)
        if not found or int(found[1]) >= replicas:
            yield _wrong(
                "galera.recovery.forceClusterBootstrapInPod",
                forced,
                "'forceClusterBootstrapInPod' out of 'spec.replicas' bounds",
            )
    if "ist.recv_addr" in galera.get("providerOptions", {}):
        yield _wrong("galera.providerOptions", "ist.recv_addr", "provider option is managed by the operator")
    agent = galera.get("agent", {})
    if agent.get("kubernetesAuth", {}).get("enabled") and agent.get("basicAuth", {}).get("enabled"):
        yield _wrong("galera.agent", value=True, text="Only one authentication method must be enabled")


def _other(spec: Object) -> Iterator[Object]:
    if spec.get("rootEmptyPassword") and spec.get("rootPasswordSecretKeyRef"):
        text = "'spec.rootEmptyPassword' must be disabled when 'spec.rootPasswordSecretKeyRef' is specified"
        yield _wrong("rootEmptyPassword", value=True, text=text)
    if spec.get("galera", {}).get("enabled") and spec.get("storage", {}).get("ephemeral"):
        yield _wrong(
            "storage.ephemeral", value=True, text="Ephemeral storage is only compatible with non HA mode"
        )


def _changes(old: Object, new: Object) -> Iterator[Object]:
    sizes = [str(spec.get("storage", {}).get("size", "0")) for spec in (old, new)]
    try:
        if parse_size(sizes[1]) < parse_size(sizes[0]):
            yield _wrong("storage.size", sizes[1], "Storage size cannot be decreased")
    except LabError:
        yield _wrong("storage.size", sizes[1], "is no quantity")
    for path in (*_IMMUTABLE, *_ONCE):
        before, after = (_at(spec, path) for spec in (old, new))
        fixed = path in _IMMUTABLE or before is not None
        if fixed and before != after:
            name = ".".join(path)
            yield _wrong(name, str(after), f"'spec.{name}' field is immutable")


def _at(spec: Object, path: tuple[str, ...]) -> Any:
    found: Any = spec
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found
