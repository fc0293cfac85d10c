"""The StandaloneDatabase resource: CRD, model and command line say the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from hasteward.domain.errors import InvalidInput
from hasteward_standalone.evidence import SecretRef, StandaloneDatabaseSpec, read
from hasteward_standalone.facts import choice
from hasteward_standalone.resources import OPTIONS, DbType

CRD = Path(__file__).parents[3] / "deploy" / "crds" / "standalonedatabase.yaml"


def schema() -> dict[str, Any]:
    document = yaml.safe_load(CRD.read_text(encoding="utf-8"))
    found: dict[str, Any] = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


def test_the_crd_and_the_model_have_the_same_fields() -> None:
    spec = schema()
    fields = StandaloneDatabaseSpec.model_fields
    assert sorted(spec["properties"]) == sorted(one.alias or name for name, one in fields.items())
    assert spec["required"] == [one.alias for one in fields.values() if one.is_required()]
    assert spec["properties"]["dbType"]["enum"] == list(DbType)
    secret = spec["properties"]["secretRef"]
    assert sorted(secret["properties"]) == sorted(SecretRef.model_fields)
    assert secret["properties"]["key"]["default"] == SecretRef(name="x").key


def test_an_object_stands_for_the_options_of_the_command_line() -> None:
    spec = read(
        {"spec": {"dbType": "mariadb", "secretRef": {"name": "login", "key": "root"}, "dbUser": "keeper"}}
    )
    options = spec.options()
    assert sorted(options) == sorted(option.name for option in OPTIONS)
    found = choice(options)
    assert (found.db_type, found.secret_name, found.secret_key, found.user) == (
        DbType.MARIADB,
        "login",
        "root",
        "keeper",
    )


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "spec.dbType: Field required"),
        ({"dbType": "oracle"}, "spec.dbType: Input should be"),
        ({"dbType": "files", "path": ["/x"]}, "spec.path: Extra inputs are not permitted"),
        ({"dbType": "mysql", "secretRef": {"name": ""}}, "spec.secretRef.name"),
        (None, "cannot be used"),
    ],
)
def test_what_is_wrong_with_an_object_is_named(spec: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match="StandaloneDatabase shop cannot be used") as caught:
        read({"metadata": {"name": "shop"}, "spec": spec})
    assert message in caught.value.message
