"""Every file of a claim by its digest, read from outside: two of these tell whether a byte has changed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from hasteward_lab.api.resources import CLAIMS

if TYPE_CHECKING:
    from hasteward_lab.api.store import Store
    from hasteward_lab.kubelet.volumes import Volumes


def paths(store: Store, volumes: Volumes, namespace: str) -> dict[str, Path]:
    """Where the claims of a namespace lie, by name."""
    names = [claim["metadata"]["name"] for claim in store.listing(CLAIMS, namespace)]
    return {name: path for name in names if (path := volumes.path(namespace, name)).exists()}


def of_claims(claims: dict[str, Path]) -> dict[str, str]:
    """`claim/path` of everything below, with the digest of a file, where a link leads, "" of a folder."""
    return {
        f"{claim}/{path.relative_to(root)}": _digest(path)
        for claim, root in claims.items()
        for path in sorted(root.rglob("*"))
    }


def _digest(path: Path) -> str:
    try:
        if path.is_symlink():
            return f"-> {path.readlink()}"
        if not path.is_file():
            return ""
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "blake2b").hexdigest()
    except FileNotFoundError:
        return "gone"
