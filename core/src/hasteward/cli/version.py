"""``hasteward version``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hasteward import __version__
from hasteward.cli.verb import Answer, Verb

if TYPE_CHECKING:
    from hasteward.cli.session import Session


def _run(_session: Session) -> Answer:
    import platform

    from hasteward.cli.render import human
    from hasteward.cli.render.shapes import VersionData

    system = f"{platform.system()} {platform.machine()}"
    return Answer(VersionData(__version__, platform.python_version(), system), human.version)


VERB = Verb(_run, "`hasteward doctor` says more about what is around it.")
