"""A reporter that remembers, and plan approval that is decided beforehand."""

from __future__ import annotations

from dataclasses import dataclass, field

from hasteward.domain.errors import Refused
from hasteward.domain.events import Event, StepDone, Warned
from hasteward.domain.plan import Plan


@dataclass(slots=True)
class RecordingReporter:
    """Keeps every event in order."""

    events: list[Event] = field(default_factory=list)

    def emit(self, event: Event) -> None:
        """Remember."""
        self.events.append(event)

    def warnings(self) -> list[str]:
        """The codes of all warnings."""
        return [event.code for event in self.events if isinstance(event, Warned)]

    def steps(self) -> list[str]:
        """The texts of all finished steps."""
        return [event.text for event in self.events if isinstance(event, StepDone)]


@dataclass(slots=True)
class Approval:
    """Answers every plan with `answer` and remembers the plans.

    Without `yes` a plan that gives something up is refused, as it is where nobody said ``--yes``.
    """

    answer: bool = True
    yes: bool = True
    plans: list[Plan] = field(default_factory=list)

    def __call__(self, plan: Plan) -> bool:
        """Remember the plan, give the answer."""
        self.plans.append(plan)
        if self.answer and plan.gives_up and not self.yes:
            raise Refused("nobody agreed to the plan", hint="add --yes", code="gate.yes")
        return self.answer
