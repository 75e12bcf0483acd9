"""``python -m portability_pipelines.demo [DB]``: export, migrate, back up, and prove it.

Imports next to nothing before signals are heard: what the demo needs takes seconds to load.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack

from portability_pipelines.demo.interruptions import Interruptions
from portability_pipelines.domain.errors import PortabilityError


def main() -> int:
    """Show the main job; 1 where a run or a proof fails, with a line that says why.

    Where a signal ends it, the process leaves with 128 and the signal's number.
    """
    code = 1
    servers = ExitStack()
    interruptions = Interruptions(servers.close)
    try:
        with servers, interruptions:
            from portability_pipelines.demo.show import show

            code = show(servers, interruptions.check)
    except PortabilityError as error:
        if not interruptions.heard:
            sys.stderr.write(f"{error}\n")
    except BaseException:
        # Libraries make other errors of an interruption; all of them mean the same.
        if not interruptions.heard:
            raise
    if interruptions.heard:
        interruptions.leave()
    return code


if __name__ == "__main__":
    sys.exit(main())
