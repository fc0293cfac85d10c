"""The Kubernetes API as engines and pipelines see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

from hasteward.domain.errors import DependencyError, HastewardError, InvalidInput, PermissionDenied

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object, by the words of its URL."""

    group: str
    version: str
    plural: str

    @property
    def title(self) -> str:
        """``plural.group`` as RBAC rules spell it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


PODS = Resource("", "v1", "pods")
SECRETS = Resource("", "v1", "secrets")
PERSISTENT_VOLUME_CLAIMS = Resource("", "v1", "persistentvolumeclaims")
CONFIG_MAPS = Resource("", "v1", "configmaps")
EVENTS = Resource("", "v1", "events")
LEASES = Resource("coordination.k8s.io", "v1", "leases")


@dataclass(frozen=True, slots=True)
class PodRef:
    """A container in a pod."""

    namespace: str
    name: str
    container: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class ApiUnavailable(DependencyError):
    """The API server could not be reached, or answered 429 or 5xx."""

    code = "kubernetes.unavailable"


class ApiUnauthorized(PermissionDenied):
    """401: the credentials were not accepted."""

    code = "kubernetes.unauthorized"


class ApiForbidden(PermissionDenied):
    """403: the message names the rule that is missing."""

    code = "kubernetes.forbidden"


class ApiNotFound(InvalidInput):
    """404: the object is proven not to exist."""

    code = "kubernetes.not_found"


class ApiConflict(HastewardError):
    """409: somebody else changed or created the object meanwhile."""

    code = "kubernetes.conflict"
    retryable = True


class StreamBroken(HastewardError):
    """The connection of an exec was lost, or closed without a Status frame."""

    code = "stream.broken"
    retryable = True


class StreamStalled(StreamBroken):
    """Nothing moved for longer than the stall deadline."""

    code = "stream.stalled"


class Channel(IntEnum):
    """The channels of v5.channel.k8s.io that carry the process's output."""

    STDOUT = 1
    STDERR = 2


@dataclass(frozen=True, slots=True)
class Output:
    """Bytes the process wrote. `data` is valid until the next call of `receive`."""

    channel: Channel
    data: memoryview


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """The explicit Status frame. `exit_code` is None when the process could not be started."""

    success: bool
    exit_code: int | None
    message: str


class ExecStream(Protocol):
    """One process in a pod, driven from one thread. Every wait is bounded by the stall deadline."""

    def receive(self) -> Output | ExitStatus | None:
        """The next frame; None when the server closed the connection in good order.

        Raises StreamBroken, StreamStalled.
        """

    def send(self, data: bytes | memoryview) -> bool:
        """Write all of `data` to the process's stdin.

        False as soon as the process has answered on stdout or ended: the rest was not sent and
        `receive` tells why. Raises StreamBroken, StreamStalled.
        """

    def finish_input(self) -> None:
        """Half-close: the process sees end of file. Output and status still follow."""


class Kubernetes(Protocol):
    """The API server, already authenticated. Every method raises the Api* errors above."""

    def get(self, resource: Resource, namespace: str, name: str) -> Json:
        """One object."""

    def list(self, resource: Resource, namespace: str, *, labels: str = "") -> list[Json]:
        """All objects of a namespace ("" for all namespaces) that match a label selector."""

    def create(self, resource: Resource, namespace: str, body: Mapping[str, Any]) -> Json:
        """Create; ApiConflict if it exists."""

    def replace(self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]) -> Json:
        """Update with the resourceVersion in `body`; ApiConflict if it is stale."""

    def patch(self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]) -> Json:
        """Merge patch."""

    def delete(self, resource: Resource, namespace: str, name: str, *, grace: int | None = None) -> None:
        """Delete; ApiNotFound if it is not there. A pod's processes are killed after `grace` seconds (None:
        as the pod says), and it is gone only when they are; with 0 nobody would wait for that.
        """

    def watch(
        self, resource: Resource, namespace: str, *, since: str, seconds: int, labels: str = ""
    ) -> Iterator[Json]:
        """Watch events after resourceVersion `since`, for at most `seconds`."""

    def log(self, pod: PodRef, *, previous: bool = False, lines: int = 500) -> str:
        """The last lines of a container's log, or of the one before it; ApiNotFound if there is no pod."""

    def may(
        self, verb: str, resource: Resource, namespace: str, subresource: str = "", *, name: str = ""
    ) -> bool:
        """Ask SelfSubjectAccessReview whether we are allowed to; `name` asks about one object alone."""

    def exec(
        self, pod: PodRef, argv: Sequence[str], *, stdin: bool, stall_seconds: float
    ) -> AbstractContextManager[ExecStream]:
        """Start a process. Leaving the context closes the connection, whatever happened."""
