"""Migrations to a real MongoDB: what is stored, what is left alone, and what is proven."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pymongo import MongoClient

from portability_pipelines.domain.documents import DocumentId, Origin
from portability_pipelines.domain.errors import PermanentError, RefusedError, TransientError
from portability_pipelines.domain.months import Period
from portability_pipelines.domain.tables import StorageClass
from portability_pipelines.engines.documents import Document, Refusal
from portability_pipelines.engines.mongodb import MongoTarget
from portability_pipelines.workflows.migrate import migrate
from portability_pipelines.workflows.verify_migration import verify_migration
from portability_tests.servers import mongod
from portability_tests.workflows.memory_records import (
    FIRST,
    MANY,
    MemoryRecords,
    Values,
    many,
    table,
)
from portability_tests.workflows.places import Place, counted, empty_place
from portability_tests.workflows.walks import MONTHS, selected, snapshot_of

LATER = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)

PEOPLE = table("people", ("id",), id="integer", name="text", email="text")
UNIQUE = ("email",)
MONTH = "2026-10"
OTHER = "2026-11"


@pytest.fixture
def place(mongod_uri: str) -> Iterator[Place]:
    """An empty database."""
    with empty_place(mongod_uri) as made:
        yield made


class TestDocuments:
    def test_every_value_keeps_its_kind(self, place: Place) -> None:
        kinds = table(
            "kinds", ("id",), id="integer", whole="integer", part="real", text="text", data="blob"
        )
        rows: list[Values] = [
            (1, 2**63 - 1, 1.0, "", b""),
            (2, -(2**63), -0.0, "naïve \0 text", b"\x00\xff"),
            (3, None, None, None, None),
            (4, 1, 0.1, "1", b"1"),
        ]
        counts = place.migrate(kinds, {"all": rows})
        assert counted(counts["all"]) == {"inserted": 4}
        stored = [tuple(document.values())[1:] for document in place.fields()]
        assert list(map(repr, stored)) == list(map(repr, rows))

    def test_metadata_tells_where_a_document_came_from(self, place: Place) -> None:
        place.migrate(PEOPLE, {MONTH: [(7, "Ann", "ann@example.org")]}, unique_by=UNIQUE)
        (document,) = place.documents()
        metadata = document["export_metadata"]
        assert document["_id"] == 7
        assert len(metadata.pop("content_hash")) == 64
        assert len(metadata.pop("unique_key")) == 32
        assert metadata == {
            "exported_at": FIRST.replace(tzinfo=None),
            "original_sqlite_id": "7",
            "export_version": "1.0",
            "source_database": "shop",
            "source_table": "people",
            "period": MONTH,
            "snapshot_at": FIRST.replace(tzinfo=None),
        }

    def test_odd_names_are_kept_through_insert_and_update(self, place: Place) -> None:
        texts: dict[str, StorageClass] = {"a.b": "text", "$set": "text", "": "text"}
        odd = table("odd", ("id",), id="integer", **texts)
        place.migrate(odd, {"all": [(1, "dot", "dollar", "nothing")]})
        assert place.fields() == [
            {"_id": 1, "id": 1, "a.b": "dot", "$set": "dollar", "": "nothing"}
        ]
        counts = place.migrate(odd, {"all": [(1, "Dot", "$dollar", "nothing")]}, LATER)
        assert counted(counts["all"]) == {"updated": 1}
        assert place.fields() == [
            {"_id": 1, "id": 1, "a.b": "Dot", "$set": "$dollar", "": "nothing"}
        ]

    def test_columns_with_a_documents_own_names_are_renamed(self, place: Place) -> None:
        mongo_like = table("copy", ("_id",), _id="text", export_metadata="text")
        place.migrate(mongo_like, {"all": [("a", "mine")]})
        assert place.fields() == [{"_id": "a", "source__id": "a", "source_export_metadata": "mine"}]

    def test_a_renamed_column_never_hides_another(self, place: Place) -> None:
        clash = table("clash", ("id",), id="integer", _id="text", source__id="text")
        with pytest.raises(RefusedError, match="source__id"):
            place.migrate(clash, {"all": [(1, "a", "b")]})


class TestIds:
    @pytest.mark.parametrize(
        ("key", "columns"),
        [
            (("a", "b"), {"a": "text", "b": "text"}),
            (("a",), {"a": "real", "b": "text"}),
            (("b",), {"a": "text", "b": "blob"}),
        ],
    )
    def test_other_keys_become_digests_that_stay(
        self, place: Place, key: tuple[str, ...], columns: dict[str, Any]
    ) -> None:
        values: dict[str, tuple[Any, Any]] = {
            "text": ("x", "xy"),
            "real": (1.0, 1.5),
            "blob": (b"x", b"xy"),
        }
        source = table("keyed", key, **columns, value="integer")
        (first, second), (third, fourth) = (values[columns[name]] for name in ("a", "b"))
        rows: list[Values] = [(first, fourth, 1), (second, third, 1)]
        place.migrate(source, {"all": rows})
        ids = [document["_id"] for document in place.documents()]
        assert [len(each) for each in ids] == [32, 32]
        changed = [(*row[:2], 2) for row in rows]
        assert counted(place.migrate(source, {"all": changed})["all"]) == {"updated": 2}
        assert [document["_id"] for document in place.documents()] == ids

    def test_equal_rows_without_a_key_are_all_kept_once(self, place: Place) -> None:
        log = table("log", event="text")
        rows: dict[Period, list[Values]] = {
            MONTH: [("in",), ("out",), ("in",), ("in",)],
            OTHER: [("in",)],
        }
        first = place.migrate(log, rows, batch_size=2)
        assert [counted(each) for each in first.values()] == [{"inserted": 4}, {"inserted": 1}]
        ids = {document["_id"] for document in place.documents()}
        again = place.migrate(log, {OTHER: rows[OTHER]})
        again |= place.migrate(log, {MONTH: rows[MONTH]}, batch_size=3)
        assert counted(again[MONTH]) == {"unchanged": 4}
        assert counted(again[OTHER]) == {"unchanged": 1}
        assert {document["_id"] for document in place.documents()} == ids

    def test_rows_whose_key_is_null_are_all_kept(self, place: Place) -> None:
        nullable = table("nullable", ("id",), id="text", name="text")
        rows: list[Values] = [(None, "a"), (None, "a"), ("k", "a")]
        assert counted(place.migrate(nullable, {"all": rows})["all"]) == {"inserted": 3}
        assert counted(place.migrate(nullable, {"all": rows})["all"]) == {"unchanged": 3}
        names = {d["export_metadata"]["original_sqlite_id"] for d in place.documents()}
        assert names == {None, "k"}


class TestRunningAgain:
    ROWS: Mapping[Period, list[Values]] = {
        MONTH: [(1, "Ann", "ann@example.org"), (2, "Bob", None)],
        OTHER: [(3, "Cay", "")],
    }

    def test_nothing_is_touched_where_nothing_changed(self, place: Place) -> None:
        place.migrate(PEOPLE, self.ROWS, unique_by=UNIQUE)
        before = place.documents()
        again = place.migrate(PEOPLE, self.ROWS, LATER, unique_by=UNIQUE)
        assert [counted(each) for each in again.values()] == [{"unchanged": 2}, {"unchanged": 1}]
        assert place.documents() == before

    def test_only_a_changed_row_is_written(self, place: Place) -> None:
        place.migrate(PEOPLE, self.ROWS)
        before = place.documents()
        changed = [(1, "Ann", "ann@example.com"), (2, "Bob", None)]
        again = place.migrate(PEOPLE, {MONTH: changed}, LATER)
        assert counted(again[MONTH]) == {"updated": 1, "unchanged": 1}
        after = place.documents()
        assert after[0]["email"] == "ann@example.com"
        assert after[0]["export_metadata"]["exported_at"] == LATER.replace(tzinfo=None)
        assert after[1:] == before[1:]

    def test_null_and_the_empty_text_are_a_change(self, place: Place) -> None:
        place.migrate(PEOPLE, {MONTH: [(1, "Ann", None)]})
        again = place.migrate(PEOPLE, {MONTH: [(1, "Ann", "")]})
        assert counted(again[MONTH]) == {"updated": 1}

    def test_a_row_that_moved_to_another_period_is_counted_there(self, place: Place) -> None:
        place.migrate(PEOPLE, {MONTH: [(1, "Ann", None)]})
        moved = place.migrate(PEOPLE, {MONTH: [], OTHER: [(1, "Ann", None)]})
        assert [counted(each) for each in moved.values()] == [{}, {"updated": 1}]
        assert place.target.count("people", Origin("shop", "people"), MONTH) == 0
        assert place.target.count("people", Origin("shop", "people"), OTHER) == 1

    def test_a_killed_run_is_finished_by_the_next(self, place: Place) -> None:
        rows = 6000
        argv = [sys.executable, "-m", "portability_tests.workflows.memory_records"]
        argv += [place.uri, place.database, str(rows)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if int(line) >= 1000:
                    break
            process.kill()
        stored = place.collection.database["many"]
        left = stored.count_documents({})
        assert 1000 <= left < rows
        counts = migrate(
            many(rows), MANY, place.target, database="shop", collection="many", exported_at=LATER
        )
        assert counted(counts["all"]) == {"unchanged": left, "inserted": rows - left}
        assert [d["_id"] for d in stored.find().sort("_id")] == list(range(rows))
        proof = verify_migration(many(rows), MANY, place.target, database="shop", collection="many")
        assert proof["all"].matched == rows
        assert proof["all"].problems(counts["all"]) == []


class TestRejected:
    def test_a_row_too_large_for_a_document_stops_no_other(self, place: Place) -> None:
        files = table("files", ("id",), id="integer", data="blob")
        limit = 16 * 1024 * 1024
        rows: list[Values] = [(1, b"a"), (2, b"b" * limit), (3, b"c" * (limit - 1000)), (4, b"d")]
        counts = place.migrate(files, {"all": rows})
        assert counted(counts["all"]) == {"inserted": 3, "rejected": 1}
        (skipped,) = counts["all"].skipped
        assert skipped.row == "id=2"
        assert "16777216 is the most" in skipped.reason
        assert counted(place.migrate(files, {"all": rows})["all"]) == {
            "unchanged": 3,
            "rejected": 1,
        }

    def test_the_limit_counts_the_id_and_the_metadata(self, place: Place) -> None:
        files = table("files", ("id",), id="integer", data="blob")
        data = b"x" * (16 * 1024 * 1024 - 50)
        counts = place.migrate(files, {"all": [(1, data), (2, b"small")]})
        assert counted(counts["all"]) == {"inserted": 1, "rejected": 1}

    def test_text_that_is_not_unicode_stops_no_other(self, place: Place) -> None:
        class Broken(MemoryRecords):
            def _batch(self, rows: Sequence[Values]) -> pa.RecordBatch:
                batch = super()._batch(rows)
                texts = pa.array([b"fine", b"\xed\xa0\x80", b"\xff"], pa.binary())
                broken = pa.StringArray.from_buffers(3, texts.buffers()[1], texts.buffers()[2])
                return batch.set_column(1, batch.schema.field(1), broken)

        records = Broken(PEOPLE, {"all": [(1, "", None), (2, "", None), (3, "", None)]})
        counts = place.migrate(PEOPLE, records)
        assert counted(counts["all"]) == {"inserted": 1, "rejected": 2}
        assert [each.row for each in counts["all"].skipped] == ["id=2", "id=3"]
        assert place.fields() == [{"_id": 1, "id": 1, "name": "fine", "email": None}]

    def test_a_document_of_somebody_else_is_never_replaced(self, place: Place) -> None:
        theirs = {"_id": 1, "precious": True}
        place.collection.insert_one(dict(theirs))
        counts = place.migrate(PEOPLE, {"all": [(1, "Ann", None), (2, "Bob", None)]})
        assert counted(counts["all"]) == {"inserted": 1, "rejected": 1}
        assert "not from this table" in counts["all"].skipped[0].reason
        assert place.documents()[0] == theirs

    def test_the_collections_own_rules_reject_a_row(self, place: Place) -> None:
        rules = {"$jsonSchema": {"properties": {"name": {"bsonType": "string"}}}}
        place.collection.database.create_collection("people", validator=rules)
        place.collection.create_index("name", unique=True)
        rows: list[Values] = [(1, "Ann", None), (2, None, None), (3, "Ann", None)]
        counts = place.migrate(PEOPLE, {"all": rows})
        assert counted(counts["all"]) == {"inserted": 1, "rejected": 2}
        reasons = {each.row: each.reason for each in counts["all"].skipped}
        assert reasons == {
            "id=2": "the collection's validation rules refuse it",
            "id=3": "another document of the collection has the same name",
        }

    def test_a_rejected_row_is_nobodys_survivor(self, place: Place) -> None:
        rules = {"$jsonSchema": {"properties": {"name": {"bsonType": "string"}}}}
        place.collection.database.create_collection("people", validator=rules)
        rows: list[Values] = [(1, None, "a@b"), (2, "Ann", "A@B"), (3, "Ann", "a@B")]
        counts = place.migrate(PEOPLE, {"all": rows}, unique_by=UNIQUE)
        assert counted(counts["all"]) == {"inserted": 1, "duplicates": 1, "rejected": 1}
        assert [document["_id"] for document in place.documents()] == [2]

    def test_a_value_that_an_index_cannot_take_rejects_its_row(self, place: Place) -> None:
        place.collection.create_index([("name", "2dsphere")])
        counts = place.migrate(PEOPLE, {"all": [(1, "nowhere", None), (2, None, None)]})
        assert counted(counts["all"]) == {"inserted": 1, "rejected": 1}
        assert "nowhere" not in counts["all"].skipped[0].reason

    def test_an_id_taken_by_a_looser_comparison_is_rejected(self, place: Place) -> None:
        loose = {"locale": "en", "strength": 2}
        place.collection.database.create_collection("people", collation=loose)
        texts = table("texts", ("id",), id="text")
        counts = place.migrate(texts, {"all": [("a",), ("A",)]})
        assert counted(counts["all"]) == {"inserted": 1, "rejected": 1}


class TestFailures:
    def test_counts_that_do_not_close_fail(self, place: Place) -> None:
        records = MemoryRecords(PEOPLE, {MONTH: [(1, "Ann", None)]}, claimed=1)
        with pytest.raises(PermanentError, match="met 1 rows where its snapshot counts 2"):
            place.migrate(PEOPLE, records)

    @pytest.mark.parametrize("size", [0, 10_001])
    def test_an_impossible_batch_size_is_refused(self, place: Place, size: int) -> None:
        with pytest.raises(RefusedError, match="Choose 1 to 10000"):
            place.migrate(PEOPLE, {MONTH: []}, batch_size=size)

    @pytest.mark.usefixtures("mongod_uri")
    def test_a_server_that_goes_away_is_worth_a_retry(self) -> None:
        with mongod() as uri, MongoTarget(uri, "shop", timeout_seconds=1) as target:
            done: list[int] = []

            def unplug(rows: int) -> None:
                done.append(rows)
                if rows == 1000:
                    with pytest.raises(TransientError):
                        _shut_down(uri, target)

            with pytest.raises(TransientError, match=r"shop\.many on MongoDB at 127"):
                migrate(
                    many(50_000),
                    MANY,
                    target,
                    database="shop",
                    collection="many",
                    exported_at=FIRST,
                    progress=unplug,
                )
            assert done == [1000]


class TestBatches:
    def test_batches_are_of_the_size_asked_for_and_progress_follows(self, place: Place) -> None:
        sizes: list[int] = []

        class Watched(MongoTarget):
            def write(
                self, collection: str, inserts: Sequence[Document], replacements: Sequence[Document]
            ) -> dict[DocumentId, Refusal]:
                sizes.append(len(inserts))
                return super().write(collection, inserts, replacements)

        done: list[int] = []
        rows: dict[Period, list[Values]] = {MONTH: [(i, "n", None) for i in range(7)], OTHER: []}
        with Watched(place.uri, place.database) as target:
            place.migrate(PEOPLE, rows, target=target, batch_size=3, progress=done.append)
        assert sizes == [3, 3, 1]
        assert done == [3, 6, 7]


def test_months_of_a_real_table_add_up(place: Place, generated: Path) -> None:
    unique_by = ("email", "mobile", "childName", "academicYear")
    table_name = "chat_inquiry_information"
    with snapshot_of(generated) as snapshot:
        dated = selected(snapshot, table_name, "created_at")
        undated = selected(snapshot, table_name, "created_at", undated=True)
        rest = place.migrate(undated.table, snapshot.read_stored(undated), unique_by=unique_by)
        counts = place.migrate(dated.table, snapshot.read_stored(dated), unique_by=unique_by) | rest
        proofs = verify_migration(
            snapshot.read_stored(dated),
            dated.table,
            place.target,
            database="shop",
            collection=place.collection.name,
            unique_by=unique_by,
        )
        whole = snapshot.read_stored(selected(snapshot, table_name)).contents["all"].rows
    assert sum(each.source for each in counts.values()) == whole
    assert sum(each.duplicates for each in counts.values()) > 0
    assert len(place.documents()) == sum(each.documents for each in counts.values())
    assert [proofs[period].problems(counts[period]) for period in proofs] == [[]] * len(MONTHS)


def _shut_down(uri: str, target: MongoTarget) -> None:
    """Stop the server and see that ``target`` knows."""
    from pymongo.errors import AutoReconnect

    with MongoClient[Document](uri) as client, pytest.raises(AutoReconnect):
        client.admin.command("shutdown", force=True)
    target.marks("many", [1], [])
