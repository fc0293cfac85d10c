"""Brings the snapshot into fresh databases beside the live ones, and takes them away again on failure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from hasteward.domain.errors import HastewardError, Unproven
from hasteward.domain.events import StepDone, Warned
from hasteward.domain.manifest import Section
from hasteward.kit.orphans import end_orphans
from hasteward.kit.streaming import upload
from hasteward.ports.context import EngineContext, RestoreSource
from hasteward.streams.proof import Algorithm
from hasteward_cnpg.collect.catalog import read_counts
from hasteward_cnpg.collect.psql import psql, run_script
from hasteward_cnpg.facts.grants import grant_sql, in_order
from hasteward_cnpg.facts.quoting import identifier
from hasteward_cnpg.resources import SUPERUSER
from hasteward_cnpg.restore.sql import create_database, drop_database, properties
from hasteward_cnpg.restore.target import Item, Target


class Loader:
    """Loads one snapshot; remembers what it made, so that it can be taken back."""

    def __init__(self, context: EngineContext, target: Target) -> None:
        self._context = context
        self._target = target
        self._roles: list[str] = []
        self._databases: list[str] = []
        self.checks: list[str] = []

    def script(self, script: str, what: str, *, database: str = "postgres") -> None:
        """Run a script on the primary."""
        target = self._target
        run_script(
            self._context, target.pod, script, what=what, algorithm=target.algorithm, database=database
        )

    def drop_leftovers(self) -> None:
        """End the streams of dead runs and remove what they were loading."""
        end_orphans(self._context, self._target.pod)
        for name in self._target.leftovers:
            self._context.check_lease()
            self.script(drop_database(name), f"dropping {name}, left by a dead run,")
            self._context.reporter.emit(StepDone("restore", f"dropped {name}, which a dead run had left"))

    def load(self, source: RestoreSource) -> None:
        """Every wanted section, in stored order: roles come before the databases that need them."""
        items = {item.section.key: item for item in self._target.items}
        sequences = {f"sequences:{item.name}": item for item in self._target.items}
        stored = {section.key for section in source.manifest.sections}
        keys: Collection[str] = [*self._target.role_keys, *items, *(stored & sequences.keys())]
        granted = False
        count = 0
        for section, chunks in source.read(keys):
            if section.kind == "database":
                if not granted:
                    self._grant()
                    granted = True
                self._database(items[section.key], section, chunks)
            elif section.kind == "sequences":
                self._upload(sequences[section.key].new_name, section, chunks)
            else:
                self._role(section, chunks)
            count += 1
        if count != len(keys):
            raise Unproven(f"the snapshot delivered {count} of {len(keys)} sections")
        self.checks.append(f"the digests of {count} sections were compared in {self._target.member}")

    def _role(self, section: Section, chunks: Iterable[memoryview]) -> None:
        if section.kind == "role":
            self._roles.append(section.name)
        self._upload("postgres", section, chunks)

    def _grant(self) -> None:
        rows = in_order(self._target.grants, SUPERUSER)
        if rows:
            script = "\n".join(["BEGIN;", *(grant_sql(row) for row in rows), "COMMIT;", ""])
            self.script(script, "granting memberships")

    def _database(self, item: Item, section: Section, chunks: Iterable[memoryview]) -> None:
        self._databases.append(item.new_name)
        create = create_database(item, self._context.run.id, self._target.server.major)
        self.script(create, f"creating {item.new_name}")
        self._upload(item.new_name, section, chunks, "synchronous_commit=off")
        self._count(item)
        self.script("ANALYZE;\n", f"analysing {item.new_name}", database=item.new_name)
        self.script(properties(item), f"the rights and settings of {item.name}")
        self._context.reporter.emit(StepDone("restore", f"database {item.name}: loaded, digest compared"))

    def _upload(self, database: str, section: Section, chunks: Iterable[memoryview], *options: str) -> None:
        what = f"the load of {section.kind} {section.name}"
        proof = upload(
            self._context,
            self._target.pod,
            psql(self._context, database, *options),
            chunks,
            what=what,
            algorithm=Algorithm(section.algorithm),
        )
        if (proof.algorithm, proof.digest, proof.length) != (
            section.algorithm,
            section.digest,
            section.length,
        ):
            raise Unproven(
                f"{what}: {proof.length} bytes with digest {proof.digest[:12]} arrived in"
                f" {self._target.pod}, the manifest has {section.length} and {section.digest[:12]}",
                code="proof.digest",
            )

    def _count(self, item: Item) -> None:
        expected = item.entry["counts"]
        if expected is None:
            self.checks.append(f"{item.name}: objects were not counted when it was dumped")
            return
        counts, _ = read_counts(self._context, self._target.pod, item.new_name)
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
        stayed = []
        for name in reversed(self._databases):
            try:
                self.script(drop_database(name), f"dropping {name}")
            except HastewardError as error:
                stayed.append(f"database {name} ({error.message})")
        for name in reversed(self._roles):
            try:
                self.script(f"DROP ROLE IF EXISTS {identifier(name)};\n", f"dropping role {name}")
            except HastewardError as error:
                stayed.append(f"role {name} ({error.message})")
        reporter = self._context.reporter
        if stayed:
            text = f"the live databases are as they were, but this stayed: {'; '.join(stayed)}"
            reporter.emit(Warned("restore.left", f"{text}; the next restore drops such databases"))
        else:
            reporter.emit(StepDone("restore", "taken back: the live databases are as they were"))
