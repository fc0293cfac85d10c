"""Loads plugins one entry point at a time and addresses ONE engine; only this touches pluggy's hooks.

Each entry point is imported, registered and checked in its own try: a broken engine is unregistered,
shown by ``hasteward engines``, and never takes the tool down.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

import pluggy

from hasteward.domain.capability import Capability, DumpLayout, EngineInfo, Unsupported
from hasteward.domain.errors import InvalidInput
from hasteward.domain.option import Kind, OptionSpec, Value
from hasteward.hookspecs import (
    ENGINE_GROUP,
    PLUGIN_GROUP,
    PROJECT,
    CommandSpec,
    EngineSpec,
    ObserverSpec,
    PluginSpec,
)

#: how long an observer is waited for
OBSERVER_SECONDS = 10.0


class EntryPoint(Protocol):
    """The part of an entry point that is used; tests pass their own."""

    @property
    def name(self) -> str:
        """The name on the left of the equals sign."""

    @property
    def group(self) -> str:
        """``hasteward.engines`` or ``hasteward.plugins``."""

    @property
    def value(self) -> str:
        """``module:object``."""

    def load(self) -> Any:
        """Import it."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A plugin that could not be used, and why."""

    name: str
    origin: str
    reason: str


class Engine:
    """One engine, addressed. Hooks are called on it alone."""

    def __init__(
        self,
        info: EngineInfo,
        plugin: EngineSpec,
        implemented: frozenset[str],
        options: tuple[OptionSpec, ...] = (),
    ) -> None:
        self.info = info
        self.options = options
        self._plugin = plugin
        self._implemented = implemented

    def layout(self, options: Mapping[str, Value]) -> DumpLayout:
        """File name and format of its dumps under `options`."""
        if "layout" in self._implemented:
            return self._plugin.layout(options=options)
        return DumpLayout(self.info.dump_file, self.info.dump_format)

    def load(self, capability: Capability) -> None:
        """Import what the engine has for it, as far as that is in a module of this name beside the plugin: a
        hook would do it when it is called, and here is time now. What cannot be imported fails then.
        """
        package = type(self._plugin).__module__.rpartition(".")[0]
        if package:
            with contextlib.suppress(ImportError):
                importlib.import_module(f"{package}.{capability}")

    @property
    def puts_back(self) -> EngineSpec | None:
        """The engine, typed, if it can take a restore back."""
        return self._plugin if "put_back" in self._implemented else None

    @property
    def stops(self) -> EngineSpec | None:
        """The engine, typed, if it can stop a member to look at its data."""
        return self._plugin if "plan_stop" in self._implemented else None

    def require(self, capability: Capability) -> EngineSpec:
        """The engine, typed, if it offers `capability`; InvalidInput with its own reason if not."""
        match self.info.capability(capability):
            case Unsupported(reason):
                raise InvalidInput(
                    f"engine {self.info.name} does not support {capability}: {reason}",
                    code="engine.unsupported",
                )
            case _ if capability.value not in self._implemented:
                raise InvalidInput(
                    f"engine {self.info.name} declares {capability} but does not implement it",
                    code="engine.unsupported",
                )
            case _:
                return self._plugin


class Observer:
    """One plugin that watches runs. `seconds` is how long it is waited for."""

    def __init__(self, name: str, manager: pluggy.PluginManager, seconds: float = OBSERVER_SECONDS) -> None:
        self.name = name
        self.seconds = seconds
        self._manager = manager

    def hears(self, hook: str) -> bool:
        """Whether it implements the hook."""
        return _implements(self._manager, hook)

    def tell(self, hook: str, **said: Any) -> None:
        """Call the hook; whatever it raises comes through."""
        getattr(self._manager.hook, hook)(**said)


def observer(name: str, plugin: ObserverSpec, seconds: float = OBSERVER_SECONDS) -> Observer:
    """An observer that did not come from an entry point, held to the same contract."""
    return Observer(name, _managed(name, plugin, ObserverSpec), seconds)


@dataclass(frozen=True, slots=True)
class Plugins:
    """Everything that was found."""

    engines: Mapping[str, Engine]
    broken: tuple[Broken, ...]
    commands: tuple[CommandSpec, ...]
    observers: tuple[Observer, ...] = ()

    @property
    def options(self) -> dict[str, tuple[OptionSpec, ...]]:
        """Every engine's options."""
        return {name: engine.options for name, engine in sorted(self.engines.items())}

    def engine(self, name: str) -> Engine:
        """The engine called `name`; InvalidInput that says which there are."""
        if name in self.engines:
            return self.engines[name]
        broken = next((b for b in self.broken if b.name == name), None)
        if broken is not None:
            raise InvalidInput(
                f"engine {name} is installed but could not be loaded: {broken.reason}",
                hint="hasteward engines",
                code="engine.broken",
            )
        if not self.engines:
            raise InvalidInput(
                f"no engine is installed, so {name!r} is not known",
                hint=f"pip install hasteward-{name}",
                code="engine.unknown",
            )
        raise InvalidInput(
            f"engine {name!r} is not known; installed: {', '.join(sorted(self.engines))}",
            hint="hasteward engines",
            code="engine.unknown",
        )


def installed_entry_points() -> Iterable[EntryPoint]:
    """The entry points of both groups in this environment."""
    import importlib_metadata

    found = importlib_metadata.entry_points()
    return [*found.select(group=ENGINE_GROUP), *found.select(group=PLUGIN_GROUP)]


def load(entry_points: Iterable[EntryPoint], reserved: Collection[str] = ()) -> Plugins:
    """Load every entry point in its own try. Of two with one name, neither is used.

    `reserved` are the names of core's own settings, which no engine's option may have.
    """
    found = sorted(entry_points, key=lambda entry: entry.name)
    shapes: dict[str, tuple[Kind, str]] = dict.fromkeys(reserved, (Kind.TEXT, ""))
    engines: dict[str, Engine] = {}
    broken: list[Broken] = []
    commands: list[CommandSpec] = []
    observers: list[Observer] = []
    names = [entry.name for entry in found if entry.group == ENGINE_GROUP]
    for entry in found:
        try:
            if entry.group == ENGINE_GROUP and names.count(entry.name) > 1:
                raise InvalidInput(f"{names.count(entry.name)} installed engines are called {entry.name!r}")
            plugin, manager = _register(entry)
            added = _commands(manager, plugin)
            if entry.group == ENGINE_GROUP:
                engine = _engine(entry, plugin, manager)
                _claim(engine, shapes)
                engines[entry.name] = engine
            else:
                observers.append(Observer(entry.name, manager))
            commands.extend(added)
        except (Exception, SystemExit) as error:  # noqa: BLE001  whatever a stranger's module raises is its own
            broken.append(Broken(entry.name, entry.value, f"{type(error).__name__}: {error}"))
    return Plugins(engines, tuple(broken), tuple(commands), tuple(observers))


def _register(entry: EntryPoint) -> tuple[PluginSpec, pluggy.PluginManager]:
    """A manager of its own per plugin: a misspelt hook or a wrong signature is that plugin's error alone."""
    loaded = entry.load()
    plugin = loaded() if isinstance(loaded, type) else loaded
    if hasattr(plugin, "plugin"):  # a module that holds its instance under this name
        plugin = plugin.plugin
    manager = _managed(entry.name, plugin, EngineSpec if entry.group == ENGINE_GROUP else ObserverSpec)
    return cast("PluginSpec", plugin), manager


def _managed(name: str, plugin: object, contract: type[PluginSpec]) -> pluggy.PluginManager:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(contract)
    manager.register(plugin, name=name)
    manager.check_pending()
    return manager


def _implements(manager: pluggy.PluginManager, hook: str) -> bool:
    caller = getattr(manager.hook, hook, None)
    return bool(caller and cast("Callable[[], list[Any]]", caller.get_hookimpls)())


def _commands(manager: pluggy.PluginManager, plugin: PluginSpec) -> tuple[CommandSpec, ...]:
    return plugin.commands() if _implements(manager, "commands") else ()


def _engine(entry: EntryPoint, plugin: PluginSpec, manager: pluggy.PluginManager) -> Engine:
    if not _implements(manager, "info"):
        raise InvalidInput("an engine must implement the hook info()")
    engine = cast("EngineSpec", plugin)
    info = engine.info()
    if not isinstance(info, EngineInfo):
        raise InvalidInput(f"info() returned {type(info).__name__}, not EngineInfo")
    if info.name != entry.name:
        raise InvalidInput(f"the engine calls itself {info.name!r} but its entry point is {entry.name!r}")
    hooks = (*(c.value for c in Capability), "layout", "put_back", "plan_stop")
    implemented = frozenset(hook for hook in hooks if _implements(manager, hook))
    options = tuple(engine.options()) if _implements(manager, "options") else ()
    return Engine(info, engine, implemented, options)


def _claim(engine: Engine, shapes: dict[str, tuple[Kind, str]]) -> None:
    """Take the names of the engine's options; InvalidInput if one of them cannot be had."""
    own: dict[str, tuple[Kind, str]] = {}
    for option in engine.options:
        if option.problem:
            raise InvalidInput(option.problem)
        if option.name in own:
            raise InvalidInput(f"it declares option {option.name!r} twice")
        shape, owner = shapes.get(option.name, (option.shape, engine.info.name))
        if not owner:
            raise InvalidInput(f"option {option.name!r} has the name of one of hasteward's own settings")
        if shape is not option.shape:
            raise InvalidInput(
                f"option {option.name!r} is {option.shape.value} here and {shape.value} for engine {owner}"
            )
        own[option.name] = (shape, owner)
    shapes.update(own)
