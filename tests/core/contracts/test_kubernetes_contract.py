"""One contract, two API servers: what the lab's does through the real adapter, the fake does too."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hasteward.domain.errors import HastewardError
from hasteward.ports.kubernetes import (
    CONFIG_MAPS,
    PODS,
    ApiConflict,
    ApiForbidden,
    ApiNotFound,
    ApiUnauthorized,
    ApiUnavailable,
    Json,
)
from hasteward.testing.faults import Failure, away, conflict, forbidden, unauthorized


@pytest.fixture
def named(side: Any) -> Iterator[Callable[..., Json]]:
    """Makes ConfigMaps that are gone after the test; `n` is the end of their names."""
    mark = secrets.token_hex(3)

    def made(n: str, **labels: str) -> Json:
        return {"metadata": {"name": f"c{mark}-{n}", "labels": {"mark": mark, **labels}}, "data": {"k": n}}

    yield made
    side.heal()
    for row in side.api.list(CONFIG_MAPS, "db", labels=f"mark={mark}"):
        side.api.delete(CONFIG_MAPS, "db", row["metadata"]["name"])


def test_an_object_is_created_once_and_read_back(side: Any, named: Any) -> None:
    body = named("a")
    name = body["metadata"]["name"]

    created = side.api.create(CONFIG_MAPS, "db", body)

    meta = created["metadata"]
    assert (meta["name"], meta["namespace"], created["data"]) == (name, "db", {"k": "a"})
    assert meta["uid"]
    assert int(meta["resourceVersion"]) > 0
    got = side.api.get(CONFIG_MAPS, "db", name)
    assert (got["metadata"], got["data"]) == (meta, created["data"])
    with pytest.raises(ApiConflict) as again:
        side.api.create(CONFIG_MAPS, "db", body)
    assert again.value.code == "kubernetes.already_exists"


def test_an_object_that_is_not_there_is_proven_not_to_be(side: Any, named: Any) -> None:
    body = named("gone")
    name = body["metadata"]["name"]
    for act in (
        lambda: side.api.get(CONFIG_MAPS, "db", name),
        lambda: side.api.replace(CONFIG_MAPS, "db", name, body),
        lambda: side.api.patch(CONFIG_MAPS, "db", name, {"data": {}}),
        lambda: side.api.delete(CONFIG_MAPS, "db", name),
    ):
        with pytest.raises(ApiNotFound):
            act()


def test_a_stale_version_never_overwrites(side: Any, named: Any) -> None:
    first = side.api.create(CONFIG_MAPS, "db", named("a"))
    name = first["metadata"]["name"]

    second = side.api.replace(CONFIG_MAPS, "db", name, first | {"data": {"k": "b"}})

    assert second["metadata"]["uid"] == first["metadata"]["uid"]
    assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])
    with pytest.raises(ApiConflict):
        side.api.replace(CONFIG_MAPS, "db", name, first | {"data": {"k": "c"}})
    stale = {"metadata": {"resourceVersion": first["metadata"]["resourceVersion"]}, "data": {"k": "c"}}
    with pytest.raises(ApiConflict):
        side.api.patch(CONFIG_MAPS, "db", name, stale)
    assert side.api.get(CONFIG_MAPS, "db", name)["data"] == {"k": "b"}


def test_a_merge_patch_adds_changes_and_takes_away(side: Any, named: Any) -> None:
    made = side.api.create(CONFIG_MAPS, "db", named("a", role="x"))
    name = made["metadata"]["name"]

    patched = side.api.patch(
        CONFIG_MAPS, "db", name, {"metadata": {"labels": {"role": None, "seen": "yes"}}, "data": {"l": "2"}}
    )

    assert patched["metadata"]["labels"] == {"mark": made["metadata"]["labels"]["mark"], "seen": "yes"}
    assert patched["data"] == {"k": "a", "l": "2"}
    same = side.api.patch(CONFIG_MAPS, "db", name, {"data": {"l": "2"}})
    assert same["metadata"]["resourceVersion"] == patched["metadata"]["resourceVersion"], "nothing changed"


def test_what_is_created_again_is_another_object(side: Any, named: Any) -> None:
    body = named("a")
    first = side.api.create(CONFIG_MAPS, "db", body)

    side.api.delete(CONFIG_MAPS, "db", body["metadata"]["name"])
    second = side.api.create(CONFIG_MAPS, "db", body)

    assert second["metadata"]["uid"] != first["metadata"]["uid"]


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("", "a b c"),
        ("role=primary", "a"),
        ("role==primary", "a"),
        ("role!=primary", "b c"),
        ("role", "a b"),
        ("!role", "c"),
        ("role in (primary, replica)", "a b"),
        ("role notin (primary)", "b c"),
        ("role,tier=db", "b"),
    ],
)
def test_a_list_is_ordered_and_holds_what_the_selector_says(
    side: Any, named: Any, selector: str, found: str
) -> None:
    bodies = [named("c"), named("b", role="replica", tier="db"), named("a", role="primary")]
    for body in bodies:
        side.api.create(CONFIG_MAPS, "db", body)
    mine = f"mark={bodies[0]['metadata']['labels']['mark']}"

    for namespace in ("db", ""):
        rows = side.api.list(CONFIG_MAPS, namespace, labels=f"{mine},{selector}" if selector else mine)
        assert " ".join(row["metadata"]["name"][-1] for row in rows) == found, namespace
    assert side.api.list(CONFIG_MAPS, "default", labels=mine) == []


def seen(events: Iterator[Json]) -> list[tuple[str, str]]:
    """What a watch told, without bookmarks."""
    return [
        (event["type"], event["object"]["metadata"]["name"][-1])
        for event in events
        if event["type"] != "BOOKMARK"
    ]


def test_a_watch_tells_what_happened_since_and_what_happens(side: Any, named: Any) -> None:
    a, b, c = named("a", role="x"), named("b", role="x"), named("c")
    since = side.api.create(CONFIG_MAPS, "db", a)["metadata"]["resourceVersion"]
    mark = a["metadata"]["labels"]["mark"]
    side.api.create(CONFIG_MAPS, "db", b)
    side.api.create(CONFIG_MAPS, "db", c)
    side.api.patch(CONFIG_MAPS, "db", a["metadata"]["name"], {"data": {"k": "new"}})
    side.api.patch(CONFIG_MAPS, "db", b["metadata"]["name"], {"metadata": {"labels": {"role": None}}})
    side.api.patch(CONFIG_MAPS, "db", c["metadata"]["name"], {"metadata": {"labels": {"role": "x"}}})
    side.meanwhile(lambda: side.api.delete(CONFIG_MAPS, "db", a["metadata"]["name"]))

    begun = side.clock.monotonic()
    told = seen(side.api.watch(CONFIG_MAPS, "db", since=since, seconds=2, labels=f"mark={mark},role=x"))

    assert told == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b"), ("ADDED", "c"), ("DELETED", "a")]
    assert side.clock.monotonic() - begun >= 1.5, "it lasts as long as it was asked to"


def test_a_watch_from_nowhere_begins_with_what_is_there(side: Any, named: Any) -> None:
    for n in ("b", "a"):
        side.api.create(CONFIG_MAPS, "db", body := named(n))
    mine = f"mark={body['metadata']['labels']['mark']}"

    told = seen(side.api.watch(CONFIG_MAPS, "db", since="", seconds=1, labels=mine))

    assert told == [("ADDED", "a"), ("ADDED", "b")]


def test_a_watch_from_a_time_that_is_forgotten_must_begin_again(side: Any, named: Any) -> None:
    since = side.api.create(CONFIG_MAPS, "db", named("a"))["metadata"]["resourceVersion"]
    side.api.create(CONFIG_MAPS, "db", named("b"))
    side.compact()

    with pytest.raises(ApiConflict) as caught:
        list(side.api.watch(CONFIG_MAPS, "db", since=since, seconds=1))

    assert caught.value.code == "kubernetes.expired"


def test_what_may_not_be_done_is_known_beforehand_and_refused(side: Any, named: Any) -> None:
    limited = side.limited()

    assert limited.may("list", PODS, "db")
    assert not limited.may("create", PODS, "db", "exec")
    assert not limited.may("create", CONFIG_MAPS, "db")
    assert [row["metadata"]["name"] for row in limited.list(PODS, "db", labels="cnpg.io/cluster=pg")] == [
        "pg-1"
    ]
    with pytest.raises(ApiForbidden) as caught:
        limited.create(CONFIG_MAPS, "db", named("a"))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("code", "failure", "error"),
    [
        (503, away, ApiUnavailable),
        (429, away, ApiUnavailable),
        (403, forbidden, ApiForbidden),
        (401, unauthorized, ApiUnauthorized),
        (409, conflict, ApiConflict),
    ],
)
def test_a_call_that_fails_fails_alike(
    side: Any, named: Any, code: int, failure: Failure, error: type[HastewardError]
) -> None:
    side.fail(failure, code)

    with pytest.raises(error) as caught:
        side.api.create(CONFIG_MAPS, "db", named("a"))

    assert type(caught.value) is error
    assert caught.value.code == error.code
