"""Authentication: bearer tokens, service-account tokens and client certificates."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.resources import ACCOUNTS, SECRETS
from hasteward_lab.api.store import Store

Object = dict[str, Any]

_PREFIX = "system:serviceaccount:"
ISSUER = "https://kubernetes.default.svc.cluster.local"


@dataclass(frozen=True)
class User:
    """Somebody the API knows: a name and the groups that rights may be bound to."""

    name: str
    groups: tuple[str, ...] = ()

    @property
    def all_groups(self) -> tuple[str, ...]:
        """The groups, and the one everybody is in who could be told apart."""
        if self.name == "system:anonymous":
            return (*self.groups, "system:unauthenticated")
        return (*self.groups, "system:authenticated")


ANONYMOUS = User("system:anonymous")


def service_account(namespace: str, name: str) -> User:
    """The user a service account is."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    return User(f"{_PREFIX}{namespace}:{name}", groups)


def named(user: str, groups: tuple[str, ...] = ()) -> User:
    """The user of that name; a service account's name brings its groups."""
    if user.startswith(_PREFIX) and not groups:
        return service_account(*user.removeprefix(_PREFIX).split(":", 1))
    return User(user, groups)


class Authenticator:
    """Tells who asks. `tokens` are the static ones of the kubeconfig."""

    def __init__(self, store: Store, tokens: dict[str, User], key: str) -> None:
        self._store = store
        self._tokens = dict(tokens)
        self._key = key.encode()

    def user(self, request: web.Request) -> User:
        """The user behind a request: token first, then certificate; 401 for a token nobody has."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme:
            found = self.by_token(token.strip()) if scheme.lower() == "bearer" else None
            if found is None:
                raise ApiError(401, "Unauthorized")
            return found
        certificate = request.get_extra_info("peercert")
        return _of_certificate(certificate) if certificate else ANONYMOUS

    def by_token(self, token: str) -> User | None:
        """The user of a token: static, issued by TokenRequest, or kept in a Secret."""
        if token in self._tokens:
            return self._tokens[token]
        return self._issued(token) or self._of_secret(token)

    def issue(self, namespace: str, name: str, seconds: int, audiences: list[str]) -> tuple[str, int]:
        """A token for a service account, and when it ends."""
        account = self._store.get(ACCOUNTS, namespace, name)["metadata"]
        now = int(time.time())
        reference = {"name": name, "uid": account["uid"]}
        claims = {
            "aud": audiences or [ISSUER],
            "exp": now + seconds,
            "iat": now,
            "iss": ISSUER,
            "kubernetes.io": {"namespace": namespace, "serviceaccount": reference},
            "nbf": now,
            "sub": f"{_PREFIX}{namespace}:{name}",
        }
        # A real server signs with RS256 and says so, on which clients that read a token insist. Nobody but
        # the server itself ever checks the signature.
        head = _encode(json.dumps({"alg": "RS256"}).encode()) + "." + _encode(json.dumps(claims).encode())
        return f"{head}.{self._sign(head)}", now + seconds

    def _sign(self, head: str) -> str:
        return _encode(hmac.digest(self._key, head.encode(), hashlib.sha256))

    def _issued(self, token: str) -> User | None:
        head, _, signature = token.rpartition(".")
        if head.count(".") != 1 or not hmac.compare_digest(self._sign(head), signature):
            return None
        claims = json.loads(base64.urlsafe_b64decode(head.split(".")[1] + "=="))
        where = claims["kubernetes.io"]
        account = self._store.find(ACCOUNTS, where["namespace"], where["serviceaccount"]["name"])
        if claims["exp"] < time.time() or account is None:
            return None
        # A token dies with its account, even when another of the same name takes its place.
        if account["metadata"]["uid"] != where["serviceaccount"]["uid"]:
            return None
        return service_account(where["namespace"], where["serviceaccount"]["name"])

    def _of_secret(self, token: str) -> User | None:
        wanted = base64.b64encode(token.encode()).decode()
        for secret in self._store.listing(SECRETS):
            if secret.get("type") != "kubernetes.io/service-account-token":
                continue
            if secret.get("data", {}).get("token") == wanted:
                meta = secret["metadata"]
                name = meta["annotations"]["kubernetes.io/service-account.name"]
                return service_account(meta["namespace"], name)
        return None


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _of_certificate(certificate: Any) -> User:
    """CN is the user, every O a group."""
    pairs = [pair for part in certificate["subject"] for pair in part]
    name = next((value for key, value in pairs if key == "commonName"), "")
    groups = tuple(value for key, value in pairs if key == "organizationName")
    return User(name, groups)


def audiences(token: str) -> list[str] | None:
    """For whom a token was issued; None for one that does not say."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=="))["aud"]
    except (ValueError, KeyError, TypeError):
        return None
    return list(found)
