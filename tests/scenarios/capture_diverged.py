"""Takes a `type=diverged` snapshot of one member: capture_diverged.py KUBECONFIG ORDINAL."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from hasteward.adapters.kubernetes.configuration import load
from hasteward.adapters.kubernetes.rest import KubernetesApi
from hasteward.adapters.restic.password import Password
from hasteward.adapters.restic.program import find_program
from hasteward.adapters.restic.repository import ResticRepository
from hasteward.adapters.system import SystemClock
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.snapshot import SnapshotType
from hasteward.pipelines.backup import BackupOptions, backup
from hasteward.plugins import installed_entry_points
from hasteward.plugins import load as load_plugins
from hasteward.ports.context import EngineContext, Run
from hasteward.testing.reporter import Approval, RecordingReporter


def main() -> None:
    password = Path(os.environ["RESTIC_PASSWORD_FILE"]).read_text(encoding="utf-8")
    store = ResticRepository(os.environ["HASTEWARD_BACKUPS_PATH"], Password(lambda: password), find_program())
    context = EngineContext(
        KubernetesApi(load(Path(sys.argv[1])).configuration),
        SystemClock(),
        RecordingReporter(),
        Run("d" * 16, datetime.now(UTC).replace(microsecond=0)),
        Approval(),
    )
    engine = load_plugins(installed_entry_points()).engine("cnpg")
    options = BackupOptions(SnapshotType.DIVERGED, instance=int(sys.argv[2]))
    print(backup(engine, context, ClusterRef("cnpg", "db", "pg"), store, options).snapshot)


if __name__ == "__main__":
    main()
