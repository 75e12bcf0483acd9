"""``python -m portability_pipelines.demo.recover``: ``make restore`` and ``make drill``.

Beside ``dg launch`` it sets up Dagster's storage, needs no declaration to be sound, and says in a
line what was restored or proven, or why not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import dagster as dg

from portability_pipelines.demo.console import Console, progress_logger
from portability_pipelines.demo.interruptions import heeding_signals
from portability_pipelines.demo.left_behind import own_runs
from portability_pipelines.demo.runs import LOGGER, reason
from portability_pipelines.demo.settings import prepare_dagster
from portability_pipelines.domain.errors import RefusedError
from portability_pipelines.orchestration.build import project_definitions

JOBS = {"restore": "restore_backup", "drill": "backup_drill"}
EXAMPLES = {
    "restore": "make restore DATABASE=shop TARGET=/srv/shop/restored.sqlite",
    "drill": "make drill DATABASE=shop",
}


def main() -> int:
    """Restore or drill a backup; 1 where that fails, with a line that says why."""
    return heeding_signals(_recover)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m portability_pipelines.demo.recover",
        description="Restore a backup into a new file, or into scratch to prove it.",
    )
    parser.add_argument("verb", choices=JOBS)
    parser.add_argument("database", help="the name of the database that was backed up")
    parser.add_argument("archive", help="the id of the backup; an empty one for the newest")
    parser.add_argument("target", nargs="?", help="the new file to restore into")
    return parser.parse_args()


def _recover(_: ExitStack, check: Callable[[], None]) -> int:
    arguments, console = _arguments(), Console()
    config = _config(arguments)
    for done in prepare_dagster():
        console.step(done)
    loggers = dg.Definitions(loggers={LOGGER: progress_logger(console)})
    job = dg.Definitions.merge(project_definitions(), loggers).resolve_job_def(JOBS[arguments.verb])
    console.step(f"{arguments.verb} of {arguments.database}")
    with dg.DagsterInstance.get() as instance, own_runs(instance) as tags:
        result = job.execute_in_process(
            {"loggers": {LOGGER: {}}, "ops": {arguments.verb: {"config": config}}},
            instance,
            tags=tags,
            raise_on_error=False,
        )
        check()
    if result.success:
        return 0
    reasons = list(filter(None, map(reason, result.get_step_failure_events())))
    for said in reasons or [f"The run {result.run_id} did not succeed"]:
        sys.stderr.write(f"{said}\n")
    return 1


def _config(arguments: argparse.Namespace) -> dict[str, str]:
    """The settings of the op; refused where one is missing."""
    config = {"database": arguments.database}
    if arguments.verb == "restore":
        config["target"] = arguments.target and str(Path(arguments.target).absolute())
    for name, value in config.items():
        if not value:
            raise RefusedError(
                f"{name.upper()} is not set", f"Write, for example: {EXAMPLES[arguments.verb]}"
            )
    return {**config, "archive_id": arguments.archive} if arguments.archive else config


if __name__ == "__main__":
    sys.exit(main())
