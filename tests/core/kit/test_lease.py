"""One run per cluster; a dead run's Lease never blocks the next for long."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Refused
from hasteward.kit import lease as lease_module
from hasteward.kit.lease import held, lease_name
from hasteward.ports.context import EngineContext, Run
from hasteward.ports.kubernetes import LEASES, ApiUnavailable, Json
from hasteward.testing.clock import VirtualClock
from hasteward.testing.kubernetes import FakeKubernetes, Result
from hasteward.testing.reporter import Approval, RecordingReporter

CLUSTER = ClusterRef("toy", "db", "pg")


def world() -> tuple[EngineContext, FakeKubernetes, VirtualClock]:
    clock = VirtualClock()
    api = FakeKubernetes(lambda *_: Result())
    run = Run("a" * 16, datetime(2026, 1, 2, tzinfo=UTC))
    return EngineContext(api, clock, RecordingReporter(), run, Approval()), api, clock


def holder(api: FakeKubernetes) -> str:
    return str(api.get(LEASES, "db", lease_name(CLUSTER))["spec"]["holderIdentity"])


def plant(api: FakeKubernetes, clock: VirtualClock, identity: str) -> Json:
    body: Json = {
        "metadata": {"name": lease_name(CLUSTER), "namespace": "db"},
        "spec": {
            "holderIdentity": identity,
            "leaseDurationSeconds": 60,
            "renewTime": clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        },
    }
    api.add(LEASES, body)
    return body


def test_it_is_taken_and_given_back() -> None:
    context, api, _ = world()

    with held(context, CLUSTER):
        assert "run=aaaaaaaaaaaaaaaa" in holder(api)

    assert holder(api) == ""


def test_it_is_given_back_when_the_work_fails() -> None:
    context, api, _ = world()

    with pytest.raises(RuntimeError), held(context, CLUSTER):
        raise RuntimeError

    assert holder(api) == ""


def test_a_second_run_is_refused_and_told_who_holds_it() -> None:
    context, _, _ = world()

    with (
        held(context, CLUSTER),
        pytest.raises(Refused, match="run=aaaaaaaaaaaaaaaa") as caught,
        held(context, CLUSTER),
    ):
        pass

    assert caught.value.code == "lease.held"


def test_a_holder_that_died_on_this_machine_is_replaced_at_once() -> None:
    context, api, clock = world()
    code = "import sys; from hasteward.kit.lease import _holder; sys.stdout.write(_holder('dead'))"
    dead = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    plant(api, clock, dead)

    with held(context, CLUSTER):
        assert "run=aaaa" in holder(api)
    assert clock.monotonic() == 0


def test_a_holder_elsewhere_is_believed_until_it_expires() -> None:
    context, api, clock = world()
    plant(api, clock, "run=x host=elsewhere boot=b pid=1 start=1")

    with pytest.raises(Refused), held(context, CLUSTER):
        pass
    clock.sleep(61)
    with held(context, CLUSTER):
        assert "run=aaaa" in holder(api)
    assert clock.monotonic() > 61 + lease_module.RENEW_SECONDS, "it watched for a renewal first"


def test_an_expired_lease_that_is_renewed_while_we_watch_is_left_alone() -> None:
    context, api, clock = world()
    body = plant(api, clock, "run=x host=elsewhere boot=b pid=1 start=1")
    clock.sleep(61)
    sleep = clock.sleep

    def renew_meanwhile(seconds: float) -> None:
        body["spec"]["renewTime"] = "2026-01-02T05:00:00.000000Z"
        api.add(LEASES, body)
        sleep(seconds)

    clock.sleep = renew_meanwhile  # type: ignore[method-assign]
    with pytest.raises(Refused), held(context, CLUSTER):
        pass


def test_it_is_renewed_for_as_long_as_the_work_takes() -> None:
    context, api, clock = world()

    with held(context, CLUSTER) as lease:
        clock.sleep(10 * lease_module.DURATION_SECONDS)
        lease.check()
        assert api.writes.count("replace leases hasteward-toy-pg") == 40

    written = list(api.writes)
    clock.sleep(10 * lease_module.DURATION_SECONDS)
    assert api.writes == written, "nobody renews what was given back"


def test_work_is_refused_when_the_lease_could_not_be_renewed() -> None:
    context, api, clock = world()

    def away(call: str) -> None:
        if call == "replace leases":
            raise ApiUnavailable("nobody is there")

    with held(context, CLUSTER) as lease:
        api.on_call = away
        clock.sleep(lease_module.DURATION_SECONDS)
        lease.check()
        clock.sleep(1)
        with pytest.raises(Refused) as caught:
            lease.check()

    assert caught.value.code == "lease.lost"
    assert isinstance(context.reporter, RecordingReporter)
    assert context.reporter.warnings() == ["lease.renew"] * 4


def test_work_is_refused_after_our_process_stood_still_for_too_long() -> None:
    context, _, clock = world()

    with held(context, CLUSTER) as lease:
        clock.freeze(lease_module.DURATION_SECONDS + 1)
        with pytest.raises(Refused) as caught:
            lease.check()

    assert caught.value.code == "lease.lost"


@pytest.mark.parametrize("written", ["2027-06-01T00:00:00.000000Z", "yesterday", None])
def test_a_lease_whose_date_says_nothing_is_watched_and_then_replaced(written: str | None) -> None:
    context, api, clock = world()
    body = plant(api, clock, "run=x host=elsewhere boot=b pid=1 start=1")
    body["spec"]["renewTime"] = written
    api.add(LEASES, body)

    with held(context, CLUSTER):
        assert "run=aaaa" in holder(api)
    assert lease_module.RENEW_SECONDS < clock.monotonic() < lease_module.DURATION_SECONDS


def test_a_holder_that_nobody_has_reaped_is_dead() -> None:
    context, api, clock = world()
    code = "import sys; from hasteward.kit.lease import _holder; sys.stdout.write(_holder('dead'))"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    plant(api, clock, child.stdout.read())
    try:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie now, and until it is waited for
        with held(context, CLUSTER):
            assert "run=aaaa" in holder(api)
        assert clock.monotonic() == 0
    finally:
        child.stdout.close()
        child.wait()
