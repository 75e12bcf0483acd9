"""kill -9 at random moments: what it leaves is never an archive, and the next run cleans up."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from portability_pipelines.stores.base import Store
from portability_tests.faults.driver import run
from portability_tests.workflows.walks import (
    archives_are_whole,
    archives_lack_nothing,
    change,
    failed,
    sample,
    verify,
)

KILLS = 5

Drive = Callable[..., "subprocess.CompletedProcess[str]"]


# Reading them makes Arrow import pandas where that is installed, which takes longer than a run.
MIXED = {
    "chat_inquiry_information": "grade",
    "credit_consumption": "amount",
    "error_logs": "status_code",
    "user_activity": "duration_ms",
}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A small database whose columns hold one kind of value each."""
    made = sample(tmp_path / "shop.sqlite", 200)
    for table, column in MIXED.items():
        change(made, f"DELETE FROM {table} WHERE typeof({column}) = 'text'")
    return made


@pytest.fixture
def drive(database: Path, store_url: str, staging_root: Path) -> Drive:
    """Runs a verb in a process of its own, which dies at the given moment."""

    def start(verb: str, *moment: int) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "portability_tests.faults.driver", verb, str(database)]
        argv += [store_url, str(staging_root), *map(str, moment)]
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)

    return start


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("verb", ["export", "backup"])
def test_a_killed_run_leaves_nothing_that_counts_and_the_next_one_succeeds(
    verb: str, seed: int, drive: Drive, database: Path, store: Store, tmp_path: Path
) -> None:
    steps = int(drive(verb).stdout)
    before = archives_are_whole(store)
    for moment in random.Random(seed).sample(range(1, steps + 1), KILLS):
        change(database, f"UPDATE user_activity SET details = 'before {moment}'")

        killed = drive(verb, moment)

        # A run has a step more or less than another, so the last one may not come.
        assert killed.returncode in (-signal.SIGKILL, 0), (moment, killed.stderr)
        standing = archives_lack_nothing(store)
        assert [manifest for manifest in before if manifest not in standing] == []
        store.sweep()
        run(verb, database, store)
        before = archives_are_whole(store)
        newest = max(before, key=lambda manifest: manifest.archive_id)
        assert failed(verify(store, newest, tmp_path / "working")) == {}
        assert store.sweep() == ()
        assert list(tmp_path.rglob("stage-*")) == []
