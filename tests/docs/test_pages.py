"""Every command that a page shows is one that the real command line understands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from hasteward import plugins
from hasteward.cli import parser
from hasteward_lab import cli as lab

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    if "reference" not in path.parts  # made from the command line itself
)
BLOCK = re.compile(r"^```(console|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(hasteward -?[a-z][^`]*)`")
#: programs of others that pages show: nothing here can say whether their arguments are right
NOT_OURS = {
    "[", "base64", "cat", "cd", "exit", "export", "grep", "head", "jq", "kubectl", "logger", "mail", "make",
    "mkdir", "pass", "pip", "psql", "pytest", "read", "restic", "rm", "umask", "zcat",
}  # fmt: skip
SHELL = {"if", "then", "else", "fi", "case", "in", "esac", "while", "do", "done", "!", "sudo"}
#: inline: the name of a group, or a way of speaking of a command and not the command
SPOKEN = {"hasteward get", "hasteward config", "hasteward lab", "hasteward lab exec"}


def shown(page: Path) -> Iterator[str]:
    """Every line of shell in the page's blocks, continued lines joined, without prompts and output."""
    for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        lines = text.replace("\\\n> ", " ").replace("\\\n", " ").splitlines()
        yield from (line[2:] for line in lines if line.startswith("$ ")) if kind == "console" else lines


def commands(line: str) -> Iterator[list[str]]:
    """The simple commands of a line of shell: assignments, redirections and reserved words taken off."""
    lexer = shlex.shlex(line.replace("`", " "), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    skip = False
    for token in [*lexer, ";"]:
        if skip:
            skip = False
        elif token and set(token) <= set("();&|"):
            while words and (words[0] in SHELL or re.match(r"\w+=", words[0])):
                words.pop(0)
            if words:
                yield words
            words = []
        elif token and set(token) <= set("<>&"):
            skip = True
            if words and words[-1].isdigit():  # 2> file
                words.pop()
        else:
            words.append(token)


def understood(words: list[str]) -> None:
    """Raise if the command line does not know what is asked."""
    found = plugins.load(plugins.installed_entry_points())
    asked = parser.parse(words, lambda: found)
    if isinstance(asked, parser.Contributed):
        assert asked.spec.name == "lab"
        lab._parser().parse_args(asked.arguments)


def problem(words: list[str]) -> str:
    """What is wrong with a simple command, "" if nothing."""
    if words[0] in NOT_OURS:
        return ""
    if words[0] != "hasteward":
        return f"{words[0]}: is it ours to check? If not, add it to NOT_OURS"
    try:
        understood([word for word in words[1:] if word != "..."])
    except (parser.UsageProblem, SystemExit) as error:
        return f"{shlex.join(words)}: {getattr(error, 'message', error)}"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_is_understood(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for line in shown(page) if line.strip()]
    spoken = [line for line in INLINE.findall(page.read_text(encoding="utf-8")) if line not in SPOKEN]

    found = [problem(words) for line in [*lines, *spoken] for words in commands(line)]

    assert [text for text in found if text] == [], capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("hasteward triage -e cnpg -c pg -n db", ""),
        ("hasteward lab exec pg-1 -- psql -c 'SELECT 1'", ""),
        ("x=$(hasteward get backups --output json | jq .data)", ""),
        ("hasteward triage --frce", "frce"),
        ("hasteward prune", "prune"),
        ("hasteward lab brake stop pg-3", "2"),
        ("if ! hasteward version > /dev/null; then rm -r x; fi", ""),
        ("unheard of", "NOT_OURS"),
    ],
)
def test_a_command_that_is_not_understood_is_found(line: str, complaint: str) -> None:
    found = "".join(problem(words) for words in commands(line))

    assert complaint in found
    assert bool(complaint) == bool(found)
