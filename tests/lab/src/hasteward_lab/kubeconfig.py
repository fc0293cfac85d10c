"""The kubeconfig of a lab: one context per identity."""

from __future__ import annotations

import base64
from typing import Any

import yaml

IDENTITIES = ("admin", "view", "backup", "repair")


def user_name(identity: str, namespace: str) -> str:
    """The user the API knows an identity as."""
    return "lab-admin" if identity == "admin" else f"system:serviceaccount:{namespace}:hasteward-{identity}"


def render(name: str, port: int, ca: bytes, tokens: dict[str, str], namespace: str) -> str:
    """The kubeconfig; `tokens` maps identities to bearer tokens, `admin` is the current context."""
    cluster: dict[str, Any] = {
        "server": f"https://127.0.0.1:{port}",
        "certificate-authority-data": base64.b64encode(ca).decode(),
    }
    contexts = [
        {"name": identity, "context": {"cluster": name, "user": identity, "namespace": namespace}}
        for identity in tokens
    ]
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {},
        "current-context": "admin",
        "clusters": [{"name": name, "cluster": cluster}],
        "contexts": contexts,
        "users": [{"name": identity, "user": {"token": token}} for identity, token in tokens.items()],
    }
    return yaml.safe_dump(document, sort_keys=False)
