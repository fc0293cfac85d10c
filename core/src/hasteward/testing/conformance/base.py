"""What the parts share: how an engine is addressed, and the sweeps over every way to fail."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import pytest

from hasteward import plugins
from hasteward.domain.capability import Capability, Unsupported
from hasteward.domain.errors import ExitCode, HastewardError
from hasteward.domain.option import Value
from hasteward.hookspecs import ENGINE_GROUP, EngineSpec
from hasteward.plugins import Engine, Plugins
from hasteward.testing.faults import FAILURES, FailNth, Killed, KillNth
from hasteward.testing.streams import Loss, StreamFault
from hasteward.testing.world import World

#: the state of a world in which nothing is wrong
HEALTHY = "healthy"
#: where in a stream a loss strikes: at once, in short data, in the trailer behind them, late or after the end
_PLACES = (0, 9, 60, 700)


@dataclass(frozen=True, slots=True)
class _Entry:
    """An engine as an entry point would bring it."""

    name: str
    content: EngineSpec
    group: str = ENGINE_GROUP

    @property
    def value(self) -> str:
        return f"{type(self.content).__module__}:{type(self.content).__qualname__}"

    def load(self) -> Any:
        return self.content


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run with one fault: what struck, in which world, and what came of it: an error, or a result."""

    fault: str
    world: World
    error: BaseException | None = None
    result: Any = None

    @property
    def wrong_end(self) -> str:
        """What is wrong with how it ended; "" if it succeeded, or failed with an error that says so."""
        match self.error:
            case None | Killed():
                return ""
            case HastewardError() as error if error.exit_code is not ExitCode.OK and error.message:
                return ""
            case error:
                return f"{self.fault}: it ended with {type(error).__name__}: {error}"


class Conformance:
    """Give `engine` and `world`; the parts below are the tests."""

    #: the plugin, as its entry point names it
    engine: EngineSpec
    #: further states of a world, each with something wrong that triage must see
    states: tuple[str, ...] = ()
    #: values of the engine's own options, where their defaults will not do
    options: Mapping[str, Value] = MappingProxyType({})

    def world(self, state: str = HEALTHY) -> World:
        """A new world in `state`. Called many times: it shares nothing with those of other calls."""
        raise NotImplementedError(f"{type(self).__name__}.world() must make a World")

    def loaded(self) -> Plugins:
        """What the loader makes of it."""
        return plugins.load([_Entry(self.engine.info().name, self.engine)])

    def addressed(self, *wanted: Capability) -> Engine:
        """The engine; skips the test, in the engine's own words, if it does not offer what is `wanted`."""
        return offering(self.loaded().engine(self.engine.info().name), *wanted)


def offering(engine: Engine, *wanted: Capability) -> Engine:
    """`engine`; skips the test, in the engine's own words, if it does not offer what is `wanted`."""
    for capability in wanted:
        match engine.info.capability(capability):
            case Unsupported(reason):
                pytest.skip(f"{engine.info.name} does not {capability}: {reason}")
            case _:
                engine.require(capability)
    return engine


Make = Callable[[], World]
Act = Callable[[World], Any]


def attempt(world: World, act: Act, fault: str) -> Attempt:
    """Do it, and note how it ended."""
    try:
        result = act(world)
    except (Exception, Killed) as error:  # noqa: BLE001  whatever a stranger's engine raises is its answer
        return Attempt(fault, world, error)
    return Attempt(fault, world, result=result)


def failed_calls(make: Make, act: Act) -> Iterator[Attempt]:
    """One attempt per call and per way in which it can fail."""
    for kind, failure in FAILURES.items():
        for nth in itertools.count(1):
            world = make()
            world.on_call = fault = FailNth(nth, failure)
            done = attempt(world, act, "")
            if not fault.struck:
                break
            yield replace(done, fault=f"{kind} at call {nth} ({fault.struck})")


def lost_streams(make: Make, act: Act) -> Iterator[Attempt]:
    """One attempt per exec, way to lose it, and place."""
    world = make()
    before = world.kubernetes.execs
    act(world)
    losses = [(loss, at) for loss in Loss for at in (_PLACES if loss is not Loss.EXIT else (0,))]
    for nth, (loss, at) in itertools.product(range(before + 1, world.kubernetes.execs + 1), losses):
        world = make()
        world.kubernetes.faults.append(StreamFault(loss, at, nth=nth))
        yield attempt(world, act, f"{loss} at byte {at} of exec {nth - before}")


def kills(make: Make, act: Act) -> Iterator[Attempt]:
    """One attempt per call before which our process is killed."""
    for nth in itertools.count(1):
        world = make()
        world.on_call = fault = KillNth(nth)
        done = attempt(world, act, "")
        if not fault.struck:
            return
        yield replace(done, fault=f"killed before call {nth} ({fault.struck})")


def everything(make: Make, act: Act) -> Iterator[Attempt]:
    """All of the above."""
    yield from failed_calls(make, act)
    yield from lost_streams(make, act)
    yield from kills(make, act)
