"""Looks at a directory: how large it is, and whether a restore stopped in the middle of it."""

from __future__ import annotations

from hasteward.domain.errors import RunFailed
from hasteward.kit.streaming import capture
from hasteward.ports.context import EngineContext
from hasteward.ports.host import Place

#: begins every name that is ours in a saved directory
OURS = ".hasteward-"
#: there while a restore moves entries
MARKER = f"{OURS}swap"
_LOOK = """[ -d "$1" ] || { echo absent; exit 0; }
[ -e "$1/$2" ] && { echo swapping; exit 0; }
[ -n "$(ls -A -- "$1" 2>/dev/null | grep -v "^$3")" ] || { echo empty; exit 0; }
du -sk -- "$1" | cut -f1"""


def look(context: EngineContext, where: Place, folder: str) -> tuple[int, str]:
    """Its size in bytes, and what stands in the way: ``absent``, ``swapping``, ``empty`` or ""."""
    answer = capture(context, where, ["sh", "-c", _LOOK, "sh", folder, MARKER, OURS])
    said = answer.stdout.decode().strip()
    if said in {"absent", "swapping", "empty"}:
        return 0, said
    if not said.isdigit():
        raise RunFailed(f"{folder} in {where} cannot be read: {answer.stderr.strip()}", code="files.unread")
    return int(said) * 1024, ""
