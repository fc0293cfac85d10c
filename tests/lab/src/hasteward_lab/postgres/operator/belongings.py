"""Keeps what a Cluster owns besides its instances: what is missing is made, what is no longer wanted goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hasteward_lab.api.resources import ACCOUNTS, BUDGETS, ROLE_BINDINGS, ROLES, SERVICES, Resource
from hasteward_lab.postgres import belongings
from hasteward_lab.postgres.objects import Maker
from hasteward_lab.postgres.operator.view import Object, View, name_of

if TYPE_CHECKING:
    from hasteward_lab.postgres.operator.desk import Desk

# Of these the operator tells in events.
_TOLD = {ACCOUNTS, ROLES, BUDGETS}


class Belongings:
    """The first step of every pass."""

    def __init__(self, desk: Desk, maker: Callable[[Object], Maker]) -> None:
        self._desk = desk
        self._maker = maker

    def keep(self, view: View) -> None:
        """Make what is missing, and bring budgets up to date."""
        maker = self._maker(view.cluster)
        wanted: list[tuple[Resource, Object]] = [(SERVICES, item) for item in belongings.services(maker)]
        wanted += [
            (ACCOUNTS, belongings.account(maker)),
            (ROLES, belongings.role(maker)),
            (ROLE_BINDINGS, belongings.binding(maker)),
        ]
        budgets = belongings.budgets(maker)
        for resource, item in [*wanted, *((BUDGETS, budget) for budget in budgets)]:
            self._keep(view, resource, item)
        names = set(map(name_of, budgets))
        for name in (view.name, f"{view.name}-primary"):
            if name not in names and self._desk.store.find(BUDGETS, view.namespace, name):
                self._desk.delete(BUDGETS, name)
                self._tell(view, "Deleting", BUDGETS, name)

    def _keep(self, view: View, resource: Resource, item: Object) -> None:
        there = self._desk.store.find(resource, view.namespace, name_of(item))
        if there is None:
            self._desk.create(resource, item)
            self._tell(view, "Creating", resource, name_of(item))
        elif resource == BUDGETS and there["spec"] != item["spec"]:
            self._desk.change(resource, there, lambda found: found.update(spec=item["spec"]))
            self._tell(view, "Updating", resource, name_of(item))

    def _tell(self, view: View, word: str, resource: Resource, name: str) -> None:
        if resource in _TOLD:
            self._desk.event(view.cluster, f"{word}{resource.kind}", f"{word} {resource.kind} {name}")
