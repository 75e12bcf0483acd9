"""``python -m portability_pipelines.demo [DB]``: export, migrate, back up, and prove it.

Imports next to nothing before signals are heard: what the demo needs takes seconds to load.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack

from portability_pipelines.demo.interruptions import heeding_signals


def main() -> int:
    """Show the main job; 1 where a run or a proof fails, with a line that says why."""
    return heeding_signals(_show)


def _show(servers: ExitStack, check: Callable[[], None]) -> int:
    from portability_pipelines.demo.show import show

    return show(servers, check)


if __name__ == "__main__":
    sys.exit(main())
