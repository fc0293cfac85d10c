"""The plan of a repair, as a person reads and agrees to it."""

from __future__ import annotations

from hasteward.domain.plan import Plan, Reversal, Step
from hasteward.domain.repair import Act, RepairPlan, Target, Treatment, words
from hasteward.domain.report import Remediation

TARGET = Target("box-2", 2, Remediation.RESEED, "it lost its way", gives_up="branch 3 of box-2: 2 commits")


def test_the_plan_of_a_repair_says_what_why_and_what_is_given_up() -> None:
    act = Act("box-2/wipe", "wipe", "box-2", "empty the volume of box-2", Reversal.FORWARD_ONLY)
    kept = Target("box-3", 3, Remediation.RESTART, "it stopped")
    repair = RepairPlan(
        (Treatment(TARGET, (act,)), Treatment(kept, ())), waits=("box-4 catches up",), notes=("be patient",)
    )

    assert words("repair db/box", repair, before=(Step("save it"),)) == Plan(
        "repair db/box",
        (Step("save it"), Step("empty the volume of box-2", Reversal.FORWARD_ONLY)),
        ("branch 3 of box-2: 2 commits",),
        (
            "box-2: reseed, because it lost its way",
            "box-3: restart, because it stopped",
            "box-4 catches up",
            "be patient",
        ),
    )
    assert words("nothing", RepairPlan(())) == Plan("nothing", ())
