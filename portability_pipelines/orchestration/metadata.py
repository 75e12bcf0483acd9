"""What people see of an archive in the UI."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import dagster as dg

from portability_pipelines.domain.manifest import Manifest, TableEntry
from portability_pipelines.stores.base import Store
from portability_pipelines.workflows.drafts import Written

WIDEST_SHOWN = 24


def archive_metadata(written: Written, store: Store, seconds: float) -> dict[str, Any]:
    """Rows, sizes, digests, place, and a masked preview of one archive."""
    manifest = written.manifest
    plaintext = sum(file.plaintext_size_bytes for file in manifest.files)
    metadata: dict[str, Any] = {
        "rows": manifest.rows,
        "dagster/partition_row_count": manifest.rows,
        "size_bytes": manifest.size_bytes,
        "plaintext_size_bytes": plaintext,
        "compression_ratio": round(plaintext / manifest.size_bytes, 2)
        if manifest.size_bytes
        else 0.0,
        "seconds": round(seconds, 3),
        "rows_per_second": round(manifest.rows / seconds) if seconds else 0,
        "changed": written.fresh,
        "archive_id": manifest.archive_id,
        "location": dg.MetadataValue.path(store.locate(manifest.prefix)),
        "snapshot_at": manifest.source.snapshot_at,
        "files": dg.MetadataValue.md(_files(manifest)),
    }
    if written.replaces:
        metadata["replaces"] = written.replaces
    if len(manifest.tables) == 1:
        (table,) = manifest.tables
        metadata["digest"] = table.digest
        metadata["dagster/column_schema"] = column_schema(table)
        metadata["preview"] = dg.MetadataValue.md(masked_preview(written.sample))
    else:
        metadata["tables"] = dg.MetadataValue.md(_tables(manifest))
    return metadata


def column_schema(table: TableEntry) -> dg.TableSchema:
    """The columns as stored, with what their table declares."""
    return dg.TableSchema(
        [
            dg.TableColumn(
                column.name,
                column.stored_type,
                column.note or f"declared {column.declared_type or 'without a type'}",
                dg.TableColumnConstraints(
                    other=["primary key"] if column.name in table.key else []
                ),
            )
            for column in table.columns
        ]
    )


def masked_preview(rows: tuple[Mapping[str, object], ...]) -> str:
    """A Markdown table that shows the shape of values and never a value."""
    if not rows:
        return "(no rows)"
    names = list(rows[0])
    lines = [_line([_escaped(name) for name in names]), _line(["---"] * len(names))]
    lines += [_line([masked(row[name]) for name in names]) for row in rows]
    return "\n".join(lines)


def masked(value: object) -> str:
    """``value`` with every letter as ``x`` and every digit as ``9``, cut to a fixed width."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    text = str(value)
    shape = re.sub(r"[^\W\d_]", "x", re.sub(r"\d", "9", text[:WIDEST_SHOWN]))
    return _escaped(shape + ("…" if len(text) > WIDEST_SHOWN else ""))


def _files(manifest: Manifest) -> str:
    lines = [_line(["file", "bytes", "SHA-256 as stored"]), _line(["---"] * 3)]
    lines += [
        _line([f"`{file.name}`", f"{file.size_bytes:,}", f"`{file.sha256}`"])
        for file in manifest.files
    ]
    return "\n".join(lines)


def _tables(manifest: Manifest) -> str:
    lines = [_line(["table", "rows", "digest"]), _line(["---"] * 3)]
    lines += [
        _line([_escaped(t.name), "not counted", _escaped(t.digest)])
        if t.undigested
        else _line([_escaped(t.name), f"{t.rows:,}", f"`{t.digest}`"])
        for t in manifest.tables
    ]
    return "\n".join(lines)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    """A cell must hold no pipe, no line break and no markup."""
    return re.sub(r"([\\|`*_<>\[\]])", r"\\\1", re.sub(r"\s", " ", text))
