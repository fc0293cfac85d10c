"""What the parts share: the site, the command line, and how an engine is asked what it can do."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import pytest

from hasteward import plugins
from hasteward.domain.capability import Capability
from hasteward.plugins import Engine
from hasteward.testing.conformance.base import offering
from hasteward_lab.conformance.commandline import Hasteward, cheap_repository, copied
from hasteward_lab.conformance.saving import Saving
from hasteward_lab.conformance.site import Broken, Repair, Site

#: makes command lines, each with an empty repository of its own
Tools = Callable[[Site], Hasteward]


class Conformance:
    """Give `subject`, your subclass of `Site`; the parts below are the tests."""

    #: the cluster, as its clients see it
    subject: ClassVar[type[Site]]
    #: what may be wrong with it, by name, each something that triage must see
    troubles: ClassVar[Mapping[str, Broken]] = MappingProxyType({})
    #: what is wrong and can be healed, by name
    repairs: ClassVar[Mapping[str, Repair]] = MappingProxyType({})

    #: how often what is killed is killed, where there is time
    kills: ClassVar[int] = 10

    @pytest.fixture(scope="class")
    @classmethod
    def site(cls) -> Iterator[Site]:
        """One cluster for all of the tests, which leave it well; override it to share one with others."""
        with cls.subject.up() as made:
            made.settle()
            yield made

    @pytest.fixture(scope="class")
    @classmethod
    def tools(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tools]:
        """Of the class: they end with it."""
        folder = tmp_path_factory.mktemp("hasteward")
        template = cheap_repository(folder / "template")
        made: list[Hasteward] = []

        def make(site: Site) -> Hasteward:
            home = folder / str(len(made))
            home.mkdir()
            made.append(copied(template, Hasteward.on(site.lab, home, context=site.context)))
            return made[-1]

        yield make
        for tool in made:
            tool.__exit__(None, None, None)
            shutil.rmtree(tool.folder, ignore_errors=True)

    @pytest.fixture(scope="class")
    @classmethod
    def saving(cls, site: Site, tools: Tools) -> Saving:
        """A backup of the site as it was filled; the tests that follow leave its content as it is."""
        cls().offers(Capability.DUMP)
        return Saving.of(site, tools(site))

    @pytest.fixture
    def hasteward(self, site: Site, tools: Tools) -> Iterator[Hasteward]:
        """The command line for one test; what restores kept is taken away afterwards."""
        yield tools(site)
        site.tidy()

    def offers(self, *wanted: Capability) -> Engine:
        """The engine as it is installed; skips the test, in the engine's own words, where it does not."""
        return offering(plugins.load(plugins.installed_entry_points()).engine(self.subject.engine), *wanted)


def another_cluster(where: tuple[str, ...]) -> tuple[str, ...]:
    """The same flags with the name of a cluster that does not exist."""
    words = list(where)
    words[words.index("-c") + 1] = "there-is-no-such-cluster"
    return tuple(words)


def new(hasteward: Hasteward, known: set[str]) -> list[dict[str, Any]]:
    """The snapshots that are there and were not."""
    return [entry for entry in hasteward.backups() if entry["id"] not in known]


def ids(hasteward: Hasteward) -> set[str]:
    """Of every snapshot there is."""
    return {entry["id"] for entry in hasteward.backups()}


def untrue(hasteward: Hasteward, where: tuple[str, ...], entries: list[dict[str, Any]]) -> list[str]:
    """What is wrong with backups that came to be: each must be proven, and come out whole."""
    wrong = [f"{entry['id']} is there and is not proven" for entry in entries if not entry["proven"]]
    for entry in entries:
        # an export reads every section against the digest that was proven
        done = hasteward("export", *where, "--snapshot", entry["id"], "-o", "/dev/null", "--force")
        if done.returncode:
            wrong.append(f"{entry['id']} is there and does not come out: {done.stderr}")
    return wrong
