"""What is ours in a server: databases and roles, by their names; and the format of a dump."""

from __future__ import annotations

from typing import Final

#: the name of what `dump` writes
FORMAT: Final = "postgresql-sections-2"
#: databases of ours: being loaded, and replaced ones that were kept
NEW_PREFIX: Final = "hasteward_new_"
OLD_PREFIX: Final = "hasteward_old_"
#: the role without rights that a restore loads content as; it exists only while one is at work
LOAD_ROLE_PREFIX: Final = "hasteward_load_"
#: every server has these: a replay connects to them, and a restore takes them only when they are named
EVERYWHERE: Final = ("postgres", "template1")
#: what PostgreSQL cuts a name to
NAME_BYTES: Final = 63
