from __future__ import annotations

from pathlib import Path

import pytest

from hasteward.adapters.restic.program import find_program
from hasteward.domain.errors import DependencyError


def fake(directory: Path, answer: str) -> str:
    script = directory / "restic"
    script.write_text(f"#!/bin/sh\necho '{answer}'\n")
    script.chmod(0o755)
    return str(script)


def said(version: str) -> str:
    return f'{{"message_type":"version","version":"{version}","go_version":"go1.24"}}'


@pytest.mark.parametrize("version", ["0.17.0", "0.18.1", "0.19.1", "0.19.1-dev (compiled manually)", "1.0"])
def test_a_version_that_keeps_our_promises_is_taken(tmp_path: Path, version: str) -> None:
    assert version.startswith(find_program(fake(tmp_path, said(version))).version)


def test_version_0_18_0_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DependencyError, match=r"0\.18\.0, which cannot save") as told:
        find_program(fake(tmp_path, said("0.18.0")))
    assert told.value.code == "restic.version"
    assert "0.17 or newer" in told.value.hint


@pytest.mark.parametrize("answer", [said("0.16.5"), "restic 0.14.0 compiled with go1.19.3 on linux/amd64"])
def test_a_version_before_0_17_is_refused(tmp_path: Path, answer: str) -> None:
    with pytest.raises(DependencyError, match="hold back an unproven snapshot") as told:
        find_program(fake(tmp_path, answer))
    assert told.value.code == "restic.version"


def test_something_else_called_restic_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DependencyError, match="does not tell its version"):
        find_program(fake(tmp_path, "hello"))


def test_a_missing_restic_says_what_to_install() -> None:
    with pytest.raises(DependencyError, match="was not found") as told:
        find_program("no-such-restic")
    assert told.value.code == "restic.missing"
    assert "install restic" in told.value.hint


def test_a_restic_that_is_asked_its_version_is_told_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "restic"
    place.write_text(f"#!/bin/sh\nenv > {tmp_path}/seen\necho restic 0.18.1\n")
    place.chmod(0o755)
    monkeypatch.setenv("RESTIC_PASSWORD", "open sesame")

    assert find_program(str(place)).version == "0.18.1"
    assert "sesame" not in (tmp_path / "seen").read_text()
