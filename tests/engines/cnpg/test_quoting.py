"""Whatever a name or a value holds, the server reads back the same."""

# ruff: noqa: S608 - quoting is what is tested

from __future__ import annotations

import json

import pytest
from cnpg_kit import Server
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hasteward.domain.errors import InvalidInput
from hasteward_cnpg.evidence import Lsn
from hasteward_sql.postgresql.facts.quoting import (
    connect,
    conninfo,
    identifier,
    literal,
    set_clause,
    setting_items,
)

texts = st.lists(
    st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=20)
    | st.sampled_from(["'", '"', "\\", "a'b\"c\\d", "--", "/*", "$$", "\n", "E'", "☃ 'x'"]),
    min_size=1,
    max_size=40,
)
SERVER = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.servers
@SERVER
@given(texts)
def test_literals_are_spelled_as_the_server_spells_them(primary: Server, values: list[str]) -> None:
    rows = ", ".join(f"({literal(value)})" for value in values)
    answer = primary.psql(
        f"SELECT json_agg(json_build_array(v, quote_literal(v))) FROM (VALUES {rows}) AS t(v)"
    )

    assert json.loads(answer) == [[value, literal(value)] for value in values]


@pytest.mark.servers
@SERVER
@given(texts)
def test_identifiers_name_what_they_should(primary: Server, values: list[str]) -> None:
    names = [value[:15] for value in values if value]
    columns = ", ".join(f"{number} AS {identifier(name)}" for number, name in enumerate(names))
    if not names:
        return
    answer = primary.psql(f"SELECT json_agg(row_to_json(t)) FROM (SELECT {columns}) t")

    assert list(json.loads(answer, object_pairs_hook=list)[0]) == [(n, i) for i, n in enumerate(names)]


@pytest.mark.servers
def test_connection_strings_reach_the_database_they_name(primary: Server) -> None:
    for name in ("o'brien", "a=b", "back\\slash", 'q"q', "sp  ace", "ü", "x' host='nowhere"):
        primary.psql(f"CREATE DATABASE {identifier(name)} STRATEGY file_copy")

        found = primary.tool("psql", "-XAt", "-d", conninfo(name), "-c", "SELECT current_database()")
        again = primary.tool("psql", "-XqAt", sql=f"{connect(name)}\nSELECT current_database();\n")

        assert (found, again) == (name, name)


def test_zero_bytes_and_empty_names_are_refused() -> None:
    for bad in ("a\0b", ""):
        with pytest.raises(InvalidInput):
            identifier(bad)
    with pytest.raises(InvalidInput, match="pg_dump refuses"):
        connect("two\nlines")
    with pytest.raises(InvalidInput):
        literal("\0")


def test_list_settings_are_split_and_quoted_item_by_item() -> None:
    assert setting_items('"$user", public') == ["$user", "public"]
    assert setting_items('"a ""b"", c", d,e') == ['a "b", c', "d", "e"]
    assert setting_items("") == []
    assert set_clause('search_path="$user", public') == "SET \"search_path\" TO '$user', 'public'"
    assert set_clause("search_path=") == "SET \"search_path\" TO ''"
    assert set_clause("application_name=a, b") == "SET \"application_name\" TO 'a, b'"
    for bad in ('"a', '"a" b'):
        with pytest.raises(ValueError, match=r"name|quote"):
            setting_items(bad)


positions = st.integers(min_value=0, max_value=2**64 - 1)


@given(positions, positions)
def test_positions_sort_and_subtract_like_their_numbers(a: int, b: int) -> None:
    assert Lsn.parse(str(Lsn(a))) == Lsn(a)
    assert (Lsn(a) < Lsn(b)) == (a < b)
    assert Lsn(a) - Lsn(b) == a - b


@pytest.mark.parametrize("text", ["", "0", "/", "0/", "g/0", "123456789/0", "0/0/0", "-1/0", " 0/0", "0/0\n"])
def test_what_is_no_position_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="not a log position"):
        Lsn.parse(text)
