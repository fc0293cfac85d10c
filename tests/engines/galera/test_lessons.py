"""Lessons that others paid for, each as a test: rights, runs that meet, programs that were renamed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from galera_kit import CLUSTER, ENGINE, Stage, World, granted

from hasteward.domain.errors import Refused
from hasteward.domain.repair import RepairRequest
from hasteward.pipelines.repair import repair
from hasteward.ports.context import Depth
from hasteward.testing.repository import FakeRepository
from hasteward_galera.facts.shell import status_argv
from hasteward_galera.plugin import plugin


def used(stage: Stage, depth: Depth) -> set[tuple[str, str]]:
    """What a triage asks the API for."""
    context = stage.context(depth)
    calls: list[str] = []
    stage.api.on_call = calls.append
    plugin.triage(context, CLUSTER)
    plain = {(verb, what) for call in calls if " " in call for verb, what in [call.split(" ", 1)]}
    return plain | ({("create", "pods/exec"), ("get", "pods/exec")} if "exec" in calls else set())


def test_w23_the_roles_we_ship_grant_what_a_triage_uses(stage: Stage) -> None:
    stage.world.among("db-0", "db-1")
    stage.world.stop("db-2")

    plain, deep = used(stage, Depth.PLAIN), used(stage, Depth.DEEP)

    own = granted("galera/role.yaml", "galera/secret-role.yaml")
    assert own - plain == {("list", "mariadbs")}  # only when one is not found
    assert plain <= granted("rbac/backup.yaml") | own
    assert deep <= granted("rbac/repair.yaml") | own


def test_w23_what_the_engine_declares_is_what_it_uses(stage: Stage) -> None:
    declared = {
        (right.verb, f"{right.resource}/{right.subresource}" if right.subresource else right.resource)
        for rights in plugin.info().rights.values()
        for right in rights
    }

    # of one Secret alone nobody can ask beforehand, and a log is no more than a help
    assert used(stage, Depth.PLAIN) - declared == {("get", "secrets")}


def _held_by_a_job(world: World) -> None:
    claim = {"persistentVolumeClaim": {"claimName": "storage-db-2"}}
    body: dict[str, Any] = {"metadata": {"name": "db-2-recovery-x", "namespace": "db"}}
    body |= {
        "spec": {"containers": [{"name": "mariadb"}], "volumes": [claim]},
        "status": {"phase": "Running"},
    }
    world.extra.append(body)


def test_l45_l53_no_volume_is_overwritten_that_a_recovery_pod_has_open(stage: Stage) -> None:
    """The operator's recovery pods come and go; what they hold is not ours to empty."""
    stage.approval.answer = False
    stage.world.among("db-0", "db-1")
    stage.world.among("db-2")
    _held_by_a_job(stage.world)

    with pytest.raises(Refused) as caught:
        repair(ENGINE, stage.context(), CLUSTER, FakeRepository(), RepairRequest(instance=2, force=True))

    assert caught.value.message == "the volume of db-2 is open in db-2-recovery-x"


@pytest.mark.parametrize("name", ["mariadb", "mysql"])
def test_l64_the_client_is_found_under_either_name(tmp_path: Path, name: str) -> None:
    """MariaDB 12 ships no ``mysql`` any more, and old ones no ``mariadb``."""
    client = tmp_path / name
    client.write_text('#!/bin/sh\ncat >/dev/null\nprintf "called as %s\\n" "${0##*/}"\n')
    client.chmod(0o755)
    for tool in ("sh", "env", "cat", "df", "tail"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or tool)

    done = subprocess.run(
        [str(tmp_path / "env"), *status_argv("/", "/nowhere")[1:]],
        env={"PATH": str(tmp_path)},
        input="[client]\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )

    assert done.stdout.startswith(f"@@ status 0\ncalled as {name}\n@@ disk 0\n")


def test_a_pod_without_a_client_says_so(tmp_path: Path) -> None:
    for tool in ("sh", "env", "cat", "df", "tail"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or tool)

    done = subprocess.run(
        [str(tmp_path / "env"), *status_argv("/", "/nowhere")[1:]],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )

    assert done.stdout.startswith("@@ status 127\nthere is no client program\n")


def test_w20_the_dump_is_taken_beside_the_primary_from_who_has_the_least_to_do(stage: Stage) -> None:
    from hasteward_galera.analyse import analyse
    from hasteward_galera.collect import collect
    from hasteward_galera.dump.choose import choose_member

    stage.world.servers["db-1"].queue = 40
    evidence = collect(stage.context(), CLUSTER)

    assert choose_member(CLUSTER, evidence, analyse(evidence), None).member == "db-2"
    stage.world.servers["db-2"].state = "Donor/Desynced"
    evidence = collect(stage.context(), CLUSTER)
    assert choose_member(CLUSTER, evidence, analyse(evidence), None).member == "db-1"


def test_l60_nobody_is_dumped_who_is_not_in_the_component(stage: Stage) -> None:
    from hasteward_galera.analyse import analyse
    from hasteward_galera.collect import collect
    from hasteward_galera.dump.choose import choose_member

    for server in stage.world.servers.values():
        stage.world.among(server.name)
        server.primary = False
    evidence = collect(stage.context(), CLUSTER)

    with pytest.raises(Refused, match="there is not one Primary component to dump from"):
        choose_member(CLUSTER, evidence, analyse(evidence), None)
