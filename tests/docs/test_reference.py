"""The reference is made from the code, so it says what the code does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hasteward.cli.main import main
from hasteward.cli.render.shapes import DATA
from hasteward.domain.errors import ExitCode

ROOT = Path(__file__).parents[2]


def test_the_reference_is_current() -> None:
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("generate"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_the_readme_lists_every_exit_code() -> None:
    section = (
        (ROOT / "README.md").read_text(encoding="utf-8").partition("## Exit codes")[2].partition("##")[0]
    )

    assert [int(status) for status in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)] == list(ExitCode)


@pytest.mark.parametrize("command", ["version", "engines", "config show"])
def test_an_answer_has_the_fields_of_its_schema(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = ROOT / "docs" / "reference" / "schema" / f"{command.replace(' ', '-')}.json"
    schema = json.loads(path.read_text(encoding="utf-8"))

    assert command in DATA
    assert main([*command.split(), "--output", "json"]) == 0

    answer = json.loads(capsys.readouterr().out)
    assert list(answer) == list(schema["properties"])
    assert list(answer["data"]) == list(schema["$defs"]["Data"]["properties"])
