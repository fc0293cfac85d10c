from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hasteward.config.settings import SETTINGS


def rows(cli: Any, *argv: str) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in cli("config", "show", *argv, "--output", "json").data["settings"]}


def test_every_setting_is_there_with_its_origin(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.toml"
    path.write_text('cluster = "box"\n')
    monkeypatch.setenv("HASTEWARD_CONFIG", str(path))
    monkeypatch.setenv("HASTEWARD_ENGINE", "toy")

    found = rows(cli, "-n", "db")

    assert list(found) == [setting.name for setting in SETTINGS]
    where = {
        name: (found[name]["value"], found[name]["origin"], found[name]["place"])
        for name in ("namespace", "engine", "cluster", "stall_timeout", "keep_old")
    }
    assert where == {
        "namespace": ("db", "flag", "--namespace"),
        "engine": ("toy", "environment", "HASTEWARD_ENGINE"),
        "cluster": ("box", "file", str(path)),
        "stall_timeout": (300.0, "default", ""),
        "keep_old": (True, "default", ""),
    }


def test_secrets_are_hidden_in_every_form(cli: Any) -> None:
    assert rows(cli)["restic_password"]["value"] == "***"
    for form in ("human", "json", "jsonl"):
        done = cli("config", "show", "--restic-password", "very secret", "--output", form)
        assert "***" in done.out
        assert "very secret" not in done.out + done.err
        assert "open sesame" not in done.out + done.err


def test_the_text_shows_values_as_they_are_written(cli: Any) -> None:
    out = cli("config", "show", "--stall-timeout", "30", "--database", "a", "--database", "b").out

    lines = {line.split()[0]: line.split()[1:] for line in out.splitlines()[1:]}
    assert out.startswith("file: none\n")
    assert lines["stall_timeout"] == ["30", "flag", "--stall-timeout"]
    assert lines["keep_old"] == ["true", "default"]
    assert lines["database"] == ["a,", "b", "flag", "--database"]
    assert lines["cluster"] == ["-", "default"]


def test_a_file_with_an_unknown_key_is_three(cli: Any, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('namespaces = "db"\n')

    done = cli("config", "show", "--config", str(path))

    assert done.code == 3
    assert "did you mean 'namespace'?" in done.err


def test_a_file_that_others_can_read_is_warned_about(cli: Any, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('restic_password = "hush hush"\n')
    path.chmod(0o644)

    done = cli("config", "show", "--config", str(path), "--output", "json")

    assert [warning["code"] for warning in done.envelope["warnings"]] == ["config.exposed"]
    assert "hush" not in done.out + done.err
