"""SQL expressions of many parts, as deep as SQLite takes them."""

from __future__ import annotations

from collections.abc import Sequence


def balanced(operator: str, parts: Sequence[str]) -> str:
    """``parts``, at least one, with the associative ``operator`` between them.

    In halves, as SQLite refuses what is more than 1000 operations deep
    (https://www.sqlite.org/limits.html, section 5).
    """
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return f"({balanced(operator, parts[:half])} {operator} {balanced(operator, parts[half:])})"
