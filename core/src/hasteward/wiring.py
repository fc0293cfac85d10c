"""Builds everything once, from the settings. The only place that knows which adapter serves which port.

Everything is built when it is first needed: a verb that does not need the API never reads a kubeconfig.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from hasteward.adapters.system import SystemClock
from hasteward.config import password
from hasteward.config.resolve import Origin, Settings
from hasteward.config.settings import BY_NAME, SETTINGS
from hasteward.domain.errors import InvalidInput
from hasteward.domain.events import Warned
from hasteward.hookspecs import PLUGIN_GROUP
from hasteward.plugins import EntryPoint, Observer, Plugins, installed_entry_points, load, observer
from hasteward.ports.context import Approve, Clock, EngineContext, Reporter, Run, Tuning
from hasteward.ports.host import Host, HostRef
from hasteward.ports.kubernetes import Kubernetes
from hasteward.ports.repository import Repository, RepositoryInfo


@dataclass(frozen=True, slots=True)
class Secret:
    """A password and where it came from; it does not show itself."""

    value: str
    source: str

    def __repr__(self) -> str:
        return f"Secret(source={self.source!r})"


class Lazy:
    """Builds the object at its first use and passes everything on to it."""

    def __init__(self, build: Callable[[], Any]) -> None:
        self.__build = build

    def __getattr__(self, name: str) -> Any:
        if self.__dict__.get("_Lazy__object") is None:
            self.__object = self.__build()
        return getattr(self.__object, name)


def kubernetes(settings: Settings) -> Kubernetes:
    """The API server that the settings name. Raises InvalidInput, DependencyError."""
    from hasteward.adapters.kubernetes.rest import KubernetesApi

    return KubernetesApi(_access(settings).configuration)


def cluster_source(settings: Settings) -> str:
    """In words, where the access to the API server comes from."""
    return str(_access(settings).source)


def server_version(settings: Settings) -> str:
    """What the API server says its version is, for example ``v1.31.4``."""
    from kubernetes.client import ApiClient, VersionApi

    with ApiClient(_access(settings).configuration) as client:
        return str(VersionApi(client).get_code(_request_timeout=10).git_version)


def via(settings: Settings) -> HostRef | None:
    """The host that ``--via`` leads to; None when the run goes through Kubernetes."""
    prefix = settings.resolved("via").value if "via" in settings else None
    if prefix is None:
        return None
    try:
        return HostRef(tuple(shlex.split(str(prefix))))
    except ValueError as error:
        raise InvalidInput(
            f"--via {prefix!r} cannot be split into words: {error}", code="via.invalid"
        ) from None


def processes() -> Host:
    """Processes on this machine, with locks in the state directory."""
    from hasteward.adapters.host.processes import HostProcesses
    from hasteward.adapters.restic.known import default_state_file

    state = default_state_file(os.environ)
    folder = state.parent if state else Path(tempfile.gettempdir(), f"hasteward-{os.getuid()}")
    return HostProcesses(os.environ, folder / "locks")


def _access(settings: Settings) -> Any:
    from hasteward.adapters.kubernetes.configuration import load as load_access

    file = settings.resolved("kubeconfig")
    path = settings.text("kubeconfig")
    # KUBECONFIG may list several files, which the loader merges as kubectl does
    several = file.origin is Origin.ENVIRONMENT and os.pathsep in path
    named = Path(path).expanduser() if path and not several else None
    return load_access(named, settings.text("context") or None)


def restic(settings: Settings, secret: Secret) -> Repository:
    """The repository that the settings name, with its id checked against the one that was there before."""
    from hasteward.adapters.restic.location import require_mount
    from hasteward.adapters.restic.password import Password
    from hasteward.adapters.restic.program import find_program
    from hasteward.adapters.restic.repository import ResticRepository

    location = settings.text("backups_path")
    if settings.flag("require_mount"):
        require_mount(location)
    repository = ResticRepository(
        location,
        Password(lambda: secret.value, secret.source),
        find_program(),
        patience=settings.seconds("stall_timeout"),
    )
    return cast("Repository", Remembered(repository, location, _known))


def _known(location: str, repository_id: str) -> None:
    from hasteward.adapters.restic.known import KnownRepositories, default_state_file

    KnownRepositories(default_state_file(os.environ)).check(location, repository_id)


class Remembered:
    """A repository whose id is compared with the one that was found at this place before."""

    def __init__(self, repository: Repository, location: str, check: Callable[[str, str], None]) -> None:
        self._repository = repository
        self._location = location
        self._check = check
        self._info: RepositoryInfo | None = None

    def open(self) -> RepositoryInfo:
        """Prove that it exists, that the password fits, and that it is the same one; once per run."""
        with self.opening() as info:
            return info()

    @contextmanager
    def opening(self) -> Iterator[Callable[[], RepositoryInfo]]:
        """The same, while other work goes on."""
        if (known := self._info) is not None:
            yield lambda: known
            return
        with self._repository.opening() as found:
            yield lambda: self._same(found())

    def _same(self, info: RepositoryInfo) -> RepositoryInfo:
        self._check(self._location, info.id)
        self._info = info
        return info

    def init(self) -> RepositoryInfo:
        """Create it and remember its id."""
        info = self._repository.init()
        self._check(self._location, info.id)
        return info

    def __getattr__(self, name: str) -> Any:
        return getattr(self._repository, name)


@dataclass(frozen=True, slots=True)
class Factories:
    """How the outside is made. Tests pass their own."""

    entry_points: Callable[[], Iterable[EntryPoint]] = installed_entry_points
    kubernetes: Callable[[Settings], Kubernetes] = kubernetes
    repository: Callable[[Settings, Secret], Repository] = restic
    server_version: Callable[[Settings], str] = server_version
    host: Callable[[], Host] = processes
    clock: Callable[[], Clock] = SystemClock


class Wiring:
    """What a verb works with."""

    def __init__(
        self,
        settings: Settings,
        factories: Factories,
        *,
        run: Run,
        clock: Clock,
        reporter: Reporter,
        approve: Approve,
        hide: Callable[[str], None],
    ) -> None:
        self.settings = settings
        self.run = run
        self.clock = clock
        self.reporter = reporter
        self._approve = approve
        self._hide = hide
        self.factories = factories

    @cached_property
    def plugins(self) -> Plugins:
        """Every installed engine and plugin, the broken ones too."""
        return load(self.factories.entry_points(), BY_NAME)

    @cached_property
    def kubernetes(self) -> Kubernetes:
        """The API server, connected to when it is first asked something."""
        return cast("Kubernetes", Lazy(lambda: self.factories.kubernetes(self.settings)))

    @cached_property
    def repository(self) -> Repository:
        """The repository; nothing is opened yet, but path, password and program are there."""
        self.settings.required("backups_path")
        secret = repository_password(self.settings, self.kubernetes, os.environ)
        self._hide(secret.value)
        if self.settings.resolved(password.TEXT).origin is Origin.FLAG:
            text = "the password was given as a flag, which other users of this machine can read"
            self.reporter.emit(Warned("password.argv", f"{text}; use --restic-password-file"))
        return self.factories.repository(self.settings, secret)

    def observers(self, detail: Callable[[str], None]) -> list[Observer]:
        """Whoever is told of this run: the plugins, then what is configured. Raises InvalidInput."""
        entries = [one for one in self.factories.entry_points() if one.group == PLUGIN_GROUP]
        found = load(entries)
        for broken in found.broken:
            text = f"the plugin {broken.name} cannot be loaded and is not told: {broken.reason}"
            self.reporter.emit(Warned("plugin.broken", text))
        return [*found.observers, *configured_observers(self.settings, os.environ, self._hide, detail)]

    def context(self) -> EngineContext:
        """What hooks are given."""
        chosen = self.settings
        tuning = Tuning(
            **{
                field: chosen.seconds(setting)
                for field, setting in (
                    ("stall_seconds", "stall_timeout"),
                    ("heal_seconds", "heal_timeout"),
                    ("delete_seconds", "delete_timeout"),
                )
                if setting in chosen
            }
        )
        for one in chosen.all():
            if one.setting.engine and one.setting.secret and one.value:
                self._hide(str(one.value))
        return EngineContext(
            kubernetes=self.kubernetes,
            clock=self.clock,
            reporter=self.reporter,
            run=self.run,
            approve=self._approve,
            tuning=tuning,
            options=chosen.options(),
            host=cast("Host", Lazy(self.factories.host)),
            via=via(chosen),
        )


def configured_observers(
    settings: Settings,
    environ: Mapping[str, str],
    hide: Callable[[str], None],
    detail: Callable[[str], None],
) -> list[Observer]:
    """The programs and the URLs of the settings; none in a run that such a program has started."""
    moments = ("pre", "post", "error")
    commands = {name: argv for name in moments if (argv := settings.items(f"{name}_hook"))}
    urls = {name: text for name in ("ping_url", "notice_url") if (text := settings.text(name))}
    if "HASTEWARD_HOOK" in environ or not (commands or urls):
        return []
    from hasteward.adapters.notices.programs import HookPrograms, Moment

    verbs = settings.items("hook_verbs")
    observers = []
    if commands:
        by_moment = {Moment(name): argv for name, argv in commands.items()}
        programs = HookPrograms(by_moment, verbs, settings.seconds("hook_timeout"), environ, detail)
        observers.append(observer("hooks", programs, programs.patience))
    if urls:
        # the urllib of these costs 30 ms
        from hasteward.adapters.notices.http import Notice, Ping, checked_url

        for name, url in urls.items():
            hide(url)
            checked_url(url, settings.resolved(name).place)
        seconds = settings.seconds("notice_timeout")
        if "ping_url" in urls:
            observers.append(observer("ping", Ping(urls["ping_url"], seconds), 2 * seconds + 5))
        if "notice_url" in urls:
            always = settings.text("notice_when") == "always"
            notice = Notice(urls["notice_url"], verbs, always, seconds)
            observers.append(observer("notice", notice, seconds + 5))
    return observers


def repository_password(settings: Settings, kubernetes: Kubernetes, environ: Mapping[str, str]) -> Secret:
    """Fetch it from where it was said to be. Raises InvalidInput, RunFailed and the Api* errors."""
    from hasteward.adapters.restic import password as ways

    found = password.chosen(settings)
    name = settings.text(found.setting.name)
    match found.setting.name:
        case password.FILE:
            return Secret(ways.from_file(name, found.place), name)
        case password.COMMAND:
            argv = settings.items(password.COMMAND)
            value = ways.from_command(argv, found.place, without_passwords(environ))
            return Secret(value, f"the command of {found.place}")
        case password.SECRET:
            return Secret(ways.from_secret(kubernetes, name, found.place), f"the Secret {name}")
        case _:
            return Secret(name, found.place)


def without_passwords(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment for a program of the user's: his own, without what only we are to know."""
    taken = {variable for setting in SETTINGS if setting.secret for variable in setting.env}
    return {name: value for name, value in environ.items() if name not in taken}
