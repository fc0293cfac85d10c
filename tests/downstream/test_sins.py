"""The conformance tests can fail: each sin of an engine is found by the test that forbids it."""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hasteward import EngineSpec, hookimpl
from hasteward.domain.capability import Capability, EngineInfo, Supported, Unsupported
from hasteward.domain.errors import HastewardError
from hasteward.domain.manifest import Section
from hasteward.domain.reading import Known
from hasteward.domain.report import Authority
from hasteward.ports.context import DumpProof, RestoreOutcome
from hasteward.ports.kubernetes import PODS, Output
from hasteward.testing import EngineConformance

Patch = pytest.MonkeyPatch
NO_READ = "test_no_read_that_fails_makes_the_verdict_bolder"
NO_BACKUP = "test_a_backup_that_fails_or_is_killed_is_not_there"
OLD_OR_NEW = "test_a_restore_that_fails_or_is_killed_leaves_the_old_or_the_new"


def module(name: str) -> Any:
    import importlib

    return importlib.import_module(f"hasteward_keyval.{name}")


def a_failed_read_is_the_newest_version(patch: Patch, _tests: Any) -> None:
    triage = module("triage")
    honest = triage._version

    def version(context: Any, pod: Any) -> Any:
        read = honest(context, pod)
        return read if isinstance(read, Known) else Known(7, "a guess")

    patch.setattr(triage, "_version", version)


def nothing_is_read_at_all(patch: Patch, _tests: Any) -> None:
    triage = module("triage")
    pods = [triage.PodRef("db", f"shop-{n}", "store") for n in range(2)]
    members = [triage.Member(pod, pod.name == "shop-0", Known(7, "a guess")) for pod in pods]
    patch.setattr(triage, "collect", lambda *_: members)


def an_unread_member_does_not_temper_the_others(patch: Patch, _tests: Any) -> None:
    triage = module("triage")
    honest = triage._assess
    patch.setattr(triage, "_assess", lambda member, newest, _missing: honest(member, newest, ()))


def an_unread_member_is_left_out(patch: Patch, _tests: Any) -> None:
    triage = module("triage")
    honest = triage.judge
    patch.setattr(
        triage,
        "judge",
        lambda cluster, found: honest(cluster, [m for m in found if isinstance(m.version, Known)]),
    )


def a_failed_read_is_a_traceback(patch: Patch, _tests: Any) -> None:
    triage = module("triage")
    honest = triage.members

    def members(context: Any, cluster: Any) -> Any:
        try:
            return honest(context, cluster)
        except HastewardError:
            raise KeyError("items") from None

    patch.setattr(triage, "members", members)


def triage_is_never_worried(patch: Patch, _tests: Any) -> None:
    triage = module("triage")
    honest = triage.judge
    patch.setattr(
        triage,
        "judge",
        lambda cluster, found: replace(honest(cluster, found), authority=Authority.PROVABLE, assessments=()),
    )


def triage_leaves_a_mark(patch: Patch, _tests: Any) -> None:
    triage = module("triage")
    honest = triage.collect

    def collect(context: Any, cluster: Any) -> Any:
        context.kubernetes.patch(PODS, "db", "shop-1", {"metadata": {"annotations": {"seen": "yes"}}})
        return honest(context, cluster)

    patch.setattr(triage, "collect", collect)


def triage_rolls_dice(patch: Patch, _tests: Any) -> None:
    triage = module("triage")
    honest = triage.judge
    patch.setattr(
        triage,
        "judge",
        lambda cluster, found: replace(honest(cluster, found), details={"id": uuid.uuid4().hex}),
    )


def the_dump_is_believed(patch: Patch, _tests: Any) -> None:
    """Reads the bytes, and digests what arrived instead of what was sent."""

    def dump(context: Any, cluster: Any, sink: Any, _options: Any) -> DumpProof:
        pod = module("triage").primary(context, cluster)
        if not context.approve(module("dump").Plan("back up", (module("dump").Step("read"),))):
            return DumpProof(pod.name, "1", (), planned_only=True)
        data = b""
        argv = ["cat", module("triage").STORE]
        with context.kubernetes.exec(pod, argv, stdin=True, stall_seconds=9) as stream:
            stream.finish_input()
            while isinstance(frame := stream.receive(), Output):
                data += frame.data
        sink.write(data)
        section = Section("store", "", 0, len(data), "sha256", hashlib.sha256(data).hexdigest())
        return DumpProof(pod.name, "1", (section,))

    patch.setattr(module("dump"), "dump", dump)


def the_dump_does_not_ask(patch: Patch, _tests: Any) -> None:
    honest = module("dump").dump
    patch.setattr(
        module("dump"),
        "dump",
        lambda context, *rest: honest(replace(context, approve=lambda _: True), *rest),
    )


def the_dump_leaves_a_file(patch: Patch, _tests: Any) -> None:
    honest = module("dump").dump

    def dump(context: Any, cluster: Any, sink: Any, options: Any) -> DumpProof:
        pod = module("triage").primary(context, cluster)
        module("restore").upload(
            context, pod, module("restore").LOAD, [b"x"], what="a note", algorithm="sha256"
        )
        proof: DumpProof = honest(context, cluster, sink, options)
        return proof

    patch.setattr(module("dump"), "dump", dump)


def the_load_goes_straight_into_the_store(patch: Patch, tests: Any) -> None:
    """`cat > STORE` takes a client that died for the end of the file."""
    store = module("triage").STORE
    patch.setattr(module("restore"), "LOAD", ["sh", "-c", f"cat > {store}"])
    patch.setattr(module("restore"), "SWAP", ["true"])
    honest = tests.Store.__call__

    def program(self: Any, pod: Any, argv: Any, stdin: bytes) -> Any:
        if argv == module("restore").LOAD:
            self.files[pod.name][store] = stdin
            return tests.Result()
        return honest(self, pod, argv, stdin)

    patch.setattr(tests.Store, "__call__", program)


def the_load_is_left_lying_about(patch: Patch, tests: Any) -> None:
    """It copies instead of renaming."""
    store = module("triage").STORE
    honest = tests.Store.__call__

    def program(self: Any, pod: Any, argv: Any, stdin: bytes) -> Any:
        loaded = self.files[pod.name].get(f"{store}.new")
        done = honest(self, pod, argv, stdin)
        if argv == module("restore").SWAP and loaded is not None:
            self.files[pod.name][f"{store}.new"] = loaded
        return done

    patch.setattr(tests.Store, "__call__", program)


def the_swap_is_not_looked_at(patch: Patch, _tests: Any) -> None:
    honest = module("restore").capture
    patch.setattr(module("restore"), "capture", lambda *args: replace(honest(*args), exit_status=0))


def a_failed_load_is_swapped_in(patch: Patch, _tests: Any) -> None:
    honest = module("restore").upload

    def upload(*args: Any, **named: Any) -> None:
        with contextlib.suppress(HastewardError):
            honest(*args, **named)

    patch.setattr(module("restore"), "upload", upload)


def the_lease_is_not_looked_at(patch: Patch, _tests: Any) -> None:
    honest = module("restore").restore
    patch.setattr(
        module("restore"),
        "restore",
        lambda context, *rest: honest(replace(context, check_lease=lambda: None), *rest),
    )


def a_refusal_is_taken_for_a_yes(patch: Patch, _tests: Any) -> None:
    honest = module("restore").restore

    def restore(context: Any, *rest: Any) -> Any:
        def approve(plan: Any) -> bool:
            try:
                return bool(context.approve(plan))
            except HastewardError:
                return True

        return honest(replace(context, approve=approve, check_lease=lambda: None), *rest)

    patch.setattr(module("restore"), "restore", restore)


def nothing_is_restored(patch: Patch, _tests: Any) -> None:
    outcome = RestoreOutcome(("store",))
    patch.setattr(module("restore"), "restore", lambda *_: outcome)


def info_reads_a_file(patch: Patch, _tests: Any) -> None:
    plugin = module("plugin").plugin
    honest = plugin.info

    def info() -> EngineInfo:
        Path("/proc/self/stat").read_bytes()
        told: EngineInfo = honest()
        return told

    patch.setattr(plugin, "info", info, raising=False)


SINS = [
    (a_failed_read_is_the_newest_version, NO_READ, "shop-1 healthy"),
    (nothing_is_read_at_all, "test_with_nothing_to_read_nothing_is_healthy", "not True"),
    (nothing_is_read_at_all, "test_a_cluster_that_does_not_exist_is_bad_input", "DID NOT RAISE"),
    (an_unread_member_does_not_temper_the_others, NO_READ, "shop-1 healthy"),
    (an_unread_member_is_left_out, NO_READ, "a member is missing and the verdict stands"),
    (a_failed_read_is_a_traceback, NO_READ, "it ended with KeyError"),
    (triage_is_never_worried, "test_what_is_wrong_is_seen", "stale replica"),
    (triage_leaves_a_mark, "test_triage_changes_nothing", "seen"),
    (triage_rolls_dice, "test_the_same_evidence_gives_the_same_report", "id"),
    (the_dump_is_believed, NO_BACKUP, "Success after truncated data"),
    (the_dump_does_not_ask, "test_a_dry_run_of_a_backup_touches_nothing_and_shows_the_plan", "dry_run"),
    (the_dump_leaves_a_file, "test_a_backup_is_proven_and_leaves_the_cluster_as_it_was", "residue"),
    (the_load_goes_straight_into_the_store, OLD_OR_NEW, "is live although"),
    (the_swap_is_not_looked_at, OLD_OR_NEW, "exits with 1"),
    (a_failed_load_is_swapped_in, OLD_OR_NEW, "is live although"),
    (a_failed_load_is_swapped_in, "test_a_changed_byte_in_the_repository_is_never_live", "store byte"),
    (
        the_lease_is_not_looked_at,
        "test_a_lost_lease_stops_a_restore_before_it_changes_what_is_live",
        "DID NOT RAISE",
    ),
    (the_load_is_left_lying_about, "test_what_was_backed_up_comes_back", "residue"),
    (
        a_refusal_is_taken_for_a_yes,
        "test_a_restore_that_nobody_agreed_to_touches_nothing",
        "DID NOT RAISE",
    ),
    (nothing_is_restored, "test_what_was_backed_up_comes_back", "grey"),
    (info_reads_a_file, "test_info_is_the_same_every_time_and_touches_nothing", "open"),
]


@pytest.mark.parametrize(("sin", "test", "said"), SINS, ids=[f"{s.__name__}-{t[:30]}" for s, t, _ in SINS])
def test_each_sin_is_found(
    sin: Callable[[Patch, Any], None], test: str, said: str, toy_tests: ModuleType, monkeypatch: Patch
) -> None:
    sin(monkeypatch, toy_tests)
    conformance: EngineConformance = toy_tests.TestKeyval()

    with pytest.raises((AssertionError, pytest.fail.Exception)) as caught:
        getattr(conformance, test)()

    assert said in str(caught.value)


class Modest(EngineSpec):
    @hookimpl
    def info(self) -> EngineInfo:
        reason = "it has one member and no data"
        return EngineInfo(
            "modest", "a modest one", capabilities=dict.fromkeys(Capability, Unsupported(reason))
        )


class Boastful(EngineSpec):
    @hookimpl
    def info(self) -> EngineInfo:
        return EngineInfo("boastful", "can do all", "f", "f-1", dict.fromkeys(Capability, Supported()))


def test_what_an_engine_does_not_offer_is_skipped_in_its_own_words() -> None:
    class OfModest(EngineConformance):
        engine = Modest()

    conformance = OfModest()
    conformance.test_the_loader_takes_it()
    conformance.test_what_it_cannot_do_it_says_in_words()
    conformance.test_what_it_says_it_can_do_is_there()
    with pytest.raises(pytest.skip.Exception) as skipped:
        conformance.test_triage_changes_nothing()

    assert skipped.value.msg == "modest does not triage: it has one member and no data"


def test_what_an_engine_declares_and_has_not_is_found() -> None:
    class OfBoastful(EngineConformance):
        engine = Boastful()

    with pytest.raises(HastewardError, match="declares triage but does not implement it"):
        OfBoastful().test_what_it_says_it_can_do_is_there()
