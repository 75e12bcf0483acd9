"""The dirt of real life, every kind of it present from 1,000 activity rows on.

- Unicode beyond ASCII (emoji, right-to-left, combining marks, CJK): names, ``clients.notes``,
  ``error_logs.message``, ``chat_inquiry_information.schoolName``.
- Commas, quotes, tabs, CR/LF and LF newlines, outer spaces, and texts that a spreadsheet would run
  as a formula: the same three columns; stack traces are many lines long.
- NULL beside the empty text: ``clients.notes``, ``chat_inquiry_information.email``; NULL beside
  the empty blob: ``charts.thumbnail``.
- Numbers kept as text (``007``, phones with leading zeros): ``clients.notes``, ``clients.phone``,
  ``chat_inquiry_information.mobile``.
- Texts in number columns: ``chat_inquiry_information.grade``, ``error_logs.status_code``,
  ``credit_consumption.amount``, and three of ``user_activity.duration_ms``, all in one month.
- Integers and reals in one column, and an integer there that no double can hold:
  ``credit_consumption.amount``.
- Integers at both ends of 64 bits, and only a few below 2^53: ``error_logs.request_id``.
- An infinite real: ``agent_performance.credits_per_task``.
- Blobs: ``charts.thumbnail``. Texts of 100 kB: ``chart_interpretations.body``.
- Soft-deleted rows: ``clients.deleted_at``. Dates in columns declared DATETIME, whose affinity is
  numeric: ``clients``.
- Dates written in four ways: ISO 8601 with ``T`` and ``Z``; with a space and no zone
  (``credit_consumption``); the day alone (``agent_performance``); epoch seconds (``error_logs``).
- Rows without a usable date (NULL, ``''``, ``unknown``): ``chat_inquiry_information.created_at``.
- One parent asking for two children, and enquiries sent twice: ``chat_inquiry_information``.
- A reserved word and a space in column names: ``agent_performance."group"``,
  ``location_cache."display name"``.
- Tables with a text key, a compound key, no row id, exact types (STRICT), or no date at all.
"""

from __future__ import annotations

from typing import TypeVar

FORMULAS = ("=1+1", "+cmd|' /C calc'!A0", "@SUM(1,2)", "-2+3")

AWKWARD_TEXTS = (
    "",
    "007",
    "1e5",
    "NULL",
    "\U0001f680 launch \U0001f469\u200d\U0001f4bb",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "Zoe\u0308 ate cre\u0300me bru\u0302le\u0301e",
    "\u661f\u76d8\u89e3\u8bfb \u30c6\u30b9\u30c8",
    "commas, semicolons; pipes|",
    'she said "yes" and "no"',
    "it's a 'quote'",
    "first line\r\nsecond line",
    "first line\nsecond line\n",
    "column\tcolumn",
    "  spaces outside  ",
    *FORMULAS,
)

BROKEN_DATES = (None, "", "unknown")
BLOCK = 500
"""Awkward values stand in the first rows of every block of this many rows."""

RARELY = 5000
"""The block of what real tables hold only a few of."""

SMALLEST_INTEGER = -(2**63)
LARGEST_INTEGER = 2**63 - 1
BEYOND_DOUBLES = 2**53 + 1
LONG_TEXT_CHARACTERS = 100_000

Value = TypeVar("Value")


def awkward_text(place: int, otherwise: Value) -> str | Value:
    """Every awkward text once at the head of each block, ``otherwise`` in the rest of it."""
    inside = place % BLOCK
    return AWKWARD_TEXTS[inside] if inside < len(AWKWARD_TEXTS) else otherwise
