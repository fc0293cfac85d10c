# ruff: noqa: ARG002 - doubles take what the port gives them
"""A capture comes back to life: files of a member become a dump, by a PostgreSQL of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cnpg_kit import (
    BIN,
    CLUSTER,
    PATH,
    LocalExec,
    LocalKubernetes,
    MemorySink,
    Server,
    Stored,
    context_for,
    objects_for,
    plan_of,
    pod_body,
    reporter_of,
    stored,
)

from hasteward.domain.errors import InvalidInput, Refused, RunFailed, Unproven
from hasteward.ports.context import EngineContext, RestoreOptions
from hasteward.ports.kubernetes import ApiNotFound, Json, PodRef, Resource
from hasteward_cnpg.capture import capture_pgdata
from hasteward_cnpg.collect.files import Place
from hasteward_cnpg.extract import extract
from hasteward_cnpg.facts.scratch import captured, settings
from hasteward_cnpg.plugin import plugin
from hasteward_cnpg.resources import pod_of

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

_USER = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []


def _box(folder: Path) -> list[str]:
    """A root of its own with this machine's programs, and the folder as the pod's empty directory."""
    argv = [
        "bwrap",
        "--ro-bind",
        "/usr",
        "/usr",
        "--ro-bind",
        "/etc",
        "/etc",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
    ]
    for name in ("bin", "sbin", "lib", "lib64"):
        path = Path("/", name)
        argv += (
            ["--symlink", str(path.readlink()), str(path)]
            if path.is_symlink()
            else ["--ro-bind", str(path), str(path)]
        )
    return [*argv, "--bind", str(folder), "/scratch", "--remount-ro", "/", "--chdir", "/", "--", *_USER]


@dataclass
class Scratch(LocalKubernetes):
    """The cluster's API server, and pods of ours as processes in folders of their own."""

    folders: dict[str, Path] = field(default_factory=dict)
    bodies: list[Json] = field(default_factory=list)

    def create(self, resource: Resource, namespace: str, body: Mapping[str, Any]) -> Json:
        self._fault("create", resource.plural)
        name = str(body["metadata"]["name"])
        folder = Path(tempfile.mkdtemp(prefix="hws", dir="/tmp"))
        folder.chmod(0o777)
        self.folders[name] = folder
        made: Json = {**body, "status": {"phase": "Running"}}
        self.bodies.append(made)
        self.objects[resource.plural, name] = made
        self.servers[name] = SimpleNamespace(environment={"PATH": PATH, "HOME": "/nonexistent"})  # type: ignore[assignment]
        return made

    def delete(self, resource: Resource, namespace: str, name: str, *, grace: int | None = None) -> None:
        self._fault("delete", f"{resource.plural}/{name}")
        if name not in self.folders:
            raise ApiNotFound(f"{name} does not exist")
        del self.objects[resource.plural, name]
        folder = self.folders.pop(name)
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            pid = int((folder / "pgdata" / "postmaster.pid").read_text().split()[0])
            os.kill(pid, signal.SIGQUIT)
            while Path("/proc", str(pid)).exists():
                time.sleep(0.01)
        shutil.rmtree(folder)

    @contextmanager
    def exec(
        self, pod: PodRef, argv: Sequence[str], *, stdin: bool, stall_seconds: float
    ) -> Iterator[LocalExec]:
        if pod.name in self.folders:
            assert pod.container == "helper"
            argv = [*_box(self.folders[pod.name]), *argv]
            pod = PodRef(pod.namespace, pod.name, "postgres")
        with super().exec(pod, argv, stdin=stdin, stall_seconds=stall_seconds) as stream:
            yield stream


def api_of(**servers: Server) -> Scratch:
    named = {name.replace("_", "-"): server for name, server in servers.items()}
    objects = objects_for(["pg-1", "pg-2"], "pg-1")
    for name in ("pg-1", "pg-2"):
        objects["pods", name] = {
            **pod_body(name),
            "spec": {"containers": [{"name": "postgres", "image": "registry/postgresql"}]},
        }
    return Scratch(named, objects)


def capture(api: Scratch) -> Stored:
    """The files of pg-2 as a repair would have stored them."""
    sink, place = MemorySink(), Place(pod_of(CLUSTER, "pg-2"), "")
    proof = capture_pgdata(context_for(api), CLUSTER, member="pg-2", place=place, sink=sink)
    return stored(sink, proof).changed(path="db/pg/2-pgdata.tar", format="physical")


def made_of(api: Scratch, source: Stored, **options: Any) -> tuple[Stored, Any]:
    """The dump that is made of a capture, and the context it was made in."""
    sink, context = MemorySink(), context_for(api, run="run2", **options)
    proof = extract(context, CLUSTER, source, sink)
    return (source if proof.planned_only else stored(sink, proof, "run2")), context


@pytest.fixture(scope="module")
def dead(pristine: Path) -> Iterator[Server]:
    """A primary that was killed: rows in the log alone, on a tablespace too, and settings that reach out."""
    server = Server("pg-2", pristine)
    space = server.folder / "space"
    space.mkdir()
    server._own()
    server.start()
    server.psql(f"CREATE TABLESPACE far LOCATION '{space}'")
    server.psql(
        "CREATE ROLE app LOGIN PASSWORD 'x'; CREATE DATABASE app OWNER app;"
        "\n\\connect app\n"
        "CREATE TABLE near (n int); CREATE TABLE away (n int) TABLESPACE far; CHECKPOINT;"
        "INSERT INTO near SELECT generate_series(1, 100); INSERT INTO away VALUES (7);"
    )
    server.psql("ALTER SYSTEM SET archive_mode = on; ALTER SYSTEM SET archive_command = 'touch /scratch/out'")
    server.psql("BEGIN; CREATE TABLE half (n int); PREPARE TRANSACTION 'half'")
    server.stop()
    yield server
    server.remove()


@pytest.fixture(scope="module")
def files(dead: Server) -> Stored:
    """Its capture, made once."""
    return capture(api_of(pg_2=dead))


@pytest.fixture
def api(dead: Server) -> Scratch:
    return api_of(pg_2=dead)


@dataclass
class Made:
    """A dump that was made of the capture, and what could be seen meanwhile."""

    dump: Stored
    api: Scratch
    context: EngineContext
    settings: dict[str, str]


@pytest.fixture(scope="module")
def made(dead: Server, files: Stored) -> Made:
    api = api_of(pg_2=dead)
    seen: dict[str, str] = {}

    def look(verb: str, what: str, argv: Sequence[str]) -> None:
        if verb == "exec" and "pg_dump" in argv and not seen:
            psql = [str(BIN / "psql"), "-XAtq", "-h", "/scratch/run", "-U", "postgres", "-c"]
            for name in QUIET:
                done = subprocess.run(
                    [*_box(api.folders[what]), *psql, f"SHOW {name}"],
                    capture_output=True,
                    check=True,
                    text=True,
                )
                seen[name] = done.stdout.strip()

    api.faults.append(look)
    dump, context = made_of(api, files)
    return Made(dump, api, context, seen)


QUIET = {
    "archive_mode": "off",
    "archive_command": "(disabled)",
    "listen_addresses": "",
    "max_worker_processes": "0",
    "ssl": "off",
    "max_logical_replication_workers": "0",
    "primary_conninfo": "",
    "restore_command": "false",
}


def test_rows_that_only_the_log_of_a_dead_member_holds_are_in_the_dump_of_its_files(
    made: Made, files: Stored, dead: Server
) -> None:
    dump = made.dump

    assert {"app", "postgres", "template1"} == set(dump.manifest.catalog["databases"])
    assert (dump.manifest.member, dump.manifest.catalog["extracted_from"]) == ("pg-2", "abcd1234")
    assert dump.manifest.catalog["tablespaces"][0]["location"] == str(dead.folder / "space")
    assert dump.manifest.catalog["lsn"] == files.manifest.catalog["end"]["lsn"]
    assert "\n99\n100\n" in dump.section_text("database:app")
    assert "COPY public.away (n) FROM stdin;\n7\n\\.\n" in dump.section_text("database:app")


def test_what_a_dump_of_files_lacks_is_told_and_the_pod_is_gone(made: Made) -> None:
    assert reporter_of(made.context).warnings() == ["extract.prepared", "dump.tablespaces"]
    assert made.api.folders == {}


def test_the_scratch_server_reaches_nobody_whatever_the_member_was_told(made: Made) -> None:
    assert made.settings == QUIET


def test_the_pod_holds_nothing_of_the_cluster_and_asks_for_its_room(made: Made, files: Stored) -> None:
    (body,) = made.api.bodies
    (container,) = body["spec"]["containers"]
    room = container["resources"]["requests"]["ephemeral-storage"]
    assert body["metadata"]["name"] == "hasteward-pg-scratch-run2"
    assert body["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "hasteward",
        "hasteward.prplanit.com/cluster": "pg",
        "hasteward.prplanit.com/engine": "cnpg",
        "hasteward.prplanit.com/scratch": "pg",
        "sidecar.istio.io/inject": "false",
    }
    assert body["spec"]["volumes"] == [{"name": "e0", "emptyDir": {"sizeLimit": room}}]
    assert container["image"] == "registry/postgresql"
    assert int(room) > len(files.data)
    assert plan_of(made.context).notes == ("no member of the cluster is touched",)


def test_a_dump_that_was_made_of_files_is_restored_as_any_other(made: Made, primary: Server) -> None:
    space = primary.folder / "space"
    space.mkdir()
    primary._own()
    primary.psql(f"CREATE TABLESPACE far LOCATION '{space}'")
    api = LocalKubernetes({"pg-1": primary}, objects_for(["pg-1"], "pg-1"))

    outcome = plugin.restore(context_for(api, run="run3"), CLUSTER, made.dump, RestoreOptions())

    rows = primary.psql("SELECT count(*), sum(n) FROM near; SELECT n FROM away", "app").split()
    primary.psql("DROP DATABASE app")
    primary.psql("DROP TABLESPACE far")
    assert "app" in outcome.restored
    assert rows == ["100|5050", "7"]


@pytest.fixture
def follower(pristine: Path) -> Iterator[Server]:
    """A replica that has received rows and was killed before it had replayed them."""
    first = Server("pg-1", pristine).start()
    first.psql("CREATE TABLE ledger (n int); INSERT INTO ledger VALUES (1)")
    second = Server("pg-2").follow(first).start()
    try:
        # paused before it receives, it never would
        while second.psql("SELECT status FROM pg_stat_wal_receiver") != "streaming":
            time.sleep(0.05)
        second.psql("SELECT pg_wal_replay_pause()")
        first.psql("INSERT INTO ledger VALUES (2); SELECT pg_switch_wal()")
        end = first.psql("INSERT INTO ledger VALUES (3); SELECT pg_current_wal_flush_lsn()").split()[-1]
        while second.psql(f"SELECT pg_last_wal_receive_lsn() >= '{end}'") != "t":
            time.sleep(0.05)
        assert second.psql("SELECT count(*) FROM ledger") == "1"
        second.stop()
    finally:
        first.remove()
    yield second
    second.remove()


def test_what_a_replica_had_received_and_not_replayed_is_in_the_dump(follower: Server) -> None:
    api = api_of(pg_2=follower)
    source = capture(api)

    dump, _ = made_of(api, source)

    assert captured(source.manifest).follows
    assert "COPY public.ledger (n) FROM stdin;\n1\n2\n3\n\\.\n" in dump.section_text("database:postgres")


def test_a_dry_run_shows_the_plan_and_makes_no_pod(api: Scratch, files: Stored) -> None:
    made, context = made_of(api, files, approve=False)

    assert made is files
    assert api.bodies == []
    assert [step.text.partition(" ")[0] for step in plan_of(context).steps] == [
        "create",
        "unpack",
        "dump",
        "delete",
    ]


@pytest.fixture
def damaged(dead: Server) -> Iterator[Server]:
    """Its control file is gone, as a full disk may leave it."""
    control = dead.data / "global" / "pg_control"
    whole = control.read_bytes()
    control.write_bytes(b"")
    yield dead
    control.write_bytes(whole)


def test_files_that_do_not_recover_say_why_and_can_still_be_had(damaged: Server) -> None:
    api = api_of(pg_2=damaged)
    source = capture(api)

    with pytest.raises(RunFailed, match=r"the captured files of pg-2 do not recover: .*PANIC") as failure:
        made_of(api, source)

    assert failure.value.hint == "hasteward export -i 2 --raw -o FILE.tar   (as they are)"
    assert api.folders == {}


def test_a_recovery_that_ends_too_early_is_no_dump(api: Scratch, files: Stored) -> None:
    end = {"timeline": 1, "lsn": "7F/0", "history": []}
    source = files.changed(catalog={**files.manifest.catalog, "end": end})

    with pytest.raises(Unproven, match=r"does not hold all of pg-2: it recovered to .* and .* ended at 7F/0"):
        made_of(api, source)

    assert api.folders == {}


def test_ended_pods_of_dead_runs_are_deleted_and_running_ones_left(api: Scratch, files: Stored) -> None:
    labels = {"hasteward.prplanit.com/scratch": "pg", "app.kubernetes.io/managed-by": "hasteward"}
    for name, phase in (("ended", "Failed"), ("at-work", "Running")):
        api.objects["pods", name] = {
            "metadata": {"name": name, "labels": labels},
            "status": {"phase": phase},
        }
        api.folders[name] = Path(tempfile.mkdtemp(dir="/tmp"))

    with pytest.raises(Unproven):
        made_of(api, replace(files, data=bytes(len(files.data))))

    assert list(api.folders) == ["at-work"]
    api.folders.pop("at-work").rmdir()


def test_a_changed_byte_is_not_started(api: Scratch, files: Stored) -> None:
    data = bytearray(files.data)
    data[len(data) // 2] ^= 1

    with pytest.raises(Unproven):
        made_of(api, replace(files, data=bytes(data)))

    assert not any("pg_ctl" in word for _, argv in api.execs for word in argv)
    assert api.folders == {}


@pytest.mark.parametrize("what", ["create", "exec"])
def test_a_call_that_fails_leaves_no_pod(api: Scratch, files: Stored, what: str) -> None:
    def fail(verb: str, _what: str, _argv: Sequence[str]) -> None:
        if verb == what:
            raise RunFailed("injected")

    api.faults.append(fail)

    with pytest.raises(RunFailed, match="injected"):
        made_of(api, files)

    assert api.folders == {}


@pytest.mark.parametrize(
    "catalog", [{"end": {"lsn": "x"}}, {"bytes": "many"}, {"control": None, "end": {"lsn": "0/1"}}]
)
def test_a_manifest_that_is_not_understood_is_refused(
    api: Scratch, files: Stored, catalog: dict[str, Any]
) -> None:
    with pytest.raises(Unproven, match="was not understood"):
        made_of(api, files.changed(catalog={**files.manifest.catalog, **catalog}))

    assert api.bodies == []


def test_a_cluster_that_is_gone_or_has_no_image_is_refused(api: Scratch, files: Stored) -> None:
    for name in ("pg-1", "pg-2", "pg-9-join"):
        api.objects.pop(("pods", name))

    with pytest.raises(Refused, match="no image is known"):
        made_of(api, files)
    api.objects.pop(("clusters", "pg"))
    with pytest.raises(InvalidInput, match="there is no CloudNativePG cluster db/pg"):
        made_of(api, files)

    assert api.bodies == []


def test_newer_releases_are_asked_for_plain_input_and_output(files: Stored) -> None:
    found = captured(files.manifest)

    assert "io_method=sync" in settings(replace(found, major=18))
    assert not any(one.startswith("io_method") for one in settings(replace(found, major=17)))
