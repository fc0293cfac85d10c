"""What every engine must keep on real servers, kept by vault on three of OpenBao."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import pytest
from vault_real import Bao

from hasteward_lab.conformance import LabConformance, Repair, Site
from hasteward_lab.state import LabError

pytestmark = [pytest.mark.servers, pytest.mark.timeout(1200)]


class BaoSite(Site):
    engine = "vault"
    where = ("-e", "vault", "-c", "bao", "-n", "vault")

    def __init__(self, bao: Bao) -> None:
        super().__init__(bao.lab)
        self.bao = bao

    def fill(self) -> None:
        for number in range(20):
            self.bao.put(f"shop/{number}", f"{number} green bottles", self.bao.leader())

    def content(self) -> Mapping[str, Any]:
        return {pod: self._read(pod) for pod in self.lab.pods}

    def _read(self, pod: str) -> dict[str, str | None]:
        names = self.bao.call("LIST", "kv/shop", None, pod)["data"]["keys"]
        return {name: self.bao.get(f"shop/{name}", pod) for name in names}

    def damage(self) -> None:
        leader = self.bao.leader()
        self.bao.put("shop/1", "nothing", leader)
        self.bao.put("shop/more", "later", leader)
        self.bao.call("DELETE", "kv/shop/2", None, leader)

    def commit(self, number: int) -> None:
        for pod in self.lab.pods:
            answer = self.bao.call("POST", f"kv/ledger/{number}", {"value": "x"}, pod)
            if "lab_error" not in answer:
                return
        raise LabError("no member takes a write")

    def committed(self) -> Mapping[str, frozenset[int]]:
        found = {pod: self.bao.call("LIST", "kv/ledger", None, pod) for pod in self.lab.pods}
        return {pod: frozenset(map(int, answer["data"]["keys"])) for pod, answer in found.items()}

    def settle(self) -> None:
        super().settle()
        self.bao.until(lambda found: found.healthy, seconds=120)

    def tidy(self) -> None:
        for pod in self.lab.pods:
            self.lab.exec(pod, ["sh", "-c", "rm -f /openbao/data/hasteward-kept-*"])


@contextmanager
def sealed(site: BaoSite) -> Iterator[BaoSite]:
    """A standby that was started again, and nobody to unseal it."""
    standby = next(pod for pod in site.lab.pods if pod != site.bao.leader())
    site.lab.operator_down()
    try:
        site.lab.kill(standby)
        site.bao.until(lambda found: any(d.id == "vault-sealed" for d in found.diagnoses))
        yield site
    finally:
        site.lab.operator_up()


@contextmanager
def taken_out(site: BaoSite) -> Iterator[BaoSite]:
    """A standby that is no peer any more, and runs on."""
    leader = site.bao.leader()
    stray = next(pod for pod in site.lab.pods if pod != leader)
    site.bao.call("POST", "sys/storage/raft/remove-peer", {"server_id": stray}, leader)
    site.bao.until(lambda found: any(d.member == stray for d in found.diagnoses))
    try:
        yield site
    finally:
        if not site.bao.triage().healthy:
            # nobody has healed it: with nothing on its volume it joins by itself
            site.lab.chaos.lose_pvc(stray, f"data-{stray}")


class TestVault(LabConformance):
    subject = BaoSite
    kills = 20
    troubles = MappingProxyType({"sealed": sealed})
    repairs = MappingProxyType({"taken-out": Repair(taken_out)})

    @pytest.fixture(scope="class")
    @classmethod
    def site(cls, bao: Bao) -> BaoSite:
        """The folder's cluster."""
        made = BaoSite(bao)
        made.settle()
        made.fill()
        return made
