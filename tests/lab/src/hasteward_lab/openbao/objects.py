"""The objects of an OpenBao cluster, named and labelled as the Helm chart does it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

Object = dict[str, Any]

PORT = 8200
DATA = "/openbao/data"
_TLS = "/openbao/userconfig/tls"
_CONFIG = "/openbao/config"


def labels(cluster: str) -> dict[str, str]:
    """What selects the servers of one release."""
    return {
        "app.kubernetes.io/name": "openbao",
        "app.kubernetes.io/instance": cluster,
        "component": "server",
    }


def configuration(cluster: str, namespace: str, members: int) -> str:
    """The server's configuration: TLS, Raft, and every other member as one to join."""
    joins = "".join(
        f"""
  retry_join {{
    leader_api_addr = "https://{host(cluster, namespace, number)}:{PORT}"
    leader_ca_cert_file = "{_TLS}/ca.crt"
  }}"""
        for number in range(members)
    )
    return f"""disable_mlock = true
ui = false
listener "tcp" {{
  address = "0.0.0.0:{PORT}"
  cluster_address = "0.0.0.0:{PORT + 1}"
  tls_cert_file = "{_TLS}/tls.crt"
  tls_key_file = "{_TLS}/tls.key"
}}
storage "raft" {{
  path = "{DATA}"
  performance_multiplier = 1{joins}
}}
"""


def host(cluster: str, namespace: str, number: int) -> str:
    """The name under which the others reach a member."""
    return f"{cluster}-{number}.{cluster}-internal.{namespace}.svc"


def names(cluster: str, namespace: str) -> tuple[str, ...]:
    """What the servers' certificate is for."""
    inner = f"{cluster}-internal.{namespace}.svc"
    return ("127.0.0.1", "localhost", cluster, f"{cluster}.{namespace}.svc", inner, f"*.{inner}")


def config_map(cluster: str, namespace: str, members: int) -> Object:
    """The ConfigMap that holds the configuration."""
    text = configuration(cluster, namespace, members)
    meta = {"name": f"{cluster}-config", "namespace": namespace, "labels": labels(cluster)}
    return {"metadata": meta, "data": {"extraconfig-from-values.hcl": text}}


def secret(name: str, namespace: str, fields: Mapping[str, bytes | str]) -> Object:
    """A Secret."""
    data = {
        key: base64.b64encode(value.encode() if isinstance(value, str) else value).decode()
        for key, value in fields.items()
    }
    return {"metadata": {"name": name, "namespace": namespace}, "type": "Opaque", "data": data}


def services(cluster: str, namespace: str) -> list[Object]:
    """The headless service, and the one that leads to the active server."""
    ports = [{"name": "https", "port": PORT}, {"name": "https-internal", "port": PORT + 1}]
    inner = {
        "metadata": {"name": f"{cluster}-internal", "namespace": namespace, "labels": labels(cluster)},
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": labels(cluster),
            "ports": ports,
        },
    }
    active = {
        "metadata": {"name": f"{cluster}-active", "namespace": namespace, "labels": labels(cluster)},
        "spec": {"selector": {**labels(cluster), "openbao-active": "true"}, "ports": ports},
    }
    return [inner, active]


def _container(cluster: str, namespace: str, image: str) -> Object:
    """The server."""
    start = (
        f"export BAO_API_ADDR=https://$POD_IP:{PORT}"
        f" BAO_CLUSTER_ADDR=https://$HOSTNAME.{cluster}-internal.{namespace}.svc:{PORT + 1};"
        f" exec bao server -config={_CONFIG}/extraconfig-from-values.hcl"
    )
    return {
        "name": "openbao",
        "image": image,
        "command": ["/bin/sh", "-ec"],
        "args": [start],
        "env": [
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "BAO_RAFT_NODE_ID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "BAO_ADDR", "value": f"https://127.0.0.1:{PORT}"},
            {"name": "BAO_CACERT", "value": f"{_TLS}/ca.crt"},
            {"name": "HOME", "value": "/home/openbao"},
        ],
        "ports": [{"containerPort": PORT, "name": "https"}],
        "volumeMounts": [
            {"name": "data", "mountPath": DATA},
            {"name": "config", "mountPath": _CONFIG, "readOnly": True},
            {"name": "userconfig-tls", "mountPath": _TLS, "readOnly": True},
        ],
        "readinessProbe": {
            "httpGet": {
                "path": "/v1/sys/health?standbyok=true",
                "port": PORT,
                "scheme": "HTTPS",
            },
            "periodSeconds": 5,
            "failureThreshold": 2,
        },
    }


def stateful_set(cluster: str, namespace: str, members: int, image: str, size: str) -> Object:
    """The servers."""
    template = {
        "metadata": {"labels": labels(cluster)},
        "spec": {
            "terminationGracePeriodSeconds": 10,
            "containers": [_container(cluster, namespace, image)],
            "volumes": [
                {"name": "config", "configMap": {"name": f"{cluster}-config"}},
                {"name": "userconfig-tls", "secret": {"secretName": f"{cluster}-tls"}},
            ],
        },
    }
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}},
    }
    return {
        "metadata": {"name": cluster, "namespace": namespace, "labels": labels(cluster)},
        "spec": {
            "serviceName": f"{cluster}-internal",
            "podManagementPolicy": "Parallel",
            "replicas": members,
            "updateStrategy": {"type": "OnDelete"},
            "selector": {"matchLabels": labels(cluster)},
            "template": template,
            "volumeClaimTemplates": [claim],
        },
    }
