"""A lab with data, a repository, and hasteward as a person runs it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hasteward_lab.conformance import Hasteward, cheap_repository, copied
from hasteward_lab.lab import Lab

ENGINE = ("-e", "cnpg", "-c", "pg", "-n", "db")

SEED = """
CREATE ROLE clerk LOGIN PASSWORD 'not-a-secret';
CREATE TABLE orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text, at timestamptz
);
INSERT INTO orders (body, at)
  SELECT md5(n::text) || md5((-n)::text) || repeat(md5((n % 97)::text), 4),
    timestamptz '2026-01-01' + n * interval '1 minute'
  FROM generate_series(1, 60000) n;
GRANT SELECT ON orders TO clerk;
"""


@pytest.fixture(scope="package")
def lab() -> Iterator[Lab]:
    """One lab with data for all scenarios; tests leave it as they found it, and it ends with the folder."""
    with Lab.up(volume_size="768Mi", time_scale=0.1) as running:
        running.psql(running.primary, SEED, "app")
        running.psql(running.primary, "CREATE DATABASE ledger")
        running.psql(running.primary, "CREATE TABLE t AS SELECT generate_series(1, 1000) AS n", "ledger")
        yield running


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty repository to copy."""
    return cheap_repository(tmp_path_factory.mktemp("template") / "repository")


@pytest.fixture
def make_hasteward(lab: Lab, tmp_path: Path) -> Callable[[], Hasteward]:
    """A command line with a repository path of its own that does not exist yet."""

    def make() -> Hasteward:
        folder = tmp_path / secrets.token_hex(3)
        folder.mkdir()
        return Hasteward.on(lab, folder)

    return make


@pytest.fixture
def hasteward(make_hasteward: Callable[[], Hasteward], template: Path) -> Iterator[Hasteward]:
    """A command line with an empty repository of its own."""
    with copied(template, make_hasteward()) as tool:
        yield tool


@pytest.fixture
def where() -> tuple[str, ...]:
    """The flags that name the lab's cluster."""
    return ENGINE


@pytest.fixture
def left_running(lab: Lab) -> Callable[[Hasteward], list[str]]:
    """What still runs on behalf of hasteward: here (by the repository's path) and in the pods."""
    return lambda tool: tool.left_running(lab)


@pytest.fixture
def nothing_left(lab: Lab) -> Callable[[Hasteward], None]:
    """Assert that nothing of ours runs any more, within the ten seconds that are promised."""
    return lambda tool: tool.leaves_nothing_running(lab)
