"""Lists and watches: chunks, versions, bookmarks, and the ways a watch breaks."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from hasteward_lab.lab import Lab
from hasteward_lab.state import LabError

pytestmark = pytest.mark.servers


@pytest.fixture
def maps(lab: Lab, space: str) -> str:
    path = f"/api/v1/namespaces/{space}/secrets"
    for number in range(5):
        lab.client.call("POST", path, {"metadata": {"name": f"m{number}"}, "data": {"n": "MA=="}})
    return path


def watch(lab: Lab, path: str, limit: float = 5.0) -> Iterator[dict[str, Any]]:
    """The events of a watch till the server ends it; TimeoutError after so long a silence."""
    config = lab.state.load_config()
    tls = ssl.create_default_context(cafile=str(lab.state.ca))
    connection = http.client.HTTPSConnection("127.0.0.1", config.port, context=tls, timeout=limit)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {config.tokens['admin']}"})
        answer = connection.getresponse()
        while line := answer.readline():
            yield json.loads(line)
    finally:
        connection.close()


def names(page: dict[str, Any]) -> list[str]:
    return [item["metadata"]["name"] for item in page["items"]]


def test_chunks_are_of_one_snapshot(lab: Lab, maps: str) -> None:
    first = lab.client.call("GET", f"{maps}?limit=2")
    assert (names(first), first["metadata"]["remainingItemCount"]) == (["m0", "m1"], 3)
    lab.client.call("DELETE", f"{maps}/m3")
    lab.client.call("POST", maps, {"metadata": {"name": "m9"}})
    second = lab.client.call("GET", f"{maps}?limit=10&continue={first['metadata']['continue']}")
    assert names(second) == ["m2", "m3", "m4"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert names(lab.client.call("GET", maps)) == ["m0", "m1", "m2", "m4", "m9"]
    exact = f"?resourceVersion={first['metadata']['resourceVersion']}&resourceVersionMatch=Exact"
    assert "m3" in names(lab.client.call("GET", maps + exact))


def test_a_forgotten_place_is_410_and_the_future_is_504(lab: Lab, maps: str) -> None:
    token = lab.client.call("GET", f"{maps}?limit=2")["metadata"]["continue"]
    lab.compact()
    with pytest.raises(LabError, match="continue parameter is too old"):
        lab.client.call("GET", f"{maps}?limit=2&continue={token}")
    with pytest.raises(LabError, match="Too large resource version: 99999999"):
        lab.client.call("GET", f"{maps}?resourceVersion=99999999")


def test_initial_events_end_with_a_bookmark(lab: Lab, maps: str) -> None:
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    events = list(watch(lab, f"{maps}?{query}&timeoutSeconds=1"))
    assert [event["type"] for event in events] == ["ADDED"] * 5 + ["BOOKMARK"]
    marks = events[-1]["object"]["metadata"]["annotations"]
    assert marks == {"k8s.io/initial-events-end": "true"}


def test_a_dropped_watch_loses_its_connection_and_can_be_resumed(faults: Lab, maps: str) -> None:
    faults.add_fault("watch-drop", resource="secrets", after=3)
    began = time.monotonic()
    seen = list(watch(faults, f"{maps}?watch=1", limit=30))
    assert time.monotonic() - began < 20
    assert len(seen) == 3
    faults.clear_faults()
    version = seen[-1]["object"]["metadata"]["resourceVersion"]
    faults.client.call("PATCH", f"{maps}/m0", {"data": {"n": "MQ=="}})
    again = list(watch(faults, f"{maps}?watch=1&resourceVersion={version}&timeoutSeconds=1"))
    assert [event["type"] for event in again][-1] == "MODIFIED"


def test_a_black_hole_swallows_the_events_of_a_watch_that_is_open(faults: Lab, maps: str) -> None:
    events = watch(faults, f"{maps}?watch=1", limit=1.0)
    assert [next(events)["type"] for _ in range(5)] == ["ADDED"] * 5
    faults.add_fault("watch-blackhole", resource="secrets")

    def change() -> None:
        time.sleep(0.2)
        faults.client.call("PATCH", f"{maps}/m0", {"data": {"n": "MQ=="}})

    worker = threading.Thread(target=change)
    worker.start()
    with pytest.raises(TimeoutError):
        next(events)
    worker.join()
    assert faults.client.call("GET", f"{maps}/m0")["data"] == {"n": "MQ=="}
