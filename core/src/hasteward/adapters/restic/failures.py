"""From restic's exit code and last words to our errors."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable
from dataclasses import dataclass

from hasteward.adapters.restic.location import local_path, redact_location
from hasteward.domain.errors import (
    DependencyError,
    HastewardError,
    PermissionDenied,
    RepositoryLocked,
    RepositoryMissing,
    RunFailed,
    WrongPassword,
)

_NO_REPOSITORY, _LOCKED, _WRONG_PASSWORD = 10, 11, 12
_DENIED = re.compile(r"40[13] |Access ?Denied|Unauthorized|Forbidden|permission denied", re.IGNORECASE)
_UNREACHABLE = re.compile(
    r"dial tcp|connection (refused|reset)|no such host|i/o timeout|network is unreachable|no route to host"
    r"|TLS handshake|x509:|50[0234] |context canceled|context deadline",
    re.IGNORECASE,
)
_RETRYING = re.compile(r"^.* returned error, retrying after [^:]*: (.*)$", re.MULTILINE)
_CACHE = "unable to open cache"
_HELD_BY = re.compile(r"already locked (?:exclusively )?by (.*)")


@dataclass(frozen=True, slots=True)
class Outcome:
    """An ended restic: exit status (negative for a signal), stdout, and the end of stderr."""

    status: int
    stdout: bytes
    stderr: str

    def words(self) -> str:
        """Restic's own reason in one line, without the prefixes it stacks up."""
        from hasteward.adapters.restic.messages import (
            ErrorMessage,
            ExitErrorMessage,
            find_message,
            find_messages,
        )

        said = find_message(ExitErrorMessage, self.stderr)
        if said is None:
            return _first_line("\n".join(reversed(self.stderr.splitlines())))
        reason = _first_line(said.message)
        if "context canceled" in reason:
            # restic's way to say that another part of it failed first, which it has reported
            earlier = find_messages(ErrorMessage, self.stderr)
            return _first_line(earlier[0].error.message) if earlier else reason
        return reason

    @property
    def cache_unread(self) -> bool:
        """Whether it ended because of its cache, before it did anything."""
        return self.status != 0 and _CACHE in self.stderr

    @property
    def last_retry(self) -> str:
        """What the backend last said while restic kept trying."""
        found: list[str] = _RETRYING.findall(self.stderr)
        return found[-1] if found else ""


def _first_line(text: str) -> str:
    """The first line that says anything: after it comes a Go stack trace, and before it come prefixes."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line.replace("Fatal: ", "")


class Redactor:
    """Takes secrets out of text that restic, a backend or a library wrote."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # the longest first, or a secret that contains another would keep its rest
        self._secrets = sorted(set(secrets), key=len, reverse=True)

    def __repr__(self) -> str:
        return f"Redactor({len(self._secrets)} secrets)"

    def __call__(self, text: str) -> str:
        """The same text, fit to be shown."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return redact_location(text)


def failure(outcome: Outcome, *, doing: str, location: str, redact: Redactor) -> HastewardError:
    """The error for a restic that ended without success while `doing` something at `location`."""
    where = redact_location(location)
    words = redact(outcome.words())
    match outcome.status:
        case code if code == _NO_REPOSITORY:
            return RepositoryMissing(f"there is no restic repository at {where}", hint=_create_hint(location))
        case code if code == _LOCKED:
            from hasteward.adapters.restic.messages import ExitErrorMessage, find_message

            said = find_message(ExitErrorMessage, outcome.stderr)
            holder = _HELD_BY.search(said.message) if said else None
            by = f" by {redact(holder[1])}" if holder else ""
            return RepositoryLocked(
                f"the repository at {where} is locked{by}",
                hint="wait until the other restic is done; if it is dead, `restic unlock` removes its lock",
            )
        case code if code == _WRONG_PASSWORD:
            return WrongPassword(
                f"the password does not open the repository at {where}",
                hint="check RESTIC_PASSWORD or --restic-password against the repository",
            )
        case code if code < 0:
            return RunFailed(
                f"restic was killed by {_signal_name(-code)} while {doing}",
                hint="the kernel's log tells whether memory ran out" if -code == signal.SIGKILL else "",
                code="restic.killed",
            )
    if outcome.cache_unread:
        return RunFailed(
            f"{doing} failed: restic cannot read its cache: {words}",
            hint="remove restic's cache (RESTIC_CACHE_DIR, else ~/.cache/restic) and run it again;"
            " nothing of a repository is only there",
            code="restic.cache",
        )
    return _by_words(f"{doing} failed: {words or f'restic exited with {outcome.status}'}", words)


def _by_words(message: str, words: str) -> HastewardError:
    """Exit code 1 means anything; only restic's words tell whether the backend was the reason."""
    if _DENIED.search(words):
        return PermissionDenied(
            message,
            hint="check the backend's credentials and the rights on the repository",
            code="restic.denied",
        )
    if _UNREACHABLE.search(words):
        return DependencyError(
            message, hint="check that the repository can be reached from here", code="restic.unreachable"
        )
    return RunFailed(message, code="restic.failed")


def stalled(outcome: Outcome, *, doing: str, seconds: float, redact: Redactor) -> HastewardError:
    """The error for a restic that made no progress for so long that we ended it."""
    retry = redact(outcome.last_retry)
    return DependencyError(
        f"restic made no progress for {seconds:g} s while {doing}" + (f": {retry}" if retry else ""),
        hint="check that the repository can be reached from here and is not overloaded",
        code="restic.stalled",
    )


def _create_hint(location: str) -> str:
    path = local_path(location)
    create = f"create it with `hasteward init --backups-path {redact_location(location)}`"
    if path is not None and not path.is_dir():
        return f"the directory does not exist: is the volume mounted? If it is, {create}"
    return create


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
