"""Domain errors as Dagster outcomes: the one place that decides what is tried again.

A transient failure asks for a retry; every other failure ends the step at once. No op has a
``RetryPolicy``: with one, Dagster would also retry a run that a person has cancelled.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from portability_pipelines.domain.errors import PortabilityError, TransientError

RETRIES = 2
SECONDS_BETWEEN = 5


@contextmanager
def as_dagster_outcomes() -> Iterator[None]:
    """Turn a ``PortabilityError`` into a retry or into a failure whose text is one line.

    Its causes are left behind: the message says what matters of them, and Dagster would print
    their stacks after it.
    """
    try:
        yield
    except TransientError as error:
        plain = TransientError(error.message, error.advice)
        raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=SECONDS_BETWEEN) from plain
    except PortabilityError as error:
        failure = dg.Failure(str(error), {"advice": error.advice}, allow_retries=False)
        raise failure from None
