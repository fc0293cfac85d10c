"""The contract between core and engines. These docstrings are the reference manual.

An engine is a class that subclasses `EngineSpec`, so that a type checker compares the signatures, and marks
its methods with `hookimpl`. It is found through the entry-point group ``hasteward.engines``; the entry's name
equals `EngineInfo.name`. The pipelines address the ONE engine that owns a cluster; no hook here is ever
broadcast and nothing wraps it. Arguments are named and only ever added.

A plugin that is not an engine (group ``hasteward.plugins``) subclasses `ObserverSpec`: it may contribute
`commands`, and be told of runs. Observers are guarded: each is called in a thread of its own, one call at a
time. One that raises or does not answer in time brings a warning, and changes neither what the run does nor
how it ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hasteward.domain.capability import DumpLayout, EngineInfo
    from hasteward.domain.cluster import ClusterRef
    from hasteward.domain.events import PhaseStarted
    from hasteward.domain.option import OptionSpec, Value
    from hasteward.domain.repair import RepairPlan, Target
    from hasteward.domain.report import TriageReport
    from hasteward.domain.run import RunInfo, RunOutcome
    from hasteward.ports.context import (
        DumpOptions,
        DumpProof,
        DumpSink,
        EngineContext,
        NativeOutcome,
        Order,
        PutBack,
        RestoreOptions,
        RestoreOutcome,
        RestoreSource,
    )

PROJECT = "hasteward"
ENGINE_GROUP = "hasteward.engines"
PLUGIN_GROUP = "hasteward.plugins"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """A command contributed as data; `target` (``module:function``) is imported only when it is used.

    The function takes the arguments after the command's name and returns the exit status.
    """

    name: str
    help: str
    target: str


class PluginSpec:
    """Hooks that any plugin may implement."""

    @hookspec
    def commands(self) -> tuple[CommandSpec, ...]:
        """Commands to add to the CLI. MUST be cheap: it is called to print ``--help``."""
        return ()


class ObserverSpec(PluginSpec):
    """Hooks of a plugin that watches runs: audit, metrics, notices. It may leave out arguments."""

    @hookspec
    def before_run(self, run: RunInfo) -> None:
        """Agree to a run, or raise `Refused` to veto it: nothing was touched yet, and no Lease is held.

        The only hook that is waited for before the work, at most ten seconds. Silence agrees: any other
        error, and no answer in time, bring a warning, and the run goes on. A dry run is told as one
        (`run.dry_run`) and MUST NOT have effects.
        """

    @hookspec
    def run_started(self, run: RunInfo) -> None:
        """Every observer agreed; the work begins. Nobody waits for this hook."""

    @hookspec
    def phase(self, run: RunInfo, event: PhaseStarted) -> None:
        """A named part of the run begins. Nobody waits for this hook."""

    @hookspec
    def run_finished(self, run: RunInfo, outcome: RunOutcome) -> None:
        """The run has ended: well, with an error, by a veto, or interrupted.

        Called once for every run that `before_run` was called for, unless the process was killed. What the
        observer still has to do is waited for, ten seconds in all. MUST NOT try to change the outcome.
        """


class EngineSpec(PluginSpec):
    """Hooks of an engine. A hook that is not implemented is `Unsupported`, never "the next engine"."""

    @hookspec
    def info(self) -> EngineInfo:
        """Introduce the engine. MUST be cheap and MUST NOT touch the world."""
        raise NotImplementedError

    @hookspec
    def options(self) -> tuple[OptionSpec, ...]:
        """Options to add to the commands, as data. MUST be cheap: it is called to print ``--help``.

        Core resolves them (flag, environment, file, default) and hands them to every hook as
        ``context.options``, each of the kind that was declared. The engine checks what they mean together,
        best with a model, and raises InvalidInput before anything is touched.
        """
        return ()

    @hookspec
    def layout(self, options: Mapping[str, Value]) -> DumpLayout:
        """File name and format of a dump, for an engine whose options decide them; else `info` does.

        MUST NOT touch the world. Raises InvalidInput when the options do not decide it.
        """
        raise NotImplementedError

    @hookspec
    def triage(self, context: EngineContext, cluster: ClusterRef) -> TriageReport:
        """Say how the cluster is and what that rests on.

        MUST NOT change anything: reads go through the API and exec. A read that fails is `Unread` and can
        only make the verdict undeterminable. ``context.depth`` says how far it may go: plain triage creates
        nothing, a deep one may run read-only helper pods on volumes that nobody uses. An engine that offers
        `plan` MUST fill in what the gates rest on: `ordinal`, `remediation`, `reason` and `branch` of every
        assessment, `newest`, `primaries` and `donors` of the report. Raises InvalidInput if the cluster does
        not exist.
        """
        raise NotImplementedError

    @hookspec
    def plan(
        self, context: EngineContext, cluster: ClusterRef, report: TriageReport, targets: tuple[Target, ...]
    ) -> RepairPlan:
        """Say how to treat the `targets` that the gates let through, act by act.

        MUST NOT change anything; what it needs is in `report`, whose `evidence` is the engine's own. Every
        act is declared reversible or forward-only. Where a target says `capture`, an act of kind
        ``capture`` MUST come after the one that proves its server gone and before any that is forward-only.
        """
        raise NotImplementedError

    @hookspec
    def plan_stop(self, context: EngineContext, cluster: ClusterRef, report: TriageReport) -> RepairPlan:
        """Say how those members are stopped whose data can be read only then (``--deep=stop``); `report` is
        that of a deep triage.

        MUST NOT change anything. Every act MUST be reversible: `heal` does them, triage reads the members,
        `heal` takes them back. MUST leave the primary alone. No treatments where there is nobody to stop;
        raises Refused when those that are there must not be.
        """
        raise NotImplementedError

    @hookspec
    def heal(self, context: EngineContext, cluster: ClusterRef, order: Order) -> None:
        """Walk the acts of ``order.journal``, forward or back; `kit.steps` does it, given a table of acts.

        The acts may have been begun by a process that is dead, so each MUST come to the same end when it is
        done again. An act that destroys MUST compare the preconditions with the world first, and MUST call
        ``context.check_lease()``. Passes every error on; the pipeline says what remains to be done.
        """
        raise NotImplementedError

    @hookspec
    def dump(
        self, context: EngineContext, cluster: ClusterRef, sink: DumpSink, options: DumpOptions
    ) -> DumpProof:
        """Push a complete dump into `sink` and return its proof.

        MUST call ``context.approve(plan)`` before the first byte and stop with ``planned_only`` when it
        answers no. MUST NOT write anywhere in the pod. Every section MUST be proven (digest made beside the
        producer, exit status, end marker) before the hook returns; otherwise it raises. Nothing lazy leaves.
        """
        raise NotImplementedError

    @hookspec
    def restore(
        self, context: EngineContext, cluster: ClusterRef, source: RestoreSource, options: RestoreOptions
    ) -> RestoreOutcome:
        """Make the proven data of `source` live, keeping what it replaces.

        MUST check every gate, then call ``context.approve(plan)`` before it changes anything. The live data
        is replaced in one atomic act, only after the digests of all sections were compared in the pod.
        Killed at any moment, it leaves the old data live, or the new; leftovers of a dead run are removed by
        the next.
        """
        raise NotImplementedError

    @hookspec
    def native(self, context: EngineContext, cluster: ClusterRef) -> NativeOutcome:
        """Have the database's own operator back the cluster up, in the way the cluster declares; wait for it.

        MUST refuse a cluster that declares no way, then call ``context.approve(plan)`` before it asks for
        anything. MUST NOT return before the operator has said that the backup is complete; one that failed
        is RunFailed with the operator's own words. What the operator was asked for stays, whatever becomes
        of the run: every error after that MUST name it. Nothing is written to the repository.
        """
        raise NotImplementedError

    @hookspec
    def extract(
        self, context: EngineContext, cluster: ClusterRef, source: RestoreSource, sink: DumpSink
    ) -> DumpProof:
        """Make a dump, as `dump` makes it, of the files that a repair has captured of a member.

        `source` is a proven capture of ours, stored as `EngineInfo.capture` says. MUST call
        ``context.approve(plan)`` before it creates anything and stop with ``planned_only`` when it answers
        no. Works in a scratch server of its own, which MUST NOT reach out (no archive, no replication, no
        jobs), MUST NOT be reached by clients of the database, and MUST go, whatever happens. Touches no
        member. The sections of the dump are proven as those of `dump`.
        """
        raise NotImplementedError

    @hookspec
    def put_back(self, context: EngineContext, cluster: ClusterRef, run: str) -> PutBack:
        """Take a restore back: what it had replaced and kept is live again, what it had brought is kept.

        `run` is the run to take back, "" for the last one that left something. All that is needed MUST be
        read from what that run left in the database or beside it, for the process that made it may be dead:
        of a restore that died before it made anything live, what it was loading is removed; of one that died
        in the middle, what was begun is put in order first. MUST call ``context.approve(plan)`` before it
        changes anything, and MUST keep what it takes out of service. Raises Refused when something that was
        kept is gone, or when what is live is not what that run had brought; answers with an empty `PutBack`
        when there is nothing to take back and `run` is "". Killed at any moment, it can be run again.
        """
        raise NotImplementedError
