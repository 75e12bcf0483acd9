"""The demo's Dagster runs, and what came of them."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster import DagsterEvent, ExecuteInProcessResult, JobDefinition
from dagster_shared.error import SerializableErrorInfo

from portability_pipelines.demo.console import Console, progress_logger
from portability_pipelines.demo.subjects import Subject
from portability_pipelines.domain.errors import RefusedError
from portability_pipelines.domain.months import ALL, UNDATED, Month, Period
from portability_pipelines.orchestration.migrations import ADVICE, MATCHES

MONTHS_SHOWN = 2
# The name under which every job finds its logger, so that a run can be repeated from the UI.
LOGGER = "console"
_UNDATED = f"__{UNDATED}"
_PROOF_FAILED = "DagsterAssetCheckFailedError"


@dataclass(frozen=True)
class Step:
    """A job to run, for one partition where it has any; of its ``assets`` only those named.

    ``of_months`` are those that it is one of, shown or not.
    """

    title: str
    job: JobDefinition
    partition: str | None = None
    assets: tuple[dg.AssetKey, ...] = ()
    of_months: Sequence[Month] = ()


@dataclass(frozen=True)
class Made:
    """One materialisation: an archive in the store, or the documents of a collection.

    ``size_bytes`` is None for documents. ``proofs`` are the checks that a mistake would fail, each
    with whether it held; None for one that could not look.
    """

    asset: str
    period: Period
    rows: int
    size_bytes: int | None
    seconds: float
    changed: bool
    where: str
    proofs: tuple[bool | None, ...] = ()

    @property
    def proven(self) -> bool:
        """Whether something was proven and nothing refuted."""
        return bool(self.proofs) and all(self.proofs)


@dataclass(frozen=True)
class Outcome:
    """What came of one or more runs: what they made, why they failed, what they warn of."""

    made: tuple[Made, ...] = ()
    failures: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.made + other.made,
            self.failures + other.failures,
            self.warnings + other.warnings,
        )


def plan(subject: Subject, console: Console) -> list[Step]:
    """The subject's jobs in order: exports, migration, backup; by month, then the rest.

    Refused where none is declared.
    """
    loggers = dg.Definitions(loggers={LOGGER: progress_logger(console)})
    jobs = {
        job.name.removeprefix(f"{subject.name}_"): job
        for job in dg.Definitions.merge(subject.definitions, loggers).resolve_all_job_defs()
    }
    steps = []
    for name, title in (("exports", "exports"), ("migration", "migration to MongoDB")):
        if name in jobs:
            months = _months(jobs[name], subject.last_month)
            steps += [
                Step(f"{title}, {month}", jobs[name], month.partition_key, of_months=months)
                for month in months[-MONTHS_SHOWN:]
            ]
        if f"whole_{name}" in jobs:
            steps.append(Step(f"{title}, what belongs to no month", jobs[f"whole_{name}"]))
    if "backup" in jobs:
        open_month = _partitions(jobs["backup"])[-1]
        steps.append(Step("backup, read back and restored", jobs["backup"], open_month))
    if not steps:
        raise RefusedError(
            f"The database {subject.name!r} is declared without anything to show",
            "Declare exports, a backup or a migration, and tables to export or migrate.",
        )
    return steps


def months_shown(steps: Sequence[Step]) -> list[str]:
    """What to say of the months that ``steps`` are about, where these are not all."""
    months = next((step.of_months for step in steps if step.of_months), ())
    if len(months) <= MONTHS_SHOWN:
        return []
    shown = " and ".join(map(str, months[-MONTHS_SHOWN:]))
    return [
        f"Shown: {shown}, of the months since {months[0]}. Rows of the others are not in these "
        "exports and migrations; a backup holds them all, and of a declared database a backfill in "
        "the UI makes the rest."
    ]


def run(step: Step, instance: dg.DagsterInstance, tags: Mapping[str, str]) -> Outcome:
    """Run one step in this process, recorded in ``instance`` like any other run."""
    # Dagster leaves the generator of a step that failed, and so its snapshot, to the collector.
    gc.collect()
    result = step.job.execute_in_process(
        run_config={"loggers": {LOGGER: {}}},
        instance=instance,
        partition_key=step.partition,
        asset_selection=step.assets or None,
        tags=tags,
        raise_on_error=False,
    )
    made = tuple(_made(result))
    failures = [*_refuted(result), *_step_failures(result)]
    if result.success:
        failures += [
            f"{one.asset}: {one.period}: nothing was proven" for one in made if not one.proofs
        ]
    elif not failures:
        failures.append(f"{step.title}: the run {result.run_id} did not succeed")
    return Outcome(made, tuple(failures), tuple(_warnings(result)))


def _partitions(job: JobDefinition) -> Sequence[str]:
    return job.partitions_def.get_partition_keys() if job.partitions_def else []


def _months(job: JobDefinition, last: Month | None) -> list[Month]:
    """The partitions of ``job`` that are not after ``last``."""
    months = map(Month.parse, _partitions(job))
    return [month for month in months if last is None or month <= last]


def _made(result: ExecuteInProcessResult) -> Iterator[Made]:
    for event in result.get_asset_materialization_events():
        materialized = event.step_materialization_data.materialization
        key, values = materialized.asset_key, _plain(materialized.metadata)
        yield Made(
            asset=_asset(key),
            period=_period(key, materialized.partition),
            rows=int(values.get("rows", 0)),
            size_bytes=values.get("size_bytes"),
            seconds=float(values.get("seconds", 0.0)),
            changed=bool(values.get("changed", True)),
            where=_where(values),
            proofs=tuple(
                _held(check)
                for check in result.get_asset_check_evaluations()
                if check.asset_key == key and check.blocking
            ),
        )


def _held(check: dg.AssetCheckEvaluation) -> bool | None:
    """Whether it found no mistake; None where it warns that it could not look.

    What a migration warns of is left out knowingly: every document was compared.
    """
    if check.passed or check.severity != dg.AssetCheckSeverity.WARN:
        return check.passed
    return True if check.check_name == MATCHES else None


def _plain(metadata: Any) -> dict[str, Any]:
    return {name: value.value for name, value in metadata.items()}


def _asset(key: dg.AssetKey) -> str:
    """``exports/clients``: the key without its database."""
    return "/".join(key.path[1:]).removesuffix(_UNDATED)


def _period(key: dg.AssetKey, partition: str | None) -> Period:
    if partition:
        return str(Month.parse(partition))
    return UNDATED if key.path[-1].endswith(_UNDATED) else ALL


def _where(values: dict[str, Any]) -> str:
    return str(values.get("archive_id") or values.get("collection") or "")


def _refuted(result: ExecuteInProcessResult) -> Iterator[str]:
    for check in result.get_asset_check_evaluations():
        if not check.passed and check.severity == dg.AssetCheckSeverity.ERROR:
            yield f"{_asset(check.asset_key)}: {check.check_name}: {check.description}"


def _warnings(result: ExecuteInProcessResult) -> Iterator[str]:
    for check in result.get_asset_check_evaluations():
        if not check.passed and check.severity == dg.AssetCheckSeverity.WARN:
            yield f"{_asset(check.asset_key)}: {check.description}"
        yield from _plain(check.metadata).get(ADVICE, ())
    for event in result.get_asset_materialization_events():
        materialized = event.step_materialization_data.materialization
        key, values = materialized.asset_key, _plain(materialized.metadata)
        if values.get("duplicates"):
            period = _period(key, materialized.partition)
            yield f"{_asset(key)}: {period}: {values['duplicates']:,} duplicates left out"


def _step_failures(result: ExecuteInProcessResult) -> Iterator[str]:
    """One line for each step that failed by itself; a refuted proof has a line already."""
    for event in result.get_step_failure_events():
        said = reason(event)
        if said:
            yield f"{event.step_key}: {said}"


def reason(event: DagsterEvent) -> str | None:
    """Why a step failed, in one line; None where a proof was refuted, which says so itself."""
    described = event.step_failure_data.user_failure_data
    if described and described.description:
        return str(described.description)
    causes = [*_causes(event)]
    if causes and causes[-1].cls_name == _PROOF_FAILED:
        return None
    said = _without_class(causes[-1]) if causes else event.message or "failed"
    return " ".join(said.split())


def _without_class(error: SerializableErrorInfo) -> str:
    """The message alone; Dagster puts the error's class before it."""
    return error.message.partition(f"{error.cls_name}: ")[2] or error.message


def _causes(event: DagsterEvent) -> Iterator[SerializableErrorInfo]:
    """The error that failed a step, and what caused it, down to the root."""
    error = event.step_failure_data.error
    while error:
        yield error
        error = error.cause
