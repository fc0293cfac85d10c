"""The primary's Lease: whoever is to be primary holds it first; a holder that died is waited out."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from typing import Any

from . import logs
from .door import Door, DoorError

_LEAST_RENEWAL = 0.4


def _micro() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class PrimaryLease:
    """Taken before promotion, renewed while primary (fenced or not), emptied at a clean shutdown."""

    def __init__(self, door: Door, pod: str) -> None:
        self._door = door
        self._pod = pod
        self._held = threading.Event()
        self._lock = threading.Lock()

    @property
    def held(self) -> bool:
        """Say whether this instance believes that it holds the Lease."""
        return self._held.is_set()

    def acquire(self, spec: dict[str, Any], scale: float, pause: Callable[[float], None]) -> None:
        """Wait till the Lease is ours; `pause` may raise to give up."""
        wish = spec.get("primaryLease", {})
        duration = float(wish.get("leaseDurationSeconds", 15))
        period = float(wish.get("retryPeriodSeconds", 2)) * scale
        seen, since = "", time.monotonic()
        while not self._held.is_set():
            try:
                lease = self._door.lease()
                holder, renewed = _holder(lease)
                if (holder, renewed) != (seen.partition("|")[0], seen.partition("|")[2]):
                    seen, since = f"{holder}|{renewed}", time.monotonic()
                    if holder not in {"", self._pod}:
                        logs.info("Waiting for the primary lease", holder=holder)
                expired = time.monotonic() - since > duration * scale
                if holder in {"", self._pod} or expired:
                    self._write(lease, self._pod, int(duration))
                    self._held.set()
                    self._start_renewal(int(duration), period)
                    return
            except DoorError as error:
                logs.error("Cannot take the primary lease yet", error=str(error))
            pause(period)

    def release(self) -> None:
        """Let go of it at once, for a clean shutdown."""
        if not self._held.is_set():
            return
        self._held.clear()
        with self._lock:
            try:
                lease = self._door.lease()
                if _holder(lease)[0] == self._pod:
                    self._write(lease, "", 1)
            except DoorError as error:
                logs.error("Cannot release the primary lease", error=str(error))

    def _start_renewal(self, duration: int, period: float) -> None:
        def renew() -> None:
            while self._held.is_set():
                time.sleep(max(period, _LEAST_RENEWAL))
                with self._lock:
                    if not self._held.is_set():
                        return
                    self._renew(duration)

        threading.Thread(target=renew, daemon=True).start()

    def _renew(self, duration: int) -> None:
        try:
            lease = self._door.lease()
            holder = _holder(lease)[0]
            if holder not in {"", self._pod}:
                logs.error("The primary lease is held by another instance", holder=holder)
                self._held.clear()
                return
            self._write(lease, self._pod, duration)
        except DoorError as error:
            logs.error("Cannot renew the primary lease", error=str(error))

    def _write(self, lease: dict[str, Any] | None, holder: str, duration: int) -> None:
        old = lease or {"metadata": {}, "spec": {}}
        spec = {
            **old["spec"],
            "holderIdentity": holder,
            "leaseDurationSeconds": duration,
            "renewTime": _micro(),
        }
        if holder and old["spec"].get("holderIdentity") != holder:
            spec["acquireTime"] = spec["renewTime"]
            spec["leaseTransitions"] = int(old["spec"].get("leaseTransitions", -1)) + 1
        self._door.put_lease({**old, "spec": spec})


def _holder(lease: dict[str, Any] | None) -> tuple[str, str]:
    spec = (lease or {}).get("spec", {})
    return spec.get("holderIdentity") or "", spec.get("renewTime") or ""
