"""Installs a snapshot through the leader, after comparing whose it is, and waits until the cluster stands.

What makes it live is one act of the server, and the server takes nothing before the archive has proven itself
by its own SHA256SUMS, sealed with the cluster's key. The archive's end, where those sums are, is held back
until every byte of the snapshot was compared with its manifest here. So killed at any moment the old data is
live, or the new; and what was live before lies beside, as a snapshot on the leader's volume.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError, RunFailed, Unproven
from hasteward.domain.events import PhaseStarted, StepDone, Warned
from hasteward.kit.orphans import end_orphans
from hasteward.kit.streaming import capture, upload
from hasteward.ports.context import EngineContext, RestoreOptions, RestoreOutcome, RestoreSource
from hasteward.streams.proof import Algorithm
from hasteward_vault.analyse import Analysis, analyse, lacks_token, status_of
from hasteward_vault.collect import collect
from hasteward_vault.collect.ask import script
from hasteward_vault.evidence import Evidence
from hasteward_vault.facts.archive import Archive, ArchiveError
from hasteward_vault.facts.shell import FORGET, KEEP, RESTORE
from hasteward_vault.resources import flags
from hasteward_vault.restore.gates import Target, prepare

_SECTION = "raft"
_LOOK_SECONDS = 0.5
#: the server's own no; after any other end of the stream it may have taken the snapshot
_REFUSED = "load.failed"


def restore(
    context: EngineContext, cluster: ClusterRef, source: RestoreSource, options: RestoreOptions
) -> RestoreOutcome:
    """Check every gate, show the plan, keep what is live, install, wait."""
    target = prepare(context, cluster, source, options)
    if not context.approve(target.plan):
        return RestoreOutcome(planned_only=True)
    end_orphans(context, target.pod)
    kept = _keep(context, target)
    context.check_lease()
    context.reporter.emit(PhaseStarted("restore", f"installing the snapshot through {target.leader}"))
    _install(context, target, source)
    context.reporter.emit(StepDone("restore", "the server has taken the snapshot"))
    check = _wait(context, cluster, target)
    return RestoreOutcome(
        restored=(f"Raft entry {target.index}",),
        kept=kept,
        checks=(
            "every byte was compared with the manifest, and the server checked the snapshot's own sums",
            check,
        ),
    )


def _keep(context: EngineContext, target: Target) -> tuple[str, ...]:
    if not target.kept:
        return ()
    argv = script(KEEP, *target.access.words, target.kept)
    answer = capture(context, target.pod, argv, feed=target.access.feed)
    if answer.exit_status != 0:
        raise RunFailed(
            f"what is live now could not be kept on {target.leader}: {' '.join(answer.stderr.split())}",
            hint="nothing was restored; --no-keep-old restores without keeping it",
            code="restore.keep",
        )
    context.reporter.emit(StepDone("restore", f"what is live now is kept in {target.kept}"))
    return (f"{target.leader}:{target.kept}",)


def _forget(context: EngineContext, target: Target) -> None:
    """Nothing was replaced, so nothing needs to be kept. What cannot be removed, triage tells."""
    if target.kept:
        with contextlib.suppress(HastewardError):
            capture(context, target.pod, script(FORGET, target.kept))


def _install(context: EngineContext, target: Target, source: RestoreSource) -> None:
    argv = script(RESTORE, *target.access.words_beside_data, "-force" if target.differences else "")
    try:
        upload(
            context,
            target.pod,
            argv,
            _compressed(_held_back(_chunks(source))),
            what="the installation of the snapshot",
            algorithm=Algorithm.SHA256,
            feed=target.access.feed,
        )
    except RunFailed as error:
        if error.code != _REFUSED:
            raise
        _forget(context, target)
        raise RunFailed(
            f"{error.message}; what was live before is live still",
            hint=_hint(error),
            code=error.code,
        ) from error
    except HastewardError as error:
        error.hint = (
            f"the old data is live, or the new: hasteward triage {target.flags}"
            " and read what is there; what was kept stays"
        )
        raise


def _hint(error: HastewardError) -> str:
    if "permission denied" in error.message:
        return "deploy/vault/repair.hcl is the policy that allows it"
    if "could not verify hash file" in error.message:
        return "the snapshot is sealed with other keys than the live cluster's; --force installs it anyway"
    return error.hint


def _chunks(source: RestoreSource) -> Iterator[memoryview]:
    for _, pieces in source.read([_SECTION]):
        yield from pieces


def _held_back(chunks: Iterable[memoryview]) -> Iterator[bytes | memoryview]:
    """Everything up to the sums at once, the rest only when all of it has come and was compared."""
    archive = Archive()
    held = bytearray()
    for chunk in chunks:
        begin = archive.length
        _judge(partial(archive.feed, chunk))
        if not archive.proof_offset:
            yield chunk
            continue
        free = max(0, archive.proof_offset - begin)
        if free and not held:
            yield chunk[:free]
        held += chunk[free if not held else 0 :]
    _judge(archive.conclude)
    yield bytes(held)


def _judge(look: Callable[[], object]) -> None:
    try:
        look()
    except ArchiveError as error:
        raise Unproven(f"the stored snapshot is not whole: {error}", code="proof.archive") from error


def _compressed(chunks: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """The form the server takes: gzip. What is in it is encrypted, so it is only wrapped, not squeezed."""
    packer = zlib.compressobj(level=0, wbits=31)
    for chunk in chunks:
        packed = packer.compress(chunk)
        if packed:
            yield packed
    yield packer.flush()


def _wait(context: EngineContext, cluster: ClusterRef, target: Target) -> str:
    """Until every member that was unsealed before is so again, and a majority follows a leader."""
    deadline = context.clock.monotonic() + context.tuning.heal_seconds
    while True:
        evidence = collect(context, cluster)
        analysis = analyse(evidence)
        lacking = _lacking(evidence, analysis, target)
        if lacking == analysis.reason and lacks_token(evidence):
            text = "the restored cluster does not know our token, so who leads it was not read"
            context.reporter.emit(Warned("restore.token", f"{text}; its members are unsealed"))
            return text
        if not lacking:
            return f"{analysis.leader} leads and every member that was well before follows it"
        if context.clock.monotonic() > deadline:
            raise RunFailed(
                f"the snapshot is installed, but the cluster does not stand: {lacking}",
                hint=f"unseal sealed members with the keys of the snapshot's time, then: hasteward triage"
                f" {flags(cluster)}",
                code="restore.not_standing",
            )
        context.clock.sleep(_LOOK_SECONDS)


def _lacking(evidence: Evidence, analysis: Analysis, target: Target) -> str:
    sealed = [
        member.name
        for member in evidence.members
        if member.name in target.well and ((status := status_of(member)) is None or status.sealed)
    ]
    if sealed:
        return f"{', '.join(sealed)} {'is' if len(sealed) == 1 else 'are'} sealed or cannot be read"
    if not analysis.leader:
        return analysis.reason
    behind = [
        assessment.member
        for assessment in analysis.assessments
        if assessment.member in target.well and assessment.health.value != "healthy"
    ]
    return f"{', '.join(behind)} does not follow {analysis.leader}" if behind else ""
