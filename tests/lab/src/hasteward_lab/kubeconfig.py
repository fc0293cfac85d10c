"""The kubeconfig of a lab: one context per identity."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from hasteward_lab.api.auth.identity import User
    from hasteward_lab.pki import Pair

IDENTITIES = ("admin", "view", "backup", "repair")


CERTIFICATE = "certificate"


def user(identity: str, namespace: str) -> User:
    """Who the API takes an identity for."""
    from hasteward_lab.api.auth.identity import User, service_account

    if identity == "admin":
        return User("lab-admin", ("system:masters",))
    return service_account(namespace, f"hasteward-{identity}")


def render(
    name: str, port: int, ca: bytes, tokens: dict[str, str], namespace: str, client: Pair | None = None
) -> str:
    """The kubeconfig; `tokens` maps identities to bearer tokens, `admin` is the current context.

    With `client` there is one more context, `certificate`, that shows a client certificate instead.
    """
    cluster: dict[str, Any] = {
        "server": f"https://127.0.0.1:{port}",
        "certificate-authority-data": base64.b64encode(ca).decode(),
    }
    contexts = [
        {"name": identity, "context": {"cluster": name, "user": identity, "namespace": namespace}}
        for identity in (*tokens, *([CERTIFICATE] if client else []))
    ]
    users: list[dict[str, Any]] = [
        {"name": identity, "user": {"token": token}} for identity, token in tokens.items()
    ]
    if client:
        shown = {
            "client-certificate-data": base64.b64encode(client.certificate).decode(),
            "client-key-data": base64.b64encode(client.key).decode(),
        }
        users.append({"name": CERTIFICATE, "user": shown})
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {},
        "current-context": "admin",
        "clusters": [{"name": name, "cluster": cluster}],
        "contexts": contexts,
        "users": users,
    }
    return yaml.safe_dump(document, sort_keys=False)
