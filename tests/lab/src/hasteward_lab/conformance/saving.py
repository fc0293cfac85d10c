"""One backup while clients write and every process is watched: made once, and looked at by many tests."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from hasteward_lab import canaries
from hasteward_lab.conformance.commandline import PASSWORD, Hasteward
from hasteward_lab.conformance.ledger import Ledger
from hasteward_lab.conformance.site import Site

_SEARCH = 'grep -rlaF -f - "$@" 2>/dev/null || true'
#: of a command whose words are searched: everything it has to say
WORDY = ("--verbose", "--log-format", "json")


@dataclass(frozen=True, slots=True)
class Saving:
    """What was saved, by which command line, and what was seen meanwhile."""

    hasteward: Hasteward
    content: Mapping[str, Any]
    answer: dict[str, Any]
    seconds: float
    #: every snapshot there was afterwards
    listed: list[dict[str, Any]]
    acknowledged: int
    lost: dict[str, list[int]]
    watch: canaries.Watch
    #: files of the pods that held a secret before anything was done
    before: set[str]

    @classmethod
    def of(cls, site: Site, hasteward: Hasteward) -> Self:
        """Back up."""
        content, before = site.content(), left_in_pods(site)
        site.lab.clear_audit()
        report = str(hasteward.folder / "report-of-the-backup")
        with watched(site) as watch, Ledger(site) as ledger:
            begun = time.monotonic()
            answer = hasteward.answer("backup", *site.where, *WORDY, "--report", report)
            seconds = time.monotonic() - begun
        return cls(
            hasteward=hasteward,
            content=content,
            answer=answer,
            seconds=seconds,
            listed=hasteward.backups(),
            acknowledged=len(ledger.acknowledged),
            lost=ledger.lost(),
            watch=watch,
            before=before,
        )

    @property
    def id(self) -> str:
        """Of the snapshot."""
        return str(self.answer["data"]["snapshot"])

    @property
    def size(self) -> int:
        """In bytes, as it lies there."""
        return int(self.answer["data"]["size"])


def secrets_of(site: Site) -> dict[str, str]:
    """Of the database and of the repository."""
    return site.secrets() | {"of the repository": PASSWORD}


def watched(site: Site) -> canaries.Watch:
    """A watch over all of them."""
    return canaries.Watch(secrets_of(site), of_pods=site.in_pods())


def left_in_pods(site: Site) -> set[str]:
    """Which files of the pods, below the places where one might be left, hold a secret."""
    lines = "".join(f"{value}\n" for value in secrets_of(site).values()).encode()
    search = ["sh", "-c", _SEARCH, "sh", *site.searched]
    return {
        f"{pod}: {path}"
        for pod in site.lab.pods
        for path in site.lab.exec(pod, search, lines).stdout.decode().split()
    }
