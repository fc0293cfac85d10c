"""The repository's password in a Kubernetes Secret takes one right on that one Secret, and no more."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hasteward_lab.lab import Lab

pytestmark = pytest.mark.servers

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "where-the-password-comes-from.md"
ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/db"
BINDING = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "RoleBinding",
    "metadata": {"name": "hasteward-password", "namespace": "db"},
    "roleRef": {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "Role",
        "name": "hasteward-password",
    },
    "subjects": [{"kind": "ServiceAccount", "name": "hasteward-view", "namespace": "db"}],
}


@pytest.fixture
def grant(lab: Lab, hasteward: Any) -> Iterator[Callable[[], None]]:
    """Two Secrets, and a way to bind the role that the page shows; all gone afterwards."""
    password = base64.b64encode((hasteward.folder / "password").read_bytes()).decode()
    for name in ("restic", "other"):
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": "db"},
            "data": {"password": password},
        }
        lab.client.call("POST", "/api/v1/namespaces/db/secrets", body)
    made = []

    def bind() -> None:
        role = yaml.safe_load(PAGE.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0])
        lab.client.call("POST", f"{ROLES}/roles", role)
        lab.client.call("POST", f"{ROLES}/rolebindings", BINDING)
        made.extend([f"{ROLES}/rolebindings/hasteward-password", f"{ROLES}/roles/hasteward-password"])

    yield bind
    for path in [*made, "/api/v1/namespaces/db/secrets/restic", "/api/v1/namespaces/db/secrets/other"]:
        lab.client.call("DELETE", path)


def test_the_role_of_the_page_is_what_it_takes(hasteward: Any, grant: Callable[[], None]) -> None:
    del hasteward.environment["RESTIC_PASSWORD_FILE"]

    def ask(name: str) -> Any:
        reference = f"db/{name}/password"
        return hasteward("get", "backups", "--context", "view", "--restic-password-secret", reference)

    refused = ask("restic")
    grant()
    done, other = ask("restic"), ask("other")

    assert refused.returncode == 4
    assert refused.stderr == (
        "error: not allowed to get secrets restic in namespace db\n"
        '  next: grant: apiGroups [""] resources ["secrets"] resourceNames ["restic"] verbs ["get"]\n'
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "No snapshot matches.\n", "")
    assert other.returncode == 4
