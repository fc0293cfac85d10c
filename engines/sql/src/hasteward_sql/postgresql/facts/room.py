"""Reads what a container says of its memory and its volumes."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024
#: below this, a dump is left to another member: killing the container would take the server with it
LEAST_MEMORY = 128 * MIB
_LIMIT_FROM = 256 * MIB


def parse_memory(text: str) -> int | None:
    """Free bytes from ``memory.max``, ``memory.current`` and the ``inactive_file`` line of ``memory.stat``.

    Pages that only cache files are given back when memory gets tight, so they count as free, as they do for
    the kubelet. None when there is no limit or the text is not understood.
    """
    lines = [line.split() for line in text.splitlines() if line.split()]
    values = [line[0] for line in lines if len(line) == 1]
    cached = next((line[1] for line in lines if line[0] == "inactive_file" and len(line) > 1), "0")
    if len(values) != 2 or not all(value.isdigit() for value in (*values, cached)):  # noqa: PLR2004  said by the words around it
        return None
    limit, used = int(values[0]), int(values[1])
    return max(0, limit - max(0, used - int(cached)))


def producer_limit(free: int | None) -> int:
    """How much address space a dump's producer may use: half of what is free, 0 for no limit."""
    return free // 2 if free is not None and free >= _LIMIT_FROM else 0


@dataclass(frozen=True, slots=True)
class Volume:
    """One file system as ``df -Pk`` shows it; bytes."""

    device: str
    free: int
    mount: str


def parse_df(text: str) -> tuple[Volume, ...]:
    """The lines of ``df -Pk``; ValueError when there are none or one is not understood."""
    volumes = []
    for line in text.splitlines()[1:]:
        words = line.split()
        numbers = [index for index, word in enumerate(words) if word.endswith("%") and index >= 4]  # noqa: PLR2004  said by the words around it
        if not numbers or not words[numbers[0] - 1].lstrip("-").isdigit():
            raise ValueError(f"df answered {line!r}")
        at = numbers[0]
        device, mount = " ".join(words[: at - 3]), " ".join(words[at + 1 :])
        volumes.append(Volume(device, int(words[at - 1]) * 1024, mount))
    if not volumes:
        raise ValueError("df listed no file system")
    return tuple(volumes)
