"""A scratch server: what a capture says of it, where it lies, and how it must be set. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.manifest import Manifest
from hasteward.domain.plan import Plan, Reversal, Step
from hasteward_cnpg.evidence import Lsn
from hasteward_cnpg.facts.objects import mapping
from hasteward_cnpg.resources import SUPERUSER
from hasteward_sql.words import human

#: the pod's empty directory, and what lies in it
ROOM: Final = "/scratch"
DATA: Final = f"{ROOM}/pgdata"
RUN: Final = f"{ROOM}/run"
SPACES: Final = f"{ROOM}/tablespaces"
#: beside the files themselves: log of the recovery, sorting, what the file system takes
_SPARE: Final = 1024 * 1024 * 1024
#: asynchronous input and output that a configuration may ask for, and a pod's kernel may refuse
_IO_METHOD_SINCE: Final = 18
#: whatever the member was told, its copy reaches nobody, is reached by nobody and runs nobody's programs. Of
#: two settings that on the command line counts, so no file in the capture can take one back
_QUIET: Final = (
    ("listen_addresses", ""),
    ("unix_socket_directories", RUN),
    ("unix_socket_permissions", "0700"),
    ("port", "5432"),
    ("hba_file", f"{RUN}/hba.conf"),
    ("ident_file", f"{RUN}/ident.conf"),
    ("external_pid_file", ""),
    ("ssl", "off"),
    ("logging_collector", "off"),
    ("log_destination", "stderr"),
    ("archive_mode", "off"),
    ("archive_command", ""),
    ("archive_cleanup_command", ""),
    ("recovery_end_command", ""),
    ("restore_command", "false"),
    ("primary_conninfo", ""),
    ("primary_slot_name", ""),
    ("synchronous_standby_names", ""),
    ("max_wal_senders", "0"),
    ("max_logical_replication_workers", "0"),
    ("max_worker_processes", "0"),
    ("autovacuum", "off"),
    ("hot_standby", "off"),
    ("recovery_target", ""),
    ("recovery_target_lsn", ""),
    ("recovery_target_name", ""),
    ("recovery_target_time", ""),
    ("recovery_target_xid", ""),
    ("recovery_target_action", "promote"),
    ("shared_buffers", "128MB"),
    ("huge_pages", "off"),
    ("dynamic_shared_memory_type", "mmap"),
    ("fsync", "off"),
    ("restart_after_crash", "off"),
)


@dataclass(frozen=True, slots=True)
class Captured:
    """What the manifest of a capture tells of its files; `end` is None when it was not found.

    `follows` says that the server only received its log: it must be replayed as such, on the timeline that
    it had reached, which its control file need not know yet.
    """

    member: str
    image: str
    major: int
    size: int
    follows: bool
    timeline: int | None
    end: Lsn | None
    tablespaces: Mapping[str, str]


def captured(manifest: Manifest) -> Captured:
    """Read the catalog of `hasteward_cnpg.capture`; ValueError for one that is none."""
    catalog = manifest.catalog
    control, end = mapping(catalog.get("control")), mapping(catalog.get("end"))
    state = str(control.get("state") or "")
    return Captured(
        member=manifest.member,
        image=str(catalog.get("image") or ""),
        major=int(str(catalog.get("major") or "0").partition(".")[0]),
        size=max(manifest.size, int(catalog.get("bytes") or 0)),
        follows="recovery" in state and state != "in crash recovery",
        timeline=int(end["timeline"]) if end else None,
        end=Lsn.parse(str(end["lsn"])) if end else None,
        tablespaces={str(oid): str(place) for oid, place in mapping(catalog.get("tablespaces")).items()},
    )


def room_for(found: Captured) -> int:
    """Bytes that the scratch pod asks for."""
    return found.size + found.size // 4 + _SPARE


def settings(found: Captured) -> list[str]:
    """Options of the server's command line."""
    own: list[tuple[str, str]] = [*_QUIET]
    if found.timeline is not None:
        own.append(("recovery_target_timeline", str(found.timeline)))
    if found.major >= _IO_METHOD_SINCE:
        own.append(("io_method", "sync"))
    return [f"{name}={value}" for name, value in own]


def original_location(location: str, tablespaces: Mapping[str, str]) -> str:
    """Where a tablespace of the scratch server lay on the member."""
    return tablespaces.get(location.removeprefix(f"{SPACES}/"), location)


def extract_plan(cluster: ClusterRef, found: Captured, snapshot: str, image: str, pod: str) -> Plan:
    """What making a dump of a capture does."""
    room = human(room_for(found))
    end = f"to {found.end} on timeline {found.timeline}" if found.end else "as far as its log goes"
    return Plan(
        title=f"make a dump of the files of {found.member} in snapshot {snapshot[:8]}",
        steps=(
            Step(
                f"create pod {pod} in {cluster.namespace} from {image}, with {room} of room",
                Reversal.REVERSIBLE,
            ),
            Step(f"unpack the files there and let PostgreSQL recover {end}; it reaches nobody"),
            Step(f"dump it as {SUPERUSER} and save the dump, proven, beside the capture"),
            Step("delete the pod"),
        ),
        notes=("no member of the cluster is touched",),
    )


def recovered(position: Any, found: Captured) -> str:
    """Why the scratch server does not hold all that was captured; "" when it does."""
    reached = Lsn.parse(str(position))
    if found.end is None or reached >= found.end:
        return ""
    return f"it recovered to {reached} only, and the log of {found.member} ended at {found.end}"
