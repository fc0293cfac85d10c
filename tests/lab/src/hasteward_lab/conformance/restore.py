"""Restores on real servers: what was saved comes back on every member, or the old data stay as they are."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pytest

from hasteward.domain.capability import Capability
from hasteward.domain.errors import ExitCode
from hasteward_lab import canaries
from hasteward_lab.conformance.base import Conformance
from hasteward_lab.conformance.commandline import Hasteward
from hasteward_lab.conformance.ledger import Ledger
from hasteward_lab.conformance.picture import nothing_of_ours, writes
from hasteward_lab.conformance.saving import WORDY, Saving, left_in_pods, secrets_of, watched
from hasteward_lab.conformance.site import Site

_SEED = 20261126


@dataclass(frozen=True, slots=True)
class Journey:
    """What became of a restore after an accident, while clients wrote and every process was watched."""

    spoilt: Mapping[str, Any]
    restored: Mapping[str, Any]
    answer: dict[str, Any]
    lost: dict[str, list[int]]
    watch: canaries.Watch
    #: objects of the API as they were afterwards, but the Secrets
    objects: list[Any]
    #: every call of the API, those of the backup too
    audit: list[dict[str, Any]]


class RestoreConformance(Conformance):
    """The command `restore`."""

    @pytest.fixture(scope="class")
    @classmethod
    def journey(cls, site: Site, saving: Saving) -> Journey:
        """Of what was saved. Made once; its tests look at what came of it."""
        cls().offers(Capability.DUMP, Capability.RESTORE)
        site.damage()
        site.settle()
        spoilt = site.content()
        report = str(saving.hasteward.folder / "report-of-the-restore")
        command = ("restore", *site.where, *site.part, "--snapshot", saving.id, "--yes")
        # where a restore brings everything back, it brings back what clients wrote to as well
        ledger = Ledger(site) if site.part else nullcontext()
        with watched(site) as watch, ledger as writer:
            answer = saving.hasteward.answer(*command, *WORDY, "--report", report)
        site.settle()
        objects = [row for row in site.lab.objects().values() if row["kind"] != "Secret"]
        made = Journey(
            spoilt=spoilt,
            restored=site.content(),
            answer=answer,
            lost=writer.lost() if writer else {},
            watch=watch,
            objects=objects,
            audit=site.lab.audit(),
        )
        site.tidy()
        return made

    def test_what_was_backed_up_comes_back_on_every_member(self, saving: Saving, journey: Journey) -> None:
        """By content, which was something else in between."""
        assert saving.content != journey.spoilt
        assert journey.restored == saving.content
        members = list(journey.restored.values())
        assert [each for each in members if each != members[0]] == []
        assert journey.answer["data"]["restored"]

    def test_a_restore_of_a_part_loses_no_commit_beside_it(self, site: Site, journey: Journey) -> None:
        """Clients write to the rest all the while."""
        if not site.part:
            pytest.skip("a restore brings back all there is: nothing lies beside it")
        assert journey.lost == {}

    def test_no_secret_shows_in_a_process_a_file_an_object_or_a_word(
        self, site: Site, saving: Saving, journey: Journey
    ) -> None:
        """Of the database or of the repository, here or in the pods, in backup and restore."""
        secrets, folder = secrets_of(site), saving.hasteward.folder
        assert "restic" in saving.watch.programs & journey.watch.programs, "it was not blind"
        assert saving.watch.hits | journey.watch.hits == set()
        said = json.dumps([saving.answer, journey.answer])
        assert canaries.in_text(secrets, said, "what was said") == []
        kept = json.dumps([journey.objects, journey.audit])
        assert canaries.in_text(secrets, kept, "what the API has kept") == []
        assert canaries.in_files(secrets, folder, [folder / "password"]) == []
        assert left_in_pods(site) - saving.before == set()

    def test_after_a_restore_nothing_runs_on_and_nothing_of_ours_is_left(
        self, site: Site, saving: Saving, journey: Journey
    ) -> None:
        """But the Lease, and what it says it has kept."""
        assert journey.answer["errors"] == []
        saving.hasteward.leaves_nothing_running(site.lab)
        nothing_of_ours(site.lab)

    @pytest.mark.long
    def test_a_restore_that_nobody_agreed_to_or_that_is_dry_changes_nothing(
        self, site: Site, saving: Saving
    ) -> None:
        """It says what it would give up, and that it needs a yes."""
        self.offers(Capability.DUMP, Capability.RESTORE)
        before = site.content()
        site.lab.clear_audit()

        dry = saving.hasteward.answer("restore", *site.where, *site.part, "--dry-run")
        saving.hasteward.answer("restore", *site.where, *site.part, status=ExitCode.REFUSED)

        assert dry["data"]["dryRun"] is True
        assert writes(site.lab, site.context) == []
        assert site.content() == before

    @pytest.mark.long
    def test_a_restore_is_taken_back(self, site: Site, hasteward: Hasteward) -> None:
        """What was live before it is live again."""
        engine = self.offers(Capability.DUMP, Capability.RESTORE)
        if engine.puts_back is None:
            pytest.skip(f"{engine.info.name} does not take restores back")
        saved = site.content()
        hasteward.json("backup", *site.where)
        site.damage()
        site.settle()
        spoilt = site.content()
        hasteward.json("restore", *site.where, *site.part, "--yes")
        site.settle()
        assert site.content() == saved

        hasteward.json("undo", *site.where, "--yes")

        site.settle()
        assert site.content() == spoilt
        hasteward.json("restore", *site.where, *site.part, "--yes")
        site.settle()
        assert site.content() == saved

    @pytest.mark.long
    def test_restores_that_are_killed_leave_the_old_or_the_new_and_the_next_one_ends_it(
        self, site: Site, hasteward: Hasteward
    ) -> None:
        """SIGKILL at moments that the dice choose, `kills` times."""
        self.offers(Capability.DUMP, Capability.RESTORE)
        command = ("restore", *site.where, *site.part, "--yes")
        saved = site.content()
        hasteward.json("backup", *site.where)
        site.damage()
        site.settle()
        spoilt = site.content()
        begun = time.monotonic()
        hasteward.json(*command)
        whole = time.monotonic() - begun
        site.settle()
        dice = random.Random(_SEED)  # noqa: S311  moments, not secrets
        for _ in range(self.kills):
            site.damage()
            site.settle()
            assert site.content() == spoilt
            hasteward.killed(*command, after=dice.uniform(0.3, 1.0) * whole)
            hasteward.leaves_nothing_running(site.lab)
            if not site.one_act:
                hasteward.json(*command)
            site.settle()
            assert site.content() in ((saved, spoilt) if site.one_act else (saved,))
        hasteward.json(*command)
        site.settle()
        site.tidy()
        assert site.content() == saved
        nothing_of_ours(site.lab)
