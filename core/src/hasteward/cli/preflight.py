"""Asked before a run begins: is the repository there, does the API answer, may we do what we will do?

Without this, an engine would meet a broken kubeconfig in the middle of its readings and take it for something
that could not be read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from hasteward.domain.capability import Capability, Right
from hasteward.domain.errors import HastewardError, PermissionDenied
from hasteward.domain.events import Warned

if TYPE_CHECKING:
    from hasteward.cli.session import Session
    from hasteward.domain.capability import EngineInfo
    from hasteward.ports.kubernetes import Kubernetes

#: where the missing rights are written down
GRANT = "grant them (see the Role in run-without-cluster-admin)"
#: core keeps a Lease on the cluster while one of these is at work
_LEASED = (Capability.DUMP, Capability.RESTORE, Capability.HEAL, Capability.NATIVE)
_LEASE_VERBS = ("get", "create", "update")
#: and writes a journal for this one
_JOURNAL_VERBS = ("get", "create", "update", "delete")


def rights(info: EngineInfo, *capabilities: Capability) -> tuple[Right, ...]:
    """What these capabilities of an engine need, the engine's part and core's, each once."""
    from hasteward.ports.kubernetes import CONFIG_MAPS, LEASES

    needed = [right for capability in capabilities for right in info.rights.get(capability, ())]
    if any(capability in _LEASED for capability in capabilities):
        needed += [Right(verb, LEASES.group, LEASES.plural) for verb in _LEASE_VERBS]
    if Capability.HEAL in capabilities:
        needed += [Right(verb, CONFIG_MAPS.group, CONFIG_MAPS.plural) for verb in _JOURNAL_VERBS]
    return tuple(dict.fromkeys(needed))


def missing_rights(kubernetes: Kubernetes, namespace: str, wanted: Iterable[Right]) -> list[str]:
    """Which of them we do not have in `namespace`, as RBAC spells it. Raises the Api* errors."""
    from hasteward.ports.kubernetes import Resource

    return [
        str(right)
        for right in wanted
        # a rule is about every version, and so is the question
        if not kubernetes.may(
            right.verb, Resource(right.group, "", right.resource), namespace, right.subresource
        )
    ]


def connect(session: Session) -> None:
    """See that the API server answers and knows us. Raises InvalidInput, DependencyError."""
    from hasteward.ports.kubernetes import PODS, ApiForbidden

    try:
        session.wiring.kubernetes.may("list", PODS, session.settings.text("namespace"))
    except ApiForbidden:
        # a server that does not let us ask has answered all the same
        return


def without_kubernetes(session: Session) -> bool:
    """Whether ``--via`` was given: then there is no API to ask."""
    return session.settings.resolved("via").value is not None


def _missing(session: Session, info: EngineInfo, *capabilities: Capability) -> str:
    """What is missing, in a sentence; "" when nothing is, or when the server does not let us ask."""
    from hasteward.ports.kubernetes import ApiForbidden

    namespace = session.settings.text("namespace")
    try:
        missing = missing_rights(session.wiring.kubernetes, namespace, rights(info, *capabilities))
    except ApiForbidden:
        return ""
    return f"not allowed in namespace {namespace}: {', '.join(missing)}" if missing else ""


def warn(session: Session, info: EngineInfo, capability: Capability) -> None:
    """The API, then our rights; what is missing is said once, and the run goes on without it."""
    if without_kubernetes(session):
        return
    connect(session)
    missing = _missing(session, info, capability)
    if missing:
        session.journal.emit(Warned("permission.missing", f"{missing}; to know more, {GRANT}"))


def require(session: Session, info: EngineInfo, *capabilities: Capability, store: bool = True) -> None:
    """Repository (if the run needs one), the API, and our rights. Nothing is touched."""
    if not store:
        _require_rights(session, info, *capabilities)
        return
    # to open it takes the store a second, most of it for the password; the API is asked meanwhile, and what
    # comes next is imported
    with session.wiring.repository.opening() as opened:
        try:
            _require_rights(session, info, *capabilities)
        except HastewardError:
            opened()  # its own failure would be the first to be told
            raise
        _load(session, info, *capabilities)
        opened()


def _load(session: Session, info: EngineInfo, *capabilities: Capability) -> None:
    for capability in capabilities:
        session.wiring.plugins.engine(info.name).load(capability)
    import hasteward.cli.render.human
    import hasteward.cli.render.shapes
    import hasteward.pipelines.restore  # noqa: F401  it imports the others


def _require_rights(session: Session, info: EngineInfo, *capabilities: Capability) -> None:
    if without_kubernetes(session):
        return
    connect(session)
    missing = _missing(session, info, *capabilities)
    if missing:
        namespace = session.settings.text("namespace")
        raise PermissionDenied(
            missing, hint=f"{GRANT}, then: hasteward doctor -n {namespace}", code="permission.missing"
        )
