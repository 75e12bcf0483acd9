"""What the demo tells while it works: a line for each step, with the time since the start."""

from __future__ import annotations

import logging
import sys
import time

import dagster as dg

_ESCAPED = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160))}


class Console:
    """Writes lines to standard output at once, whoever reads it."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def step(self, text: str) -> None:
        """A line that says what is done now."""
        self.plain(f"{self.elapsed_seconds:6.1f} s  {text}")

    def detail(self, text: str) -> None:
        """A line about the step at hand."""
        self.plain(f"{'':10}{text}")

    def plain(self, text: str) -> None:
        """A line, with control characters written as escapes: a table may be called anything."""
        sys.stdout.write(f"{text.translate(_ESCAPED)}\n")
        sys.stdout.flush()

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the console was made."""
        return time.monotonic() - self._began


def progress_logger(console: Console) -> dg.LoggerDefinition:
    """A run's logger that passes on what the project's own code says and leaves out the rest."""

    @dg.logger(None, description="What the project's own code says.")
    def told(_: dg.InitLoggerContext) -> logging.Logger:
        logger = logging.Logger("portability_pipelines.demo", logging.INFO)
        logger.addHandler(_Told(console))
        return logger

    return told


class _Told(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__(logging.INFO)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message that is no event of Dagster's; what failed is said at the end."""
        about = getattr(record, "dagster_meta", None)
        if about and about["dagster_event"] is None and record.levelno < logging.ERROR:
            self._console.detail(about["orig_message"])
