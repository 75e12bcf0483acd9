"""Whether every exported month is of one moment, though ``benchmarks.writer`` went on meanwhile.

``python -m benchmarks.moments TASK FILES`` prints one line; nothing where no month is torn.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.reference import found, schema_of
from benchmarks.tasks import Task
from benchmarks.writer import MARK


def main(written_task: str, written_files: str) -> None:
    """Compare the two rows of every month that each commit writes alike."""
    task, files = Task.from_json(written_task), json.loads(written_files)
    schema = schema_of(task.database)
    torn = 0
    for month in task.months:
        marks = found(Path(files[month]), task, schema)[MARK]
        torn += marks[0] != marks[-1]
    sys.stdout.write(f"torn: {torn} months mix commits\n" if torn else "")


if __name__ == "__main__":
    main(*sys.argv[1:])
