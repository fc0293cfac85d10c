"""The role in the how-to grants what core and the engine declare that they need, and no more."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from hasteward.cli.preflight import missing_rights, rights
from hasteward.domain.capability import Capability, Right
from hasteward.ports.kubernetes import Resource
from hasteward.testing.kubernetes import FakeKubernetes, Result
from hasteward_cnpg.plugin import plugin
from hasteward_cnpg.resources import CLUSTERS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "run-without-cluster-admin.md"


class Bound(FakeKubernetes):
    """An API server that lets us do what a role says, and nothing else."""

    def __init__(self, role: dict[str, Any]) -> None:
        super().__init__(program=lambda _pod, _argv, _stdin: Result())
        self.namespace = role["metadata"]["namespace"]
        self.rules = role["rules"]

    def may(
        self, verb: str, resource: Resource, namespace: str, subresource: str = "", *, name: str = ""
    ) -> bool:
        assert not name, "the role grants no object by its name"
        wanted = f"{resource.plural}/{subresource}" if subresource else resource.plural
        return namespace == self.namespace and any(
            resource.group in rule["apiGroups"] and wanted in rule["resources"] and verb in rule["verbs"]
            for rule in self.rules
        )


@pytest.fixture
def role() -> dict[str, Any]:
    block = re.search(r"^```yaml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert block is not None
    found: dict[str, Any] = yaml.safe_load(block[1])
    return found


NEEDED = rights(
    plugin.info(),
    Capability.TRIAGE,
    Capability.DUMP,
    Capability.RESTORE,
    Capability.NATIVE,
    Capability.EXTRACT,
)
#: only to name the clusters that there are when the one that was asked for is not; a run does without
TO_HELP = Right("list", CLUSTERS.group, CLUSTERS.plural)


def granted(role: dict[str, Any]) -> set[Right]:
    return {
        Right(verb, group, *resource.split("/"))
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_the_role_of_the_page_is_what_is_needed(role: dict[str, Any]) -> None:
    assert granted(role) == {*NEEDED, TO_HELP}
    assert missing_rights(Bound(role), role["metadata"]["namespace"], NEEDED) == []


def test_the_role_for_repairs_is_what_a_repair_and_all_else_needs() -> None:
    shipped = yaml.safe_load((ROOT / "deploy" / "rbac" / "repair.yaml").read_text(encoding="utf-8"))
    needed = rights(plugin.info(), *Capability)

    assert granted(shipped) == {*needed, TO_HELP}


def test_a_role_without_exec_is_not_enough(role: dict[str, Any]) -> None:
    role["rules"] = [rule for rule in role["rules"] if "pods/exec" not in rule["resources"]]

    assert missing_rights(Bound(role), "db", NEEDED) == ["get pods/exec", "create pods/exec"]
