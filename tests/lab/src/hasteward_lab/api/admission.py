"""What the server adds to an object that comes in, and what it refuses: defaults and validation."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from hasteward_lab.api.errors import cause, invalid
from hasteward_lab.api.resources import (
    CLAIMS,
    JOBS,
    PODS,
    ROLE_BINDINGS,
    SECRETS,
    SERVICES,
    STATEFUL_SETS,
    Resource,
)

Object = dict[str, Any]

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_SUBDOMAIN_SAID = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_POD_SAID = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
    "existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
    "previously negative)"
)
_SET_SAID = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_SET_FREE = {
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
}
_CLAIM_SAID = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound "
    "claims"
)
PROTECTION = "kubernetes.io/pvc-protection"


def defaulted(resource: Resource, item: Object) -> Object:
    """Fill in what the server fills in for this kind."""
    fill = _DEFAULTS.get(resource)
    if fill:
        fill(item)
    return item


def _pod(item: Object) -> None:
    _pod_spec(item.setdefault("spec", {}))


def _pod_spec(spec: Object) -> None:
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("schedulerName", "default-scheduler")
    spec.setdefault("securityContext", {})
    spec.setdefault("serviceAccountName", "default")
    for row in [*spec.get("containers", []), *spec.get("initContainers", [])]:
        row.setdefault("imagePullPolicy", "IfNotPresent")
        row.setdefault("terminationMessagePath", "/dev/termination-log")
        row.setdefault("terminationMessagePolicy", "File")
        row.setdefault("resources", {})
        for port in row.get("ports", []):
            port.setdefault("protocol", "TCP")


def _claim(item: Object) -> None:
    spec = item.setdefault("spec", {})
    spec.setdefault("storageClassName", "lab")
    spec.setdefault("volumeMode", "Filesystem")
    meta = item["metadata"]
    if PROTECTION not in meta.get("finalizers", []):
        meta["finalizers"] = [*meta.get("finalizers", []), PROTECTION]


def _service(item: Object) -> None:
    spec = item.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    for port in spec.get("ports", []):
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))


def _job(item: Object) -> None:
    spec = item.setdefault("spec", {})
    for name, value in (("parallelism", 1), ("completions", 1), ("backoffLimit", 6), ("suspend", False)):
        spec.setdefault(name, value)
    spec.setdefault("completionMode", "NonIndexed")
    _pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))


def _stateful_set(item: Object) -> None:
    spec = item.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    spec.setdefault("podManagementPolicy", "OrderedReady")
    spec.setdefault("updateStrategy", {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})
    spec.setdefault("revisionHistoryLimit", 10)
    _pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))


def _secret(item: Object) -> None:
    item.setdefault("type", "Opaque")


_DEFAULTS: dict[Resource, Callable[[Object], None]] = {
    PODS: _pod,
    CLAIMS: _claim,
    SERVICES: _service,
    JOBS: _job,
    STATEFUL_SETS: _stateful_set,
    SECRETS: _secret,
}


def check(resource: Resource, item: Object, old: Object | None) -> None:
    """Refuse what the server would refuse: 422 with its causes."""
    causes = [*_names(resource, item), *(_changes(resource, old, item) if old else _new(resource, item))]
    if causes:
        raise invalid(resource.kind, resource.group, item.get("metadata", {}).get("name", ""), causes)


def _names(resource: Resource, item: Object) -> list[Object]:
    name = item["metadata"].get("name", "")
    # RBAC names are path segments; all others here are subdomains.
    if not name or resource.group == "rbac.authorization.k8s.io":
        return []
    if not _SUBDOMAIN.fullmatch(name) or len(name) > 253:
        return [cause("metadata.name", f'Invalid value: "{name}": {_SUBDOMAIN_SAID}')]
    return []


def _required(field: str, text: str = "Required value") -> Object:
    return cause(field, text, "FieldValueRequired")


def _containers(spec: Object, path: str, more_volumes: tuple[str, ...] = ()) -> list[Object]:
    rows = spec.get("containers") or []
    if not rows:
        return [_required(f"{path}.containers")]
    causes = []
    for index, row in enumerate(rows):
        name = row.get("name", "")
        if not name:
            causes.append(_required(f"{path}.containers[{index}].name"))
        elif not _LABEL.fullmatch(name):
            causes.append(
                cause(
                    f"{path}.containers[{index}].name", f'Invalid value: "{name}": a lowercase RFC 1123 label'
                )
            )
        if not row.get("image"):
            causes.append(_required(f"{path}.containers[{index}].image"))
        known = {*more_volumes, *(volume["name"] for volume in spec.get("volumes") or [])}
        for place, mount in enumerate(row.get("volumeMounts", [])):
            if mount.get("name") not in known:
                field = f"{path}.containers[{index}].volumeMounts[{place}].name"
                causes.append(cause(field, f'Not found: "{mount.get("name")}"', "FieldValueNotFound"))
    return causes


def _new(resource: Resource, item: Object) -> list[Object]:
    spec = item.get("spec") or {}
    if resource == PODS:
        return _containers(spec, "spec")
    if resource in {JOBS, STATEFUL_SETS}:
        inner = spec.get("template", {}).get("spec", {})
        templates = spec.get("volumeClaimTemplates") or []
        claimed = tuple(template["metadata"]["name"] for template in templates)
        causes = _containers(inner, "spec.template.spec", claimed)
        if resource == JOBS and inner.get("restartPolicy") not in {"Never", "OnFailure"}:
            text = 'Required value: valid values: "OnFailure", "Never"'
            causes.append(_required("spec.template.spec.restartPolicy", text))
        if resource == STATEFUL_SETS and not spec.get("selector"):
            causes.append(_required("spec.selector"))
        return causes
    if resource == CLAIMS:
        causes = (
            []
            if spec.get("accessModes")
            else [_required("spec.accessModes", "Required value: at least 1 access mode is required")]
        )
        if not spec.get("resources", {}).get("requests", {}).get("storage"):
            causes.append(_required("spec.resources[storage]"))
        return causes
    return []


def _changes(resource: Resource, old: Object, new: Object) -> list[Object]:
    before, after = old.get("spec") or {}, new.get("spec") or {}
    if resource == PODS and _frozen_pod(before) != _frozen_pod(after):
        return [cause("spec", f"Forbidden: {_POD_SAID}", "FieldValueForbidden")]
    if resource == STATEFUL_SETS:
        fixed = [{k: v for k, v in spec.items() if k not in _SET_FREE} for spec in (before, after)]
        return (
            [cause("spec", f"Forbidden: {_SET_SAID}", "FieldValueForbidden")] if fixed[0] != fixed[1] else []
        )
    if resource == CLAIMS:
        return _claim_changes(old, before, after)
    if resource.plural in {ROLE_BINDINGS.plural, "clusterrolebindings"} and old["roleRef"] != new["roleRef"]:
        return [cause("roleRef", f"Invalid value: {new['roleRef']}: cannot change roleRef")]
    fixed = [{key: item.get(key) for key in ("data", "binaryData", "immutable")} for item in (old, new)]
    if old.get("immutable") and fixed[0] != fixed[1]:
        text = "Forbidden: field is immutable when `immutable` is set"
        return [cause("data", text, "FieldValueForbidden")]
    return []


def _frozen_pod(spec: Object) -> Object:
    free = {"activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "containers"}
    fixed = {key: value for key, value in spec.items() if key not in {*free, "initContainers"}}
    for name in ("containers", "initContainers"):
        rows = spec.get(name) or []
        fixed[name] = [{key: value for key, value in row.items() if key != "image"} for row in rows]
    return fixed


def _claim_changes(old: Object, before: Object, after: Object) -> list[Object]:
    fixed = [
        {k: v for k, v in spec.items() if k not in {"resources", "volumeName"}} for spec in (before, after)
    ]
    if fixed[0] != fixed[1]:
        return [cause("spec", f"Forbidden: {_CLAIM_SAID}", "FieldValueForbidden")]
    from hasteward_lab.kubelet.volumes import parse_size

    wanted = after.get("resources", {}).get("requests", {}).get("storage", "0")
    held = old.get("status", {}).get("capacity", {}).get("storage", "0")
    if parse_size(wanted) < parse_size(held):
        text = "Forbidden: field can not be less than status.capacity"
        return [cause("spec.resources.requests.storage", text, "FieldValueForbidden")]
    return []
