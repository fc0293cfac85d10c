"""Where the token comes from, as the option says it in one word."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from hasteward.domain.errors import InvalidInput
from hasteward_vault.resources import TOKEN_KEY, TOKEN_SECRET

DEFAULT = f"secret:{TOKEN_SECRET}/{TOKEN_KEY}"
_MOUNT = "kubernetes"
_SAFE = re.compile(r"[A-Za-z0-9._/@-]+")


class Origin(StrEnum):
    """Who holds the token."""

    SECRET = "secret"  # noqa: S105  a word
    FILE = "file"
    POD = "pod"
    KUBERNETES = "kubernetes"


@dataclass(frozen=True, slots=True)
class TokenSource:
    """`name` is the Secret, the path or the role; `detail` the Secret's key or where the role is mounted."""

    origin: Origin
    name: str
    detail: str = ""

    def __str__(self) -> str:
        match self.origin:
            case Origin.SECRET:
                return f"key {self.detail} of Secret {self.name}"
            case Origin.FILE:
                return f"the file {self.name}"
            case Origin.POD:
                return f"the file {self.name} in the server's container"
            case Origin.KUBERNETES:
                return f"a login as role {self.name} at auth/{self.detail}"


def parse_source(text: str) -> TokenSource:
    """``secret:NAME[/KEY]``, ``file:PATH``, ``pod:PATH`` or ``kubernetes:ROLE[@MOUNT]``; InvalidInput else.

    The text is not repeated in the error: somebody may have given the token itself.
    """
    kind, _, rest = text.partition(":")
    if kind not in set(Origin) or not rest:
        raise _invalid()
    origin = Origin(kind)
    match origin:
        case Origin.SECRET:
            name, _, key = rest.partition("/")
            source = TokenSource(origin, name, key or TOKEN_KEY)
        case Origin.FILE | Origin.POD:
            source = TokenSource(origin, rest)
        case Origin.KUBERNETES:
            role, _, mount = rest.partition("@")
            source = TokenSource(origin, role, mount or _MOUNT)
    checked = (source.name, source.detail) if origin in {Origin.SECRET, Origin.KUBERNETES} else ()
    if not source.name or not all(_SAFE.fullmatch(word) for word in checked):
        raise _invalid()
    return source


def _invalid() -> InvalidInput:
    return InvalidInput(
        "--token-from says where the token is, not what it is",
        hint="give secret:NAME[/KEY], file:PATH, pod:PATH (in the server's container)"
        " or kubernetes:ROLE[@MOUNT]",
        code="token.source",
    )
