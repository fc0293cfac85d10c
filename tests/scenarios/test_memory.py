"""Memory stays flat, however long the stream."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.servers
SCRIPT = Path(__file__).with_name("synthetic.py")
TOOLS = Path(__file__).parents[2] / ".tools" / "bin"
LIMIT_KIB = 100 * 1024


def peak(lab: Any, folder: Path, size: int) -> int:
    environment = dict(os.environ) | {
        "PATH": f"{TOOLS}:{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    argv = [sys.executable, str(SCRIPT), str(size), str(lab.kubeconfig), str(folder / "repository"), "x"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
    kib, stored = map(int, done.stdout.split())
    assert stored == size + 3
    return kib


def test_a_stream_of_256_mib_takes_less_than_100_mb(lab: Any, tmp_path: Path) -> None:
    assert peak(lab, tmp_path, 256 * 1024**2) < LIMIT_KIB


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_a_stream_of_20_gb_takes_less_than_100_mb(lab: Any, tmp_path: Path) -> None:
    assert peak(lab, tmp_path, 20_000_000_000) < LIMIT_KIB
