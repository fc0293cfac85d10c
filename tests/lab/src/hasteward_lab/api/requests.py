"""From a path to what is asked for: the verbs and resources of the Kubernetes API."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from aiohttp import web

from hasteward_lab.api.auth.identity import User
from hasteward_lab.api.auth.rbac import Attributes
from hasteward_lab.api.catalog import Catalog
from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.resources import Resource
from hasteward_lab.faults import Call

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_ONE_NAME = re.compile(r"^metadata\.name==?([^,!]+)$")


@dataclass(frozen=True)
class Target:
    """A request on a resource, taken apart."""

    resource: Resource
    namespace: str
    name: str
    subresource: str
    verb: str
    # What follows the subresource: the path of a proxied request.
    rest: str = ""
    # The name for rights and audit: a list of one named object counts as a request for it.
    said_name: str = ""

    def call(self, user: str, command: str = "") -> Call:
        """The call for audit, rights and faults."""
        return Call(
            user=user,
            verb=self.verb,
            resource=self.resource.plural,
            subresource=self.subresource,
            namespace=self.namespace,
            name=self.name,
            command=command,
        )

    def attributes(self, user: User) -> Attributes:
        """What the user needs the right to."""
        own = self.resource.plural == "namespaces"
        return Attributes(
            user,
            self.verb,
            group=self.resource.group,
            resource=self.resource.plural,
            subresource=self.subresource,
            # A namespace counts as being in itself: a Role in it can allow reading it.
            namespace=self.name if own else self.namespace,
            name=self.said_name,
        )


def parse(request: web.Request, catalog: Catalog) -> Target | None:
    """Take a request apart; None when its path names no resource, 404 when it is not served."""
    parts = [part for part in request.path.split("/") if part]
    if len(parts) >= 3 and parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) >= 4 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in {"status", "finalize"}:
        namespace, rest = rest[1], rest[2:]
    resource = catalog.find(group, version, rest[0])
    name, subresource = [*rest[1:], "", ""][:2]
    if resource is None or (len(rest) > 3 and subresource != "proxy"):
        raise ApiError(404, "the server could not find the requested resource", details={})
    tail = request.path.partition("/proxy/")[2] if subresource == "proxy" else ""
    target = Target(resource, namespace, name, subresource, "", tail, name)
    target = replace(target, verb=_verb(request, target))
    one = _ONE_NAME.match(request.query.get("fieldSelector", ""))
    return replace(target, said_name=one[1]) if one and not name else target


def _verb(request: web.Request, target: Target) -> str:
    if request.method in {"GET", "HEAD"}:
        if request.query.get("watch") in {"1", "true"} and target.subresource not in {"exec", "proxy"}:
            return "watch"
        return "get" if target.name else "list"
    verb = _VERBS.get(request.method)
    if verb is None:
        raise ApiError(405, "the server does not allow this method on the requested resource", details={})
    return "deletecollection" if verb == "delete" and not target.name else verb


def group_version(request: web.Request) -> tuple[str, str] | None:
    """The (group, version) of a discovery request; None when it is none."""
    parts = [part for part in request.path.split("/") if part]
    if len(parts) == 2 and parts[0] == "api":
        return "", parts[1]
    if len(parts) == 3 and parts[0] == "apis":
        return parts[1], parts[2]
    return None
