from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hasteward.adapters.restic.environment import child_environment
from hasteward.adapters.restic.failures import Outcome, Redactor, failure
from hasteward.adapters.restic.known import KnownRepositories, default_state_file
from hasteward.adapters.restic.location import local_path, redact_location, require_mount
from hasteward.adapters.restic.password import Password
from hasteward.domain.errors import DependencyError, InvalidInput, PermissionDenied, Refused, RunFailed


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("rest:https://joe:s3cret@host:8000/x", "rest:https://joe:***@host:8000/x"),
        ("rest:https://host/x", "rest:https://host/x"),
        ('Head "http://joe:pw@h/config": refused', 'Head "http://joe:***@h/config": refused'),
        ("s3:https://host/bucket", "s3:https://host/bucket"),
        ("/backups/a:b@c", "/backups/a:b@c"),
    ],
)
def test_a_location_is_shown_without_its_password(given: str, shown: str) -> None:
    assert redact_location(given) == shown


@pytest.mark.parametrize("location", ["s3:host/x", "sftp:a@b:/x", "rest:http://h/", "rclone:a:b", "b2:x:y"])
def test_a_remote_location_is_no_directory_and_needs_no_mount(location: str) -> None:
    assert local_path(location) is None
    require_mount(location)


def test_a_local_location_may_say_so() -> None:
    assert local_path("local:/backups") == local_path("/backups") == Path("/backups")


def test_a_path_on_the_root_file_system_is_not_mounted() -> None:
    with pytest.raises(Refused, match="not on a mounted volume") as told:
        require_mount("/no-such-volume/repository")
    assert told.value.code == "repository.not_mounted"


def test_a_path_below_a_mount_point_is_mounted_even_one_within_the_same_device(tmp_path: Path) -> None:
    script = (
        "from hasteward.adapters.restic.location import require_mount\n"
        f"require_mount({str(tmp_path / 'volume' / 'repository')!r})\n"
    )
    (tmp_path / "volume").mkdir()
    (tmp_path / "source").mkdir()
    bind = f'mount --bind {tmp_path}/source {tmp_path}/volume && exec {sys.executable} -c "$0"'
    subprocess.run(["unshare", "-rm", "sh", "-c", bind, script], check=True)


def test_a_repository_is_remembered_and_another_in_its_place_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "state" / "hasteward" / "repositories.json"
    KnownRepositories(file).check("/backups", "a" * 64)
    KnownRepositories(file).check("/backups", "a" * 64)
    KnownRepositories(file).check("rest:http://joe:s3cret@host/", "b" * 64)
    with pytest.raises(Refused, match="was aaaaaaaa when last used") as told:
        KnownRepositories(file).check("local:/backups", "c" * 64)
    assert told.value.code == "repository.changed"
    assert str(file) in told.value.hint
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "s3cret" not in file.read_text()
    assert [path.name for path in file.parent.iterdir()] == ["repositories.json"]


def test_without_a_place_to_remember_nothing_is_remembered() -> None:
    for file in (None, Path("/proc/nowhere/repositories.json")):
        known = KnownRepositories(file)
        known.check("/backups", "a" * 64)
        known.check("/backups", "b" * 64)


def test_a_damaged_memory_is_said_and_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "repositories.json"
    file.write_text("{")
    with pytest.raises(InvalidInput, match="damaged"):
        KnownRepositories(file).check("/backups", "a" * 64)
    assert file.read_text() == "{"


def test_the_state_file_follows_the_environment() -> None:
    assert default_state_file({"XDG_STATE_HOME": "/s", "HOME": "/h"}) == Path(
        "/s/hasteward/repositories.json"
    )
    assert default_state_file({"HOME": "/h"}) == Path("/h/.local/state/hasteward/repositories.json")
    assert default_state_file({}) is None


def test_a_password_does_not_show_itself() -> None:
    password = Password(lambda: "geheimnis\n", "a file")
    assert password.reveal() == "geheimnis"
    assert "geheimnis" not in repr(password) + str(password)


def test_restic_is_given_the_backends_settings_and_no_password() -> None:
    given = {
        "RESTIC_PASSWORD": "geheimnis",
        "RESTIC_PASSWORD_COMMAND": "cat /x",
        "RESTIC_FROM_REPOSITORY": "/old",
        "HASTEWARD_BACKUPS_PATH": "/b",
        "COPY_OF_IT": "geheimnis",
        "AWS_ACCESS_KEY_ID": "key",
        "RESTIC_REST_USERNAME": "joe",
        "TZ": "America/New_York",
    }
    told = child_environment(given, "/b", "geheimnis")
    assert told["AWS_ACCESS_KEY_ID"] == "key"
    assert told["RESTIC_REST_USERNAME"] == "joe"
    assert (told["RESTIC_REPOSITORY"], told["TZ"]) == ("/b", "UTC")
    assert set(told) & {"RESTIC_PASSWORD", "RESTIC_PASSWORD_COMMAND", "COPY_OF_IT"} == set()
    assert set(told) & {"RESTIC_FROM_REPOSITORY", "HASTEWARD_BACKUPS_PATH"} == set()


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("dial tcp 10.0.0.1:443: connect: connection refused", DependencyError),
        ("unexpected HTTP response (401): 401 Unauthorized", PermissionDenied),
        ("open /backups/config: permission denied", PermissionDenied),
        ("write /backups/data/29/x: no space left on device", RunFailed),
    ],
)
def test_exit_code_one_is_told_apart_by_restics_words(words: str, kind: type[Exception]) -> None:
    stderr = f'{{"message_type":"exit_error","code":1,"message":"Fatal: {words}\\nat stack.go:1"}}\n'
    error = failure(Outcome(1, b"", stderr), doing="saving x", location="/b", redact=Redactor([]))
    assert type(error) is kind
    assert error.message == f"saving x failed: {words}"


def test_a_secret_in_restics_words_is_not_passed_on() -> None:
    outcome = Outcome(1, b"", "Fatal: the key wJalrXUtnFEMI at http://joe:pw@host is not good\n")
    error = failure(outcome, doing="saving x", location="/b", redact=Redactor(["wJalrXUtnFEMI"]))
    assert error.message == "saving x failed: the key *** at http://joe:***@host is not good"
