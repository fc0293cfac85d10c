"""One run of one verb: its settings, its console, its journal, and the world behind it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

from hasteward.cli.render.console import Console, Log, Mode
from hasteward.cli.render.journal import Journal
from hasteward.cli.render.shapes import ClusterData
from hasteward.config.file import others_may_read
from hasteward.config.resolve import Origin, Settings
from hasteward.config.settings import SETTINGS
from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import InvalidInput, Refused
from hasteward.domain.events import Planned, Warned
from hasteward.domain.plan import Plan
from hasteward.ports.context import Clock, Run

if TYPE_CHECKING:
    from hasteward.domain.capability import Capability
    from hasteward.pipelines.observing import Observers
    from hasteward.plugins import Engine
    from hasteward.ports.kubernetes import Kubernetes
    from hasteward.ports.repository import Repository
    from hasteward.wiring import Factories, Secret, Wiring


def hide_environment(console: Console) -> None:
    """Take the secrets of our environment out of everything that is said, whoever says it."""
    for setting in SETTINGS:
        for variable in setting.env if setting.secret else ():
            console.hide(os.environ.get(variable, ""))


def _console(settings: Settings, log: Log) -> Console:
    console = Console(
        Mode(settings.text("output")),
        color=not settings.flag("no_color"),
        verbose=settings.flag("verbose"),
        log=log if settings.text("log_format") == "json" else None,
    )
    hide_environment(console)
    return console


class Session:
    """Handed to a verb. The wiring is built when the verb first needs it."""

    def __init__(
        self,
        command: str,
        settings: Settings,
        *,
        clock: Clock,
        arguments: Mapping[str, str],
        factories: Factories | None,
    ) -> None:
        self.command = command
        self.settings = settings
        self.clock = clock
        self.begun = clock.now()
        self.begun_monotonic = clock.monotonic()
        self.run = Run(secrets.token_hex(8), self.begun.replace(microsecond=0))
        self.console = _console(settings, Log({"command": command, "run": self.run.id}, clock.now))
        self.arguments = arguments
        self._factories = factories
        #: the one source the repository's password was taken from, once it was
        self.password_source = ""
        #: where the run report goes, once it was checked that it can
        self.report_file = ""
        self.observed = False
        self.dry_run = "dry_run" in settings and settings.flag("dry_run")
        self.journal = Journal(
            self.console,
            command,
            self.run.id,
            now=clock.now,
            monotonic=clock.monotonic,
            dry_run=self.dry_run,
        )
        self.journal.detail(f"run {self.run.id}: hasteward {command}")
        for one in settings.all():
            if one.origin is not Origin.DEFAULT:
                self.journal.detail(f"{one.setting.name} = {one.shown}   (from {one.place})")
        if settings.file.exposed:
            text = f"{settings.file.path} holds a secret and others can read it"
            self.journal.emit(Warned("config.exposed", text))

    @cached_property
    def wiring(self) -> Wiring:
        """The world, built once."""
        from hasteward.wiring import Factories, Wiring

        factories = self._factories or Factories()

        def repository(settings: Settings, secret: Secret) -> Repository:
            self._note_password(secret.source)
            return cast("Repository", self._traced("restic", factories.repository(settings, secret)))

        def kubernetes(settings: Settings) -> Kubernetes:
            return cast("Kubernetes", self._traced("kubernetes", factories.kubernetes(settings)))

        return Wiring(
            self.settings,
            replace(factories, repository=repository, kubernetes=kubernetes),
            run=self.run,
            clock=self.clock,
            reporter=self.journal,
            approve=self.approve,
            hide=self.console.hide,
        )

    def _traced(self, name: str, port: object) -> object:
        if not self.console.verbose:
            return port
        from hasteward.cli.trace import Traced

        return Traced(name, port, self.journal.detail, self.clock)

    @cached_property
    def observers(self) -> Observers:
        """Whoever is told of this run; they are told of its end once this was asked for."""
        from hasteward.domain.run import RunInfo
        from hasteward.pipelines.observing import Observers

        given = {
            name: self.settings.text(name) if name in self.settings else ""
            for name in ("engine", "namespace", "cluster")
        }
        run = RunInfo(self.run.id, self.command, self.begun, dry_run=self.dry_run, **given)
        found = self.wiring.observers(self.journal.detail)
        observers = Observers(found, run, lambda code, text: self.journal.emit(Warned(code, text)))
        self.journal.on_phase = observers.phase
        self.observed = True
        return observers

    def _note_password(self, source: str) -> None:
        self.password_source = source
        is_file = source == self.settings.text("restic_password_file")
        if is_file and others_may_read(Path(source).expanduser()):
            text = f"group or others may read the password file {source}; chmod 600 {source}"
            self.journal.emit(Warned("password.mode", text))

    def engine(self, *capabilities: Capability) -> Engine:
        """The engine that ``--engine`` names, which must offer `capabilities`."""
        plugins = self.wiring.plugins
        name = self.settings.text("engine")
        if not name:
            installed = ", ".join(sorted(plugins.engines)) or "none; pip install hasteward-<engine>"
            raise InvalidInput(
                f"--engine is required; installed: {installed}",
                hint="give --engine (-e) or HASTEWARD_ENGINE",
                code="setting.missing",
            )
        engine = plugins.engine(name)
        for capability in capabilities:
            engine.require(capability)
        if self.settings.resolved("via").value is not None and not engine.info.via:
            raise InvalidInput(
                f"engine {name} works through Kubernetes only, so --via has no meaning for it",
                code="via.unsupported",
            )
        return engine

    def cluster(self) -> ClusterRef:
        """The cluster that the flags name."""
        chosen = self.settings
        return ClusterRef(chosen.text("engine"), chosen.required("namespace"), chosen.required("cluster"))

    def cluster_data(self) -> ClusterData:
        """The same, for the answer."""
        cluster = self.cluster()
        return ClusterData(cluster.engine, cluster.namespace, cluster.name)

    def approve(self, plan: Plan) -> bool:
        """Show the plan and decide. Raises Refused when it gives something up and nobody agreed.

        A text of `plan.gives_up` names its subject before any bracket; the plan, shown before, has the rest.
        """
        self.journal.emit(Planned(plan))
        if self.dry_run:
            return False
        agreed = "yes" in self.settings and self.settings.flag("yes")
        if not plan.gives_up or agreed:
            return True
        if self.console.interactive:
            if self.console.ask('Type "yes" to go on: ') == "yes":
                return True
            raise Refused(
                "nobody agreed to the plan; nothing was changed",
                hint='answer "yes", or add --yes',
                code="gate.yes",
            )
        subjects = ", ".join(text.partition(" (")[0] for text in plan.gives_up)
        raise Refused(
            f"this {self.command} takes {subjects} out of service and nobody agreed to that",
            hint="add --yes",
            code="gate.yes",
        )
