"""Does the acts of a repair. Each looks again before it destroys, and done twice it comes to the same end."""

from __future__ import annotations

from hasteward.domain.cluster import ClusterRef
from hasteward.kit.steps import Deed, walk
from hasteward.ports.context import EngineContext, Order
from hasteward_cnpg.heal.data import Adopt, Bench, Capture, Clone, Discard, Empty, Rewind, Verify
from hasteward_cnpg.heal.pods import GiveUp, HelperPod, Rejoin, Restart
from hasteward_cnpg.heal.scene import Scene
from hasteward_cnpg.heal.switches import Fence, Pause, Remove
from hasteward_cnpg.plan.acts import Kind


def heal(context: EngineContext, cluster: ClusterRef, order: Order) -> None:
    """Walk the acts of the order's journal."""
    scene = Scene(cluster)
    quiet: dict[Kind, Deed] = {
        Kind.FENCE: Fence(scene),
        Kind.PAUSE: Pause(scene),
        Kind.REMOVE: Remove(scene),
        Kind.HELPER: HelperPod(scene),
    }
    bench = Bench(scene, quiet)
    deeds: dict[Kind, Deed] = {
        **quiet,
        Kind.RESTART: Restart(scene),
        Kind.GIVE_UP: GiveUp(scene),
        Kind.VERIFY: Verify(bench),
        Kind.CAPTURE: Capture(bench, order.captures),
        Kind.REWIND: Rewind(bench),
        Kind.EMPTY: Empty(bench),
        Kind.CLONE: Clone(bench),
        Kind.ADOPT: Adopt(bench),
        Kind.REJOIN: Rejoin(scene),
        Kind.DISCARD: Discard(bench),
    }
    walk(context, order, {kind.value: deed for kind, deed in deeds.items()})
