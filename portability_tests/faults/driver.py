"""A run that ends by SIGKILL at a chosen moment: python -m portability_tests.faults.driver ...

The moments are the run's own steps, in their order: each file it opens to write, each name it
makes, moves or removes, each child it starts, each piece of a request it sends. Between two of
them nothing changes that anybody else could see. Without a moment it prints how many there were.
"""

from __future__ import annotations

import os
import signal
import sys
from itertools import count
from pathlib import Path
from typing import Any

from portability_pipelines.stores.base import Store
from portability_pipelines.stores.registry import open_store
from portability_pipelines.workflows.export import ExportOptions
from portability_tests.workflows.walks import MONTHS, backup, export

OPTIONS = ExportOptions(("parquet", "csv"))

STEPS = (
    *("os.mkdir", "os.link", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"),
    *("subprocess.Popen", "http.client.connect", "http.client.send"),
)


def _is_step(event: str, arguments: tuple[Any, ...]) -> bool:
    if event == "open":
        return bool(int(arguments[2]) & (os.O_WRONLY | os.O_RDWR))
    return event in STEPS


class Moments:
    """Counts the steps of this process and kills it at the one that was chosen."""

    def __init__(self, chosen: int | None) -> None:
        self.passed = 0
        self._chosen = chosen
        self._numbers = count(1)
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not _is_step(event, arguments):
            return
        self.passed = next(self._numbers)
        if self.passed == self._chosen:
            os.kill(os.getpid(), signal.SIGKILL)


def run(verb: str, database: Path, store: Store) -> None:
    """Do what a nightly run does: two months of one table, or the whole database."""
    if verb == "backup":
        backup(database, store)
    else:
        export(database, store, "user_activity", "timestamp", OPTIONS, months=MONTHS[-2:])


def main(verb: str, database: str, store_url: str, staging_root: str, moment: str = "") -> None:
    """Run, and print the number of steps if nothing ended the run."""
    store = open_store(store_url, staging_root=Path(staging_root))
    moments = Moments(int(moment) if moment else None)
    run(verb, Path(database), store)
    print(moments.passed)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
