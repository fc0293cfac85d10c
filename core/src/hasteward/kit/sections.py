"""Writing a dump as sections: ranges that are proven one by one and can be restored one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hasteward.domain.errors import Unproven
from hasteward.domain.events import StepDone
from hasteward.domain.manifest import Section
from hasteward.kit.streaming import download
from hasteward.ports.context import DumpSink, EngineContext
from hasteward.ports.host import Place
from hasteward.streams.proof import Algorithm, TailDigest, new_digest


class SectionWriter:
    """Appends sections to a sink and keeps the list that becomes the manifest."""

    def __init__(self, context: EngineContext, sink: DumpSink, algorithm: Algorithm) -> None:
        self._context = context
        self._sink = sink
        self._algorithm = algorithm
        self._sections: list[Section] = []

    @property
    def sections(self) -> tuple[Section, ...]:
        """What has been written and proven so far, in order."""
        return tuple(self._sections)

    def text(self, kind: str, name: str, data: bytes) -> None:
        """A section made here, from facts that were captured with proof."""
        digest = new_digest(self._algorithm)
        digest.update(data)
        offset = self._sink.position
        self._sink.write(data)
        self._add(kind, name, offset, len(data), digest.hexdigest())

    def stream(
        self,
        kind: str,
        name: str,
        pod: Place,
        argv: Sequence[str],
        *,
        end_marker: bytes,
        memory_limit: int = 0,
        feed: str = "",
        closing: Callable[[bytes], int] | None = None,
    ) -> None:
        """A section made by a producer in `pod`; its last bytes must hold the format's own `end_marker`.

        `feed` is text for the producer's standard input, the way for a secret. `closing` is given the last
        512 bytes, and says how many of them a restore leaves out (`Section.closing`).
        """
        what = f"the dump of {kind} {name}".rstrip()
        offset = self._sink.position
        digest = TailDigest(self._algorithm)
        proof = download(
            self._context,
            pod,
            argv,
            self._sink.write,
            what=what,
            algorithm=self._algorithm,
            memory_limit=memory_limit,
            feed=feed,
            digest=digest,
        )
        if proof.length == 0:
            raise Unproven(f"{what} from {pod} is empty", code="proof.empty")
        if end_marker not in digest.tail:
            raise Unproven(
                f"{what} from {pod} does not end with {end_marker.decode('utf-8', 'replace')!r}",
                code="proof.end_marker",
            )
        left_out = closing(digest.tail) if closing else 0
        body = digest.hexdigest(without=left_out) if left_out else ""
        self._add(kind, name, offset, proof.length, proof.digest, closing=left_out, body_digest=body)
        self._context.reporter.emit(StepDone("dump", f"{kind} {name}: {proof.length} bytes, digest compared"))

    def _add(self, kind: str, name: str, offset: int, length: int, digest: str, **more: Any) -> None:
        self._sections.append(Section(kind, name, offset, length, self._algorithm, digest, **more))
