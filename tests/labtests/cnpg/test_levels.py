"""What differs between versions, and what a Cluster's spec may ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hasteward_lab.lab import Lab
from hasteward_lab.postgres.level import LEVELS
from hasteward_lab.state import LabError

pytestmark = pytest.mark.servers


@pytest.mark.long
def test_row_05_serials_count_up_before_1_30(site_of: Callable[[Lab], Any]) -> None:
    """IC/cluster_create.go of 1.27: surprise 8 the other way. No Lease, no unrecoverable annotation."""
    with Lab.up(members=2, volume_size="256Mi", time_scale=0.1, level="1.27") as lab:
        site = site_of(lab)
        assert site.status["latestGeneratedNode"] == 2
        assert site.objects("coordination.k8s.io/v1", "leases") == []
        assert site.condition("Initialized") == ""
        site.mark_unrecoverable("pg-2")
        site.stays(lambda: "pg-2" in lab.pods and not site.jobs(), 1.0)
        site.delete_claim("pg-2")
        lab.delete_pod("pg-2")
        site.healthy()
        assert site.status["instanceNames"] == ["pg-1", "pg-3"]
        assert site.status["latestGeneratedNode"] == 3
        # The slot of an instance that is gone goes too.
        slots = "SELECT slot_name FROM pg_replication_slots"
        site.until(lambda: lab.psql("pg-1", slots) == "_cnpg_pg_3")
        assert lab.pod("pg-3")["metadata"]["annotations"]["cnpg.io/operatorVersion"] == "1.27.4"


@pytest.mark.long
def test_the_spec_may_ask_for_wal_storage_tablespaces_and_a_catalog(site_of: Callable[[Lab], Any]) -> None:
    """pkg/specs/volumes.go, pkg/reconciler/persistentvolumeclaim, API/cluster_types.go imageCatalogRef."""
    spec = {
        "instances": 2,
        "walStorage": {"size": "256Mi"},
        "tablespaces": [{"name": "cold", "storage": {"size": "64Mi"}, "owner": {"name": "app"}}],
        "imageName": None,
        "imageCatalogRef": {"kind": "ImageCatalog", "name": "pg", "major": 15},
    }
    with Lab.up(volume_size="256Mi", time_scale=0.1, spec=spec) as lab:
        site = site_of(lab)
        names = [claim["metadata"]["name"] for claim in lab.get("persistentvolumeclaims")]
        assert names == ["pg-1", "pg-1-tbs-cold", "pg-1-wal", "pg-2", "pg-2-tbs-cold", "pg-2-wal"]
        assert (site.status["instances"], site.status["pvcCount"]) == (2, 6)
        assert "imageName" not in lab.cluster_object()["spec"]
        assert site.status["image"] == lab.pod("pg-1")["spec"]["containers"][0]["image"]
        for pod in ("pg-1", "pg-2"):
            assert site.shell(pod, "readlink $PGDATA/pg_wal") == "/var/lib/postgresql/wal/pg_wal"
            assert site.shell(pod, "stat -f -c %b /var/lib/postgresql/wal $PGDATA").split()
        folder = "/var/lib/postgresql/tablespaces/cold/data"
        site.until(lambda: lab.psql("pg-1", "SELECT 1 FROM pg_tablespace WHERE spcname = 'cold'") == "1")
        assert site.shell("pg-1", "readlink $PGDATA/pg_tblspc/*") == folder
        lab.psql("pg-1", "CREATE TABLE c TABLESPACE cold AS SELECT 7 AS n")
        site.until(lambda: lab.psql("pg-2", "SELECT to_regclass('c') IS NOT NULL") == "t")
        assert lab.psql("pg-2", "SELECT n FROM c") == "7"
        assert site.status["tablespacesStatus"] == [{"name": "cold", "owner": "app", "state": "reconciled"}]
        path = "/apis/postgresql.cnpg.io/v1/namespaces/db/clusters/pg"
        lab.client.call("PATCH", path, {"spec": {"storage": {"size": "300Mi"}}})
        for name, size in (("pg-1", "300Mi"), ("pg-2", "300Mi"), ("pg-1-wal", "256Mi")):
            site.until(lambda n=name, s=size: site.claim(n)["status"]["capacity"]["storage"] == s)
        # One claim of a group missing makes the rest of it unusable.
        site.delete_claim("pg-2-wal")
        site.until(lambda: site.status.get("unusablePVC") == ["pg-2", "pg-2-tbs-cold"])
        assert site.status["instances"] == 1


def test_every_level_has_its_flags() -> None:
    """The version matrix of the reference, as far as it is flags."""
    since = {
        "isolation_check": "1.27",
        "unrecoverable": "1.28",
        "ready_gate": "1.28",
        "lease": "1.30",
        "serial_reuse": "1.30",
        "client_certificate": "1.30",
        "rewind_retries": "1.31",
    }
    for flag, first in since.items():
        assert [name for name, level in LEVELS.items() if getattr(level, flag)] == [
            name for name in LEVELS if name >= first
        ]


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(LabError, match=r"'1\.2' is no level: 1\.25, 1\.26"):
        Lab.up(members=1, level="1.2")
