"""A file that is cut short or is something else raises PermanentError, never fewer rows."""

from __future__ import annotations

import io
import traceback

import pyarrow as pa
import pytest

from portability_pipelines.domain.errors import PermanentError
from portability_pipelines.formats import blocks
from portability_pipelines.formats.registry import FORMATS

SCHEMA = pa.schema([("n", pa.int64()), ("r", pa.float64()), ("t", pa.string()), ("b", pa.binary())])
ROWS = 1000
BATCH = pa.record_batch(
    [
        list(range(ROWS)),
        [n / 7 for n in range(ROWS)],
        [f'line one of {n}\n"line two"' for n in range(ROWS)],
        [bytes([n % 256]) * 3 for n in range(ROWS)],
    ],
    schema=SCHEMA,
)

every_format = pytest.mark.parametrize("name", list(FORMATS))
text_format = pytest.mark.parametrize("name", ["csv", "jsonl"])


def whole(name: str) -> bytes:
    """A sound file of ``BATCH``."""
    sink = io.BytesIO()
    with FORMATS[name].open_writer(sink, SCHEMA, "zstd") as writer:
        writer.write(BATCH)
    return sink.getvalue()


def refused(name: str, content: bytes, schema: pa.Schema = SCHEMA) -> str:
    """What the format says of ``content``, which it must not accept."""
    with pytest.raises(PermanentError) as caught:
        for _ in FORMATS[name].read(io.BytesIO(content), schema):
            pass
    return str(caught.value)


@every_format
@pytest.mark.parametrize("block_bytes", [1000, blocks.BLOCK_BYTES])
@pytest.mark.parametrize("lost", [1, 2, 3, 5, 10, 17, 29, 30, 31, 32])
def test_the_last_bytes_are_missing(
    name: str, lost: int, block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", block_bytes)
    assert refused(name, whole(name)[:-lost])


@every_format
def test_half_is_missing(name: str) -> None:
    content = whole(name)
    assert refused(name, content[: len(content) // 2])


@every_format
@pytest.mark.parametrize(
    "garbage",
    [
        b"garbage",
        b"garbage\n",
        b"\0" * 100,
        b"\xff\xfe\n",
        b"PAR1" * 10,
        b"null\n",
        b'null\n{"n":1}\n',
        b"[1,2]\n",
        b"[" * 100_000 + b"\n",
        b'{"n":1}\n',
        b'"n","r","t"\n1,2,3\n',
        b"\n\n",
    ],
)
def test_garbage(name: str, garbage: bytes) -> None:
    assert refused(name, garbage)


def test_flipped_bits_in_parquet() -> None:
    content = bytearray(whole("parquet"))
    content[2000] ^= 1
    assert refused("parquet", bytes(content))


@pytest.mark.parametrize("name", ["csv", "parquet"])
def test_an_empty_file(name: str) -> None:
    assert refused(name, b"")


@every_format
def test_another_table(name: str) -> None:
    names = ["n", "r", "t", "other"]
    other = pa.schema([pa.field(n, f.type) for n, f in zip(names, SCHEMA, strict=True)])
    assert "other" in refused(name, whole(name), other)


@every_format
def test_columns_in_another_order(name: str) -> None:
    assert refused(name, whole(name), pa.schema(list(SCHEMA)[::-1]))


@every_format
def test_a_column_of_another_type(name: str) -> None:
    text_as_number = SCHEMA.set(2, pa.field("t", pa.int64()))
    assert "line one" not in refused(name, whole(name), text_as_number)


def test_csv_errors_show_no_values_in_their_traceback() -> None:
    private = "4711x"
    source = io.BytesIO(f"n\n{private}\n".encode())
    with pytest.raises(PermanentError) as caught:
        list(FORMATS["csv"].read(source, pa.schema([("n", pa.int64())])))
    assert f"'{private}'" not in "".join(traceback.format_exception(caught.value, chain=True))


@pytest.mark.parametrize(
    "line",
    [
        b'{"n":1.5,"r":null,"t":null,"b":null}',
        b'{"n":true,"r":null,"t":null,"b":null}',
        b'{"n":9223372036854775808,"r":null,"t":null,"b":null}',
        b'{"n":"1","r":"inf","t":null,"b":null}',
        b'{"n":1,"r":"infinite","t":null,"b":null}',
        b'{"n":1,"r":"1.5","t":null,"b":null}',
        b'{"n":1,"r":1' + b"0" * 400 + b',"t":null,"b":null}',
        b'{"n":1,"r":1.0,"t":null,"b":"0"}',
        b'{"n":1,"r":1.0,"t":null,"b":"zz"}',
        b'{"n":1,"r":1.0,"t":"\xff","b":null}',
        b'{"n":1,"r":1.0,"t":"\\ud83d","b":null}',
        b'{"n":1,"r":1.0,"t":"\\uDE00","b":null}',
        b'{"n":1,"r":1.0,"t":null,"b":null}{"n":1,"r":1.0,"t":null,"b":null}',
    ],
)
def test_json_values_that_do_not_fit_their_column(line: bytes) -> None:
    sound = b'{"n":1,"r":2.5,"t":"x","b":"00"}\n'
    assert refused("jsonl", sound + line + b"\n" + sound)


def test_a_bad_json_line_is_named_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 100)
    sound = b'{"n":1,"r":2.5,"t":"x","b":"00"}\n'
    assert "Line 51 " in refused("jsonl", sound * 50 + b'{"n":1,\n' + sound * 50)


@text_format
def test_hex_whose_halves_lie_in_two_values(name: str) -> None:
    texts = SCHEMA.set(3, pa.field("b", pa.string()))
    sink = io.BytesIO()
    with FORMATS[name].open_writer(sink, texts, "none") as writer:
        writer.write(pa.record_batch([[1, 2], [1.5, 2.5], ["", ""], ["0", "f"]], schema=texts))
    assert "hexadecimal" in refused(name, sink.getvalue())


@pytest.mark.parametrize(
    "row",
    [
        b'1.5,,"",""',
        b'9223372036854775808,,"",""',
        b'1,x,"",""',
        b'1,,"\xff",""',
        b'1,,"","0"',
        b'1,,"","zz"',
        b'1,,""',
        b'1,,"","",""',
    ],
)
def test_csv_values_that_do_not_fit_their_column(row: bytes) -> None:
    sound = b'1,2.5,"x","00"\n'
    assert refused("csv", b"n,r,t,b\n" + sound + row + b"\n" + sound)


def test_a_writer_that_failed_leaves_no_whole_parquet() -> None:
    sink = io.BytesIO()
    with pytest.raises(KeyboardInterrupt):
        _interrupted(sink)
    assert refused("parquet", sink.getvalue())


def _interrupted(sink: io.BytesIO) -> None:
    with FORMATS["parquet"].open_writer(sink, SCHEMA, "zstd") as writer:
        writer.write(BATCH)
        raise KeyboardInterrupt


def test_csv_lines_that_are_no_rows_are_skipped() -> None:
    content = b"n,r,t,b\r\n\r\n1,,x,\r\n\r\n"
    found = [
        row for part in FORMATS["csv"].read(io.BytesIO(content), SCHEMA) for row in part.to_pylist()
    ]
    assert found == [{"n": 1, "r": None, "t": "x", "b": None}]
