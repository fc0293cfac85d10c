"""Every refusal of the core and of the engines names its evidence, its rule and the next command.

The table is `docs/reference/refusals.md`, made from the code: a refusal that is added is a row of it, or
`test_the_reference_is_current` fails.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hasteward.cli.run import failed
from hasteward.domain.errors import Refused
from hasteward.pipelines.gates import Rule

ROOT = Path(__file__).parents[2]
LIST = """
import dataclasses, json, sys
sys.path.insert(0, sys.argv[1])
import refusals
print(json.dumps([dataclasses.asdict(row) for row in refusals.rows()]))
"""


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    """In a process of its own: the generator is a program, and its modules have common names."""
    folder = str(Path(__file__).with_name("generate"))
    done = subprocess.run([sys.executable, "-c", LIST, folder], capture_output=True, text=True, check=True)
    found: list[dict[str, str]] = json.loads(done.stdout)
    return found


def words(text: str) -> str:
    """What is there before anything is filled in."""
    return text.replace("…", "").strip(" /;,.:-")


def test_every_refusal_names_evidence_rule_and_next_command(rows: list[dict[str, str]]) -> None:
    wanting = [
        row["place"]
        for row in rows
        if "…" in row["code"]
        or "." not in row["code"]
        or len(words(row["message"])) < 15
        or len(words(row["hint"])) < 5
    ]

    assert wanting == []
    assert len(rows) > 150


def test_no_refusal_is_only_its_rule(rows: list[dict[str, str]]) -> None:
    """Evidence is what was found, so it is filled in; of these few the code itself tells what was found."""
    bare = {row["code"] for row in rows if "…" not in row["message"]}

    assert bare == {
        "escrow.no_repository",
        "gate.yes",
        "lease.none",
        "plan.hibernated",
        "plan.retention",
        "restore.databases",
        "restore.galera",
        "restore.hibernated",
        "restore.operator",
        "restore.read_only",
    }


def test_every_gate_and_every_distribution_is_in_the_table(rows: list[dict[str, str]]) -> None:
    gates = {row["code"].removeprefix("gate.") for row in rows if row["code"].startswith("gate.")}

    # one is the mistake of naming a member that is none, and no refusal
    assert set(Rule) <= gates
    assert {row["where"] for row in rows} == {"core", "cnpg", "galera", "sql", "standalone", "vault"}


def test_every_refusal_reads_the_same_for_people_and_for_machines(
    rows: list[dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    for row in rows:
        refusal = Refused(row["message"], hint=row["hint"], code=row["code"])
        assert failed(refusal, ["repair"]) == 21
        told = capsys.readouterr()
        assert told.out == ""
        assert (row["message"] in told.err, f"next: {row['hint']}" in told.err) == (True, True), told.err

        assert failed(refusal, ["repair", "--output", "json"]) == 21
        (error,) = json.loads(capsys.readouterr().out)["errors"]
        assert error == {
            "code": row["code"],
            "category": "safety",
            "message": row["message"],
            "hint": row["hint"],
            "retryable": False,
        }
