"""Reads everything triage rests on. Changes nothing; whatever cannot be read becomes Unread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError, InvalidInput
from hasteward.domain.reading import Absent, Forbidden, Known, Reading, Unread
from hasteward.kit.answers import Answer
from hasteward.kit.reading import attempt
from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import PODS
from hasteward_vault.analyse.verdict import leads
from hasteward_vault.collect.ask import ask
from hasteward_vault.collect.files import with_files
from hasteward_vault.collect.token import access
from hasteward_vault.evidence import (
    Evidence,
    MemberEvidence,
    PodFacts,
    Raft,
    SetFacts,
    Status,
    Volume,
)
from hasteward_vault.facts.answers import (
    document,
    host_of,
    parse_kept,
    parse_key_term,
    parse_peers,
    parse_status,
    parse_volume,
    parse_watched,
)
from hasteward_vault.facts.objects import (
    choose_set,
    looks_like_ours,
    name_of,
    ordinal_of,
    parse_pod,
    parse_set,
)
from hasteward_vault.facts.shell import RAFT, STATUS
from hasteward_vault.resources import LABEL_INSTANCE, STATEFUL_SETS, pod_of

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def collect(context: EngineContext, cluster: ClusterRef) -> Evidence:
    """Read the StatefulSet, its pods, what every server says of itself, and what those say who claim to lead.

    Raises InvalidInput if the cluster is proven not to exist.
    """
    found = read_set(context, cluster)
    pods = attempt("the list of pods", lambda: _pods(context, cluster, found))
    names = [f"{found.name}-{number}" for number in range(found.replicas)]
    if isinstance(pods, Known):
        names += sorted(set(pods.value) - set(names), key=ordinal_of)
    members = tuple(_member(context, cluster, found, name, pods) for name in names)
    inventory = Known(len(pods.value), pods.source) if isinstance(pods, Known) else pods
    evidence = Evidence(found, inventory, members)
    return with_files(context, cluster, evidence) if _nobody_leads(members) else evidence


def _nobody_leads(members: tuple[MemberEvidence, ...]) -> bool:
    """Whether it is known that nobody does: who claims to lead and could not be asked may well do."""
    return all(
        (isinstance(member.raft, Known) and not leads(member)) or not _claims(member) for member in members
    )


def _claims(member: MemberEvidence) -> bool:
    return isinstance(member.status, Known) and member.status.value.active


def read_set(context: EngineContext, cluster: ClusterRef) -> SetFacts:
    """The StatefulSet; InvalidInput with the names of those that exist when there is none."""
    sets = context.kubernetes.list(STATEFUL_SETS, cluster.namespace)
    body = choose_set(sets, cluster.name)
    if body is None:
        ours = ", ".join(name_of(row) for row in sets if looks_like_ours(row))
        raise InvalidInput(
            f"there is no StatefulSet {cluster.namespace}/{cluster.name}, and not one that is"
            f" labelled {LABEL_INSTANCE}={cluster.name}",
            hint=f"give one that there is: {ours}" if ours else f"kubectl get sts -n {cluster.namespace}",
            code="cluster.not_found",
        )
    try:
        return parse_set(body)
    except (KeyError, ValueError, IndexError) as error:
        raise InvalidInput(
            f"StatefulSet {cluster.namespace}/{name_of(body)} was not understood: {error}",
            code="cluster.not_understood",
        ) from error


def _pods(context: EngineContext, cluster: ClusterRef, found: SetFacts) -> dict[str, Mapping[str, Any]]:
    labels = ",".join(f"{key}={value}" for key, value in found.selector.items())
    rows = {name_of(row): row for row in context.kubernetes.list(PODS, cluster.namespace, labels=labels)}
    prefix = f"{found.name}-"
    return {name: row for name, row in rows.items() if name.startswith(prefix) and _numbered(name)}


def _numbered(name: str) -> bool:
    return name.rpartition("-")[2].isdigit()


def _member(
    context: EngineContext,
    cluster: ClusterRef,
    found: SetFacts,
    name: str,
    pods: Reading[dict[str, Mapping[str, Any]]],
) -> MemberEvidence:
    pod = _pod(found, name, pods)
    if not isinstance(pod, Known) or not pod.value.alive:
        reason = pod if isinstance(pod, Unread) else Unread(f"{name}: its container does not run")
        return MemberEvidence(name, ordinal_of(name), pod, reason, reason, reason)
    status, volume, kept = _own(context, cluster, found, name, pod.value)
    raft: Reading[Raft] = Absent(f"{name} does not claim to lead, so it was not asked")
    match status:
        case Known(said) if said.active and not said.sealed:
            raft = read_raft(context, cluster, found, name)
        case Known():
            pass
        case Absent(why) | Unread(why):
            raft = Unread(why)
    return MemberEvidence(name, ordinal_of(name), pod, status, volume, raft, kept)


def _own(
    context: EngineContext, cluster: ClusterRef, found: SetFacts, name: str, pod: PodFacts
) -> tuple[Reading[Status], Reading[Volume], tuple[str, ...]]:
    """What a server tells of itself, the volume it is on, and what restores kept there."""
    match attempt(f"status of {name}", lambda: _local(context, cluster, found, name, pod)):
        case Known(parts):
            return (
                attempt(f"status of {name}", lambda: parse_status(document(parts["status"]))),
                attempt(f"df in {name}", lambda: parse_volume(parts["disk"])),
                parse_kept(parts["kept"]) if "kept" in parts else (),
            )
        case Unread() as unread:
            return unread, unread, ()


def _pod(found: SetFacts, name: str, pods: Reading[dict[str, Mapping[str, Any]]]) -> Reading[PodFacts]:
    match pods:
        case Known(rows):
            if name not in rows:
                return Absent(f"there is no pod {name}")
            return attempt(f"pod {name}", lambda: parse_pod(rows[name], found.container))
        case Absent(why) | Unread(why):
            return Unread(why)


def _local(
    context: EngineContext, cluster: ClusterRef, found: SetFacts, name: str, pod: PodFacts
) -> Mapping[str, Answer]:
    """The answers about this very server; ValueError when the container's environment leads to another."""
    parts = ask(context, pod_of(cluster, name, found.container), STATUS, found.data)
    address = parts["address"].text
    host = host_of(address)
    if host not in _LOOPBACK and host != pod.address and host.split(".", maxsplit=1)[0] != name:
        raise ValueError(f"BAO_ADDR or VAULT_ADDR in the container is {address}, which may be another server")
    return parts


def read_raft(context: EngineContext, cluster: ClusterRef, found: SetFacts, name: str) -> Reading[Raft]:
    """What a server that claims to lead says to somebody with a token."""
    source = f"the Raft configuration as {name} has it"
    try:
        allowed = access(context, cluster)
        parts = ask(context, pod_of(cluster, name, found.container), RAFT, access=allowed)
        peers = parse_peers(document(parts["peers"]))
    except HastewardError as error:
        return Unread(f"{source}: {error.message}")
    except (ValueError, KeyError, TypeError) as error:
        words = str(error)
        refused = "permission denied" in words
        return Forbidden(f"{source}: {words}") if refused else Unread(f"{source}: {words}")
    watched = attempt(f"autopilot of {name}", lambda: parse_watched(document(parts["autopilot"])))
    term = attempt(f"sys/key-status of {name}", lambda: parse_key_term(document(parts["keys"])))
    return Known(Raft(peers, watched, term), source)


__all__ = ["collect", "read_raft", "read_set"]
