"""What files and answers say, and what they do not."""

from __future__ import annotations

import pytest
from galera_kit import ZERO, U, grastate, gvwstate, node

from hasteward.kit.answers import Answer
from hasteward_galera.evidence import Grastate, Position, View
from hasteward_galera.facts.galera import (
    parse_grastate,
    parse_gvwstate,
    parse_recovered,
    parse_server,
    position,
)


@pytest.mark.parametrize(("uuid", "seqno"), [(ZERO, 5), (ZERO, -1), (U, -1)])
def test_l48_stand_ins_are_no_positions(uuid: str, seqno: int) -> None:
    """An unknown position that was read as 0 lost to others, or beat them."""
    assert position(uuid, seqno) is None


@pytest.mark.parametrize(("uuid", "seqno"), [("67a4", 1), (U, 10**13)])
def test_what_cannot_be_is_an_error(uuid: str, seqno: int) -> None:
    with pytest.raises(ValueError, match=r"is no UUID|cannot be"):
        position(uuid, seqno)


def test_a_state_file_is_read() -> None:
    assert parse_grastate(grastate(U, 26, 1)) == Grastate(U, 26, safe=True, position=Position(U, 26))
    assert parse_grastate(grastate(U, -1, 0)).position is None


@pytest.mark.parametrize("gone", ["uuid", "seqno", "safe_to_bootstrap"])
def test_a_state_file_that_lacks_a_line_is_an_error(gone: str) -> None:
    with pytest.raises(ValueError, match=f"has no {gone}"):
        parse_grastate("\n".join(line for line in grastate().splitlines() if not line.startswith(gone)))


def test_a_view_that_was_not_primary_is_none() -> None:
    assert parse_gvwstate(gvwstate(node(0), node(1)), U) == View(U, frozenset({node(0), node(1)}))
    assert parse_gvwstate(gvwstate(node(0), kind=1), U) is None


def test_the_last_recovered_position_counts() -> None:
    """A log that is appended to repeats those of earlier starts."""
    text = f"WSREP: Recovered position: {U}:50522\nx\nWSREP: Recovered position: {U}:54784,0-1-5\n"

    found = parse_recovered({"recover": Answer(0, text), "view": Answer(1, "")})

    assert (found.position, found.view) == (Position(U, 54784), None)


def test_a_recovery_that_was_skipped_is_an_error() -> None:
    """L50: without Galera's library the server says that it skips it, and exits well."""
    with pytest.raises(ValueError, match="disabled, skipping"):
        parse_recovered({"recover": Answer(0, "WSREP: disabled, skipping position recovery")})


def test_a_server_without_galera_is_no_member() -> None:
    rows = "hasteward_version\t11\nwsrep_on_now\tOFF\nhasteward_end\tok"

    with pytest.raises(ValueError, match="Galera is not on"):
        parse_server(Answer(0, rows))


def test_a_server_that_refuses_says_why() -> None:
    with pytest.raises(ValueError, match="Access denied"):
        parse_server(Answer(1, "ERROR 1045 (28000): Access denied for user 'root'@'localhost'"))
