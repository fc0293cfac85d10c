"""Clients that write all the time, and what was acknowledged to them."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from hasteward_lab.conformance.site import Site
from hasteward_lab.state import LabError

_EVERY_SECONDS = 0.1
#: no two ledgers of a process write the same number
_NUMBERS = itertools.count(1)


@dataclass(slots=True)
class Ledger:
    """`with Ledger(site) as ledger:` a client commits; what is `acknowledged` may not be lost."""

    site: Site
    acknowledged: list[int] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._write)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the client; what it was doing is finished."""
        self._stop.set()
        assert self._thread is not None
        self._thread.join()

    def _write(self) -> None:
        while not self._stop.wait(_EVERY_SECONDS):
            number = next(_NUMBERS)
            try:
                self.site.commit(number)
            except LabError as error:
                self.refused.append(str(error))
            else:
                self.acknowledged.append(number)

    def lost(self) -> dict[str, list[int]]:
        """What was acknowledged and is not there, by member; empty if nothing."""
        missing = {
            member: sorted(set(self.acknowledged) - found) for member, found in self.site.committed().items()
        }
        return {member: numbers for member, numbers in missing.items() if numbers}
