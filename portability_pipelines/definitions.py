"""The code location: everything declared under ``defs/``, with the resources it needs."""

from __future__ import annotations

import warnings
from pathlib import Path

import dagster as dg

from portability_pipelines.components.loading import declared
from portability_pipelines.orchestration.build import project_definitions


@dg.definitions
def defs() -> dg.Definitions:
    """Every database declared in YAML; loads with an empty environment and without I/O."""
    # Hundreds of lines that an API of Dagster's may still change; its version is pinned.
    warnings.simplefilter("ignore", dg.BetaWarning)
    return dg.Definitions.merge(declared(Path(__file__).parent).definitions, project_definitions())
