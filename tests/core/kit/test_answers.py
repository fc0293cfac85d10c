"""The answers of one exec."""

from __future__ import annotations

from hasteward.kit.answers import Answer, split_answers


def test_each_answer_stands_under_its_name_with_its_exit_status() -> None:
    text = "@@ status 2\n{\n\n}\n@@ disk 0\n\n@@ rows 0\nname\t\n  indented\n"

    assert split_answers(text) == {
        "status": Answer(2, "{\n\n}"),
        "disk": Answer(0, ""),
        "rows": Answer(0, "name\t\n  indented"),
    }


def test_what_a_shell_says_before_the_first_answer_is_nobodys() -> None:
    assert split_answers("sh: warning\n@@ disk 0\n/data") == {"disk": Answer(0, "/data")}
    assert split_answers("sh: not found\n") == {}


def test_only_a_whole_line_is_a_mark() -> None:
    """A value may hold what other programs take for the end of a line, and words that look like a mark."""
    text = "@@ name 0\nx\u2028@@ disk 1\x0b@@ disk 2\nsaid @@ disk 3\n@@ disk x\n@@ DISK 4\n"

    assert split_answers(text) == {"name": Answer(0, text.removeprefix("@@ name 0\n").strip("\n"))}


def test_an_answer_that_is_cut_off_is_the_last_one() -> None:
    assert split_answers("@@ one 0\n1\n@@ tw") == {"one": Answer(0, "1\n@@ tw")}
