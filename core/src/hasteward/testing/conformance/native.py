"""Native: what the operator makes is asked for once, waited for, and named whatever happens."""

from __future__ import annotations

from hasteward.domain.capability import Capability
from hasteward.domain.errors import HastewardError
from hasteward.pipelines.native import NativeResult, native_backup
from hasteward.plugins import Engine
from hasteward.ports.kubernetes import LEASES
from hasteward.testing.conformance.base import Conformance, everything
from hasteward.testing.reporter import Approval
from hasteward.testing.world import World

Key = tuple[str, str, str]


class NativeConformance(Conformance):
    """The hook `native`. In `world()` an operator works that makes what it is asked for."""

    def _run(self, engine: Engine, world: World) -> NativeResult:
        return native_backup(engine, world.context(), world.cluster)

    def test_a_native_backup_is_complete_when_it_is_told_and_nothing_else_has_changed(self) -> None:
        """One object is new, it bears the name that was told, and the repository was not touched."""
        engine = self.addressed(Capability.NATIVE)
        world = self.world()
        before = set(world.kubernetes.objects)

        outcome = self._run(engine, world).outcome

        assert not outcome.planned_only
        assert outcome.method
        assert [name for _, _, name in _asked(world, before)] == [outcome.name]
        assert world.repository.listed == []

    def test_a_dry_run_of_a_native_backup_asks_for_nothing_and_shows_the_plan(self) -> None:
        """The same plan that the real run acts on."""
        engine = self.addressed(Capability.NATIVE)
        dry, real = self.world(), self.world()
        dry.approval = Approval(answer=False)
        before = dry.picture()

        result = self._run(engine, dry)
        self._run(engine, real)

        assert result.outcome.planned_only
        assert dry.picture() == before
        assert dry.kubernetes.writes == []
        assert dry.approval.plans == real.approval.plans
        assert [plan for plan in dry.approval.plans if plan.title and plan.steps]

    def test_a_native_backup_that_fails_or_is_killed_was_asked_for_once_and_is_named(self) -> None:
        """Every call fails once in every way, and we die before every call: nothing is asked for twice, and
        an error that comes after that names what stays; and the next run works.
        """
        engine = self.addressed(Capability.NATIVE)
        before = set(self.world().kubernetes.objects)
        wrong: list[str] = []
        for each in everything(self.world, lambda world: self._run(engine, world)):
            wrong += [each.wrong_end] if each.wrong_end else []
            asked = [name for _, _, name in _asked(each.world, before)]
            if len(asked) > 1 or (each.error is None and not asked):
                wrong.append(f"{each.fault}: asked for {asked}")
            match each.error:
                case HastewardError() as error:
                    told = f"{error.message} {error.hint}"
                    wrong += [f"{each.fault}: {name} is not named" for name in asked if name not in told]
                case _:
                    pass
            each.world.next_run()
            if not self._run(engine, each.world).outcome.name:
                wrong.append(f"{each.fault}: the next run did not work")

        assert wrong == []


def _asked(world: World, before: set[Key]) -> list[Key]:
    """What is new in the cluster, but for the Lease, which every run leaves behind."""
    return sorted(key for key in world.kubernetes.objects if key not in before and key[0] != LEASES.title)
