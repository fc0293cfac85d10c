"""Triage against every broken Galera cluster of the lab: it may not know, and never says what is not so."""

from __future__ import annotations

from importlib import resources
from typing import Any

import pytest

from hasteward_lab.conformance import triaged
from hasteward_lab.lab import Lab
from hasteward_lab.scenarios import load, run

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]

_FOLDER = resources.files("hasteward_lab.scenarios").joinpath("data", "galera")
NAMES = sorted(one.name.removesuffix(".yaml") for one in _FOLDER.iterdir()) if _FOLDER.is_dir() else []
#: the truth counts what a member has in its memory, or what it gets while it is looked at
FURTHER: dict[str, set[str]] = {"galera-flow-control-stall": {"db-1", "db-2"}}
#: where the truth cannot be read from what is left, and "undeterminable" is the right answer
UNKNOWABLE = {
    "galera-zero-uuid": "servers that start under the zero UUID never compared what they hold",
    "galera-frozen": "who hangs cannot be asked, and its server holds the files",
}
WRITES = {"create", "update", "patch", "delete", "deletecollection"}


def stopped(lab: Lab, name: str) -> bool:
    """Whether nobody but us could write on a member's volume meanwhile."""
    return not lab.chaos.server(name)["there"]


def untouched(lab: Lab, names: list[str]) -> dict[str, Any]:
    """A plain triage; it writes to no object, and not a byte on a volume whose server does not run."""
    idle = [name for name in names if stopped(lab, name)]
    before = {name: lab.chaos.digests(name) for name in idle}
    lab.clear_audit()
    found = triaged(lab, "galera")
    asked = [row for row in lab.audit() if not row["user"].startswith("system:")]
    written = [row for row in asked if row["verb"] in WRITES and row["subresource"] != "exec"]
    assert [row for row in written if not row["resource"].startswith("selfsubject")] == []
    assert asked
    for name in idle:
        if stopped(lab, name):
            assert lab.chaos.digests(name) == before[name]
    return found


def verify(name: str) -> None:
    scenario = load.scenario(name)
    with run.start(scenario, None, keep=False, say=lambda _message: None) as lab:
        run.reach(lab, scenario)
        plain, deep = untouched(lab, list(scenario.expect.members)), triaged(lab, "galera", "--deep")
    truth = scenario.expect.authority
    assert plain["authority"] in {truth, "undeterminable"}, plain["authorityReason"]
    if name in UNKNOWABLE and deep["authority"] == "undeterminable":
        assert deep["newest"] == []
        return
    assert deep["authority"] == truth, deep["authorityReason"]
    assert set(deep["newest"]) <= set(scenario.expect.newest) | FURTHER.get(name, set())
    assert deep["newest"] or not scenario.expect.newest
    assert deep["details"]["startFrom"] in {None, *scenario.expect.newest}
    for member in deep["members"]:
        # what holds the newest data is never overwritten by what triage proposes
        if member["member"] in scenario.expect.newest:
            assert member["remediation"] in {"none", "wait", "restart"}, member


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_triage_says_what_is_so(name: str) -> None:
    verify(name)
