"""A capture of a member's files that fails or is killed anywhere is not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hasteward import plugins
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.snapshot import SnapshotFilter
from hasteward.hookspecs import ENGINE_GROUP
from hasteward.pipelines.catalog import backups
from hasteward.pipelines.escrow import Escrow
from hasteward.ports.kubernetes import PODS, PodRef
from hasteward.testing import FakeKubernetes, Result, World
from hasteward.testing.conformance.base import Attempt, everything
from hasteward.testing.faults import Killed
from hasteward_cnpg.capture import save_pgdata
from hasteward_cnpg.collect.files import Place
from hasteward_cnpg.plugin import plugin
from hasteward_cnpg.resources import DATA_DIRECTORY

CLUSTER = ClusterRef("cnpg", "db", "pg")
HELPER = PodRef("db", "hasteward-pg-2", "helper")
TAR = b"every file of pg-2 " * 100 + bytes(1024)
STATE = """@@server
gone
@@major
15
@@version
postgres (PostgreSQL) 15.14
@@kib
47
@@tablespaces
@@mark
1 296
2 80
@@end
"""
CONTROL = """Database system identifier: 7
Database cluster state: in production
Latest checkpoint's TimeLineID: 1
Latest checkpoint location: 0/5000060
Latest checkpoint's REDO location: 0/5000028
Bytes per WAL segment: 16777216
"""
LOOK = f"@@presence\nthere\n@@server\ngone\n@@control\n{CONTROL}@@segments\n000000010000000000000005\n@@end\n"
WALKED = "pg_waldump: error: invalid record length at 0/50000F8: wanted 24, got 0\n"


@dataclass
class Entry:
    content: Any = plugin
    name: str = "cnpg"
    group: str = ENGINE_GROUP
    value: str = "hasteward_cnpg.plugin:plugin"

    def load(self) -> Any:
        return self.content


ENGINE = plugins.load([Entry()]).engine("cnpg")


@dataclass
class Helper:
    """A helper pod on the volumes of pg-2."""

    asked: list[str] = field(default_factory=list)

    def __call__(self, _pod: PodRef, argv: Sequence[str], _stdin: bytes) -> Result:
        script = " ".join(argv)
        for mark, answer in (
            ("exec tar", TAR),
            ("@@mark", STATE.encode()),
            ("@@presence", LOOK.encode()),
            ("pg_waldump -q", WALKED.encode()),
        ):
            if mark in script:
                self.asked.append(mark)
                return Result(answer)
        return Result()


def world() -> World:
    kubernetes = FakeKubernetes(Helper())
    container = {"name": "helper", "image": "postgresql:15"}
    kubernetes.add(
        PODS, {"metadata": {"name": HELPER.name, "namespace": "db"}, "spec": {"containers": [container]}}
    )
    return World(CLUSTER, kubernetes, content=lambda: None, damage=lambda: None)


def captured(one: World) -> str:
    context = one.context()
    captures = Escrow(ENGINE, context, CLUSTER, one.repository)
    place = Place(HELPER, DATA_DIRECTORY)
    return save_pgdata(context, CLUSTER, captures, member="pg-2", ordinal=2, place=place)


def kept(one: World) -> list[bytes]:
    """What counts as a capture, without the note that it begins with."""
    found = [entry.snapshot for entry in backups(one.repository, SnapshotFilter()) if entry.proven]
    return [one.repository.files[snapshot.id].partition(b"every")[2] for snapshot in found]


def test_a_capture_says_what_it_is_in_its_tags_and_its_manifest() -> None:
    one = world()

    snapshot = captured(one)

    (entry,) = one.proven()
    tags = entry.snapshot.tags
    assert (entry.snapshot.id, entry.snapshot.path) == (snapshot, "db/pg/2-pgdata.tar")
    assert (tags.type, tags.format, tags.reason, tags.proof) == ("diverged", "physical", "escrow", "commit-1")
    assert one.reporter.warnings() == []
    assert kept(one) == [TAR.partition(b"every")[2]]
    assert one.kubernetes.writes == []


def test_a_capture_that_fails_or_is_killed_is_not_there() -> None:
    """Every call fails in every way, every stream is lost everywhere, and we die before every call."""

    def wrong(each: Attempt) -> list[str]:
        found = [each.wrong_end] if each.wrong_end else []
        writes = list(each.world.kubernetes.writes)
        each.world.next_run()
        counted = kept(each.world)
        whole = [TAR.partition(b"every")[2]]
        allowed = ([], whole) if isinstance(each.error, Killed) else ([],) if each.error else (whole,)
        if counted not in allowed:
            found.append(f"{each.fault}: {len(counted)} captures count, and it ended with {each.error}")
        if writes:
            found.append(f"{each.fault}: it wrote {writes}")
        captured(each.world)
        if len(kept(each.world)) != len(counted) + 1:
            found.append(f"{each.fault}: the next run did not capture it")
        return found

    attempts = list(everything(world, captured))

    assert [text for each in attempts for text in wrong(each)] == []
    assert len(attempts) > 100
