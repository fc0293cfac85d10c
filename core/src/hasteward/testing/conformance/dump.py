"""Dump: a backup is whole and proven, or it is not there."""

from __future__ import annotations

import collections
from dataclasses import replace

from hasteward.domain.capability import Capability, Supported, Unsupported
from hasteward.domain.errors import HastewardError
from hasteward.domain.manifest import covers
from hasteward.domain.snapshot import SnapshotEntry
from hasteward.pipelines.catalog import manifest_of
from hasteward.pipelines.sections import StoredSections
from hasteward.plugins import Engine
from hasteward.testing.conformance.base import Conformance, everything
from hasteward.testing.faults import Killed
from hasteward.testing.reporter import Approval
from hasteward.testing.world import World


class DumpConformance(Conformance):
    """The hook `dump`, through the pipeline that saves what it gives."""

    def test_a_backup_is_proven_and_leaves_the_cluster_as_it_was(self) -> None:
        """Only the Lease is new."""
        engine = self.addressed(Capability.DUMP)
        world = self.world()
        before = world.picture(lease=False)

        result = world.backup(engine)

        (entry,) = world.proven()
        manifest = manifest_of(world.repository, entry)
        assert (entry.snapshot.id, entry.snapshot.size) == (result.snapshot, manifest.size)
        assert covers(manifest.sections, manifest.size)
        assert manifest.member
        assert replace(world.picture(lease=False), snapshots=()) == before

    def test_a_dry_run_of_a_backup_touches_nothing_and_shows_the_plan(self) -> None:
        """The same plan that the real run acts on."""
        engine = self.addressed(Capability.DUMP)
        dry, real = self.world(), self.world()
        dry.approval = Approval(answer=False)
        before = dry.picture()

        result = dry.backup(engine)
        real.backup(engine)

        assert result.dry_run
        assert dry.picture() == before
        assert dry.kubernetes.writes == []
        assert dry.approval.plans == real.approval.plans
        assert [plan for plan in dry.approval.plans if plan.title and plan.steps]

    def test_a_backup_that_fails_or_is_killed_is_not_there(self) -> None:
        """Every call fails once in every way, every stream is lost everywhere, and we die before every call:
        a snapshot counts if the run succeeded, and not if it failed; one that was killed after it had given
        the word may have saved a whole one. The database is as it was, and the next run works.
        """
        engine = self.addressed(Capability.DUMP)
        untouched = self.world().picture(lease=False)
        wrong: list[str] = []
        for each in everything(self.world, lambda world: world.backup(engine)):
            wrong += [each.wrong_end] if each.wrong_end else []
            world = each.world
            world.next_run()
            after = replace(world.picture(lease=False), snapshots=(), residue=untouched.residue)
            if after != untouched:
                wrong.append(f"{each.fault}: the cluster is not as it was")
            counted = [_restores(engine, world, entry) for entry in world.proven()]
            killed = isinstance(each.error, Killed)
            if counted not in ([[], [True]] if killed else [[]] if each.error else [[True]]):
                wrong.append(f"{each.fault}: backups that count: {len(counted)}, restore: {sum(counted)}")
            world.backup(engine)
            if world.residue() != untouched.residue:
                wrong.append(f"{each.fault}: the next run left behind what the first one had made")

        assert wrong == []


def _restores(engine: Engine, world: World, entry: SnapshotEntry) -> bool:
    """Whether the backup brings the data back; of an engine that cannot restore, whether it can be read."""
    saved = world.content()
    try:
        match engine.info.capability(Capability.RESTORE):
            case Supported():
                world.damage()
                world.restore(engine)
            case Unsupported():
                manifest = manifest_of(world.repository, entry)
                source = StoredSections(world.context(), world.repository, entry.snapshot, lambda: manifest)
                for _, pieces in source.read([section.key for section in manifest.sections]):
                    collections.deque(pieces, maxlen=0)
    except HastewardError:
        return False
    return bool(world.content() == saved)
