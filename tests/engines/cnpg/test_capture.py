"""The files of a member whose server is gone, captured and brought back by PostgreSQL itself."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from cnpg_kit import CLUSTER, LocalKubernetes, MemorySink, Server, context_for, objects_for, reporter_of

from hasteward.domain.errors import Refused, RunFailed, Unproven
from hasteward.domain.manifest import covers
from hasteward.ports.context import DumpProof
from hasteward.ports.kubernetes import PodRef
from hasteward_cnpg.capture import capture_pgdata
from hasteward_cnpg.collect.files import Place
from hasteward_cnpg.resources import pod_of

pytestmark = pytest.mark.servers

HERE = Place(pod_of(CLUSTER, "pg-2"), "")


@pytest.fixture
def crashed(pristine: Path) -> Iterator[Server]:
    """A server with a log and a tablespace elsewhere, killed with commits that no checkpoint has seen."""
    server = Server("pg-2", pristine)
    log = server.folder / "log_volume"
    (server.data / "pg_wal").rename(log)
    (server.data / "pg_wal").symlink_to(log)
    space = server.folder / "space"
    space.mkdir()
    server._own()
    server.start()
    server.psql(
        f"CREATE TABLESPACE far LOCATION '{space}';"
        "CREATE TABLE near (n int); CREATE TABLE away (n int) TABLESPACE far; CHECKPOINT;"
    )
    server.psql("INSERT INTO near SELECT generate_series(1, 100); INSERT INTO away VALUES (7)")
    server.stop()
    yield server
    server.remove()


@pytest.fixture
def api(crashed: Server) -> LocalKubernetes:
    return LocalKubernetes({"pg-2": crashed}, objects_for(["pg-1", "pg-2"], "pg-1"))


def captured(api: LocalKubernetes) -> tuple[MemorySink, DumpProof, list[str]]:
    sink = MemorySink()
    context = context_for(api)
    proof = capture_pgdata(context, CLUSTER, member="pg-2", place=HERE, sink=sink)
    return sink, proof, reporter_of(context).warnings()


def test_every_commit_of_a_crashed_member_is_in_its_capture_wherever_it_was_mounted(
    api: LocalKubernetes, crashed: Server
) -> None:
    sink, proof, warnings = captured(api)

    assert warnings == []
    assert covers(proof.sections, len(sink.data))
    assert [section.key for section in proof.sections] == ["note", "files:pgdata"]
    with tarfile.open(fileobj=io.BytesIO(bytes(sink.data))) as archive:
        first = archive.next()
        assert first is not None
        assert first.name == "hasteward-capture.json"
        said = archive.extractfile(first)
        assert said is not None
        assert json.loads(said.read()) == proof.catalog
    (oid,) = proof.catalog["tablespaces"]
    back = Server("back")
    try:
        back.data.mkdir(mode=0o700)
        subprocess.run(["tar", "-x", "-f", "-", "-C", str(back.data)], input=bytes(sink.data), check=True)
        (back.data / "pg_tblspc" / oid).rename(back.folder / "space")
        (back.data / "pg_tblspc" / oid).symlink_to(back.folder / "space")
        back._own()
        back.start()
        assert back.psql("SELECT count(*) FROM near; SELECT n FROM away").split() == ["100", "7"]
    finally:
        back.remove()


def test_the_proof_of_a_capture_tells_what_its_files_are(api: LocalKubernetes, crashed: Server) -> None:
    api.pod("pg-2")["spec"] = {"containers": [{"name": "postgres", "image": "registry/postgresql:15"}]}

    _, proof, _ = captured(api)

    control = {
        "state": "in production",
        "timeline": 1,
        **{key: proof.catalog["control"][key] for key in ("system_id", "checkpoint", "redo")},
    }
    assert proof.catalog == {
        "member": "pg-2",
        "image": "registry/postgresql:15",
        "major": (crashed.data / "PG_VERSION").read_text().strip(),
        "tablespaces": proof.catalog["tablespaces"],
        "bytes": proof.catalog["bytes"],
        "control": control,
        "end": {"timeline": 1, "lsn": proof.catalog["end"]["lsn"], "history": []},
        "doubt": "",
    }
    assert proof.catalog["end"]["lsn"] > control["redo"]
    assert list(proof.catalog["tablespaces"].values()) == [str(crashed.folder / "space")]
    assert proof.server_version.startswith(proof.catalog["major"])


def test_a_server_that_still_runs_is_not_captured(api: LocalKubernetes, crashed: Server) -> None:
    crashed.start()

    with pytest.raises(Refused, match="the server of pg-2 runs"):
        captured(api)

    assert not any("exec tar" in word for _, argv in api.execs for word in argv)


def test_files_that_change_while_they_are_read_are_no_capture(api: LocalKubernetes, crashed: Server) -> None:
    def write(pod: PodRef, argv: Sequence[str]) -> None:
        if any("exec tar" in word for word in argv):
            (crashed.data / "pg_wal" / "00000001000000000000007F").write_bytes(b"x")

    api.rewrites.append(write)

    with pytest.raises(Unproven, match="changed while they were captured"):
        captured(api)


def test_a_volume_that_is_not_mounted_fails_the_capture(api: LocalKubernetes, crashed: Server) -> None:
    shutil.rmtree(crashed.folder / "space")

    with pytest.raises(RunFailed, match="files pgdata"):
        captured(api)


def test_a_directory_that_is_no_data_directory_fails_the_capture(
    api: LocalKubernetes, crashed: Server
) -> None:
    (crashed.data / "PG_VERSION").unlink()

    with pytest.raises(RunFailed, match="there is no PG_VERSION"):
        captured(api)


def test_files_that_may_not_recover_are_captured_all_the_same_and_say_so(
    api: LocalKubernetes, crashed: Server
) -> None:
    (crashed.data / "global" / "pg_control").write_bytes(b"")

    _, proof, warnings = captured(api)

    assert (proof.catalog["control"], proof.catalog["end"]) == (None, None)
    assert "pg_controldata" in proof.catalog["doubt"]
    assert warnings == ["capture.doubt"]
