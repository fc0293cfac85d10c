"""The volume through which a pod reaches the API: its account's token, the authority, the namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.resources import ACCOUNTS
from hasteward_lab.api.store import generated

if TYPE_CHECKING:
    from hasteward_lab.api.store import Store

Object = dict[str, Any]

FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
AUTHORITY = "kube-root-ca.crt"


def mounted(store: Store, pod: Object) -> Object:
    """A new pod with the volume of its account, unless the pod or the account wants none; it is not changed.

    403 when the account is not there.
    """
    meta, spec = pod["metadata"], pod["spec"]
    name = spec.get("serviceAccountName") or "default"
    account = store.find(ACCOUNTS, meta["namespace"], name)
    if account is None and name != "default":
        address = f"{meta['namespace']}/{name}"
        told = f'error looking up service account {address}: serviceaccount "{name}" not found'
        raise ApiError(403, f'pods "{meta.get("name", "")}" is forbidden: {told}', details={"kind": "pods"})
    wishes = (spec.get("automountServiceAccountToken"), (account or {}).get("automountServiceAccountToken"))
    if next((wish for wish in wishes if wish is not None), True) is False:
        return pod
    volume = f"kube-api-access-{generated()}"
    mount = {"name": volume, "readOnly": True, "mountPath": FOLDER}
    rows = {
        kind: [_with(row, mount) for row in spec[kind]]
        for kind in ("containers", "initContainers")
        if kind in spec
    }
    volumes = [*(spec.get("volumes") or []), {"name": volume, "projected": _sources()}]
    return {**pod, "spec": {**spec, **rows, "volumes": volumes}}


def _with(row: Object, mount: Object) -> Object:
    there = row.get("volumeMounts") or []
    if any(each["mountPath"] == FOLDER for each in there):
        return row
    return {**row, "volumeMounts": [*there, mount]}


def _sources() -> Object:
    namespace = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    return {
        "defaultMode": 420,
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": AUTHORITY, "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": namespace}]}},
        ],
    }
