"""The gates of a cluster under its operator; the restore itself is `hasteward_sql.postgresql.restore`."""

from __future__ import annotations

from collections.abc import Sequence

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import RunFailed
from hasteward.kit.reading import short
from hasteward.ports.context import EngineContext, PutBack, RestoreOptions, RestoreOutcome, RestoreSource
from hasteward_cnpg.analyse import analyse
from hasteward_cnpg.collect import collect, read_cluster
from hasteward_cnpg.collect.login import login_of
from hasteward_cnpg.collect.server import read_server
from hasteward_cnpg.evidence import Evidence, ServerFacts
from hasteward_cnpg.resources import SUPERUSER, pod_of
from hasteward_cnpg.restore.gates import check_cluster, check_space
from hasteward_cnpg.restore.surroundings import check_surroundings
from hasteward_sql.postgresql.facts.release import Release
from hasteward_sql.postgresql.restore import carry_out, prepare, undo
from hasteward_sql.postgresql.restore.target import Stage, Still, Words

#: the operator's default pg_hba lets everybody in there by password; the socket is the superuser's alone
_DOORS = ("127.0.0.1",)


def restore(
    context: EngineContext, cluster: ClusterRef, source: RestoreSource, options: RestoreOptions
) -> RestoreOutcome:
    """Check every gate, show the plan, load, compare, swap."""
    stage, evidence, notes = _primary(context, cluster, force=options.force)
    target = prepare(
        context,
        stage,
        source,
        options,
        say=lambda names: [*notes, *check_surroundings(context, cluster, names)],
        room=lambda items, log_growth: check_space(context, cluster, evidence, items, log_growth),
    )
    if not context.approve(target.plan):
        return RestoreOutcome(planned_only=True)
    return carry_out(context, target, source)


def put_back(context: EngineContext, cluster: ClusterRef, run: str) -> PutBack:
    """The same gates, then the swap the other way round."""
    stage, _, notes = _primary(context, cluster, force=False)

    def say(names: Sequence[str]) -> list[str]:
        return [*notes, *check_surroundings(context, cluster, names)]

    return undo.put_back(context, stage, run, say=say)


def _primary(
    context: EngineContext, cluster: ClusterRef, *, force: bool
) -> tuple[Stage, Evidence, list[str]]:
    """The proven primary, on which databases may be swapped; and notes for the plan."""
    evidence = collect(context, cluster)
    member, server, notes = check_cluster(cluster, evidence, analyse(evidence), force=force)
    release = Release(server.version, server.version_number)
    stage = Stage(
        cluster=cluster,
        login=login_of(pod_of(cluster, member)),
        server=release,
        client=release,
        doors=_DOORS,
        words=_words(cluster, member),
        still=_still(cluster, member, server),
    )
    return stage, evidence, notes


def _words(cluster: ClusterRef, member: str) -> Words:
    return Words(
        place=f"{cluster.namespace}/{cluster.name} on its primary {member}",
        where=member,
        whole="the cluster",
        server="the primary",
        image="the cluster's image",
        psql=f"kubectl exec -n {cluster.namespace} {member} -it -c postgres -- psql -U {SUPERUSER}",
        extension="change spec.imageName of the Cluster (or spec.postgresql.extensions) to have them",
        tablespace="declare it in spec.tablespaces of the Cluster",
        login="spec.postgresql.pg_hba must let it in by password from 127.0.0.1 (the default does)",
        update="update the image to the newest minor version",
    )


def _still(cluster: ClusterRef, member: str, before: ServerFacts) -> Still:
    """The preconditions again, right before the act; RunFailed if the world changed under us."""

    def check(context: EngineContext) -> None:
        facts = read_cluster(context, cluster)
        server = read_server(short(context), pod_of(cluster, member))
        if (facts.current_primary, facts.target_primary) != (member, member):
            what = f"currentPrimary is {facts.current_primary}, targetPrimary {facts.target_primary}"
        elif facts.fenced:
            what = f"instances were fenced ({', '.join(sorted(facts.fenced))})"
        elif server.in_recovery or server.timeline != before.timeline:
            what = f"{member} is on timeline {server.timeline} now, in recovery: {server.in_recovery}"
        elif server.system_id != before.system_id:
            what = f"{member} holds another database system now"
        else:
            return
        raise RunFailed(
            f"the cluster changed during the restore: {what}; nothing was swapped",
            hint="run the same command again once the cluster is healthy",
            code="restore.changed",
        )

    return check
