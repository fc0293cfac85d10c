"""Restore: the old data, or the new; never a third state."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hasteward.domain.capability import Capability
from hasteward.domain.errors import HastewardError, Refused
from hasteward.pipelines.catalog import manifest_of
from hasteward.pipelines.sections import StoredSections
from hasteward.plugins import Engine
from hasteward.ports.context import RestoreOptions
from hasteward.testing.conformance.base import Conformance, everything, kills
from hasteward.testing.reporter import Approval
from hasteward.testing.world import World


def _lost() -> None:
    raise Refused("another run may have the Lease", code="lease.lost")


class RestoreConformance(Conformance):
    """The hook `restore`, through the pipeline that reads the backup."""

    def damaged(self) -> World:
        """A world with a backup, whose data was changed since."""
        engine = self.addressed(Capability.DUMP, Capability.RESTORE)
        world = self.world()
        saved = world.content()
        world.backup(engine)
        world.damage()
        assert world.content() != saved, "World.damage() must change what World.content() reads"
        return world

    def test_what_was_backed_up_comes_back(self) -> None:
        """By content; and nothing lies beside it that a second restore would not clear up."""
        engine = self.addressed(Capability.DUMP, Capability.RESTORE)
        world = self.damaged()

        result = world.restore(engine)

        assert world.content() == self.world().content()
        assert world.residue() == self.world().residue()
        assert result.outcome.restored
        assert not result.dry_run

    def test_a_dry_run_of_a_restore_touches_nothing_and_shows_the_plan(self) -> None:
        """The same plan that the real run acts on; it says what is given up, so that it needs a yes."""
        engine = self.addressed(Capability.DUMP, Capability.RESTORE)
        dry, real = self.damaged(), self.damaged()
        for world in (dry, real):
            world.approval = Approval(answer=world is real)
        before, writes = dry.picture(), list(dry.kubernetes.writes)

        result = dry.restore(engine)
        real.restore(engine)

        assert result.dry_run
        assert dry.picture() == before
        assert dry.kubernetes.writes == writes
        assert dry.approval.plans == real.approval.plans
        assert [plan for plan in dry.approval.plans if plan.gives_up]

    def test_a_restore_that_nobody_agreed_to_touches_nothing(self) -> None:
        """What it gives up needs a yes, and the refusal is passed on."""
        engine = self.addressed(Capability.DUMP, Capability.RESTORE)
        world = self.damaged()
        world.approval = Approval(yes=False)
        before = world.picture()

        with pytest.raises(Refused, match="agreed"):
            world.restore(engine)

        assert world.picture() == before

    def test_a_restore_that_fails_or_is_killed_leaves_the_old_or_the_new(self) -> None:
        """Every call fails once in every way, every stream is lost everywhere, and we die before every call:
        the old data are there, or the new; the new if the run says so; and the next run works and tidies up.
        """
        engine = self.addressed(Capability.DUMP, Capability.RESTORE)
        clean = self.damaged()
        old = clean.content()
        clean.restore(engine)
        new, residue = clean.content(), clean.residue()
        assert new == self.world().content()
        wrong: list[str] = []
        for each in everything(self.damaged, lambda world: world.restore(engine)):
            wrong += [each.wrong_end] if each.wrong_end else []
            world = each.world
            content = world.content()
            if content not in ([old, new] if each.error else [new]):
                wrong.append(f"{each.fault}: {content!r} is live although the run ended with {each.error}")
            world.next_run()
            world.restore(engine)
            if world.content() != new:
                wrong.append(f"{each.fault}: the next run did not bring the data back")
            if world.residue() != residue:
                wrong.append(f"{each.fault}: the next run left behind what the first one had made")

        assert wrong == []

    def test_a_changed_byte_in_the_repository_is_never_live(self) -> None:
        """The first, the middle and the last byte of every section: it is found, or it was not needed."""
        engine = self.addressed(Capability.DUMP, Capability.RESTORE)
        world, saved = self.damaged(), self.world().content()
        wrong: list[str] = []
        found = 0
        for section in manifest_of(world.repository, world.proven()[0]).sections:
            for at in {0, section.length // 2, section.length - 1}:
                world = self.damaged()
                wanted = world.content()
                snapshot = world.proven()[0].snapshot.id
                stored = bytearray(world.repository.files[snapshot])
                stored[section.offset + at] ^= 1
                world.repository.files[snapshot] = bytes(stored)
                try:
                    world.restore(engine)
                except HastewardError:
                    found += 1
                else:
                    wanted = saved
                if world.content() != wanted:
                    wrong.append(f"{section.key} byte {at}: {world.content()!r} is live")

        assert wrong == []
        assert found

    def test_a_lost_lease_stops_a_restore_before_it_changes_what_is_live(self) -> None:
        """`check_lease` comes before every destructive act."""
        engine = self.addressed(Capability.DUMP, Capability.RESTORE)
        world = self.damaged()
        old = world.content()
        context = replace(world.context(), check_lease=_lost)
        entry = world.proven()[0]
        manifest = manifest_of(world.repository, entry)
        source = StoredSections(context, world.repository, entry.snapshot, lambda: manifest)

        with pytest.raises(Refused, match="Lease"):
            engine.require(Capability.RESTORE).restore(
                context=context, cluster=world.cluster, source=source, options=RestoreOptions()
            )

        assert world.content() == old

    # --- taken back -----------------------------------------------------------------------------------

    def putting_back(self) -> Engine:
        """The engine, if it can take a restore back."""
        engine = self.addressed(Capability.DUMP, Capability.RESTORE)
        if engine.puts_back is None:
            pytest.skip(f"{engine.info.name} does not take restores back")
        return engine

    def restored(self) -> World:
        """A world whose data were changed and then restored."""
        world = self.damaged()
        world.restore(self.putting_back())
        return world

    def test_a_restore_is_taken_back(self) -> None:
        """What was live before it is live again, and a second undo finds nothing to do."""
        engine = self.putting_back()
        old = self.damaged().content()
        world = self.restored()

        result = world.undo(engine)

        assert world.content() == old
        assert result.undone
        assert result.kept
        again = world.undo(engine)
        assert (again.run, again.undone) == ("", ())
        assert world.content() == old

    def test_an_undo_that_is_dry_or_not_agreed_to_touches_nothing(self) -> None:
        """It takes live data out of service, so it says so and needs a yes."""
        engine = self.putting_back()
        for approval in (Approval(answer=False), Approval(yes=False)):
            world = self.restored()
            world.approval = approval
            before = world.picture()
            try:
                assert world.undo(engine).dry_run
            except Refused:
                assert not approval.yes
            assert world.picture() == before
            assert [plan for plan in approval.plans if plan.gives_up]

    def test_a_restore_that_was_killed_is_taken_back(self) -> None:
        """Before every call: undo ends at the old data, and leaves nothing half done."""
        engine = self.putting_back()
        old = self.damaged().content()
        residue = self.restored().residue()
        wrong: list[str] = []
        for each in kills(self.damaged, lambda world: world.restore(engine)):
            world = each.world
            world.next_run()
            world.undo(engine)
            if world.content() != old:
                wrong.append(f"{each.fault}: {world.content()!r} is live after an undo")
            if world.residue() not in (residue, self.damaged().residue()):
                wrong.append(f"{each.fault}: the undo left behind what the restore had made")

        assert wrong == []

    def test_an_undo_that_fails_or_is_killed_leaves_one_of_both_and_is_ended_by_the_next(self) -> None:
        """Under the same faults as a restore."""
        engine = self.putting_back()
        old, new = self.damaged().content(), self.restored().content()
        wrong: list[str] = []
        for each in everything(self.restored, lambda world: world.undo(engine)):
            wrong += [each.wrong_end] if each.wrong_end else []
            world = each.world
            content = world.content()
            if content not in ([old, new] if each.error else [old]):
                wrong.append(f"{each.fault}: {content!r} is live although the undo ended with {each.error}")
            world.next_run()
            world.undo(engine)
            if world.content() != old:
                wrong.append(f"{each.fault}: the next undo did not bring the old data back")

        assert wrong == []
