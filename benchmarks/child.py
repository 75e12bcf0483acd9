"""One contestant in a process of its own: ``python -m benchmarks.child MODULE FUNCTION TASK``.

Imports, and what the contestant calls preparation, come before the clock starts. The last line of
standard output is the result as JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from pathlib import Path

from benchmarks.tasks import Task

_UNITS_PER_MIB = 1024


def main(module_name: str, function: str, written: str) -> None:
    """Do the work of one contestant and say what it took."""
    task = Task.from_json(written)
    module = importlib.import_module(f"benchmarks.contestants.{module_name}")
    for library in module.LIBRARIES.get(task.format, ()):
        importlib.import_module(library)
    getattr(module, "prepare", _nothing)(task)
    began, busy = time.perf_counter(), _cpu_seconds()
    files = getattr(module, function)(task)
    result = {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": _cpu_seconds() - busy,
        "peak_mib": _peak_mib(),
        "files": files,
    }
    sys.stdout.write(f"\n{json.dumps(result)}\n")


def _nothing(task: Task) -> None:
    pass


def _cpu_seconds() -> float:
    """Processor time of this process and of the children that it has waited for."""
    took = os.times()
    return took.user + took.system + took.children_user + took.children_system


def _peak_mib() -> float:
    """The larger of this process's peak and that of its largest child.

    Its own is asked of the kernel's status file: ``ru_maxrss`` also counts the peak of the process
    that started this one.
    """
    status = Path("/proc/self/status").read_text().splitlines()
    own = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / _UNITS_PER_MIB


if __name__ == "__main__":
    main(*sys.argv[1:])
