"""The astrology side of the pretend application: clients, their charts, and what those say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from portability_pipelines.sample.dirt import AWKWARD_TEXTS, LONG_TEXT_CHARACTERS, awkward_text
from portability_pipelines.sample.plan import Plan, iso

FIRST_NAMES = (
    "Ada", "Zo\u00eb", "\u674e\u96f7", "\u05d3\u05d5\u05d2\u05de\u05d4", "Bj\u00f6rn", "Asha",
    "\u30c6\u30b9\u30c8", "O'Test", "\u0646\u0645\u0648\u0630\u062c", "Jose\u0301",
)  # fmt: skip
LAST_NAMES = ("Sample", "Example", "Placeholder", "Testperson", "D'Essai")
CITIES = (
    ("Springfield", 39.7817, -89.6501, "America/Chicago"),
    ("Z\u00fcrich", 47.3769, 8.5417, "Europe/Zurich"),
    ("\u6771\u4eac", 35.6762, 139.6503, "Asia/Tokyo"),
    ("\u062f\u0628\u064a", 25.2048, 55.2708, "Asia/Dubai"),
    ("Nuku\u02bbalofa", -21.1393, -175.2049, "Pacific/Tongatapu"),
    ("Null Island", 0.0, 0.0, "UTC"),
)
CHART_TYPES = ("natal", "transit", "synastry", "composite", "solar_return")
PLANETS = ("sun", "moon", "mercury", "venus", "mars", "jupiter", "saturn")
SECTIONS = ("overview", "career", "relationships", "health")
SENTENCES = (
    "The Moon in the fourth house asks for a quiet room and a long table. ",
    "Mercury turns back; letters arrive twice, or not at all. ",
    "A square to Saturn slows the work, and the work is better for it. ",
    "Venus trine Jupiter: the \u201csmall\u201d yes matters more than the large one. ",
    "\u2648\ufe0e to \u2653\ufe0e, the wheel closes where it opened.\n\n",
)
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CLIENTS_PER_DELETION = 7


def clients(plan: Plan) -> Iterator[tuple[Any, ...]]:
    """One client for every hundred activity rows; one in seven is soft-deleted."""
    draw = plan.random("clients").random
    for number, created in enumerate(_client_moments(plan)):
        updated = plan.later(created, 90 * draw())
        deleted = plan.later(updated, 30 * draw())
        yield (
            plan.identifier("client", number),
            FIRST_NAMES[number % len(FIRST_NAMES)],
            LAST_NAMES[int(draw() * len(LAST_NAMES))],
            f"client{number}@example.com",
            f"00{5550100000 + number}",
            awkward_text(number, None if number % 2 else "Prefers mornings"),
            iso(created),
            iso(updated),
            None if number % _CLIENTS_PER_DELETION else iso(deleted),
        )


def birth_data(plan: Plan) -> Iterator[tuple[Any, ...]]:
    """Where and when each client was born; one in five does not know the hour."""
    draw = plan.random("birth_data").random
    for number, created in enumerate(_client_moments(plan)):
        city, latitude, longitude, zone = CITIES[int(draw() * len(CITIES))]
        born = date(1940, 1, 1) + timedelta(days=int(draw() * 24_000))
        minute = int(draw() * 1440)
        yield (
            number + 1,
            plan.identifier("client", number),
            born.isoformat(),
            f"{minute // 60:02d}:{minute % 60:02d}" if number % 5 else None,
            city,
            latitude,
            longitude,
            zone,
            iso(created),
        )


def charts(plan: Plan) -> Iterator[tuple[Any, ...]]:
    """About two charts for each client, with a picture of a few hundred bytes for most."""
    random = plan.random("charts")
    for number, client, created in _charts(plan):
        picture = _PNG_SIGNATURE + random.randbytes(120 + number % 400)
        data = {
            "houses": "placidus",
            "planets": {planet: round(random.random() * 360, 6) for planet in PLANETS},
            "retrograde": [planet for planet in PLANETS if int(random.random() * 5) == 0],
            "label": AWKWARD_TEXTS[number % len(AWKWARD_TEXTS)],
        }
        yield (
            plan.identifier("chart", number),
            plan.identifier("client", client),
            CHART_TYPES[int(random.random() * len(CHART_TYPES))],
            json.dumps(data, ensure_ascii=False),
            {5: None, 6: b""}.get(number % 20, picture),
            iso(created),
        )


def chart_interpretations(plan: Plan) -> Iterator[tuple[Any, ...]]:
    """About three texts for each chart, mostly around a thousand characters long."""
    draw = plan.random("chart_interpretations").random
    number = 0
    for chart, _, created in _charts(plan):
        for section in SECTIONS[: 2 + chart % 3]:
            sentences = (SENTENCES[int(draw() * len(SENTENCES))] for _ in range(4 + number % 26))
            body = "".join(sentences)
            if number % 20_000 in (5, 17, 29):
                body = (body * (LONG_TEXT_CHARACTERS // len(body) + 1))[:LONG_TEXT_CHARACTERS]
            written = iso(plan.later(created, draw()))
            number += 1
            yield number, plan.identifier("chart", chart), section, body, written


def location_cache(plan: Plan) -> Iterator[tuple[Any, ...]]:
    """Places looked up once and kept, without a date."""
    draw = plan.random("location_cache").random
    for number in range(plan.share(1000)):
        city, latitude, longitude, zone = CITIES[number % len(CITIES)]
        district = number // len(CITIES)
        yield (
            city,
            f"district {district:03d}",
            latitude + 0.2 * (draw() - 0.5) * bool(district),
            longitude + 0.2 * (draw() - 0.5) * bool(district),
            f"{city}, district {district}",
            zone,
        )


def _client_moments(plan: Plan) -> Iterator[int]:
    return plan.moments(plan.share(100), "client")


def _charts(plan: Plan) -> Iterator[tuple[int, int, int]]:
    """Every chart's number, its client's number and its moment."""
    draw = plan.random("chart moments").random
    number = 0
    for client, created in enumerate(_client_moments(plan)):
        for _ in range(1 + client % 3):
            yield number, client, plan.later(created, 20 * draw())
            number += 1
