"""Triage against every broken cluster of the lab: it may not know, and it may never say what is not so."""

from __future__ import annotations

import pytest

from hasteward_lab.conformance import triaged
from hasteward_lab.scenarios import load, run
from hasteward_lab.scenarios.model import Scenario

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

ALL = load.all_scenarios()
#: where the truth cannot be read from what is left, and "undeterminable" is the right answer
UNKNOWABLE = {
    "missing-history-file": "nothing tells any more where the timelines part",
    "frozen-primary": "the primary answers nobody, and its files are in use",
    "join-job-pending": "no node has room for the helper pod either",
    "replica-unschedulable": "no node has room for the helper pod either",
    "pgdata-group-access": "its container may be started while its files are read",
    "fenced-all": "pg_waldump can take a log file that was never written to for the measure of all",
}
#: members whose log holds what they have not replayed, or that came after the truth was written down
FURTHER = {"replay-paused": {"pg-3"}, "numbers-count-up": {"pg-4"}}


def verify(scenario: Scenario) -> None:
    with run.start(scenario, None, keep=False, say=lambda _message: None) as lab:
        run.reach(lab, scenario)
        plain, deep = triaged(lab, "cnpg"), triaged(lab, "cnpg", "--deep")
    truth = scenario.expect.authority
    assert plain["authority"] in {truth, "undeterminable"}, plain["authorityReason"]
    wanted = {truth, "undeterminable"} if scenario.name in UNKNOWABLE else {truth}
    assert deep["authority"] in wanted, deep["authorityReason"]
    if deep["authority"] != "undeterminable":
        assert set(deep["newest"]) <= set(scenario.expect.newest) | FURTHER.get(scenario.name, set())
        assert deep["newest"] or not scenario.expect.newest
    for member in deep["members"]:
        # W2: what streams is never healed, and what alone holds the newest data never overwritten
        expected = scenario.expect.members.get(member["member"])
        streams = expected is None or expected.streaming
        if streams and deep["authority"] == "provable":
            assert member["remediation"] in {"none", "wait"}, member
        if [member["member"]] == scenario.expect.newest:
            assert member["remediation"] not in {"rewind", "reseed"}, member


@pytest.mark.long
@pytest.mark.parametrize("scenario", ALL, ids=lambda each: each.name)
def test_triage_says_what_is_so(scenario: Scenario) -> None:
    verify(scenario)
