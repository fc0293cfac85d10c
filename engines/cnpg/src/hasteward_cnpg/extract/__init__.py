"""Makes a dump of a member's captured files: a scratch server of the same image recovers them, and is dumped.

The pod is a helper with an empty directory and nothing else: no volume of the cluster, no rights, no label
that a service selects by. The server in it listens nowhere but on a socket of its own, has no archive, no
workers and nobody to follow. What arrived there is compared with what is stored before it is started, and
how far it recovered with where the member's log ended.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Refused, RunFailed, Unproven
from hasteward.domain.events import PhaseStarted, StepDone, Warned
from hasteward.kit.helperpod import Helper, Scratch, helper_pod
from hasteward.kit.streaming import capture, upload
from hasteward.ports.context import DumpProof, DumpSink, EngineContext, RestoreSource
from hasteward.ports.kubernetes import PODS, ApiNotFound, PodRef
from hasteward.streams.proof import Algorithm
from hasteward_cnpg.collect import cluster_body
from hasteward_cnpg.facts.objects import HelperFacts, helper_facts, mapping, name_of
from hasteward_cnpg.facts.scratch import (
    DATA,
    ROOM,
    RUN,
    SPACES,
    Captured,
    captured,
    extract_plan,
    original_location,
    recovered,
    room_for,
    settings,
)
from hasteward_cnpg.resources import CAPTURE_FILE, LABEL_SCRATCH, OURS, SUPERUSER, instance_selector
from hasteward_sql.postgresql.collect.catalog import Globals, read_globals
from hasteward_sql.postgresql.collect.client import Login, one_line, query
from hasteward_sql.postgresql.dump import Source, choose_databases, write
from hasteward_sql.postgresql.facts.release import Release

#: the section that is the tar, and the one before it, which the catalog repeats
_FILES = "files:pgdata"
#: a pod that nobody takes away ends by itself after this; large databases take hours
_POD_SECONDS = 24 * 3600
#: and after this, when its run has died
_IDLE_SECONDS = 600
_START_SECONDS = 24 * 3600
_UNPACK = 'mkdir -m 700 "$1" && tar -x -p -f - -C "$1" && cat >/dev/null'
#: $1 data directory, $2 run directory, $3 tablespaces, $4 1 when it follows, $5 seconds, then the settings
_START = r"""
d=$1 r=$2 t=$3 f=$4 s=$5; shift 5
mkdir -m 700 "$r" "$t" || exit 1
echo "local all all trust" >"$r/hba.conf"; : >"$r/ident.conf"
rm -f "$d/postmaster.pid" "$d/standby.signal" "$d/recovery.signal"
if [ "$f" = 1 ]; then : >"$d/recovery.signal"; fi
for l in "$d"/pg_tblspc/*; do
  if [ -d "$l" ] && [ ! -L "$l" ]; then mv "$l" "$t/" && ln -s "$t/${l##*/}" "$l" || exit 1; fi
done
o=; for c do o="$o -c $c"; done
# what the log needs room for in memory, as the member itself was set
for p in max_prepared_transactions:max_prepared_xacts max_connections:max_connections \
    max_locks_per_transaction:max_locks_per_xact; do
  v=$(pg_controldata "$d" 2>/dev/null | sed -n "s/^${p#*:} setting: *//p")
  if [ -n "$v" ]; then o="$o -c ${p%%:*}=$v"; fi
done
why() { grep -E 'FATAL|PANIC' "$r/log" | tail -n 5 >&2; exit 1; }
pg_ctl -D "$d" -l "$r/log" -w -t "$s" -o "$o" start || why
# that is content with a server that still replays and lets nobody in; the dots are our sign of life
until [ "$(sed -n '8{s/ *$//;p;}' "$d/postmaster.pid" 2>/dev/null)" = ready ]; do
  p=$(sed -n 1p "$d/postmaster.pid" 2>/dev/null) || why
  if grep -q '^State:.Z' "/proc/$p/status" 2>/dev/null || [ ! -e "/proc/$p" ]; then why; fi
  printf .; sleep 0.2 2>/dev/null || sleep 1
done
"""
_POSITION = """
SELECT json_build_object('number', current_setting('server_version_num')::int,
 'text', current_setting('server_version'), 'lsn', pg_current_wal_insert_lsn()::text,
 'prepared', (SELECT count(*) FROM pg_prepared_xacts))
"""


def extract(context: EngineContext, cluster: ClusterRef, source: RestoreSource, sink: DumpSink) -> DumpProof:
    """Show the plan, recover the files in a scratch server, and push its dump into `sink`."""
    found = _captured(source)
    facts = _surroundings(context, cluster, found)
    name = f"hasteward-{cluster.name}-scratch-{context.run.id[-8:]}"
    plan = extract_plan(cluster, found, source.snapshot_id, facts.image, name)
    if not context.approve(plan):
        return DumpProof(found.member, source.manifest.server_version, (), planned_only=True)
    _sweep(context, cluster)
    helper = Helper(
        name=name,
        image=facts.image,
        mounts=(),
        user=facts.user,
        group=facts.group,
        account=facts.account,
        seconds=_POD_SECONDS,
        scratch=(Scratch(ROOM, room_for(found)),),
        purpose=f"starting a scratch server for the files of {found.member}",
        pull_secrets=facts.pull_secrets,
        tolerations=facts.tolerations,
        labels={LABEL_SCRATCH: cluster.name},
        cluster=cluster,
        idle=_IDLE_SECONDS,
    )
    with helper_pod(context, cluster.namespace, helper) as pod:
        _unpack(context, pod, source, found)
        _start(context, pod, found)
        return _dump(context, pod, source, sink, found)


def _captured(source: RestoreSource) -> Captured:
    try:
        found = captured(source.manifest)
    except (ValueError, KeyError, TypeError) as error:
        raise Unproven(
            f"the manifest of capture {source.snapshot_id[:8]} was not understood: {error}",
            hint=_raw(source),
            code="extract.manifest",
        ) from error
    if source.manifest.section(_FILES) is None:
        raise Unproven(f"capture {source.snapshot_id[:8]} holds no {CAPTURE_FILE}", code="extract.manifest")
    return found


def _raw(source: RestoreSource) -> str:
    ordinal = source.manifest.path.rpartition("/")[2].partition("-")[0]
    return (
        f"the files themselves: hasteward export -i {ordinal} --snapshot {source.snapshot_id[:8]} --raw"
        " -o FILE.tar"
    )


def _surroundings(context: EngineContext, cluster: ClusterRef, found: Captured) -> HelperFacts:
    """Whom the pod runs as, and from which image: the captured member's own, if it is known."""
    body = cluster_body(context, cluster)
    listed = context.kubernetes.list(PODS, cluster.namespace, labels=instance_selector(cluster.name))
    try:
        facts = helper_facts(body, None, {name_of(pod): pod for pod in listed})
    except ValueError as error:
        raise Refused(
            f"no scratch server can run: {error}",
            hint="set spec.imageName of the Cluster, or start one member",
            code="extract.no_image",
        ) from error
    return replace(facts, image=found.image or facts.image)


def _sweep(context: EngineContext, cluster: ClusterRef) -> None:
    """Delete what dead runs have left: pods that have ended. One that runs may be somebody's at work."""
    for pod in context.kubernetes.list(
        PODS, cluster.namespace, labels=f"{LABEL_SCRATCH}={cluster.name},{OURS}"
    ):
        if mapping(pod.get("status")).get("phase") in {"Failed", "Succeeded"}:
            with contextlib.suppress(ApiNotFound):
                context.kubernetes.delete(PODS, cluster.namespace, name_of(pod))


def _unpack(context: EngineContext, pod: PodRef, source: RestoreSource, found: Captured) -> None:
    def pieces() -> Iterator[memoryview]:
        for _, chunks in source.read([_FILES]):
            yield from chunks

    context.reporter.emit(PhaseStarted("extract", f"unpacking the files of {found.member} in {pod.name}"))
    section = source.manifest.section(_FILES)
    assert section is not None  # noqa: S101  seen by _captured
    argv = ["sh", "-c", _UNPACK, "sh", DATA]
    kind = Algorithm(section.algorithm)
    proof = upload(context, pod, argv, pieces(), what="unpacking the files", algorithm=kind)
    if proof.digest != section.digest:
        raise Unproven(f"what was unpacked in {pod.name} is not what was captured", code="extract.digest")


def _start(context: EngineContext, pod: PodRef, found: Captured) -> None:
    context.reporter.emit(PhaseStarted("extract", f"recovering the files of {found.member} in {pod.name}"))
    numbers = [str(int(found.follows)), str(_START_SECONDS)]
    argv = ["env", "LC_ALL=C", "sh", "-c", _START, "sh", DATA, RUN, SPACES, *numbers, *settings(found)]
    answer = capture(context, pod, argv)
    if answer.exit_status != 0:
        raise RunFailed(
            f"the captured files of {found.member} do not recover: {one_line(answer.stderr) or 'no message'}",
            hint=f"hasteward export -i {found.member.rpartition('-')[2]} --raw -o FILE.tar   (as they are)",
            code="extract.not_recovered",
        )


def _dump(
    context: EngineContext, pod: PodRef, source: RestoreSource, sink: DumpSink, found: Captured
) -> DumpProof:
    login = Login(pod, SUPERUSER, host=RUN)
    server: dict[str, Any] = query(context, login, _POSITION)
    why = recovered(server["lsn"], found)
    if why:
        raise Unproven(
            f"the scratch server does not hold all of {found.member}: {why}",
            hint=_raw(source),
            code="extract.short",
        )
    context.reporter.emit(StepDone("extract", f"the files of {found.member} recovered to {server['lsn']}"))
    if server["prepared"]:
        text = f"the dump has nothing of {server['prepared']} transactions that {found.member} held prepared"
        context.reporter.emit(Warned("extract.prepared", text))
    shared = _as_on_the_member(read_globals(context, login), found)
    choice = choose_databases(shared)
    release = Release(str(server["text"]), int(server["number"]))
    scratch = Source(login, release, in_recovery=False)
    writer, catalog = write(context, scratch, sink, shared, choice)
    told = {
        "primary": "",
        "timeline": found.timeline,
        "lsn": None if found.end is None else str(found.end),
        "extracted_from": source.snapshot_id,
    }
    return DumpProof(found.member, release.text, writer.sections, catalog | told)


def _as_on_the_member(shared: Globals, found: Captured) -> Globals:
    spaces = tuple(
        {**row, "location": original_location(str(row["location"]), found.tablespaces)}
        for row in shared.tablespaces
    )
    return replace(shared, tablespaces=spaces)
