"""Options that an engine brings: on the command line, in the environment, in the file, and into its hooks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hasteward import EngineSpec, hookimpl
from hasteward.domain.capability import Capability, DumpLayout, EngineInfo, Supported
from hasteward.domain.option import Kind, OptionSpec, Value
from hasteward.domain.report import Authority, TriageReport
from hasteward.hookspecs import ENGINE_GROUP
from hasteward.plugins import load


@dataclass
class Optional(EngineSpec):
    """An engine with options, which remembers what it was given."""

    name: str
    specs: tuple[OptionSpec, ...]
    given: list[Mapping[str, Value]] = field(default_factory=list)
    via: list[Any] = field(default_factory=list)
    can_via: bool = False

    @hookimpl
    def info(self) -> EngineInfo:
        return EngineInfo(
            self.name, "it has options", capabilities={Capability.TRIAGE: Supported()}, via=self.can_via
        )

    @hookimpl
    def options(self) -> tuple[OptionSpec, ...]:
        return self.specs

    @hookimpl
    def layout(self, options: Mapping[str, Value]) -> DumpLayout:
        return DumpLayout(f"{options['db_type']}.sql", "text-1")

    @hookimpl
    def triage(self, context: Any, cluster: Any) -> TriageReport:
        self.given.append(dict(context.options))
        self.via.append(context.via)
        return TriageReport(cluster, Authority.PROVABLE, "it said so", (), ())


@dataclass(frozen=True)
class Entry:
    name: str
    what: Any
    group: str = ENGINE_GROUP

    @property
    def value(self) -> str:
        return f"{self.name}_module"

    def load(self) -> Any:
        return self.what


DB_TYPE = OptionSpec("db_type", "Kind of database.", Kind.CHOICE, choices=("pg", "my"), default="pg")
TOKEN = OptionSpec("token", "What opens it.", metavar="TOKEN", secret=True)
SLOW = OptionSpec("slow", "Take your time.", Kind.BOOLEAN, default=False, verbs=("restore",))
ONE = ("triage", "-e", "one", "-n", "db", "-c", "box")


@pytest.fixture
def one(cli: Any) -> Optional:
    engine = Optional("one", (DB_TYPE, TOKEN, SLOW), can_via=True)
    cli.entries = [Entry("one", engine)]
    return engine


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> Path:
    path = Path(os.environ["HOME"], ".config", "hasteward", "config.toml")
    path.parent.mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(path.parents[1]))
    return path


def test_flag_then_environment_then_file_then_default(
    cli: Any, one: Optional, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli(*ONE).code == 0
    config.write_text('db_type = "my"\n')
    assert cli(*ONE).code == 0
    monkeypatch.setenv("HASTEWARD_DB_TYPE", "pg")
    assert cli(*ONE).code == 0
    assert cli(*ONE, "--db-type", "my").code == 0
    assert [given["db_type"] for given in one.given] == ["pg", "my", "pg", "my"]
    assert one.given[0] == {"db_type": "pg", "token": None}


def test_config_show_says_where_an_option_came_from_and_hides_a_secret(
    cli: Any, one: Optional, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HASTEWARD_TOKEN", "hush hush")
    done = cli("config", "show", "--output", "json")
    rows = {row["name"]: (row["value"], row["origin"], row["place"]) for row in done.data["settings"]}
    assert rows["token"] == ("***", "environment", "HASTEWARD_TOKEN")
    assert rows["db_type"] == ("pg", "default", "")
    assert rows["slow"] == (False, "default", "")
    assert "hush hush" not in done.out + done.err


def test_a_wrong_value_a_file_of_another_kind_and_an_unknown_key_are_refused(
    cli: Any, one: Optional, config: Path
) -> None:
    assert cli(*ONE, "--db-type", "ora").code == 3
    config.write_text("db_type = 5\n")
    done = cli(*ONE)
    assert (done.code, "text in quotes" in done.err) == (3, True)
    config.write_text('db_tipe = "my"\n')
    done = cli("get", "backups", "--backups-path", "/x")
    assert (done.code, "did you mean 'db_type'?" in done.err) == (3, True)
    assert one.given == []


def test_what_has_not_the_form_of_a_place_is_refused_and_repeated_nowhere(
    cli: Any, config: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where a place is asked for, somebody gives the secret itself."""
    place = OptionSpec("token_from", "where it is", metavar="SOURCE", form=r"(file|secret):.+")
    engine = Optional("one", (place,))
    cli.entries = [Entry("one", engine)]
    forms = ("-v", "--output", "json", "--log-format", "json", "--report", str(tmp_path / "report"))
    said = [cli(*ONE, "--token-from", "hush hush", *forms)]
    monkeypatch.setenv("HASTEWARD_TOKEN_FROM", "hush hush")
    said.append(cli(*ONE, *forms))
    monkeypatch.delenv("HASTEWARD_TOKEN_FROM")
    config.write_text('token_from = "hush hush"\n')
    said.append(cli(*ONE, *forms))

    assert [done.code for done in said] == [3, 3, 3]
    assert "hush" not in "".join(done.out + done.err for done in said)
    assert "the value given is not a SOURCE as it has to be: where it is" in said[0].err + said[0].out
    assert engine.given == []
    config.write_text('token_from = "file:/x"\n')
    assert cli(*ONE).code == 0


def test_a_key_for_an_engine_does_not_disturb_a_verb_without_engine(
    cli: Any, one: Optional, config: Path
) -> None:
    config.write_text('db_type = "my"\n')
    assert cli("get", "backups", "--backups-path", "/x").code == 0


def test_help_shows_the_options_of_the_verbs_they_are_for(cli: Any, one: Optional) -> None:
    triage, restore = cli("triage", "--help").out, cli("restore", "--help").out
    assert ("--db-type" in triage, "--slow" in triage) == (True, False)
    assert ("--db-type" in restore, "--slow" in restore) == (True, True)
    assert "--db-type" not in cli("get", "backups", "--help").out


def test_engines_may_share_a_name_and_each_reads_it_its_own_way(cli: Any, one: Optional) -> None:
    number = OptionSpec("token", "How many.", Kind.INTEGER, default=3)
    two = Optional("two", (number,))
    cli.entries = [Entry("one", one), Entry("two", two)]
    assert cli("triage", "-e", "two", "-n", "db", "-c", "box", "--token", "7").code == 0
    assert cli("triage", "-e", "two", "-n", "db", "-c", "box", "--token", "many").code == 3
    assert cli(*ONE, "--token", "many").code == 0
    assert (one.given[0]["token"], two.given) == ("many", [{"token": 7}])


def test_an_option_of_another_engine_is_refused_by_name(cli: Any, one: Optional) -> None:
    cli.entries.append(Entry("two", Optional("two", ())))
    done = cli("triage", "-e", "two", "-n", "db", "-c", "box", "--db-type", "pg")
    assert (done.code, done.err) == (3, "error: --db-type is an option of engine one, not of two\n")


@pytest.mark.parametrize(
    ("specs", "reason"),
    [
        ((OptionSpec("engine", "?"),), "the name of one of hasteward's own settings"),
        ((OptionSpec("Db-Type", "?"),), "is not named in small letters"),
        ((TOKEN, TOKEN), "declares option 'token' twice"),
        ((OptionSpec("db_type", "?", Kind.CHOICE),), "has choices and another kind"),
        ((OptionSpec("a", "?", Kind.CHOICE, choices=("x",), default="y"),), "none of its choices"),
        ((OptionSpec("token", "?", Kind.LIST),), "is list here and text for engine one"),
    ],
)
def test_options_that_cannot_be_had_cost_their_engine_its_place(
    specs: tuple[OptionSpec, ...], reason: str
) -> None:
    found = load(
        [Entry("one", Optional("one", (TOKEN,))), Entry("two", Optional("two", specs))], reserved={"engine"}
    )
    assert list(found.engines) == ["one"]
    assert reason in found.broken[0].reason


def test_via_is_for_engines_that_can_do_without_kubernetes(cli: Any, one: Optional) -> None:
    assert cli(*ONE, "--via", "").code == 0
    assert cli(*ONE, "--via", "ssh -p 22 'my host'").code == 0
    assert [str(via) for via in one.via] == ["this host", "ssh -p 22 my host"]
    assert (cli.connected, one.via[1].prefix) == (0, ("ssh", "-p", "22", "my host"))
    cli.entries.append(Entry("two", Optional("two", ())))
    done = cli("triage", "-e", "two", "-n", "db", "-c", "box", "--via", "")
    assert (done.code, "works through Kubernetes only" in done.err) == (3, True)
    assert "cannot be split into words" in cli(*ONE, "--via", "it's").err


def test_the_engine_names_file_and_format_by_its_options() -> None:
    engine = load([Entry("one", Optional("one", (DB_TYPE,)))]).engines["one"]
    assert engine.layout({"db_type": "my"}) == DumpLayout("my.sql", "text-1")
