from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Self

from hasteward_keyval.triage import STORE
from hasteward_lab.conformance import LabConformance, Site
from hasteward_lab.lab import Lab
from hasteward_lab.state import LabError

POD = "shop-0"
START = f"printf '# version 7\\ncolour=blue\\n# end\\n' >{STORE}; exec sleep infinity"
CLAIM = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}},
}
SERVER = {
    "metadata": {"name": POD, "labels": {"keyval": "shop", "role": "primary"}},
    "spec": {
        "containers": [
            {
                "name": "store",
                "image": "busybox",
                "command": ["sh", "-c", START],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }
        ],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    },
}


class Shop(Site):
    engine = "keyval"
    where = ("-e", "keyval", "-n", "db", "-c", "shop")

    @classmethod
    @contextmanager
    def up(cls) -> Iterator[Self]:
        with Lab.up(part="bare", members=1) as lab:
            for kind, body in (("persistentvolumeclaims", CLAIM), ("pods", SERVER)):
                lab.client.call("POST", f"/api/v1/namespaces/db/{kind}", body)
            yield cls(lab)

    def run(self, script: str) -> str:
        done = self.lab.exec(POD, ["sh", "-ec", script])
        if done.returncode:
            raise LabError(done.stderr.decode())
        return done.stdout.decode()

    def change(self, sed: str) -> None:
        self.run(f"sed '{sed}' {STORE} >{STORE}.mine; mv {STORE}.mine {STORE}")

    def content(self) -> Mapping[str, Any]:
        return {POD: re.findall(r"^colour=.*", self.run(f"cat {STORE}"), re.MULTILINE)}

    def damage(self) -> None:
        self.change("s/^colour=.*/colour=grey/")

    def commit(self, number: int) -> None:
        self.change(f"/^# end/i n{number}=written")

    def committed(self) -> Mapping[str, frozenset[int]]:
        return {POD: frozenset(map(int, re.findall(r"^n(\d+)=", self.run(f"cat {STORE}"), re.MULTILINE)))}

    def settle(self) -> None:
        self.lab.wait(lambda: self.lab.exec(POD, ["test", "-s", STORE]).returncode == 0)


@contextmanager
def torn(site: Shop) -> Iterator[Shop]:
    site.run(f"cp {STORE} {STORE}.whole")
    site.change("/^# end/d")
    yield site
    site.run(f"mv {STORE}.whole {STORE}")


class TestKeyvalOnRealServers(LabConformance):
    subject = Shop
    troubles: ClassVar = {"torn": torn}
