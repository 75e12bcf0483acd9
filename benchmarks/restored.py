"""Whether a backup restores to the same content.

``python -m benchmarks.restored MODULE TASK FILES`` compares contents by the ``sqlite3`` shell's
``.sha3sum`` over every table, and prints one line; nothing where they are equal.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

from benchmarks.tasks import Task


def main(module_name: str, written_task: str, written_files: str) -> None:
    """Restore with the contestant's own means and compare."""
    task, files = Task.from_json(written_task), json.loads(written_files)
    module = importlib.import_module(f"benchmarks.contestants.{module_name}")
    restored = module.restore(task, files)
    same = _content(str(restored)) == _content(task.database)
    sys.stdout.write("" if same else "restores to something else\n")


def _content(database: str) -> str:
    shell = ("sqlite3", "-readonly", database, ".sha3sum --schema")
    return subprocess.run(shell, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main(*sys.argv[1:])
