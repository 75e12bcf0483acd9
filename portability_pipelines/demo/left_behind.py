"""Runs whose process has died: Dagster takes them for started, and their pools for taken."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import dagster as dg

from portability_pipelines.stores.locks import lock_if_free, locked

# The UI shows no tag whose name begins so.
TAG = ".dagster/portability_process"
_UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@contextmanager
def own_runs(instance: dg.DagsterInstance) -> Iterator[Mapping[str, str]]:
    """Tags for runs in this process, by which the next start can tell that it has died.

    They name a file that is locked while this process lives. It stays where the context ends by an
    error, which may have left a run unfinished. The daemon is not to repeat what a person runs.
    """
    folder = _folder(instance)
    folder.mkdir(parents=True, exist_ok=True)
    token = str(uuid.uuid4())
    hidden = folder / f".{token}"
    lock = locked(hidden)
    try:
        # Visible only now that it is locked; before, it would look left behind.
        file = hidden.rename(folder / f"{token}.lock")
        yield {TAG: token, "dagster/max_retries": "0"}
        file.unlink()
    finally:
        os.close(lock)


def end_runs_left_behind(instance: dg.DagsterInstance) -> list[str]:
    """Report runs of ``own_runs`` as failed whose process has died; say in a sentence each which.

    No run is touched whose process lives, in this container, in another or on another machine.
    """
    said = []
    for file in sorted(_folder(instance).glob("*.lock")):
        with suppress(FileNotFoundError):  # somebody else has just ended them
            lock = lock_if_free(file, create=False)
            if lock is not None:
                try:
                    said += [_end(instance, run) for run in _unfinished(instance, {TAG: file.stem})]
                    file.unlink()
                finally:
                    os.close(lock)
    return said


def end_launched_runs_left_behind(instance: dg.DagsterInstance) -> list[str]:
    """The same for runs that a daemon of this machine launched; for whoever alone may start one.

    A run is left alone while any process of Dagster's has the id that the run recorded, so that an
    id given anew delays its end and never ends what lives. Without ``/proc`` nothing is ended. A
    daemon in another container must not share the instance: its processes cannot be seen here.
    """
    if not Path("/proc/self/environ").exists():
        return []
    return [
        _end(instance, run)
        for run in _unfinished(instance, {})
        # Where Dagster's launcher notes the socket of the code server, a file of this machine.
        if '"socket"' in run.tags.get(".dagster/grpc_info", "")
        and (pids := _processes(instance, run))
        and not any(map(_is_dagster, pids))
    ]


def _processes(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[int]:
    """The ids of the processes in which the run has started."""
    started = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_START)
    return [pid for event in started if (pid := event.get_dagster_event().pid)]


def _is_dagster(pid: int) -> bool:
    try:
        return b"DAGSTER_HOME=" in Path(f"/proc/{pid}/environ").read_bytes()
    except PermissionError:
        return True
    except OSError:
        return False


def _unfinished(instance: dg.DagsterInstance, tags: Mapping[str, str]) -> list[dg.DagsterRun]:
    return list(instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED, tags=tags)))


def _end(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    instance.report_run_failed(run, "The process of this run has died.")
    # Dagster's daemon frees them only after a while, and only where it is told to.
    instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return f"ended the run of {run.job_name} ({run.run_id[:8]}) that a killed process left behind"


def _folder(instance: dg.DagsterInstance) -> Path:
    return Path(instance.root_directory, "portability_processes")
