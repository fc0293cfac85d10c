"""The loader: a broken plugin is its own misfortune, and every refusal says what to do."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from hasteward import CommandSpec, EngineSpec, PluginSpec, hookimpl, plugins
from hasteward.domain.capability import Capability, EngineInfo, Supported, Unsupported
from hasteward.domain.errors import ExitCode, InvalidInput
from hasteward.hookspecs import ENGINE_GROUP, PLUGIN_GROUP


@dataclass(frozen=True)
class Entry:
    """An entry point that loads what it is given, or raises it."""

    name: str
    content: Any
    group: str = ENGINE_GROUP

    @property
    def value(self) -> str:
        return f"hasteward_{self.name}.plugin"

    def load(self) -> Any:
        if isinstance(self.content, BaseException):
            raise self.content
        return self.content


def info(name: str, **capabilities: Supported | Unsupported) -> EngineInfo:
    return EngineInfo(
        name=name,
        title=f"the {name} engine",
        capabilities={Capability(key): value for key, value in capabilities.items()},
    )


class Good(EngineSpec):
    """An engine that can dump, says why it cannot heal, and is silent about the rest."""

    @hookimpl
    def info(self) -> EngineInfo:
        return info("good", dump=Supported(), heal=Unsupported("it has one member"))

    @hookimpl
    def dump(self, context: Any, cluster: Any, sink: Any, options: Any) -> Any:
        return (context, cluster, sink, options)


class Misspelt(EngineSpec):
    @hookimpl
    def info(self) -> EngineInfo:
        return info("bad")

    @hookimpl
    def traige(self, context: Any, cluster: Any) -> None:
        """One letter off."""


class WrongSignature(EngineSpec):
    @hookimpl
    def info(self) -> EngineInfo:
        return info("bad")

    @hookimpl
    def triage(self, context: Any, kluster: Any) -> Any:
        """The contract says cluster."""


class OtherName(EngineSpec):
    @hookimpl
    def info(self) -> EngineInfo:
        return info("better")


class NoInfo(EngineSpec):
    """Subclassing the contract implements none of it."""


class WrongInfo(EngineSpec):
    @hookimpl
    def info(self) -> EngineInfo:
        return cast("EngineInfo", {"name": "bad"})


class InfoRaises(EngineSpec):
    @hookimpl
    def info(self) -> EngineInfo:
        raise RuntimeError("no licence found")


class CommandsRaise(Good):
    @hookimpl
    def info(self) -> EngineInfo:
        return info("bad")

    @hookimpl
    def commands(self) -> tuple[CommandSpec, ...]:
        raise ValueError("no commands today")


class NeedsAnArgument(EngineSpec):
    def __init__(self, licence: str) -> None:
        self.licence = licence


BROKEN = {
    "import fails": (ModuleNotFoundError("No module named 'libfoo'"), "No module named 'libfoo'"),
    "syntax error": (SyntaxError("invalid syntax"), "SyntaxError: invalid syntax"),
    "exits at import": (SystemExit("this engine needs a licence"), "SystemExit: this engine needs a licence"),
    "misspelt hook": (Misspelt, "unknown hook 'traige'"),
    "wrong argument": (WrongSignature, "{'kluster'} are declared in the hookimpl"),
    "other name": (OtherName, "the engine calls itself 'better' but its entry point is 'bad'"),
    "no info": (NoInfo, "an engine must implement the hook info()"),
    "info of the wrong type": (WrongInfo, "info() returned dict, not EngineInfo"),
    "info raises": (InfoRaises, "no licence found"),
    "commands raise": (CommandsRaise, "no commands today"),
    "constructor raises": (NeedsAnArgument, "missing 1 required positional argument: 'licence'"),
}


@pytest.fixture
def good() -> Entry:
    return Entry("good", Good)


@pytest.mark.parametrize(("content", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_engine_is_named_with_its_reason_and_the_others_work(
    content: Any, reason: str, good: Entry
) -> None:
    found = plugins.load([Entry("bad", content), good])

    assert sorted(found.engines) == ["good"]
    assert [(b.name, b.origin) for b in found.broken] == [("bad", "hasteward_bad.plugin")]
    assert reason in found.broken[0].reason


def test_asking_for_a_broken_engine_says_that_it_is_installed_and_why_it_does_not_work(good: Entry) -> None:
    found = plugins.load([Entry("bad", ImportError("libfoo.so is missing")), good])

    with pytest.raises(InvalidInput) as refused:
        found.engine("bad")

    assert refused.value.message == (
        "engine bad is installed but could not be loaded: ImportError: libfoo.so is missing"
    )
    assert (refused.value.hint, refused.value.code) == ("hasteward engines", "engine.broken")


def test_of_two_engines_with_one_name_neither_is_used(good: Entry) -> None:
    found = plugins.load([Entry("twin", OtherName), good, Entry("twin", Good)])

    assert sorted(found.engines) == ["good"]
    assert [b.reason for b in found.broken] == ["InvalidInput: 2 installed engines are called 'twin'"] * 2


def test_a_broken_engine_contributes_no_commands() -> None:
    class Talkative(OtherName):
        @hookimpl
        def commands(self) -> tuple[CommandSpec, ...]:
            return (CommandSpec("surprise", "from an engine that is not used", "nowhere:main"),)

    found = plugins.load([Entry("bad", Talkative)])

    assert [b.name for b in found.broken] == ["bad"]
    assert found.commands == ()


def test_ctrl_c_during_an_import_is_not_swallowed() -> None:
    with pytest.raises(KeyboardInterrupt):
        plugins.load([Entry("bad", KeyboardInterrupt())])


def test_an_unknown_engine_with_none_installed_says_how_to_get_one() -> None:
    with pytest.raises(InvalidInput) as refused:
        plugins.load([]).engine("pigeon")

    assert refused.value.message == "no engine is installed, so 'pigeon' is not known"
    assert refused.value.hint == "pip install hasteward-pigeon"
    assert refused.value.exit_code is ExitCode.INVALID


def test_an_unknown_engine_is_answered_with_those_that_are_installed(good: Entry) -> None:
    with pytest.raises(InvalidInput) as refused:
        plugins.load([good]).engine("goood")

    assert refused.value.message == "engine 'goood' is not known; installed: good"
    assert refused.value.code == "engine.unknown"


def test_a_supported_hook_is_called_on_the_one_engine_that_was_asked_for(good: Entry) -> None:
    engine = plugins.load([good]).engine("good").require(Capability.DUMP)

    assert engine.dump(context=1, cluster=2, sink=3, options=4) == (1, 2, 3, 4)


@pytest.mark.parametrize(
    ("capability", "reason"),
    [
        (Capability.HEAL, "engine good does not support heal: it has one member"),
        (Capability.TRIAGE, "engine good does not support triage: the engine does not declare it"),
    ],
)
def test_what_an_engine_does_not_offer_is_refused_in_its_own_words(
    good: Entry, capability: Capability, reason: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        plugins.load([good]).engine("good").require(capability)

    assert refused.value.message == reason
    assert refused.value.code == "engine.unsupported"


def test_an_engine_that_declares_a_hook_without_implementing_it_is_found_out() -> None:
    class Boastful(EngineSpec):
        @hookimpl
        def info(self) -> EngineInfo:
            return info("boastful", dump=Supported())

    engine = plugins.load([Entry("boastful", Boastful)]).engine("boastful")

    with pytest.raises(InvalidInput) as refused:
        engine.require(Capability.DUMP)

    assert refused.value.message == "engine boastful declares dump but does not implement it"


@pytest.mark.parametrize("form", ["class", "instance", "module"])
def test_an_entry_point_may_name_a_class_an_instance_or_a_module_that_holds_one(form: str) -> None:
    module = type(sys)("hasteward_good.plugin")
    module.plugin = Good()
    content = {"class": Good, "instance": Good(), "module": module}[form]

    assert sorted(plugins.load([Entry("good", content)]).engines) == ["good"]


def test_what_an_engine_has_for_a_capability_is_imported_ahead_if_it_is_where_others_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "steward_ahead"
    package.mkdir()
    for name in ("__init__", "dump"):
        (package / f"{name}.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)

    class Ahead(Good):
        """Its module is beside others."""

    for module in ("steward_ahead.plugin", "plugin_by_itself"):
        Ahead.__module__ = module
        engine = plugins.Engine(info("good"), Ahead(), frozenset())
        for capability in Capability:
            engine.load(capability)

    assert {name for name in sys.modules if "ahead" in name} == {"steward_ahead", "steward_ahead.dump"}


def test_a_plugin_that_is_no_engine_contributes_commands_only() -> None:
    class Extra(PluginSpec):
        @hookimpl
        def commands(self) -> tuple[CommandSpec, ...]:
            return (CommandSpec("pigeon", "release the pigeon", "pigeons:main"),)

    found = plugins.load([Entry("extra", Extra, PLUGIN_GROUP)])

    assert [command.name for command in found.commands] == ["pigeon"]
    assert (found.engines, found.broken) == ({}, ())


def test_an_engine_and_a_plugin_may_share_a_name(good: Entry) -> None:
    found = plugins.load([good, Entry("good", PluginSpec, PLUGIN_GROUP)])

    assert sorted(found.engines) == ["good"]
    assert found.broken == ()


def test_the_installed_engines_are_found_through_their_entry_points() -> None:
    found = plugins.load(plugins.installed_entry_points())

    assert {"galera", "standalone", "vault"} <= set(found.engines) | {b.name for b in found.broken}
