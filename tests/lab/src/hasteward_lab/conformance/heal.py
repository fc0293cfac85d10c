"""Repairs on real servers: healed, nothing lost, and nothing of ours left."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from hasteward.domain.capability import Capability
from hasteward_lab.conformance.base import Conformance, Tools
from hasteward_lab.conformance.commandline import Hasteward
from hasteward_lab.conformance.ledger import Ledger
from hasteward_lab.conformance.picture import nothing_of_ours
from hasteward_lab.conformance.site import Repair, Site

_SEED = 20261127
_HEALS_WITHIN = "120"


class HealConformance(Conformance):
    """The command `repair`."""

    def each(self) -> list[tuple[str, Repair]]:
        """What can be healed; skips the test if the engine heals nothing."""
        self.offers(Capability.TRIAGE, Capability.PLAN, Capability.HEAL)
        assert self.repairs, "name at least one trouble that can be healed in `repairs`"
        return list(self.repairs.items())

    @pytest.mark.long
    def test_a_healthy_cluster_is_left_alone(self, site: Site, hasteward: Hasteward) -> None:
        """Nothing is treated, and nothing is changed."""
        self.each()

        answer = hasteward.answer("repair", *site.where, "--yes")

        assert answer["data"]["treated"] == []
        nothing_of_ours(site.lab)

    @pytest.mark.long
    def test_a_dry_run_of_a_repair_shows_what_is_treated_and_changes_nothing(
        self, site: Site, tools: Tools
    ) -> None:
        """Helper pods that only read may come and go."""
        for name, repair in self.each():
            with repair.broken(site) as sick:
                hasteward, marks = tools(sick), _marks(sick)
                answer = hasteward.answer("repair", *sick.where, "--dry-run", *repair.flags)
                assert answer["data"]["dryRun"] is True, name
                assert _marks(sick) == marks, name
                nothing_of_ours(sick.lab)
                assert hasteward.backups() == [], name
            site.settle()

    @pytest.mark.long
    def test_a_repair_heals_loses_no_commit_and_leaves_nothing(self, site: Site, tools: Tools) -> None:
        """Every member has afterwards what any had, and every write that was acknowledged meanwhile."""
        for name, repair in self.each():
            with repair.broken(site) as sick:
                hasteward, marks = tools(sick), _marks(sick)
                with Ledger(sick) as ledger:
                    answer = hasteward.answer(
                        "repair", *sick.where, "--yes", "--heal-timeout", _HEALS_WITHIN, *repair.flags
                    )
                assert answer["data"]["treated"], name
                _is_well(sick, hasteward, ledger, name)
                assert _marks(sick) == marks, name
            site.settle()

    @pytest.mark.long
    def test_a_repair_that_is_killed_is_ended_by_the_next_one(self, site: Site, tools: Tools) -> None:
        """SIGKILL at a moment that the dice choose, once for each of `repairs`."""
        dice = random.Random(_SEED)  # noqa: S311  moments, not secrets
        for name, repair in self.each():
            with repair.broken(site) as sick:
                hasteward, marks = tools(sick), _marks(sick)
                command = ("repair", *sick.where, "--yes", "--heal-timeout", _HEALS_WITHIN, *repair.flags)
                begun = time.monotonic()
                hasteward.json("repair", *sick.where, "--dry-run", *repair.flags)
                looking = time.monotonic() - begun
                with Ledger(sick) as ledger:
                    hasteward.killed(*command, after=looking * dice.uniform(0.9, 2.0))
                    hasteward.leaves_nothing_running(sick.lab)
                    hasteward.answer(*command)
                _is_well(sick, hasteward, ledger, name)
                assert _marks(sick) == marks, name
            site.settle()


def _is_well(site: Site, hasteward: Hasteward, ledger: Ledger, name: str) -> None:
    site.settle()
    assert hasteward.json("triage", *site.where)["healthy"], name
    members = list(site.content().values())
    assert all(each == members[0] for each in members), name
    assert ledger.lost() == {}, name
    nothing_of_ours(site.lab)


def _marks(site: Site) -> Any:
    """What others have written at the cluster and its members, which must be there afterwards as it was."""
    return {
        name: row["metadata"].get("annotations") or {}
        for name, row in site.lab.objects().items()
        if row["metadata"].get("namespace") == site.lab.namespace
        and row["kind"] in {site.lab.cluster_object()["kind"], "PersistentVolumeClaim"}
    }
