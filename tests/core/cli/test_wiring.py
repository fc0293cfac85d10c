from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from hasteward.config.resolve import resolve
from hasteward.domain.errors import InvalidInput, Refused
from hasteward.testing.repository import FakeRepository
from hasteward.wiring import Lazy, Remembered, Secret, repository_password

NAMES = ("restic_password", "restic_password_file")


def chosen(given: dict[str, str], environ: dict[str, str]) -> Secret:
    return repository_password(resolve(NAMES, given, environ))


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "password"
    path.write_text("from the file\n")
    return str(path)


def test_the_stronger_of_file_and_text_counts(file: str) -> None:
    text, env_file = {"RESTIC_PASSWORD": "text"}, {"RESTIC_PASSWORD_FILE": file}

    assert chosen({}, text).value == "text"
    assert chosen({}, env_file).value == "from the file"
    assert chosen({}, text | env_file).value == "from the file"
    assert chosen({"restic_password": "flag"}, env_file).value == "flag"
    assert chosen({"restic_password_file": file}, text).value == "from the file"
    with pytest.raises(InvalidInput, match="exclude"):
        chosen({"restic_password_file": file, "restic_password": "flag"}, {})


def test_the_file_may_be_a_pipe() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"piped\n")
    os.close(writer)
    try:
        assert chosen({"restic_password_file": f"/dev/fd/{reader}"}, {}).value == "piped"
    finally:
        os.close(reader)


def test_an_empty_or_missing_file_is_no_password(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    for name in ("empty", "absent"):
        with pytest.raises(InvalidInput, match=name):
            chosen({"restic_password_file": str(tmp_path / name)}, {})


def test_a_secret_does_not_show_itself() -> None:
    assert "hush" not in repr(Secret("hush", "RESTIC_PASSWORD"))


def test_the_flag_warns_once(cli: Any, there: tuple[str, ...]) -> None:
    done = cli("backup", *there, "--restic-password", "visible", "--output", "json")

    codes = [warning["code"] for warning in done.envelope["warnings"]]
    assert codes.count("password.argv") == 1
    assert cli.secrets == [Secret("visible", "--restic-password")]
    assert "password.argv" not in cli("backup", *there, "--output", "json").out


def test_nothing_is_built_before_it_is_needed() -> None:
    built: list[int] = []

    def build() -> str:
        built.append(1)
        return "text"

    lazy = Lazy(build)
    assert built == []
    assert lazy.upper() == lazy.upper() == "TEXT"
    assert built == [1]


def test_cheap_checks_then_the_repository_then_the_cluster(cli: Any, there: tuple[str, ...]) -> None:
    cli.repository.exists = False
    assert cli("backup", *there, "-e", "nope").code == 3
    assert cli("backup", *there, "-c", "../box").code == 3
    assert cli.secrets == []
    assert cli("backup", *there).code == 10
    assert cli("restore", *there).code == 10
    assert cli.connected == 0


def test_another_repository_at_the_same_place_is_refused() -> None:
    seen: dict[str, str] = {}

    def check(location: str, identity: str) -> None:
        if seen.setdefault(location, identity) != identity:
            raise Refused("it changed")

    store = FakeRepository(exists=False)
    remembered = Remembered(store, "/place", check)
    assert remembered.init().id == remembered.open().id == seen["/place"]
    seen["/place"] = "another"
    with pytest.raises(Refused):
        remembered.open()
    assert remembered.snapshots() == []
