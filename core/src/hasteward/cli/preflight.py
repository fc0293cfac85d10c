"""Asked before a run begins: is the repository there, does the API answer, may we do what we will do?

Without this, an engine would meet a broken kubeconfig in the middle of its readings and take it for something
that could not be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasteward.domain.errors import PermissionDenied

if TYPE_CHECKING:
    from hasteward.cli.session import Session
    from hasteward.ports.kubernetes import Kubernetes


def missing_rights(kubernetes: Kubernetes, namespace: str) -> list[str]:
    """What a backup needs in `namespace` and we may not do, as RBAC spells it. Raises the Api* errors."""
    from hasteward.ports.kubernetes import LEASES, PODS

    wanted = (
        *((verb, PODS, "") for verb in ("get", "list")),
        # an exec over WebSocket needs both
        *((verb, PODS, "exec") for verb in ("get", "create")),
        *((verb, LEASES, "") for verb in ("get", "create", "update")),
    )
    return [
        f"{verb} {resource.title}{'/' + subresource if subresource else ''}"
        for verb, resource, subresource in wanted
        if not kubernetes.may(verb, resource, namespace, subresource)
    ]


def connect(session: Session) -> None:
    """See that the API server answers and knows us. Raises InvalidInput, DependencyError."""
    from hasteward.ports.kubernetes import PODS, ApiForbidden

    try:
        session.wiring.kubernetes.may("list", PODS, session.settings.text("namespace"))
    except ApiForbidden:
        # a server that does not let us ask has answered all the same
        return


def require(session: Session) -> None:
    """Repository first, then the API, then our rights. Nothing is touched."""
    from hasteward.ports.kubernetes import ApiForbidden

    session.wiring.repository.open()
    connect(session)
    namespace = session.settings.text("namespace")
    try:
        missing = missing_rights(session.wiring.kubernetes, namespace)
    except ApiForbidden:
        return
    if missing:
        raise PermissionDenied(
            f"not allowed in namespace {namespace}: {', '.join(missing)}",
            hint=f"bind the role for backups there, then: hasteward doctor -n {namespace}",
            code="permission.missing",
        )
