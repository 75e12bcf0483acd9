"""Names of archives: unique, and sorted by the time of what they hold."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime


def new_archive_id(taken_at: datetime, random_hex: Callable[[int], str] = secrets.token_hex) -> str:
    """UTC microseconds and six random bytes: ``20261121T035631123456Z-a1b2c3d4e5f6``."""
    return f"{taken_at.astimezone(UTC):%Y%m%dT%H%M%S%f}Z-{random_hex(6)}"


def is_archive_id(name: str) -> bool:
    """Whether ``name`` has the form of an archive's id."""
    return re.fullmatch(r"\d{8}T\d{12}Z-[0-9a-f]{12}", name, re.ASCII) is not None
