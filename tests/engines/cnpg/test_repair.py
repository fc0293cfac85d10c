"""What a repair does, what it refuses and why, and what it looks at again; on a cluster in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from heal_kit import DIVERGED, REPLICA, STRAY, STUCK, Truth, make

from hasteward import testing
from hasteward.domain.errors import HastewardError, InvalidInput, Refused
from hasteward.domain.plan import Plan
from hasteward.domain.repair import RepairRequest
from hasteward.pipelines.repair import RepairResult
from hasteward.plugins import Engine
from hasteward.ports.kubernetes import CONFIG_MAPS, LEASES, PERSISTENT_VOLUME_CLAIMS, PODS, Json
from hasteward_cnpg.plugin import plugin
from hasteward_cnpg.resources import CLUSTERS, FENCED_INSTANCES, HIBERNATION, RECONCILIATION

ENGINE = Engine(plugin.info(), plugin, frozenset({"triage", "plan", "heal"}))
Change = Callable[[Truth, testing.World], None]


def repair(world: testing.World, **request: Any) -> RepairResult:
    return world.repair(ENGINE, RepairRequest(escrow=False, **request))


def touched(world: testing.World) -> list[str]:
    """What was changed, beside Lease, journal and the pods by which a triage looks."""
    ours = (LEASES.plural, CONFIG_MAPS.plural)
    return [
        write
        for write in world.kubernetes.writes
        if write.split()[1] not in ours and " pods hasteward-0" not in write and "hasteward-pg" not in write
    ]


def annotate(world: testing.World, name: str, value: str) -> None:
    body: Json = world.kubernetes.objects[CLUSTERS.title, "db", "pg"]
    annotations = body["metadata"].get("annotations", {}) | {name: value}
    world.kubernetes.add(CLUSTERS, body | {"metadata": body["metadata"] | {"annotations": annotations}})


def status(world: testing.World, **fields: Any) -> None:
    body: Json = world.kubernetes.objects[CLUSTERS.title, "db", "pg"]
    world.kubernetes.add(CLUSTERS, body | {"status": body["status"] | fields})


@dataclass
class Meanwhile:
    """Agrees to the plan, after something has happened."""

    happens: Callable[[], None]
    plans: list[Plan] = field(default_factory=list)

    def __call__(self, plan: Plan) -> bool:
        self.plans.append(plan)
        self.happens()
        return True


def _no_pod(truth: Truth, world: testing.World) -> None:
    truth.operator = False
    truth.volumes["pg-3"]["pgdata"] = REPLICA
    world.kubernetes.remove(PODS, "db", "pg-3")


def _no_image(truth: Truth, world: testing.World) -> None:
    for name in truth.volumes:
        body = world.kubernetes.objects[PODS.title, "db", name]
        spec = body["spec"] | {"containers": [{"name": "postgres"}]}
        world.kubernetes.add(PODS, body | {"spec": spec})
    status(world, image="")


def _no_claim(truth: Truth, world: testing.World) -> None:
    truth.volumes["pg-3"].clear()
    for name in truth.volumes:
        body = world.kubernetes.objects[PODS.title, "db", name]
        annotations = {"cnpg.io/operatorVersion": "1.27.4"}
        world.kubernetes.add(PODS, body | {"metadata": body["metadata"] | {"annotations": annotations}})
    world.kubernetes.remove(PERSISTENT_VOLUME_CLAIMS, "db", "pg-3")


#: state, what else is so, the code, and what the message and its hint name: evidence, rule, next command
REFUSED: dict[str, tuple[str, Change, dict[str, Any], str, str, str]] = {
    "the operator was told to look away": (
        "stuck",
        lambda _t, w: annotate(w, RECONCILIATION, "disabled"),
        {},
        "plan.reconciliation_off",
        "the annotation cnpg.io/reconciliationLoop is disabled",
        "kubectl annotate clusters.postgresql.cnpg.io pg -n db cnpg.io/reconciliationLoop-",
    ),
    "the cluster is hibernated": (
        testing.HEALTHY,
        lambda _t, w: annotate(w, HIBERNATION, "on"),
        {"instance": 3, "force": True},
        "plan.hibernated",
        "whoever asked for that wants no member to run",
        "kubectl cnpg hibernate off pg -n db",
    ),
    "the list of fences is no JSON": (
        "stuck",
        lambda _t, w: annotate(w, FENCED_INSTANCES, '["pg-9'),
        {},
        "plan.fence_unreadable",
        "is not JSON",
        "kubectl annotate clusters.postgresql.cnpg.io pg -n db cnpg.io/fencedInstances-",
    ),
    "somebody has fenced it": (
        "stuck",
        lambda _t, w: annotate(w, FENCED_INSTANCES, '["pg-3"]'),
        {"instance": 3, "force": True},
        "plan.fenced",
        "a fence of others is not ours to lift",
        "kubectl cnpg fencing off pg pg-3 -n db",
    ),
    "it has no pod and nothing keeps the operator": (
        testing.HEALTHY,
        _no_pod,
        {},
        "plan.no_pod",
        "the operator makes one, and has not",
        "kubectl get events -n db --field-selector involvedObject.name=pg-3",
    ),
    "no image is known": (
        "stuck",
        _no_image,
        {},
        "plan.no_image",
        "no image is known",
        "kubectl get clusters.postgresql.cnpg.io pg -n db",
    ),
    "its volume is gone and the operator cannot be asked": (
        testing.HEALTHY,
        _no_claim,
        {},
        "plan.no_claim",
        "its operator (version 1.27) removes a member only from 1.28 on",
        "kubectl cnpg destroy pg 3 -n db",
    ),
    "it is the primary": (
        testing.HEALTHY,
        lambda _t, _w: None,
        {"instance": 1, "force": True},
        "gate.primary",
        "pg-1 is the primary",
        "hasteward triage -e cnpg -c pg -n db --deep",
    ),
    "nobody has said which branch to give up": (
        "diverged",
        lambda _t, _w: None,
        {},
        "gate.diverged",
        "pg-3 holds 1 commit that pg-1 lacks",
        "hasteward repair -e cnpg -c pg -n db -i N --force",
    ),
    "its branch would be lost": (
        "diverged",
        lambda _t, _w: None,
        {"instance": 3, "force": True},
        "gate.uncaptured",
        "--no-escrow would lose the branch of pg-3",
        "leave --no-escrow away, or say so: --discard-branch 3",
    ),
    "a change of primary is under way": (
        "stuck",
        lambda _t, w: status(w, targetPrimary="pg-2"),
        {},
        "gate.undeterminable",
        "a change of primary is under way",
        "hasteward triage -e cnpg -c pg -n db --deep",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_every_refusal_names_evidence_rule_and_next_command(name: str) -> None:
    state, change, request, code, words, hint = REFUSED[name]
    truth, world = make(state)
    change(truth, world)
    world.clock.sleep(60)
    before = world.picture()

    with pytest.raises(Refused) as caught:
        repair(world, **request)

    assert caught.value.code == code
    assert words in caught.value.message
    assert hint in caught.value.hint
    assert touched(world) == []
    assert world.picture() == before


def _writes_on(truth: Truth, _world: testing.World) -> None:
    """It commits while its server is being stopped: after the plan, before the proof."""
    truth.on_stop = lambda t: t.volumes["pg-3"].update(pgdata=DIVERGED)


def _other_pod(truth: Truth, world: testing.World) -> None:
    body = world.kubernetes.objects[PODS.title, "db", "pg-3"]
    world.kubernetes.remove(PODS, "db", "pg-3")
    world.kubernetes.add(PODS, {**body, "metadata": {**body["metadata"]}})


def _job(_truth: Truth, world: testing.World) -> None:
    spec = {"volumes": [{"name": "pgdata", "persistentVolumeClaim": {"claimName": "pg-3"}}]}
    metadata = {"name": "pg-3-join-x", "namespace": "db"}
    world.kubernetes.objects[PODS.title, "db", "pg-3-join-x"] = {
        "metadata": metadata | {"uid": "j", "resourceVersion": "1"},
        "spec": spec | {"containers": []},
        "status": {"phase": "Running"},
    }


#: what happens between the plan and the act, in which state, and the code that stops it
MEANWHILE: dict[str, tuple[str, Change, str]] = {
    "it streams again": ("stuck", lambda t, _w: t.volumes["pg-3"].update(pgdata=REPLICA), "heal.member_well"),
    "it streams again before its restart": (
        "down",
        lambda t, _w: (t.crashing.clear(), t.volumes["pg-3"].update(pgdata=REPLICA))[0],
        "heal.member_well",
    ),
    "the primary changes": (
        "stuck",
        lambda _t, w: status(w, currentPrimary="pg-2", targetPrimary="pg-2"),
        "heal.no_donor",
    ),
    "a change of primary begins": ("stuck", lambda _t, w: status(w, targetPrimary="pg-2"), "heal.switchover"),
    "it is to become the primary": (
        "stuck",
        lambda _t, w: status(w, targetPrimary="pg-3"),
        "heal.primary",
    ),
    "its pod is another one": ("stuck", _other_pod, "heal.pod_changed"),
    "somebody fences it": (
        "stuck",
        lambda _t, w: annotate(w, FENCED_INSTANCES, '["pg-3"]'),
        "heal.fenced",
    ),
    "somebody silences the operator": (
        "stuck",
        lambda _t, w: annotate(w, RECONCILIATION, "disabled"),
        "heal.reconciliation_off",
    ),
    "a job is on its volume": ("stuck", _job, "heal.volumes_in_use"),
    "it commits before its server is gone": ("stray", _writes_on, "heal.holds_more"),
}


@pytest.mark.parametrize("name", MEANWHILE)
def test_what_changed_since_the_plan_stops_it_and_all_is_taken_back(name: str) -> None:
    """L10, L79."""
    state, change, code = MEANWHILE[name]
    truth, world = make(state)
    world.approval = Meanwhile(lambda: change(truth, world))  # type: ignore[assignment]

    with pytest.raises(HastewardError) as caught:
        repair(world)

    assert caught.value.code == code
    assert not world.unfinished
    assert (truth.residue(), world.helpers) == ({}, [])
    assert not {"rewind", "empty", "adopt", "clone"} & set(truth.ran)
    fences = json.loads(truth.annotations(world.kubernetes)[FENCED_INSTANCES])
    assert fences == (["pg-3"] if code == "heal.fenced" else ["pg-9"])
    held = truth.annotations(world.kubernetes).get(RECONCILIATION)
    assert held == ("disabled" if code == "heal.reconciliation_off" else None)


def test_what_others_write_into_the_annotation_meanwhile_stays() -> None:
    """L33."""
    truth, world = make("stuck")
    seen = 0

    def add(_truth: Truth) -> None:
        nonlocal seen
        seen += 1
        if seen == 1:
            annotate(world, FENCED_INSTANCES, '["pg-9", "pg-3", "pg-8"]')

    truth.on_stop = add

    repair(world)

    assert json.loads(truth.annotations(world.kubernetes)[FENCED_INSTANCES]) == ["pg-8", "pg-9"]


def test_a_branch_that_is_given_up_by_name_is_overwritten_without_a_capture() -> None:
    truth, world = make("diverged")

    result = repair(world, instance=3, force=True, discard_branch=3)

    (plan,) = world.approval.plans
    (given_up,) = plan.gives_up
    assert given_up == (
        "the branch of pg-3, timeline 3: 1 commit in 1.0 MiB of log after 0/4800000;"
        " NOT captured, as --discard-branch says"
    )
    assert result.after is not None
    assert result.after.healthy
    assert "rewind" in truth.ran


def test_a_plan_keeps_the_old_data_where_there_is_room_and_says_so_where_there_is_none() -> None:
    (_, roomy), (_, full) = make("stuck"), make("stuck, no room")

    repair(roomy)
    repair(full)

    (kept,), (lost,) = roomy.approval.plans, full.approval.plans
    assert [(s.text, s.reversal.value) for s in kept.steps[5:7]] == [
        ("clone pg-1 onto the volume of pg-3 (pg_basebackup)", "reversible"),
        (
            "swap the data of pg-3 for the clone; the old stays until it streams (4.0 GiB are free)",
            "forward-only",
        ),
    ]
    assert [(s.text, s.reversal.value) for s in lost.steps[5:7]] == [
        (
            "delete the data of pg-3: there is no room, or it is not known, to keep it beside a clone",
            "forward-only",
        ),
        ("clone pg-1 onto the volume of pg-3 (pg_basebackup)", "forward-only"),
    ]


@pytest.mark.parametrize(
    ("version", "method"),
    [("1.30.0", "operator"), ("1.28.4", "operator"), ("1.27.4", "in place"), ("", "in place")],
)
def test_an_empty_member_is_left_to_the_operator_from_the_version_that_can(version: str, method: str) -> None:
    truth, world = make("empty")
    for name in truth.volumes:
        body = world.kubernetes.objects[PODS.title, "db", name]
        annotations = {"cnpg.io/operatorVersion": version}
        world.kubernetes.add(PODS, body | {"metadata": body["metadata"] | {"annotations": annotations}})
    truth.version = version

    world.approval.answer = False
    repair(world)

    (plan,) = world.approval.plans
    assert ("method operator" in plan.steps[0].text) is (method == "operator")


def test_a_member_that_does_not_come_back_keeps_its_old_data_until_the_next_repair() -> None:
    """L34."""
    truth, world = make("stuck")
    begun = truth._clone

    def broken(*words: Any) -> Any:
        done = begun(*words)
        held = truth.volumes["pg-3"]
        name = next(name for name in held if "hasteward-new" in name)
        held[name] = replace(held[name], whole=False)
        return done

    truth._clone = broken  # type: ignore[method-assign]

    result = repair(world)

    late = ["heal.later", "heal.later", "repair.unfinished"]
    assert world.reporter.warnings() == ["escrow.none", "heal.not_streaming", *late]
    assert result.after is not None
    assert not result.after.healthy
    assert truth.volumes["pg-3"]["pgdata.hasteward-old-0000000000000001"] == STUCK

    truth._clone = begun  # type: ignore[method-assign]
    after = repair(world).after

    assert after is not None
    assert after.healthy
    assert (world.unfinished, world.residue()) == (False, {})


def test_helper_pods_of_a_dead_run_are_deleted_even_if_nothing_else_is_to_do() -> None:
    _, world = make()
    labels = {
        "app.kubernetes.io/managed-by": "hasteward",
        "hasteward.prplanit.com/engine": "cnpg",
    }
    for name, cluster in (("hasteward-pg-3-dead", "pg"), ("hasteward-other", "other")):
        metadata = {
            "name": name,
            "namespace": "db",
            "labels": labels | {"hasteward.prplanit.com/cluster": cluster},
        }
        volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "pg-3"}}]
        world.kubernetes.add(PODS, {"metadata": metadata, "spec": {"volumes": volumes}})

    repair(world)

    assert world.helpers == ["hasteward-other"]


def test_an_unknown_member_is_bad_input() -> None:
    with pytest.raises(InvalidInput, match="no member with the number 7"):
        repair(make("stuck")[1], instance=7)


def test_a_stray_that_accepts_writes_is_no_primary() -> None:
    """It is named by nobody: a repair fences it, reads it again and takes it back."""
    truth, world = make("stray")

    repair(world)

    assert truth.volumes["pg-3"]["pgdata"] != STRAY
    assert truth.content() == sorted(truth.volumes["pg-3"]["pgdata"].commits)
