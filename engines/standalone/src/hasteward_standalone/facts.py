"""The options, checked for what they mean together. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from hasteward.domain.errors import InvalidInput
from hasteward.domain.option import Value
from hasteward_standalone.resources import USERS, DbType, db_type


class Choice(BaseModel):
    """What to save and how to log in; `password` itself is never part of it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    db_type: DbType
    container: str = ""
    secret_name: str = ""
    secret_key: str = "password"  # noqa: S105 - the name of a key
    secret_file: str = ""
    db_user: str = ""
    path: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.secret_name and self.secret_file:
            raise ValueError("--secret-name and --secret-file exclude each other")
        if self.db_type is DbType.FILES:
            self._check_paths()
        elif self.path:
            raise ValueError("--path is for --db-type files")
        return self

    def _check_paths(self) -> None:
        if not self.path:
            raise ValueError("--db-type files needs at least one --path")
        for one in self.path:
            parts = one.rstrip("/").split("/")
            if not one.startswith("/") or not parts[1:] or {".", "..", ""} & set(parts[1:]):
                raise ValueError(f"--path {one!r} is not the plain absolute path of a directory")
        folders = sorted(one.rstrip("/") + "/" for one in self.path)
        for outer, inner in itertools.pairwise(folders):
            if inner.startswith(outer):
                raise ValueError(f"--path {inner!r} lies in {outer!r}")

    @property
    def user(self) -> str:
        """The user to log in as."""
        return self.db_user or USERS[self.db_type]


def choice(options: Mapping[str, Value]) -> Choice:
    """Read the options. Raises InvalidInput with every reason."""
    db_type(options)
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return Choice.model_validate(given)
    except ValidationError as error:
        reasons = "; ".join(str(one["msg"]).removeprefix("Value error, ") for one in error.errors())
        raise InvalidInput(reasons, code="option.invalid") from None
