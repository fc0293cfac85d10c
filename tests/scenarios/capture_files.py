"""Captures the files of one stopped member, as a repair does: capture_files.py KUBECONFIG ORDINAL."""

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
from hasteward.kit.helperpod import Helper, Mount, helper_pod
from hasteward.pipelines.escrow import Escrow
from hasteward.plugins import installed_entry_points
from hasteward.plugins import load as load_plugins
from hasteward.ports.context import EngineContext, Run
from hasteward.ports.kubernetes import PODS
from hasteward.testing.reporter import Approval, RecordingReporter
from hasteward_cnpg.capture import save_pgdata
from hasteward_cnpg.collect import cluster_body
from hasteward_cnpg.collect.files import Place
from hasteward_cnpg.facts.objects import helper_facts
from hasteward_cnpg.resources import DATA_DIRECTORY, MOUNT

CLUSTER = ClusterRef("cnpg", "db", "pg")


def main() -> None:
    password = Path(os.environ["RESTIC_PASSWORD_FILE"]).read_text(encoding="utf-8")
    store = ResticRepository(os.environ["HASTEWARD_BACKUPS_PATH"], Password(lambda: password), find_program())
    context = EngineContext(
        KubernetesApi(load(Path(sys.argv[1])).configuration),
        SystemClock(),
        RecordingReporter(),
        Run("e" * 16, datetime.now(UTC).replace(microsecond=0)),
        Approval(),
    )
    ordinal = int(sys.argv[2])
    member = f"pg-{ordinal}"
    facts = helper_facts(
        cluster_body(context, CLUSTER), context.kubernetes.get(PODS, CLUSTER.namespace, member), {}
    )
    helper = Helper(
        name=f"hasteward-{member}-capture",
        image=facts.image,
        mounts=(Mount(member, MOUNT),),
        node=facts.node,
        user=facts.user,
        group=facts.group,
    )
    engine = load_plugins(installed_entry_points()).engine("cnpg")
    captures = Escrow(engine, context, CLUSTER, store)
    with helper_pod(context, CLUSTER.namespace, helper) as pod:
        place = Place(pod, DATA_DIRECTORY)
        print(save_pgdata(context, CLUSTER, captures, member=member, ordinal=ordinal, place=place))


if __name__ == "__main__":
    main()
