"""The programs that the configuration names: before a run, at its end, and when it went wrong."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from hasteward.adapters.programs import Finished, run_program
from hasteward.domain.errors import ExitCode, Refused, RunFailed
from hasteward.domain.run import RunInfo, RunOutcome
from hasteward.hookspecs import ObserverSpec, hookimpl

#: what a program may know of our environment; secrets have other names
_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TMPDIR")
#: set for every program: a hasteward that one of them starts runs none of them again
MARK = "HASTEWARD_HOOK"
_SHOWN_LINES = 20


class Moment(StrEnum):
    """When a program runs."""

    PRE = "pre"
    ERROR = "error"
    POST = "post"


def environment(
    moment: Moment, run: RunInfo, outcome: RunOutcome | None, environ: Mapping[str, str]
) -> dict[str, str]:
    """A clean environment, and what the program wants to know of the run."""
    facts = {
        MARK: moment.value,
        "HASTEWARD_RUN_ID": run.id,
        "HASTEWARD_VERB": run.verb,
        "HASTEWARD_ENGINE": run.engine,
        "HASTEWARD_NAMESPACE": run.namespace,
        "HASTEWARD_CLUSTER": run.cluster,
    }
    if outcome is not None:
        facts |= {"HASTEWARD_STATUS": str(int(outcome.status)), "HASTEWARD_ERROR": outcome.error}
    return {name: environ[name] for name in _KEPT if name in environ} | facts


@dataclass(frozen=True, slots=True)
class HookPrograms(ObserverSpec):
    """`programs` by moment. `detail` is told what a program printed."""

    programs: Mapping[Moment, tuple[str, ...]]
    verbs: Collection[str]
    seconds: float
    environ: Mapping[str, str]
    detail: Callable[[str], None]

    @property
    def patience(self) -> float:
        """How long both programs of an end may take together, and a little more to say that they did not."""
        return 2 * self.seconds + 5

    @hookimpl
    def before_run(self, run: RunInfo) -> None:
        """What has to be there before a run is there, or the run is refused."""
        why = self._run(Moment.PRE, run, None)
        if why:
            raise Refused(
                f"{why}, so the run was not begun",
                hint="run it yourself; --verbose shows what it printed",
                code="hook.refused",
            )

    @hookimpl
    def run_finished(self, run: RunInfo, outcome: RunOutcome) -> None:
        """The one for errors first: what cleans up comes last, and always."""
        problems = []
        if outcome.status != ExitCode.OK:
            problems.append(self._run(Moment.ERROR, run, outcome))
        problems.append(self._run(Moment.POST, run, outcome))
        said = "; ".join(why for why in problems if why)
        if said:
            raise RunFailed(said)

    def _run(self, moment: Moment, run: RunInfo, outcome: RunOutcome | None) -> str:
        """What went wrong, "" if nothing did."""
        argv = self.programs.get(moment)
        if not argv or run.dry_run or run.verb not in self.verbs:
            return ""
        report = outcome.report.encode() if outcome else b""
        name = f"the {moment} hook {argv[0]!r}"
        try:
            done = run_program(
                argv,
                environment(moment, run, outcome, self.environ),
                seconds=self.seconds,
                stdin=report,
                with_stderr=True,
            )
        except OSError as error:
            return f"{name} cannot be started: {error.strerror}"
        self._show(name, done)
        return "" if done.status == 0 else f"{name} {done.ending}"

    def _show(self, name: str, done: Finished) -> None:
        self.detail(f"{name} {done.ending}")
        for line in done.output.decode("utf-8", "replace").splitlines()[-_SHOWN_LINES:]:
            self.detail(f"  {line}")
