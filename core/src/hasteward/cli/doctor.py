"""``hasteward doctor``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from hasteward.cli.verb import REPOSITORY, Answer, Verb
from hasteward.domain.errors import ExitCode, HastewardError

if TYPE_CHECKING:
    from hasteward.cli.render.shapes import CheckData
    from hasteward.cli.session import Session
    from hasteward.domain.capability import EngineInfo

#: exec over WebSocket with a half-close (v5.channel.k8s.io) is there from this version on
_OLDEST_SERVER = (1, 30)


def _check(name: str, state: str, text: str, following: str = "") -> CheckData:
    from hasteward.cli.render.shapes import CheckData

    return CheckData(name, state, text, following)


def _problem(name: str, error: Exception) -> CheckData:
    if isinstance(error, HastewardError):
        return _check(name, "problem", error.message, error.hint)
    return _check(name, "problem", f"{type(error).__name__}: {error}")


def _machine(_session: Session) -> Iterator[CheckData]:
    import platform

    yield _check("system", "ok", f"{platform.system()} {platform.release()}")
    yield _check("python", "ok", platform.python_version())


def _restic(session: Session) -> Iterator[CheckData]:
    from hasteward.adapters.restic.program import find_program

    try:
        program = find_program()
    except HastewardError as error:
        yield _problem("restic", error)
        yield _check("repository", "skipped", "restic is needed to open it")
        return
    yield _check("restic", "ok", f"{program.version} at {program.path}")
    if not session.settings.text("backups_path"):
        yield _check("repository", "skipped", "none is configured", "give --backups-path to have it opened")
        return
    try:
        info = session.wiring.repository.open()
    except HastewardError as error:
        yield _problem("repository", error)
        return
    yield _check("repository", "ok", f"{info.id[:10]} at {info.location}")


def _cluster(session: Session) -> Iterator[CheckData]:
    from hasteward.cli.preflight import connect

    try:
        connect(session)
        version = session.wiring.factories.server_version(session.settings)
    except Exception as error:  # noqa: BLE001  whatever a broken kubeconfig or library raises is a finding
        yield _problem("kubernetes", error)
        yield _check("rights", "skipped", "the API server could not be asked")
        return
    numbers = re.match(r"v?(\d+)\.(\d+)", version)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < _OLDEST_SERVER:
        wanted = ".".join(map(str, _OLDEST_SERVER))
        yield _check("kubernetes", "problem", f"the server is {version}; {wanted} or newer is needed")
    else:
        yield _check("kubernetes", "ok", f"the server is {version}")
    yield from _secret(session)
    yield from _rights(session)


def _secret(session: Session) -> Iterator[CheckData]:
    """The right to read the one Secret that holds the repository's password, if one does."""
    from hasteward.adapters.restic.password import secret_reference
    from hasteward.config import password
    from hasteward.ports.kubernetes import SECRETS

    try:
        found = password.chosen(session.settings)
        if found.setting.name != password.SECRET:
            return
        namespace, name, _ = secret_reference(str(found.value), found.place)
        allowed = session.wiring.kubernetes.may("get", SECRETS, namespace, name=name)
    except HastewardError as error:
        # without any password the check of the repository has said so
        if error.code != "repository.no_password":
            yield _problem("password", error)
        return
    if allowed:
        yield _check("password", "ok", f"the Secret {namespace}/{name} may be read")
    else:
        rule = f'resources ["secrets"] resourceNames ["{name}"] verbs ["get"]'
        text = f"not allowed in namespace {namespace}: get secrets {name}"
        yield _check("password", "problem", text, f"grant: {rule}")


def _rights(session: Session) -> Iterator[CheckData]:
    from hasteward.domain.capability import Capability, Supported

    namespace = session.settings.text("namespace")
    if not namespace:
        text = "they are given per namespace"
        yield _check("rights", "skipped", text, "give --namespace to have them checked")
        return
    infos = [engine.info for _, engine in sorted(session.wiring.plugins.engines.items())]
    able = [info for info in infos if isinstance(info.capability(Capability.DUMP), Supported)]
    if not able:
        yield _check("rights", "skipped", "no installed engine takes backups")
    for info in able:
        yield _rights_of(session, info, namespace)


def _rights_of(session: Session, info: EngineInfo, namespace: str) -> CheckData:
    from hasteward.cli.preflight import GRANT, missing_rights, rights
    from hasteward.domain.capability import Supported

    wanted = rights(info, *(one for one, said in info.capabilities.items() if isinstance(said, Supported)))
    try:
        missing = missing_rights(session.wiring.kubernetes, namespace, wanted)
    except HastewardError as error:
        return _problem("rights", error)
    if missing:
        text = f"{info.name}: missing in namespace {namespace}: {', '.join(missing)}"
        return _check("rights", "problem", text, f"{GRANT} in namespace {namespace}")
    return _check("rights", "ok", f"{info.name}: all that it needs in namespace {namespace}")


def _engines(session: Session) -> Iterator[CheckData]:
    plugins = session.wiring.plugins
    if plugins.engines:
        yield _check("engines", "ok", ", ".join(sorted(plugins.engines)))
    else:
        yield _check("engines", "problem", "none is installed", "pip install hasteward-<engine>")
    for broken in plugins.broken:
        yield _check(
            "plugin", "problem", f"{broken.name} cannot be loaded: {broken.reason}", "hasteward engines"
        )


def _run(session: Session) -> Answer:
    from hasteward.cli.render import human
    from hasteward.cli.render.shapes import DoctorData

    checks = [found for look in (_machine, _restic, _cluster, _engines) for found in look(session)]
    broken = any(one.state == "problem" for one in checks)
    return Answer(DoctorData(tuple(checks)), human.doctor, ExitCode.DEPENDENCY if broken else ExitCode.OK)


VERB = Verb(
    _run,
    "Looks at this machine, the repository, the API server, the rights in --namespace and the engines."
    " Creates nothing.",
    settings=(*REPOSITORY, "namespace"),
    exit_codes={ExitCode.DEPENDENCY: "something that is needed is missing"},
)
