"""Small values say what they mean, and only that."""

from __future__ import annotations

import pytest

from hasteward.domain.capability import Capability, EngineInfo, Right, Supported, Unsupported
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import DependencyError, ExitCode, HastewardError, PermissionDenied, Refused
from hasteward.domain.manifest import Manifest, Section
from hasteward.domain.reading import Absent, Known, Reading, Unread
from hasteward.domain.report import Assessment, Authority, Health, TriageReport
from hasteward.domain.snapshot import Snapshot, SnapshotTags

CLUSTER = ClusterRef("toy", "db", "box")


@pytest.mark.parametrize(
    ("right", "text"),
    [
        (Right("get", "", "pods"), "get pods"),
        (Right("create", "", "pods", "exec"), "create pods/exec"),
        (Right("get", "toys.example.com", "boxes"), "get boxes.toys.example.com"),
        (Right("patch", "toys.example.com", "boxes", "status"), "patch boxes.toys.example.com/status"),
    ],
)
def test_a_right_is_spelled_as_a_role_has_it(right: Right, text: str) -> None:
    assert str(right) == text


def test_an_engine_that_says_nothing_of_a_hook_does_not_have_it() -> None:
    info = EngineInfo("toy", "a toy", capabilities={Capability.DUMP: Supported()})

    assert info.capability(Capability.DUMP) == Supported()
    assert info.capability(Capability.HEAL) == Unsupported("the engine does not declare it")


def test_a_cluster_is_named_with_its_engine_and_namespace() -> None:
    assert str(CLUSTER) == "toy/db/box"


def assessed(*healths: Health) -> tuple[Assessment, ...]:
    return tuple(Assessment(f"box-{n}", "replica", health, ()) for n, health in enumerate(healths))


@pytest.mark.parametrize(
    ("authority", "healths", "healthy"),
    [
        (Authority.PROVABLE, (Health.HEALTHY, Health.HEALTHY), True),
        (Authority.PROVABLE, (Health.HEALTHY, Health.LAGGING), False),
        (Authority.PROVABLE, (Health.HEALTHY, Health.UNDETERMINABLE), False),
        (Authority.UNDETERMINABLE, (Health.HEALTHY,), False),
        (Authority.LEADER_NOT_PRIMARY, (Health.HEALTHY,), False),
        (Authority.DIVERGED, (Health.HEALTHY,), False),
    ],
)
def test_a_cluster_is_healthy_only_if_all_of_it_is_known_to_be(
    authority: Authority, healths: tuple[Health, ...], healthy: bool
) -> None:
    assert TriageReport(CLUSTER, authority, "why", assessed(*healths), ()).healthy is healthy


def test_a_section_is_found_by_its_key() -> None:
    head, body = Section("head", "", 0, 1, "sha256", "0"), Section("body", "box", 1, 1, "sha256", "0")
    who = ("run", "job", "toy", "db", "box", "backup", "path", "toy-1")
    manifest = Manifest(*who, 2, (head, body), "box-1", "1", "now", "then", "0")

    assert [section.key for section in manifest.sections] == ["head", "body:box"]
    assert (manifest.section("head"), manifest.section("body:box"), manifest.section("body")) == (
        head,
        body,
        None,
    )


def test_a_snapshot_is_shown_shortly() -> None:
    from datetime import UTC, datetime

    tags = SnapshotTags("toy", "box", "db", "backup")
    snapshot = Snapshot("0123456789abcdef", datetime(2026, 1, 1, tzinfo=UTC), "p", tags, "t")

    assert (snapshot.short_id, snapshot.cluster) == ("01234567", "db/box")


def size_of(reading: Reading[int]) -> str:
    match reading:
        case Known(value, source):
            return f"{value} from {source}"
        case Absent(proof):
            return f"nothing there: {proof}"
        case Unread(reason):
            return f"not known: {reason}"


@pytest.mark.parametrize(
    ("reading", "said"),
    [
        (Known(0, "df"), "0 from df"),
        (Absent("the API answered NotFound"), "nothing there: the API answered NotFound"),
        (Unread("it timed out"), "not known: it timed out"),
    ],
)
def test_l25_a_zero_that_was_read_is_told_from_not_knowing(reading: Reading[int], said: str) -> None:
    assert size_of(reading) == said


def test_an_error_carries_its_exit_code_and_the_next_command() -> None:
    plain, named = HastewardError("it failed"), Refused("no", hint="try this", code="gate.own")

    assert (plain.code, plain.hint, plain.exit_code, plain.retryable) == (
        "run.failed",
        "",
        ExitCode.FAILED,
        False,
    )
    assert (str(named), named.message, named.code, named.hint) == ("no", "no", "gate.own", "try this")
    assert (DependencyError("x").retryable, PermissionDenied("x").retryable) == (True, False)
