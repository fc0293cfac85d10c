"""Reads everything triage rests on. Changes nothing; whatever cannot be read becomes Unread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError, InvalidInput, RunFailed
from hasteward.domain.reading import Absent, Known, Reading, Unread, why_not
from hasteward.kit.answers import Answer, split_answers
from hasteward.kit.reading import attempt, short
from hasteward.kit.streaming import Captured, Question, capture_each
from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import PERSISTENT_VOLUME_CLAIMS, PODS, ApiNotFound
from hasteward_galera.analyse.components import components, server_of
from hasteward_galera.collect.deep import deepen
from hasteward_galera.collect.login import password
from hasteward_galera.evidence import (
    ClaimFacts,
    ClusterFacts,
    Evidence,
    MemberEvidence,
    PodFacts,
    ServerFacts,
    Volume,
)
from hasteward_galera.facts.galera import parse_server, parse_volume
from hasteward_galera.facts.objects import (
    disk_full,
    hints,
    mapping,
    name_of,
    parse_claim,
    parse_cluster,
    parse_pod,
    parse_set,
)
from hasteward_galera.facts.shell import status_argv
from hasteward_galera.resources import (
    CONFIG,
    CONTAINER,
    DATA,
    MARIADBS,
    STATEFUL_SETS,
    claim_of,
    pod_of,
)
from hasteward_sql.mysql.quoting import option_file

__all__ = ["collect", "read_cluster", "read_server", "read_servers"]

#: how often servers are asked again while their component changes (L59, L60)
_TRIES = 3
_LOG_LINES = 200
Rows = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class _Inventory:
    """Pods and claims of the namespace, by name."""

    pods: Reading[Rows]
    claims: Reading[Rows]

    @property
    def reading(self) -> Reading[int]:
        """Whether both were listed."""
        for each in (self.pods, self.claims):
            if not isinstance(each, Known):
                return each
        return Known(
            len(self.pods.value) if isinstance(self.pods, Known) else 0, "the lists of pods and claims"
        )


def collect(context: EngineContext, cluster: ClusterRef) -> Evidence:
    """Read the MariaDB, its StatefulSet, pods, claims and servers; with --deep, files of stopped members too.

    Raises InvalidInput if the cluster is proven not to exist.
    """
    facts = read_cluster(context, cluster)
    stateful_set = attempt(
        f"StatefulSet {cluster.name}",
        lambda: parse_set(context.kubernetes.get(STATEFUL_SETS, cluster.namespace, cluster.name)),
    )
    inventory = _Inventory(
        attempt("the list of pods", lambda: _named(context.kubernetes.list(PODS, cluster.namespace))),
        attempt(
            "the list of claims",
            lambda: _named(context.kubernetes.list(PERSISTENT_VOLUME_CLAIMS, cluster.namespace)),
        ),
    )
    secret = password(context, cluster, facts)
    members = tuple(
        _member(context, cluster, facts, inventory, name) for name in _names(cluster, facts, inventory)
    )
    evidence = Evidence(facts, stateful_set, inventory.reading, members)
    evidence = _with_servers(context, cluster, evidence, secret)
    return deepen(context, cluster, evidence)


def read_cluster(context: EngineContext, cluster: ClusterRef) -> ClusterFacts:
    """The MariaDB object; InvalidInput with the names of those that exist when there is none."""
    try:
        body = context.kubernetes.get(MARIADBS, cluster.namespace, cluster.name)
    except ApiNotFound as error:
        try:
            ours = ", ".join(name_of(row) for row in context.kubernetes.list(MARIADBS, cluster.namespace))
        except HastewardError:
            ours = ""
        raise InvalidInput(
            f"there is no MariaDB {cluster.namespace}/{cluster.name}",
            hint=f"give one that there is: {ours}"
            if ours
            else f"kubectl get mariadbs -n {cluster.namespace}",
            code="cluster.not_found",
        ) from error
    try:
        return parse_cluster(body)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise InvalidInput(
            f"MariaDB {cluster.namespace}/{cluster.name}: {error}",
            hint=f"kubectl get mariadb {cluster.name} -n {cluster.namespace} -o yaml",
            code="cluster.not_understood",
        ) from error


def _named(rows: list[dict[str, Any]]) -> Rows:
    return {name_of(row): row for row in rows}


def _names(cluster: ClusterRef, facts: ClusterFacts, inventory: _Inventory) -> list[str]:
    """Every name of the set, and pods and claims past its end: a scale-down may have left data there."""
    prefix = f"{cluster.name}-"
    names = [f"{prefix}{number}" for number in range(facts.replicas)]
    extra = set[str]()
    if isinstance(inventory.pods, Known):
        extra |= {name for name, row in inventory.pods.value.items() if _runs_server(row)}
    if isinstance(inventory.claims, Known):
        extra |= {
            name.removeprefix(claim_of(""))
            for name in inventory.claims.value
            if name.startswith(claim_of(""))
        }
    numbered = {name for name in extra if name.startswith(prefix) and name[len(prefix) :].isdigit()}
    return names + sorted(numbered - set(names), key=lambda name: int(name[len(prefix) :]))


def _runs_server(body: Mapping[str, Any]) -> bool:
    """Whether a pod is a member's: a label alone is given to applications too."""
    containers = mapping(body.get("spec")).get("containers") or ()
    return any(row.get("name") == CONTAINER for row in containers)


def _member(
    context: EngineContext, cluster: ClusterRef, facts: ClusterFacts, inventory: _Inventory, name: str
) -> MemberEvidence:
    pod = _pod(inventory, name)
    unasked = Unread(f"{name}: its server does not run")
    down = isinstance(pod, Known) and not pod.value.alive
    return MemberEvidence(
        name=name,
        ordinal=int(name.rpartition("-")[2]),
        pod=pod,
        claim=_claim(inventory, name),
        server=pod if isinstance(pod, Unread) else unasked,
        files=Unread(f"{name}: its files were not looked at"),
        recovered=Unread("InnoDB was not asked"),
        volume=Unread("df was not asked"),
        hints=hints(facts, name),
        disk_full=down and _log_says_full(context, cluster, name),
    )


def _pod(inventory: _Inventory, name: str) -> Reading[PodFacts]:
    match inventory.pods:
        case Known(rows):
            if name not in rows:
                return Absent(f"there is no pod {name}")
            return attempt(f"pod {name}", lambda: parse_pod(rows[name]))
        case Absent(why) | Unread(why):
            return Unread(why)


def _claim(inventory: _Inventory, name: str) -> Reading[ClaimFacts]:
    match inventory.claims, inventory.pods:
        case Known(claims), Known(pods):
            if claim_of(name) not in claims:
                return Absent(f"there is no volume claim {claim_of(name)}")
            body = claims[claim_of(name)]
            return attempt(f"claim {claim_of(name)}", lambda: parse_claim(body, name, pods.values()))
        case Known(), other:
            return Unread(f"who has the volume of {name} open is not known ({why_not(other)})")
        case other, _:
            return Unread(why_not(other))


def _log_says_full(context: EngineContext, cluster: ClusterRef, name: str) -> bool:
    """What a log does not say discredits nobody."""
    for previous in (False, True):
        try:
            if disk_full(context.kubernetes.log(pod_of(cluster, name), previous=previous, lines=_LOG_LINES)):
                return True
        except HastewardError:
            continue
    return False


# --- servers ----------------------------------------------------------------------------------------------


def _with_servers(
    context: EngineContext, cluster: ClusterRef, evidence: Evidence, secret: Reading[str]
) -> Evidence:
    """Ask every server; again, when they were asked while their component changed."""
    for again in range(_TRIES):
        members = _asked(context, cluster, evidence.members, secret)
        evidence = replace(evidence, members=members)
        if _settled(evidence) or again == _TRIES - 1:
            break
        context.clock.sleep(1)
    return evidence


def _settled(evidence: Evidence) -> bool:
    found = components(evidence)
    crossed = any(
        one is not other and one.view is not None and other.view is not None and one.view.meets(other.view)
        for one in found
        for other in found
    )
    counted = frozenset[str]().union(*(one.names for one in found))
    lost = [
        member.name
        for member in evidence.members
        if (server := server_of(member)) is not None and not server.primary and member.name in counted
    ]
    return not crossed and not lost and all(len(one.members) <= one.size for one in found)


def _asked(
    context: EngineContext, cluster: ClusterRef, members: tuple[MemberEvidence, ...], secret: Reading[str]
) -> tuple[MemberEvidence, ...]:
    """All at the same time: what they say belongs together, and one that is slow holds up nobody."""
    alive = [member.name for member in members if isinstance(member.pod, Known) and member.pod.value.alive]
    match secret:
        case Known(word):
            found = _ask(context, cluster, alive, word)
        case Absent(why) | Unread(why):
            found = {name: Unread(f"the server of {name} could not be asked: {why}") for name in alive}
    return tuple(_heard(member, found[member.name]) if member.name in found else member for member in members)


def _heard(member: MemberEvidence, answers: Reading[Mapping[str, Answer]]) -> MemberEvidence:
    match answers:
        case Known(parts):
            server: Reading[ServerFacts] = attempt(f"the server of {member.name}", partial(_server, parts))
            volume: Reading[Volume] = attempt(f"df in {member.name}", lambda: parse_volume(parts["disk"]))
            stale = parts["bootstrap"].text.strip() == "there"
            return replace(member, server=server, volume=volume, stale_bootstrap=stale)
        case Absent(why) | Unread(why):
            return replace(member, server=Unread(why))


def _ask(
    context: EngineContext, cluster: ClusterRef, names: Sequence[str], word: str
) -> dict[str, Reading[Mapping[str, Answer]]]:
    feed = option_file(word) if word else ""
    argv = status_argv(DATA, CONFIG)
    asked = [Question(pod_of(cluster, name), argv, feed) for name in names]
    answers = zip(names, capture_each(short(context), asked), strict=True)
    return {name: attempt(f"the server of {name}", partial(_parts, name, said)) for name, said in answers}


def _parts(member: str, answer: Captured | HastewardError) -> Mapping[str, Answer]:
    if isinstance(answer, HastewardError):
        raise answer
    if answer.exit_status != 0:
        said = " ".join(answer.stderr.split()) or f"exit status {answer.exit_status}"
        raise RunFailed(f"{member} cannot be asked: {said}", code="galera.ask")
    return split_answers(answer.stdout.decode("utf-8", "replace"))


def read_servers(
    context: EngineContext, cluster: ClusterRef, members: Sequence[str], word: str
) -> dict[str, Reading[ServerFacts]]:
    """Ask some servers now, all at the same time."""
    found: dict[str, Reading[ServerFacts]] = {}
    for name, answers in _ask(context, cluster, members, word).items():
        match answers:
            case Known(parts):
                found[name] = attempt(f"the server of {name}", partial(_server, parts))
            case Absent() | Unread():
                found[name] = answers
    return found


def _server(parts: Mapping[str, Answer]) -> ServerFacts:
    return parse_server(parts["status"])


def read_server(context: EngineContext, cluster: ClusterRef, member: str, word: str) -> Reading[ServerFacts]:
    """Ask one server now."""
    return read_servers(context, cluster, [member], word)[member]
