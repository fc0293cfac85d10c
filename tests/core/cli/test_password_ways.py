"""The repository's password: every way to give it, which one is taken, and what none of them tells."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from hasteward.adapters.restic import password as ways
from hasteward.config.password import WAYS, chosen
from hasteward.config.resolve import resolve
from hasteward.domain.errors import HastewardError, InvalidInput, RunFailed
from hasteward.ports.kubernetes import SECRETS, ApiForbidden
from hasteward.testing.kubernetes import FakeKubernetes, Result
from hasteward.wiring import Secret, repository_password, without_passwords

HUSH = "hush-hush"
ENV = {
    "restic_password": "RESTIC_PASSWORD",
    "restic_password_file": "RESTIC_PASSWORD_FILE",
    "restic_password_command": "RESTIC_PASSWORD_COMMAND",
    "restic_password_secret": "HASTEWARD_RESTIC_PASSWORD_SECRET",
}
SECRET = ENV["restic_password_secret"]
ELSEWHERE = [name for name in WAYS if name != "restic_password"]


def taken(given: dict[str, str], environ: dict[str, str]) -> str:
    return chosen(resolve(WAYS, given, environ)).setting.name


def with_secret(**data: str) -> FakeKubernetes:
    api = FakeKubernetes(lambda *_: Result())
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    api.add(SECRETS, {"metadata": {"namespace": "db", "name": "restic"}, "data": encoded})
    return api


@pytest.mark.parametrize("name", WAYS)
def test_a_flag_goes_before_every_variable(name: str) -> None:
    others = {variable: "x/y/z" for setting, variable in ENV.items() if setting != name}

    assert taken({name: "a/b/c"}, others) == name


@pytest.mark.parametrize("name", WAYS)
def test_a_variable_goes_before_the_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    other = "restic_password_command" if name != "restic_password_command" else "restic_password_file"
    path.write_text(f'{other} = "of the file"\n')

    assert taken({}, {ENV[name]: "a/b/c", "HASTEWARD_CONFIG": str(path)}) == name
    assert taken({}, {"HASTEWARD_CONFIG": str(path)}) == other


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_variable_that_says_where_goes_before_the_password_itself(name: str) -> None:
    assert taken({}, {ENV[name]: "a/b/c", "RESTIC_PASSWORD": "text"}) == name


@pytest.mark.parametrize("first", WAYS)
@pytest.mark.parametrize("second", WAYS)
def test_two_flags_exclude_each_other(first: str, second: str) -> None:
    if first == second:
        return
    with pytest.raises(InvalidInput, match=r"^--\S+ and --\S+ exclude each other$") as caught:
        taken({first: "a/b/c", second: "a/b/c"}, {})
    assert caught.value.code == "setting.conflict"


def test_two_variables_that_say_where_exclude_each_other() -> None:
    with pytest.raises(InvalidInput, match="RESTIC_PASSWORD_FILE and RESTIC_PASSWORD_COMMAND exclude"):
        taken({}, {"RESTIC_PASSWORD_FILE": "f", "RESTIC_PASSWORD_COMMAND": "c"})


def test_two_keys_of_the_file_exclude_each_other(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('restic_password_file = "f"\nrestic_password_secret = "a/b/c"\n')

    with pytest.raises(InvalidInput) as caught:
        taken({}, {"HASTEWARD_CONFIG": str(path)})
    assert caught.value.message == (
        f"restic_password_file in {path} and restic_password_secret in {path} exclude each other"
    )


def test_restics_own_variable_goes_before_ours() -> None:
    found = chosen(
        resolve(WAYS, {}, {"HASTEWARD_RESTIC_PASSWORD_COMMAND": "ours", "RESTIC_PASSWORD_COMMAND": "its"})
    )

    assert (found.value, found.place) == (("its",), "RESTIC_PASSWORD_COMMAND")


def command(script: str, seconds: float = 20) -> str:
    return ways.from_command(["sh", "-c", script], "--restic-password-command", {}, seconds=seconds)


def test_the_first_line_of_a_command_counts() -> None:
    assert command("echo ' of the store '; echo user: me") == "of the store"


def test_a_command_is_split_into_words_and_no_shell_sees_it(tmp_path: Path) -> None:
    line = f"echo '$HOME ; touch' {tmp_path}/made"
    settings = resolve(WAYS, {"restic_password_command": line}, {})
    api = FakeKubernetes(lambda *_: Result())

    secret = repository_password(settings, api, {"PATH": "/usr/bin:/bin"})

    assert secret == Secret(f"$HOME ; touch {tmp_path}/made", "the command of --restic-password-command")
    assert list(tmp_path.iterdir()) == []


def test_a_command_may_be_a_list_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('restic_password_command = ["printf", "a b\\n"]\n')

    settings = resolve(WAYS, {}, {"HASTEWARD_CONFIG": str(path)})

    assert settings.items("restic_password_command") == ("printf", "a b\n")


@pytest.mark.parametrize("text", ["echo 'open", 'a "b'])
def test_a_command_with_an_open_quote_is_invalid(text: str) -> None:
    with pytest.raises(InvalidInput, match="quotes are closed"):
        resolve(WAYS, {"restic_password_command": text}, {})


def test_a_command_does_not_get_the_password_of_the_environment() -> None:
    names = ("RESTIC_PASSWORD", "HASTEWARD_RESTIC_PASSWORD", "HASTEWARD_PING_URL", "HASTEWARD_NOTICE_URL")
    given = {"HOME": "/home/me"} | dict.fromkeys(names, HUSH)

    assert without_passwords(given) == {"HOME": "/home/me"}


@pytest.mark.parametrize(
    ("script", "kind", "words"),
    [
        (f"echo {HUSH}; echo {HUSH} >&2; exit 7", RunFailed, "'sh' ended with 7"),
        (f"echo {HUSH}; kill -9 $$", RunFailed, "'sh' was ended by SIGKILL"),
        (f"echo; echo {HUSH}", InvalidInput, "'sh' printed an empty first line"),
        (f"printf '\\377{HUSH}'", InvalidInput, "printed something that is not text"),
        ("true", InvalidInput, "printed an empty first line"),
        ("yes", RunFailed, "printed more than 64 KiB"),
    ],
)
def test_a_command_that_fails_is_named_without_what_it_said(
    script: str, kind: type[HastewardError], words: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        command(script)

    seen = f"{caught.value.message} {caught.value.hint} {caught.value!r} {caught.value.__cause__!r}"
    assert HUSH not in seen
    assert "--restic-password-command" in caught.value.hint


def test_a_command_that_hangs_is_given_up() -> None:
    with pytest.raises(RunFailed, match=r"did not end within 0\.2 s"):
        command("sleep 60", seconds=0.2)


def test_a_command_that_is_not_there_is_three() -> None:
    with pytest.raises(InvalidInput, match="'/no/such' cannot be started: No such file"):
        ways.from_command(["/no/such"], "RESTIC_PASSWORD_COMMAND", {})


def test_the_password_is_a_key_of_a_secret(cli: Any, there: tuple[str, ...]) -> None:
    cli.kubernetes = with_secret(password=f"{HUSH}\n")

    done = cli("backup", *there, "--restic-password-secret", "db/restic/password")

    assert done.code == 0
    assert cli.secrets == [Secret(HUSH, "the Secret db/restic/password")]


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("restic/password", "'restic/password' is not NAMESPACE/NAME/KEY"),
        ("db//password", "'db//password' is not NAMESPACE/NAME/KEY"),
        ("db/restic/passwort", "the Secret db/restic has no key 'passwort'; it has: empty, password"),
        ("db/restic/empty", "key empty of the Secret db/restic is empty"),
        ("db/other/password", "secrets db/other does not exist"),
    ],
)
def test_a_secret_that_does_not_fit_is_three(
    reference: str, words: str, cli: Any, there: tuple[str, ...]
) -> None:
    cli.kubernetes = with_secret(password=HUSH, empty="\n")

    done = cli("backup", *there, "--restic-password-secret", reference)

    assert (done.code, cli.secrets) == (3, [])
    assert words in done.err
    assert HUSH not in done.err


def test_a_key_that_is_no_base64_is_not_quoted() -> None:
    api = with_secret()
    api.objects["secrets", "db", "restic"]["data"] = {"password": f"%%{HUSH}"}

    with pytest.raises(InvalidInput, match="is not text") as caught:
        ways.from_secret(api, "db/restic/password", "there")
    assert HUSH not in f"{caught.value!r}{caught.value.__cause__!r}"


def test_a_secret_that_may_not_be_read_is_four(cli: Any, store: tuple[str, ...]) -> None:
    def refuse(call: str) -> None:
        if call == "get secrets":
            raise ApiForbidden("not allowed to get secrets restic in namespace db", hint="grant: it")

    cli.kubernetes.on_call = refuse

    done = cli("get", "backups", *store, "--restic-password-secret", "db/restic/password")

    assert done.code == 4
    assert done.err == "error: not allowed to get secrets restic in namespace db\n  next: grant: it\n"


@pytest.mark.parametrize("denied", [False, True])
def test_doctor_asks_for_that_one_secret(denied: bool, cli: Any, store: tuple[str, ...]) -> None:
    cli.kubernetes = with_secret(password=HUSH)
    asked: list[str] = []
    if denied:
        cli.kubernetes.denied = {("get", "secrets")}
    cli.kubernetes.on_call = asked.append

    done = cli("doctor", *store, "--restic-password-secret", "db/restic/password", "--output", "json")

    found = [one for one in done.data["checks"] if one["name"] == "password"]
    grant = 'grant: resources ["secrets"] resourceNames ["restic"] verbs ["get"]'
    assert found == [
        {
            "name": "password",
            "state": "problem" if denied else "ok",
            "text": "not allowed in namespace db: get secrets restic"
            if denied
            else "the Secret db/restic may be read",
            "next": grant if denied else "",
        }
    ]
    assert "may get secrets restic" in asked


def test_config_show_says_where_the_password_would_come_from(cli: Any, tmp_path: Path) -> None:
    def password(*argv: str) -> str:
        return str(cli("config", "show", *argv, "--output", "json").data["password"])

    assert password() == "restic_password (RESTIC_PASSWORD)"
    assert password("--restic-password-file", "f") == "restic_password_file (--restic-password-file)"
    assert password("--restic-password-file", "f", "--restic-password-command", "c") == (
        "nowhere: --restic-password-file and --restic-password-command exclude each other"
    )
    assert cli("config", "show").out.splitlines()[-1] == (
        "the repository's password is taken from restic_password (RESTIC_PASSWORD)"
    )
