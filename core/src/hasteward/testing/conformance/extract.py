"""Extract: captured files become a dump once, and what that needed is gone, whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hasteward.domain.capability import Capability
from hasteward.domain.snapshot import SnapshotEntry
from hasteward.pipelines.extract import REASON, extract
from hasteward.plugins import Engine
from hasteward.ports.kubernetes import LEASES, PODS
from hasteward.testing.conformance.base import Attempt, Conformance, everything
from hasteward.testing.faults import Killed
from hasteward.testing.reporter import Approval
from hasteward.testing.world import World

Key = tuple[str, str, str]


class ExtractConformance(Conformance):
    """The hook `extract`, through the pipeline that saves what it makes."""

    def captured(self) -> World:
        """A new world whose repository holds one proven capture of a member, and no other snapshot of it."""
        raise NotImplementedError(f"{type(self).__name__}.captured() must make a World")

    def _extract(self, engine: Engine, world: World) -> SnapshotEntry | None:
        (capture,) = [one for one in world.proven() if one.snapshot.tags.reason != REASON]
        return extract(engine, world.context(), world.cluster, world.repository, capture)

    def test_a_dump_of_captured_files_is_proven_and_passes_for_no_newer_than_they_are(self) -> None:
        """It has their job and their time; it is made once; and it touches neither members nor capture."""
        engine = self.addressed(Capability.EXTRACT)
        world = self.captured()
        (capture,) = world.proven()
        before = _touched(world)

        made = self._extract(engine, world)
        again = self._extract(engine, world)

        assert made is not None
        assert again is not None
        assert again.snapshot.id == made.snapshot.id
        assert made.proven
        tags = made.snapshot.tags
        assert (tags.job, made.snapshot.time) == (capture.snapshot.tags.job, capture.snapshot.time)
        assert tags.format == engine.layout(world.options).format
        assert sorted(one.snapshot.id for one in world.proven()) == sorted(
            [capture.snapshot.id, made.snapshot.id]
        )
        assert _touched(world) == before
        assert _own(world, before) == []

    def test_a_dry_run_of_a_dump_of_files_creates_nothing_and_shows_the_plan(self) -> None:
        """The same plan that the real run acts on."""
        engine = self.addressed(Capability.EXTRACT)
        dry, real = self.captured(), self.captured()
        dry.approval = Approval(answer=False)
        before = dry.picture()

        made = self._extract(engine, dry)
        self._extract(engine, real)

        assert made is None
        assert dry.picture() == before
        assert dry.kubernetes.writes == []
        assert dry.approval.plans == real.approval.plans
        assert [plan for plan in dry.approval.plans if plan.title and plan.steps]

    def test_a_dump_of_files_that_fails_or_is_killed_is_not_there_and_touches_no_member(self) -> None:
        """Every call fails once in every way, every stream is lost everywhere, and we die before every call:
        no dump counts but a whole one, no pod stays but of a dead run and with a deadline, and the next run
        makes the dump.
        """
        engine = self.addressed(Capability.EXTRACT)
        honest = self.captured()
        before = _touched(honest)
        entry = self._extract(engine, honest)
        assert entry is not None
        whole = honest.repository.files[entry.snapshot.id]
        wrong: list[str] = []
        for each in everything(self.captured, partial(self._extract, engine)):
            each.world.next_run()
            wrong += [f"{each.fault}: {what}" for what in _wrong(each, before, whole)]
            made = self._extract(engine, each.world)
            if made is None or each.world.repository.files[made.snapshot.id] != whole:
                wrong.append(f"{each.fault}: the next run did not make the dump")

        assert wrong == []


Touched = dict[Key, str]


def _wrong(each: Attempt, before: Touched, whole: bytes) -> list[str]:
    """What is wrong with how one attempt ended."""
    world = each.world
    found = [each.wrong_end] if each.wrong_end else []
    dumps = [one.snapshot for one in world.proven() if one.snapshot.tags.reason == REASON]
    if any(world.repository.files[dump.id] != whole for dump in dumps):
        found.append("a dump counts that is not whole")
    if each.error is None and len(dumps) != 1:
        found.append(f"it was called made, and {len(dumps)} dumps count")
    if _touched(world, only=before) != before:
        found.append("it has touched what is not its own")
    for key in _own(world, before):
        body = world.kubernetes.objects[key]
        if not isinstance(each.error, Killed):
            found.append(f"{key[0]} {key[2]} was left")
        elif key[0] == PODS.title and not body["spec"].get("activeDeadlineSeconds"):
            found.append(f"pod {key[2]} of a dead run has no deadline")
    return found


def _touched(world: World, only: Touched | None = None) -> Touched:
    """The objects that are there (of those in `only`), but for the Lease; and what a client reads."""
    wanted: Callable[[Key], bool] = (lambda key: key in only) if only is not None else (lambda _key: True)
    objects = {
        key: repr(body)
        for key, body in world.kubernetes.objects.items()
        if key[0] != LEASES.title and wanted(key)
    }
    return objects | {("content", "", ""): repr(world.content())}


def _own(world: World, before: Touched) -> list[Key]:
    """What is new in the cluster, but for the Lease."""
    return sorted(key for key in world.kubernetes.objects if key not in before and key[0] != LEASES.title)
