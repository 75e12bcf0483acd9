"""A pretend application's SQLite database, made from a seed, with the dirt of real life in it."""

from __future__ import annotations

from portability_pipelines.sample.database import generate

__all__ = ["generate"]
