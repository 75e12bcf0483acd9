"""The admissions side of the pretend application: what parents asked in the chat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from portability_pipelines.sample.dirt import BLOCK, BROKEN_DATES, awkward_text
from portability_pipelines.sample.people import CITIES, FIRST_NAMES, LAST_NAMES
from portability_pipelines.sample.plan import USERS, Plan, iso

PARENT_TYPES = ("New Parent", "New Parent", "Existing Parent")
SCHOOL_TYPES = ("Day School", "Day School", "Boarding School")
CHILD_NAMES = ("Alice", "Bilal", "Chlo\u00e9", "\u5c0f\u660e", "Emil", "Fatima", "Gus")
SCHOOLS = ("Greenwood Academy", "St. Placeholder's", "\u00c9cole Mod\u00e8le")
STATUSES = ("new", "contacted", "enrolled", "closed")
SOURCES = ("api", "web", "import")
_SECOND_CHILD = 1
_SENT_TWICE = 3
_BROKEN_DATES = dict(zip((11, 31, 41), BROKEN_DATES, strict=True))
_MISFIT_GRADES = {13: "Grade 5", 23: "n/a", 34: "KG"}
_EMAILS: dict[int, str | None] = {7: None, 27: ""}


def chat_inquiry_information(plan: Plan) -> Iterator[tuple[Any, ...]]:
    """Enquiries in tens: the second asks for a sibling, the fourth repeats the third."""
    draw = plan.random("chat_inquiry_information").random
    for number, moment in enumerate(plan.moments(plan.share(20), "inquiries")):
        updated = plan.later(moment, 10 * draw())
        yield (
            number + 1,
            plan.identifier("user", int(draw() * USERS)) if number % 4 == 0 else None,
            PARENT_TYPES[int(draw() * len(PARENT_TYPES))],
            SCHOOL_TYPES[int(draw() * len(SCHOOL_TYPES))],
            *_family(number),
            _MISFIT_GRADES.get(number % BLOCK, 1 + int(draw() * 12)),
            *_wish(plan, number),
            awkward_text(number, SCHOOLS[int(draw() * len(SCHOOLS))]),
            STATUSES[int(draw() * len(STATUSES))],
            SOURCES[int(draw() * len(SOURCES))],
            _BROKEN_DATES.get(number % BLOCK, iso(moment)),
            iso(updated),
        )


def _family(number: int) -> tuple[str | None, ...]:
    """firstName, mobile, email, city and childName; the same parent's differ by the child only."""
    parent = number - 1 if number % 10 in (_SECOND_CHILD, _SENT_TWICE) else number
    child = parent + (number % 10 == _SECOND_CHILD)
    name = f"{FIRST_NAMES[parent % len(FIRST_NAMES)]} {LAST_NAMES[parent % len(LAST_NAMES)]}"
    return (
        name,
        f"{parent:010d}",
        _EMAILS.get(parent % BLOCK, f"parent{parent}@example.com"),
        CITIES[parent % len(CITIES)][0],
        CHILD_NAMES[child % len(CHILD_NAMES)],
    )


def _wish(plan: Plan, number: int) -> tuple[str, str]:
    """academicYear and dateOfBirth, the same for an enquiry that was sent twice."""
    original = number - (number % 10 == _SENT_TWICE)
    year = plan.until.year - original // 10 % 2
    born = f"{year - 4 - original % 12}-{1 + original % 12:02d}-{1 + original % 28:02d}"
    return f"{year}-{year + 1}", born
