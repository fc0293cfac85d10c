"""Which pod the operator begins a cluster from: its rule at both levels, with what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

from hasteward_lab.mariadb import files
from hasteward_lab.mariadb.level import level
from hasteward_lab.mariadb.operator.defaults import least_size, seconds
from hasteward_lab.mariadb.operator.source import NoSourceError, choose

PODS = ["db-0", "db-1", "db-2"]
OURS, THEIRS = "11111111-1111-11ef-8000-000000000001", "22222222-2222-11ef-8000-000000000002"


def state(uuid: str, seqno: int, *, safe: bool = False) -> dict[str, Any]:
    return {"version": "2.1", "uuid": uuid, "seqno": seqno, "safeToBootstrap": safe}


def found(uuid: str, seqno: int) -> dict[str, Any]:
    return {"uuid": uuid, "seqno": seqno}


def chosen(recovery: dict[str, Any], name: str) -> str:
    try:
        return choose(recovery, PODS, level(name))[0]
    except NoSourceError as error:
        return str(error)


KILLED = {pod: state(OURS, -1) for pod in PODS}
CASES = {
    "after a clean stop the last one out carries the flag": (
        {"state": {**KILLED, "db-1": state(OURS, 9, safe=True)}},
        "db-1",
        "db-1",
    ),
    "a flag with a position is believed, though all others were killed later and hold more": (
        {
            "state": {"db-0": state(OURS, -1), "db-1": state(OURS, -1), "db-2": state(OURS, 5, safe=True)},
            "recovered": {},
        },
        "db-2",
        "db-2",
    ),
    "with equal positions the highest number is taken": (
        {"state": KILLED, "recovered": {pod: found(OURS, 7) for pod in PODS}},
        "db-2",
        "db-2",
    ),
    "a foreign history with more commits wins, for UUIDs are never compared": (
        {
            "state": KILLED,
            "recovered": {"db-0": found(OURS, 7), "db-1": found(OURS, 7), "db-2": found(THEIRS, 90)},
        },
        "db-2",
        "db-2",
    ),
    "an empty pod with the flag is taken for the newest (1701), until it is skipped (1816)": (
        {
            "state": {
                "db-0": state(files.ZERO, -1, safe=True),
                "db-1": state(OURS, -1),
                "db-2": state(OURS, -1),
            },
            "recovered": {"db-0": found(files.ZERO, -1), "db-1": found(OURS, 8), "db-2": found(OURS, 7)},
        },
        "db-0",
        "db-1",
    ),
    "one that cannot be reached holds everything up (1082)": (
        {"state": {"db-0": state(OURS, -1)}, "recovered": {"db-0": found(OURS, 7), "db-1": found(OURS, 7)}},
        "recovery status not completed",
        "recovery status not completed",
    ),
    "no position at all is no source": (
        {"state": KILLED, "recovered": {pod: found(files.ZERO, -1) for pod in PODS}},
        "recovery status not completed",
        "recovery status not completed",
    ),
}


@pytest.mark.parametrize(("recovery", "old", "new"), CASES.values(), ids=CASES)
def test_row_02_the_source_is_chosen_with_the_flaws_of_the_level(
    recovery: dict[str, Any], old: str, new: str
) -> None:
    """Rank 2; pkg/controller/galera/recovery_status.go, pkg/galera/recovery/recovery.go."""
    assert (chosen(recovery, "26.6"), chosen(recovery, "26.10")) == (old, new)


@pytest.mark.parametrize(
    "text",
    [
        "version: 2.1\nuuid: 11111111-1111-11ef-8000-000000000001\nseqno: 4\n",
        "version: 2.1\nuuid: nonsense\nseqno: 4\nsafe_to_bootstrap: 0\n",
        "version: 2.1\nuuid: 11111111-1111-11ef-8000-000000000001\nseqno: 4\nsafe_to_bootstrap: yes\n",
        "version: 2.1\nuuid: 11111111-1111-11ef-8000-000000000001\nseqno: what\nsafe_to_bootstrap: 1\n",
    ],
)
def test_a_state_file_that_lacks_or_garbles_a_key_is_corrupt(text: str) -> None:
    with pytest.raises(files.CorruptError):
        files.GaleraState.parse(text)


def test_a_state_file_is_written_as_it_is_read() -> None:
    kept = files.GaleraState("2.1", OURS, 350450, safe_to_bootstrap=True)
    assert files.GaleraState.parse(kept.render()) == kept


def test_the_last_position_of_a_log_counts() -> None:
    log = f"x\n... WSREP: Recovered position: {OURS}:7,0-1-5\n... WSREP: Recovered position: {OURS}:9\ny\n"
    assert files.recovered(log) == (OURS, 9)
    assert files.recovered("nothing of the kind") is None


def test_row_07_waits_and_sizes_are_read_as_the_operator_writes_them() -> None:
    """Rank 7; mariadb-operator api/v1alpha1/mariadb_galera_types.go."""
    assert [seconds(text) for text in ("10s", "5m", "1h30m", "500ms")] == [10.0, 300.0, 5400.0, 0.5]
    sizes = [least_size({"minClusterSize": size}, 3) for size in (1, "50%", "100%")]
    assert (sizes, least_size({}, 3)) == ([1, 2, 3], 1)
