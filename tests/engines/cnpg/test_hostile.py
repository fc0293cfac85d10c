"""A dump is SQL that somebody else wrote, and a database may lie in wait: nothing of it runs as superuser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cnpg_kit import CLUSTER, LocalKubernetes, Server, Stored, context_for, plan_of, reporter_of, restore

from hasteward.domain.errors import Refused, RunFailed
from hasteward.ports.context import RestoreOptions
from hasteward.streams.proof import Algorithm, new_digest
from hasteward_cnpg.plugin import plugin

pytestmark = pytest.mark.servers

Dump = Callable[..., Stored]
HOSTILE = Path(__file__).with_name("hostile.sql")
LINE = re.compile(r"HOSTILE (.+) (\S+) ([tf])$", re.MULTILINE)


@dataclass
class Ran:
    """What hostile code did since the last look: in the server's log, and in the files it tried to write."""

    server: Server
    seen: int = 0

    def __post_init__(self) -> None:
        self.look()

    def look(self) -> tuple[set[str], set[str]]:
        """The tags that ran as superuser, and those that ran as anybody else."""
        text = (self.server.folder / "log").read_text(errors="replace")
        found = LINE.findall(text[self.seen :])
        self.seen = len(text)
        for path in self.server.folder.rglob("hostile-*"):
            found.append((path.name, "", "t"))
            path.unlink()
        owned = self.server.data / "owned"
        if owned.exists():
            found += [(line, "", "t") for line in owned.read_text().splitlines()]
            owned.unlink()
        return {tag for tag, _, may in found if may == "t"}, {tag for tag, _, may in found if may == "f"}


@pytest.fixture
def hostile(primary: Server) -> Iterator[Server]:
    primary.psql(HOSTILE.read_text())
    primary.psql("GRANT CREATE ON SCHEMA public TO mallory")
    shadows = re.sub(r"s\.act", "public.act", HOSTILE.read_text().partition("-- shadows")[2])
    act = HOSTILE.read_text().partition("CREATE FUNCTION s.act")[2].partition("CREATE FUNCTION")[0]
    primary.psql(
        "SET SESSION AUTHORIZATION mallory; CREATE FUNCTION public.act"
        + act
        + shadows.partition("ALTER DATABASE")[0].partition("\n")[2]
    )
    primary.psql("ALTER DATABASE postgres SET search_path = public, pg_catalog")
    yield primary
    primary.psql("ALTER DATABASE postgres RESET search_path")
    primary.psql("REVOKE CREATE ON SCHEMA public FROM mallory")


def test_nothing_of_a_hostile_database_runs_as_superuser(
    single: LocalKubernetes, hostile: Server, dump: Dump
) -> None:
    ran = Ran(hostile)
    hostile.psql("SELECT pg_is_in_recovery()")
    assert ran.look()[0], "what lies in wait does catch a careless superuser"

    plugin.triage(context_for(single), CLUSTER)
    source = dump(single)
    assert ran.look() == (set(), set())

    before = hostile.dump_of("hostile")
    hostile.psql("ALTER DATABASE hostile RENAME TO gone")
    hostile.psql("SET session_replication_role = replica; DROP DATABASE gone WITH (FORCE)")
    ran.look()
    restore(single, source)

    as_superuser, as_others = ran.look()
    assert as_superuser == set()
    assert {"check", "domain", "generated", "index", "exclude", "matview", "predicate"} <= as_others
    assert {"check of the superuser", "index of the superuser"} <= as_others
    assert hostile.dump_of("hostile") == before
    assert not hostile.psql("SELECT rolname FROM pg_roles WHERE rolname ~ '^hasteward'")


def test_as_superuser_is_what_its_name_says(single: LocalKubernetes, hostile: Server, dump: Dump) -> None:
    hostile.psql(
        "CREATE EVENT TRIGGER watch ON ddl_command_start EXECUTE FUNCTION s.watch();"
        " ALTER EVENT TRIGGER watch ENABLE ALWAYS".replace("CREATE EVENT", _WATCH + "CREATE EVENT", 1),
        "hostile",
    )
    source = dump(single)
    before = hostile.dump_of("hostile")
    ran = Ran(hostile)

    with pytest.raises(
        Refused, match="holds what only a superuser can create: event trigger watch"
    ) as caught:
        restore(single, source)
    assert "--as-superuser" in caught.value.hint
    assert ran.look() == (set(), set())
    context = context_for(single, run="run3", minute=3)
    plugin.restore(context, CLUSTER, source, RestoreOptions(as_superuser=True, keep_old=False))

    assert "check" in ran.look()[0]
    assert hostile.dump_of("hostile") == before
    assert "restore.as_superuser" in reporter_of(context).warnings()
    assert any(note.startswith("AS SUPERUSER") for note in plan_of(context).notes)


_WATCH = (
    "SET role = none; CREATE FUNCTION s.watch() RETURNS event_trigger LANGUAGE plpgsql"
    " AS $$BEGIN PERFORM s.act('event'); END$$; ALTER FUNCTION s.watch() OWNER TO mallory;"
)


def forged(source: Stored, payload: str) -> Stored:
    """A dump whose author could write what he likes into the content, and its digest too."""
    section = source.manifest.section("database:app")
    assert section is not None
    text = source.section_text("database:app")
    mark = "SET default_table_access_method"
    content = text.replace(mark, f"{payload}\n{mark}", 1).encode()
    assert content.decode() != text
    digest = new_digest(Algorithm(section.algorithm))
    digest.update(content)
    made = replace(section, length=len(content), digest=digest.hexdigest())
    grown = len(content) - section.length
    sections = tuple(
        made if s is section else replace(s, offset=s.offset + (grown if s.offset > section.offset else 0))
        for s in source.manifest.sections
    )
    end = section.offset + section.length
    data = source.data[: section.offset] + content + source.data[end:]
    return replace(source, data=data, manifest=replace(source.manifest, sections=sections))


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (r"\! touch hostile-shell", "backslash commands are restricted"),
        ("\\unrestrict run1\n\\! touch hostile-unrestricted", "wrong key"),
        (r"\connect postgres postgres", "backslash commands are restricted"),
        ("COPY (SELECT 1) TO PROGRAM 'touch hostile-copy';", "must be superuser"),
        ("SET SESSION AUTHORIZATION postgres;", "permission denied"),
        ("SET ROLE postgres;", "permission denied"),
        ("ALTER ROLE CURRENT_USER SUPERUSER;", "must be superuser"),
        ("SELECT pg_read_file('PG_VERSION');", "permission denied"),
        ("UPDATE pg_catalog.pg_extension SET extowner = 10;", "permission denied"),
    ],
)
def test_a_forged_dump_gets_nothing_but_an_error(
    single: LocalKubernetes, small: Server, dump: Dump, stem: dict[str, Stored], payload: str, words: str
) -> None:
    ran = Ran(small)
    if "source" not in stem:
        stem["source"] = dump(single)

    with pytest.raises(RunFailed, match=words) as caught:
        restore(single, forged(stem["source"], payload))

    assert "--as-superuser" in caught.value.hint
    assert ran.look() == (set(), set())
    assert small.psql("SELECT id FROM t ORDER BY 1", "app") == "1\n2"
    assert not small.psql("SELECT datname FROM pg_database WHERE datname ~ '^hasteward'")
    assert not small.psql("SELECT rolname FROM pg_roles WHERE rolname ~ '^hasteward'")


@pytest.fixture(scope="module")
def stem() -> dict[str, Stored]:
    """The dump of the small database, which is the same for every test."""
    return {}
