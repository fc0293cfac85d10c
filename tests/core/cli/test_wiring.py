from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from hasteward.config.resolve import resolve
from hasteward.domain.errors import InvalidInput, Refused, WrongPassword
from hasteward.ports.kubernetes import ApiForbidden, ApiUnavailable
from hasteward.testing.kubernetes import FakeKubernetes, Result
from hasteward.testing.repository import FakeRepository
from hasteward.wiring import Lazy, Remembered, Secret, repository_password

NAMES = ("restic_password", "restic_password_file")


def chosen(given: dict[str, str], environ: dict[str, str]) -> Secret:
    return repository_password(resolve(NAMES, given, environ), FakeKubernetes(lambda *_: Result()), {})


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


@pytest.mark.parametrize(
    ("mode", "codes"), [(0o640, ["password.mode"]), (0o604, ["password.mode"]), (0o600, [])]
)
def test_a_password_file_that_others_may_read_warns_once(
    mode: int, codes: list[str], cli: Any, there: tuple[str, ...], file: str
) -> None:
    Path(file).chmod(mode)

    done = cli("backup", *there, "--restic-password-file", file, "--output", "json")

    assert [one["code"] for one in done.envelope["warnings"] if one["code"] != "toy.worn"] == codes


def test_a_wrong_password_names_the_one_source_that_was_used(
    cli: Any, there: tuple[str, ...], file: str
) -> None:
    def wrong(_call: str) -> None:
        raise WrongPassword("it does not open", hint="any of them")

    cli.repository.on_call = wrong

    for more, source in (((), "RESTIC_PASSWORD"), (("--restic-password-file", file), file)):
        done = cli("backup", *there, *more)
        assert done.code == 12
        assert f"  next: the password was taken from {source}; " in done.err


def test_nothing_is_built_before_it_is_needed() -> None:
    built: list[int] = []

    def build() -> str:
        built.append(1)
        return "text"

    lazy = Lazy(build)
    assert built == []
    assert lazy.upper() == lazy.upper() == "TEXT"
    assert built == [1]


def test_cheap_checks_then_repository_and_cluster_and_the_repository_is_told_first(
    cli: Any, there: tuple[str, ...]
) -> None:
    cli.repository.exists = False
    assert cli("backup", *there, "-e", "nope").code == 3
    assert cli("backup", *there, "-c", "../box").code == 3
    assert cli.secrets == []
    assert cli("backup", *there).code == 10
    assert cli.connected == 1
    cli.kubernetes.denied = {("create", "pods/exec")}
    assert cli("restore", *there).code == 10


def test_another_repository_at_the_same_place_is_refused() -> None:
    seen: dict[str, str] = {}

    def check(location: str, identity: str) -> None:
        if seen.setdefault(location, identity) != identity:
            raise Refused("it changed")

    store = FakeRepository(exists=False)
    remembered = Remembered(store, "/place", check)
    assert remembered.init().id == remembered.open().id == seen["/place"]
    assert remembered.snapshots() == []
    seen["/place"] = "another"
    with pytest.raises(Refused):
        Remembered(store, "/place", check).open()


def test_a_repository_is_opened_once_per_run() -> None:
    calls: list[str] = []
    remembered = Remembered(FakeRepository(on_call=calls.append), "/place", lambda *_: None)

    assert remembered.open() == remembered.open()
    assert calls == ["open"]


@pytest.mark.parametrize("verb", ["backup", "restore"])
def test_a_right_that_is_missing_is_named_before_anything_happens(
    verb: str, cli: Any, there: tuple[str, ...]
) -> None:
    cli.kubernetes.denied = {("create", "pods/exec"), ("update", "leases")}

    done = cli(verb, *there)

    assert done.code == 4
    assert "create pods/exec, update leases.coordination.k8s.io" in done.err
    assert "the Role in run-without-cluster-admin" in done.err
    assert cli.toy.options == []


@pytest.mark.parametrize("verb", ["backup", "triage"])
def test_an_api_that_is_away_is_told_before_the_engine_begins(
    verb: str, cli: Any, there: tuple[str, ...]
) -> None:
    def away(_call: str) -> None:
        raise ApiUnavailable("nobody answers")

    cli.kubernetes.on_call = away
    done = cli(verb, *(there if verb == "backup" else there[:6]))

    assert done.code == 4
    assert "error: nobody answers" in done.err
    assert cli.toy.options == []


def test_a_server_that_does_not_let_us_ask_is_no_reason_to_stop(cli: Any, there: tuple[str, ...]) -> None:
    def mute(call: str) -> None:
        if call.startswith("may"):
            raise ApiForbidden("no questions")

    cli.kubernetes.on_call = mute

    assert cli("backup", *there).code == 0
