"""One survivor goes on alone, because a majority is lost for good.

Until its server starts again nothing has changed but a file that it has not read, which can be taken away.
When it starts it removes the file and finds itself the only peer; what its log holds is what the cluster
holds.
"""

from __future__ import annotations

from hasteward.domain.errors import Refused, RunFailed
from hasteward.domain.events import Warned
from hasteward.domain.repair import Act, Record
from hasteward.kit.steps import Memo
from hasteward.kit.streaming import capture
from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import PODS
from hasteward_vault.analyse import Analysis
from hasteward_vault.collect.ask import script
from hasteward_vault.evidence import Status
from hasteward_vault.facts.shell import ALONE, NOT_ALONE
from hasteward_vault.heal.base import Base, Wait, delete, said_of, uid_of
from hasteward_vault.resources import flags, pod_of


class _StillLost(Base):
    """What must hold until the survivor starts again."""

    def must_be_lost(self, context: EngineContext, record: Record, analysis: Analysis) -> None:
        """Refused when somebody leads, may come back, or the survivor is no more what the plan found."""
        member, left = record.target.member, analysis.survival
        fit = {one.name: one.log for one in left.fit} if left is not None and left.lost else {}
        log = fit.get(member)
        wanted = (record.preconditions["term"], record.preconditions["index"])
        uid = uid_of(context, PODS, self.cluster, member)
        if log is None or (str(log.term), str(log.index)) != wanted or uid != record.preconditions["pod"]:
            raise Refused(
                f"the cluster is not as the plan found it: {analysis.reason}",
                hint=f"hasteward triage {flags(self.cluster)}",
                code="heal.not_lost",
            )


class Alone(_StillLost):
    """Writes the configuration in which the survivor is the only peer."""

    def prepare(self, context: EngineContext, act: Act, record: Record) -> Memo:
        """It must still be lost, and the container the one that the file can be written in."""
        del act
        evidence, analysis = self.looked(context)
        self.must_be_lost(context, record, analysis)
        return {"container": evidence.stateful_set.container}

    def do(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """Beside its own file, renamed when it is whole; what somebody else wrote there stops us."""
        self.must_be_lost(context, record, self.looked(context)[1])
        context.check_lease()
        pod = pod_of(self.cluster, act.member, memo["container"])
        answer = capture(context, pod, script(ALONE, act.args["data"], act.args["peers"]))
        if answer.exit_status != 0:
            raise RunFailed(
                f"raft/peers.json was not written on {act.member}: {' '.join(answer.stderr.split())}",
                hint=f"kubectl exec {act.member} -n {self.cluster.namespace} --"
                f" ls -l {act.args['data']}/raft",
                code="heal.alone",
            )

    def undo(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """Take the file away. Where a server that restarted meanwhile has read it, say so."""
        del record
        pod = pod_of(self.cluster, act.member, memo["container"])
        answer = capture(context, pod, script(NOT_ALONE, act.args["data"], act.args["peers"]))
        if answer.exit_status != 0:
            raise RunFailed(
                f"raft/peers.json on {act.member}: {' '.join(answer.stderr.split())}", code="heal.alone"
            )
        if answer.stdout.strip() == b"gone" and self.looked(context)[1].leader == act.member:
            text = f"{act.member} has started again meanwhile and goes on alone; that is not taken back"
            context.reporter.emit(Warned("heal.alone", text))


class StartAlone(_StillLost):
    """Deletes the survivor's pod; its StatefulSet makes it again on the same volume."""

    def prepare(self, context: EngineContext, act: Act, record: Record) -> Memo:
        """Nothing more has happened, unless it has started already and leads."""
        analysis = self.looked(context)[1]
        if analysis.leader != act.member:
            self.must_be_lost(context, record, analysis)
        return {}

    def do(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """Only the pod that the plan was about, and only as long as it does not lead."""
        del memo
        if self.looked(context)[1].leader != act.member:
            delete(context, PODS, self.cluster, act.member, record.preconditions["pod"])


class Lead(Wait):
    """Waits until the survivor leads."""

    once_unsealed = "when it is unsealed with its keys it goes on alone"

    def holds(self, analysis: Analysis, member: str) -> bool:
        """It leads."""
        return analysis.leader == member

    def lacks_only_keys(self, status: Status, analysis: Analysis) -> bool:
        """It still holds what it held."""
        del analysis
        return status.initialized

    def failure(self, analysis: Analysis, member: str) -> RunFailed:
        """With its log at hand."""
        return RunFailed(
            f"{member} does not lead: {analysis.reason}",
            hint=f"kubectl logs {member} -n {self.cluster.namespace} --tail=200",
            code="heal.not_leading",
        )


class Follow(Base):
    """Waits for an empty member to join; the cluster serves without it."""

    def do(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """Not when nobody leads yet; who does not come in time is named and left alone."""
        del record, memo
        last = self.wait(
            context,
            lambda analysis: act.member in analysis.reached,
            hopeless=lambda analysis: not analysis.leader,
        )
        if last is not None:
            context.reporter.emit(Warned("heal.not_joined", _why(last[1], act.member)))


def _why(analysis: Analysis, member: str) -> str:
    if not analysis.leader:
        return f"{member} cannot join yet: {analysis.reason}"
    return f"{member} has not joined yet: {said_of(analysis, member)}"
