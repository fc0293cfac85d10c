"""What a test does to a Galera cluster, and what it looks at, beyond what every lab can."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from hasteward_lab.state import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hasteward_lab.lab import Lab

Object = dict[str, Any]

_STATUS = "SHOW GLOBAL STATUS LIKE 'wsrep\\_%'"


def wsrep(lab: Lab, pod: str) -> dict[str, str]:
    """A member's wsrep status, by its names without the prefix; LabError when it cannot be asked."""
    rows = (line.partition("\t") for line in lab.mariadb(pod, _STATUS).splitlines())
    return {name.lower().removeprefix("wsrep_"): value for name, _, value in rows}


def told(lab: Lab, pod: str) -> str:
    """`Synced 3`, `non-Primary 1` and the like; empty when a member cannot be asked."""
    with contextlib.suppress(LabError):
        seen = wsrep(lab, pod)
        state = seen["local_state_comment"] if seen["cluster_status"] == "Primary" else seen["cluster_status"]
        return f"{state} {seen['cluster_size']}"
    return ""


def state(lab: Lab, pod: str) -> Object:
    """Galera's files of a member: `there`, `grastate`, `view`, `bootstrap`; the pod need not be there."""
    found: Object = _galera(lab, "state", pod)
    return found


def position(lab: Lab, pod: str) -> tuple[str, int]:
    """What `--wsrep-recover` finds in a copy of a member's data; LabError when there is no way in."""
    found = _galera(lab, "position", pod)
    if "reason" in found:
        raise LabError(f"{pod}: {found['reason']}")
    return str(found["uuid"]), int(found["seqno"])


def rows(lab: Lab, pod: str, schema: str, table: str, column: str) -> list[str]:
    """A column's different values in a recovered copy of a member's data; LabError if there is no way in."""
    found = _galera(lab, "rows", pod, schema=schema, table=table, column=column)
    if "reason" in found:
        raise LabError(f"{pod}: {found['reason']}")
    listed: list[str] = found["rows"]
    return listed


def scale(lab: Lab, replicas: int) -> None:
    """Scale the StatefulSet, and wait till so many pods are left."""
    path = f"/apis/apps/v1/namespaces/{lab.namespace}/statefulsets/{lab.cluster}/scale"
    lab.client.call("PATCH", path, {"spec": {"replicas": replicas}})
    lab.wait(lambda: len([pod for pod in lab.pods if _member(lab, pod)]) == replicas)


def suspend(lab: Lab, *, on: bool = True) -> None:
    """Suspend the MariaDB, or resume it."""
    lab.client.call("PATCH", lab.cluster_path, {"spec": {"suspend": on}})


def webhook(lab: Lab, *, up: bool) -> None:
    """Let the operator's webhook answer, or not."""
    lab.client.lab("POST", "webhook", {"up": up})


def condition(lab: Lab, kind: str, field: str = "status") -> str:
    """A condition of the MariaDB; empty when there is none."""
    listed = lab.cluster_object().get("status", {}).get("conditions", [])
    return next((str(row[field]) for row in listed if row["type"] == kind), "")


def latch(lab: Lab, *, on: bool = True) -> None:
    """Set the latch of the recovery, or open it: the condition GaleraReady."""
    listed = lab.cluster_object()["status"]["conditions"]
    for row in listed:
        if row["type"] == "GaleraReady":
            said = (
                ("False", "GaleraNotReady", "Galera not ready")
                if on
                else ("True", "GaleraReady", "Galera ready")
            )
            row["status"], row["reason"], row["message"] = said
    lab.client.call("PATCH", f"{lab.cluster_path}/status", {"status": {"conditions": listed}})


def healthy(lab: Lab, timeout: float = 60.0) -> None:
    """Wait till the operator calls the cluster healthy, and every member agrees.

    On a busy machine a joiner may be ended while it is sent the data, and MariaDB's donor then waits for
    somebody who will not come. Such a donor is killed once, as one on call would do it.
    """
    members = int(lab.cluster_object()["spec"]["replicas"])
    deadline = time.monotonic() + timeout
    patience = time.monotonic() + timeout / 3
    wanted = f"Synced {members}"
    names = [f"{lab.cluster}-{number}" for number in range(members)]
    while True:
        well = condition(lab, "GaleraReady") == condition(lab, "Ready") == "True"
        seen = {name: told(lab, name) for name in names}
        left = [name for name in names if seen[name] != wanted]
        if well and not left:
            return
        if time.monotonic() > deadline:
            raise LabError(f"not healthy after {timeout:g} s: {seen}")
        if len(left) == 1 and seen[left[0]].startswith("Donor") and time.monotonic() > patience:
            lab.kill(left[0])
            deadline = time.monotonic() + timeout
            patience = deadline
        time.sleep(0.1)


@contextlib.contextmanager
def well(**wishes: Any) -> Iterator[Lab]:
    """A Galera lab that is healthy."""
    from hasteward_lab.lab import Lab

    with Lab.up(part="mariadb", **wishes) as lab:
        healthy(lab)
        yield lab


def _member(lab: Lab, pod: str) -> bool:
    return pod.removeprefix(f"{lab.cluster}-").isdigit()


def _galera(lab: Lab, action: str, pod: str, **more: str) -> Any:
    return lab.client.lab("POST", f"galera/{action}", {"pod": pod, **more})
