"""Brings the snapshot into fresh databases beside the live ones, and takes them away again on failure."""

from __future__ import annotations

from collections.abc import Collection

from hasteward.domain.errors import HastewardError, RunFailed, Unproven
from hasteward.domain.events import StepDone, Warned
from hasteward.domain.manifest import Section
from hasteward.kit.orphans import end_orphans
from hasteward.ports.context import EngineContext, RestoreSource, SectionBytes
from hasteward.streams.proof import Algorithm
from hasteward_sql.postgresql.collect.catalog import read_counts
from hasteward_sql.postgresql.collect.client import Login, feed_section, psql, run_script
from hasteward_sql.postgresql.facts.grants import grant_sql, in_order
from hasteward_sql.postgresql.facts.quoting import connect, identifier
from hasteward_sql.postgresql.restore.replay import Replayed, replaying, restriction, restricts
from hasteward_sql.postgresql.restore.role import LoadRole, drop_role
from hasteward_sql.postgresql.restore.sql import create_database, drop_database, properties
from hasteward_sql.postgresql.restore.swap import run_as_superuser
from hasteward_sql.postgresql.restore.target import Item, Leftovers, Stage, Target


def drop_all(
    context: EngineContext, stage: Stage, algorithm: Algorithm, left: Leftovers, *, phase: str = "restore"
) -> None:
    """Remove what dead runs left."""
    for name in (*left.databases, *left.unwanted):
        context.check_lease()
        what = f"dropping {name}, left by a dead run,"
        run_as_superuser(context, stage, algorithm, drop_database(name), what)
        context.reporter.emit(StepDone(phase, f"dropped {name}, which a dead run had left"))
    for name in left.roles:
        context.check_lease()
        what = f"dropping role {name}, left by a dead run,"
        run_as_superuser(context, stage, algorithm, drop_role(name), what)
        context.reporter.emit(StepDone(phase, f"dropped role {name}, which a dead run had left"))


class Loader:
    """Loads one snapshot; remembers what it made, so that it can be taken back."""

    def __init__(self, context: EngineContext, target: Target) -> None:
        self._context = context
        self._target = target
        self._stage = target.scene.stage
        self._role = None if target.as_superuser else LoadRole.of(context.run.job)
        self._loading = self._stage.login
        self._roles: list[str] = []
        self._databases: list[str] = []
        self.checks: list[str] = []

    def script(self, script: str, what: str, *, database: str = "postgres") -> None:
        """Run a script as superuser."""
        algorithm = self._target.scene.algorithm
        run_as_superuser(self._context, self._stage, algorithm, script, what, database=database)

    def _load_script(self, login: Login, script: str, what: str, database: str) -> None:
        """Run a script as whoever loads."""
        if self._role is None:
            self.script(script, what, database=database)
            return
        algorithm = self._target.scene.algorithm
        run_script(self._context, login, script, what=what, algorithm=algorithm, database=database)

    def drop_leftovers(self) -> None:
        """End the streams of dead runs and remove what they were loading, and as whom."""
        end_orphans(self._context, self._stage.login.place)
        drop_all(self._context, self._stage, self._target.scene.algorithm, self._target.leftovers)

    def load(self, source: RestoreSource) -> None:
        """Every wanted section, in stored order: roles come before the databases that need them."""
        items = {
            f"{kind}:{item.name}": item
            for item in self._target.items
            for kind in ("database", "sequences", "rights")
        }
        have = {section.key for section in source.manifest.sections}
        keys: Collection[str] = [*self._target.role_keys, *(have & items.keys())]
        entered = False
        count = 0
        for section, stored in source.read(keys):
            if not entered and section.key in items:
                self._enter()
                entered = True
            match section.kind:
                case "database":
                    self._content(items[section.key], section, stored)
                case "sequences":
                    self._feed(items[section.key].new_name, section, stored, self._loading)
                case "rights":
                    self._rights(items[section.key], section, stored)
                case _:
                    self._one_role(section, stored)
            count += 1
        if count != len(keys):
            raise Unproven(f"the snapshot delivered {count} of {len(keys)} sections")
        self.checks.append(f"the digests of {count} sections were compared in {self._stage.words.where}")
        self._leave()

    def _one_role(self, section: Section, stored: SectionBytes) -> None:
        if section.kind == "role":
            self._roles.append(section.name)
        self._feed("postgres", section, stored, self._stage.login)

    def _enter(self) -> None:
        """Grant what the roles need."""
        rows = in_order(self._target.grants, self._target.scene.superuser)
        if rows:
            script = "\n".join(["BEGIN;", *(grant_sql(row) for row in rows), "COMMIT;", ""])
            self.script(script, "granting memberships")

    def _log_in(self, role: LoadRole) -> None:
        """See by which door the role that loads is let in."""
        words = self._stage.words
        problem = ""
        for door in self._stage.doors:
            self._loading = role.login(self._stage.login, door)
            try:
                self._load_script(self._loading, "", f"the log-in of {role.name}", "postgres")
            except RunFailed as error:
                problem = error.message
            else:
                return
        raise RunFailed(
            f"content is loaded by a role without rights, and {words.server} does not let it in: {problem}",
            hint=f"{words.login}; or --as-superuser, which runs all that is in the dump as superuser",
            code="restore.login",
        )

    def _content(self, item: Item, section: Section, stored: SectionBytes) -> None:
        role = self._role
        self._databases.append(item.new_name)
        run, major = self._context.run.id, self._stage.server.major
        if role is None:
            self.script(create_database(item, run, major), f"creating {item.new_name}")
        else:
            first = len(self._databases) == 1
            script = role.create(run) if first else ""
            script += create_database(item, run, major, role.name)
            # told to ask for a password, psql asks for each connection
            script += f"{connect(item.new_name)}\n{self._stage.login.feed}"
            script += role.prepare(item, self._target.tablespaces)
            self.script(script, f"making room for {item.name} and its extensions")
            if first:
                self._log_in(role)
        try:
            self._feed(item.new_name, section, stored, self._loading, "synchronous_commit=off")
        except RunFailed as error:
            if role is None or error.hint:
                raise
            raise RunFailed(
                error.message,
                hint="it was loaded by a role without rights; --as-superuser runs all that is in the dump as"
                " superuser: only if you trust everybody who could write to that database",
                code=error.code,
            ) from error

    def _rights(self, item: Item, section: Section, stored: SectionBytes) -> None:
        """The last section of a database. Its functions are run for the last time before it is given away."""
        role, name = self._role, item.new_name
        if self._target.analyse:
            # else the server does it within a minute; here it would write every page that it looks at again
            self._load_script(self._loading, "ANALYZE;\n", f"analysing {name}", name)
        self._feed(name, section, stored, self._stage.login)
        self._count(item)
        if role is None:
            self.script(properties(item), f"the rights and settings of {item.name}")
        else:
            script = role.hand_over(item, self._target.scene.superuser) + properties(item)
            self.script(script, f"the owner, rights and settings of {item.name}", database=name)
        self._context.reporter.emit(StepDone("restore", f"database {item.name}: loaded, digest compared"))

    def _leave(self) -> None:
        if self._role is not None:
            self.script(drop_role(self._role.name), f"dropping role {self._role.name}")

    def _feed(
        self, database: str, section: Section, stored: SectionBytes, login: Login, *options: str
    ) -> None:
        """One section through psql; its digest is made where it arrives, and compared with the manifest's."""
        what = f"the load of {section.kind} {section.name}"
        restricted = restriction(restricted=restricts(self._stage.client.number))
        content = Replayed(stored, section)
        argv = [*psql(self._context, login, database, *options), *restricted]
        feed_section(
            self._context,
            login,
            replaying(argv, left_out=content.opening, fed=bool(login.feed)),
            content,
            what=what,
            algorithm=Algorithm(section.algorithm),
            known=content.digest,
        )

    def _count(self, item: Item) -> None:
        expected = item.entry["counts"]
        if expected is None:
            self.checks.append(f"{item.name}: objects were not counted when it was dumped")
            return
        counts = read_counts(self._context, self._stage.login, item.new_name)
        wrong = [
            f"{kind}: {counts.get(kind)} instead of {number}"
            for kind, number in expected.items()
            if counts.get(kind) != number
        ]
        if wrong:
            raise Unproven(
                f"database {item.name} was loaded, but its objects are not those of the dump:"
                f" {'; '.join(wrong)}",
                code="restore.counts",
            )
        self.checks.append(
            f"{item.name}: {sum(expected.values())} objects of {len(expected)} kinds, as dumped"
        )

    def undo(self) -> None:
        """Take back what was made, as far as it can be, and say what stayed."""
        made = [(f"database {name}", drop_database(name)) for name in reversed(self._databases)]
        if self._role is not None:
            made.append((f"role {self._role.name}", drop_role(self._role.name)))
        made += [
            (f"role {name}", f"DROP ROLE IF EXISTS {identifier(name)};\n") for name in reversed(self._roles)
        ]
        stayed = []
        for what, sql in made:
            try:
                self.script(sql, f"dropping {what}")
            except HastewardError as error:
                stayed.append(f"{what} ({error.message})")
        reporter = self._context.reporter
        if stayed:
            text = f"the live databases are as they were, but this stayed: {'; '.join(stayed)}"
            reporter.emit(Warned("restore.left", f"{text}; the next restore drops what it loaded"))
        else:
            reporter.emit(StepDone("restore", "taken back: the live databases are as they were"))
