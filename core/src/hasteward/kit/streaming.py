"""Proven streams out of and into a place (a pod over exec, or a host behind a prefix).

A stream counts only if all of this holds: an explicit Status frame, a trailer with our nonce, exit status 0
in both, and the digest computed in the pod equal to the one computed here. Anything else raises, and the
message says which of them was missing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from hasteward.domain.errors import HastewardError, InvalidInput, RunFailed, Unproven
from hasteward.ports.context import EngineContext
from hasteward.ports.host import HostRef, Place
from hasteward.ports.kubernetes import (
    ApiNotFound,
    Channel,
    ExecStream,
    ExitStatus,
    Output,
    StreamBroken,
)
from hasteward.streams.proof import (
    NONCE_BYTES,
    Algorithm,
    Digest,
    StreamProof,
    TailDigest,
    Trailer,
    TrailerHold,
    new_digest,
    parse_trailer,
)
from hasteward.streams.wrapper import READ_MARK, STREAM_MARK, download_argv, upload_argv

_Write = Callable[[bytes | memoryview], None]
_STDERR_KEPT = 4096
_CAPTURE_LIMIT = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Captured:
    """The proven output of a short command."""

    stdout: bytes
    stderr: str
    exit_status: int
    algorithm: Algorithm


@dataclass(slots=True)
class _Ending:
    """What is known of the end of a stream."""

    status: ExitStatus | None = None
    broken: StreamBroken | None = None
    stderr: bytearray = field(default_factory=bytearray)

    def words(self) -> str:
        """The producer's own last words, for an error message."""
        text = self.stderr[-_STDERR_KEPT:].decode("utf-8", "replace").strip()
        return f": {text}" if text else ""


def stream_mark(place: Place) -> str:
    """What tells the streams of one Lease, or of one lock on this machine, from all others.

    A pod belongs to one cluster, and so to one Lease; on a node that shares its processes others are seen
    too. A host's lock is of this user, this machine and this prefix, so the mark is too.
    """
    if isinstance(place, HostRef):
        words = (platform.node(), str(os.getuid()), *place.prefix)
    else:
        words = (place.namespace, place.name)
    digest = hashlib.sha256("\0".join(words).encode()).hexdigest()
    return f"{STREAM_MARK}-{digest[:16]}"


@contextlib.contextmanager
def _opened(context: EngineContext, pod: Place, wrapped: Sequence[str]) -> Iterator[ExecStream]:
    """The exec; a pod that has gone since it was chosen is a failure of the run, not a wrong request."""
    if isinstance(pod, HostRef):
        with context.host.run(pod, wrapped, stall_seconds=context.tuning.stall_seconds) as stream:
            yield stream
        return
    try:
        with context.kubernetes.exec(
            pod, wrapped, stdin=True, stall_seconds=context.tuning.stall_seconds
        ) as stream:
            yield stream
    except ApiNotFound as error:
        raise RunFailed(error.message, hint="run the same command again", code="pod.gone") from error


def _feed(stream: ExecStream, feed: str) -> None:
    """Send the text, if any, that comes before everything else: lines, then a single dot."""
    if not feed:
        return
    lines = feed.splitlines()
    if "." in lines:
        raise InvalidInput("text for a program cannot hold a line with a single dot", code="feed.dot")
    stream.send("".join(f"{line}\n" for line in [*lines, "."]).encode())


def _drain(stream: ExecStream, ending: _Ending, stdout: Callable[[memoryview], None]) -> None:
    """Read frames to the end of the connection."""
    try:
        while (frame := stream.receive()) is not None:
            match frame:
                case Output(Channel.STDOUT, data):
                    stdout(data)
                case Output(Channel.STDERR, data):
                    ending.stderr += data
                    del ending.stderr[: -2 * _STDERR_KEPT]
                case ExitStatus():
                    ending.status = frame
                    return
                case Output():
                    raise Unproven(f"the server sent data on channel {frame.channel}, which is not defined")
    except StreamBroken as error:
        ending.broken = error


class _Receiver:
    """Tells data from trailer and digests the data."""

    def __init__(self, write: _Write, digest: Digest | TailDigest | None) -> None:
        self._hold = TrailerHold()
        self._write = write
        self._digest = digest
        self.length = 0

    def take(self, chunk: memoryview) -> None:
        for piece in self._hold.feed(chunk):
            self._pass_on(piece)

    def end(self) -> bytes:
        """Pass on what is left; the bytes that may be a trailer."""
        piece, tail = self._hold.end()
        if len(piece):
            self._pass_on(piece)
        return tail

    def _pass_on(self, piece: memoryview) -> None:
        if self._digest is not None:
            self._digest.update(piece)
        self.length += len(piece)
        self._write(piece)


def _conclude(what: str, where: Place, *, length: int, tail: bytes, nonce: str, ending: _Ending) -> Trailer:
    """The trailer, if the stream ended as a whole one must."""
    trailer = parse_trailer(tail, nonce)
    status = ending.status
    if trailer is None:
        if status is not None and not status.success:
            raise RunFailed(f"{what} in {where} failed: {status.message}{ending.words()}", code="exec.failed")
        why = ending.broken.message if ending.broken else "the server reported success"
        raise Unproven(
            f"{what} from {where} stopped after {length} bytes without the producer's trailer ({why})"
            f"{ending.words()}",
            hint="nothing was kept; run the same command again",
            code="proof.no_trailer",
        )
    if trailer.exit_status != 0:
        return trailer
    if ending.broken is not None or status is None:
        why = ending.broken.message if ending.broken else "the connection closed"
        raise Unproven(f"{what} from {where} ended without a Status frame ({why})", code="proof.no_status")
    if not status.success:
        raise Unproven(f"{what} from {where} reported {status.message}", code="proof.status")
    return trailer


def download(
    context: EngineContext,
    pod: Place,
    argv: Sequence[str],
    write: _Write,
    *,
    what: str,
    algorithm: Algorithm,
    memory_limit: int = 0,
    feed: str = "",
    digest: TailDigest | None = None,
) -> StreamProof:
    """Run a producer in `pod` and pass its output to `write`; return the proof.

    `what` names the stream in error messages. `feed` is text for the producer's standard input: the way for
    a secret, which is then in no arguments, no environment and no file. `digest` is the caller's own, new
    and by `algorithm`, if he wants more of it. Raises RunFailed when the producer itself failed, Unproven
    when what arrived is not provably everything, and whatever `write` raises.
    """
    nonce = secrets.token_hex(NONCE_BYTES)
    digest = digest or TailDigest(algorithm)
    receiver = _Receiver(write, digest)
    ending = _Ending()
    wrapped = download_argv(
        argv,
        run=context.run.id,
        nonce=nonce,
        mark=stream_mark(pod),
        algorithm=algorithm,
        memory_limit=memory_limit,
        fed=bool(feed),
    )
    with _opened(context, pod, wrapped) as stream:
        _feed(stream, feed)
        _drain(stream, ending, receiver.take)
    tail = receiver.end()
    trailer = _conclude(what, pod, length=receiver.length, tail=tail, nonce=nonce, ending=ending)
    if trailer.exit_status != 0:
        said = f"{what} in {pod} exited with {trailer.exit_status}{ending.words()}"
        raise RunFailed(said, code="dump.failed")
    _compare(what, pod, trailer, digest.hexdigest())
    return StreamProof(receiver.length, trailer.algorithm, trailer.digest)


def _compare(what: str, pod: Place, trailer: Trailer, ours: str) -> None:
    if trailer.digest != ours:
        raise Unproven(
            f"{what}: the digest made in {pod} ({trailer.digest[:12]}) is not the one here ({ours[:12]})",
            hint="nothing was kept; run the same command again",
            code="proof.digest",
        )


@dataclass(frozen=True, slots=True)
class Question:
    """A short command for one place; `feed` as in `download`."""

    place: Place
    argv: Sequence[str]
    feed: str = ""


class _Answer:
    """The answer to a question while it arrives."""

    def __init__(self, context: EngineContext, question: Question, limit: int) -> None:
        self._asked = question
        self._limit = limit
        self._parts = bytearray()
        self._receiver = _Receiver(self._keep, None)
        self._ending = _Ending()
        self._nonce = secrets.token_hex(NONCE_BYTES)
        self.wrapped = download_argv(
            question.argv,
            run=context.run.id,
            nonce=self._nonce,
            mark=READ_MARK,
            fed=bool(question.feed),
            short=True,
        )

    def _keep(self, data: bytes | memoryview) -> None:
        if len(self._parts) + len(data) > self._limit:
            asked = self._asked
            raise Unproven(f"{asked.argv[0]} in {asked.place} answered with more than {self._limit} bytes")
        self._parts.extend(data)

    def begin(self, stream: ExecStream) -> None:
        """Give it what it is fed."""
        _feed(stream, self._asked.feed)

    def take(self, stream: ExecStream) -> None:
        """Everything, to the end of the connection."""
        _drain(stream, self._ending, self._receiver.take)

    def proven(self) -> Captured:
        """The answer, if it is provably whole."""
        tail, asked, ending = self._receiver.end(), self._asked, self._ending
        trailer = _conclude(
            asked.argv[0],
            asked.place,
            length=self._receiver.length,
            tail=tail,
            nonce=self._nonce,
            ending=ending,
        )
        digest = new_digest(trailer.algorithm)
        digest.update(bytes(self._parts))
        _compare(asked.argv[0], asked.place, trailer, digest.hexdigest())
        text = ending.stderr[-_STDERR_KEPT:].decode("utf-8", "replace")
        return Captured(bytes(self._parts), text, trailer.exit_status, trailer.algorithm)


def capture(
    context: EngineContext, pod: Place, argv: Sequence[str], *, limit: int = _CAPTURE_LIMIT, feed: str = ""
) -> Captured:
    """Run a short command in `pod` and return its proven output, whatever its exit status.

    Raises Unproven for an incomplete answer (which must become Unread, never a fact) and for one of more
    than `limit` bytes.
    """
    answer = _Answer(context, Question(pod, argv, feed), limit)
    with _opened(context, pod, answer.wrapped) as stream:
        answer.begin(stream)
        answer.take(stream)
    return answer.proven()


def capture_each(
    context: EngineContext, questions: Sequence[Question], *, limit: int = _CAPTURE_LIMIT
) -> list[Captured | HastewardError]:
    """As `capture`, of many places that work on it at the same time; an error stands where its answer would.

    One thread: all are asked before the first is listened to. So answers must be short, or who is listened
    to last waits with his.
    """
    answers: list[Captured | HastewardError] = []
    with contextlib.ExitStack() as opened:
        asked = [_asked(opened, context, question, limit) for question in questions]
        for each in asked:
            if isinstance(each, HastewardError):
                answers.append(each)
                continue
            answer, stream = each
            try:
                answer.take(stream)
                answers.append(answer.proven())
            except HastewardError as error:
                answers.append(error)
    return answers


def _asked(
    opened: contextlib.ExitStack, context: EngineContext, question: Question, limit: int
) -> tuple[_Answer, ExecStream] | HastewardError:
    answer = _Answer(context, question, limit)
    try:
        stream = opened.enter_context(_opened(context, question.place, answer.wrapped))
        answer.begin(stream)
    except HastewardError as error:
        return error
    return answer, stream


def upload(
    context: EngineContext,
    pod: Place,
    argv: Sequence[str],
    chunks: Iterable[bytes | memoryview],
    *,
    what: str,
    algorithm: Algorithm,
    feed: str = "",
    short: bool = False,
    known: str = "",
) -> StreamProof:
    """Feed `chunks` to a consumer in `pod`; return the digest of what arrived there.

    The consumer sees a plain end of file when we die, so nothing it does may be final: compare the proof,
    then commit by a separate act. Raises RunFailed when the consumer failed, Unproven when what arrived is
    not provably what was sent. `feed` is text that the consumer finds on `FED_DESCRIPTOR`, as in `download`.
    A `short` stream is a script and no file of data: it starts sooner, and leaves more room for arguments.
    `known` is the proven digest of all that `chunks` will give: then they are not digested here as well.
    """
    nonce, digest = secrets.token_hex(NONCE_BYTES), new_digest(algorithm)
    answer, ending, sent, whole = bytearray(), _Ending(), 0, False
    wrapped = upload_argv(
        argv,
        run=context.run.id,
        nonce=nonce,
        mark=stream_mark(pod),
        algorithm=algorithm,
        fed=bool(feed),
        short=short,
    )
    with _opened(context, pod, wrapped) as stream:
        try:
            _feed(stream, feed)
            for chunk in chunks:
                if not known:
                    digest.update(chunk)
                sent += len(chunk)
                if not stream.send(chunk):
                    break
            else:
                whole = True
                stream.finish_input()
        except StreamBroken as error:
            ending.broken = error
        else:
            _drain(stream, ending, answer.extend)
    trailer = parse_trailer(bytes(answer), nonce)
    if trailer is not None and trailer.exit_status != 0:
        said = f"{what} in {pod} exited with {trailer.exit_status}{ending.words()}"
        raise RunFailed(said, code="load.failed")
    trailer = _conclude(what, pod, length=sent, tail=bytes(answer), nonce=nonce, ending=ending)
    if not whole:
        raise Unproven(f"{what} in {pod} ended before it was given everything", code="proof.digest")
    _compare(what, pod, trailer, known or digest.hexdigest())
    return StreamProof(sent, trailer.algorithm, trailer.digest)
