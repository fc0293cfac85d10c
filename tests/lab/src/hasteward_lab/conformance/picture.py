"""Everything that can be seen of a lab from outside, so that two of them tell what was changed."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from hasteward_lab import kubeconfig
from hasteward_lab.lab import Lab

#: what a program may do that changes nothing: read, ask for its rights, and run a command in a pod
_READS = {"get", "list", "watch"}
_GONE_WITHIN = 10.0
_ASKS = {"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"}


@dataclass(frozen=True, slots=True)
class Picture:
    """Every object of the API by its resourceVersion, and every file on every claim by its digest."""

    objects: Mapping[str, str]
    files: Mapping[str, str]

    @classmethod
    def of(cls, lab: Lab) -> Self:
        """Now. Leases are left out: whoever leads renews his."""
        objects = {
            name: row["metadata"]["resourceVersion"]
            for name, row in lab.objects().items()
            if row["kind"] != "Lease"
        }
        return cls(objects, lab.chaos.digests())

    def changed(self, later: Picture) -> list[str]:
        """What is not the same in both."""
        return [*_differ(self.objects, later.objects), *_differ(self.files, later.files)]


def _differ(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def writes(lab: Lab, context: str) -> list[str]:
    """The calls since the audit log was cleared by which an account of the lab changed, or tried to."""
    user = kubeconfig.user(context, lab.namespace).name
    return [
        f"{row['verb']} {row['resource']}/{row['subresource']} {row['namespace']}/{row['name']}"
        for row in lab.audit()
        if row["user"] == user
        and row["verb"] not in _READS
        and row["subresource"] != "exec"
        and row["resource"] not in _ASKS
    ]


def execs(lab: Lab, context: str) -> int:
    """How many commands an account of the lab has run in pods since the audit log was cleared."""
    user = kubeconfig.user(context, lab.namespace).name
    return sum(row["user"] == user and row["subresource"] == "exec" for row in lab.audit())


def ours(lab: Lab) -> dict[str, Any]:
    """What hasteward has in a lab: objects of its name but the Lease, its annotations, files of its name."""
    found: dict[str, Any] = {}
    for name, row in lab.objects().items():
        meta = row["metadata"]
        if row["kind"] in {"Pod", "ConfigMap", "Job"} and "hasteward" in meta["name"]:
            found[name] = copy.deepcopy(row)
        words = meta.get("annotations", {}) | meta.get("labels", {})
        marked = {key: value for key, value in words.items() if "hasteward" in f"{key} {value}"}
        if marked and row["kind"] not in {"Secret", "ServiceAccount", "Lease"} | _ROLES:
            found[f"{name} metadata"] = marked
    return found | {path: "" for path in lab.chaos.digests() if "hasteward" in path}


def nothing_of_ours(lab: Lab) -> None:
    """Assert it, within ten seconds: a pod that was deleted takes its time to go."""
    deadline = time.monotonic() + _GONE_WITHIN
    while (found := ours(lab)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert found == {}


_ROLES = {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}
