"""Reviews: questions about rights, answered by the same evaluator that enforces them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from hasteward_lab.api.auth.identity import ISSUER, User, audiences, named
from hasteward_lab.api.auth.rbac import Attributes
from hasteward_lab.api.errors import ApiError
from hasteward_lab.api.resources import (
    ACCESS_REVIEWS,
    ACCOUNTS,
    LOCAL_REVIEWS,
    OTHERS_REVIEWS,
    RULES_REVIEWS,
    SELF_REVIEWS,
    Resource,
)
from hasteward_lab.faults import Call

if TYPE_CHECKING:
    from hasteward_lab.api.context import ApiContext

Object = dict[str, Any]

_SHORTEST, _USUAL = 600, 3600


def answer(resource: Resource, body: Object, context: ApiContext, user: User) -> Object:
    """The review with its status."""
    spec = body.get("spec") or {}
    if resource == ACCESS_REVIEWS:
        status = _access(spec, context, user)
    elif resource in {OTHERS_REVIEWS, LOCAL_REVIEWS}:
        status = _access(spec, context, named(spec.get("user", ""), tuple(spec.get("groups") or ())))
    elif resource == RULES_REVIEWS:
        if not spec.get("namespace"):
            raise ApiError(400, "no namespace on request")
        status = _rules(spec["namespace"], context, user)
    elif resource == SELF_REVIEWS:
        status = {"userInfo": {"username": user.name, "groups": list(user.all_groups)}}
    else:
        status = _token(spec, context)
    kind = {"kind": resource.kind, "apiVersion": resource.api_version}
    return {**kind, "metadata": {"creationTimestamp": None}, "spec": spec, "status": status}


def allows(context: ApiContext, wanted: Attributes) -> tuple[bool, str]:
    """Say whether the roles and the faults in force allow it, and why not."""
    call = Call(
        user=wanted.user.name,
        verb=wanted.verb,
        resource=wanted.resource,
        subresource=wanted.subresource,
        namespace=wanted.namespace,
        name=wanted.name,
    )
    if wanted.resource and context.faults.forbids(call):
        return False, ""
    decision = context.authorizer.decide(wanted)
    return decision.allowed, decision.reason


def _access(spec: Object, context: ApiContext, user: User) -> Object:
    asked, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (asked is None) is (path is None):
        raise ApiError(
            422,
            "spec.resourceAttributes: Invalid value: exactly one of nonResourceAttributes or "
            "resourceAttributes must be specified",
        )
    if path is not None:
        wanted = Attributes(user, path.get("verb", ""), path=path.get("path", ""))
    else:
        keys = ("verb", "group", "resource", "subresource", "namespace", "name")
        wanted = Attributes(user, **{key: (asked or {}).get(key) or "" for key in keys})
    allowed, reason = allows(context, wanted)
    return {"allowed": allowed, **({"reason": reason} if reason else {})}


def _rules(namespace: str, context: ApiContext, user: User) -> Object:
    rules = context.authorizer.rules(user, namespace)
    fields = ("verbs", "apiGroups", "resources", "resourceNames")
    resources = [
        {key: rule[key] for key in fields if rule.get(key)} for rule in rules if rule.get("resources")
    ]
    paths = [
        {key: rule[key] for key in ("verbs", "nonResourceURLs")}
        for rule in rules
        if rule.get("nonResourceURLs")
    ]
    return {"resourceRules": resources, "nonResourceRules": paths, "incomplete": False}


def _token(spec: Object, context: ApiContext) -> Object:
    user = context.authenticator.by_token(spec.get("token", ""))
    wanted = list(spec.get("audiences") or [ISSUER])
    meant = audiences(spec.get("token", ""))
    shared = [each for each in wanted if meant is None or each in meant]
    if user is None or not shared:
        return {"user": {}, "error": "[invalid bearer token, token lookup failed]"}
    found: Object = {"username": user.name, "groups": list(user.all_groups)}
    kind, _, name = user.name.rpartition(":")
    account = context.store.find(ACCOUNTS, kind.rpartition(":")[2], name)
    if account is not None:
        found["uid"] = account["metadata"]["uid"]
    return {"authenticated": True, "user": found, "audiences": shared}


def token_request(body: Object, context: ApiContext, namespace: str, name: str) -> Object:
    """Answer `serviceaccounts/token`."""
    spec = body.get("spec") or {}
    seconds = int(spec.get("expirationSeconds") or _USUAL)
    if seconds < _SHORTEST:
        raise ApiError(
            422,
            f"spec.expirationSeconds: Invalid value: {seconds}: may not specify a duration less than "
            "10 minutes",
        )
    audiences = list(spec.get("audiences") or [])
    token, end = context.authenticator.issue(namespace, name, seconds, audiences)
    ends = dt.datetime.fromtimestamp(end, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": None},
        "spec": {**spec, "expirationSeconds": seconds},
        "status": {"token": token, "expirationTimestamp": ends},
    }
