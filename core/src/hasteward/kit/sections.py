"""Writing a dump as sections: ranges that are proven one by one and can be restored one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hasteward.domain.errors import Unproven
from hasteward.domain.events import StepDone
from hasteward.domain.manifest import Section
from hasteward.kit.streaming import download
from hasteward.ports.context import DumpSink, EngineContext
from hasteward.ports.host import Place
from hasteward.streams.proof import Algorithm, TailDigest

_Closing = Callable[[bytes], int]


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

    def text(self, kind: str, name: str, data: bytes, *, closing: _Closing | None = None) -> None:
        """A section made here from what was captured with proof; `closing` as in `stream`."""
        digest = TailDigest(self._algorithm)
        digest.update(data)
        offset = self._sink.position
        self._sink.write(data)
        self._add((kind, name, offset, len(data)), digest, closing)

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
        closing: _Closing | None = None,
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
        require_end(what, pod, digest.tail, end_marker)
        self._add((kind, name, offset, proof.length), digest, closing)
        self._context.reporter.emit(StepDone("dump", f"{kind} {name}: {proof.length} bytes, digest compared"))

    def _add(self, section: tuple[str, str, int, int], digest: TailDigest, closing: _Closing | None) -> None:
        left_out = closing(digest.tail) if closing else 0
        body = digest.hexdigest(without=left_out) if left_out else ""
        known = (*section, self._algorithm, digest.hexdigest())
        self._sections.append(Section(*known, closing=left_out, body_digest=body))


def require_end(what: str, place: Place, tail: bytes, marker: bytes) -> None:
    """Unproven unless the last bytes of a dump hold what its format ends with."""
    if not tail:
        raise Unproven(f"{what} from {place} is empty", code="proof.empty")
    if marker not in tail:
        raise Unproven(
            f"{what} from {place} does not end with {marker.decode('utf-8', 'replace')!r}",
            code="proof.end_marker",
        )
