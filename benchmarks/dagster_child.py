"""One part of what Dagster adds, in a process of its own.

``python -m benchmarks.dagster_child PART`` runs in a copy of the project. The last line of standard
output is the seconds, by name, as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.dagster_share import EMPTY_STEPS, EXPORTED, JOB, PARTITION

if TYPE_CHECKING:
    import dagster as dg


def workflow() -> dict[str, float]:
    """Export the month and read it back, as the job's asset and its check do, without Dagster."""
    import adbc_driver_manager  # noqa: F401
    import polars  # noqa: F401

    from benchmarks.contestants.ours import archivist, engine, export_selection
    from benchmarks.tasks import Task
    from portability_pipelines.workflows.drafts import Secrets
    from portability_pipelines.workflows.verify import verify_export

    folder = os.environ["PORTABILITY_STORE"].removeprefix("file://")
    database = Path(".portability", "sample", "sample.sqlite").resolve()
    task = Task(str(database), folder, (PARTITION[:7],))
    Path(folder).mkdir()
    began = time.perf_counter()
    writer = archivist(task, Secrets())
    with engine(task).snapshot() as snapshot:
        written = export_selection(task, snapshot, writer, EXPORTED)
    for archive in written.values():
        verify_export(writer.store, archive.manifest, Secrets(), Path(folder, "scratch"))
    return {"seconds": time.perf_counter() - began}


def job() -> dict[str, float]:
    """The month's job inside this process, with the events kept on disk as always."""
    began = time.perf_counter()
    from portability_pipelines.definitions import defs

    loaded = defs()
    load_seconds = time.perf_counter() - began
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        began = time.perf_counter()
        result = loaded.resolve_job_def(JOB).execute_in_process(
            instance=instance,
            partition_key=PARTITION,
            asset_selection=[dg.AssetKey(["sample", "exports", "user_activity"])],
        )
        seconds = time.perf_counter() - began
    steps = sum(event.event_type_value == "STEP_START" for event in result.all_events)
    return {"seconds": seconds, "load_seconds": load_seconds, "steps": steps}


def empty() -> dict[str, float]:
    """Jobs whose steps do nothing, once each to warm up: of one step, and of several."""
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        for count in (1, EMPTY_STEPS):
            _empty_job(count).execute_in_process(instance=instance)
        return {str(count): _timed(_empty_job(count), instance) for count in (1, EMPTY_STEPS)}


def _empty_job(steps: int) -> dg.JobDefinition:
    import dagster as dg

    @dg.op(out=dg.Out(dg.Nothing), ins={"after": dg.In(dg.Nothing)})
    def nothing() -> None:
        pass

    @dg.job(executor_def=dg.in_process_executor, name=f"empty_{steps}")
    def empty_job() -> None:
        before = nothing.alias("step_0")()
        for number in range(1, steps):
            before = nothing.alias(f"step_{number}")(after=before)

    return empty_job


def _timed(one: dg.JobDefinition, instance: dg.DagsterInstance) -> float:
    began = time.perf_counter()
    one.execute_in_process(instance=instance)
    return time.perf_counter() - began


if __name__ == "__main__":
    took = {"workflow": workflow, "job": job, "empty": empty}[sys.argv[1]]()
    sys.stdout.write(f"\n{json.dumps(took)}\n")
