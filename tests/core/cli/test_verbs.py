from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hasteward.domain.capability import Capability
from hasteward.domain.report import Remediation
from hasteward.domain.snapshot import Snapshot, SnapshotTags
from hasteward.ports.kubernetes import ApiUnavailable

ANSI = re.compile(r"\x1b\[")


def backed_up(cli: Any, there: tuple[str, ...], *more: str) -> str:
    snapshot: str = cli("backup", *there, *more, "--output", "json").data["snapshot"]
    return snapshot


def test_backup_says_what_exists_now_and_how_to_get_it_back(cli: Any, there: tuple[str, ...]) -> None:
    done = cli("backup", *there)

    assert done.code == 0
    assert not ANSI.search(done.out + done.err)
    snapshot = next(one for one in cli.repository.listed if one.tags.type == "backup")
    assert snapshot.short_id in done.out
    assert "db/box/toy.txt" in done.out
    assert "11.7 KiB" in done.out
    assert f"hasteward restore -e toy -c box -n db --snapshot {snapshot.short_id}" in done.out
    assert "Plan: dump the toy" in done.err
    assert "warning: the toy is worn" in done.err
    assert "repository: ffffffffff at " in done.err, "the word is not said twice"
    assert "11.7 KiB: 1 section, each proven" in done.out


def test_the_answer_alone_is_on_standard_output(cli: Any, there: tuple[str, ...]) -> None:
    done = cli("backup", *there)

    assert "Plan" not in done.out
    assert "warning" not in done.out
    assert "repository:" not in done.out


def test_backup_data(cli: Any, there: tuple[str, ...], dump_bytes: bytes) -> None:
    data = cli("backup", *there, "--output", "json").data

    assert data["cluster"] == {"engine": "toy", "namespace": "db", "name": "box"}
    assert data["path"] == "db/box/toy.txt"
    assert data["size"] == len(dump_bytes)
    assert data["sections"] == 1
    assert data["dryRun"] is False
    assert data["plan"]["steps"] == [{"text": "read it", "reversal": "read-only"}]


def test_backup_of_one_member_is_a_diverged_capture(cli: Any, there: tuple[str, ...]) -> None:
    data = cli("backup", *there, "-i", "2", "--output", "json").data

    assert (data["type"], data["path"]) == ("diverged", "db/box/2-toy.txt")
    assert cli.toy.options[0].instance == 2


@pytest.mark.parametrize("verb", ["backup", "restore"])
def test_a_dry_run_prints_the_plan_and_changes_nothing(verb: str, cli: Any, there: tuple[str, ...]) -> None:
    backed_up(cli, there)
    before = list(cli.repository.listed)
    writes = list(cli.kubernetes.writes)

    done = cli(verb, *there, "--dry-run")

    assert done.code == 0
    assert "Plan: " in done.out
    assert "nothing was changed" in done.out
    assert "Plan" not in done.err
    assert cli.repository.listed == before
    assert cli.kubernetes.writes == writes


def test_a_dry_run_has_its_plan_in_json_too(cli: Any, there: tuple[str, ...]) -> None:
    """L78."""
    done = cli("backup", *there, "--dry-run", "--output", "json")

    assert done.data["dryRun"] is True
    assert done.data["plan"]["title"] == "dump the toy"
    assert done.data["plan"]["notes"] == ["it is small"]
    assert "Plan" not in done.err


def test_restore_needs_a_yes_for_what_it_gives_up(cli: Any, there: tuple[str, ...]) -> None:
    backed_up(cli, there)
    cli.toy.gives_up = ("what is live in box (2 toys)",)

    done = cli("restore", *there, "--output", "json")

    assert done.code == 21
    assert done.envelope["errors"][0]["code"] == "gate.yes"
    error = done.envelope["errors"][0]
    assert (
        error["message"] == "this restore takes what is live in box out of service and nobody agreed to that"
    )
    assert error["hint"] == "add --yes"
    assert "takes out of service: what is live in box (2 toys)" in done.err


@pytest.mark.parametrize("way", ["--yes", "-y", "HASTEWARD_YES"])
def test_every_yes_counts(
    way: str, cli: Any, there: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    backed_up(cli, there)
    if way.startswith("-"):
        done = cli("restore", *there, way)
    else:
        monkeypatch.setenv(way, "1")
        done = cli("restore", *there)

    assert done.code == 0, done.err
    assert "live now: box" in done.out
    assert "kept:     box_old" in done.out


def test_restore_needs_no_yes_when_nothing_is_given_up(cli: Any, there: tuple[str, ...]) -> None:
    backed_up(cli, there)
    cli.toy.gives_up = ()

    assert cli("restore", *there).code == 0


def test_restore_passes_its_options_on(cli: Any, there: tuple[str, ...]) -> None:
    snapshot = backed_up(cli, there, "-i", "3")

    argv = (
        "--snapshot",
        snapshot,
        "-i",
        "3",
        "--database",
        "a",
        "--database",
        "b",
        "--no-keep-old",
        "-f",
        "-y",
    )
    done = cli("restore", *there, *argv)

    assert done.code == 0, done.err
    options = cli.toy.options[-1]
    assert (options.instance, options.databases) == (3, ("a", "b"))
    assert (options.keep_old, options.force) == (False, True)


def test_deadlines_reach_the_engine(cli: Any, there: tuple[str, ...]) -> None:
    cli("backup", *there, "--stall-timeout", "12.5")

    assert cli.toy.tuning == [12.5]


def test_flags_may_stand_before_the_verb(cli: Any, there: tuple[str, ...]) -> None:
    """L36."""
    assert cli(*there, "--dry-run", "backup").out.startswith("Plan: ")
    assert cli(*there, "-n", "wrong", "backup", "-n", "db", "--output", "json").data["path"].startswith("db/")


def test_triage_shows_verdict_members_and_findings(cli: Any, where: tuple[str, ...]) -> None:
    cli.toy.healthy = False

    done = cli("triage", *where)

    lines = done.out.splitlines()
    assert lines[0] == "db/box (toy): not healthy; the newest data is proven"
    assert lines[1] == "  because one member holds all"
    assert "MEMBER  ROLE     HEALTH  EVIDENCE" in lines
    assert "box-1   primary  down    it answers" in lines
    assert "                         not known: its disk" in lines
    assert "critical box-1: the toy is down [toy.down]" in lines
    assert "  - no answer" in lines
    assert "  next: wind it up" in lines
    assert "  - it answers" not in lines, "the table has said it"


def test_triage_names_the_rights_it_lacks_once_and_goes_on(cli: Any, where: tuple[str, ...]) -> None:
    cli.kubernetes.denied = {("get", "boxes"), ("update", "leases")}

    done = cli("triage", *where, "--output", "json")

    assert done.code == 0
    (warning,) = done.envelope["warnings"]
    assert warning["code"] == "permission.missing"
    assert "in namespace db: get boxes.toys.example.com; " in warning["message"], "triage takes no Lease"


def test_triage_data(cli: Any, where: tuple[str, ...]) -> None:
    done = cli("triage", *where, "--output", "json")

    assert done.data["healthy"] is True
    assert done.data["authorityReason"] == "one member holds all"
    assert done.data["members"][0]["missing"] == ["its disk"]


def test_triage_needs_no_repository(
    cli: Any, where: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RESTIC_PASSWORD")

    assert cli("triage", *where).code == 0
    assert cli.secrets == []


def foreign(name: str) -> Snapshot:
    tags = SnapshotTags(engine="other", cluster="old", namespace="attic", type="backup")
    return Snapshot(name * 64, datetime(2020, 1, 1, tzinfo=UTC), "attic/old/x.sql", tags, "t", None)


def test_get_backups_lists_without_engine_or_cluster(
    cli: Any, there: tuple[str, ...], store: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    backed_up(cli, there)
    cli.repository.listed.append(foreign("e"))

    done = cli("get", "backups", *store)

    header, newest, oldest = done.out.splitlines()
    assert header.split() == ["ID", "TIME", "TYPE", "NAMESPACE", "CLUSTER", "ENGINE", "SIZE", "PROOF"]
    assert newest.split()[-3:] == ["11.7", "KiB", "proven"]
    assert oldest.split()[-2:] == ["?", "unproven"]
    assert oldest.split()[1:4] == ["2020-01-01", "00:00:00", "UTC"]
    assert cli.connected == 1, "listing needs no API"


@pytest.mark.parametrize(
    ("flags", "count"),
    [
        ((), 3),
        (("-t", "backup"), 2),
        (("-t", "diverged"), 1),
        (("-t", "all"), 3),
        (("-n", "attic"), 1),
        (("-n", "db"), 2),
        (("-c", "box"), 2),
        (("-e", "other"), 1),
        (("-A",), 3),
        (("-n", "elsewhere"), 0),
    ],
)
def test_get_backups_filters(
    flags: tuple[str, ...], count: int, cli: Any, there: tuple[str, ...], store: tuple[str, ...]
) -> None:
    backed_up(cli, there)
    backed_up(cli, there, "-i", "1")
    cli.repository.listed.append(foreign("e"))

    assert len(cli("get", "backups", *store, *flags, "--output", "json").data["backups"]) == count


def test_all_namespaces_overrides_the_environment_but_not_a_flag(
    cli: Any, store: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.repository.listed.append(foreign("e"))
    monkeypatch.setenv("HASTEWARD_NAMESPACE", "db")

    assert cli("get", "backups", *store, "--output", "json").data["backups"] == []
    assert len(cli("get", "backups", *store, "-A", "--output", "json").data["backups"]) == 1
    assert cli("get", "backups", *store, "-A", "-n", "db").code == 3


def test_get_backups_tells_of_which_member_a_capture_is_and_of_what_kind(
    cli: Any, there: tuple[str, ...], store: tuple[str, ...]
) -> None:
    cli("backup", *there, "-i", "2")

    assert "diverged 2-toy.txt" in cli("get", "backups", *store).out


def test_get_backups_says_when_there_is_none(cli: Any, store: tuple[str, ...]) -> None:
    assert cli("get", "backups", *store).out == "No snapshot matches.\n"


def test_init_creates_once(cli: Any, store: tuple[str, ...]) -> None:
    cli.repository.exists = False

    planned = cli("init", *store, "--dry-run")
    assert planned.code == 0
    assert "Plan: create a repository" in planned.out
    assert cli.repository.exists is False

    done = cli("init", *store)
    assert done.code == 0
    assert "f" * 64 in done.out
    assert cli("init", *store).code == 3
    assert cli("init", *store, "--dry-run").code == 3


def test_engines_lists_what_each_can_do(cli: Any) -> None:
    cli.entries.append(type(cli.entries[0])("sick", cli.entries[0].group, ImportError("no module")))

    cli.toy.lacks = (Capability.PLAN, Capability.HEAL)

    done = cli("engines")

    assert done.code == 0
    assert re.search(r"^toy +yes +no +no +yes +yes +yes +yes +a toy$", done.out, re.MULTILINE)
    assert "toy: no plan, heal: not written yet" in done.out
    assert "broken sick (sick_module): ImportError: no module" in done.out


def test_doctor_names_what_is_wrong(cli: Any, store: tuple[str, ...], tmp_path: Path) -> None:
    restic = tmp_path / "bin" / "restic"
    restic.parent.mkdir()
    restic.write_text('#!/bin/sh\necho \'{"message_type":"version","version":"0.19.0"}\'\n')
    restic.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(restic.parent), prepend=":")

        done = cli("doctor", *store, "-n", "db", "--output", "json")
        assert done.code == 0, done.out
        states = {check["name"]: check["state"] for check in done.data["checks"]}
        assert states == dict.fromkeys(
            ("system", "python", "restic", "repository", "kubernetes", "rights", "engines"), "ok"
        )

        cli.kubernetes.denied = {("create", "pods/exec")}
        done = cli("doctor", "-n", "db")
        assert done.code == 4
        assert "toy: missing in namespace db: create pods/exec" in done.out

        cli.server = "v1.29.9"
        done = cli("doctor")
        assert "1.30 or newer is needed" in done.out
        skipped = "repository (none is configured), rights (they are given per namespace)"
        assert done.out.splitlines()[-1] == f"1 problem found; not checked: {skipped}."


def test_doctor_survives_an_api_that_is_away(cli: Any) -> None:
    def away(_call: str) -> None:
        raise ApiUnavailable("nobody answers", hint="is it up?")

    cli.kubernetes.on_call = away
    done = cli("doctor")

    assert done.code == 4
    assert "nobody answers" in done.out
    assert "next: is it up?" in done.out
    assert "rights (the API server could not be asked)." in done.out.splitlines()[-1]


def test_version(cli: Any) -> None:
    assert cli("version").out.startswith("hasteward 0.")
    assert cli("--version").out.startswith("hasteward 0.")
    assert set(cli("version", "--output", "json").data) == {"version", "python", "system"}


def test_repair_heals_what_is_broken_and_says_how_it_is_now(cli: Any, there: tuple[str, ...]) -> None:
    cli.toy.healthy = False

    planned = cli("repair", *there, "--dry-run")
    assert planned.code == 0
    assert "1. wind box-1 up" in planned.out + planned.err
    assert not cli.toy.healthy

    done = cli("repair", *there)
    assert done.code == 0
    assert "Healed box-1 by restart" in done.out
    assert "db/box (toy): healthy" in done.out

    again = cli("repair", *there)
    assert again.code == 0
    assert "Nothing to repair." in again.out


@pytest.mark.parametrize("remediation", [Remediation.NONE, Remediation.WAIT])
def test_a_repair_that_treats_nobody_of_a_cluster_that_is_not_well_says_what_is_wrong_and_what_helps(
    cli: Any, there: tuple[str, ...], remediation: Remediation
) -> None:
    cli.toy.healthy, cli.toy.remediation = False, remediation

    done = cli("repair", *there)

    assert done.code == 20
    assert "it has run down" in done.out
    assert "Nothing that a repair would treat now." in done.out
    assert "next: wind it up" in done.out


def test_a_repair_that_fails_is_taken_back_and_undo_has_nothing_left(
    cli: Any, there: tuple[str, ...]
) -> None:
    cli.toy.healthy = False

    cli.toy.key_breaks = True

    done = cli("repair", *there)
    assert done.code == 1
    assert "the key broke" in done.err

    undone = cli("undo", *there[:6])
    assert undone.code == 0
    assert "there is nothing to take back" in undone.out


def test_repair_without_escrow_needs_no_repository(cli: Any, there: tuple[str, ...]) -> None:
    cli.toy.healthy = False

    done = cli("repair", *there[:6], "--no-escrow")

    assert done.code == 0
    assert "Healed box-1 by restart" in done.out


def test_a_member_that_is_not_there_is_bad_input_and_names_the_next_command(
    cli: Any, there: tuple[str, ...]
) -> None:
    done = cli("repair", *there, "-i", "9", "--output", "json")
    assert done.code == 3
    assert done.envelope["errors"][0]["code"] == "gate.unknown_member"
    assert done.envelope["errors"][0]["hint"].startswith("hasteward triage")


def test_a_native_backup_needs_no_repository_and_tells_what_the_operator_has_made(
    cli: Any, where: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RESTIC_PASSWORD")

    done = cli("backup", *where, "-m", "native")
    data = cli("backup", *where, "-m", "native", "--output", "json").data

    assert done.code == 0
    assert "Backup box-1970 is completed, says its operator; nothing of it was proven" in done.out
    assert "the upper one" in done.out
    assert data["native"] == {
        "name": "box-1970",
        "method": "shelf",
        "started": "2026-01-02T03:04:05Z",
        "stopped": "2026-01-02T03:05:05Z",
        "details": {"shelf": "the upper one"},
    }
    assert (data["member"], data["snapshot"], data["size"]) == ("box-1", "", 0)
    assert cli.secrets == []
    assert cli.repository.listed == []


def test_a_native_backup_keeps_the_lease_and_a_dry_run_of_it_nothing(
    cli: Any, where: tuple[str, ...]
) -> None:
    dry = cli("backup", *where, "-m", "native", "--dry-run")
    assert cli.kubernetes.writes == []
    cli("backup", *where, "-m", "native")

    assert (dry.code, "Dry run: nothing was changed." in dry.out) == (0, True)
    assert cli.kubernetes.writes[0] == "create leases hasteward-toy-box"
