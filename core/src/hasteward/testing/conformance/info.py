"""How an engine introduces itself."""

from __future__ import annotations

import functools
import sys
from typing import Any

from hasteward.domain.capability import OCCASIONAL, Capability, Supported, Unsupported
from hasteward.domain.cluster import ClusterRef
from hasteward.testing.conformance.base import Conformance

_TOUCHES = ("open", "os.", "socket.", "subprocess.", "shutil.", "urllib.", "import")


class _Watch:
    """Notes what Python does to the world while it is on."""

    def __init__(self) -> None:
        self.on = False
        self.seen: list[str] = []
        sys.addaudithook(self._note)

    def _note(self, event: str, _arguments: tuple[Any, ...]) -> None:
        if self.on and event.startswith(_TOUCHES):
            self.seen.append(event)


@functools.cache
def _watch() -> _Watch:
    """The one watch: the interpreter keeps an audit hook for good."""
    return _Watch()


class InfoConformance(Conformance):
    """`info`, and what it promises."""

    def test_the_loader_takes_it(self) -> None:
        """Every hook is spelt and called as the contract says, and the names agree."""
        found = self.loaded()

        assert found.broken == ()
        assert list(found.engines) == [self.engine.info().name]

    def test_its_name_can_be_addressed(self) -> None:
        """The name becomes a tag and a part of paths."""
        name = self.engine.info().name

        assert ClusterRef(name, "namespace", "cluster").engine == name

    def test_info_is_the_same_every_time_and_touches_nothing(self) -> None:
        """It is called for every command, also where there is no cluster."""
        first = self.engine.info()
        watch = _watch()
        watch.seen.clear()
        watch.on = True
        second = self.engine.info()
        watch.on = False

        assert first == second
        assert watch.seen == []

    def test_what_it_cannot_do_it_says_in_words(self) -> None:
        """An engine is asked for every capability there is; of what is occasional, silence is an answer."""
        info = self.engine.info()
        silent = [
            capability
            for capability in Capability
            if capability not in OCCASIONAL
            and not isinstance(info.capability(capability), Supported)
            and not _reason(info.capabilities.get(capability))
        ]

        assert silent == []

    def test_what_it_says_it_can_do_is_there(self) -> None:
        """Declared and implemented are the same."""
        engine = self.addressed()
        for capability, said in engine.info.capabilities.items():
            if isinstance(said, Supported):
                assert engine.require(capability) is self.engine

    def test_what_it_stores_has_a_file_name_and_a_format(self) -> None:
        """They become the path and a tag of every snapshot."""
        engine = self.addressed(Capability.DUMP)
        layout = engine.layout({one.name: one.default for one in engine.options} | dict(self.options))

        assert layout.format
        assert layout.file
        assert "/" not in layout.file


def _reason(said: Supported | Unsupported | None) -> str:
    return said.reason if isinstance(said, Unsupported) else ""
