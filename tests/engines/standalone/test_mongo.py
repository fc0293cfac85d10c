"""MongoDB against a FAKE mongodump: no real server was ever at hand, and every run says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import standalone_kit

from hasteward.domain.errors import DependencyError, InvalidInput, Unproven

#: a stand-in for mongodump: it writes its input and its arguments where the archive would be
FAKE_MONGODUMP = """#!/bin/sh
[ "$1" = --version ] && { echo "mongodump version: fake"; exit 0; }
printf 'archive of %s\\n' "$*"
cat
printf '%b' "$END"
"""


def fake(folder: Path, end: str = r"\0377\0377\0377\0377") -> standalone_kit.HostRef:
    program = folder / "mongodump"
    program.write_text(FAKE_MONGODUMP)
    program.chmod(0o755)
    return standalone_kit.HostRef(("env", f"PATH={folder}:/usr/bin:/bin", f"END={end}"))


@pytest.fixture
def mongo(tmp_path: Path) -> Any:
    secret = tmp_path / "secret"
    secret.write_text('a "b" \\ c')
    options = {"db_type": "mongo", "secret_file": str(secret), "db_user": "keeper"}
    return standalone_kit.Steward(standalone_kit.local(tmp_path / "locks"), fake(tmp_path), options)


def test_an_archive_is_saved_with_the_password_on_standard_input_and_said_to_be_experimental(
    mongo: Any,
) -> None:
    result = mongo.backup()
    said = mongo.repository.files[result.snapshot].split(b"\n")
    assert said[0] == (
        b"archive of --quiet --archive --username=keeper --authenticationDatabase=admin --config=/dev/stdin"
    )
    assert said[1] == b'password: "a \\"b\\" \\\\ c"'
    assert result.path == "here/shop-db/mongodump.archive"
    assert mongo.reporter.warnings() == ["mongo.experimental"]
    assert "never run against a real server" in mongo.approval.plans[0].notes[0]


def test_an_archive_without_its_terminator_is_not_a_backup(mongo: Any, tmp_path: Path) -> None:
    mongo.via = fake(tmp_path, end="")
    with pytest.raises(Unproven):
        mongo.backup()


def test_a_restore_is_refused_with_the_way_that_there_is(mongo: Any) -> None:
    mongo.backup()
    with pytest.raises(InvalidInput, match="a restore of MongoDB is not available") as caught:
        mongo.restore()
    assert "mongorestore --archive" in caught.value.hint
    assert mongo.reporter.warnings() == ["mongo.experimental"] * 2


def test_a_place_without_mongodump_is_named(mongo: Any) -> None:
    mongo.via = standalone_kit.HostRef(("env", "PATH=/usr/bin:/bin"))
    with pytest.raises(DependencyError, match="there is no mongodump in env PATH=/usr/bin:/bin"):
        mongo.backup()
