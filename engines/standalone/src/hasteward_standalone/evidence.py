"""The custom resource StandaloneDatabase, as it is read, and the options that it stands for."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hasteward.domain.errors import InvalidInput
from hasteward.domain.option import Value
from hasteward_standalone.resources import DbType


class SecretRef(BaseModel):
    """Where the database password is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    key: str = "password"


class StandaloneDatabaseSpec(BaseModel):
    """`target` is a pod's name, or what its app labels name; empty: the object's own name."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    db_type: DbType = Field(alias="dbType")
    target: str = ""
    container: str = ""
    secret_ref: SecretRef | None = Field(default=None, alias="secretRef")
    db_user: str = Field(default="", alias="dbUser")
    paths: tuple[str, ...] = ()

    def options(self) -> dict[str, Value]:
        """What the same would be on the command line."""
        secret = self.secret_ref
        return {
            "db_type": self.db_type.value,
            "container": self.container or None,
            "secret_name": secret.name if secret else None,
            "secret_key": secret.key if secret else "password",
            "secret_file": None,
            "db_user": self.db_user or None,
            "path": self.paths,
        }


def read(body: dict[str, Any]) -> StandaloneDatabaseSpec:
    """The spec of an object of the API. Raises InvalidInput that names every field that is wrong."""
    name = body.get("metadata", {}).get("name", "")
    try:
        return StandaloneDatabaseSpec.model_validate(body.get("spec"))
    except ValidationError as error:
        fields = "; ".join(f"spec.{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise InvalidInput(
            f"StandaloneDatabase {name} cannot be used: {fields}", code="resource.invalid"
        ) from None
