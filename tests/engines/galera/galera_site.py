"""Three real Galera members in the lab with a shop in them, and hasteward in front of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hasteward_lab.lab import Lab

SHOP = (
    "CREATE DATABASE shop CHARACTER SET utf8mb4;"
    "CREATE TABLE shop.item (n INT PRIMARY KEY AUTO_INCREMENT, word VARCHAR(40));"
    "CREATE TABLE shop.log (n INT PRIMARY KEY);"
    "CREATE TABLE shop.price (n INT PRIMARY KEY, amount INT) WITH SYSTEM VERSIONING;"
    "CREATE SEQUENCE shop.ticket INCREMENT BY 0;"
    "CREATE TRIGGER shop.noted AFTER INSERT ON shop.item FOR EACH ROW INSERT INTO shop.log VALUES (NEW.n);"
    "CREATE VIEW shop.v AS SELECT COUNT(*) AS c FROM shop.item;"
    "CREATE PROCEDURE shop.p() SELECT 1;"
    "INSERT INTO shop.item (word) VALUES ('a'), ('\N{HOT BEVERAGE}'); INSERT INTO shop.price VALUES (1, 2);"
    "CREATE DATABASE other; CREATE TABLE other.t (n INT PRIMARY KEY); INSERT INTO other.t VALUES (7);"
    "CREATE USER clerk@'%' IDENTIFIED BY 'open'; GRANT SELECT ON shop.* TO clerk@'%';"
)
#: by checksum; of a versioned table the server counts the moments in, and a restore makes new ones
_CONTENT = (
    "CHECKSUM TABLE shop.item, shop.log, other.t; SELECT * FROM shop.price; SHOW CREATE SEQUENCE shop.ticket;"
    "SELECT * FROM shop.v; SHOW CREATE PROCEDURE shop.p; SHOW GRANTS FOR clerk"
)


class Site:
    """A lab, and hasteward in front of it."""

    def __init__(self, lab: Lab, folder: Path, patience: float = 200) -> None:
        self.lab = lab
        self.folder = folder
        self.patience = patience

    def sql(self, pod: str, text: str) -> str:
        script = 'mariadb -uroot -p"$MARIADB_ROOT_PASSWORD" -NB --default-character-set=utf8mb4 -e "$1"'
        done = self.lab.exec(pod, ["bash", "-c", script, "x", text])
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def hasteward(
        self, *words: str, status: int = 0, role: str = "repair", cluster: str = ""
    ) -> dict[str, Any]:
        """Run a command with the rights of one of the service accounts that are shipped."""
        environment = dict(os.environ) | {
            "KUBECONFIG": str(self.lab.kubeconfig),
            "HASTEWARD_CONTEXT": role,
            "RESTIC_PASSWORD": "canary",
            "HASTEWARD_BACKUPS_PATH": str(self.folder / "repository"),
        }
        whom = ["-e", "galera", "-c", cluster or self.lab.cluster, "-n", self.lab.namespace]
        argv = [sys.executable, "-m", "hasteward.cli.main", *words, "--output", "json"]
        done = subprocess.run(
            [*argv, *([] if words[0] == "init" else whom)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=self.patience,
        )
        assert done.returncode == status, done.stdout + done.stderr
        envelope: dict[str, Any] = json.loads(done.stdout)
        return envelope

    def content(self, pod: str) -> str:
        """Every table, and what a view, a routine, a sequence and an account are."""
        return self.sql(pod, _CONTENT)


__all__ = ["SHOP", "Site"]
