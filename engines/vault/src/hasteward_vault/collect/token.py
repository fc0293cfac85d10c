"""Fetches the token, or says how the shell in the pod gets it. The token goes nowhere but into a stream."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.errors import DependencyError, InvalidInput
from hasteward.ports.context import EngineContext
from hasteward.ports.kubernetes import SECRETS, ApiForbidden, ApiNotFound
from hasteward.streams.wrapper import FED_DESCRIPTOR
from hasteward_vault.facts.token import DEFAULT, Origin, TokenSource, parse_source


@dataclass(frozen=True, slots=True, repr=False)
class Access:
    """How a script gets its token: `words` are its first arguments, `feed` is what the stream is fed."""

    source: TokenSource
    feed: str = ""

    def __repr__(self) -> str:
        return f"Access({self.source})"

    @property
    def words(self) -> tuple[str, ...]:
        """The arguments for a script whose standard input is not data."""
        match self.source.origin:
            case Origin.SECRET | Origin.FILE:
                return ("given", "0")
            case Origin.POD:
                return ("file", self.source.name)
            case Origin.KUBERNETES:
                return ("kubernetes", self.source.name, self.source.detail)

    @property
    def words_beside_data(self) -> tuple[str, ...]:
        """As `words`, for a script that is sent data on its standard input."""
        if self.words[0] == "given":
            return ("given", FED_DESCRIPTOR.removeprefix("/dev/fd/"))
        return self.words


def access(context: EngineContext, cluster: ClusterRef) -> Access:
    """The token, from where the options say. Raises a HastewardError that names what is missing."""
    source = parse_source(str(context.options.get("token_from") or DEFAULT))
    match source.origin:
        case Origin.SECRET:
            return Access(source, _checked(_from_secret(context, cluster, source), source))
        case Origin.FILE:
            return Access(source, _checked(_from_file(source), source))
        case Origin.POD | Origin.KUBERNETES:
            return Access(source)


def _from_secret(context: EngineContext, cluster: ClusterRef, source: TokenSource) -> str:
    try:
        body = context.kubernetes.get(SECRETS, cluster.namespace, source.name)
    except ApiNotFound as error:
        raise InvalidInput(
            f"there is no Secret {cluster.namespace}/{source.name} to take the token from",
            hint=f"kubectl create secret generic {source.name} -n {cluster.namespace}"
            f" --from-file={source.detail}=FILE, or say with --token-from where it is",
            code="token.missing",
        ) from error
    except ApiForbidden as error:
        raise DependencyError(
            f"the token's Secret {cluster.namespace}/{source.name} may not be read: {error.message}",
            hint="kubectl apply -k deploy/vault grants exactly that, or say with --token-from where it is",
            code="token.forbidden",
        ) from error
    value = (body.get("data") or {}).get(source.detail)
    if value is None:
        raise InvalidInput(
            f"Secret {cluster.namespace}/{source.name} has no key {source.detail}", code="token.missing"
        )
    try:
        return base64.b64decode(value, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        raise InvalidInput(f"{source} is not text", code="token.invalid") from None


def _from_file(source: TokenSource) -> str:
    try:
        return Path(source.name).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise InvalidInput(
            f"the token file {source.name} cannot be read: {why}", code="token.missing"
        ) from None


def _checked(text: str, source: TokenSource) -> str:
    token = text.strip()
    if not token.isascii() or not token.isprintable() or not token or " " in token:
        raise InvalidInput(
            f"{source} holds no token", hint="it must hold the token alone", code="token.invalid"
        )
    return token
