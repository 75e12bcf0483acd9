"""Every format by the name that declarations and manifests call it."""

from __future__ import annotations

from collections.abc import Mapping

from portability_pipelines.formats.base import Format
from portability_pipelines.formats.delimited import CsvFormat
from portability_pipelines.formats.jsonl import JsonLinesFormat
from portability_pipelines.formats.parquet import ParquetFormat

_ALL: tuple[Format, ...] = (ParquetFormat(), CsvFormat(), JsonLinesFormat())

FORMATS: Mapping[str, Format] = {each.name: each for each in _ALL}
