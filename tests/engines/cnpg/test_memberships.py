"""A restore gives memberships to the roles it creates, and never brings back one that was taken away."""

from __future__ import annotations

from hasteward_sql.postgresql.restore import _of_new_roles

ROWS = [
    {"role": "readers", "member": "old"},
    {"role": "readers", "member": "new"},
    {"role": "new", "member": "old"},
]


def test_only_memberships_of_created_roles_are_granted() -> None:
    grants, left = _of_new_roles(ROWS, ["new"])

    assert grants == ROWS[1:]
    assert left == ROWS[:1]
