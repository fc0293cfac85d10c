"""The toy engine as its user has it: a wheel, installed into a fresh environment, found and addressed."""

from __future__ import annotations

import json
import shutil
import subprocess
import textwrap
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from hasteward.testing import EngineConformance
from hasteward.testing.conformance import (
    ExtractConformance,
    HealConformance,
    NativeConformance,
    RestoreConformance,
)

LINES = 300

Run = Callable[..., subprocess.CompletedProcess[str]]


def engines(run: Run, **variables: str) -> tuple[dict[str, str], dict[str, str]]:
    """What `hasteward engines` says: titles of those that work, reasons of those that do not."""
    done = run("hasteward", "engines", "--output", "json", **variables)
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)["data"]
    return (
        {engine["name"]: engine["title"] for engine in data["engines"]},
        {each["name"]: each["reason"] for each in data["broken"]},
    )


KEYVAL = {"keyval": "keyval, a key-value store in one file"}


def test_it_is_found(run: Run) -> None:
    assert engines(run) == (KEYVAL, {})


class Empty(BaseHTTPRequestHandler):
    """An API server that allows everything and has nothing."""

    def do_GET(self) -> None:
        self._answer({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": []})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer({"kind": "SelfSubjectAccessReview", "status": {"allowed": True}})

    def _answer(self, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Iterator[Path]:
    """Access to an API server that has nothing."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        document = {
            "clusters": [{"name": "x", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
            "users": [{"name": "x", "user": {}}],
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            "current-context": "x",
        }
        path = tmp_path / "kubeconfig"
        path.write_text(json.dumps(document), encoding="utf-8")
        yield path
        server.shutdown()


def test_it_is_addressed(run: Run, kubeconfig: Path) -> None:
    done = run("hasteward", "triage", "-e", "keyval", "-n", "db", "-c", "shop", "--kubeconfig", kubeconfig)

    assert (done.returncode, done.stdout) == (3, "")
    assert "no pod in namespace db has the label keyval=shop" in done.stderr, "the words of the engine"


def test_what_it_does_not_do_is_refused_in_its_own_words(run: Run) -> None:
    done = run("hasteward", "engines")

    assert "a member copies the primary by itself; there is nothing to repair" in done.stdout


def test_it_is_conformant_where_it_is_installed(run: Run, toy: Path, tmp_path: Path) -> None:
    shutil.copy(toy / "tests" / "test_conformance.py", tmp_path)

    done = run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "-rs")

    tests = {name for name in dir(EngineConformance) if name.startswith("test_")}
    put_back = {name for name in vars(RestoreConformance) if "undo" in name or "taken_back" in name}
    not_offered = (HealConformance, NativeConformance, ExtractConformance)
    skipped = tests & ({name for part in not_offered for name in vars(part)} | put_back)
    assert done.returncode == 0, done.stdout
    assert f"{len(tests - skipped)} passed, {len(skipped)} skipped" in done.stdout
    assert "keyval does not plan: a member copies the primary by itself" in done.stdout


def test_a_failed_conformance_test_is_explained(run: Run, toy: Path, tmp_path: Path) -> None:
    """Through the pytest plugin that comes with the wheel."""
    honest = (toy / "tests" / "test_conformance.py").read_text(encoding="utf-8")
    (tmp_path / "test_conformance.py").write_text(
        honest.replace("states = tuple(SICK)", "states = ()"), encoding="utf-8"
    )

    done = run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "what_is_wrong_is_seen")

    assert done.returncode == 1
    assert "name at least one sick state in `states`" in done.stdout
    assert "where () = <test_conformance.TestKeyval object" in done.stdout


def test_it_is_small(toy: Path) -> None:
    files = [*toy.glob("*.toml"), *toy.glob("src/**/*.py"), toy / "tests" / "test_conformance.py"]

    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files) <= LINES


ENGINE = """
    from hasteward import EngineSpec, hookimpl
    from hasteward.domain.capability import EngineInfo

    class Engine(EngineSpec):
        @hookimpl
        def info(self):
            return EngineInfo({name!r}, "another one")
"""
MISSPELT = """
        @hookimpl
        def traige(self, context, cluster):
            return None
"""
WRONG_SIGNATURE = """
        @hookimpl
        def triage(self, context, kluster):
            return None
"""
#: entry point, source, what is said of it
VARIANTS = {
    "broken import": ("pigeon", "import libpigeon", "ModuleNotFoundError: No module named 'libpigeon'"),
    "misspelt hook": ("pigeon", ENGINE + MISSPELT, "unknown hook 'traige'"),
    "wrong signature": ("pigeon", ENGINE + WRONG_SIGNATURE, "{'kluster'} are declared in the hookimpl"),
    "other name": (
        "pigeon",
        ENGINE.replace("{name!r}", "'dove'"),
        "the engine calls itself 'dove' but its entry point is 'pigeon'",
    ),
}


def plant(folder: Path, name: str, source: str) -> dict[str, str]:
    """A second distribution, as an installer would leave it, on the path of Python."""
    (folder / "another_engine.py").write_text(textwrap.dedent(source.replace("{name!r}", repr(name))))
    info = folder / "another_engine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: another-engine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[hasteward.engines]\n{name} = another_engine:Engine\n")
    return {"PYTHONPATH": str(folder)}


@pytest.mark.parametrize(("name", "source", "reason"), VARIANTS.values(), ids=VARIANTS.keys())
def test_a_broken_engine_is_named_and_takes_no_other_down(
    run: Run, tmp_path: Path, name: str, source: str, reason: str
) -> None:
    path = plant(tmp_path, name, source)

    working, broken = engines(run, **path)

    assert working == KEYVAL
    assert list(broken) == [name]
    assert reason in broken[name]


def test_a_broken_engine_that_is_asked_for_says_why_it_does_not_work(run: Run, tmp_path: Path) -> None:
    path = plant(tmp_path, "pigeon", "import libpigeon")

    done = run("hasteward", "triage", "-e", "pigeon", "-n", "db", "-c", "shop", **path)

    assert done.returncode == 3
    assert "engine pigeon is installed but could not be loaded" in done.stderr
    assert "No module named 'libpigeon'" in done.stderr
    assert "Traceback" not in done.stderr


def test_of_two_engines_with_one_name_neither_is_used(run: Run, tmp_path: Path) -> None:
    path = plant(tmp_path, "keyval", ENGINE)

    working, broken = engines(run, **path)
    done = run("hasteward", "triage", "-e", "keyval", "-n", "db", "-c", "shop", **path)

    assert working == {}
    assert broken == {"keyval": "InvalidInput: 2 installed engines are called 'keyval'"}
    assert done.returncode == 3
    assert "2 installed engines are called 'keyval'" in done.stderr
