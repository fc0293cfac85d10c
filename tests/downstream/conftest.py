"""The toy engine: its files, its modules without being installed, and an environment in which it is."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
BUILD = "import sys, uv_build; print(uv_build.build_wheel(sys.argv[1]))"
Run = Callable[..., subprocess.CompletedProcess[str]]
TOY = Path(__file__).with_name("hasteward-keyval")
#: its own tests run where it is installed
collect_ignore_glob = [f"{TOY.name}/*"]


@pytest.fixture(scope="session")
def toy() -> Path:
    return TOY


@pytest.fixture(scope="module")
def toy_tests() -> Iterator[ModuleType]:
    """The toy's conformance tests as a module."""
    sys.path.insert(0, str(TOY / "src"))
    path = TOY / "tests" / "test_conformance.py"
    spec = importlib.util.spec_from_file_location("keyval_conformance", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(TOY / "src"))
        for name in [name for name in sys.modules if name.startswith("hasteward_keyval")]:
            del sys.modules[name]


def wheel(project: Path, into: Path) -> Path:
    """Build a distribution as pip would, with the build backend that is pinned here."""
    done = subprocess.run(
        [sys.executable, "-c", BUILD, into], cwd=project, capture_output=True, text=True, check=True
    )
    return into / done.stdout.split()[-1]


def third_parties(into: Path) -> Path:
    """What we depend on, without what is ours: there is no network where the tests run."""
    into.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if "hasteward" not in path.name and path.suffix != ".pth":
            (into / path.name).symlink_to(path)
    return into


@pytest.fixture(scope="package")
def environment(tmp_path_factory: pytest.TempPathFactory, toy: Path) -> Path:
    """A fresh environment with core and the toy, from wheels."""
    folder = tmp_path_factory.mktemp("downstream")
    wheels = [wheel(ROOT / "core", folder), wheel(toy, folder)]
    environment = folder / "venv"
    venv.EnvBuilder(with_pip=False, symlinks=True).create(environment)
    python = environment / "bin" / "python"
    quiet = ["--quiet", "--disable-pip-version-check", "--no-compile", "--no-index", "--no-deps"]
    install = [sys.executable, "-m", "pip", "--python", python, "install", *quiet, *wheels]
    subprocess.run(install, check=True)
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "others.pth").write_text(str(third_parties(folder / "others")), encoding="utf-8")
    return environment


@pytest.fixture
def run(environment: Path, tmp_path: Path) -> Run:
    """Run a program of the fresh environment in an empty folder."""

    def run(program: str, *argv: object, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [environment / "bin" / program, *map(str, argv)],
            cwd=tmp_path,
            env={"PATH": os.defpath, "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1", **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=110,
        )

    return run


@pytest.fixture
def run_on_the_lab(environment: Path, tmp_path: Path) -> Run:
    """The same with the lab beside it, the programs that the lab needs on the PATH."""
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "lab.pth").write_text(str(ROOT / "tests" / "lab" / "src"), encoding="utf-8")

    def run(program: str, *argv: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [environment / "bin" / program, *map(str, argv)],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
            timeout=800,
        )

    return run
