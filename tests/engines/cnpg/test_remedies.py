"""The least that makes a member well, and why; incidents by their names. No server."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from cnpg_kit import CLUSTER
from evidence_kit import UP, cluster_of, primary_at

from hasteward.domain.reading import Absent, Known, Reading, Unread
from hasteward.domain.report import Assessment, Authority, Remediation
from hasteward_cnpg.analyse import LAG_BYTES, analyse
from hasteward_cnpg.diagnose import report
from hasteward_cnpg.evidence import (
    ClaimState,
    ClusterFacts,
    Comparison,
    ContainerState,
    ControlFacts,
    Evidence,
    FileFacts,
    Fork,
    Lsn,
    MemberEvidence,
    Position,
    Receiver,
    Slot,
    Tally,
    Trouble,
)
from hasteward_cnpg.facts.logs import troubles
from hasteward_cnpg.facts.names import ordinal_of, slot_name

LOOPING = replace(UP, container=ContainerState.WAITING, reason="CrashLoopBackOff", ready=False, restarts=5)
FACTS = cluster_of("pg-1", "pg-10")
FORK = Lsn(0x50)
PRIMARY = primary_at(Lsn(0x100), Fork(1, FORK))


def slot(name: str, restart: int | None, status: str = "reserved") -> Slot:
    return Slot(
        name,
        "physical",
        active=False,
        restart=Lsn(restart) if restart else None,
        database="",
        wal_status=status,
    )


def stopped(
    end: int, *, timeline: int = 2, mine: Reading[Tally] | None = None, alike: Reading[bool] | None = None
) -> MemberEvidence:
    """pg-10 is down, and its files were read."""
    ancestors = () if timeline == 1 else (Fork(1, FORK),)
    position = Position(timeline, Lsn(end), ancestors)
    control = ControlFacts("7", "in archive recovery", timeline, Lsn(0x20), Lsn(0x20), 0x1000)
    fork = min(FORK, Lsn(end)) if timeline == 1 else Lsn(min(end, 0x100))
    comparison = Comparison(
        "pg-1",
        fork,
        mine or Absent("nothing there"),
        Known(Tally(4, ""), "pg_waldump"),
        alike or Known(value=True, source="both logs"),
    )
    return MemberEvidence(
        "pg-10",
        named=True,
        pod=Known(LOOPING, "pods"),
        server=Unread("waiting"),
        claim=Known(ClaimState.BOUND, "claims"),
        files=Known(FileFacts(control, position), "the files of pg-10"),
        comparisons=(comparison,),
    )


def look(member: MemberEvidence, *slots: Slot, cluster: ClusterFacts = FACTS) -> tuple[Authority, Assessment]:
    first = MemberEvidence(
        "pg-1", named=True, pod=Known(UP, "pods"), server=Known(replace(PRIMARY, slots=slots), "psql")
    )
    answer = analyse(Evidence(Known(cluster, "api"), Known(2, "api"), (first, member)))
    return answer.authority, answer.assessments[1]


def remedy(member: MemberEvidence, *slots: Slot, cluster: ClusterFacts = FACTS) -> tuple[Remediation, str]:
    authority, assessed = look(member, *slots, cluster=cluster)
    assert authority is Authority.PROVABLE, authority
    return assessed.remediation, assessed.reason


def test_l14_a_replica_whose_log_is_kept_is_restarted_and_not_rebuilt() -> None:
    assert remedy(stopped(0x80), slot("_cnpg_pg_10", 0x70)) == (
        Remediation.RESTART,
        "it is down, and the log it lacks can still be had",
    )


def test_l13_a_replica_whose_log_is_gone_is_not_left_waiting() -> None:
    gone = stopped(0x80, alike=Absent("000000020000000000000000 is not there"))

    assert remedy(gone)[0] is Remediation.RESEED
    assert remedy(replace(stopped(0x80), troubles=frozenset({Trouble.WAL_REMOVED})))[0] is Remediation.RESEED


def test_w24_a_slot_is_found_by_its_exact_name() -> None:
    """`_cnpg_pg_1` is contained in `_cnpg_pg_10`."""
    assert slot_name("pg-10") == "_cnpg_pg_10"
    assert slot_name("My.Pg--3") == "_cnpg_my_pg_3"
    assert remedy(stopped(0x80), slot("_cnpg_pg_1", 0x10, "lost"))[0] is Remediation.RESTART
    assert remedy(stopped(0x80), slot("_cnpg_pg_10", 0x10, "lost")) == (
        Remediation.RESEED,
        "its slot _cnpg_pg_10 has lost the log it needs",
    )


def test_w24_a_slot_made_anew_can_begin_past_its_replica_and_proves_no_loss() -> None:
    """Right after a failover every slot of the new primary does; whether the log is there, its files tell."""
    member = stopped(0x80)
    gone = Comparison("pg-1", Lsn(0x80), Absent("-"), Known(Tally(1, ""), "-"), Absent("no such file"))

    assert remedy(member, slot("_cnpg_pg_10", 0x90))[0] is Remediation.RESTART
    assert remedy(replace(member, comparisons=(gone,)), slot("_cnpg_pg_10", 0x90)) == (
        Remediation.RESEED,
        "the primary holds no log from 0/80 on any more (no such file)",
    )


def test_l9_log_without_a_commit_is_rewound_and_nothing_is_lost() -> None:
    stray = stopped(0x70, timeline=1, mine=Known(Tally(0, ""), "pg_waldump"))
    authority, assessed = look(stray)

    assert (authority, assessed.remediation) == (Authority.PROVABLE, Remediation.REWIND)
    assert assessed.branch is not None
    assert assessed.branch.empty


def test_w1_commits_past_the_fork_are_a_branch_whatever_the_checkpoint_says() -> None:
    """Its checkpoint lies before the fork, so by pg_controldata it is a pure ancestor."""
    authority, assessed = look(stopped(0x70, timeline=1, mine=Known(Tally(5000, "03:12:07"), "pg_waldump")))

    assert authority is Authority.DIVERGED
    assert assessed.branch is not None
    assert assessed.branch.commits == 5000
    assert assessed.branch.text == "timeline 1: 5000 commits in 32 B of log after 0/50, the last at 03:12:07"


def test_commits_that_could_not_be_counted_are_not_no_commits() -> None:
    authority, assessed = look(stopped(0x70, timeline=1, mine=Unread("pg_waldump failed")))

    assert authority is Authority.UNDETERMINABLE
    assert assessed.remediation is Remediation.NONE


def test_w2_a_replica_that_streams_is_never_healed_whatever_its_checkpoint_says() -> None:
    streaming = replace(
        PRIMARY,
        in_recovery=True,
        checkpoint_timeline=1,
        current=None,
        received=Lsn(0x100),
        replayed=Lsn(0x100),
        receiver=Receiver("streaming", 2, "pg-1"),
        ancestors=None,
    )
    member = MemberEvidence("pg-10", named=True, pod=Known(UP, "pods"), server=Known(streaming, "psql"))

    assert remedy(member) == (Remediation.NONE, "")


def test_w4_how_every_recovery_ends_is_no_damage() -> None:
    def line(severity: str, message: str) -> str:
        return json.dumps({"level": "info", "record": {"error_severity": severity, "message": message}})

    ordinary = [
        line("LOG", "invalid record length at 0/1923E28: wanted 24, got 0"),
        line("LOG", "incorrect resource manager data checksum in record at 0/1923E28"),
        line("LOG", "invalid primary checkpoint record"),
        "not json",
        "[]",
        json.dumps({"level": "info", "msg": "PANIC could not locate a valid checkpoint record"}),
    ]
    assert troubles(ordinary) == frozenset()
    fatal = line("PANIC", "could not locate a valid checkpoint record")
    assert troubles([*ordinary, fatal]) == {Trouble.NO_CHECKPOINT}
    assert troubles([fatal, line("LOG", "database system is ready to accept connections")]) == frozenset()
    assert remedy(replace(stopped(0x80), troubles=troubles([fatal]))) == (
        Remediation.RESEED,
        "its server finds no valid checkpoint and can never start",
    )


def test_the_managers_own_words_tell_of_a_full_disk() -> None:
    full = json.dumps(
        {"level": "info", "logger": "instance-manager", "msg": "Detected low-disk space condition"}
    )

    assert troubles([full]) == {Trouble.DISK_FULL}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hibernated": True}, "the cluster is hibernated"),
        ({"fenced": frozenset({"*"})}, "it is fenced by somebody"),
    ],
)
def test_w6_what_others_keep_down_stays_down(change: dict[str, object], words: str) -> None:
    found, reason = remedy(stopped(0x80), cluster=replace(FACTS, **change))  # type: ignore[arg-type]  one of two

    assert found is Remediation.NONE
    assert reason.startswith(words)


def test_l5_only_a_volume_that_was_listed_and_is_empty_holds_no_data() -> None:
    empty = replace(
        stopped(0x80), files=Absent("the volume is mounted, and its data directory is empty"), comparisons=()
    )
    assert remedy(empty) == (Remediation.RESEED, "it holds no data")

    unread = replace(stopped(0x80), files=Unread("it could not be told"), comparisons=())
    assert look(unread)[0] is Authority.UNDETERMINABLE


@pytest.mark.parametrize("state", [ClaimState.PENDING, ClaimState.TERMINATING])
def test_a_claim_that_is_on_its_way_is_waited_for(state: ClaimState) -> None:
    waiting = replace(stopped(0x80), claim=Known(state, "claims"), files=Absent("no data"), comparisons=())

    assert remedy(waiting) == (Remediation.WAIT, f"its volume claim is {state.value}")


def test_members_that_were_promoted_apart_have_equal_timelines_and_are_not_taken_for_equal() -> None:
    apart = stopped(0x100, alike=Known(value=False, source="both logs"))
    authority, assessed = look(apart)

    assert authority is Authority.UNDETERMINABLE
    assert assessed.remediation is Remediation.NONE


def test_w8_every_member_has_its_own_number() -> None:
    assert [ordinal_of(name) for name in ("pg-1", "pg-10", "my-pg-3", "pg", "pg-x")] == [1, 10, 3, None, None]
    assert look(stopped(0x80))[1].ordinal == 10


def diagnosed(member: MemberEvidence, cluster: ClusterFacts = FACTS, *slots: Slot) -> dict[str, str]:
    first = MemberEvidence(
        "pg-1", named=True, pod=Known(UP, "pods"), server=Known(replace(PRIMARY, slots=slots), "psql")
    )
    answer = report(CLUSTER, Evidence(Known(cluster, "api"), Known(2, "api"), (first, member)))
    for finding in answer.diagnoses:
        assert finding.evidence
        assert finding.remedy.startswith(("kubectl ", "hasteward "))
    return {finding.id: finding.summary for finding in answer.diagnoses}


def test_findings_have_stable_names() -> None:
    lost = Tally(3, "")
    diverged = stopped(0x70, timeline=1, mine=Known(lost, "pg_waldump"))
    rewound = replace(
        stopped(0x80),
        files=Known(
            FileFacts(
                stopped(0x80).files.value.control, Position(3, Lsn(0x30), (Fork(1, FORK), Fork(2, Lsn(0x20))))
            ),
            "files",
        ),  # type: ignore[union-attr]  Known above
    )
    found = {
        *diagnosed(diverged),
        *diagnosed(rewound),
        *diagnosed(replace(stopped(0x80), claim=Known(ClaimState.LOST, "claims"), files=Unread("lost"))),
        *diagnosed(replace(stopped(0x80), troubles=frozenset(Trouble))),
        *diagnosed(stopped(0x80), FACTS, slot("_cnpg_pg_10", 0x10, "lost")),
        *diagnosed(stopped(0x80), FACTS, slot("_cnpg_pg_10", 0x10)),
        *diagnosed(
            stopped(0x80), replace(FACTS, target_primary="pg-10", hibernated=True, reconciliation_off=True)
        ),
        *diagnosed(stopped(0x80), replace(FACTS, fence_note="the annotation is not JSON")),
    }

    assert found >= {
        "cnpg-diverged",
        "cnpg-timeline-rewind",
        "cnpg-claim-lost",
        "cnpg-invalid-checkpoint",
        "cnpg-not-a-child",
        "cnpg-wal-removed",
        "cnpg-disk-full",
        "cnpg-certificate-rejected",
        "cnpg-slot-lost",
        "cnpg-slot-inactive",
        "cnpg-switchover-stuck",
        "cnpg-hibernated",
        "cnpg-reconciliation-off",
        "cnpg-fence-unreadable",
        "cnpg-member-down",
    }


def test_an_authority_that_is_not_the_primary_names_its_promotion() -> None:
    ahead = stopped(0x70, timeline=1, mine=Known(Tally(2, ""), "pg_waldump"))
    (comparison,) = ahead.comparisons
    ahead = replace(ahead, comparisons=(replace(comparison, theirs=Known(Tally(0, ""), "pg_waldump")),))

    assert look(ahead)[0] is Authority.LEADER_NOT_PRIMARY
    assert diagnosed(ahead)["cnpg-authority-not-primary"] == (
        "the newest data is on pg-10, which is not the primary"
    )


def test_a_lag_is_waited_for() -> None:
    lagging = replace(
        PRIMARY,
        in_recovery=True,
        current=None,
        received=Lsn(0x100),
        replayed=Lsn(0x10),
        receiver=Receiver("streaming", 2, "pg-1"),
    )
    far = replace(PRIMARY, current=Lsn(0x100 + 2 * LAG_BYTES))
    first = MemberEvidence("pg-1", named=True, pod=Known(UP, "pods"), server=Known(far, "psql"))
    second = MemberEvidence("pg-10", named=True, pod=Known(UP, "pods"), server=Known(lagging, "psql"))
    answer = analyse(Evidence(Known(FACTS, "api"), Known(2, "api"), (first, second)))

    assert answer.assessments[1].remediation is Remediation.WAIT
