"""How every member is, and the least that would make it well. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hasteward.domain.reading import Absent, Known, Unread
from hasteward.domain.report import Assessment, Branch, Health, Remediation
from hasteward_galera.analyse.components import server_of
from hasteward_galera.analyse.standing import Kind, Standing
from hasteward_galera.analyse.verdict import Verdict
from hasteward_galera.evidence import MemberEvidence, PodFacts, ServerFacts
from hasteward_galera.facts.words import counted, human, listed

#: a server with this many write-sets still to apply is lagging
LAG_SETS = 1000
#: a container that was started this often, and is down again, does not come up by itself
_CRASHES = 3


@dataclass(frozen=True, slots=True)
class State:
    """Health and what it rests on."""

    health: Health
    words: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Remedy:
    """The least that would help, and why."""

    remediation: Remediation
    reason: str = ""


_NOTHING = Remedy(Remediation.NONE)


def assess(member: MemberEvidence, verdict: Verdict) -> Assessment:
    """One member."""
    standing = verdict.standings[member.name]
    state = _state(member, standing)
    remedy = _remedy(member, verdict, standing, state.health)
    return Assessment(
        member=member.name,
        role=_role(member, verdict),
        health=state.health,
        evidence=(*_pod_words(member), *state.words, *_holding_words(member, verdict), *_disk_words(member)),
        missing=state.missing,
        details=_details(member, verdict, standing),
        ordinal=member.ordinal,
        remediation=remedy.remediation,
        reason=remedy.reason,
        branch=_branch(member, verdict, standing),
    )


def _role(member: MemberEvidence, verdict: Verdict) -> str:
    server = server_of(member)
    if server is not None and server.primary:
        return "synced" if server.synced else server.state.lower() or "primary component"
    if server is not None:
        return "not primary"
    if member.name == verdict.leader:
        return "furthest"
    return "stopped" if isinstance(member.pod, Known) and not member.pod.value.alive else "unknown"


# --- health -----------------------------------------------------------------------------------------------


def _state(member: MemberEvidence, standing: Standing) -> State:
    match member.pod:
        case Absent():
            return State(Health.DOWN)
        case Unread(why):
            return State(Health.UNDETERMINABLE, missing=(why,))
        case Known(pod) if not pod.alive:
            return State(Health.DOWN, missing=_why_files(member, standing))
        case Known():
            return _running_state(member, standing)


def _running_state(member: MemberEvidence, standing: Standing) -> State:
    match member.server:
        case Known(server):
            return _server_state(server, standing)
        case Absent(why) | Unread(why):
            return State(Health.UNDETERMINABLE, missing=(why,))


def _why_files(member: MemberEvidence, standing: Standing) -> tuple[str, ...]:
    if standing is not Standing.UNKNOWN:
        return ()
    return (member.files.reason,) if isinstance(member.files, Unread) else ()


def _server_state(server: ServerFacts, standing: Standing) -> State:
    words = (
        f"{server.state}, {'Primary' if server.primary else 'not Primary'}, {server.size} in its component",
    )
    if not server.primary:
        return State(Health.NOT_STREAMING, words)
    if standing is Standing.OWN:
        return State(Health.NOT_STREAMING, (*words, "apart from the others"))
    if not server.synced:
        return State(Health.LAGGING, words)
    if server.queue > LAG_SETS:
        return State(Health.LAGGING, (*words, f"{server.queue} write-sets wait to be applied"))
    return State(Health.HEALTHY, words)


# --- the remedy -------------------------------------------------------------------------------------------


def _remedy(member: MemberEvidence, verdict: Verdict, standing: Standing, health: Health) -> Remedy:
    if health is Health.HEALTHY or not verdict.components:
        return _NOTHING  # without a component there is nobody to join; from whom to start is another question
    match member.pod:
        case Unread():
            return _wait("its pod could not be read, so it is left alone")
        case Absent():
            return _wait("its StatefulSet makes its pod again")
        case Known(pod):
            return _alive(member, standing) if pod.alive else _down(member, pod, standing)


def _wait(reason: str) -> Remedy:
    return Remedy(Remediation.WAIT, reason)


def _alive(member: MemberEvidence, standing: Standing) -> Remedy:
    server = server_of(member)
    if server is None:
        return _wait("its server does not answer, and may be receiving a state transfer")
    if standing is Standing.OWN:
        return Remedy(Remediation.RESEED, "it went on apart from the others and cannot come back to them")
    if server.primary:
        return _wait(f"it is {server.state} and in the component")
    if standing is Standing.CONTAINED:
        return Remedy(Remediation.RESTART, "it runs, is not in the component, and holds nothing else")
    return _wait(f"it is not in the component, and what it holds is {standing.value}")


def _down(member: MemberEvidence, pod: PodFacts, standing: Standing) -> Remedy:
    if not pod.scheduled:
        return _wait("no node takes its pod")
    if member.disk_full:
        return _wait("its disk is full: a server cannot start until there is room")
    if standing is Standing.OWN:
        return Remedy(
            Remediation.RESEED, "it holds, or may hold, a branch of its own, and cannot join with it"
        )
    if pod.restarts < _CRASHES or not pod.node:
        return _wait(f"the kubelet starts its container again{f' ({pod.reason})' if pod.reason else ''}")
    return _crashing(counted(pod.restarts, "restart"), standing)


def _crashing(times: str, standing: Standing) -> Remedy:
    match standing:
        case Standing.CONTAINED | Standing.EMPTY:
            return Remedy(Remediation.RESEED, f"it does not come up ({times}), and holds nothing else")
        case Standing.UNFINISHED:
            return Remedy(Remediation.RESEED, f"a state transfer into it was never finished ({times})")
        case Standing.PRESUMED | Standing.UNJOINED | Standing.UNKNOWN | Standing.IN | Standing.OWN:
            return _wait(f"it does not come up ({times}), and what it holds is not proven to be elsewhere")


def _branch(member: MemberEvidence, verdict: Verdict, standing: Standing) -> Branch | None:
    """What would be lost with its data; never counted, so it is taken for some."""
    if standing.holds_nothing_else:
        return None
    held = verdict.holdings[member.name]
    match held:
        case Known(found) if found.kind is Kind.UNFINISHED:
            return Branch("what an unfinished state transfer has left", None)
        case Known(found) if found.kind is Kind.UNJOINED:
            return Branch("data without a history", None)
        case Known(found):
            at = (
                str(found.position) if found.position is not None else f"{found.uuid[:8]}, how far is unknown"
            )
            last = f", last in {listed(found.view.names or found.view.nodes)}" if found.view else ""
            return Branch(f"its data at {at}{last}", None)
        case Absent() | Unread():
            return Branch("its data, which could not be read", None)


# --- words ------------------------------------------------------------------------------------------------


def _pod_words(member: MemberEvidence) -> tuple[str, ...]:
    match member.pod:
        case Known(pod):
            state = "runs" if pod.running else "does not run"
            reason = f" ({pod.reason})" if pod.reason else ""
            words = f"pod {pod.phase}, its server {state}{reason}, {counted(pod.restarts, 'restart')}"
            return (words, "the pod is being deleted") if pod.terminating else (words,)
        case Absent(proof):
            return (proof,)
        case Unread():
            return ()


def _holding_words(member: MemberEvidence, verdict: Verdict) -> tuple[str, ...]:
    held = verdict.holdings[member.name]
    words: tuple[str, ...] = ()
    if isinstance(held, Known):
        found = held.value
        if found.position is not None:
            words = (f"at {found.position} ({found.provenance}, from {held.source})",)
        elif found.kind is not Kind.DATA:
            words = (f"its data: {found.kind} ({held.source})",)
    hints = tuple(f"hint, not counted: {hint.source} says {hint.position}" for hint in member.hints)
    return (*words, *hints)


def _disk_words(member: MemberEvidence) -> tuple[str, ...]:
    match member.volume:
        case Known(volume):
            return (f"{human(volume.free)} of {human(volume.size)} free on its volume",)
        case Absent() | Unread():
            return ()


def _details(member: MemberEvidence, verdict: Verdict, standing: Standing) -> dict[str, Any]:
    """JSON: bytes for the volume, Galera's own words for states; null where not known."""
    held, server = verdict.holdings[member.name], server_of(member)
    at = held.value.position if isinstance(held, Known) else None
    volume = member.volume.value if isinstance(member.volume, Known) else None
    details: dict[str, Any] = {
        "running": member.pod.value.running if isinstance(member.pod, Known) else None,
        "standing": standing.value,
        "uuid": at.uuid if at is not None else None,
        "seqno": at.seqno if at is not None else None,
        "provenance": held.value.provenance.value
        if isinstance(held, Known) and held.value.provenance
        else None,
        "volumeBytes": volume.size if volume else None,
        "volumeFreeBytes": volume.free if volume else None,
    }
    if server is None:
        return details
    return details | {
        "serverVersion": server.version,
        "clusterStatus": "Primary" if server.primary else "non-Primary",
        "state": server.state,
        "clusterSize": server.size,
        "receiveQueue": server.queue,
        "flowControlPaused": server.paused,
        "desynced": server.desynced,
    }
