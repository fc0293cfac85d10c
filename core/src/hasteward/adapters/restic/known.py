"""Which repository was found where: a swapped or freshly made one must not pass for the old."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from hasteward.adapters.restic.location import local_path, redact_location
from hasteward.domain.errors import InvalidInput, Refused

_STATE: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])


def default_state_file(environment: Mapping[str, str]) -> Path | None:
    """``XDG_STATE_HOME/hasteward/repositories.json``; None without a home, as in a scratch image."""
    if state := environment.get("XDG_STATE_HOME"):
        return Path(state) / "hasteward" / "repositories.json"
    if home := environment.get("HOME"):
        return Path(home) / ".local" / "state" / "hasteward" / "repositories.json"
    return None


class KnownRepositories:
    """Repository ids by location. With no file, or one that cannot be written, nothing is remembered."""

    def __init__(self, file: Path | None) -> None:
        self._file = file

    def check(self, location: str, repository_id: str) -> None:
        """Remember a new location; refuse a known one that now holds another repository."""
        key = _key(location)
        known = self._load()
        before = known.get(key)
        if before == repository_id:
            return
        if before is not None:
            raise Refused(
                f"the repository at {key} is {repository_id[:8]}, but it was {before[:8]} when last used",
                hint="see that the right volume is mounted and the URL is right;"
                f" if the change is meant, remove its entry from {self._file}",
                code="repository.changed",
            )
        self._store(known | {key: repository_id})

    def _load(self) -> dict[str, str]:
        if self._file is None:
            return {}
        try:
            return _STATE.validate_json(self._file.read_bytes())
        except OSError:
            return {}
        except ValidationError as error:
            raise InvalidInput(
                f"{self._file} is damaged, so whether this is the same repository is not known",
                hint="remove the file to start afresh",
                code="state.damaged",
            ) from error

    def _store(self, known: dict[str, str]) -> None:
        """Replace the file in one step, so that a reader or a crash never sees half of it."""
        if self._file is None:
            return
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # mkstemp makes it 0600
            descriptor, name = tempfile.mkstemp(dir=self._file.parent, prefix=self._file.name)
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                    json.dump(known, stream, indent=1, sort_keys=True)
                    stream.flush()
                    os.fsync(stream.fileno())
                Path(name).replace(self._file)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise


def _key(location: str) -> str:
    path = local_path(location)
    return redact_location(location) if path is None else str(path.absolute())
