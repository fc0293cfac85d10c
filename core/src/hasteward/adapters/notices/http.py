"""Telling a URL: a ping at both ends of a backup, and the run report when a run has ended.

The URL is as good as a password (who knows it can say that a backup was made), so no message repeats more of
it than the name of the host.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from hasteward import __version__
from hasteward.domain.errors import ExitCode, InvalidInput, RunFailed
from hasteward.domain.run import RunInfo, RunOutcome
from hasteward.hookspecs import ObserverSpec, hookimpl

_PINGED = "backup"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An answer from elsewhere is no answer: a ping that a login page took is lost."""

    def redirect_request(self, *_: object) -> None:
        return None


def checked_url(url: str, place: str) -> str:
    """The URL, if it is one that can be told. Its text is not repeated."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise InvalidInput(f"{place}: the value given is not an http or https URL", code="setting.invalid")
    return url


def post(url: str, body: bytes, seconds: float) -> None:
    """Send it, with whatever proxy the environment names. Raises RunFailed; any 2xx is success."""
    host = urlsplit(url).hostname
    request = urllib.request.Request(  # noqa: S310 (the scheme was checked when the URL was configured)
        url,
        data=body,
        method="POST",
        headers={"Content-Type": "application/json", "User-Agent": f"hasteward/{__version__}"},
    )
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=seconds) as answer:
            answer.read(1024)
    except urllib.error.HTTPError as error:
        error.close()
        raise RunFailed(f"{host} answered {error.code}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        # the error of a library may hold the URL
        reason = getattr(error, "reason", error)
        why = getattr(reason, "strerror", None) or type(reason).__name__
        raise RunFailed(f"no answer from {host}: {why}") from None


@dataclass(frozen=True, slots=True)
class Ping(ObserverSpec):
    """For a dead man's switch: ``URL/start``, then ``URL`` or ``URL/fail``. For backups alone."""

    url: str = field(repr=False)
    seconds: float

    @hookimpl
    def run_started(self, run: RunInfo) -> None:
        """It has begun."""
        self._ping(run, "/start")

    @hookimpl
    def run_finished(self, run: RunInfo, outcome: RunOutcome) -> None:
        """It is done, or it failed; a run that was refused has failed as well."""
        self._ping(run, "" if outcome.status == ExitCode.OK else "/fail")

    def _ping(self, run: RunInfo, suffix: str) -> None:
        if run.verb == _PINGED and not run.dry_run:
            path, mark, query = self.url.partition("?")
            post(f"{path.rstrip('/')}{suffix}{mark}{query}", b"", self.seconds)


@dataclass(frozen=True, slots=True)
class Notice(ObserverSpec):
    """Sends the run report as JSON. `always` also when the run went well."""

    url: str = field(repr=False)
    verbs: Collection[str]
    always: bool
    seconds: float

    @hookimpl
    def run_finished(self, run: RunInfo, outcome: RunOutcome) -> None:
        """Tell it."""
        wanted = self.always or outcome.status != ExitCode.OK
        if wanted and run.verb in self.verbs and not run.dry_run:
            post(self.url, outcome.report.encode(), self.seconds)
