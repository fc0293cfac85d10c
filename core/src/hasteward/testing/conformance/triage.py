"""Triage: it changes nothing, and not knowing never becomes a fact."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial

import pytest

from hasteward.domain.capability import Capability
from hasteward.domain.errors import HastewardError, InvalidInput
from hasteward.domain.report import Authority, Health, TriageReport
from hasteward.testing.conformance.base import (
    HEALTHY,
    Attempt,
    Conformance,
    failed_calls,
    lost_streams,
)
from hasteward.testing.faults import away
from hasteward.testing.world import World


class TriageConformance(Conformance):
    """The hook `triage`."""

    def test_a_healthy_cluster_is_called_healthy(self) -> None:
        """Or every sweep below would be content with an engine that never says so."""
        engine = self.addressed(Capability.TRIAGE)
        world = self.world()

        report = world.triage(engine)

        assert report.cluster == world.cluster
        assert report.healthy, report

    def test_what_is_wrong_is_seen(self) -> None:
        """Each of `states` is one that must not be called healthy; there is at least one."""
        engine = self.addressed(Capability.TRIAGE)

        assert self.states, "name at least one sick state in `states`, and make it in world()"
        assert [state for state in self.states if self.world(state).triage(engine).healthy] == []

    def test_triage_changes_nothing(self) -> None:
        """No object, no data, nothing beside the data; not even a Lease."""
        engine = self.addressed(Capability.TRIAGE)
        for state in (HEALTHY, *self.states):
            world = self.world(state)
            before = world.picture()

            world.triage(engine)

            assert world.picture() == before, state
            assert world.kubernetes.writes == [], state

    def test_the_same_evidence_gives_the_same_report(self) -> None:
        """So that a script may compare two."""
        engine = self.addressed(Capability.TRIAGE)
        for state in (HEALTHY, *self.states):
            assert self.world(state).triage(engine) == self.world(state).triage(engine), state

    def test_a_cluster_that_does_not_exist_is_bad_input(self) -> None:
        """Not a dead one."""
        engine = self.addressed(Capability.TRIAGE)
        world = self.world()
        world.cluster = replace(world.cluster, name="there-is-no-such-cluster")

        with pytest.raises(InvalidInput):
            world.triage(engine)

    def test_with_nothing_to_read_nothing_is_healthy(self) -> None:
        """An API server that answers nothing proves nothing."""
        engine = self.addressed(Capability.TRIAGE)
        world = self.world()

        def silent(call: str) -> None:
            raise away(call)

        world.on_call = silent
        try:
            report = world.triage(engine)
        except HastewardError:
            return
        assert not report.healthy

    def test_no_read_that_fails_makes_the_verdict_bolder(self) -> None:
        """Every single read fails once, in every way: what is then said was also said with all evidence,
        or is that it cannot be determined.
        """
        engine = self.addressed(Capability.TRIAGE)
        wrong: list[str] = []
        for state in (HEALTHY, *self.states):
            full = self.world(state).triage(engine)
            make, act = partial(self.world, state), partial(World.triage, engine=engine)
            for each in itertools.chain(failed_calls(make, act), lost_streams(make, act)):
                wrong += [f"{state}, {each.fault}: {said}" for said in _bolder(each, full)]

        assert wrong == []


def _bolder(each: Attempt, full: TriageReport) -> list[str]:
    """What this report says that the one with all evidence does not."""
    if each.error is not None:
        return [each.wrong_end] if each.wrong_end else []
    report: TriageReport = each.result
    said = [
        f"{assessment.member} {assessment.health}"
        for assessment in report.assessments
        if assessment.health not in {Health.UNDETERMINABLE, _health(full, assessment.member)}
    ]
    if report.authority not in {Authority.UNDETERMINABLE, full.authority}:
        said.append(str(report.authority))
    if report.healthy and not full.healthy:
        said.append("healthy")
    if report.authority is full.authority and len(report.assessments) < len(full.assessments):
        said.append("a member is missing and the verdict stands")
    return said


def _health(report: TriageReport, member: str) -> Health | None:
    return next((each.health for each in report.assessments if each.member == member), None)
