"""The new store is built beside the old one, and then takes its place in one rename."""

from __future__ import annotations

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import InvalidInput, RunFailed
from hasteward.domain.plan import Plan, Reversal, Step
from hasteward.kit.streaming import capture, upload
from hasteward.ports.context import EngineContext, RestoreOptions, RestoreOutcome, RestoreSource
from hasteward.streams.proof import Algorithm
from hasteward_keyval.triage import STORE, primary

LOAD = ["sh", "-c", f"cat > {STORE}.new"]
SWAP = ["sh", "-c", f"ln -f {STORE} {STORE}.old && mv -f {STORE}.new {STORE}"]


def restore(
    context: EngineContext, cluster: ClusterRef, source: RestoreSource, options: RestoreOptions
) -> RestoreOutcome:
    if options.databases or options.instance is not None:
        raise InvalidInput("keyval has one store: --database and --instance mean nothing here")
    pod = primary(context, cluster)
    plan = Plan(
        f"restore {cluster} from snapshot {source.snapshot_id[:8]}",
        (
            Step(f"load {STORE}.new on {pod.name}", Reversal.REVERSIBLE),
            Step(f"rename it to {STORE}", Reversal.REVERSIBLE),
        ),
        gives_up=(f"what is in {STORE} now (it stays as {STORE}.old)",),
    )
    if not context.approve(plan):
        return RestoreOutcome(planned_only=True)
    for section, pieces in source.read(["store"]):
        # raises unless what arrived in the pod is what left the repository, and that is what was proven
        upload(context, pod, LOAD, pieces, what="the store", algorithm=Algorithm(section.algorithm))
    context.check_lease()
    if (done := capture(context, pod, SWAP)).exit_status:
        raise RunFailed(f"{pod} could not rename {STORE}.new: {done.stderr}", hint="run it again")
    return RestoreOutcome(("store",), (f"{STORE}.old",), ("the digest was compared in the pod",))
