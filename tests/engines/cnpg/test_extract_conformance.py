"""What every engine must keep when it makes a dump of captured files, kept by this one; on fakes."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import heal_kit

from hasteward.pipelines.escrow import Escrow
from hasteward.ports.kubernetes import PODS, PodRef
from hasteward.testing import FakeRepository, Program, Result, World
from hasteward.testing.conformance import ExtractConformance
from hasteward_cnpg.capture import save_pgdata
from hasteward_cnpg.collect.files import Place
from hasteward_cnpg.extract import _POSITION, _START, _UNPACK
from hasteward_cnpg.plugin import plugin
from hasteward_cnpg.resources import DATA_DIRECTORY
from hasteward_sql.postgresql.collect import catalog

GLOBALS: dict[str, Any] = {"roles": [], "superuser": "postgres", "memberships": [], "tablespaces": []}
DATABASE = {
    "datname": "postgres",
    "datallowconn": True,
    "datconnlimit": -1,
    "bytes": 8_000_000,
    "encoding_name": "UTF8",
    "datcollate": "C",
    "datctype": "C",
    "owner": "postgres",
    "tablespace": "pg_default",
    "datistemplate": False,
    "acl": None,
    "grants": None,
    "comment": None,
    "settings": [],
}
#: how many objects there are; owners; rights; what needs a superuser
ANSWERS = ({}, [], {"rights": [], "defaults": []}, {"superuser": [], "extensions": []})


@dataclass
class ScratchServer:
    """What runs in the scratch pod: it holds the files it was given, and its dump says which those were."""

    others: Program
    held: dict[str, bytes] = field(default_factory=dict)
    started: set[str] = field(default_factory=set)

    def __call__(self, pod: PodRef, argv: Sequence[str], stdin: bytes) -> Result:
        if "-scratch-" not in pod.name:
            return self.others(pod, argv, stdin)
        words = list(argv)
        if _UNPACK in words:
            self.held[pod.name] = stdin
            return Result()
        if _START in words:
            if pod.name not in self.held:
                return Result(b"", b"pg_ctl: directory is not a database cluster directory", 1)
            self.started.add(pod.name)
            return Result(b"...")
        return self._client(pod.name, words, stdin) if {"psql", "pg_dump"} & {*words} else Result()

    def _client(self, pod: str, words: list[str], stdin: bytes) -> Result:
        if words[-1] == "--help":
            return Result(b"--restrict-key=RESTRICT_KEY")
        if pod not in self.started:
            return Result(b"", b"connection to server on socket failed", 2)
        if "pg_dump" in words:
            return Result(self.held[pod] + b"\n-- PostgreSQL database dump complete\n--\n")
        if _POSITION.strip() in words:
            position = {"number": 170004, "text": "17.4", "lsn": "0/7000000", "prepared": 0}
            return Result(json.dumps(position).encode())
        if catalog._GLOBALS.strip() in words:
            return Result(json.dumps(GLOBALS | {"databases": [DATABASE]}).encode())
        asked = stdin.count(b";\n")
        assert asked in {0, 2, 4}  # 0: whoever asked is dead
        return Result(b"\0".join(json.dumps(answer).encode() for answer in ANSWERS[:asked]) + b"\0")


@functools.cache
def stored() -> FakeRepository:
    """A capture of pg-3, as a repair makes it."""
    _, world = heal_kit.make("diverged")
    helper = PodRef("db", "hasteward-pg-3", "helper")
    volumes = [{"name": "v0", "persistentVolumeClaim": {"claimName": "pg-3"}}]
    spec = {"containers": [{"name": "helper", "image": "postgresql:17"}], "volumes": volumes}
    world.kubernetes.add(PODS, {"metadata": {"name": helper.name, "namespace": "db"}, "spec": spec})
    context = world.context()
    escrow = Escrow(TestExtract().addressed(), context, world.cluster, world.repository)
    place = Place(helper, DATA_DIRECTORY)
    save_pgdata(context, world.cluster, escrow, member="pg-3", ordinal=3, place=place)
    return world.repository


class TestExtract(ExtractConformance):
    """The files of pg-3 were captured; the pod that they come to life in is there for that alone."""

    engine = plugin

    def captured(self) -> World:
        _, world = heal_kit.make("diverged")
        world.kubernetes.program = ScratchServer(world.kubernetes.program)
        world.repository.files |= stored().files
        world.repository.listed += stored().listed
        world.context()  # that of the repair
        return world
