"""``hasteward engines``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasteward.cli.verb import Answer, Verb

if TYPE_CHECKING:
    from hasteward.cli.render.shapes import EngineData
    from hasteward.cli.session import Session
    from hasteward.plugins import Engine


def _engine(engine: Engine) -> EngineData:
    from hasteward.cli.render.shapes import CapabilityData, EngineData
    from hasteward.domain.capability import Capability, Unsupported
    from hasteward.domain.errors import InvalidInput

    found = []
    for capability in Capability:
        declared = engine.info.capability(capability)
        reason = declared.reason if isinstance(declared, Unsupported) else ""
        if not reason:
            try:
                engine.require(capability)
            except InvalidInput:
                reason = "it is declared, but not implemented"
        found.append(CapabilityData(capability.value, not reason, reason))
    return EngineData(engine.info.name, engine.info.title, tuple(found))


def _run(session: Session) -> Answer:
    from hasteward.cli.render import human
    from hasteward.cli.render.shapes import BrokenData, EnginesData

    plugins = session.wiring.plugins
    engines = tuple(_engine(plugins.engines[name]) for name in sorted(plugins.engines))
    broken = tuple(BrokenData(one.name, one.origin, one.reason) for one in plugins.broken)
    return Answer(EnginesData(engines, broken), human.engines)


VERB = Verb(_run, "An engine knows one kind of database under one operator. Each is a package of its own.")
