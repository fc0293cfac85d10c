"""What every part of the API server works with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hasteward_lab.api.auth.identity import Authenticator
from hasteward_lab.api.auth.rbac import Authorizer
from hasteward_lab.api.catalog import Catalog
from hasteward_lab.faults import Call, FaultTable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hasteward_lab.api.auth.identity import User
    from hasteward_lab.api.resources import Resource
    from hasteward_lab.api.runtime import Runtime
    from hasteward_lab.api.store import Store


@dataclass
class AuditRecord:
    """Who did what, and how it was answered (0: not yet)."""

    call: Call
    group: str = ""
    code: int = 0

    def to_json(self) -> dict[str, str | int]:
        """The record as the audit endpoint tells it."""
        return {
            "user": self.call.user,
            "verb": self.call.verb,
            "group": self.group,
            "resource": self.call.resource,
            "subresource": self.call.subresource,
            "namespace": self.call.namespace,
            "name": self.call.name,
            "code": self.code,
        }


@dataclass
class ApiContext:
    """The state behind the API of one lab."""

    store: Store
    runtime: Runtime
    tokens: dict[str, User]
    lab_token: str
    faults: FaultTable = field(default_factory=FaultTable)
    audit: list[AuditRecord] = field(default_factory=list)
    # More endpoints below `/lab/`, by path: they take the call's body and give the answer's.
    extra: dict[str, Callable[[dict[str, Any]], Awaitable[Any]]] = field(default_factory=dict)
    # Who has a say before an object of a kind is written: given the object and what it was, they may refuse.
    webhooks: dict[Resource, Callable[[dict[str, Any], dict[str, Any] | None], None]] = field(
        default_factory=dict
    )
    authenticator: Authenticator = field(init=False)
    authorizer: Authorizer = field(init=False)
    catalog: Catalog = field(init=False)

    def __post_init__(self) -> None:
        self.authenticator = Authenticator(self.store, self.tokens, self.lab_token)
        self.authorizer = Authorizer(self.store)
        self.catalog = Catalog(self.store)
