"""Every kind of dirt that the sample promises is there from the smallest size on."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from portability_pipelines.sample import generate
from portability_pipelines.sample.dirt import AWKWARD_TEXTS, FORMULAS

INQUIRIES = "chat_inquiry_information"
SEED_FIELDS = [
    *("id", "user_id", "parentType", "schoolType", "firstName", "mobile", "email", "city"),
    *("childName", "grade", "academicYear", "dateOfBirth", "schoolName", "status", "source"),
    *("created_at", "updated_at"),
]


@pytest.fixture(scope="module", params=[1000, 7777])
def sample(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[sqlite3.Connection]:
    path = tmp_path_factory.mktemp("sample") / "sample.db"
    generate(path, activity_rows=request.param)
    with closing(sqlite3.connect(path)) as connection:
        yield connection


def _values(sample: sqlite3.Connection, question: str) -> list[object]:
    return [value for (value,) in sample.execute(question)]


@pytest.mark.parametrize(
    ("table", "column"),
    [("clients", "notes"), ("error_logs", "message"), (INQUIRIES, "schoolName")],
)
def test_awkward_texts_stand_in_three_tables(
    sample: sqlite3.Connection, table: str, column: str
) -> None:
    assert set(_values(sample, f"SELECT {column} FROM {table}")) >= set(AWKWARD_TEXTS)


def test_awkward_texts_hold_every_kind() -> None:
    everything = "".join(AWKWARD_TEXTS)
    kinds = {"\r\n", "\t", ",", '"', "'", "\U0001f680", "\u05e9", "\u0300", "\u661f"}
    assert [kind for kind in kinds if kind not in everything] == []
    assert {text[0] for text in FORMULAS} == set("=+-@")
    assert {"", "007", *FORMULAS} <= set(AWKWARD_TEXTS)


@pytest.mark.parametrize(
    ("table", "condition"),
    [
        ("clients", "notes IS NULL"),
        ("clients", "notes = ''"),
        ("clients", "phone GLOB '00[0-9]*' AND typeof(phone) = 'text'"),
        ("clients", "deleted_at IS NOT NULL"),
        ("clients", "deleted_at IS NULL"),
        ("birth_data", "birth_time IS NULL"),
        ("charts", "thumbnail IS NULL"),
        ("charts", "length(thumbnail) = 0 AND typeof(thumbnail) = 'blob'"),
        ("charts", "length(thumbnail) > 100 AND typeof(thumbnail) = 'blob'"),
        ("chart_interpretations", "length(body) = 100000"),
        ("location_cache", "\"display name\" LIKE '%,%'"),
        ("agent_performance", "\"group\" = 'support'"),
        ("credit_consumption", "typeof(amount) = 'integer'"),
        ("credit_consumption", "typeof(amount) = 'real'"),
        ("credit_consumption", "typeof(amount) = 'text'"),
        ("credit_consumption", "amount = 9007199254740993 AND typeof(amount) = 'integer'"),
        ("error_logs", "request_id = 9223372036854775807"),
        ("error_logs", "request_id = -9223372036854775808"),
        ("error_logs", "status_code = 'n/a'"),
        ("error_logs", "status_code IS NULL"),
        ("error_logs", "stack_trace LIKE '%' || char(13, 10) || '%'"),
        (
            "error_logs",
            "stack_trace LIKE '%' || char(10) || '%' AND NOT instr(stack_trace, char(13))",
        ),
        (INQUIRIES, "grade = 'n/a'"),
        (INQUIRIES, "typeof(grade) = 'integer'"),
        (INQUIRIES, "mobile GLOB '0[0-9]*' AND typeof(mobile) = 'text'"),
        (INQUIRIES, "email IS NULL"),
        (INQUIRIES, "email = ''"),
        (INQUIRIES, "created_at IS NULL"),
        (INQUIRIES, "created_at = ''"),
        (INQUIRIES, "created_at = 'unknown'"),
    ],
)
def test_some_rows_have_it(sample: sqlite3.Connection, table: str, condition: str) -> None:
    assert _values(sample, f"SELECT count(*) FROM {table} WHERE {condition}") > [0]


def test_one_performance_is_infinite(sample: sqlite3.Connection) -> None:
    infinite = _values(sample, "SELECT max(credits_per_task) FROM agent_performance")
    assert infinite == [math.inf]


def test_activity_misfits_stand_in_one_month_only(sample: sqlite3.Connection) -> None:
    misfits = sample.execute(
        "SELECT substr(timestamp, 1, 7), count(*) FROM user_activity"
        " WHERE typeof(duration_ms) <> 'integer' GROUP BY 1"
    ).fetchall()
    assert misfits == [("2026-03", 3)]
    assert _values(sample, "SELECT DISTINCT typeof(credits) FROM user_activity ORDER BY 1") == [
        "null",
        "real",
    ]


def test_one_parent_asks_for_two_children(sample: sqlite3.Connection) -> None:
    siblings = _values(
        sample,
        f"SELECT count(DISTINCT childName) FROM {INQUIRIES}"
        " WHERE email LIKE '%@%' GROUP BY email, mobile HAVING count(DISTINCT childName) > 1",
    )
    assert siblings
    assert set(siblings) == {2}


def test_some_enquiries_were_sent_twice(sample: sqlite3.Connection) -> None:
    repeats = _values(
        sample,
        f"SELECT count(*) FROM {INQUIRIES} WHERE email LIKE '%@%'"
        " GROUP BY email, mobile, childName, academicYear HAVING count(*) > 1",
    )
    assert repeats
    assert set(repeats) == {2}


def test_inquiries_have_the_fields_of_the_application(sample: sqlite3.Connection) -> None:
    assert _values(sample, f"SELECT name FROM pragma_table_info('{INQUIRIES}')") == SEED_FIELDS


def test_tables_differ_in_kind(sample: sqlite3.Connection) -> None:
    kinds = {
        name: (without_rowid, strict)
        for name, without_rowid, strict in sample.execute(
            "SELECT name, wr, strict FROM pragma_table_list WHERE schema = 'main'"
        )
    }
    assert kinds["location_cache"] == (1, 0)
    assert kinds["agent_performance"] == (0, 1)
    assert kinds["user_activity"] == (0, 0)


def test_json_columns_hold_json(sample: sqlite3.Connection) -> None:
    charts = _values(sample, "SELECT data FROM charts")
    details = _values(sample, "SELECT details FROM user_activity WHERE details IS NOT NULL")
    assert all(json.loads(str(text))["planets"] for text in charts)
    assert all("page" in json.loads(str(text)) for text in details)


def test_every_address_is_synthetic(sample: sqlite3.Connection) -> None:
    emails = _values(
        sample, f"SELECT email FROM clients UNION SELECT email FROM {INQUIRIES} WHERE email <> ''"
    )
    assert emails
    assert all(str(email).endswith("@example.com") for email in emails)
