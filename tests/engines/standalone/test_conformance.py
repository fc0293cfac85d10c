"""The standalone engine under the kit for engine authors: real programs behind the fake API server."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from hasteward.domain.cluster import ClusterRef
from hasteward.ports.kubernetes import PODS
from hasteward.testing.conformance import HEALTHY, EngineConformance
from hasteward.testing.kubernetes import FakeKubernetes, Result
from hasteward.testing.world import World
from hasteward_standalone.plugin import plugin

DATA = "/data"


def program(folder: Path, argv: Sequence[str], stdin: bytes) -> Result:
    """The pod is this machine, with its data in some folder."""
    words = [str(folder) + word.removeprefix(DATA) if word.startswith(DATA) else word for word in argv]
    done = subprocess.run(words, input=stdin, capture_output=True, check=False, timeout=60)
    return Result(done.stdout, done.stderr, done.returncode)


class _Files(EngineConformance):
    """With a directory; it has no state but the healthy one, because it has no triage."""

    engine = plugin
    options = MappingProxyType({"db_type": "files", "path": (DATA,), "secret_key": "password"})

    @pytest.fixture(autouse=True)
    def folders(self) -> Any:
        self.made: list[Path] = []
        yield
        for folder in self.made:
            shutil.rmtree(folder, ignore_errors=True)

    def world(self, state: str = HEALTHY) -> World:
        assert state == HEALTHY
        folder = Path(tempfile.mkdtemp(prefix="hsc-"))
        self.made.append(folder)
        (folder / "sub").mkdir()
        (folder / "a").write_bytes(b"x" * 3000)
        (folder / "sub" / "b").write_text("deep")
        for path in (folder / "a", folder / "sub" / "b", folder / "sub", folder):
            os.utime(path, (1e9, 1e9))  # worlds are alike, to the bytes of a tar
        kubernetes = FakeKubernetes(lambda _pod, argv, stdin: program(folder, argv, stdin))
        pod = {"name": "box-0", "namespace": "db"}
        kubernetes.add(
            PODS,
            {"metadata": pod, "spec": {"containers": [{"name": "main"}]}, "status": {"phase": "Running"}},
        )
        return World(
            ClusterRef("standalone", "db", "box"),
            kubernetes,
            content=lambda: {
                str(path.relative_to(folder)): path.read_bytes()
                for path in sorted(folder.rglob("*"))
                if path.is_file() and ".hasteward-" not in str(path)
            },
            damage=lambda: damage(folder),
            residue=lambda: sorted(
                path.name
                for path in folder.glob(".hasteward-*")
                if not path.name.startswith(".hasteward-old-")
            ),
            options=dict(self.options),
        )


class TestFiles(_Files):
    """All but the sweeps: each of their hundreds of runs starts a dozen real programs."""

    test_a_backup_that_fails_or_is_killed_is_not_there = None
    test_a_restore_that_fails_or_is_killed_leaves_the_old_or_the_new = None
    test_a_restore_that_was_killed_is_taken_back = None
    test_an_undo_that_fails_or_is_killed_leaves_one_of_both_and_is_ended_by_the_next = None


@pytest.mark.long
@pytest.mark.timeout(1200)
class TestFilesAtLength(_Files):
    """All of it."""


def damage(folder: Path) -> None:
    (folder / "a").write_text("spoilt")
    (folder / "sub" / "b").unlink()
    (folder / "c").write_text("new")
