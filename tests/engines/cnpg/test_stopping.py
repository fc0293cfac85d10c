"""A server that runs and answers nobody is stopped, read and let go again; on a cluster in memory."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from evidence_kit import UP, cluster_of, primary_at
from heal_kit import BEHIND, DIVERGED, make

from hasteward import testing
from hasteward.domain.errors import HastewardError
from hasteward.domain.reading import Absent, Known, Reading, Unread
from hasteward.domain.repair import RepairRequest
from hasteward.domain.report import Authority, TriageReport
from hasteward.pipelines.repair import repair, undo
from hasteward.plugins import Engine
from hasteward.ports.context import Depth
from hasteward.ports.kubernetes import CONFIG_MAPS, LEASES
from hasteward.testing.faults import FailNth, Killed, KillNth
from hasteward_cnpg.analyse.members import only_stopped
from hasteward_cnpg.diagnose import report
from hasteward_cnpg.evidence import ClaimState, ClusterFacts, ContainerState, Evidence, Lsn, MemberEvidence
from hasteward_cnpg.plugin import plugin

HOOKS = frozenset({"triage", "plan", "plan_stop", "heal"})
ENGINE = Engine(plugin.info(), plugin, HOOKS)
STOP = "hasteward triage -e cnpg -c pg -n db --deep=stop   (stops it, reads its files, lets it go)"


def look(world: testing.World, depth: Depth = Depth.STOP) -> TriageReport:
    return world.triage(ENGINE, depth)


def changes(world: testing.World) -> list[str]:
    """Beside Lease, journal and the pod by which the files are read."""
    ours = (LEASES.plural, CONFIG_MAPS.plural)
    return [w for w in world.kubernetes.writes if w.split()[1] not in ours and " pods hasteward-" not in w]


def test_what_hangs_is_named_with_the_command_that_reads_it() -> None:
    found = look(make("hanging")[1], Depth.DEEP)

    assert found.authority is Authority.UNDETERMINABLE
    (named,) = [one for one in found.diagnoses if one.id == "cnpg-server-hangs"]
    assert (named.member, named.remedy) == ("pg-3", STOP)


def test_it_is_fenced_its_pod_deleted_its_files_read_and_all_that_taken_back() -> None:
    truth, world = make("hanging")
    before = truth.annotations(world.kubernetes)

    found = look(world)

    assert found.healthy
    assert (truth.annotations(world.kubernetes), world.unfinished, world.helpers) == (before, False, [])
    assert changes(world) == [
        "patch clusters pg",
        "patch clusters pg",
        "delete pods pg-3",
        "patch clusters pg",
        "patch clusters pg",
    ]
    seen = "while pg-3 was stopped: the Cluster names pg-1, and no other member holds a commit that it lacks"
    assert seen in world.reporter.steps()


def test_a_branch_of_its_own_is_seen_and_nothing_is_lost() -> None:
    truth, world = make("hanging")
    truth.volumes["pg-3"]["pgdata"] = DIVERGED

    found = look(world)

    assert found.authority is Authority.DIVERGED
    assert truth.volumes["pg-3"]["pgdata"] == DIVERGED


def test_a_repair_goes_on_with_what_it_has_read() -> None:
    _, world = make("hanging")
    context = replace(world.context(), depth=Depth.STOP)

    result = repair(ENGINE, context, world.cluster, None, RepairRequest(escrow=False))

    assert (result.well, result.treated) == (True, ())


def test_the_primary_is_never_stopped() -> None:
    truth, world = make()
    truth.hanging.add("pg-1")
    truth.tick(world.kubernetes)

    assert look(world).authority is Authority.UNDETERMINABLE
    assert changes(world) == []


def test_beside_a_primary_that_hangs_too_nobody_is_stopped() -> None:
    truth, world = make("hanging")
    truth.hanging.add("pg-1")
    truth.tick(world.kubernetes)

    assert look(world).authority is Authority.UNDETERMINABLE
    assert (changes(world), world.reporter.warnings()) == ([], ["triage.not_stopped"])


@pytest.mark.parametrize("fault", [FailNth, KillNth])
def test_at_many_a_call_it_is_let_go_or_undo_lets_it_go(fault: Callable[[int], Any]) -> None:
    """At every call: `TestStopsAtLength`."""
    resumed = 0
    for nth in itertools.count(1, 7):
        truth, world = make("hanging")
        before = truth.annotations(world.kubernetes)
        world.on_call = struck = fault(nth)
        with contextlib.suppress(HastewardError, Killed):
            look(world)
        if not struck.struck:
            break
        world.next_run()
        resumed += world.unfinished
        undo(ENGINE, world.context(), world.cluster)
        assert (truth.annotations(world.kubernetes), world.unfinished) == (before, False), struck.struck
        assert truth.volumes["pg-3"]["pgdata"].commits >= BEHIND.commits
    assert nth > 50
    assert fault is FailNth or resumed > 0


# --- who may be stopped -----------------------------------------------------------------------------------

HUNG = replace(UP, ready=False)
NO_ANSWER: Reading[Any] = Unread("no answer")


def evidence(member: MemberEvidence, **cluster: Any) -> Evidence:
    facts: ClusterFacts = replace(cluster_of("pg-1", "pg-3"), **cluster)
    first = MemberEvidence(
        "pg-1", named=True, pod=Known(UP, "pods"), server=Known(primary_at(Lsn(9)), "psql")
    )
    return Evidence(Known(facts, "api"), Known(2, "api"), (first, member))


def third(**change: Any) -> MemberEvidence:
    claim: Reading[ClaimState] = Known(ClaimState.BOUND, "api")
    made = MemberEvidence("pg-3", named=True, pod=Known(HUNG, "pods"), server=NO_ANSWER, claim=claim)
    return replace(made, **change)


def test_who_runs_unread_may_be_stopped() -> None:
    assert [one.name for one in only_stopped(evidence(third()))] == ["pg-3"]
    (named,) = [one for one in report(make()[1].cluster, evidence(third())).diagnoses if one.member == "pg-3"]
    assert named.id == "cnpg-server-hangs"


@pytest.mark.parametrize(
    ("member", "cluster"),
    [
        pytest.param(third(pod=Known(UP, "pods")), {}, id="it is ready"),
        pytest.param(third(pod=Known(replace(HUNG, terminating=True), "pods")), {}, id="it goes already"),
        pytest.param(
            third(pod=Known(replace(HUNG, container=ContainerState.WAITING), "pods")),
            {},
            id="it does not run",
        ),
        pytest.param(third(pod=Known(replace(HUNG, fresh=True, unready=9.0), "pods")), {}, id="it starts"),
        pytest.param(third(pod=Known(replace(HUNG, age=9.0), "pods")), {}, id="its container has just begun"),
        pytest.param(third(pod=Absent("there is none")), {}, id="it has no pod"),
        pytest.param(third(claim=Known(ClaimState.LOST, "api")), {}, id="its volume is lost"),
        pytest.param(third(server=Known(primary_at(Lsn(9)), "psql")), {}, id="it answers"),
        pytest.param(third(), {"fenced": frozenset({"*"})}, id="somebody has fenced it"),
        pytest.param(third(), {"current_primary": "pg-3"}, id="it is the primary"),
        pytest.param(third(), {"target_primary": "pg-3"}, id="it is about to be"),
    ],
)
def test_who_must_not_be_stopped_is_not(member: MemberEvidence, cluster: dict[str, Any]) -> None:
    assert only_stopped(evidence(member, **cluster)) == ()


def test_one_that_was_to_start_long_ago_may_be_stopped() -> None:
    late = third(pod=Known(replace(HUNG, fresh=True, unready=601.0), "pods"))
    assert [one.name for one in only_stopped(evidence(late))] == ["pg-3"]


def test_of_a_cluster_that_was_not_read_nobody_is_stopped() -> None:
    assert only_stopped(replace(evidence(third()), cluster=Unread("no answer"))) == ()
