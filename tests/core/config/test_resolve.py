from __future__ import annotations

from pathlib import Path

import pytest

from hasteward.config.file import read
from hasteward.config.resolve import Origin, Settings, resolve
from hasteward.config.settings import BY_NAME, SETTINGS, Kind
from hasteward.domain.errors import InvalidInput


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text('engine = "from-file"\nstall_timeout = 30\nkeep_old = false\n')
    return path


def one(name: str, given: dict[str, str | bool] | None = None, env: dict[str, str] | None = None) -> Settings:
    return resolve([name], given or {}, env or {})


@pytest.mark.parametrize(
    ("flag", "env", "in_file", "expected", "origin"),
    [
        ("a", "b", True, "a", Origin.FLAG),
        ("a", None, False, "a", Origin.FLAG),
        (None, "b", True, "b", Origin.ENVIRONMENT),
        (None, "b", False, "b", Origin.ENVIRONMENT),
        (None, "", True, "from-file", Origin.FILE),
        (None, None, True, "from-file", Origin.FILE),
        (None, None, False, "", Origin.DEFAULT),
        (None, "", False, "", Origin.DEFAULT),
    ],
)
def test_flag_over_environment_over_file_over_default(
    flag: str | None, env: str | None, in_file: bool, expected: str, origin: Origin, file: Path
) -> None:
    environ = {} if env is None else {"HASTEWARD_ENGINE": env}
    if in_file:
        environ["HASTEWARD_CONFIG"] = str(file)

    settings = resolve(["engine"], {"engine": flag}, environ)

    assert settings.text("engine") == expected
    assert settings.resolved("engine").origin is origin


@pytest.mark.parametrize(
    ("flag", "env", "in_file", "expected"),
    [
        (None, None, False, True),
        (None, None, True, False),
        (True, None, True, True),
        (False, None, False, False),
    ],
)
def test_precedence_holds_for_booleans(
    flag: bool | None, env: str | None, in_file: bool, expected: bool, file: Path
) -> None:
    environ = {"HASTEWARD_CONFIG": str(file)} if in_file else {}

    assert resolve(["keep_old"], {"keep_old": flag}, environ).flag("keep_old") is expected


def test_the_place_says_which_one_it_was(file: Path) -> None:
    assert one("engine", {"engine": "x"}).resolved("engine").place == "--engine"
    assert one("engine", env={"HASTEWARD_ENGINE": "x"}).resolved("engine").place == "HASTEWARD_ENGINE"
    assert one("engine", env={"HASTEWARD_CONFIG": str(file)}).resolved("engine").place == str(file)


def test_the_first_variable_wins() -> None:
    both = {"RESTIC_PASSWORD": "first", "HASTEWARD_RESTIC_PASSWORD": "second"}
    assert one("restic_password", env=both).text("restic_password") == "first"
    both.pop("RESTIC_PASSWORD")
    assert one("restic_password", env=both).text("restic_password") == "second"


@pytest.mark.parametrize("word", ["1", "t", "T", "true", "TRUE", "yes", "on"])
def test_words_that_mean_yes(word: str) -> None:
    assert one("force", env={"HASTEWARD_FORCE": word}).flag("force") is True


@pytest.mark.parametrize("word", ["0", "f", "F", "false", "no", "off", ""])
def test_words_that_mean_no(word: str) -> None:
    assert one("force", env={"HASTEWARD_FORCE": word}).flag("force") is False


@pytest.mark.parametrize("word", ["2", "maybe", "truth", "y e s"])
def test_any_other_word_is_an_error(word: str) -> None:
    with pytest.raises(InvalidInput, match="HASTEWARD_FORCE"):
        one("force", env={"HASTEWARD_FORCE": word})


@pytest.mark.parametrize(("value", "expected"), [("1", True), ("please", True), ("0", True), ("", False)])
def test_no_color_follows_its_own_convention(value: str, expected: bool) -> None:
    assert one("no_color", env={"NO_COLOR": value}).flag("no_color") is expected


@pytest.mark.parametrize("text", ["abc", "-1", "1.5", "", " 1", "٣"])
def test_an_instance_is_a_whole_number(text: str) -> None:
    with pytest.raises(InvalidInput, match="--instance"):
        one("instance", {"instance": text})


@pytest.mark.parametrize("text", ["0", "-5", "nan", "inf", "ten", ""])
def test_a_deadline_is_a_number_above_zero(text: str) -> None:
    with pytest.raises(InvalidInput, match="--stall-timeout"):
        one("stall_timeout", {"stall_timeout": text})


def test_values_of_other_verbs_are_not_looked_at() -> None:
    assert one("engine", env={"HASTEWARD_INSTANCE": "abc"}).text("engine") == ""


def test_the_default_file_is_read_when_it_exists(tmp_path: Path) -> None:
    folder = tmp_path / "hasteward"
    folder.mkdir()
    (folder / "config.toml").write_text('cluster = "box"\n')

    settings = one("cluster", env={"XDG_CONFIG_HOME": str(tmp_path)})

    assert settings.text("cluster") == "box"
    assert read("", {"HOME": str(tmp_path)}).path is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('back_path = "x"', "backups_path"),
        ('Engine = "x"', "engine"),
        ('restic-password = "hush"', "restic_password"),
        ("zzzzzzzz = 1", "zzzzzzzz"),
        ("force = true", "force"),
        ("engine = 3", "engine"),
        ("keep_old = 1", "keep_old"),
        ("stall_timeout = true", "stall_timeout"),
        ('output = "xml"', "human, json, jsonl"),
        ("engine = ", "not TOML"),
    ],
)
def test_a_file_that_is_wrong_is_an_error(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)

    with pytest.raises(InvalidInput, match=words) as caught:
        read(str(path), {})

    assert str(path) in caught.value.message
    assert "hush" not in caught.value.message


def test_a_broken_file_is_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('restic_password = "hush hush"hush\n')

    with pytest.raises(InvalidInput) as caught:
        read(str(path), {})

    assert "hush" not in caught.value.message
    assert "line 1" in caught.value.message


def test_a_secret_of_the_wrong_type_is_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("restic_password = 123456\n")

    with pytest.raises(InvalidInput) as caught:
        read(str(path), {})

    assert "123456" not in caught.value.message


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="does not exist"):
        one("engine", env={"HASTEWARD_CONFIG": str(tmp_path / "none")})


@pytest.mark.parametrize(("mode", "exposed"), [(0o600, False), (0o640, True), (0o604, True)])
def test_a_file_with_a_secret_that_others_can_read_is_noticed(
    mode: int, exposed: bool, tmp_path: Path
) -> None:
    path = tmp_path / "config.toml"
    path.write_text('restic_password = "hush"\n')
    path.chmod(mode)

    assert read(str(path), {}).exposed is exposed


def test_a_secret_is_never_shown() -> None:
    resolved = one("restic_password", {"restic_password": "hush"}).resolved("restic_password")

    assert resolved.shown == "***"
    assert one("restic_password").resolved("restic_password").shown is None


def test_the_table_is_consistent() -> None:
    shorts = [setting.short for setting in SETTINGS if setting.short]
    variables = [name for setting in SETTINGS for name in setting.env]

    assert len(shorts) == len(set(shorts))
    assert len(variables) == len(set(variables))
    assert len(BY_NAME) == len(SETTINGS)
    for setting in SETTINGS:
        assert setting.help.endswith(".")
        assert bool(setting.choices) is (setting.kind is Kind.CHOICE or setting.name == "hook_verbs")
        assert setting.has_flag or (setting.env and setting.in_file and not setting.common)
        assert setting.short != "-o" or setting.name == "file"


@pytest.mark.parametrize("text", ["backup,triage", " backup , triage,"])
def test_a_list_in_a_variable_is_separated_by_commas(text: str) -> None:
    assert one("hook_verbs", env={"HASTEWARD_HOOK_VERBS": text}).items("hook_verbs") == ("backup", "triage")


def test_a_list_and_a_command_in_the_file_are_lists_of_texts(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('hook_verbs = ["backup"]\npre_hook = ["/bin/a b", "c"]\npost_hook = "/bin/d \'e f\'"\n')

    settings = resolve(["hook_verbs", "pre_hook", "post_hook"], {}, {"HASTEWARD_CONFIG": str(path)})

    assert settings.items("hook_verbs") == ("backup",)
    assert settings.items("pre_hook") == ("/bin/a b", "c")
    assert settings.items("post_hook") == ("/bin/d", "e f")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('hook_verbs = ["backup", "repiar"]', "'repiar' is not one of triage, repair"),
        ('hook_verbs = "backup"', "a list of texts in quotes"),
        ("pre_hook = [1]", "a list of texts in quotes"),
        ("pre_hook = true", "a list of texts in quotes"),
    ],
)
def test_a_list_that_is_wrong_is_an_error(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)

    with pytest.raises(InvalidInput, match=words):
        read(str(path), {})


def test_a_setting_without_a_flag_is_named_by_its_variable() -> None:
    assert BY_NAME["ping_url"].flag == ""
    assert BY_NAME["ping_url"].ways == "HASTEWARD_PING_URL"
