"""Partitions and bad links have real effects, and end without a trace."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hasteward_lab.lab import Lab
from hasteward_lab.state import LabError

pytestmark = pytest.mark.servers

ACCEPTS = "accepting connections"
SILENT = "no response"
STREAMING = "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'"


def address(lab: Lab, pod: str) -> str:
    return str(lab.pod(pod)["status"]["podIP"])


def reach(lab: Lab, source: str, target: str, patience: int = 1) -> str:
    """What a pod's client gets from another pod's server."""
    argv = ["pg_isready", "-h", address(lab, target), "-t", str(patience)]
    return lab.exec(source, argv).stdout.decode().strip().rpartition(" - ")[2]


def test_a_partition_loses_both_ways_and_heals(lab: Lab, eventually: Callable[..., None]) -> None:
    lab.chaos.partition("pg-2", "pg-3")
    assert reach(lab, "pg-2", "pg-3") == reach(lab, "pg-3", "pg-2") == SILENT
    assert reach(lab, "pg-2", "pg-1") == ACCEPTS
    assert lab.chaos.network() == ["pg-2 -> pg-3 lost", "pg-3 -> pg-2 lost"]
    lab.chaos.heal("pg-3", "pg-2")
    assert lab.chaos.network() == []
    eventually(lambda: reach(lab, "pg-2", "pg-3") == ACCEPTS)


def test_a_one_way_partition_loses_one_way(lab: Lab) -> None:
    """The answers of pg-2 vanish, so nobody gets through to it; what it is sent does arrive."""
    received = "cat /sys/class/net/eth0/statistics/rx_packets 2>/dev/null || grep eth0 /proc/net/dev"
    lab.chaos.partition("pg-2", "pg-1", one_way=True)
    before = _packets(lab.exec("pg-2", ["sh", "-c", received]).stdout)
    assert reach(lab, "pg-1", "pg-2") == SILENT
    assert _packets(lab.exec("pg-2", ["sh", "-c", received]).stdout) > before
    assert reach(lab, "pg-3", "pg-2") == ACCEPTS
    lab.chaos.heal("pg-2")
    assert reach(lab, "pg-1", "pg-2") == ACCEPTS


def _packets(said: bytes) -> int:
    words = said.decode().replace("eth0:", "").split()
    return int(words[0]) if len(words) == 1 else int(words[1])


def test_a_pulled_plug_ends_replication_and_a_healed_one_catches_up(
    lab: Lab, eventually: Callable[..., None]
) -> None:
    lab.chaos.isolate("pg-3")
    assert reach(lab, "pg-1", "pg-3") == SILENT
    lab.psql("pg-1", "CREATE TABLE while_apart AS SELECT 1 AS n")
    assert lab.psql("pg-3", "SELECT to_regclass('while_apart') IS NULL") == "t"
    eventually(lambda: lab.psql("pg-3", STREAMING) == "0", 30)
    lab.chaos.heal("pg-3")
    eventually(lambda: lab.psql("pg-3", "SELECT to_regclass('while_apart') IS NOT NULL") == "t", 30)
    lab.psql("pg-1", "DROP TABLE while_apart")


def test_a_slow_link_is_slow_and_a_lossy_one_loses(lab: Lab) -> None:
    lab.chaos.degrade("pg-3", latency=0.3)
    began = time.monotonic()
    assert reach(lab, "pg-2", "pg-3", patience=5) == ACCEPTS
    assert time.monotonic() - began > 0.6
    assert lab.chaos.network() == ["pg-3 latency 0.3 s, loss 0%"]
    lab.chaos.degrade("pg-3", loss=1.0)
    assert reach(lab, "pg-2", "pg-3") == SILENT
    lab.chaos.heal()
    began = time.monotonic()
    assert reach(lab, "pg-2", "pg-3", patience=5) == ACCEPTS
    assert time.monotonic() - began < 0.6


def test_a_pod_and_the_api_can_be_parted(lab: Lab) -> None:
    """The name `api` is the address at which pods find the API and the operator finds pods."""
    script = (
        "ping -c1 -W1 10.88.0.1 >/dev/null 2>&1; cat /proc/net/arp | grep -c '10.88.0.1 .*02:00:00:00:de:ad'"
    )
    lab.chaos.partition("pg-2", "api")
    assert lab.exec("pg-2", ["sh", "-c", script]).stdout.strip() == b"1"
    assert lab.chaos.network() == ["api -> pg-2 lost", "pg-2 -> api lost"]
    lab.chaos.heal()
    assert lab.exec("pg-2", ["sh", "-c", script]).stdout.strip() == b"0"


def test_nothing_is_routed_out_of_the_lab(lab: Lab) -> None:
    """A pod has the lab's own net and nothing behind it: not the machine's other addresses, not the world."""
    routes = lab.exec("pg-1", ["cat", "/proc/net/route"]).stdout.decode().splitlines()[1:]
    assert {row.split()[0] for row in routes} == {"eth0"}
    probe = (
        "import socket, sys\n"
        "for host in sys.argv[1:]:\n"
        "    s = socket.socket(); s.settimeout(1)\n"
        "    try:\n"
        "        s.connect((host, 53)); print('reached', host)\n"
        "    except OSError: pass\n"
        "print('done')\n"
    )
    ours = _addresses_of_this_machine()
    done = lab.exec("pg-1", ["python3", "-c", probe, *ours, "192.0.2.1", "198.51.100.1"])
    assert done.stdout.decode().strip() == "done", done.stderr
    links = lab.exec("pg-1", ["sh", "-c", "cut -d: -f1 /proc/net/dev | tail -n +3"]).stdout.decode().split()
    assert sorted(links) == ["eth0", "lo"]
    # The lab's own net has a bridge and the pods' links on it, and no way to the machine's.
    first = Path(f"/proc/{lab.state.load_process().pid}/task/{lab.state.load_process().pid}/children")
    supervisor = first.read_text(encoding="ascii").split()[0]
    rows = Path(f"/proc/{supervisor}/net/dev").read_text(encoding="ascii").splitlines()[2:]
    own = {row.partition(":")[0].strip() for row in rows}
    assert own >= {"lo", "br0"}
    assert all(name in {"lo", "br0"} or name.startswith("v") for name in own), own


def _addresses_of_this_machine() -> list[str]:
    found = []
    with open("/proc/net/fib_trie", encoding="ascii") as stream:  # noqa: PTH123 - a line after another of procfs
        last = ""
        for line in stream:
            words = line.split()
            if "/32" in line and "LOCAL" in line:
                found.append(last)
            elif words and words[0] == "|--":
                last = words[1]
    return sorted({each for each in found if not each.startswith("127.")})


def test_a_wrong_name_is_told(lab: Lab) -> None:
    with pytest.raises(LabError, match="there is no pod 'pg-9' on the network"):
        lab.chaos.partition("pg-1", "pg-9")
    with pytest.raises(LabError, match="between two different places"):
        lab.chaos.partition("pg-1", "pg-1")
    with pytest.raises(LabError, match="loss is a fraction"):
        lab.chaos.degrade("pg-1", loss=10)
