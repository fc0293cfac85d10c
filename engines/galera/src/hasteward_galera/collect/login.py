"""Root's password, from the Secret that the MariaDB names. It goes to the client by descriptor alone."""

from __future__ import annotations

import base64
import binascii

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import DependencyError
from hasteward.domain.reading import Absent, Known, Reading, Unread
from hasteward.kit.reading import attempt
from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import SECRETS
from hasteward_galera.evidence import ClusterFacts


def password(context: EngineContext, cluster: ClusterRef, facts: ClusterFacts) -> Reading[str]:
    """The password; "" when root has none. Never part of a message."""
    name, key = facts.secret
    if not name:
        return Known("", "spec.rootEmptyPassword")
    found = attempt(f"secret {name}", lambda: context.kubernetes.get(SECRETS, cluster.namespace, name))
    if not isinstance(found, Known):
        return found
    data = found.value.get("data") or {}
    if key not in data:
        return Unread(f"secret {name} has no key {key}")
    try:
        return Known(base64.b64decode(data[key], validate=True).decode().rstrip("\n"), f"secret {name}")
    except (binascii.Error, UnicodeDecodeError):
        return Unread(f"key {key} of secret {name} is not text")


def demand(context: EngineContext, cluster: ClusterRef, facts: ClusterFacts) -> str:
    """The password, for work that cannot go on without; DependencyError says what is missing."""
    match password(context, cluster, facts):
        case Known(word):
            return word
        case Absent(why) | Unread(why):
            raise DependencyError(
                f"root's password could not be read: {why}",
                hint=f"kubectl auth can-i get secret/{facts.secret[0]} -n {cluster.namespace}",
                code="secret.unread",
            )
