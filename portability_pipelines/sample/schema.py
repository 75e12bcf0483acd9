"""The tables of the pretend application, parents before children, and what fills them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from portability_pipelines.sample import inquiries, operations, people
from portability_pipelines.sample.plan import Plan

# https://www.sqlite.org/stricttables.html: an older library cannot open a database that has one.
_STRICT = "STRICT" if sqlite3.sqlite_version_info >= (3, 37) else ""


@dataclass(frozen=True)
class SampleTable:
    """A table's definition and its rows, each as long as the table is wide."""

    name: str
    columns: str
    rows: Callable[[Plan], Iterator[tuple[Any, ...]]]
    options: str = ""
    index: str | None = None


TABLES = (
    SampleTable(
        "clients",
        """
        id TEXT PRIMARY KEY NOT NULL,
        first_name TEXT NOT NULL,
        last_name TEXT NOT NULL,
        email TEXT,
        phone TEXT,
        notes TEXT,
        created_at DATETIME NOT NULL,
        updated_at DATETIME NOT NULL,
        deleted_at DATETIME
        """,
        people.clients,
    ),
    SampleTable(
        "birth_data",
        """
        id INTEGER PRIMARY KEY,
        client_id TEXT NOT NULL REFERENCES clients (id),
        birth_date TEXT NOT NULL,
        birth_time TEXT,
        birth_place TEXT,
        latitude REAL,
        longitude REAL,
        timezone TEXT,
        created_at TEXT NOT NULL
        """,
        people.birth_data,
        index="client_id",
    ),
    SampleTable(
        "charts",
        """
        id TEXT PRIMARY KEY NOT NULL,
        client_id TEXT NOT NULL REFERENCES clients (id),
        chart_type VARCHAR(20) NOT NULL,
        data TEXT NOT NULL CHECK (json_valid(data)),
        thumbnail BLOB,
        created_at TEXT NOT NULL
        """,
        people.charts,
        index="client_id",
    ),
    SampleTable(
        "chart_interpretations",
        """
        id INTEGER PRIMARY KEY,
        chart_id TEXT NOT NULL REFERENCES charts (id) ON DELETE CASCADE,
        section TEXT NOT NULL,
        body TEXT NOT NULL,
        created_at TEXT NOT NULL
        """,
        people.chart_interpretations,
        index="chart_id",
    ),
    SampleTable(
        "location_cache",
        """
        city TEXT NOT NULL,
        district TEXT NOT NULL,
        latitude REAL NOT NULL,
        longitude REAL NOT NULL,
        "display name" TEXT,
        timezone TEXT,
        PRIMARY KEY (city, district)
        """,
        people.location_cache,
        options="WITHOUT ROWID",
    ),
    SampleTable(
        "user_activity",
        """
        id INTEGER PRIMARY KEY,
        user_id TEXT NOT NULL,
        workspace_id TEXT NOT NULL,
        action TEXT NOT NULL,
        timestamp TEXT NOT NULL,
        credits REAL,
        duration_ms INTEGER,
        details TEXT
        """,
        operations.user_activity,
        index="timestamp",
    ),
    SampleTable(
        "agent_performance",
        """
        agent_id TEXT NOT NULL,
        day TEXT NOT NULL,
        "group" TEXT NOT NULL,
        tasks INTEGER NOT NULL,
        successes INTEGER NOT NULL,
        credits_per_task REAL,
        latency_ms REAL,
        PRIMARY KEY (agent_id, day)
        """,
        operations.agent_performance,
        options=_STRICT,
    ),
    SampleTable(
        "credit_consumption",
        """
        id INTEGER PRIMARY KEY,
        user_id TEXT NOT NULL,
        workspace_id TEXT NOT NULL,
        amount DECIMAL(10,2) NOT NULL,
        consumed_at TEXT NOT NULL
        """,
        operations.credit_consumption,
    ),
    SampleTable(
        "error_logs",
        """
        id INTEGER PRIMARY KEY,
        occurred_at INTEGER NOT NULL,
        level TEXT NOT NULL,
        status_code INTEGER,
        request_id INTEGER,
        message TEXT,
        stack_trace TEXT
        """,
        operations.error_logs,
        index="occurred_at",
    ),
    SampleTable(
        "chat_inquiry_information",
        """
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        user_id TEXT,
        parentType TEXT,
        schoolType TEXT,
        firstName TEXT,
        mobile TEXT,
        email TEXT,
        city TEXT,
        childName TEXT,
        grade INTEGER,
        academicYear TEXT,
        dateOfBirth TEXT,
        schoolName TEXT,
        status TEXT DEFAULT 'new',
        source TEXT DEFAULT 'api',
        created_at TEXT,
        updated_at TEXT
        """,
        inquiries.chat_inquiry_information,
    ),
)
