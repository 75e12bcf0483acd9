"""MongoDB as a target: what it does on a real server, and how it fails."""

from __future__ import annotations

import re
import secrets
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pymongo import MongoClient

from portability_pipelines.domain.documents import Origin
from portability_pipelines.domain.errors import PermanentError, RefusedError, TransientError
from portability_pipelines.engines.documents import Document, Mark
from portability_pipelines.engines.mongodb import MongoTarget
from portability_tests.servers import free_ports, mongod_binary, running

PASSWORD = "hunter2%40home"
PRIVATE = "a value of somebody's row"
PEOPLE = Origin("shop", "people")
WRITTEN = datetime(2026, 11, 1, 9, 30)
ORIGIN = {"source_database": "shop", "source_table": "people", "snapshot_at": WRITTEN}

Use = Callable[[MongoTarget], object]


@pytest.fixture
def database() -> str:
    """The name of a database that nobody uses."""
    return f"test_{secrets.token_hex(6)}"


@pytest.fixture
def target(mongod_uri: str, database: str) -> Iterator[MongoTarget]:
    """An empty database, gone after the test."""
    with MongoTarget(mongod_uri, database) as opened, MongoClient[Document](mongod_uri) as client:
        yield opened
        client.drop_database(database)


@contextmanager
def mongod_with(folder: Path, *options: str) -> Iterator[str]:
    """A server of this file's own, whose data stay in ``folder``; gives its host and port."""
    (port,) = free_ports(1)
    host = f"127.0.0.1:{port}"
    argv = [str(mongod_binary()), "--bind_ip", "127.0.0.1", "--port", str(port), *options]
    argv += ["--dbpath", str(folder), "--wiredTigerCacheSizeGB", "0.25", "--nounixsocket"]

    def answers() -> None:
        uri = f"mongodb://{host}/?directConnection=true"
        with MongoClient[Document](uri, serverSelectionTimeoutMS=500) as client:
            client.admin.command("ping")

    with running(argv, answers, folder / "server.log"):
        yield host


@pytest.fixture(scope="module")
def guarded_uri(mongod_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI by which a user who may only read reaches a server that asks for passwords."""
    folder = tmp_path_factory.mktemp("guarded")
    with mongod_with(folder) as host, MongoClient[Document](f"mongodb://{host}") as client:
        roles = [{"role": "read", "db": "shop"}]
        # The server is killed next, so the user has to be in the journal.
        durably = {"w": 1, "j": True}
        client.admin.command(
            "createUser", "reader", pwd="hunter2@home", roles=roles, writeConcern=durably
        )
    with mongod_with(folder, "--auth") as host:
        yield f"mongodb://reader:{PASSWORD}@{host}/?authSource=admin"


@pytest.fixture(scope="module")
def faulty_uri(mongod_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of a server that fails as it is told."""
    options = ("--setParameter", "enableTestCommands=1")
    with mongod_with(tmp_path_factory.mktemp("faulty"), *options) as host:
        yield f"mongodb://{host}/?retryWrites=false"


def document(name: int | str, **metadata: object) -> Document:
    """A document as a migration writes it."""
    return {"_id": name, "value": 1, "export_metadata": {**ORIGIN, **metadata}}


def in_full(failure: pytest.ExceptionInfo[BaseException]) -> str:
    """Everything that a log could show of ``failure``."""
    return "".join(traceback.format_exception(failure.value)) + repr(failure.value)


class TestReaching:
    def test_nobody_listening_is_worth_a_retry(self) -> None:
        (port,) = free_ports(1)
        uri = f"mongodb://ann:{PASSWORD}@127.0.0.1:{port}/?authSource=admin"
        with MongoTarget(uri, "shop", timeout_seconds=0.5) as target:
            with pytest.raises(TransientError, match=rf"127\.0\.0\.1:{port}") as failure:
                target.marks("people", [1], [])
            assert "hunter2" not in in_full(failure) + repr(target)

    def test_a_wrong_password_is_not(self, guarded_uri: str) -> None:
        wrong = guarded_uri.replace("hunter2", "hunter3")
        with MongoTarget(wrong, "shop") as target:
            with pytest.raises(PermanentError, match="user or the password is wrong") as failure:
                target.marks("people", [1], [])
            assert "hunter" not in in_full(failure)

    def test_a_user_who_may_only_read_is_told_what_to_be_granted(self, guarded_uri: str) -> None:
        with MongoTarget(guarded_uri, "shop") as target:
            assert target.marks("people", [1], []) == []
            with pytest.raises(PermanentError, match="readWrite"):
                target.prepare("people")
            with pytest.raises(PermanentError, match="readWrite") as failure:
                target.write("people", [document(PRIVATE)], [])
            assert PRIVATE not in in_full(failure)

    @pytest.mark.parametrize(
        "uri",
        [
            "mongodb://ann:hunter2",
            "mongodb://ann:hunter2@home@localhost/",
            "mongodb://ann:hunter2/@localhost/",
            "mongodb://ann:12345/hunter2@127.0.0.1:1/",
            "mongodb://ann:12345?hunter=2@localhost/",
            "mongodb://ann@home:12345/hunter2@localhost/",
            "mongodb://localhost:1/?tlsCertificateKeyFilePassword=top@hunter2",
            "mongodb://localhost:1/?authMechanismProperties=AWS_SESSION_TOKEN:top@hunter2",
            "mongodb://ann:hunter2@localhost:1/?tls=ture",
            "mongodb://ann:hunter2@localhost:1/?tsl=true",
            "mongodb://ann:hunter2@localhost:1/shop?authMechanism=SCRAM",
            "postgresql://ann:hunter2@localhost/",
            "hunter2",
            "",
        ],
    )
    def test_an_unusable_uri_is_refused_unseen(self, uri: str) -> None:
        with pytest.raises(RefusedError, match="percent-encoded") as failure:
            MongoTarget(uri, "shop", timeout_seconds=0.5).marks("people", [1], [])
        assert not re.search("hunter|12345", in_full(failure))

    def test_a_name_that_dns_does_not_know_is_told(self) -> None:
        uri = "mongodb+srv://ann:hunter2@cluster.invalid/shop?appName=x"
        with MongoTarget(uri, "shop", timeout_seconds=0.5) as target:
            told = r"MongoDB at cluster\.invalid was not found"
            with pytest.raises(TransientError, match=told) as failure:
                target.marks("people", [1], [])
            assert "hunter2" not in in_full(failure)

    def test_an_at_sign_in_an_option_may_be_encoded(self) -> None:
        uri = "mongodb://127.0.0.1:1/?appName=ann%40hunter2"
        with MongoTarget(uri, "shop", timeout_seconds=0.5) as target:
            with pytest.raises(TransientError, match=r"on MongoDB at 127\.0\.0\.1:1 ") as failure:
                target.marks("people", [1], [])
            assert "hunter2" not in in_full(failure)

    def test_a_closed_target_opens_again(self, target: MongoTarget) -> None:
        assert target.marks("people", [1], []) == []
        target.close()
        target.close()
        assert target.marks("people", [1], []) == []

    @pytest.mark.parametrize(
        "use",
        [
            lambda target: target.prepare("people"),
            lambda target: target.marks("people", [1], ["key"]),
            lambda target: target.write("people", [document(1)], []),
            lambda target: target.release("people", [Mark(1, {})]),
            lambda target: list(target.contents("people", [1])),
            lambda target: target.count("people", PEOPLE, "all"),
            lambda target: target.count_outside("people", PEOPLE, ["all"]),
        ],
    )
    def test_every_use_fails_the_same_way_once_the_server_is_gone(self, use: Use) -> None:
        (port,) = free_ports(1)
        uri = f"mongodb://ann:{PASSWORD}@127.0.0.1:{port}/?authSource=admin"
        with MongoTarget(uri, "shop", timeout_seconds=0.2) as target:
            with pytest.raises(TransientError, match="run this again") as failure:
                use(target)
            assert "hunter2" not in in_full(failure)

    @pytest.mark.usefixtures("mongod_uri")
    def test_a_replica_set_without_a_primary_is_worth_a_retry(self, tmp_path: Path) -> None:
        with (
            mongod_with(tmp_path, "--replSet", "rs") as host,
            MongoTarget(f"mongodb://{host}", "shop", timeout_seconds=1) as target,
            pytest.raises(TransientError),
        ):
            target.prepare("people")


class TestStoring:
    def test_marks_are_found_by_id_and_by_unique_key(self, target: MongoTarget) -> None:
        known = {"period": "2026-10", "content_hash": "c"}
        target.write(
            "people", [document(1, **known, unique_key="k"), document("2"), document(3)], []
        )
        target.write("people", [{"_id": 4}, {"_id": 5, "export_metadata": "mine"}], [])
        found = {mark.id: mark for mark in target.marks("people", ["2", 4, 5, 6], ["k", "l"])}
        assert found == {
            1: Mark(1, {**ORIGIN, **known, "unique_key": "k"}),
            "2": Mark("2", ORIGIN),
            4: Mark(4, {}),
            5: Mark(5, {}),
        }

    def test_a_unique_key_is_held_once_and_its_absence_often(self, target: MongoTarget) -> None:
        target.prepare("people")
        target.prepare("people")
        first = [document(1, unique_key="k"), document(2), document(3)]
        assert target.write("people", first, []) == {}
        refused = target.write("people", [document(4, unique_key="k"), document(5)], [])
        assert list(refused) == [4]
        assert refused[4].contested
        assert len(target.marks("people", [1, 2, 3, 4, 5], [])) == 4

    @pytest.mark.parametrize(
        "now", [{"unique_key": "other"}, {"snapshot_at": WRITTEN + timedelta(hours=1)}]
    )
    def test_a_unique_key_is_taken_only_from_a_document_that_is_as_it_was(
        self, target: MongoTarget, now: Document
    ) -> None:
        seen = {"unique_key": "k"}
        target.write("people", [document(1, **seen), document(2, **{**seen, **now})], [])
        target.release("people", [Mark(each, {**ORIGIN, **seen}) for each in (1, 2)])
        found = {mark.id: mark for mark in target.marks("people", [1, 2], [])}
        assert found == {1: Mark(1, ORIGIN), 2: Mark(2, {**ORIGIN, **seen, **now})}

    def test_looking_up_survivors_and_periods_uses_the_indexes(
        self, target: MongoTarget, mongod_uri: str, database: str
    ) -> None:
        target.prepare("people")
        with MongoClient[Document](mongod_uri) as client:
            people = client[database]["people"]
            by_key = people.find(
                {"$or": [{"_id": {"$in": [1]}}, {"export_metadata.unique_key": {"$in": ["k"]}}]}
            )
            period = {"export_metadata.source_table": "t", "export_metadata.period": "all"}
            for query in (by_key, people.find(period)):
                assert "COLLSCAN" not in str(query.explain()["queryPlanner"]["winningPlan"])

    def test_a_replacement_never_touches_another_tables_document(self, target: MongoTarget) -> None:
        theirs = {"_id": 1, "value": 2, "export_metadata": {**ORIGIN, "source_table": "orders"}}
        target.write("people", [theirs, document(2)], [])
        changed = {**document(2), "value": 3}
        refused = target.write("people", [], [document(1), changed, document(3)])
        assert list(refused) == [1]
        values = dict(target.contents("people", [1, 2, 3]))
        assert values == {n: target.encode({"value": v}) for n, v in ((1, 2), (2, 3), (3, 1))}

    def test_writing_nothing_does_nothing(self, target: MongoTarget) -> None:
        assert target.write("people", [], []) == {}

    def test_counts_are_of_one_table_and_period(self, target: MongoTarget) -> None:
        documents = [document(n, period=p) for n, p in ((1, "a"), (2, "a"), (3, "b"))]
        target.write("people", documents, [])
        assert target.count("people", PEOPLE, "a") == 2
        assert target.count("people", Origin("shop", "orders"), "a") == 0

    def test_counted_outside_are_other_periods_and_other_tables_of_the_database(
        self, target: MongoTarget
    ) -> None:
        described: list[dict[str, str]] = [
            {"period": "a"},
            {"period": "b"},
            {"period": "a", "source_table": "persons"},
            {"period": "a", "source_table": "persons", "source_database": "other"},
        ]
        target.write("people", [document(n, **told) for n, told in enumerate(described)], [])
        assert target.count_outside("people", PEOPLE, ["a"]) == 2
        assert target.count_outside("people", PEOPLE, ["a", "b"]) == 1
        assert target.count_outside("people", Origin("other", "persons"), ["a"]) == 0

    @pytest.mark.parametrize("fields", [{"n": 2**63}, {"text": "\ud800"}, {"a\0b": 1}])
    def test_what_bson_cannot_hold_is_said_without_the_value(
        self, target: MongoTarget, fields: Document
    ) -> None:
        with pytest.raises(PermanentError, match="BSON cannot hold the row") as failure:
            target.encode(fields)
        assert str(2**63) not in in_full(failure)
        assert failure.value.__cause__ is None

    def test_writes_wait_for_a_majority_and_the_journal(
        self, mongod_uri: str, database: str
    ) -> None:
        # An unacknowledged write could not report the duplicate.
        with MongoTarget(f"{mongod_uri}/?w=0", database) as target:
            target.write("people", [document(1)], [])
            assert list(target.write("people", [document(1)], [])) == [1]
        with MongoClient[Document](mongod_uri) as client:
            client.drop_database(database)


class TestServerErrors:
    @pytest.mark.parametrize(
        "fault",
        [
            {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}},
            {"errorCode": 91},
            {"errorCode": 11600},
            {"closeConnection": True},
        ],
    )
    def test_a_passing_trouble_is_worth_a_retry(
        self, faulty_uri: str, fault: dict[str, object]
    ) -> None:
        with MongoTarget(faulty_uri, "shop") as target:
            _fail_next_insert(faulty_uri, fault)
            with pytest.raises(TransientError) as failure:
                target.write("people", [document(PRIVATE)], [])
            assert PRIVATE not in in_full(failure)

    def test_another_trouble_is_named_and_no_refusal_of_a_document(self, faulty_uri: str) -> None:
        with MongoTarget(faulty_uri, "shop") as target:
            _fail_next_insert(faulty_uri, {"errorCode": 14031})
            with pytest.raises(PermanentError, match="OutOfDiskSpace") as failure:
                target.write("people", [document(PRIVATE)], [])
            assert PRIVATE not in in_full(failure)

    def test_an_unknown_refusal_stops_the_batch_unseen(self, faulty_uri: str) -> None:
        with MongoTarget(faulty_uri, "shop") as target:
            target.write("people", [document("first")], [])
            # The server then refuses the single document, with a code that is about no document.
            _fail_next(faulty_uri, "failCollectionInserts", {"collectionNS": "shop.people"})
            with pytest.raises(PermanentError, match="192") as failure:
                target.write("people", [document(PRIVATE)], [])
            assert PRIVATE not in in_full(failure)


def _fail_next_insert(uri: str, fault: dict[str, object]) -> None:
    _fail_next(uri, "failCommand", {"failCommands": ["insert"], **fault})


def _fail_next(uri: str, point: str, data: dict[str, object]) -> None:
    with MongoClient[Document](uri) as client:
        client.admin.command("configureFailPoint", point, mode={"times": 1}, data=data)
