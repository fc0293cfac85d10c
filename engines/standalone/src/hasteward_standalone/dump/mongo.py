"""MongoDB by mongodump's archive. Experimental: no MongoDB server was ever at hand to test it against."""

from __future__ import annotations

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import DependencyError
from hasteward.domain.events import Warned
from hasteward.domain.plan import Plan, Step
from hasteward.kit.orphans import end_orphans
from hasteward.kit.sections import SectionWriter
from hasteward.kit.streaming import capture
from hasteward.ports.context import DumpProof, DumpSink, EngineContext
from hasteward.ports.host import Place
from hasteward_standalone.resources import EXPERIMENTAL

#: the terminator that ends every part of an archive, the last one too
END_MARKER = b"\xff\xff\xff\xff"


def dump(
    context: EngineContext, cluster: ClusterRef, where: Place, sink: DumpSink, *, user: str, password: str
) -> DumpProof:
    """The whole server as one archive. The password is fed as configuration, on standard input."""
    context.reporter.emit(Warned("mongo.experimental", EXPERIMENTAL))
    version = capture(context, where, ["mongodump", "--version"])
    if version.exit_status != 0:
        raise DependencyError(f"there is no mongodump in {where}", code="mongo.no_client")
    plan = Plan(
        f"dump {cluster} with mongodump in {where}",
        (Step("write every database into one archive"),),
        notes=(EXPERIMENTAL,),
    )
    found = version.stdout.decode("utf-8", "replace").split("\n")[0]
    if not context.approve(plan):
        return DumpProof(str(where), found, (), planned_only=True)
    end_orphans(context, where)
    argv = ["mongodump", "--quiet", "--archive"]
    if user:
        argv += [f"--username={user}", "--authenticationDatabase=admin"]
    if password:
        argv.append("--config=/dev/stdin")
    quoted = password.replace("\\", "\\\\").replace('"', '\\"')
    feed = f'password: "{quoted}"' if password else ""
    writer = SectionWriter(context, sink, version.algorithm)
    writer.stream("archive", "", where, argv, end_marker=END_MARKER, feed=feed)
    return DumpProof(str(where), found, writer.sections)
