from __future__ import annotations

from collections.abc import Sequence

from hasteward.domain.cluster import ClusterRef
from hasteward.ports.kubernetes import PODS, PodRef
from hasteward.testing import HEALTHY, EngineConformance, FakeKubernetes, Result, World
from hasteward_keyval.plugin import plugin
from hasteward_keyval.restore import LOAD, SWAP
from hasteward_keyval.triage import STORE

FULL = b"# version 7\ncolour=blue\nsize=3\n# end\n"
PRIMARY, REPLICA = "shop-0", "shop-1"
#: what one member's file holds when something is wrong with it
SICK = {
    "stale replica": (REPLICA, b"# version 6\n# end\n"),
    "stale primary": (PRIMARY, b"# version 6\n# end\n"),
    "torn replica": (REPLICA, FULL[:-3]),
}


class Store:
    """What runs in the pods: each has a few files, and the replica copies the primary."""

    def __init__(self) -> None:
        self.files = {PRIMARY: {STORE: FULL}, REPLICA: {STORE: FULL}}

    def __call__(self, pod: PodRef, argv: Sequence[str], stdin: bytes) -> Result:
        files = self.files[pod.name]
        if argv == LOAD:
            files[f"{STORE}.new"] = stdin
        elif argv == SWAP:
            if f"{STORE}.new" not in files:
                return Result(stderr=b"mv: no such file", exit_status=1)
            files[f"{STORE}.old"], files[STORE] = files[STORE], files.pop(f"{STORE}.new")
            self.files[REPLICA][STORE] = files[STORE]
        elif argv[0] == "cat":
            return Result(files[argv[1]])
        return Result()

    def damage(self) -> None:
        for files in self.files.values():
            files[STORE] = b"# version 8\ncolour=grey\n# end\n"


class TestKeyval(EngineConformance):
    engine = plugin
    states = tuple(SICK)

    def world(self, state: str = HEALTHY) -> World:
        store = Store()
        kubernetes = FakeKubernetes(store)
        for name, role in ((PRIMARY, "primary"), (REPLICA, "replica")):
            meta = {"name": name, "namespace": "db", "labels": {"keyval": "shop", "role": role}}
            kubernetes.add(PODS, {"metadata": meta})
        if state != HEALTHY:
            pod, content = SICK[state]
            store.files[pod][STORE] = content
        return World(
            cluster=ClusterRef("keyval", "db", "shop"),
            kubernetes=kubernetes,
            content=lambda: store.files[PRIMARY][STORE],
            damage=store.damage,
            residue=lambda: f"{STORE}.new" in store.files[PRIMARY],
        )
