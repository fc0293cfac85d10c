"""What differs between the operator's versions, as named flags: the version matrix as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from hasteward_lab.state import LabError

DEFAULT = "1.30"


@dataclass(frozen=True)
class Level:
    """The behaviour of one minor version, in its newest patch release."""

    version: str
    isolation_check: bool = False
    unrecoverable: bool = False
    ready_gate: bool = False
    failed_job_phase: bool = False
    lease: bool = False
    serial_reuse: bool = False
    initialized_condition: bool = False
    client_certificate: bool = False
    rewind_retries: bool = False
    startup_ok_rejecting: bool = False
    job_recreated: bool = False
    unrecoverable_any_state: bool = False

    def flags(self) -> dict[str, bool]:
        """The flags alone, for an instance manager."""
        return {name: value for name, value in asdict(self).items() if isinstance(value, bool)}


_1_27 = Level("1.27.4", isolation_check=True)
_1_28 = Level("1.28.4", isolation_check=True, unrecoverable=True, ready_gate=True, failed_job_phase=True)
_1_30 = Level(
    "1.30.0",
    isolation_check=True,
    unrecoverable=True,
    ready_gate=True,
    failed_job_phase=True,
    lease=True,
    serial_reuse=True,
    initialized_condition=True,
    client_certificate=True,
)
LEVELS = {
    "1.25": Level("1.25.4"),
    "1.26": Level("1.26.3"),
    "1.27": _1_27,
    "1.28": _1_28,
    "1.29": Level(**{**asdict(_1_28), "version": "1.29.2"}),
    "1.30": _1_30,
    "1.31": Level(
        **{
            **asdict(_1_30),
            "version": "1.31.0",
            "rewind_retries": True,
            "startup_ok_rejecting": True,
            "job_recreated": True,
            "unrecoverable_any_state": True,
        }
    ),
}


def level(name: str) -> Level:
    """The level of that name."""
    try:
        return LEVELS[name]
    except KeyError:
        raise LabError(f"{name!r} is no level: {', '.join(LEVELS)}") from None
