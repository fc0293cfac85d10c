"""`hasteward undo` of a restore: found by itself or by its run, agreed to, and said."""

from __future__ import annotations

from typing import Any

import pytest

from hasteward.domain.capability import Capability

CLUSTER = ("-e", "toy", "-n", "db", "-c", "box")
STORE = ("--backups-path", "/nowhere/store")


@pytest.fixture
def restored(cli: Any) -> str:
    """The run of a restore that has kept what it replaced."""
    for argv in (("backup", *CLUSTER, *STORE), ("restore", *CLUSTER, *STORE, "--yes")):
        assert cli(*argv).code == 0
    run: str = cli.toy.kept_by
    return run


def test_a_restore_names_the_command_that_takes_it_back(cli: Any, restored: str) -> None:
    there = (*CLUSTER, *STORE, "--context", "a place", "--yes")

    said = cli("restore", *there).out
    undo = f"hasteward undo {cli.toy.kept_by} -e toy -c box -n db --context 'a place'"
    assert f"Take it back: {undo}\n" in said

    assert cli("restore", *there, "--output", "json").data["undo"].endswith("--context 'a place'")
    assert cli("restore", *there, "--no-keep-old", "--output", "json").data["undo"] == ""


def test_the_last_restore_is_taken_back_when_no_repair_is_unfinished(cli: Any, restored: str) -> None:
    done = cli("undo", *CLUSTER, "--yes", "--output", "json")

    assert done.code == 0
    del done.data["plan"]
    assert {**done.data, "plan": None} == {
        "cluster": {"engine": "toy", "namespace": "db", "name": "box"},
        "run": restored,
        "undone": ["box is what it was before"],
        "kept": ["box_new"],
        "dryRun": False,
        "plan": None,
    }
    said = cli("undo", restored, *CLUSTER, "--yes").out
    assert f"Taken back: everything that run {restored} had done\n  box is what it was before\n" in said
    assert "  kept: box_new\n" in said


def test_it_needs_a_yes_and_a_dry_run_shows_the_plan(cli: Any, restored: str) -> None:
    refused = cli("undo", *CLUSTER, "--output", "json")
    assert (refused.code, refused.envelope["errors"][0]["code"]) == (21, "gate.yes")
    dry = cli("undo", *CLUSTER, "--dry-run")
    assert (dry.code, "Plan: swap the toy back" in dry.out) == (0, True)


def test_it_takes_the_lease_and_gives_it_back(cli: Any, restored: str) -> None:
    cli.kubernetes.writes.clear()
    cli("undo", *CLUSTER, "--yes")
    assert [what for what in cli.kubernetes.writes if "hasteward-toy-box" in str(what)]


def test_an_engine_that_only_restores_is_asked_too_and_has_no_triage_to_look_at(cli: Any) -> None:
    cli.toy.lacks = (Capability.TRIAGE, Capability.PLAN, Capability.HEAL)
    cli.toy.kept_by = "feed"

    done = cli("undo", *CLUSTER, "--yes")

    assert (done.code, "run feed" in done.out) == (0, True)
    assert "hasteward triage" not in done.out


def test_another_run_than_the_one_that_kept_something_has_nothing(cli: Any, restored: str) -> None:
    assert "there is nothing to take back" in cli("undo", "beef", *CLUSTER, "--yes").out
