"""An API server in memory. Objects behave as on the real one; what runs in a pod is a function."""

from __future__ import annotations

import contextlib
import copy
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hasteward.domain.errors import InvalidInput
from hasteward.ports.kubernetes import (
    PODS,
    ApiConflict,
    ApiForbidden,
    ApiNotFound,
    ExecStream,
    Json,
    PodRef,
    Resource,
)
from hasteward.testing.clock import VirtualClock
from hasteward.testing.selectors import Match, parse
from hasteward.testing.streams import FakeExec, Loss, Program, Result, StreamFault

__all__ = ["FakeKubernetes", "Loss", "Program", "Result", "StreamFault"]

Key = tuple[str, str, str]
_LOGS = Resource("", "v1", "pods/log")
Keys = list[Key]


def _nothing(_call: str) -> None:
    """No fault."""


@dataclass(frozen=True, slots=True)
class _Happened:
    """One change, for those who watch: what was there before, and what is there now."""

    version: int
    key: Key
    before: Json | None
    now: Json | None

    def seen_by(self, matches: Match) -> tuple[str, Json] | None:
        """The event for a watcher with this selector: an object that no longer matches is gone for him."""
        old = self.before if self.before and matches(_labels(self.before)) else None
        new = self.now if self.now and matches(_labels(self.now)) else None
        if new is not None:
            return ("MODIFIED" if old else "ADDED"), new
        if old is not None:
            last = copy.deepcopy(old)
            last["metadata"]["resourceVersion"] = str(self.version)
            return "DELETED", last
        return None


@dataclass(slots=True)
class FakeKubernetes:
    """Implements `Kubernetes`. `program` answers every exec (pod, argv inside the wrapper, stdin).

    `on_call` is told every call (``get pods``, ``exec``, ``exec.receive``) and may raise; `denied` lists
    (verb, plural), and what is denied is refused. Once any pod was added, exec in one that is not there is
    ApiNotFound, and in a container that it has not is refused; with none at all, every pod answers. A watch
    lasts as long as it is asked to on `clock`; without one it ends when there is no more news.
    """

    program: Program
    on_call: Callable[[str], None] = _nothing
    faults: list[StreamFault] = field(default_factory=list)
    denied: set[tuple[str, str]] = field(default_factory=set)
    objects: dict[Key, Json] = field(default_factory=dict)
    logs: dict[tuple[str, str, bool], str] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    version: int = 0
    clock: VirtualClock | None = None
    history: list[_Happened] = field(default_factory=list)
    forgotten: int = 0
    execs: int = 0

    # -- what others do ----------------------------------------------------------------------------------

    def add(self, resource: Resource, body: Json) -> None:
        """Put an object there, as if somebody else had created or changed it."""
        meta = body["metadata"]
        self._store((resource.title, meta.get("namespace", ""), meta["name"]), body)

    def remove(self, resource: Resource, namespace: str, name: str) -> None:
        """Take an object away, as if somebody else had deleted it."""
        self._drop((resource.title, namespace, name))

    def compact(self) -> None:
        """Forget what happened: a watch from before is told to begin again."""
        self.forgotten = self.version

    # -- the port ----------------------------------------------------------------------------------------

    def get(self, resource: Resource, namespace: str, name: str) -> Json:
        """One object."""
        self._call("get", resource)
        return copy.deepcopy(self._current(resource, namespace, name))

    def list(self, resource: Resource, namespace: str, *, labels: str = "") -> list[Json]:
        """Matching objects, ordered by namespace and name."""
        self._call("list", resource)
        return [copy.deepcopy(self.objects[key]) for key in self._matching(resource, namespace, labels)]

    def create(self, resource: Resource, namespace: str, body: Mapping[str, Any]) -> Json:
        """Create once."""
        self._call("create", resource)
        name = body["metadata"]["name"]
        key = (resource.title, namespace, name)
        if key in self.objects:
            raise ApiConflict(f"{resource.plural} {name} exists", code="kubernetes.already_exists")
        self.writes.append(f"create {resource.plural} {name}")
        return self._store(key, body)

    def replace(self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]) -> Json:
        """Compare resourceVersion and swap."""
        self._call("replace", resource)
        current = self._current(resource, namespace, name)
        if body["metadata"].get("resourceVersion") != current["metadata"]["resourceVersion"]:
            raise ApiConflict(f"{resource.plural} {name} was changed meanwhile")
        return self._write("replace", resource, (namespace, name), body)

    def patch(self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]) -> Json:
        """Merge patch; a resourceVersion in it must be the current one."""
        self._call("patch", resource)
        current = self._current(resource, namespace, name)
        expected = (body.get("metadata") or {}).get("resourceVersion")
        if expected not in {None, current["metadata"]["resourceVersion"]}:
            raise ApiConflict(f"{resource.plural} {name} was changed meanwhile")
        return self._write("patch", resource, (namespace, name), _merge(current, body))

    def delete(self, resource: Resource, namespace: str, name: str, *, grace: int | None = None) -> None:
        """Remove; `grace` must be one that waits for the processes."""
        assert grace != 0
        self._call("delete", resource)
        self._current(resource, namespace, name)
        self.writes.append(f"delete {resource.plural} {name}")
        self._drop((resource.title, namespace, name))

    def watch(
        self, resource: Resource, namespace: str, *, since: str, seconds: int, labels: str = ""
    ) -> Iterator[Json]:
        """What happened after `since`, and what happens while virtual time passes."""
        self._call("watch", resource)
        assert seconds > 0
        if since and int(since) < self.forgotten:
            raise ApiConflict(f"{since} is too old", code="kubernetes.expired")
        return self._news(resource, namespace, since, seconds, labels)

    def log(self, pod: PodRef, *, previous: bool = False, lines: int = 500) -> str:
        """What `logs` holds for the container; "" if it has not run."""
        self._call("get", _LOGS)
        self._current(PODS, pod.namespace, pod.name)
        said = self.logs.get((pod.name, pod.container, previous), "")
        return "".join(said.splitlines(keepends=True)[-lines:])

    def may(
        self,
        verb: str,
        resource: Resource,
        namespace: str,  # noqa: ARG002  one answer for all namespaces
        subresource: str = "",
        *,
        name: str = "",
    ) -> bool:
        """Whether it is not in `denied`."""
        self.on_call(f"may {verb} {resource.plural} {name}".rstrip())
        kind = f"{resource.plural}/{subresource}" if subresource else resource.plural
        return (verb, kind) not in self.denied

    @contextlib.contextmanager
    def exec(
        self, pod: PodRef, argv: Sequence[str], *, stdin: bool, stall_seconds: float
    ) -> Iterator[ExecStream]:
        """Run `program` behind a stream."""
        self.on_call("exec")
        assert stall_seconds > 0
        self._check("get", "pods/exec")
        self._check("create", "pods/exec")
        self._check_container(pod)
        self.execs += 1
        command = " ".join(argv)
        fault = next((f for f in self.faults if f.match in command and f.nth in {0, self.execs}), None)
        stream = FakeExec(self.program, pod, argv, stdin=stdin, fault=fault, on_call=self.on_call)
        try:
            yield stream
        finally:
            stream.leave()

    # -- within ------------------------------------------------------------------------------------------

    def _call(self, verb: str, resource: Resource) -> None:
        self.on_call(f"{verb} {resource.plural}")
        self._check("update" if verb == "replace" else verb, resource.plural)

    def _check(self, verb: str, what: str) -> None:
        if (verb, what) in self.denied:
            raise ApiForbidden(f"not allowed to {verb} {what}", hint=f"grant: {verb} {what}")

    def _check_container(self, pod: PodRef) -> None:
        if not any(key[0] == PODS.title for key in self.objects):
            return
        found = self.objects.get((PODS.title, pod.namespace, pod.name))
        if found is None:
            raise ApiNotFound(f"pod {pod} does not exist")
        containers = [each["name"] for each in (found.get("spec") or {}).get("containers") or []]
        if containers and pod.container not in containers:
            raise InvalidInput(f"pod {pod} has no container {pod.container}", code="kubernetes.exec_refused")

    def _current(self, resource: Resource, namespace: str, name: str) -> Json:
        try:
            return self.objects[_whole(resource).title, namespace, name]
        except KeyError:
            raise ApiNotFound(f"{resource.plural} {namespace}/{name} does not exist") from None

    def _matching(self, resource: Resource, namespace: str, labels: str) -> Keys:
        matches = parse(labels)
        return sorted(
            key
            for key, body in self.objects.items()
            if key[0] == resource.title and namespace in {"", key[1]} and matches(_labels(body))
        )

    def _write(
        self, verb: str, resource: Resource, where: tuple[str, str], wanted: Mapping[str, Any]
    ) -> Json:
        """Store what a writer wants, with what is not his to say kept. Changing nothing is no change."""
        key = (_whole(resource).title, *where)
        current = self.objects[key]
        _, _, subresource = resource.plural.partition("/")
        new = current | {subresource: wanted.get(subresource)} if subresource else dict(wanted)
        new["metadata"] = new["metadata"] | {
            name: current["metadata"][name] for name in ("uid", "resourceVersion", "name")
        }
        self.writes.append(f"{verb} {resource.plural} {where[1]}")
        return copy.deepcopy(current) if new == current else self._store(key, new)

    def _store(self, key: Key, body: Mapping[str, Any]) -> Json:
        self.version += 1
        old = self.objects.get(key)
        kept: Json = copy.deepcopy(dict(body))
        meta = kept.setdefault("metadata", {})
        if key[1]:
            meta["namespace"] = key[1]
        uid = old["metadata"]["uid"] if old else str(uuid.uuid5(uuid.NAMESPACE_URL, f"{key} {self.version}"))
        meta["uid"] = uid
        meta["resourceVersion"] = str(self.version)
        self.objects[key] = kept
        self.history.append(_Happened(self.version, key, old, kept))
        return copy.deepcopy(kept)

    def _drop(self, key: Key) -> None:
        self.version += 1
        self.history.append(_Happened(self.version, key, self.objects.pop(key), None))

    def _news(
        self, resource: Resource, namespace: str, since: str, seconds: int, labels: str
    ) -> Iterator[Json]:
        matches = parse(labels)
        seen = int(since or self.version)
        if not since:
            for key in self._matching(resource, namespace, labels):
                yield self._told("ADDED", self.objects[key])
        left = seconds if self.clock is not None else 0
        while True:
            for each in [each for each in self.history if each.version > seen]:
                seen = each.version
                mine = each.key[0] == resource.title and namespace in {"", each.key[1]}
                if mine and (event := each.seen_by(matches)) is not None:
                    yield self._told(*event)
            if not left or self.clock is None:
                return
            self.clock.sleep(1)
            left -= 1

    def _told(self, kind: str, body: Json) -> Json:
        self.on_call("watch.event")
        return {"type": kind, "object": copy.deepcopy(body)}


def _labels(body: Json) -> dict[str, str]:
    return body["metadata"].get("labels") or {}


def _whole(resource: Resource) -> Resource:
    """The object that a subresource (``clusters/status``) belongs to."""
    return replace(resource, plural=resource.plural.partition("/")[0])


def _merge(current: Any, patch: Any) -> Any:
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(current) if isinstance(current, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged
