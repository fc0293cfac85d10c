"""Every reason not to restore. Each names the evidence, the rule and the next command; nothing is touched."""

from __future__ import annotations

import re

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError, InvalidInput, Refused
from hasteward.domain.manifest import Manifest
from hasteward.domain.reading import Known
from hasteward.kit.reading import short
from hasteward.ports.context import EngineContext, RestoreOptions
from hasteward_cnpg.analyse import Analysis, Doubt
from hasteward_cnpg.collect.room import volumes
from hasteward_cnpg.evidence import ClusterFacts, Evidence, ServerFacts
from hasteward_cnpg.facts.room import MIB, Volume, human
from hasteward_cnpg.resources import DUMP_FORMAT, pod_of
from hasteward_cnpg.restore.replay import restricts
from hasteward_cnpg.restore.target import Item, Survey

#: every server has these and the operator uses them: restored only when they are asked for by name
EVERYWHERE = ("postgres", "template1")


def triage_command(cluster: ClusterRef) -> str:
    """The command that shows what a refusal rests on."""
    return f"hasteward triage -e {cluster.engine} -c {cluster.name} -n {cluster.namespace}"


def check_source(manifest: Manifest, options: RestoreOptions) -> list[str]:
    """The names of the databases to restore."""
    if manifest.format != DUMP_FORMAT:
        raise Refused(
            f"the snapshot is in format {manifest.format or '(none)'!r};"
            f" only {DUMP_FORMAT!r} can be restored by this engine",
            hint="hasteward export writes any snapshot to a file",
            code="restore.format",
        )
    have = list(manifest.catalog.get("databases", {}))
    unknown = [name for name in options.databases if name not in have]
    if unknown:
        raise InvalidInput(
            f"the snapshot has no database {', '.join(unknown)}",
            hint=f"name one that it has: {', '.join(have) or 'none'}",
            code="restore.no_such_database",
        )
    wanted = [n for n in have if n in options.databases or (not options.databases and n not in EVERYWHERE)]
    if not wanted:
        raise InvalidInput(
            "the snapshot has no database of a user",
            hint=f"name one that it has with --database: {', '.join(have) or 'none'}",
            code="restore.nothing",
        )
    lacking = [name for name in wanted if manifest.section(f"database:{name}") is None]
    if lacking:
        raise Refused(
            f"the manifest has no section for {', '.join(lacking)}",
            hint="choose another snapshot: hasteward get backups",
            code="restore.no_section",
        )
    return wanted


def check_cluster(
    cluster: ClusterRef, evidence: Evidence, analysis: Analysis, options: RestoreOptions
) -> tuple[str, ServerFacts, list[str]]:
    """The primary to restore to, its server, and what the plan must say about doubts that were overridden."""
    if isinstance(evidence.cluster, Known):
        _check_switches(cluster, evidence.cluster.value)
    notes = _check_authority(cluster, analysis, options)
    member = evidence.member(analysis.primary)
    if member is None or not isinstance(member.server, Known):
        raise Refused(
            f"no member of {cluster.namespace}/{cluster.name} is proven to be its primary: {analysis.reason}",
            hint=triage_command(cluster),
            code="restore.no_primary",
        )
    return member.name, member.server.value, notes


def _check_switches(cluster: ClusterRef, facts: ClusterFacts) -> None:
    describe = f"kubectl describe clusters.postgresql.cnpg.io {cluster.name} -n {cluster.namespace}"
    if facts.fenced or facts.fence_note:
        names = ", ".join(sorted(facts.fenced))
        raise Refused(
            f"instances are fenced ({names or facts.fence_note}); whoever did that had a reason,"
            " and a fenced member may hold data the primary does not have",
            hint=describe,
            code="restore.fenced",
        )
    if facts.hibernated:
        raise Refused(
            "the cluster is hibernated; its servers do not run", hint=describe, code="restore.hibernated"
        )
    if facts.current_primary != facts.target_primary:
        raise Refused(
            f"a change of primary is under way (currentPrimary {facts.current_primary or 'not set'},"
            f" targetPrimary {facts.target_primary or 'not set'}); a restore waits until it is over",
            hint=describe,
            code="restore.switchover",
        )


def _check_authority(cluster: ClusterRef, analysis: Analysis, options: RestoreOptions) -> list[str]:
    if not analysis.questions:
        return []
    down_only = all(question.kind is Doubt.MEMBER_DOWN for question in analysis.questions)
    if down_only and options.force:
        return [f"FORCED past: {question.text}" for question in analysis.questions]
    rule = "a restore needs proof that the primary holds the newest data"
    if down_only:
        rule += "; --force goes past members that are down, and only past those"
    raise Refused(f"{analysis.reason}; {rule}", hint=triage_command(cluster), code="restore.authority")


def check_version(manifest: Manifest, server: ServerFacts) -> None:
    """A dump is never loaded into an older major version: it may use what is not there."""
    match = re.match(r"\d+", manifest.server_version)
    if match is None:
        raise Refused(
            f"the manifest does not say which server was dumped ({manifest.server_version!r})",
            hint="choose another snapshot: hasteward get backups",
            code="restore.version",
        )
    if server.major < int(match[0]):
        raise Refused(
            f"the dump is from PostgreSQL {manifest.server_version}, the cluster runs {server.version},"
            " which is older",
            hint="restore into a cluster of the same or a newer major version",
            code="restore.version",
        )


def check_live(
    cluster: ClusterRef, member: str, items: tuple[Item, ...], found: Survey, roles: frozenset[str]
) -> None:
    """What is bound to the databases being replaced, and what the new ones need to exist."""
    kubectl = f"kubectl exec -n {cluster.namespace} -it {member} -c postgres -- psql -U postgres"
    for item in items:
        if item.live is not None:
            _check_bound(item, kubectl)
        if item.entry["owner"] not in roles:
            raise Refused(
                f"database {item.name} belongs to role {item.entry['owner']}, which is neither in the cluster"
                " nor in the snapshot",
                hint=f"{kubectl} -c 'CREATE ROLE ...'",
                code="restore.owner",
            )
        if item.entry["tablespace"] not in found.tablespaces:
            raise Refused(
                f"database {item.name} lies in tablespace {item.entry['tablespace']},"
                " which the cluster does not have",
                hint="declare it in spec.tablespaces of the Cluster",
                code="restore.tablespace",
            )
        if item.old_name in found.databases:
            raise Refused(
                f"there already is a database {item.old_name}",
                hint="run it again: the name is made of the time",
                code="restore.old_name",
            )


def _check_bound(item: Item, kubectl: str) -> None:
    live = item.live
    assert live is not None  # noqa: S101  the caller checked; for the type checker
    for what, names, remedy in (
        ("prepared transactions", live.prepared, "COMMIT PREPARED or ROLLBACK PREPARED"),
        ("logical replication slots", live.slots, "SELECT pg_drop_replication_slot(...)"),
        ("subscriptions", live.subscriptions, "DROP SUBSCRIPTION"),
    ):
        if names:
            raise Refused(
                f"database {item.name} has {what}: {', '.join(names)}; they would stay with the replaced one",
                hint=f"{kubectl} (then {remedy}), and restore again",
                code="restore.bound",
            )


def check_needs(
    server: ServerFacts, found: Survey, items: tuple[Item, ...], options: RestoreOptions
) -> list[str]:
    """Whether the image has the extensions, and whether a role without rights can load the rest."""
    for item in items:
        missing = [row["name"] for row in item.entry["extensions"] if row["name"] not in found.extensions]
        if missing:
            raise Refused(
                f"database {item.name} uses extensions that the cluster's image does not have:"
                f" {', '.join(missing)}",
                hint="change spec.imageName of the Cluster (or spec.postgresql.extensions) to have them",
                code="restore.extension",
            )
    if options.as_superuser:
        return ["AS SUPERUSER: everything in the dump runs with all rights, in the database and beside it"]
    _check_role(server, found, items)
    return []


def _check_role(server: ServerFacts, found: Survey, items: tuple[Item, ...]) -> None:
    hint = "--as-superuser runs all that is in the dump as superuser: only if you trust who could write to it"
    if not restricts(server.version_number):
        raise Refused(
            f"psql of PostgreSQL {server.version} cannot be told to run no commands of the dump",
            hint=f"update the image to the newest minor version; or {hint}",
            code="restore.unrestricted",
        )
    for item in items:
        reasons = [*item.entry["superuser"], *_extensions(found, item)]
        if reasons:
            raise Refused(
                f"database {item.name} holds what only a superuser can create: {'; '.join(reasons)}",
                hint=hint,
                code="restore.needs_superuser",
            )


def _extensions(found: Survey, item: Item) -> list[str]:
    """Extensions that lie in a schema of the content, and so must be created by whoever loads it."""
    return [
        f"extension {row['name']} in schema {row['schema']}"
        for row in item.entry["extensions"]
        if not row["outside"] and (row["config"] or not found.extensions[row["name"]])
    ]


def check_space(
    context: EngineContext,
    cluster: ClusterRef,
    evidence: Evidence,
    items: tuple[Item, ...],
    log_growth: int,
) -> list[str]:
    """Both copies must fit on every member that runs, and the log of the load: a full volume stops a server.

    The log of a load is as large as what is loaded. It is recycled on the way at `log_growth`, unless an
    archive or a slot holds it back; beyond that the plan only tells.
    """
    size = sum(max(item.section.length * 12 // 10, int(item.entry.get("bytes") or 0)) for item in items)
    data_need, log_need = size + 64 * MIB, min(size, log_growth) + 64 * MIB
    notes = []
    for member in evidence.members:
        if not isinstance(member.server, Known):
            continue
        data, log = _volumes(context, cluster, member.name)
        shared = log.device == data.device
        _enough(member.name, data.free, data_need + (log_need if shared else 0), "data")
        if not shared:
            _enough(member.name, log.free, log_need, "log")
            if log.free < data_need:
                notes.append(f"the log volume of {member.name} has {human(log.free)} free; watch it")
    return notes


def _volumes(context: EngineContext, cluster: ClusterRef, member: str) -> tuple[Volume, Volume]:
    try:
        return volumes(short(context), pod_of(cluster, member))
    except (HastewardError, ValueError) as error:
        raise Refused(
            f"the free space of {member} could not be read ({error})",
            hint=f"kubectl describe pod {member} -n {cluster.namespace}",
            code="restore.space_unread",
        ) from error


def _enough(member: str, free: int, need: int, what: str) -> None:
    if free < need:
        field = "storage" if what == "data" else "walStorage"
        raise Refused(
            f"{member} has {human(free)} free on its {what} volume; the restore needs {human(need)}"
            " beside the live data",
            hint=f"enlarge spec.{field}.size of the Cluster, or restore fewer databases",
            code="restore.space",
        )
