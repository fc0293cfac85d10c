"""The Lease that keeps two runs off one cluster. It only excludes; safety is compare-and-swap (DESIGN 4.6).

The holder names its host, boot and process, so that a run on the same machine can tell a dead holder at
once; from elsewhere a lease counts as abandoned only when it has expired by our clock **and** nobody was
seen to renew it.
"""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError, Refused
from hasteward.domain.events import Warned
from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import LEASES, ApiConflict, ApiNotFound, Json

DURATION_SECONDS = 60
RENEW_SECONDS = 15


def lease_name(cluster: ClusterRef) -> str:
    """``hasteward-<engine>-<cluster>``."""
    return f"hasteward-{cluster.engine}-{cluster.name}"


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:13]
    except OSError:
        return "unknown"


def _started(pid: int) -> str:
    """The process's start time in clock ticks, "" when there is none, or only one that waits to be reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in {"Z", "X"} else fields[19]


def _holder(run: str) -> str:
    pid = os.getpid()
    return f"run={run} host={platform.node()} boot={_boot()} pid={pid} start={_started(pid)}"


def _is_dead_here(holder: str) -> bool:
    """Whether the holder ran on this machine, since this boot, and is gone."""
    facts = dict(word.split("=", 1) for word in holder.split() if "=" in word)
    if facts.get("host") != platform.node() or facts.get("boot") != _boot() or _boot() == "unknown":
        return False
    pid = facts.get("pid", "")
    return pid.isdigit() and _started(int(pid)) != facts.get("start")


def _moment(text: object) -> datetime | None:
    """The time that was written; None for what is none."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else None


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Lease:
    """A held Lease, renewed in the background until it is released."""

    def __init__(self, context: EngineContext, cluster: ClusterRef, body: Json) -> None:
        self._context = context
        self._cluster = cluster
        self._body = body
        self._renewed = context.clock.monotonic()
        self._end_renewal = context.clock.every(RENEW_SECONDS, self._renew)

    def check(self) -> None:
        """Refuse to go on if the Lease may have passed to another run. Call before every destructive act."""
        silent = self._context.clock.monotonic() - self._renewed
        if silent > DURATION_SECONDS:
            raise Refused(
                f"the Lease on {self._cluster} was not renewed for {silent:.0f} s; another run may have it",
                hint=f"hasteward repair -e {self._cluster.engine} -c {self._cluster.name}"
                f" -n {self._cluster.namespace}   (ends a repair that had begun; else run it again)",
                code="lease.lost",
            )

    def _renew(self) -> None:
        self._body["spec"]["renewTime"] = _stamp(self._context.clock.now())
        try:
            self._body = self._context.kubernetes.replace(
                LEASES, self._cluster.namespace, lease_name(self._cluster), self._body
            )
            self._renewed = self._context.clock.monotonic()
        except HastewardError as error:
            self._context.reporter.emit(Warned("lease.renew", f"the Lease was not renewed: {error.message}"))

    def release(self) -> None:
        """Give it back; a failure to do so only costs the next run some waiting."""
        self._end_renewal()
        self._body["spec"]["holderIdentity"] = ""
        self._body["spec"]["leaseDurationSeconds"] = 1
        with contextlib.suppress(HastewardError):
            self._context.kubernetes.replace(
                LEASES, self._cluster.namespace, lease_name(self._cluster), self._body
            )


def _abandoned(context: EngineContext, cluster: ClusterRef, found: Json) -> bool:
    """Whether the Lease may be taken over."""
    spec: dict[str, Any] = found.get("spec") or {}
    holder = str(spec.get("holderIdentity") or "")
    if not holder or _is_dead_here(holder):
        return True
    renewed = _moment(spec.get("renewTime"))
    lasts = timedelta(seconds=int(spec.get("leaseDurationSeconds") or DURATION_SECONDS))
    # one that is dated far ahead was written by another clock, or before ours was set back: it says nothing
    if renewed is not None and abs(context.clock.now() - renewed) < lasts:
        return False
    context.reporter.emit(
        Warned("lease.expired", f"the Lease of a silent run ({holder}) has expired; watching for a renewal")
    )
    context.clock.sleep(RENEW_SECONDS + 5)
    again = context.kubernetes.get(LEASES, cluster.namespace, lease_name(cluster))
    return bool((again.get("spec") or {}).get("renewTime") == spec.get("renewTime"))


def _take(context: EngineContext, cluster: ClusterRef) -> Json:
    api, namespace, name = context.kubernetes, cluster.namespace, lease_name(cluster)
    now = _stamp(context.clock.now())
    spec = {
        "holderIdentity": _holder(context.run.id),
        "leaseDurationSeconds": DURATION_SECONDS,
        "acquireTime": now,
        "renewTime": now,
    }
    try:
        found = api.get(LEASES, namespace, name)
    except ApiNotFound:
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name, "namespace": namespace},
            "spec": spec | {"leaseTransitions": 0},
        }
        return api.create(LEASES, namespace, body)
    if not _abandoned(context, cluster, found):
        holder = (found.get("spec") or {}).get("holderIdentity")
        raise Refused(
            f"another run is at work on {cluster}: {holder}",
            hint=f"wait for it, or look: kubectl get lease {name} -n {namespace} -o yaml",
            code="lease.held",
        )
    transitions = int((found.get("spec") or {}).get("leaseTransitions") or 0) + 1
    return api.replace(LEASES, namespace, name, found | {"spec": spec | {"leaseTransitions": transitions}})


@contextlib.contextmanager
def held(context: EngineContext, cluster: ClusterRef) -> Iterator[Lease]:
    """Hold the cluster's Lease for the block. Raises Refused (``lease.held``) if somebody else has it."""
    try:
        body = _take(context, cluster)
    except ApiConflict as error:
        raise Refused(
            f"another run took the Lease on {cluster} at this moment",
            hint="wait for it to end, and run this again",
            code="lease.held",
        ) from error
    lease = Lease(context, cluster, body)
    try:
        yield lease
    finally:
        lease.release()
