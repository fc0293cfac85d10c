"""Memberships of roles, written as GRANT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hasteward_sql.postgresql.facts.quoting import identifier

Row = Mapping[str, Any]


def in_order(
    grants: Sequence[Row], owner: str, *, what: str = "role", whom: str = "member", on: str = "admin"
) -> list[Row]:
    """Grants ordered so that whoever grants was given the right to before (PostgreSQL 16 checks).

    `owner` needs nobody's leave. The keys of a row: `what` is granted, to `whom`, and `on` says whether that
    one may grant it on.
    """
    ordered: list[Row] = []
    waiting = list(grants)
    may: set[tuple[str, str | None]] = set()
    while waiting:
        ready = [each for each in waiting if each["grantor"] == owner or (each[what], each["grantor"]) in may]
        for row in ready or waiting:
            ordered.append(row)
            if row[on]:
                may.add((row[what], row[whom]))
        waiting = [each for each in waiting if each not in ready] if ready else []
    return ordered


def grant_sql(row: Row) -> str:
    """One GRANT; the options of PostgreSQL 16 only where the source had them."""
    options = [f"ADMIN {'TRUE' if row['admin'] else 'FALSE'}"] if row["inherit"] is not None else []
    if row["inherit"] is not None:
        options.append(f"INHERIT {'TRUE' if row['inherit'] else 'FALSE'}")
    if row["set"] is not None:
        options.append(f"SET {'TRUE' if row['set'] else 'FALSE'}")
    if not options and row["admin"]:
        options.append("ADMIN OPTION")
    sql = f"GRANT {identifier(row['role'])} TO {identifier(row['member'])}"
    if options:
        sql += f" WITH {', '.join(options)}"
    if row["grantor"]:
        sql += f" GRANTED BY {identifier(row['grantor'])}"
    return sql + ";"


def membership_entry(row: Row) -> dict[str, Any]:
    """One grant of a role to a role; `inherit` and `set` are null before PostgreSQL 16."""
    return {
        "role": row["role"],
        "member": row["member_name"],
        "grantor": row["grantor_name"],
        "admin": row["admin_option"],
        "inherit": row.get("inherit_option"),
        "set": row.get("set_option"),
    }
