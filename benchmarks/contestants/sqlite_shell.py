"""The ``sqlite3`` shell, piped as a person would: JSON through ``sed``, zstd by ``zstd -1``."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from typing import IO

from benchmarks.tasks import Task, month_query

LIBRARIES: dict[str, Sequence[str]] = {}
_MODES = {"csv": ("-csv", "-header"), "jsonl": ("-json",)}

# The shell writes one array, an object a line.
_LINES = ("sed", "-e", r"1s/^\[//", "-e", r"$s/\]$//", "-e", "s/,$//")
_ZSTD = ("zstd", "-q", "-1")


def export(task: Task) -> dict[str, str]:
    """One file a month, by one shell each."""
    for month in task.months:
        shell = ("sqlite3", *_MODES[task.format], task.database, month_query(month))
        commands: list[tuple[str, ...]] = [shell]
        if task.format == "jsonl":
            commands.append(_LINES)
        if task.compression == "zstd":
            commands.append(_ZSTD)
        with task.file(month).open("wb") as sink:
            _pipe(commands, sink)
    return {month: str(task.file(month)) for month in task.months}


def _pipe(commands: Sequence[tuple[str, ...]], sink: IO[bytes]) -> None:
    """Run ``commands``, each reading what the one before it writes."""
    with ExitStack() as running:
        source: IO[bytes] | None = None
        started = []
        for command in commands:
            output = sink if command is commands[-1] else subprocess.PIPE
            process = subprocess.Popen(command, stdin=source, stdout=output)
            started.append(running.enter_context(process))
            source = process.stdout
    for process in started:
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, process.args)
