"""What a contestant is asked to do, as a child process is told it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

TABLE = "user_activity"
MONTH_COLUMN = "timestamp"
Compression = Literal["zstd", "none"]
PASSPHRASE = "benchmark only, protects nothing"  # noqa: S105


@dataclass(frozen=True)
class Task:
    """One piece of work: read ``database``, write into the empty ``folder``.

    ``months``, ``format`` and ``compression`` are those of an export; a backup has none.
    """

    database: str
    folder: str
    months: tuple[str, ...] = ()
    format: str = ""
    compression: Compression = "none"

    def to_json(self) -> str:
        """The form in which it is handed to the child."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Task:
        """Undo ``to_json``."""
        fields = json.loads(text)
        return cls(**{**fields, "months": tuple(fields["months"])})

    def file(self, month: str) -> Path:
        """Where a peer writes ``month``."""
        around = {"zstd": ".zst", "none": ""}[self.compression]
        return Path(self.folder, f"{month}.{self.format}{around}")


def month_query(month: str) -> str:
    """The rows of ``month``, by a condition that the index on the month column serves."""
    after = month[:-1] + chr(ord(month[-1]) + 1)
    return f"SELECT * FROM {TABLE} WHERE {MONTH_COLUMN} >= '{month}' AND {MONTH_COLUMN} < '{after}'"
