"""On three real OpenBao servers, with the roles and the policies that are shipped, and nothing more."""

from __future__ import annotations

import base64
import threading
import zlib
from pathlib import Path

import pytest
from vault_real import Bao

from hasteward.domain.errors import Refused, RunFailed
from hasteward.domain.report import Authority, Health, TriageReport
from hasteward.testing.repository import FakeRepository
from hasteward_lab import rights

pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]
DEPLOY = Path(__file__).parents[3] / "deploy"


def health(report: TriageReport) -> list[Health]:
    return [found.health for found in report.assessments]


def test_triage_backup_and_restore_by_content_with_the_shipped_roles_and_policies(bao: Bao) -> None:
    bao.lab.clear_audit()
    bao.put("kept", "old")
    store = FakeRepository()
    report = bao.triage(token="secret:hasteward-vault/backup", role="backup")
    assert (report.healthy, report.diagnoses) == (True, ())

    result = bao.backup(store, token="secret:hasteward-vault/backup", role="backup")

    assert result.member == report.details["leader"]
    bao.put("kept", "new")
    bao.put("added", "later")
    with pytest.raises(RunFailed, match="permission denied") as caught:
        bao.restore(store, token="secret:hasteward-vault/backup")
    assert "deploy/vault/repair.hcl" in caught.value.hint
    assert bao.get("kept") == "new"

    outcome = bao.restore(store, token="secret:hasteward-vault/repair").outcome

    assert (bao.get("kept"), bao.get("added")) == ("old", None)
    assert bao.triage().authority is Authority.PROVABLE
    path = outcome.kept[0].partition(":")[2]
    back = ["sh", "-c", f"export BAO_TOKEN=$(cat); exec bao operator raft snapshot restore {path}"]
    root = bao.lab.client.call("GET", "/api/v1/namespaces/vault/secrets/bao-unseal")["data"]["root-token"]
    undone = bao.lab.exec(result.member, back, base64.b64decode(root))
    assert undone.returncode == 0, undone.stderr
    bao.until(lambda found: found.healthy)
    assert (bao.get("kept"), bao.get("added")) == ("new", "later"), "what the restore replaced comes back"
    bao.lab.exec(result.member, ["rm", path])
    for role in ("backup", "repair"):
        used = rights.used(bao.lab.audit(), role)
        assert used <= rights.granted(DEPLOY / "rbac", role) | rights.granted(DEPLOY / "vault", "role")
        assert rights.granted(DEPLOY / "vault", "role") <= used


@pytest.mark.long
def test_the_token_shows_in_no_process_and_no_file_of_the_pod(bao: Bao) -> None:
    data = bao.lab.client.call("GET", "/api/v1/namespaces/vault/secrets/hasteward-vault")["data"]
    token = base64.b64decode(data["token"])
    look = (
        "i=0; while [ $i -lt 120 ]; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null;"
        " find /dev/shm /tmp /home -type f -exec cat {} + 2>/dev/null; i=$((i+1)); sleep 0.03; done"
    )
    leader = bao.triage().details["leader"]
    seen: list[bytes] = []
    sampler = threading.Thread(target=lambda: seen.append(bao.lab.exec(leader, ["sh", "-c", look]).stdout))
    sampler.start()
    bao.backup(FakeRepository())
    sampler.join()

    assert b"snapshot\0save" in seen[0], "the sampler saw the producer at work"
    assert token not in seen[0]
    left = bao.lab.exec(leader, ["sh", "-c", "ls -A /dev/shm"]).stdout
    assert left == b""


@pytest.mark.long
@pytest.mark.parametrize(
    ("token", "words"),
    [("secret:none", "there is no Secret"), ("secret:hasteward-vault/none", "has no key none")],
)
def test_without_a_token_nothing_is_called_proven_and_nothing_is_dumped(
    bao: Bao, token: str, words: str
) -> None:
    report = bao.triage(token=token, role="admin")

    assert report.authority is Authority.UNDETERMINABLE
    assert words in report.authority_reason
    with pytest.raises(Refused, match=words):
        bao.backup(FakeRepository(), token=token, role="admin")


@pytest.mark.long
def test_a_wrong_token_is_told_apart(bao: Bao, tmp_path: Path) -> None:
    wrong = tmp_path / "token"
    wrong.write_text("s.wrongwrongwrongwrongwrong\n")

    report = bao.triage(token=f"file:{wrong}")

    assert (report.authority, report.diagnoses[0].id) == (Authority.UNDETERMINABLE, "vault-token-refused")


@pytest.mark.long
def test_a_standby_is_not_dumped(bao: Bao) -> None:
    leader = bao.triage().details["leader"]
    standby = next(number for number in range(3) if f"bao-{number}" != leader)

    with pytest.raises(Refused, match="it is a standby"):
        bao.backup(FakeRepository(), instance=standby)


def test_a_sealed_member_is_told_and_the_cluster_may_lose_no_more(bao: Bao) -> None:
    leader = bao.triage().details["leader"]
    victim = next(f"bao-{number}" for number in range(3) if f"bao-{number}" != leader)
    bao.lab.operator_down()
    try:
        bao.lab.kill(victim)
        report = bao.until(lambda found: any(d.id == "vault-sealed" for d in found.diagnoses))

        assert report.authority is Authority.PROVABLE
        assert [a.member for a in report.assessments if a.health is Health.DOWN] == [victim]
        assert report.details["quorum"] == {"voters": 3, "reached": 2, "needed": 2, "mayLose": 0}
        bao.backup(FakeRepository())
    finally:
        bao.lab.operator_up()
    bao.until(lambda found: found.healthy)


@pytest.mark.long
def test_after_the_leader_was_killed_the_new_one_is_dumped_with_all_that_was_written(bao: Bao) -> None:
    before = bao.triage().details["leader"]
    bao.put("survives", "yes", before)
    bao.lab.operator_down()
    try:
        bao.lab.kill(before)
        bao.until(lambda found: found.details["leader"] not in {None, before})
        store = FakeRepository()
        assert bao.backup(store).member != before
    finally:
        bao.lab.operator_up()
    bao.until(lambda found: found.healthy)
    leader = bao.triage().details["leader"]
    bao.put("survives", "no", leader)
    bao.restore(store)
    assert bao.get("survives", leader) == "yes"


@pytest.mark.long
def test_a_snapshot_that_is_not_whole_is_refused_by_the_server_too(bao: Bao) -> None:
    """What we rely on: the server takes nothing before the archive's own sums fit."""
    store = FakeRepository()
    result = bao.backup(store)
    whole = store.files[result.snapshot]
    sums = whole.index(b"SHA256SUMS\0")
    leader = bao.triage().details["leader"]
    bao.put("whole", "live", leader)
    for cut in (600, sums // 2, sums, sums + 600):
        packer = zlib.compressobj(level=0, wbits=31)
        packed = packer.compress(whole[:cut]) + packer.flush()
        answer = bao.lab.exec(leader, _as_root(bao, "restore /dev/stdin"), packed)
        assert answer.returncode != 0
        assert bao.get("whole", leader) == "live"


def _as_root(bao: Bao, words: str) -> list[str]:
    data = bao.lab.client.call("GET", "/api/v1/namespaces/vault/secrets/bao-unseal")["data"]
    root = base64.b64decode(data["root-token"]).decode()
    return ["env", f"BAO_TOKEN={root}", "sh", "-c", f"exec bao operator raft snapshot {words}"]
