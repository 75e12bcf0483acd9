"""``python -m portability_pipelines.sample --rows 200000 PATH``."""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path

from portability_pipelines.domain.errors import PortabilityError, RefusedError
from portability_pipelines.sample.database import generate


def main() -> int:
    """Generate a database and print its counts; 1 and one line on stderr where that fails."""
    arguments = _arguments()
    try:
        if arguments.path.exists() and not arguments.force:
            raise RefusedError(
                f"{arguments.path} exists", "Name another file, or replace it with --force."
            )
        counts = generate(
            arguments.path,
            activity_rows=arguments.rows,
            seed=arguments.seed,
            until=arguments.until,
        )
    except PortabilityError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for table, rows in {**counts, "total": sum(counts.values())}.items():
        sys.stdout.write(f"{table:<26}{rows:>12,}\n")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m portability_pipelines.sample",
        description="Write the SQLite database of a pretend application.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("path", type=Path, metavar="PATH")
    parser.add_argument("--rows", type=int, default=200_000, help="rows of user_activity")
    parser.add_argument("--seed", type=int, default=2024, help="equal seeds give equal rows")
    parser.add_argument(
        "--until", type=date.fromisoformat, default="2026-11-21", help="the last day with rows"
    )
    parser.add_argument("--force", action="store_true", help="replace PATH if it exists")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
