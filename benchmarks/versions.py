"""What was measured on what."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import subprocess
from importlib.metadata import PackageNotFoundError, version

from benchmarks import report
from benchmarks.exports import BRIEF_ROUNDS

_PACKAGES = (
    *("portability-pipelines", "dagster", "adbc-driver-sqlite", "pyarrow", "polars", "zstandard"),
    *("connectorx", "duckdb", "duckdb-extension-sqlite-scanner", "pandas"),
)
_PROGRAMS = {
    "sqlite3": ("--version",),
    "restic": ("version",),
    "gpg": ("--version",),
    "zstd": ("--version",),
    "gzip": ("--version",),
    "openssl": ("version",),
}


def show(rows: int, rounds: int) -> None:
    """Print the machine, the size of the work and the version of everything that takes part."""
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    report.say(
        f"{rows:,} rows, median of {rounds} alternated rounds after one uncounted, of "
        f"{rounds * BRIEF_ROUNDS} for one month"
    )
    report.say(f"{os.cpu_count()} cores, {platform.platform()}, load before: {load}")
    report.say(f"Python {platform.python_version()}, its SQLite {sqlite3.sqlite_version}")
    report.say(", ".join(f"{name} {_package(name)}" for name in _PACKAGES))
    for name, words in _PROGRAMS.items():
        report.say(f"{name}: {_program(name, *words)}")
    report.say()


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def _program(name: str, *words: str) -> str:
    if not shutil.which(name):
        return "not installed"
    said = subprocess.run((name, *words), capture_output=True, text=True, check=True).stdout
    return said.splitlines()[0]
