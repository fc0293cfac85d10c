"""What every act of a repair has in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import Refused, RunFailed
from hasteward.domain.events import Warned
from hasteward.domain.repair import Act, Record
from hasteward.kit.steps import Memo
from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import ApiNotFound, Resource
from hasteward_vault.analyse import Analysis, analyse, status_of
from hasteward_vault.collect import collect
from hasteward_vault.evidence import Evidence, Status
from hasteward_vault.resources import flags

LOOK_SECONDS = 1.0
Look = tuple[Evidence, Analysis]


@dataclass(frozen=True, slots=True)
class Base:
    """What all have in common: nothing to note down, nothing that could be taken back."""

    cluster: ClusterRef

    def prepare(self, context: EngineContext, act: Act, record: Record) -> Memo:
        """Nothing."""
        del context, act, record
        return {}

    def undo(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """Never called for what goes forward only; what only reads needs none."""

    def looked(self, context: EngineContext) -> Look:
        """The cluster as it is now."""
        evidence = collect(context, self.cluster)
        return evidence, analyse(evidence)

    def wait(
        self,
        context: EngineContext,
        holds: Callable[[Analysis], bool],
        *,
        hopeless: Callable[[Analysis], bool] = lambda _analysis: False,
    ) -> Look | None:
        """Look until it holds: None then, else the last look, when time is up or waiting is hopeless."""
        deadline = context.clock.monotonic() + context.tuning.heal_seconds
        while True:
            evidence, analysis = self.looked(context)
            if holds(analysis):
                return None
            if hopeless(analysis) or context.clock.monotonic() > deadline:
                return evidence, analysis
            context.clock.sleep(LOOK_SECONDS)

    def led(self, context: EngineContext) -> Look:
        """The cluster with a leader that is proven now; Refused when there is none any more."""
        evidence, analysis = self.looked(context)
        self.must_be_led(analysis)
        return evidence, analysis

    def must_be_led(self, analysis: Analysis) -> None:
        """Refused when nobody is proven to lead."""
        if not analysis.leader:
            raise Refused(
                f"the cluster is not as the plan found it: {analysis.reason}",
                hint=f"hasteward triage {flags(self.cluster)}",
                code="heal.no_leader",
            )


class Wait(Base):
    """Waits for a member; one that only lacks its unseal keys is left to who has them, with a warning."""

    #: what happens to a sealed one when it has its keys
    once_unsealed: ClassVar[str]

    def do(self, context: EngineContext, act: Act, record: Record, memo: Memo) -> None:
        """Until it holds, is sealed when time is up, or has failed."""
        del record, memo
        last = self.wait(context, lambda analysis: self.holds(analysis, act.member))
        if last is None:
            return
        evidence, analysis = last
        status = status_of(evidence.member(act.member))
        if status is None or not status.sealed or not self.lacks_only_keys(status, analysis):
            raise self.failure(analysis, act.member)
        context.reporter.emit(Warned("heal.sealed", f"{act.member} is sealed; {self.once_unsealed}"))

    def holds(self, analysis: Analysis, member: str) -> bool:
        """Whether it has come to what is waited for."""
        raise NotImplementedError

    def lacks_only_keys(self, status: Status, analysis: Analysis) -> bool:
        """Whether a sealed one can be waited for by somebody else."""
        raise NotImplementedError

    def failure(self, analysis: Analysis, member: str) -> RunFailed:
        """Why it is given up."""
        raise NotImplementedError


def said_of(analysis: Analysis, member: str) -> str:
    """What is known of a member, and what is not."""
    found = analysis.assessment(member)
    return "; ".join((*found.evidence, *found.missing)) if found is not None else "it is not there"


def uid_of(context: EngineContext, resource: Resource, cluster: ClusterRef, name: str) -> str:
    """An object's uid; empty when it is proven not to be there."""
    try:
        return str(context.kubernetes.get(resource, cluster.namespace, name)["metadata"].get("uid", ""))
    except ApiNotFound:
        return ""


def delete(context: EngineContext, resource: Resource, cluster: ClusterRef, name: str, uid: str) -> None:
    """Delete the object if it is still that very one."""
    if not uid or uid_of(context, resource, cluster, name) != uid:
        return
    context.check_lease()
    try:
        context.kubernetes.delete(resource, cluster.namespace, name)
    except ApiNotFound:
        return
