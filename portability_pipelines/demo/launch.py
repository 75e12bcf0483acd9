"""``python -m portability_pipelines.demo.launch ASSETS [PARTITION]``: one run, as in CI.

Beside ``dg launch`` it sets up Dagster's storage, refuses a selection of nothing (of which
``dg launch`` makes one of everything), and gives the reason of a failure in one line.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack

import dagster as dg

from portability_pipelines.demo.console import Console, progress_logger
from portability_pipelines.demo.interruptions import heeding_signals
from portability_pipelines.demo.left_behind import own_runs
from portability_pipelines.demo.runs import LOGGER, Step, run
from portability_pipelines.demo.settings import prepare_dagster
from portability_pipelines.demo.summary import summary
from portability_pipelines.domain.errors import RefusedError

EXAMPLE = """make launch ASSETS='key:"sample/exports/user_activity"' PARTITION=2026-10-01"""


def main() -> int:
    """Materialise and prove assets; 1 where that fails, with a line that says why."""
    return heeding_signals(_launch)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m portability_pipelines.demo.launch",
        description="Materialise assets in this process, and prove them.",
    )
    parser.add_argument("assets", help="which, in the language of dg launch --assets")
    parser.add_argument("partition", nargs="?", help="the first day of a month")
    return parser.parse_args()


def _launch(_: ExitStack, check: Callable[[], None]) -> int:
    arguments, console = _arguments(), Console()
    if not arguments.assets:
        raise RefusedError("ASSETS is not set", f"Write, for example: {EXAMPLE}")
    for done in prepare_dagster():
        console.step(done)
    step = _step(arguments.assets, arguments.partition, console)
    console.step(step.title)
    with dg.DagsterInstance.get() as instance, own_runs(instance) as tags:
        outcome = run(step, instance, tags)
        check()
    for line in ("", *summary(outcome)) if outcome.made else ():
        console.plain(line)
    sys.stderr.writelines(f"{failure}\n" for failure in outcome.failures)
    return 1 if outcome.failures else 0


def _step(assets: str, partition: str | None, console: Console) -> Step:
    """The run of these assets; refused where it would be of none or of other partitions."""
    from portability_pipelines.definitions import defs

    loggers = dg.Definitions(loggers={LOGGER: progress_logger(console)})
    definitions = dg.Definitions.merge(defs(), loggers)
    graph = definitions.resolve_asset_graph()
    keys: set[dg.AssetKey] = set()
    for part in assets.split(","):
        try:
            selected = dg.AssetSelection.from_coercible([part]).resolve(graph)
        except dg.DagsterError as error:
            raise _nothing(part, f": {str(error).partition('. ')[0]}") from error
        if not selected & graph.materializable_asset_keys:
            raise _nothing(part)
        keys |= selected & graph.materializable_asset_keys
    months = {wanted for key in keys if (wanted := graph.get(key).partitions_def)}
    _require_partition(assets, partition, months)
    job = definitions.resolve_implicit_job_def_def_for_assets(keys) if len(months) < 2 else None
    if job is None:
        raise RefusedError(
            f"{assets} are assets of databases with different months",
            "Launch those of each database by themselves.",
        )
    return Step(f"{len(keys)} of {assets}", job, partition, tuple(keys))


def _nothing(assets: str, reason: str = "") -> RefusedError:
    return RefusedError(
        f"{assets!r} selects no asset that can be made{reason}",
        "dg list defs shows them; one is written 'key:\"sample/exports/clients\"'.",
    )


def _require_partition(
    assets: str, partition: str | None, months: Iterable[dg.PartitionsDefinition[str]]
) -> None:
    allowed = [key for one in months for key in one.get_partition_keys()]
    if not allowed and partition:
        raise RefusedError(f"{assets} has no partitions", f"Leave out {partition}.")
    if allowed and partition not in allowed:
        said = f"{partition} is none" if partition else "None was named"
        raise RefusedError(
            f"{assets} has partitions. {said}", f"Name one from {min(allowed)} to {max(allowed)}."
        )


if __name__ == "__main__":
    sys.exit(main())
