"""Chaos as tests use it: `lab.chaos.freeze("pg-1")`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from hasteward_lab.state import LabError

if TYPE_CHECKING:
    from hasteward_lab.lab import Lab

_GONE_WITHIN = 20.0


class Chaos:
    """Breaks one lab, and looks at what is really there. The name `api` stands for the API's own address."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def freeze(self, pod: str) -> int:
        """Stop every process of a pod (SIGSTOP); undo: `thaw`. Returns how many."""
        return int(self._do("freeze", pod=pod)["processes"])

    def thaw(self, pod: str) -> int:
        """Let a frozen pod go on."""
        return int(self._do("thaw", pod=pod)["processes"])

    def partition(self, source: str, target: str, *, one_way: bool = False) -> None:
        """Lose all packets between two pods, or only those from the first to the second; undo: `heal`."""
        self._do("partition", source=source, target=target, one_way=one_way)

    def isolate(self, pod: str) -> None:
        """Pull the plug of a pod; undo: `heal`."""
        self._do("isolate", pod=pod)

    def degrade(self, pod: str, *, latency: float = 0.0, loss: float = 0.0) -> None:
        """Delay a pod's packets each way by `latency` seconds, lose the fraction `loss`; undo: `heal`."""
        self._do("degrade", pod=pod, latency=latency, loss=loss)

    def heal(self, *names: str) -> None:
        """End partitions and bad links: of all, of one pod, or between two."""
        self._do("heal", names=names)

    def network(self) -> list[str]:
        """What is wrong with the network, a line each."""
        rows: list[str] = self._do("network")["network"]
        return rows

    def corrupt(self, pod: str, path: str, *, offset: int = 0, length: int = 0, how: str = "zero") -> int:
        """Overwrite bytes of a file (`zero`, `ones`, `flip`) or `truncate` it there; undo: `mend`.

        A relative path begins at PGDATA; a negative offset counts from the end; length 0 means the rest.
        """
        return int(self._do("corrupt", pod=pod, path=path, offset=offset, length=length, how=how)["bytes"])

    def lose(self, pod: str, pattern: str) -> list[str]:
        """Delete the files that match (`pg_wal/*.history`; `./` means all of PGDATA); undo: `mend`."""
        names: list[str] = self._do("lose", pod=pod, pattern=pattern)["names"]
        return names

    def put(self, pod: str, path: str, text: str) -> None:
        """Write a file on a pod's claim from outside; undo: `mend`, if it was there before."""
        self._do("put", pod=pod, path=path, text=text)

    def edit(self, pod: str, path: str, old: str, new: str) -> None:
        """Replace a text in a file on a pod's claim; LabError when it is not there. Undo: `mend`."""
        self._do("edit", pod=pod, path=path, old=old, new=new)

    def mend(self, pod: str) -> int:
        """Put back what `corrupt` and `lose` took, newest first."""
        return int(self._do("mend", pod=pod)["mended"])

    def lose_pvc(self, pod: str, claim: str | None = None) -> None:
        """Delete a pod's claim and the pod; whether they come back is the operator's affair."""
        lab = self._lab
        uid = lab.pod(pod)["metadata"]["uid"]
        lab.client.call(
            "DELETE", f"/api/v1/namespaces/{lab.namespace}/persistentvolumeclaims/{claim or self._claim(pod)}"
        )
        lab.delete_pod(pod, grace=1)
        deadline = time.monotonic() + _GONE_WITHIN
        while any(row["metadata"]["uid"] == uid for row in lab.get("pods")):
            if time.monotonic() > deadline:
                raise LabError(f"{pod} does not go")
            time.sleep(0.05)

    def _claim(self, pod: str) -> str:
        """The claim with a pod's data: its first."""
        volumes = self._lab.pod(pod)["spec"].get("volumes", [])
        return next(
            (
                str(row["persistentVolumeClaim"]["claimName"])
                for row in volumes
                if row.get("persistentVolumeClaim", {}).get("claimName") in {pod, f"storage-{pod}"}
            ),
            pod,
        )

    def server(self, pod: str) -> dict[str, Any]:
        """Whether a pod is `there`, its container `runs`, stands still (`frozen`), its server `answers`."""
        found: dict[str, Any] = self._do("server", pod=pod)
        return found

    def log(self, pod: str, *, previous: bool = False) -> str:
        """What a pod's container has said since its start, or its predecessor."""
        return str(self._do("log", pod=pod, previous=previous)["text"])

    def files(self, pod: str) -> dict[str, Any]:
        """What lies in a pod's PGDATA: `there`, `signals`, `history`, `segments`; the pod need not run."""
        found: dict[str, Any] = self._do("files", pod=pod)
        return found

    def digests(self, *pods: str) -> dict[str, str]:
        """Every file on the claims of these pods, or of all, `claim/path`, by the digest of what is in it.

        Which pod a claim is of its name says; no pod need be there.
        """
        found: dict[str, str] = self._do("digests")["digests"]
        return {path: digest for path, digest in found.items() if not pods or _is_of(path, pods)}

    def control(self, pod: str) -> dict[str, str]:
        """pg_controldata of a pod, by its labels, read from outside; LabError if it cannot be read."""
        found = self._do("control", pod=pod)
        if not found.pop("readable"):
            raise LabError(f"{pod}: {found['reason']}")
        return {str(label): str(value) for label, value in found.items()}

    def replay(self, pod: str, query: str, database: str = "postgres") -> list[str]:
        """Ask a recovered copy of a pod's data; LabError with PostgreSQL's reason if there is no way in."""
        found = self._do("replay", pod=pod, query=query, database=database)
        if not found["readable"]:
            raise LabError(f"{pod}: {found['reason']}")
        rows: list[str] = found["rows"]
        return rows

    def _do(self, action: str, **more: Any) -> Any:
        body = {"namespace": self._lab.namespace, **more}
        return self._lab.client.lab("POST", f"chaos/{action}", body)


def _is_of(path: str, pods: tuple[str, ...]) -> bool:
    claim = path.partition("/")[0]
    return any(claim == pod or claim.startswith(f"{pod}-") or claim.endswith(f"-{pod}") for pod in pods)
