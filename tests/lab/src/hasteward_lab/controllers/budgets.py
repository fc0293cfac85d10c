"""Disruption budgets: how many pods there are to be, how many are well, and so how many may go."""

from __future__ import annotations

from typing import Any

from hasteward_lab.api.resources import BUDGETS, PODS
from hasteward_lab.controllers.base import Controller
from hasteward_lab.kubelet.status import is_ready

Object = dict[str, Any]


class Budgets(Controller):
    """The disruption controller."""

    watches = (BUDGETS, PODS)

    def reconcile(self) -> None:
        """Count for every budget."""
        for budget in self.store.listing(BUDGETS):
            meta, spec = budget["metadata"], budget.get("spec", {})
            wanted = ((spec.get("selector") or {}).get("matchLabels") or {}).items()
            pods = self.store.listing(PODS, meta["namespace"])
            found = [pod for pod in pods if wanted <= (pod["metadata"].get("labels") or {}).items()]
            healthy = sum(is_ready(pod) and "deletionTimestamp" not in pod["metadata"] for pod in found)
            self._publish(budget, len(found), healthy, _least(spec, len(found)))

    def _publish(self, budget: Object, expected: int, healthy: int, least: int) -> None:
        meta = budget["metadata"]
        status = {
            "observedGeneration": meta.get("generation", 1),
            "expectedPods": expected,
            "currentHealthy": healthy,
            "desiredHealthy": least,
            "disruptionsAllowed": max(healthy - least, 0) if expected else 0,
        }

        def change(item: Object) -> None:
            item.setdefault("status", {}).update(status)

        self.store.modify(BUDGETS, meta["namespace"], meta["name"], change)


def _least(spec: Object, expected: int) -> int:
    """How many have to stay; a percentage is rounded up, as the real one does."""
    if "maxUnavailable" in spec:
        return max(expected - _count(spec["maxUnavailable"], expected), 0)
    return _count(spec.get("minAvailable", 1), expected)


def _count(value: int | str, expected: int) -> int:
    text = str(value)
    return -(-expected * int(text[:-1]) // 100) if text.endswith("%") else int(text)
