"""W2: whoever looks while a cluster changes over meets members that are on their way, and heals nobody.

Switchovers, failovers and rolling restarts on real PostgreSQL, with a deep triage at any moment of them, and
the gates asked whom a repair would treat now. Whatever comes back by itself must not be treated.
"""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from hasteward.adapters.kubernetes.configuration import load
from hasteward.adapters.kubernetes.rest import KubernetesApi
from hasteward.adapters.system import SystemClock
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Refused
from hasteward.domain.repair import RepairRequest, Target
from hasteward.domain.report import TriageReport
from hasteward.pipelines.gates import Decision, Refusal, decide
from hasteward.ports.context import Depth, EngineContext, Run, Tuning
from hasteward.testing import Approval, RecordingReporter
from hasteward_cnpg.plan.acts import Kind
from hasteward_cnpg.plugin import plugin
from hasteward_lab.lab import Lab
from hasteward_lab.state import LabError

pytestmark = pytest.mark.servers

CLUSTER = ClusterRef("cnpg", "db", "pg")
HEALTHY = "Cluster in healthy state"
STREAMING = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"


def context_of(lab: Lab) -> EngineContext:
    """As a repair has it: it may make helper pods to read by."""
    return EngineContext(
        kubernetes=KubernetesApi(load(lab.kubeconfig, None).configuration),
        clock=SystemClock(),
        reporter=RecordingReporter(),
        run=Run(secrets.token_hex(4), datetime.now(UTC)),
        approve=Approval(answer=False),
        tuning=Tuning(stall_seconds=10),
        depth=Depth.DEEP,
    )


def settled(lab: Lab) -> bool:
    status = lab.cluster_object()["status"]
    if status["phase"] != HEALTHY or status["currentPrimary"] != status["targetPrimary"]:
        return False
    try:
        return lab.psql(status["currentPrimary"], STREAMING) == "2"
    except LabError:
        return False


def replicas(lab: Lab) -> list[str]:
    return [name for name in ("pg-1", "pg-2", "pg-3") if name != lab.primary]


def made_again(lab: Lab, name: str) -> None:
    """Delete a pod and wait for the one that follows."""

    def uid() -> str:
        return next(
            (str(row["metadata"]["uid"]) for row in lab.get("pods") if row["metadata"]["name"] == name), ""
        )

    before = uid()
    lab.delete_pod(name)
    lab.wait(lambda: uid() not in {"", before}, 60)


def switchover(lab: Lab) -> None:
    lab.promote(replicas(lab)[0])


def failover(lab: Lab) -> None:
    lab.delete_pod(lab.primary, grace=0)


def crash(lab: Lab) -> None:
    """The server dies and its container begins again, which may be a failover or not."""
    lab.kill(lab.primary)


def rolling_restart(lab: Lab) -> None:
    """As the operator does it: the replicas one by one, then a switchover, and the old primary."""
    for name in replicas(lab):
        made_again(lab, name)
        lab.wait_ready(timeout=60)
    old = lab.primary
    lab.promote(replicas(lab)[0])
    lab.wait(lambda: lab.primary != old, 60)
    lab.wait_ready(timeout=60)
    lab.delete_pod(old)


CHANGES: tuple[Callable[[Lab], None], ...] = (failover, rolling_restart, switchover, crash)


#: how often is looked during one change
LOOKS = 5


@dataclass
class Watch:
    """Looks again and again while something changes."""

    lab: Lab
    seed: int
    looks: int = 0
    healed: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)

    def through(self, change: Callable[[Lab], None], most: int) -> None:
        """Play a change through and look up to `most` times until all has settled."""
        rolls = random.Random(self.seed + self.looks)  # noqa: S311  no secret
        player = threading.Thread(target=change, args=(self.lab,))
        player.start()
        for _ in range(most):
            time.sleep(rolls.uniform(0, 0.5))
            self._look(change.__name__)
        player.join()
        self.lab.wait(lambda: settled(self.lab), 90)

    def _look(self, during: str) -> None:
        context = context_of(self.lab)
        report = plugin.triage(context, CLUSTER)
        self.looks += 1
        decision = decide(report, RepairRequest())
        match decision:
            case Refusal():
                outcome = decision.rule.value
            case Decision(targets=()):
                outcome = "waiting" if decision.waiting else "nothing to do"
            case Decision():
                outcome = self._would_treat(context, report, decision.targets)
        self.seen[f"{during}: {outcome}"] += 1

    def _would_treat(self, context: EngineContext, report: TriageReport, targets: tuple[Target, ...]) -> str:
        """A plan that is refused treats nobody, nor does one that only waits."""
        try:
            plan = plugin.plan(context, CLUSTER, report, targets)
        except Refused as refused:
            return refused.code
        acting = [one for one in plan.treatments if {act.kind for act in one.acts} != {Kind.REJOIN}]
        evidence = {one.member: one.evidence for one in report.assessments}
        for target in (one.target for one in acting):
            self.healed.append(
                f"{target.member} {target.remediation}: {target.reason} {evidence[target.member]}"
            )
        return "healed" if acting else "would only wait"


def watched(looks: int, seed: int) -> tuple[list[str], Counter[str]]:
    """Whom a repair would have treated, and what it would have done else; a fresh cluster for each round."""
    healed: list[str] = []
    seen = Counter[str]()
    while seen.total() < looks:
        with Lab.up(time_scale=0.2) as lab:
            lab.wait(lambda: settled(lab), 90)
            watch = Watch(lab, seed + seen.total())
            for change in CHANGES:
                watch.through(change, min(LOOKS, looks - seen.total() - watch.looks))
                if seen.total() + watch.looks >= looks:
                    break
        healed += watch.healed
        seen += watch.seen
    return healed, seen


@pytest.mark.timeout(300)
def test_w2_no_member_is_healed_that_is_merely_on_its_way() -> None:
    healed, seen = watched(10, seed=1)

    assert (healed, seen.total()) == ([], 10)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_w2_in_a_hundred_looks_no_member_is_healed_that_is_merely_on_its_way() -> None:
    healed, seen = watched(100, seed=2)

    print(dict(seen))
    assert (healed, seen.total()) == ([], 100)
