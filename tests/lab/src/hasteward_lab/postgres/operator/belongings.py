"""Keeps what a Cluster owns besides its instances: what is missing is made, what is no longer wanted goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hasteward_lab.api.resources import ACCOUNTS, BUDGETS, QUORUMS, ROLE_BINDINGS, ROLES, SERVICES, Resource
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
        wanted += [(BUDGETS, item) for item in belongings.budgets(maker)]
        wanted += [(QUORUMS, item) for item in belongings.quorum(maker)]
        for resource, item in wanted:
            self._keep(view, resource, item)
        names = {(resource, name_of(item)) for resource, item in wanted}
        for row in ((BUDGETS, view.name), (BUDGETS, f"{view.name}-primary"), (QUORUMS, view.name)):
            if row not in names and self._desk.store.find(row[0], view.namespace, row[1]):
                self._desk.delete(*row)
                self._tell(view, "Deleting", *row)

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
