"""Backups that CloudNativePG makes: asked for once, waited for, and told as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from hasteward import plugins
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import ExitCode, HastewardError, InvalidInput, Refused, RunFailed
from hasteward.domain.events import PhaseStarted
from hasteward.hookspecs import ENGINE_GROUP
from hasteward.pipelines.native import NativeResult, native_backup
from hasteward.ports.kubernetes import ApiForbidden, ApiUnavailable, Json
from hasteward.testing import FakeKubernetes, Result, World
from hasteward.testing.conformance import HEALTHY, NativeConformance
from hasteward.testing.faults import FailNth
from hasteward.testing.reporter import Approval
from hasteward_cnpg.facts.native import Declared, Way, backup_name, declared, parse_backup
from hasteward_cnpg.plugin import plugin
from hasteward_cnpg.resources import BACKUPS, CLUSTERS

CLUSTER = ClusterRef("cnpg", "db", "pg")
BARMAN = {"name": "barman-cloud.cloudnative-pg.io", "isWALArchiver": True}
OTHER = {"name": "other.example.org"}
STORE = {"backup": {"barmanObjectStore": {"destinationPath": "s3://b/"}}}
SNAPSHOT = {"backup": {"volumeSnapshot": {"className": "csi"}}}
#: what the operator writes, and after how many seconds
Course = tuple[tuple[float, dict[str, Any]], ...]
GOOD: Course = (
    (2, {"phase": "pending"}),
    (40, {"phase": "started", "startedAt": "T1", "instanceID": {"podName": "pg-2"}}),
    (120, {"phase": "completed", "stoppedAt": "T2", "backupId": "b1", "destinationPath": "s3://b/"}),
)


@dataclass
class Entry:
    content: Any = plugin
    name: str = "cnpg"
    group: str = ENGINE_GROUP
    value: str = "hasteward_cnpg.plugin:plugin"

    def load(self) -> Any:
        return self.content


ENGINE = plugins.load([Entry()]).engine("cnpg")


@dataclass
class Operator:
    """Works a Backup off as soon as it appears; another process, so it outlives ours."""

    world: World
    course: Course
    seen: set[str] = field(default_factory=set)

    def look(self) -> None:
        for (kind, _, name), body in list(self.world.kubernetes.objects.items()):
            if kind == BACKUPS.title and name not in self.seen:
                self.seen.add(name)
                for after, status in self.course:
                    self.world.clock.after(after, lambda body=body, status=status: self.write(body, status))
        self.world.clock.after(1, self.look)

    def write(self, body: Json, status: dict[str, Any]) -> None:
        key = (BACKUPS.title, "db", body["metadata"]["name"])
        found = self.world.kubernetes.objects.get(key)
        if found is not None:
            self.world.kubernetes.add(BACKUPS, found | {"status": found.get("status", {}) | status})


def world_of(
    spec: Mapping[str, Any] = SNAPSHOT, course: Course = GOOD, annotations: Mapping[str, str] | None = None
) -> World:
    kubernetes = FakeKubernetes(program=lambda *_: Result())
    metadata = {"name": "pg", "namespace": "db", "annotations": dict(annotations or {})}
    kubernetes.add(CLUSTERS, {"metadata": metadata, "spec": {"instances": 2, **spec}, "status": {}})
    world = World(CLUSTER, kubernetes, content=lambda: None, damage=lambda: None)
    Operator(world, course).look()
    return world


def run(world: World) -> NativeResult:
    return native_backup(ENGINE, world.context(), CLUSTER)


def made(world: World) -> list[Json]:
    return [body for key, body in sorted(world.kubernetes.objects.items()) if key[0] == BACKUPS.title]


def told(world: World) -> list[str]:
    return [event.text for event in world.reporter.events if isinstance(event, PhaseStarted)]


def test_a_backup_is_created_as_the_cluster_declares_it_and_waited_for() -> None:
    world = world_of()

    outcome = run(world).outcome

    (body,) = made(world)
    assert (outcome.name, outcome.method, outcome.member) == ("pg-20260102t030406z", "volumeSnapshot", "pg-2")
    assert (outcome.started, outcome.stopped) == ("T1", "T2")
    assert outcome.details == {"backupId": "b1", "destinationPath": "s3://b/"}
    assert body["metadata"]["name"] == outcome.name
    assert body["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "hasteward"}
    assert body["spec"] == {"cluster": {"name": "pg"}, "method": "volumeSnapshot"}
    assert world.repository.listed == []


def test_one_is_told_of_every_phase_and_that_it_still_goes_on() -> None:
    world = world_of()

    run(world)

    name = "Backup pg-20260102t030406z is"
    assert [text.removeprefix(name).strip() for text in told(world)] == [
        "not begun",
        "pending, 3 s so far",
        "started on pg-2, 41 s so far",
        "started on pg-2, 101 s so far",
        "completed on pg-2, 121 s so far",
    ]


@pytest.mark.parametrize(
    ("spec", "status", "ways"),
    [
        ({"plugins": [BARMAN]}, {}, [Declared(Way.PLUGIN, BARMAN["name"])]),
        (
            {"plugins": [OTHER, BARMAN], **STORE},
            {},
            [
                Declared(Way.PLUGIN, BARMAN["name"]),
                Declared(Way.PLUGIN, OTHER["name"]),
                Declared(Way.OBJECT_STORE),
            ],
        ),
        (
            {"plugins": [OTHER, BARMAN]},
            {
                "pluginStatus": [
                    {"name": OTHER["name"]},
                    {"name": BARMAN["name"], "backupCapabilities": ["X"]},
                ]
            },
            [Declared(Way.PLUGIN, BARMAN["name"])],
        ),
        (
            {"plugins": [OTHER]},
            {"pluginStatus": [{"name": OTHER["name"], "version": "1"}]},
            [Declared(Way.PLUGIN, OTHER["name"])],
        ),
        ({"plugins": [BARMAN | {"enabled": False}]}, {}, []),
        (
            {"backup": {**STORE["backup"], **SNAPSHOT["backup"]}},
            {},
            [Declared(Way.OBJECT_STORE), Declared(Way.SNAPSHOT)],
        ),
        ({"backup": {"retentionPolicy": "30d"}}, {}, []),
        ({"backup": None, "plugins": None}, {}, []),
    ],
)
def test_the_ways_that_a_cluster_declares(
    spec: dict[str, Any], status: dict[str, Any], ways: list[Declared]
) -> None:
    assert list(declared({"spec": spec, "status": status})) == ways


def test_a_plugin_is_named_in_the_backup() -> None:
    world = world_of({"plugins": [BARMAN], **STORE})

    run(world)

    (body,) = made(world)
    assert body["spec"] == {
        "cluster": {"name": "pg"},
        "method": "plugin",
        "pluginConfiguration": {"name": BARMAN["name"]},
    }
    (plan,) = world.approval.plans
    assert plan.notes[-1] == "the Cluster also declares barmanObjectStore: --native-method chooses"


def test_of_several_ways_one_can_be_chosen() -> None:
    world = world_of({"plugins": [BARMAN], **STORE})
    world.options["native_method"] = "barmanObjectStore"

    run(world)

    assert made(world)[0]["spec"] == {"cluster": {"name": "pg"}, "method": "barmanObjectStore"}


@pytest.mark.parametrize(
    ("spec", "wish", "annotations", "words", "hint"),
    [
        ({}, "", {}, "declares no backup of its own: neither spec.plugins nor spec.backup", "--method dump"),
        (
            SNAPSHOT,
            "plugin",
            {},
            "declares no backup by plugin; it declares volumeSnapshot",
            "leave --native-method away",
        ),
        (SNAPSHOT, "", {"cnpg.io/hibernation": "on"}, "is hibernated", "cnpg.io/hibernation=off"),
    ],
)
def test_a_cluster_that_cannot_be_backed_up_so_is_refused_with_the_next_command(
    spec: dict[str, Any], wish: str, annotations: dict[str, str], words: str, hint: str
) -> None:
    world = world_of(spec, annotations=annotations)
    world.options["native_method"] = wish or None

    with pytest.raises(Refused, match=words) as refusal:
        run(world)

    assert hint in refusal.value.hint
    assert world.kubernetes.writes == []


def test_a_cluster_that_is_not_there_is_bad_input() -> None:
    world = world_of()
    world.kubernetes.remove(CLUSTERS, "db", "pg")

    with pytest.raises(InvalidInput, match="there is no CloudNativePG cluster db/pg"):
        run(world)

    assert world.kubernetes.writes == []


def test_a_dry_run_shows_the_plan_and_asks_for_nothing() -> None:
    dry, real = world_of(), world_of()
    dry.approval = Approval(answer=False)
    before = dry.picture()

    outcome = run(dry).outcome
    run(real)

    assert outcome.planned_only
    assert dry.picture() == before
    assert dry.kubernetes.writes == []
    assert dry.approval.plans == real.approval.plans


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (
            {
                "phase": "failed",
                "error": "exit status 1",
                "commandError": "no such  bucket",
                "instanceID": {"podName": "pg-2"},
            },
            "on pg-2 failed: exit status 1; no such bucket",
        ),
        ({"phase": "failed"}, "failed: the operator says 'failed' and no more"),
        ({"phase": "invalid backup definition", "error": "no plugin"}, "failed: no plugin"),
    ],
)
def test_a_backup_that_fails_is_told_in_the_operators_words(status: dict[str, Any], words: str) -> None:
    world = world_of(course=((1, {"phase": "started"}), (5, status)))

    with pytest.raises(RunFailed, match=words) as failure:
        run(world)

    name = made(world)[0]["metadata"]["name"]
    assert failure.value.code == "native.failed"
    assert f"kubectl get backups.postgresql.cnpg.io {name} -n db" in failure.value.hint


@pytest.mark.parametrize("phase", ["pending", "walArchivingFailing"])
def test_a_backup_that_is_not_begun_in_time_is_left_to_the_operator(phase: str) -> None:
    world = world_of(course=((1, {"phase": phase, "error": "no archive"}),))
    begun = world.clock.monotonic()

    with pytest.raises(RunFailed, match=rf"within 600 s: it is {phase} \(no archive\)") as failure:
        run(world)

    assert failure.value.hint.startswith("--heal-timeout waits longer")
    assert len(made(world)) == 1
    assert world.clock.monotonic() - begun < 610


def test_a_backup_that_works_may_take_as_long_as_it_takes() -> None:
    hours = 3 * 3600.0
    world = world_of(course=((1, {"phase": "running"}), (hours, {"phase": "completed"})))

    assert run(world).seconds >= hours


def test_an_unknown_phase_is_work_that_goes_on() -> None:
    world = world_of(course=((1, {"phase": "polishing"}), (2000, {"phase": "completed"})))

    assert run(world).seconds >= 2000
    assert "is polishing" in told(world)[1]


def test_a_backup_that_somebody_deletes_is_not_waited_for() -> None:
    world = world_of(course=((1, {"phase": "started"}),))
    world.clock.after(20, lambda: world.kubernetes.remove(BACKUPS, "db", made(world)[0]["metadata"]["name"]))

    with pytest.raises(RunFailed, match="was deleted before it was completed"):
        run(world)


class Away:
    """The API server does not answer about Backups from the n-th call on, for a number of calls."""

    def __init__(self, error: HastewardError, first: int, count: int) -> None:
        self.error, self.first, self.last, self.calls = error, first, first + count, 0

    def __call__(self, call: str) -> None:
        if call == "get backups":
            self.calls += 1
            if self.first <= self.calls < self.last:
                raise self.error


def test_an_api_server_that_is_away_for_a_while_is_waited_for() -> None:
    world = world_of()
    world.on_call = Away(ApiUnavailable("no route"), 5, 60)

    assert run(world).outcome.stopped == "T2"


@pytest.mark.parametrize(
    ("error", "patience"), [(ApiUnavailable("no route"), 300.0), (ApiForbidden("not allowed"), 0.0)]
)
def test_an_api_server_that_no_longer_answers_ends_the_wait_and_names_the_backup(
    error: HastewardError, patience: float
) -> None:
    world = world_of(course=((1, {"phase": "running"}),))
    world.on_call = Away(error, 5, 10_000)

    with pytest.raises(type(error), match=r"goes on without us") as failure:
        run(world)

    assert made(world)[0]["metadata"]["name"] in failure.value.message
    assert patience <= world.clock.monotonic() < patience + 15


def test_a_creation_whose_answer_was_lost_is_found_again() -> None:
    world = world_of()
    create = world.kubernetes.create

    def lossy(resource: Any, namespace: str, body: Mapping[str, Any]) -> Json:
        done = create(resource, namespace, body)
        if resource == BACKUPS:
            raise ApiUnavailable("the answer was lost")
        return done

    lost: Any = LostAnswers(world.kubernetes, lossy)
    outcome = native_backup(ENGINE, replace(world.context(), kubernetes=lost), CLUSTER).outcome

    assert outcome.stopped == "T2"
    assert len(made(world)) == 1


@dataclass
class LostAnswers:
    """An API server whose answers to `create` get lost."""

    port: FakeKubernetes
    create: Callable[..., Json]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.port, name)


def test_ctrl_c_tells_that_the_backup_goes_on() -> None:
    world = world_of()
    world.clock.after(30, _interrupt)

    with pytest.raises(KeyboardInterrupt):
        run(world)

    assert "native.goes_on" in world.reporter.warnings()


def _interrupt() -> None:
    raise KeyboardInterrupt


class TestNative(NativeConformance):
    """Asked for once, whatever fails."""

    engine = plugin

    def world(self, state: str = HEALTHY) -> World:
        assert state == HEALTHY
        return world_of()


def test_a_lost_lease_or_a_missing_right_is_told_as_it_is() -> None:
    world = world_of()
    world.on_call = FailNth(1, ApiForbidden("not allowed to create backups"), match="create backups")

    with pytest.raises(ApiForbidden) as failure:
        run(world)

    assert failure.value.exit_code is ExitCode.DEPENDENCY
    assert made(world) == []


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("pg", "pg-20260102t030405z"),
        ("a" * 50, f"{'a' * 46}-20260102t030405z"),
        (f"{'a' * 45}-{'b' * 4}", f"{'a' * 45}-20260102t030405z"),
    ],
)
def test_the_name_of_a_backup_can_be_a_label(name: str, found: str) -> None:
    assert backup_name(ClusterRef("cnpg", "db", name), "20260102T030405Z") == found
    assert len(found) <= 63


def test_a_status_full_of_surprises_is_read_all_the_same() -> None:
    surprises: list[dict[str, Any]] = [
        {},
        {"status": None},
        {"status": {"phase": None, "error": None, "instanceID": None, "snapshotBackupStatus": None}},
        {"status": {"snapshotBackupStatus": {"elements": [{"name": "s1"}, {"name": "s1-wal"}]}}},
    ]

    assert [parse_backup(body).said for body in surprises] == ["not begun"] * 4
    assert parse_backup(surprises[3]).details == {"snapshots": "s1, s1-wal"}
