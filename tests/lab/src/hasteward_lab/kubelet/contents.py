"""What a pod takes from other objects: its environment, and volumes made of Secrets and ConfigMaps."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hasteward_lab.api.resources import CONFIG_MAPS, SECRETS
from hasteward_lab.kubelet.network import GATEWAY

if TYPE_CHECKING:
    from hasteward_lab.api.store import Store

Object = dict[str, Any]
# Makes a token of an account: namespace and name.
Issue = Callable[[str, str], str]

_API = {"KUBERNETES_SERVICE_HOST": GATEWAY, "KUBERNETES_SERVICE_PORT": "443"}
_API |= {"KUBERNETES_SERVICE_PORT_HTTPS": "443", "KUBERNETES_PORT": f"tcp://{GATEWAY}:443"}


class MissingError(Exception):
    """The pod needs an object or a key that is not there; the message is the kubelet's."""


def environment(store: Store, pod: Object, row: Object, address: str) -> dict[str, str]:
    """The environment of a container; MissingError when something it names is not there."""
    namespace = pod["metadata"]["namespace"]
    found = dict(_API)
    for source in row.get("envFrom", []):
        prefix = source.get("prefix", "")
        for key, content in _all(store, namespace, source).items():
            found[prefix + key] = content.decode(errors="replace")
    for item in row.get("env", []):
        value: str | None = item.get("value", "")
        if "valueFrom" in item:
            value = _one(store, namespace, item["valueFrom"], pod, address)
        if value is not None:
            found[item["name"]] = value
    return found


def _all(store: Store, namespace: str, source: Object) -> dict[str, bytes]:
    for field, resource in (("secretRef", SECRETS), ("configMapRef", CONFIG_MAPS)):
        reference = source.get(field)
        if reference:
            return _data(store, resource, namespace, reference["name"], bool(reference.get("optional")))
    return {}


def _one(store: Store, namespace: str, source: Object, pod: Object, address: str) -> str | None:
    for field, resource in (("secretKeyRef", SECRETS), ("configMapKeyRef", CONFIG_MAPS)):
        reference = source.get(field)
        if reference:
            optional = bool(reference.get("optional"))
            data = _data(store, resource, namespace, reference["name"], optional)
            if reference["key"] not in data:
                if optional:
                    return None
                kind = resource.kind
                raise MissingError(
                    f"couldn't find key {reference['key']} in {kind} {namespace}/{reference['name']}"
                )
            return data[reference["key"]].decode(errors="replace")
    return _field(pod, source.get("fieldRef", {}).get("fieldPath", ""), address)


def _field(pod: Object, path: str, address: str) -> str:
    told = {
        "metadata.name": pod["metadata"]["name"],
        "metadata.namespace": pod["metadata"]["namespace"],
        "metadata.uid": pod["metadata"].get("uid", ""),
        "spec.nodeName": pod["spec"].get("nodeName", ""),
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", ""),
        "status.podIP": address,
    }
    return str(told.get(path, ""))


def _data(store: Store, resource: Any, namespace: str, name: str, optional: bool) -> dict[str, bytes]:
    item = store.find(resource, namespace, name)
    if item is None:
        if optional:
            return {}
        raise MissingError(f'{resource.singular} "{name}" not found')
    texts = item.get("data") or {}
    if resource == SECRETS:
        return {key: base64.b64decode(value) for key, value in texts.items()}
    binary = {key: base64.b64decode(value) for key, value in (item.get("binaryData") or {}).items()}
    return {**{key: value.encode() for key, value in texts.items()}, **binary}


def fill(store: Store, pod: Object, volume: Object, folder: Path, issue: Issue) -> None:
    """Write a volume made of a Secret or ConfigMap, or projected; MissingError when one is not there."""
    for source in volume.get("projected", {}).get("sources", [volume]):
        _fill(store, pod["metadata"]["namespace"], source, folder)
        token = source.get("serviceAccountToken")
        if token:
            account = pod["spec"].get("serviceAccountName") or "default"
            folder.mkdir(parents=True, exist_ok=True)
            text = issue(pod["metadata"]["namespace"], account)
            (folder / token["path"]).write_text(text, encoding="ascii")
        for row in source.get("downwardAPI", {}).get("items", []):
            folder.mkdir(parents=True, exist_ok=True)
            text = str(_field(pod, row["fieldRef"]["fieldPath"], ""))
            (folder / row["path"]).write_text(text, encoding="utf-8")


def _fill(store: Store, namespace: str, volume: Object, folder: Path) -> None:
    for field, resource, name in (("secret", SECRETS, "secretName"), ("configMap", CONFIG_MAPS, "name")):
        source = volume.get(field)
        if source is None:
            continue
        named = source[name] if name in source else source["name"]
        data = _data(store, resource, namespace, named, bool(source.get("optional")))
        wanted = source.get("items")
        files = {row["path"]: data.get(row["key"]) for row in wanted} if wanted else data
        modes = {row["path"]: row["mode"] for row in wanted or [] if "mode" in row}
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            if content is None:
                raise MissingError(f"references non-existent {resource.singular} key: {path}")
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
            (folder / path).chmod(modes.get(path, source.get("defaultMode", 0o644)))
