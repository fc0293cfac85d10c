"""What restic says in JSON, as far as we read it. Unknown fields and plain text lines are ignored."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC
from typing import ClassVar, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, TypeAdapter, ValidationError

from hasteward.domain.snapshot import Snapshot, SnapshotTags


class InitializedMessage(BaseModel):
    """``restic init --json``."""

    message_type: Literal["initialized"]
    id: str


class SummaryMessage(BaseModel):
    """The last line of ``restic backup --json``. Without `snapshot_id` nothing was saved."""

    message_type: Literal["summary"]
    snapshot_id: str = ""
    total_bytes_processed: int
    data_added: int = 0


class ExitErrorMessage(BaseModel):
    """Restic's last words on stderr when it fails."""

    message_type: Literal["exit_error"]
    code: int
    message: str


class _Inner(BaseModel):
    message: str


class ErrorMessage(BaseModel):
    """Something that went wrong on the way; restic may go on, or end with less to say about it."""

    message_type: Literal["error"]
    error: _Inner


class ConfigDocument(BaseModel):
    """``restic cat config``."""

    id: str


class _Sizes(BaseModel):
    total_bytes_processed: int | None = None


class SnapshotDocument(BaseModel):
    """One element of ``restic snapshots --json``. Restic before 0.17 recorded no summary."""

    id: str
    time: AwareDatetime
    tree: str = ""
    paths: list[str]
    tags: list[str] | None = None
    summary: _Sizes | None = None

    OUR_TAG: ClassVar[str] = "engine="

    @property
    def ours(self) -> bool:
        """Whether it carries our tags; other snapshots in the repository are none of our business."""
        return bool(self.paths) and any(tag.startswith(self.OUR_TAG) for tag in self.tags or ())

    def to_snapshot(self) -> Snapshot:
        """The domain's view. Restic roots a stdin file name at ``/``; we give it back as it was given."""
        return Snapshot(
            id=self.id,
            time=self.time.astimezone(UTC),
            path=self.paths[0].removeprefix("/"),
            tags=SnapshotTags.parse(self.tags or ()),
            tree=self.tree,
            size=self.summary.total_bytes_processed if self.summary else None,
        )


_SNAPSHOTS: TypeAdapter[list[SnapshotDocument] | None] = TypeAdapter(list[SnapshotDocument] | None)
_Message = TypeVar("_Message", bound=BaseModel)


def parse_snapshots(text: str) -> list[SnapshotDocument]:
    """The listing; raises pydantic's ValidationError if it is not one."""
    return _SNAPSHOTS.validate_json(text) or []


def _objects(text: str) -> Iterator[object]:
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                yield json.loads(line)
            except ValueError:
                continue


def find_message(kind: type[_Message], text: str) -> _Message | None:
    """The last line of `text` that is such a message, among whatever else was printed."""
    return next(reversed(find_messages(kind, text)), None)


def find_messages(kind: type[_Message], text: str) -> list[_Message]:
    """Every line of `text` that is such a message."""
    found = []
    for thing in _objects(text):
        with contextlib.suppress(ValidationError):
            found.append(kind.model_validate(thing))
    return found
