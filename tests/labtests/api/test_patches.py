"""Patches and ownership of fields, by themselves: no server, milliseconds."""

from __future__ import annotations

from typing import Any

import pytest

from hasteward_lab.api.crd import structural
from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.patches import apply, fields, json_patch, managed, merge
from hasteward_lab.api.patches.managed import Owner
from hasteward_lab.api.patches.shape import Shapes

CORE = Shapes()
ONE, TWO = (Owner(name, managed.APPLY, "v1") for name in ("one", "two"))
UPDATER = Owner("kubectl", managed.UPDATE, "v1")


def pod(**env: str) -> dict[str, Any]:
    rows = [{"name": name, "value": value} for name, value in env.items()]
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i", "env": rows}]}}


@pytest.mark.parametrize(
    ("old", "patch", "new"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 1}, {"a": None}, {}),
        (
            {"env": [{"name": "x", "value": "1"}]},
            {"env": [{"name": "x", "value": "2"}]},
            {"env": [{"name": "x", "value": "2"}]},
        ),
        (
            {"env": [{"name": "x"}, {"name": "y"}]},
            {"env": [{"name": "x", "$patch": "delete"}]},
            {"env": [{"name": "y"}]},
        ),
        ({"args": ["a"]}, {"args": ["b"]}, {"args": ["b"]}),
        ({"finalizers": ["a"]}, {"finalizers": ["b"]}, {"finalizers": ["a", "b"]}),
        ({"finalizers": ["a", "b"]}, {"$deleteFromPrimitiveList/finalizers": ["a"]}, {"finalizers": ["b"]}),
        ({"s": {"a": 1, "b": 2}}, {"s": {"$retainKeys": ["b", "c"], "c": 3}}, {"s": {"b": 2, "c": 3}}),
        ({"s": {"a": 1}}, {"s": {"$patch": "replace", "b": 2}}, {"s": {"b": 2}}),
        (
            {"env": [{"name": "x"}, {"name": "y"}]},
            {"$setElementOrder/env": [{"name": "y"}, {"name": "x"}], "env": [{"name": "y", "value": "1"}]},
            {"env": [{"name": "y", "value": "1"}, {"name": "x"}]},
        ),
    ],
)
def test_a_strategic_merge_follows_the_lists_keys(old: Any, patch: Any, new: Any) -> None:
    assert merge.strategic(old, patch, CORE) == new


def test_ports_are_told_apart_by_where_they_are() -> None:
    service = {"spec": {"ports": [{"port": 1, "name": "a"}]}}
    assert merge.strategic(service, {"spec": {"ports": [{"port": 1, "name": "b"}]}}, CORE) == {
        "spec": {"ports": [{"port": 1, "name": "b"}]}
    }
    old = {"containers": [{"name": "c", "ports": [{"containerPort": 1}]}]}
    new = merge.strategic(old, {"containers": [{"name": "c", "ports": [{"containerPort": 2}]}]}, CORE)
    assert len(new["containers"][0]["ports"]) == 2


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/a", "value": 2},
        {"op": "remove", "path": "/b"},
        {"op": "replace", "path": "/b", "value": 1},
        {"op": "turn", "path": "/a"},
    ],
)
def test_a_failed_json_patch_changes_nothing(operation: dict[str, Any]) -> None:
    target = {"a": 1}
    with pytest.raises(ApiError) as caught:
        json_patch.apply(target, [{"op": "add", "path": "/c", "value": 1}, operation])
    assert (caught.value.code, target) == (422, {"a": 1})


def test_fields_survive_their_written_form() -> None:
    found = fields.of_object(pod(x="1"), CORE)
    assert fields.decode(fields.encode(found)) == found
    path = ("f:spec", "f:containers", 'k:{"name":"c"}', "f:env", 'k:{"name":"x"}', "f:value")
    assert path in found
    assert fields.spoken(path) == '.spec.containers[name="c"].env[name="x"].value'


def test_an_apply_takes_away_what_it_once_gave() -> None:
    live = apply.apply({"metadata": {}}, pod(x="1", y="2"), ONE, CORE, force=False)
    live = apply.apply(live, pod(x="1"), ONE, CORE, force=False)
    assert live["spec"]["containers"][0]["env"] == [{"name": "x", "value": "1"}]


def test_what_two_own_alike_is_no_conflict_and_stays() -> None:
    live = apply.apply({"metadata": {}}, pod(x="1"), ONE, CORE, force=False)
    live = apply.apply(live, pod(x="1"), TWO, CORE, force=False)
    live = apply.apply(live, {"metadata": {"name": "p"}}, ONE, CORE, force=False)
    assert live["spec"]["containers"][0]["env"] == [{"name": "x", "value": "1"}]
    assert [row["manager"] for row in live["metadata"]["managedFields"]] == ["two"]


def test_a_conflict_names_managers_and_fields_and_force_takes_them() -> None:
    old = pod(x="1", y="1")
    managed.updated(None, old, UPDATER, CORE)
    with pytest.raises(ApiError) as caught:
        apply.apply(old, pod(x="2", y="2"), ONE, CORE, force=False)
    where = '.spec.containers[name="c"].env[name="{}"].value'
    assert caught.value.message == (
        'Apply failed with 2 conflicts: conflicts with "kubectl" using v1:\n'
        f"- {where.format('x')}\n- {where.format('y')}"
    )
    assert caught.value.details is not None
    assert {row["reason"] for row in caught.value.details["causes"]} == {"FieldManagerConflict"}
    new = apply.apply(old, pod(x="2", y="2"), ONE, CORE, force=True)
    assert new["spec"]["containers"][0]["env"][0]["value"] == "2"


def test_an_update_takes_fields_from_those_who_applied_them() -> None:
    live = apply.apply({"metadata": {}}, pod(x="1"), ONE, CORE, force=False)
    new = merge.strategic(live, {"spec": {"containers": [{"name": "c", "image": "j"}]}}, CORE)
    managed.updated(live, new, UPDATER, CORE)
    owners = {entry.owner.manager: entry.held for entry in managed.read(new)}
    image = ("f:spec", "f:containers", 'k:{"name":"c"}', "f:image")
    assert image in owners["kubectl"]
    assert image not in owners["one"]


SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["n"],
            "properties": {
                "n": {"type": "integer", "minimum": 1, "maximum": 9},
                "mode": {"type": "string", "default": "a", "enum": ["a", "b"]},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "port": {"x-kubernetes-int-or-string": True},
                "rows": {
                    "type": "array",
                    "maxItems": 2,
                    "items": {"type": "object", "properties": {"k": {"type": "string"}}},
                },
            },
        }
    },
}


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({}, "spec.n"),
        ({"n": 0}, "greater than or equal to 1"),
        ({"n": 10}, "less than or equal to 9"),
        ({"n": "1"}, 'must be of type integer: "string"'),
        ({"n": True}, 'must be of type integer: "boolean"'),
        ({"n": 1, "mode": "c"}, 'supported values: "a", "b"'),
        ({"n": 1, "rows": [{}, {}, {}]}, "must have at most 2 items"),
        ({"n": 1, "port": []}, "must be of type integer,string"),
    ],
)
def test_a_schema_refuses_with_the_servers_words(spec: dict[str, Any], told: str) -> None:
    rows = list(structural.validate({"spec": spec}, SCHEMA, ""))
    assert len(rows) == 1
    assert told in f"{rows[0]['field']} {rows[0]['message']}"


def test_unknown_fields_are_pruned_unless_they_are_free() -> None:
    unknown: list[str] = []
    item = {"spec": {"n": 1, "x": 1, "free": {"y": 2}, "rows": [{"k": "v", "z": 3}]}}
    pruned = structural.prune(item, SCHEMA, unknown, "")
    assert pruned == {"spec": {"n": 1, "free": {"y": 2}, "rows": [{"k": "v"}]}}
    assert unknown == [".spec.x", ".spec.rows[0].z"]
    assert structural.default(pruned, SCHEMA)["spec"]["mode"] == "a"
