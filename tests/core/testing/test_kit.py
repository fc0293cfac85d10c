"""The kit as it is handed out: names, faults, and a pytest plugin that costs nobody anything."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from hasteward import testing
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import RunFailed, Unproven
from hasteward.kit.streaming import Captured, Question, capture, capture_each
from hasteward.ports.kubernetes import (
    CONFIG_MAPS,
    PODS,
    ApiForbidden,
    ApiNotFound,
    ApiUnavailable,
    PodRef,
    Resource,
    StreamBroken,
    StreamStalled,
)
from hasteward.testing import FailNth, FakeKubernetes, Killed, KillNth, Loss, Result, StreamFault, World
from hasteward.testing.faults import stalled

POD = PodRef("db", "box-1", "main")


def world() -> World:
    data = {"live": b"some data\n"}

    def program(_pod: PodRef, argv: object, _stdin: bytes) -> Result:
        data["seen"] = str(argv).encode()
        return Result(data["live"])

    return World(
        ClusterRef("toy", "db", "box"),
        FakeKubernetes(program),
        content=lambda: dict(data),
        damage=data.clear,
    )


def test_every_name_of_the_kit_can_be_had() -> None:
    assert [name for name in testing.__all__ if not hasattr(testing, name)] == []
    assert sorted(testing._HOME) == sorted(testing.__all__)
    with pytest.raises(AttributeError, match="FakeUniverse"):
        _ = testing.FakeUniverse  # type: ignore[attr-defined]


def test_the_pytest_plugin_loads_nothing_that_it_does_not_need() -> None:
    """Every pytest run beside an installed hasteward imports it, before any measurement of coverage."""
    code = "import sys, hasteward.testing.plugin; print(*sorted(m for m in sys.modules if 'hasteward' in m))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["hasteward", "hasteward.testing", "hasteward.testing.plugin"]


def test_a_failure_strikes_once_and_tells_where() -> None:
    here = world()
    here.on_call = fault = FailNth(2)

    here.kubernetes.list(PODS, "db")
    with pytest.raises(ApiUnavailable, match="create configmaps"):
        here.kubernetes.create(CONFIG_MAPS, "db", {"metadata": {"name": "a"}})
    here.repository.open()

    assert (fault.struck, fault.calls) == ("create configmaps", ["list pods", "create configmaps", "open"])
    assert here.kubernetes.writes == []


def test_a_failure_of_one_kind_counts_only_the_calls_that_can_fail_so() -> None:
    here = world()
    here.on_call = FailNth(1, stalled)

    with (
        pytest.raises(StreamStalled),
        here.kubernetes.exec(POD, ["x"], stdin=False, stall_seconds=1) as stream,
    ):
        stream.receive()


def test_a_failure_can_be_one_error_at_one_kind_of_call() -> None:
    here = world()
    here.on_call = FailNth(1, ApiForbidden("no"), match="delete")

    here.kubernetes.list(PODS, "db")
    with pytest.raises(ApiForbidden):
        here.kubernetes.delete(CONFIG_MAPS, "db", "a")
    with pytest.raises(ApiNotFound):
        here.kubernetes.delete(CONFIG_MAPS, "db", "a")


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("exec", ApiUnavailable),
        ("exec.send", StreamBroken),
        ("watch.event", ApiUnavailable),
        ("open", RunFailed),
    ],
)
def test_what_is_away_fails_as_the_real_port_would(call: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        FailNth(1)(call)


def test_a_dead_process_makes_no_further_call_and_its_timers_are_dead() -> None:
    here = world()
    here.on_call = fault = KillNth(1)
    renewals: list[float] = []
    here.clock.every(10, lambda: renewals.append(here.clock.monotonic()))

    for act in (lambda: here.kubernetes.list(PODS, "db"), here.repository.open):
        with pytest.raises(Killed):
            act()
    assert fault.calls == ["list pods", "open"]

    here.next_run()
    assert renewals == []
    assert here.kubernetes.list(PODS, "db") == []


def test_a_subresource_changes_its_own_part_of_the_object_alone() -> None:
    here = world().kubernetes
    boxes = Resource("toys.example.com", "v1", "boxes")
    here.add(boxes, {"metadata": {"name": "a", "namespace": "db"}, "spec": {"size": 1}, "status": {"at": 1}})

    status = replace(boxes, plural="boxes/status")
    changed = here.patch(status, "db", "a", {"spec": {"size": 2}, "status": {"seen": "yes"}})

    assert (changed["spec"], changed["status"]) == ({"size": 1}, {"at": 1, "seen": "yes"})
    assert here.get(boxes, "db", "a") == changed
    assert here.writes == ["patch boxes/status a"]


def test_a_picture_shows_every_difference() -> None:
    here, there = world(), world()
    assert here.picture() == there.picture()

    here.kubernetes.add(CONFIG_MAPS, {"metadata": {"name": "a", "namespace": "db"}})
    assert here.picture() != there.picture()
    there.kubernetes.add(CONFIG_MAPS, {"metadata": {"name": "a", "namespace": "db"}})
    assert here.picture() == there.picture()
    capture(here.context(), POD, ["look"])
    assert here.picture() != there.picture()


def test_a_fault_of_a_stream_can_be_meant_for_one_exec_alone() -> None:
    here = world()
    here.kubernetes.faults.append(StreamFault(Loss.EXIT, 0, nth=2))

    codes = [capture(here.context(), POD, ["look"]).exit_status for _ in range(3)]

    assert codes == [0, 1, 0]


def test_many_places_are_asked_before_the_first_is_listened_to() -> None:
    here, calls = world(), list[str]()
    here.kubernetes.on_call = calls.append

    answers = capture_each(here.context(), [Question(POD, ["look"])] * 3)

    assert [isinstance(one, Captured) and one.stdout for one in answers] == [b"some data\n"] * 3
    assert calls.index("exec.receive") == 3
    assert calls.count("exec") == 3


def test_of_many_places_one_that_is_lost_is_an_error_in_its_own_place_alone() -> None:
    here = world()
    here.kubernetes.faults.append(StreamFault(Loss.CUT, 4, nth=2))

    answers = capture_each(here.context(), [Question(POD, ["look"])] * 3)

    assert [isinstance(one, Captured) for one in answers] == [True, False, True]
    assert isinstance(answers[1], Unproven)
    assert "connection was lost" in answers[1].message
