"""The role in the how-to grants what a run asks for before it begins."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from hasteward.cli.preflight import missing_rights
from hasteward.ports.kubernetes import Resource
from hasteward.testing.kubernetes import FakeKubernetes, Result

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "run-without-cluster-admin.md"


class Bound(FakeKubernetes):
    """An API server that lets us do what a role says, and nothing else."""

    def __init__(self, role: dict[str, Any]) -> None:
        super().__init__(program=lambda _pod, _argv, _stdin: Result())
        self.namespace = role["metadata"]["namespace"]
        self.rules = role["rules"]

    def may(self, verb: str, resource: Resource, namespace: str, subresource: str = "") -> bool:
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


def test_the_role_of_the_page_is_enough_for_the_first_questions(role: dict[str, Any]) -> None:
    assert missing_rights(Bound(role), role["metadata"]["namespace"]) == []


def test_a_role_without_exec_is_not_enough(role: dict[str, Any]) -> None:
    role["rules"] = [rule for rule in role["rules"] if "pods/exec" not in rule["resources"]]

    assert missing_rights(Bound(role), "db") == ["get pods/exec", "create pods/exec"]
