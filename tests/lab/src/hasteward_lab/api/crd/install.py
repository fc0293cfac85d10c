"""What becomes of a CustomResourceDefinition that comes in: checked, completed, established."""

from __future__ import annotations

from typing import Any

from hasteward_lab.api.errors import cause, invalid
from hasteward_lab.api.resources import DEFINITIONS, NAMED, Resource
from hasteward_lab.api.store import Store, now

Object = dict[str, Any]


def admit(item: Object, old: Object | None) -> Object:
    """Complete the names; refuse one that could not be served."""
    spec = item.get("spec") or {}
    names, causes = spec.setdefault("names", {}), []
    wanted = f"{names.get('plural')}.{spec.get('group')}"
    if item["metadata"].get("name") != wanted:
        told = f'Invalid value: "{item["metadata"].get("name")}": must be spec.names.plural+"."+spec.group'
        causes.append(cause("metadata.name", told))
    versions = spec.get("versions") or []
    if sum(bool(version.get("storage")) for version in versions) != 1:
        told = "Invalid value: must have exactly one version marked as storage version"
        causes.append(cause("spec.versions", told))
    for index, version in enumerate(versions):
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            where = f"spec.versions[{index}].schema.openAPIV3Schema"
            causes.append(cause(where, "Required value: schemas are required", "FieldValueRequired"))
    if spec.get("scope") not in {"Namespaced", "Cluster"}:
        causes.append(cause("spec.scope", "Required value", "FieldValueRequired"))
    if causes:
        kind = DEFINITIONS.kind
        raise invalid(kind, DEFINITIONS.group, item["metadata"].get("name", ""), causes)
    names.setdefault("singular", names["kind"].lower())
    names.setdefault("listKind", f"{names['kind']}List")
    spec.setdefault("conversion", {"strategy": "None"})
    if old and "status" in old:
        return {**item, "status": old["status"]}
    return item


def establish(store: Store, name: str) -> None:
    """Say that a definition is served."""

    def change(item: Object) -> None:
        spec = item["spec"]
        rows = (
            ("NamesAccepted", "NoConflicts", "no conflicts found"),
            ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        )
        item["status"] = {
            "acceptedNames": spec["names"],
            "storedVersions": [row["name"] for row in spec["versions"] if row.get("storage")],
            "conditions": [
                {
                    "type": kind,
                    "status": "True",
                    "reason": reason,
                    "message": message,
                    "lastTransitionTime": now(),
                }
                for kind, reason, message in rows
            ],
        }

    store.modify(DEFINITIONS, "", name, change)


_OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_COUNT = {"type": "integer", "minimum": 1, "default": 1}
_PHASE = (
    ("Age", "date", ".metadata.creationTimestamp"),
    ("Instances", "integer", ".status.instances"),
    ("Ready", "integer", ".status.readyInstances"),
    ("Status", "string", ".status.phase"),
    ("Primary", "string", ".status.currentPrimary"),
)
_BACKUP = (
    ("Age", "date", ".metadata.creationTimestamp"),
    ("Cluster", "string", ".spec.cluster.name"),
    ("Method", "string", ".spec.method"),
    ("Phase", "string", ".status.phase"),
    ("Error", "string", ".status.error"),
)
_SCHEDULED = (
    ("Age", "date", ".metadata.creationTimestamp"),
    ("Cluster", "string", ".spec.cluster.name"),
    ("Last Backup", "date", ".status.lastScheduleTime"),
)
_COLUMNS = {"Cluster": _PHASE, "Backup": _BACKUP, "ScheduledBackup": _SCHEDULED}
_CLUSTER_SPEC: Object = {
    **_OPEN,
    "required": ["instances"],
    "description": "Specification of the desired behavior of the cluster.",
    "properties": {
        "instances": {**_COUNT, "description": "Number of instances required in the cluster"},
        "imageName": {"type": "string", "description": "Name of the container image"},
        "primaryUpdateStrategy": {"type": "string", "enum": ["unsupervised", "supervised"]},
        "primaryUpdateMethod": {"type": "string", "enum": ["switchover", "restart"]},
        "enableSuperuserAccess": {"type": "boolean", "default": False},
        "logLevel": {
            "type": "string",
            "default": "info",
            "enum": ["error", "warning", "info", "debug", "trace"],
        },
        "stopDelay": {"type": "integer", "default": 1800},
        "switchoverDelay": {"type": "integer", "default": 3600},
        "storage": {**_OPEN, "description": "Configuration of the storage of the instances"},
    },
}


def definition(resource: Resource) -> Object:
    """The definition behind one of the operator's resources; open where the lab does not model it."""
    spec = _CLUSTER_SPEC if resource.kind == "Cluster" else {**_OPEN, "description": "Specification."}
    properties: Object = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": spec,
        "status": {**_OPEN, "description": "Most recently observed status."},
    }
    below: Object = {"status": {}}
    if "scale" in resource.subresources:
        below["scale"] = {
            "specReplicasPath": ".spec.instances",
            "statusReplicasPath": ".status.instances",
            "labelSelectorPath": ".status.selector",
        }
    version: Object = {
        "name": resource.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "required": ["spec"], "properties": properties}},
        "subresources": below,
    }
    if resource.kind in _COLUMNS:
        version["additionalPrinterColumns"] = [
            {"name": name, "type": kind, "jsonPath": path} for name, kind, path in _COLUMNS[resource.kind]
        ]
    names = {
        "plural": resource.plural,
        "singular": resource.singular,
        "kind": resource.kind,
        "listKind": f"{resource.kind}List",
    }
    return {
        "metadata": {"name": f"{resource.plural}.{resource.group}"},
        "spec": {
            "group": resource.group,
            "names": names,
            "scope": "Namespaced",
            "versions": [version],
            "conversion": {"strategy": "None"},
        },
    }


def install_named(store: Store) -> None:
    """Put the operator's definitions into a fresh store."""
    for resource in NAMED:
        made = store.create(DEFINITIONS, definition(resource))
        establish(store, made["metadata"]["name"])
