"""Who is cut off stops itself; who only waits for a slow API server does not.

A primary whose API server answered late three times was ended by the kubelet and failed over from, though the
other instances were there all the time.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hasteward_lab.kubelet.probes import _LEAST_TIMEOUT
from hasteward_lab.postgres.instance.manager import Manager
from hasteward_lab.postgres.instance.probes import Probes
from hasteward_lab.postgres.instance.settings import STATUS_PORT, Settings

#: one that has no server, and one that has: this machine's own addresses
GONE, THERE = "127.77.0.1", "127.77.0.2"


@pytest.fixture(scope="module", autouse=True)
def peer() -> Iterator[None]:
    with socket.create_server((THERE, STATUS_PORT)):
        yield


@pytest.fixture
def silent() -> Iterator[tuple[str, int]]:
    """An API server that takes every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()


def primary(folder: Path, door: tuple[str, int], *peers: str) -> Manager:
    """A primary of this version that has not heard of the API server for long."""
    manager = Manager(Settings("pg-1", "db", "pg", folder, door, ""))
    states = {f"pg-{number}": {"ip": address} for number, address in enumerate(peers, start=2)}
    cluster = {"status": {"instancesReportedState": {"pg-1": {"ip": "127.77.0.9"}, **states}}}
    manager.told = {"cluster": cluster, "level": {"isolation_check": True}, "scale": 0.1}
    manager.server = SimpleNamespace(running=True)
    manager.api_seen = time.monotonic() - 60
    return manager


@pytest.mark.parametrize(
    ("peers", "code"), [((THERE,), 200), ((GONE, THERE), 200), ((GONE,), 500), ((GONE, GONE), 500), ((), 200)]
)
def test_a_slow_api_is_no_isolation_while_another_instance_is_there(
    tmp_path: Path, silent: tuple[str, int], peers: tuple[str, ...], code: int
) -> None:
    manager = primary(tmp_path, silent, *peers)
    began = time.monotonic()
    assert Probes(manager).answer("/healthz", certified=False)[0] == code
    assert time.monotonic() - began < _LEAST_TIMEOUT, "the kubelet has gone before the answer"


def test_a_replica_is_alive_whatever_it_reaches(tmp_path: Path, silent: tuple[str, int]) -> None:
    manager = primary(tmp_path, silent, GONE)
    (tmp_path / "standby.signal").touch()
    assert Probes(manager).answer("/healthz", certified=False)[0] == 200


def test_an_api_that_answered_just_now_is_not_asked_again(tmp_path: Path, silent: tuple[str, int]) -> None:
    manager = primary(tmp_path, silent, GONE)
    manager.api_seen = time.monotonic()
    assert Probes(manager).answer("/healthz", certified=False)[0] == 200


@pytest.mark.servers
@pytest.mark.long
def test_a_primary_that_is_cut_off_ends_itself_and_the_kubelet_tells(site: Any) -> None:
    lab = site.lab
    cut_off = lab.primary
    lab.chaos.isolate(cut_off)
    try:
        site.until(lambda: lab.primary != cut_off, 60)
    finally:
        lab.chaos.heal()
    site.healthy()
    told = {
        (row["reason"], row["message"])
        for row in lab.get("events")
        if row["involvedObject"]["name"] == cut_off
    }
    assert ("Killing", "Container postgres failed liveness probe, will be restarted") in told
    assert any(why == "Unhealthy" and said.startswith("Liveness probe failed: ") for why, said in told)
