# ruff: noqa: ARG002 - a synthetic engine has no use for everything a hook is given
"""Backs up a synthetic stream of a given size through the real pipeline and prints its peak memory.

usage: synthetic.py BYTES KUBECONFIG REPOSITORY PASSWORD    (prints KiB of resident memory, snapshot size)
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from hasteward import EngineSpec, hookimpl
from hasteward.adapters.kubernetes.configuration import load
from hasteward.adapters.kubernetes.rest import KubernetesApi
from hasteward.adapters.restic.password import Password
from hasteward.adapters.restic.program import find_program
from hasteward.adapters.restic.repository import ResticRepository
from hasteward.adapters.system import SystemClock
from hasteward.domain.capability import Capability, EngineInfo, Supported
from hasteward.domain.cluster import ClusterRef
from hasteward.kit.sections import SectionWriter
from hasteward.pipelines.backup import BackupOptions, backup
from hasteward.plugins import Engine
from hasteward.ports.context import DumpOptions, DumpProof, DumpSink, EngineContext, Run
from hasteward.ports.kubernetes import PodRef
from hasteward.streams.proof import Algorithm
from hasteward.testing.reporter import Approval


class Quiet:
    def emit(self, event: object) -> None:
        pass


class Synthetic(EngineSpec):
    def __init__(self, size: int) -> None:
        self.size = size

    @hookimpl
    def info(self) -> EngineInfo:
        return EngineInfo("synthetic", "zeros", "zeros.bin", "zeros-1", {Capability.DUMP: Supported()})

    @hookimpl
    def dump(
        self, context: EngineContext, cluster: ClusterRef, sink: DumpSink, options: DumpOptions
    ) -> DumpProof:
        writer = SectionWriter(context, sink, Algorithm.BLAKE2B_256)
        command = f"head -c {self.size} /dev/zero; printf END"
        pod = PodRef(cluster.namespace, f"{cluster.name}-1", "postgres")
        writer.stream("zeros", "", pod, ["sh", "-c", command], end_marker=b"END")
        return DumpProof("pg-1", "0", writer.sections)


def main() -> None:
    size, kubeconfig, repository, password = int(sys.argv[1]), *sys.argv[2:5]
    plugin = Synthetic(size)
    context = EngineContext(
        KubernetesApi(load(Path(kubeconfig)).configuration),
        SystemClock(),
        Quiet(),
        Run("5" * 16, datetime.now(UTC).replace(microsecond=0)),
        Approval(),
    )
    store = ResticRepository(repository, Password(lambda: password), find_program())
    store.init()
    engine = Engine(plugin.info(), plugin, frozenset({"dump"}))
    result = backup(engine, context, ClusterRef("synthetic", "db", "pg"), store, BackupOptions())
    # not ru_maxrss, which keeps the size of the process that started us
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    print(peak, result.size)


if __name__ == "__main__":
    main()
