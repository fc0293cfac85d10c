# ruff: noqa: ARG002 - a toy engine has no use for everything a hook is given
"""The conformance of taking a restore back, on an engine that keeps it; and each sin that it finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hasteward import EngineSpec, hookimpl
from hasteward.domain.capability import Capability, EngineInfo, Supported, Unsupported
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import HastewardError, RunFailed
from hasteward.domain.plan import Plan, Reversal, Step
from hasteward.kit.sections import SectionWriter
from hasteward.kit.streaming import capture, upload
from hasteward.ports.context import DumpProof, EngineContext, PutBack, RestoreOutcome
from hasteward.ports.kubernetes import PodRef
from hasteward.streams.proof import Algorithm
from hasteward.testing import HEALTHY, FakeKubernetes, Result, World
from hasteward.testing.conformance import RestoreConformance

POD = PodRef("db", "shelf-0", "main")
GOOD, LATER = b"good\n# end\n", b"later\n# end\n"


class Shelf:
    """What runs in the pod: files by name. A restore's are ``live``, ``new`` and ``kept.RUN.KIND``."""

    def __init__(self) -> None:
        self.files = {"live": GOOD}

    def __call__(self, _pod: PodRef, argv: Sequence[str], stdin: bytes) -> Result:
        files = self.files
        match list(argv):
            case ["read"]:
                return Result(files["live"])
            case ["list"]:
                return Result("\n".join(sorted(files)).encode())
            case ["load"]:
                files["new"] = stdin
            case ["drop"]:
                files.pop("new", None)
            case ["swap", source, kept] if source in files:
                files[kept], files["live"] = files["live"], files.pop(source)
            case ["clear"]:
                files.pop("live")
            case ["move", source, target] if source in files:
                files[target] = files.pop(source)
            case _:
                return Result(stderr=b"no such thing", exit_status=1)
        return Result()

    def damage(self) -> None:
        self.files["live"] = LATER


def tell(context: EngineContext, *argv: str) -> str:
    done = capture(context, POD, argv)
    if done.exit_status:
        raise RunFailed(f"{argv[0]}: {done.stderr}")
    return done.stdout.decode()


class Shelves(EngineSpec):
    """Everything that an undo needs lies beside the data."""

    @hookimpl
    def info(self) -> EngineInfo:
        no = dict.fromkeys(Capability, Unsupported("it has no members"))
        able = {**no, Capability.DUMP: Supported(), Capability.RESTORE: Supported()}
        return EngineInfo("shelf", "a shelf", "shelf", "shelf-1", able)

    @hookimpl
    def dump(self, context: EngineContext, cluster: Any, sink: Any, options: Any) -> DumpProof:
        if not context.approve(Plan("dump", (Step("read it"),))):
            return DumpProof("shelf-0", "1", (), planned_only=True)
        writer = SectionWriter(context, sink, Algorithm.BLAKE2B_256)
        writer.stream("body", "", POD, ["read"], end_marker=b"# end")
        return DumpProof("shelf-0", "1", writer.sections)

    @hookimpl
    def restore(self, context: EngineContext, cluster: Any, source: Any, options: Any) -> RestoreOutcome:
        if not context.approve(Plan("restore", (Step("swap it", Reversal.REVERSIBLE),), ("what is live",))):
            return RestoreOutcome(planned_only=True)
        for section, chunks in source.read(["body"]):
            upload(context, POD, ["load"], chunks, what="the body", algorithm=Algorithm(section.algorithm))
        context.check_lease()
        kept = f"kept.{context.run.id}.restore"
        tell(context, "swap", "new", kept)
        return RestoreOutcome(("live",), (kept,))

    @hookimpl
    def put_back(self, context: EngineContext, cluster: ClusterRef, run: str) -> PutBack:
        names = tell(context, "list").split()
        kept = [name for name in names if name.startswith("kept.")]
        if "new" in names:
            return self.clear(context)
        chosen = max(
            (n for n in kept if (n.split(".")[1] == run if run else n.endswith("restore"))), default=""
        )
        if not chosen:
            return PutBack()
        if not context.approve(Plan("put back", (Step("swap it", Reversal.REVERSIBLE),), ("what is live",))):
            return PutBack(chosen.split(".")[1], planned_only=True)
        context.check_lease()
        stays = f"kept.{context.run.id}.undo"
        self.swap(context, chosen, stays)
        return PutBack(chosen.split(".")[1], ("it is what it was",), (stays,))

    def swap(self, context: EngineContext, chosen: str, stays: str) -> None:
        tell(context, "swap", chosen, stays)

    def clear(self, context: EngineContext) -> PutBack:
        if not context.approve(Plan("clear up", (Step("drop what was loaded", Reversal.FORWARD_ONLY),))):
            return PutBack("dead", planned_only=True)
        tell(context, "drop")
        return PutBack("dead", ("what was loaded is dropped",))


class OfShelves(RestoreConformance):
    engine = Shelves()

    def world(self, state: str = HEALTHY) -> World:
        assert state == HEALTHY
        shelf = Shelf()
        return World(
            ClusterRef("shelf", "db", "one"),
            FakeKubernetes(shelf),
            content=lambda: shelf.files.get("live"),
            damage=shelf.damage,
            residue=lambda: "new" in shelf.files,
        )


class TestShelves(OfShelves):
    """Without sin."""


def what_was_live_is_thrown_away(patch: pytest.MonkeyPatch) -> None:
    def put_back(_self: Any, context: EngineContext, cluster: ClusterRef, run: str) -> PutBack:
        kept = [name for name in tell(context, "list").split() if name.endswith("restore")]
        if not kept or not context.approve(Plan("back", (Step("move"),), ("what is live",))):
            return PutBack("r" if kept else "", planned_only=bool(kept))
        context.check_lease()
        tell(context, "move", kept[0], "live")
        return PutBack("r", ("it is what it was",))

    patch.setattr(Shelves, "put_back", hookimpl(put_back))


def it_is_done_in_two_acts_that_nobody_can_finish(patch: pytest.MonkeyPatch) -> None:
    def swap(_self: Any, context: EngineContext, chosen: str, stays: str) -> None:
        tell(context, "move", "live", stays)
        tell(context, "move", chosen, "live")

    patch.setattr(Shelves, "swap", swap)


def nobody_is_asked(patch: pytest.MonkeyPatch) -> None:
    honest = Shelves.swap

    def put_back(self: Any, context: EngineContext, cluster: ClusterRef, run: str) -> PutBack:
        kept = [name for name in tell(context, "list").split() if name.endswith("restore")]
        honest(self, context, kept[0], "kept.x.undo")
        return PutBack("r", ("it is what it was",), ("kept.x.undo",))

    patch.setattr(Shelves, "put_back", hookimpl(put_back))


def a_half_load_is_taken_for_none(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Shelves, "clear", lambda *_: PutBack())


def a_second_undo_undoes_the_first(patch: pytest.MonkeyPatch) -> None:
    honest = Shelves.swap
    patch.setattr(
        Shelves,
        "swap",
        lambda self, context, chosen, stays: honest(self, context, chosen, f"{stays}.restore"),
    )


BACK = "test_a_restore_is_taken_back"
DRY = "test_an_undo_that_is_dry_or_not_agreed_to_touches_nothing"
KILLED = "test_a_restore_that_was_killed_is_taken_back"
EITHER = "test_an_undo_that_fails_or_is_killed_leaves_one_of_both_and_is_ended_by_the_next"
SINS: list[tuple[Callable[[pytest.MonkeyPatch], None], str, str]] = [
    (what_was_live_is_thrown_away, BACK, "kept"),
    (it_is_done_in_two_acts_that_nobody_can_finish, EITHER, "no such thing"),
    (nobody_is_asked, DRY, "dry_run"),
    (a_half_load_is_taken_for_none, KILLED, "left behind"),
    (a_second_undo_undoes_the_first, BACK, "== ('', ())"),
]


@pytest.mark.parametrize(("sin", "test", "said"), SINS, ids=[s.__name__ for s, _, _ in SINS])
def test_each_sin_of_an_undo_is_found(
    sin: Callable[[pytest.MonkeyPatch], None], test: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sin(monkeypatch)

    with pytest.raises((AssertionError, HastewardError)) as caught:
        getattr(OfShelves(), test)()

    assert said in str(caught.value)
