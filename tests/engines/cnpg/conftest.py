"""A primary and a replica for the folder, and content worth losing."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path

import cnpg_kit as kit
import pytest
from cnpg_kit import LocalKubernetes, Server, Stored

CONTENT = Path(__file__).with_name("content.sql")


@pytest.fixture(scope="session")
def pristine() -> Iterator[Path]:
    """A data directory as initdb makes it, to copy from."""
    server = kit.Server("template").init()
    yield server.data
    server.remove()


@pytest.fixture(scope="session")
def pair(pristine: Path) -> Iterator[dict[str, Server]]:
    """A primary with a streaming replica, shared; every test leaves them as it found them."""
    primary = kit.Server("pg-1", pristine).start()
    replica = kit.Server("pg-2").follow(primary).start()
    servers = {"pg-1": primary, "pg-2": replica}
    yield servers
    replica.remove()
    primary.remove()


@pytest.fixture(scope="session")
def alone(pristine: Path) -> Iterator[dict[str, Server]]:
    """A primary that nobody follows: half the work for the tests that need no replica."""
    server = kit.Server("pg-1", pristine).start()
    yield {"pg-1": server}
    server.remove()


@pytest.fixture
def fresh(pristine: Path) -> Iterator[Server]:
    """An empty server of the same version."""
    server = kit.Server("fresh", pristine).start()
    yield server
    server.remove()


def wipe(server: Server) -> None:
    """Back to what initdb made."""
    databases = server.psql(
        "SELECT quote_ident(datname) FROM pg_database"
        " WHERE datname NOT IN ('postgres', 'template0', 'template1')"
    )
    server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'guest'")
    for slot in server.psql("SELECT slot_name FROM pg_replication_slots").splitlines():
        server.psql(f"SELECT pg_drop_replication_slot('{slot}')")
    for name in databases.splitlines():
        server.psql(f"ALTER DATABASE {name} IS_TEMPLATE false; DROP DATABASE {name} WITH (FORCE)")
    roles = server.psql("SELECT quote_ident(rolname) FROM pg_roles WHERE oid > 16383")
    for role in roles.splitlines():
        server.psql(f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.fixture
def primary(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The primary of the pair for a test of `api`, else the one that is alone; empty again afterwards."""
    servers: dict[str, Server] = request.getfixturevalue("pair" if "api" in request.fixturenames else "alone")
    yield servers["pg-1"]
    wipe(servers["pg-1"])


@pytest.fixture
def api(pair: dict[str, Server], primary: Server) -> LocalKubernetes:
    """The cluster db/pg of two members, both streaming."""
    kit.caught_up(pair)
    return kit.LocalKubernetes(dict(pair), kit.objects_for(["pg-1", "pg-2"], "pg-1"))


@pytest.fixture
def single(primary: Server) -> LocalKubernetes:
    """The primary as a cluster of one, so that a dump comes from it."""
    return kit.LocalKubernetes({"pg-1": primary}, kit.objects_for(["pg-1"], "pg-1"))


@pytest.fixture
def filled(primary: Server) -> Server:
    """The primary with two databases full of everything PostgreSQL can hold, and weird names."""
    primary.psql(CONTENT.read_text())
    return primary


@pytest.fixture(scope="session")
def cache() -> dict[str, Stored]:
    return {}


@pytest.fixture
def full(
    single: LocalKubernetes, filled: Server, dump: Callable[..., Stored], cache: dict[str, Stored]
) -> Stored:
    """The dump of `filled`. Equal content makes equal bytes, so it is made once."""
    if "full" not in cache:
        cache["full"] = dump(single)
    return cache["full"]


@pytest.fixture
def small(primary: Server) -> Server:
    """The primary with one small database."""
    primary.psql(
        "CREATE ROLE app LOGIN PASSWORD 'x'; CREATE DATABASE app OWNER app STRATEGY file_copy;\n"
        "\\connect app\n"
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one'), (2, 'two');"
        "ALTER TABLE t OWNER TO app"
    )
    return primary


@pytest.fixture
def small_dump(
    request: pytest.FixtureRequest, small: Server, dump: Callable[..., Stored], cache: dict[str, Stored]
) -> Stored:
    """The dump of `small` from its primary, made once as well; a copy of its own for each test."""
    where = "api" if "api" in request.fixturenames else "single"
    api: LocalKubernetes = request.getfixturevalue(where)
    if where not in cache:
        cache[where] = dump(api, instance=1)
        api.execs.clear()
    return copy.deepcopy(cache[where])


@pytest.fixture
def dump() -> Callable[..., Stored]:
    def make(api: LocalKubernetes, *, run: str = "run1", instance: int | None = None) -> Stored:
        from hasteward.ports.context import DumpOptions
        from hasteward_cnpg.plugin import plugin

        sink = kit.MemorySink()
        context = kit.context_for(api, run=run)
        proof = plugin.dump(context, kit.CLUSTER, sink, DumpOptions(instance))
        return kit.stored(sink, proof, run)

    return make
