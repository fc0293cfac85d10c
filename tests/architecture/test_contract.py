"""The hookspecs are the reference manual, so every hook is documented and every capability has its hook."""

from __future__ import annotations

import inspect

from hasteward import hookspecs
from hasteward.domain.capability import Capability

BESIDE_CAPABILITIES = {"info", "commands", "options", "layout", "put_back", "plan_stop"}
OBSERVERS = {"before_run", "run_started", "phase", "run_finished"}


def hooks() -> dict[str, object]:
    return {
        name: member
        for owner in (hookspecs.PluginSpec, hookspecs.ObserverSpec, hookspecs.EngineSpec)
        for name, member in vars(owner).items()
        if hasattr(member, f"{hookspecs.PROJECT}_spec")
    }


def test_every_hook_is_documented() -> None:
    undocumented = [name for name, hook in hooks().items() if not inspect.getdoc(hook)]

    assert undocumented == []


def test_every_hook_that_touches_a_cluster_states_its_obligations() -> None:
    silent = [
        name
        for name, hook in hooks().items()
        if name in set(Capability) and "MUST" not in inspect.getdoc(hook)
    ]

    assert silent == []


def test_every_capability_is_a_hook_and_every_hook_is_a_capability_or_named_here() -> None:
    names = set(hooks())
    capabilities = {capability.value for capability in Capability}

    assert names - capabilities == BESIDE_CAPABILITIES | OBSERVERS
    assert capabilities <= names


def test_every_argument_of_a_hook_has_a_type() -> None:
    untyped = [
        f"{name}({parameter.name})"
        for name, hook in hooks().items()
        for parameter in inspect.signature(hook).parameters.values()
        if parameter.name != "self" and parameter.annotation is parameter.empty
    ]

    assert untyped == []
