"""One lab for the folder; every test leaves it as it found it, and the one that does not is named."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hasteward_lab.lab import Lab
from hasteward_lab.pytest_plugin import faults, kubectl, lab

__all__ = ["faults", "kubectl", "lab"]

#: the folders whose tests share this lab; the others have their own
SHARING = (Path(__file__).parent, Path(__file__).parent / "api")


@pytest.fixture(autouse=True)
def same_primary(request: pytest.FixtureRequest) -> Iterator[None]:
    """A failover nobody asked for is told where it happens, with what led to it."""
    if "lab" not in request.fixturenames or request.path.parent not in SHARING:
        yield
        return
    shared: Lab = request.getfixturevalue("lab")
    yield
    status = shared.cluster_object()["status"]
    assert (status["currentPrimary"], status["targetPrimary"]) == ("pg-1", "pg-1"), account(shared)


def account(shared: Lab) -> str:
    """The events, the containers, what the lab itself said, and the last words of the first member."""
    rows = [json.dumps(shared.cluster_object()["status"])]
    rows += [
        f"{row['lastTimestamp']} {row.get('count')} {row['involvedObject']['name']} {row['message']}"
        for row in shared.get("events")
    ]
    rows += [json.dumps(row["status"]["containerStatuses"]) for row in shared.get("pods")]
    rows += shared.state.log.read_text(encoding="utf-8").splitlines()[-60:]
    for more in ([], ["--previous"]):
        argv = ["kubectl", "--kubeconfig", str(shared.kubeconfig), "logs", "pg-1", "--tail=60", *more]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        rows.append(done.stdout + done.stderr)
    return "\n".join(rows)
