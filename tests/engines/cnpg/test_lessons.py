"""Lessons about CloudNativePG that others paid for, each under its number, on real servers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from cnpg_kit import CLUSTER, LocalKubernetes, Server, Stored, context_for

from hasteward.domain.errors import Refused
from hasteward.domain.report import Authority, Health, TriageReport
from hasteward.ports.context import RestoreOptions
from hasteward.ports.kubernetes import ApiUnavailable, StreamStalled
from hasteward_cnpg.plugin import plugin

pytestmark = pytest.mark.servers

Dump = Callable[..., Stored]


def triage(api: LocalKubernetes) -> TriageReport:
    return plugin.triage(context_for(api), CLUSTER)


def failing(verb: str, what: str, error: Exception) -> Callable[[str, str, Sequence[str]], None]:
    def fault(asked: str, thing: str, _argv: Sequence[str]) -> None:
        if (asked, thing) == (verb, what):
            raise error

    return fault


def words(report: TriageReport) -> str:
    return " ".join([*(d.remedy for d in report.diagnoses), *(d.summary for d in report.diagnoses)]).lower()


def test_w4_a_crashed_member_is_never_called_corrupt_by_words_in_its_log(api: LocalKubernetes) -> None:
    server = api.servers["pg-2"]
    with (server.folder / "log").open("a") as log:
        log.write("LOG:  invalid record length at 0/1923E28: wanted 24, got 0\n")
    container = api.pod("pg-2")["status"]["containerStatuses"][1]
    container |= {"ready": False, "restartCount": 5, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}

    report = triage(api)

    assert report.assessments[1].health is Health.DOWN
    assert not {"corrupt", "reseed", "delete"} & set(words(report).split())


def test_w5_after_a_restore_changed_rows_are_as_saved_and_deleted_ones_are_back(
    single: LocalKubernetes, small: Server, dump: Dump
) -> None:
    saved = dump(single)
    small.psql("UPDATE t SET v = 'changed' WHERE id = 2; DELETE FROM t WHERE id = 1", "app")
    small.psql("INSERT INTO t VALUES (3, 'newer'); CREATE TABLE newer (x int)", "app")

    plugin.restore(context_for(single, run="run2", minute=2), CLUSTER, saved, RestoreOptions())

    assert small.psql("SELECT id, v FROM t ORDER BY 1", "app").splitlines() == ["1|one", "2|two"]
    assert small.psql("SELECT to_regclass('newer') IS NULL", "app") == "t"


@pytest.mark.parametrize("fences", ['["pg-1"]', '["pg-2"]', '["*"]', "not JSON"])
def test_w6_a_restore_meets_fences_with_a_refusal_and_leaves_them_as_they_are(
    single: LocalKubernetes, small: Server, dump: Dump, fences: str
) -> None:
    saved = dump(single)
    single.annotate("cnpg.io/fencedInstances", fences)

    with pytest.raises(Refused, match="fence"):
        plugin.restore(context_for(single, run="run2", minute=2), CLUSTER, saved, RestoreOptions())

    assert single.cluster["metadata"]["annotations"] == {"cnpg.io/fencedInstances": fences}
    assert single.changes == []


def test_w25_pods_that_only_carry_the_clusters_label_are_no_members(api: LocalKubernetes) -> None:
    assert api.pod("pg-9-join")["metadata"]["labels"]["cnpg.io/cluster"] == "pg"

    assert [one.member for one in triage(api).assessments] == ["pg-1", "pg-2"]


def test_l2_no_question_of_triage_joins_history_files_into_one(api: LocalKubernetes) -> None:
    triage(api)

    asked = [text for _, argv in api.execs if ".history" in (text := " ".join(argv))]
    assert len(asked) == 2
    # each file under its own number
    assert all("json_object_agg(('x' || left(name, 8))" in text for text in asked)


def test_l3_a_member_that_could_not_be_read_blocks_the_verdict_though_its_volume_is_there(
    api: LocalKubernetes,
) -> None:
    api.faults.append(failing("exec", "pg-2", StreamStalled("nothing moved")))

    report = triage(api)

    assert (report.authority, report.assessments[1].health) == (
        Authority.UNDETERMINABLE,
        Health.UNDETERMINABLE,
    )
    assert "nothing moved" in " ".join(report.assessments[1].missing)


def test_l4_a_list_of_volumes_that_timed_out_is_not_a_cluster_without_volumes(api: LocalKubernetes) -> None:
    api.faults.append(failing("list", "persistentvolumeclaims", ApiUnavailable("it timed out")))

    report = triage(api)

    assert report.authority is Authority.UNDETERMINABLE
    assert "it timed out" in report.authority_reason


def test_l5_a_data_directory_that_cannot_be_reached_is_not_an_empty_one(api: LocalKubernetes) -> None:
    def refused(pod: Any, argv: Sequence[str]) -> list[str] | None:
        return ["sh", "-c", "echo 'Permission denied' >&2; exit 1"] if pod.name == "pg-2" else None

    api.rewrites.append(refused)

    report = triage(api)

    assert (report.authority, report.assessments[1].health) == (
        Authority.UNDETERMINABLE,
        Health.UNDETERMINABLE,
    )
    assert "Permission denied" in " ".join(report.assessments[1].missing)
    assert "empty" not in words(report)
