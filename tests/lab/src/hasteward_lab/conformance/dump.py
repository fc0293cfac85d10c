"""Backups on real servers: whole and proven, or not there."""

from __future__ import annotations

import random
from typing import Any

import pytest

from hasteward.domain.capability import Capability
from hasteward_lab.conformance.base import Conformance, ids, new, untrue
from hasteward_lab.conformance.commandline import Hasteward
from hasteward_lab.conformance.picture import execs, nothing_of_ours
from hasteward_lab.conformance.saving import Saving
from hasteward_lab.conformance.site import Site

_SEED = 20261125
#: where a stream is cut that carries much, in parts of the whole backup
_PART = 8
#: ways in which one command in a pod is lost, and after how many bytes
_LOSSES: tuple[dict[str, Any], ...] = (
    {"kind": "cut", "after": 0},
    {"kind": "cut", "after": 40},
    {"kind": "no-status"},
    {"kind": "false-success", "after": 10},
    {"kind": "flip", "after": 3},
    {"kind": "flip", "after": 700},
)


class DumpConformance(Conformance):
    """The command `backup`."""

    def test_a_backup_is_proven_and_clients_that_write_meanwhile_lose_nothing(
        self, site: Site, saving: Saving
    ) -> None:
        """And nothing of ours is left but the Lease."""
        assert [(entry["id"], entry["proven"]) for entry in saving.listed] == [(saving.id, True)]
        assert saving.answer["data"]["member"]
        assert saving.size > 0
        assert saving.acknowledged > 0
        assert saving.lost == {}
        nothing_of_ours(site.lab)

    def test_a_backup_that_is_cut_or_killed_is_not_there_and_blocks_nobody(
        self, site: Site, saving: Saving
    ) -> None:
        """Once every stream that carries much is reset in its middle, once the whole process is killed."""
        hasteward = saving.hasteward
        known = ids(hasteward)
        site.lab.add_fault("cut", after=max(saving.size // _PART, 1))
        try:
            cut = hasteward("backup", *site.where)
        finally:
            site.lab.clear_faults()
        hasteward.killed("backup", *site.where, after=0.6 * saving.seconds)

        hasteward.leaves_nothing_running(site.lab)
        assert cut.returncode not in {0, None}, "the fault met nothing"
        made = new(hasteward, known)
        assert len(made) <= 1, "only the one that was killed may have come to its end"
        assert untrue(hasteward, site.where, made) == []
        hasteward.json("backup", *site.where)
        assert len(new(hasteward, known)) == len(made) + 1

    @pytest.mark.long
    def test_a_backup_that_loses_any_command_is_whole_or_not_there(
        self, site: Site, hasteward: Hasteward
    ) -> None:
        """Each command that it runs in a pod is lost once, in a way that the dice choose."""
        self.offers(Capability.DUMP)
        site.lab.clear_audit()
        hasteward.json("backup", *site.where)
        count = execs(site.lab, site.context)
        assert count
        dice = random.Random(_SEED)  # noqa: S311  ways to fail, not secrets
        wrong: list[str] = []
        failed = 0
        for nth in range(1, count + 1):
            loss = dice.choice(_LOSSES)
            known = ids(hasteward)
            site.lab.add_fault(nth=nth, **loss)
            try:
                done = hasteward("backup", *site.where)
            finally:
                site.lab.clear_faults()
            made = new(hasteward, known)
            what = f"command {nth} of {count}, {loss}: "
            failed += done.returncode != 0
            if len(made) != (done.returncode == 0):
                wrong.append(f"{what}it ended with {done.returncode}, and there are {len(made)} new ones")
            wrong += [what + one for one in untrue(hasteward, site.where, made)]

        assert wrong == []
        assert failed, "no fault was felt"
        hasteward.leaves_nothing_running(site.lab)
        hasteward.json("backup", *site.where)

    @pytest.mark.long
    def test_backups_that_are_killed_at_any_moment_leave_no_lie(self, site: Site, saving: Saving) -> None:
        """SIGKILL when the dice say so, `kills` times; nothing of it runs on after ten seconds."""
        hasteward = saving.hasteward
        known = ids(hasteward)
        dice = random.Random(_SEED)  # noqa: S311  moments, not secrets
        for _ in range(self.kills):
            hasteward.killed("backup", *site.where, after=dice.uniform(0.2, 1.0) * saving.seconds)
            hasteward.leaves_nothing_running(site.lab)
            made = new(hasteward, known)
            assert len(made) <= 1
            assert untrue(hasteward, site.where, made) == []
            known |= {entry["id"] for entry in made}
        hasteward.json("backup", *site.where)
        assert len(new(hasteward, known)) == 1
