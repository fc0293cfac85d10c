"""The words and the environment that a process behind a prefix is started with. Pure."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence

#: what programs of a prefix (docker, podman, ssh, sudo, kubectl) need to find their way; nothing else passes
_NAMES = frozenset(
    {
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "TZ",
        "TMPDIR",
        "XDG_RUNTIME_DIR",
        "SSH_AUTH_SOCK",
        "SSH_AGENT_PID",
        "CONTAINER_HOST",
        "CONTAINER_SSHKEY",
        "KUBECONFIG",
    }
)
_PREFIXES = ("LC_", "DOCKER_")
#: ends by handing its words, joined by blanks, to a shell on the other side
_JOINS_WORDS = "ssh"


def child_environment(given: Mapping[str, str]) -> dict[str, str]:
    """What the process may know of ours: no setting of hasteward, restic or a store is among it."""
    kept = {name: value for name, value in given.items() if name in _NAMES or name.startswith(_PREFIXES)}
    return {"PATH": os.defpath} | kept


def command_line(prefix: Sequence[str], argv: Sequence[str]) -> list[str]:
    """The prefix, then `argv` quoted once for every ssh in it: each takes one layer of quoting off.

    The words of the prefix itself are as the user wrote them.
    """
    words = list(argv)
    for word in prefix:
        if os.path.basename(word) == _JOINS_WORDS:  # noqa: PTH119 - of a word, not of a file
            words = [shlex.quote(one) for one in words]
    return [*prefix, *words]
