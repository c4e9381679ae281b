"""一かたまりの書込み: a chunk sealed and indexed, and written by COPY in one transaction with the ledger row that says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import psycopg
from psycopg import sql

from juki.legacy.assemble import measure_of
from juki.legacy.model import Entry
from juki.legacy.original import shorten
from juki.legacy.plan import ChunkResult
from juki.legacy.store.binary import Columns, stream
from juki.legacy.store.ledger import CHUNK_BITS, Run
from juki.legacy.store.statement import of_tenant
from juki.problem import Conflict, Unavailable
from juki.registry import (
    COPY_COLUMNS,
    COPY_TYPES,
    event_columns,
    index_columns,
    pack_records,
    subject_rows,
    version_columns,
)
from juki.registry.model import MIGRATION, Event, Measure, MeasureState, Record
from juki.tenancy import Tenant, enter_write
from juki.vault import TenantRing

Rows = list[tuple[object, ...]]

_ORIGINAL: Final = ("original_no", "run_no", "file", "line", "atena_no", "version_no", "raw_sealed")
_REJECT: Final = (
    "entry_no",
    "run_no",
    "outcome",
    "file",
    "line",
    "item",
    "value_class",
    "reason",
    "atena_no",
    "setai_no",
    "raw_sealed",
)
_MEASURE: Final = ("measure_no", "version_no", "state", "ends_on", "known_from", "entered_by", "measure_sealed")
_STOCK: Final = ("stock_no", "added_at", "added_by", "code_sealed")
_SUBJECT: Final = ("subject_fp", "measure_no")
COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    **COPY_COLUMNS,
    "support_measure": _MEASURE,
    "support_subject_a": _SUBJECT,
    "support_subject_b": _SUBJECT,
    "resident_code_stock": _STOCK,
    "import_original": _ORIGINAL,
    "import_reject": _REJECT,
}
TYPES: Final[dict[str, tuple[str, ...]]] = {
    **COPY_TYPES,
    "support_measure": ("int8", "int4", "text", "date", "timestamptz", "text", "bytea"),
    "support_subject_a": ("bytea", "int8"),
    "support_subject_b": ("bytea", "int8"),
    "resident_code_stock": ("int8", "timestamptz", "text", "bytea"),
    "import_original": ("int8", "int8", "text", "int4", "text", "int4", "bytea"),
    "import_reject": ("int8", "int8", "text", "text", "int4", *["text"] * 5, "bytea"),
}
_LINE_BITS: Final = 32
_FILE_BITS: Final = 8
_ENTRY_BITS: Final = 20
_OWN_NUMBER_MOST: Final = 10  # 住民票コード have eleven digits, 個人番号 twelve


class ReadyChunk(NamedTuple):
    """A chunk sealed, indexed and packed: what one transaction writes, the ledger row that says so included."""

    number: int
    tables: dict[str, bytes]
    key: int
    counts: str
    totals: bytes


def ready_chunk(
    ring: TenantRing,
    run: Run,
    number: int,
    result: ChunkResult,
    place: Mapping[str, int],
    first_row: Mapping[str, int],
) -> ReadyChunk:
    """Seal, index and pack a chunk. `place` numbers the files, `first_row` is the first row number of each kind."""
    tables = {
        table: packed(table, columns)
        for table, columns in chunk_columns(ring, run, number, result, place, first_row).items()
    }
    key = (run.run_no << CHUNK_BITS) | number
    totals = ring.seal("import_chunk", "totals", str(key), 1, result.totals)
    return ReadyChunk(number, tables, key, msgspec.json.encode(result.counts).decode(), totals)


def write_chunk(connection: psycopg.Connection[Any], tenant: Tenant, run: Run, chunk: ReadyChunk) -> None:
    """Everything one chunk comes to, and the ledger row that says so, in one transaction.

    Conflict `legacy.already_there` where a person of the extract is in the register already.
    """
    try:
        with connection.transaction():
            enter_write(connection, tenant)
            for table, rows in chunk.tables.items():
                copy_table(connection, tenant, table, rows)
            connection.execute(
                of_tenant(
                    "INSERT INTO {t}.import_chunk (chunk_key, run_no, chunk_no, counts, totals_sealed) "
                    "VALUES (%(key)s, %(run)s, %(chunk)s, %(counts)s, %(totals)s)",
                    tenant,
                ),
                {
                    "key": chunk.key,
                    "run": run.run_no,
                    "chunk": chunk.number,
                    "counts": chunk.counts,
                    "totals": chunk.totals,
                },
            )
    except psycopg.errors.UniqueViolation:
        raise Conflict(
            "legacy.already_there",
            "a row of this extract is in the register already; this chunk was not written",
            remedy="an extract is imported once, into a register that does not hold its people",
            chunk=chunk.number,
        ) from None
    except psycopg.errors.DiskFull:
        raise Unavailable(
            "legacy.disk_full", "the database has no room; chunks written so far stay", remedy="make room, run it again"
        ) from None
    except (psycopg.OperationalError, psycopg.InterfaceError):
        raise Unavailable(
            "db.gone", "the database does not answer; chunks written so far stay", remedy="run the same command again"
        ) from None


def packed(table: str, columns: Columns) -> bytes:
    """Rows of a table, given by column, as COPY takes them; no bytes for no rows."""
    return stream(TYPES[table], columns) if columns and columns[0] else b""


def copy_table(connection: psycopg.Connection[Any], tenant: Tenant, table: str, rows: bytes) -> None:
    """COPY `packed` rows into one of the tables this slice may fill; an empty batch is no round trip."""
    if not rows:
        return
    query = sql.SQL("COPY {}.{} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(tenant.schema),
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, COLUMNS[table])),
    )
    with connection.cursor().copy(query) as copy:
        copy.write(rows)


def by_column(rows: Iterable[Sequence[object]]) -> Columns:
    """Rows as `packed` takes them."""
    return list(zip(*rows, strict=True))


def chunk_columns(
    ring: TenantRing,
    run: Run,
    number: int,
    result: ChunkResult,
    place: Mapping[str, int],
    first_row: Mapping[str, int],
) -> dict[str, Columns]:
    """Table -> columns of a chunk, sealed and indexed, ready for COPY."""
    tables = _versions(ring, run, result, first_row["resident"])
    measured: dict[str, Rows] = {}
    for taken in result.taken:
        if taken.measure is not None:
            measure_no = run.first_measure + taken.row - first_row["support"]
            measure_rows(ring, measure_of(taken.measure, measure_no, run.started_at), measured)
    tables |= {table: by_column(rows) for table, rows in measured.items()}
    tables["resident_code_stock"] = _stock(ring, run, result)
    tables["import_original"] = _originals(ring, run, place, result)
    first = ((run.run_no << CHUNK_BITS) | number) << _ENTRY_BITS
    tables["import_reject"] = _rejects(ring, run, first, result.entries)
    return tables


def _versions(ring: TenantRing, run: Run, result: ChunkResult, first_row: int) -> dict[str, Columns]:
    """Versions, changes and index rows; a person's versions stand together, oldest first."""
    rows: list[int] = []
    records: list[Record] = []
    events: list[Event] = []
    for taken in result.taken:
        if taken.incoming is not None:
            rows.append(taken.row)
            records.append(taken.incoming.record)
            events.append(taken.incoming.event)
    event_nos = [run.first_event + row - first_row for row in rows]
    packed = [result.packed[row] for row in rows]
    tables: dict[str, Columns] = {
        "event": event_columns(ring, events, event_nos, [one.detail for one in packed]),
        "resident_version": version_columns(ring, records, event_nos, [one.groups for one in packed]),
    }
    for slot, indexer in ring.write_indexes().items():
        tables |= index_columns(indexer, slot, records)
    return tables


def resident_columns(ring: TenantRing, records: Sequence[Record]) -> dict[str, Columns]:
    """Table -> columns of whole residents, each with every version, oldest first: sealed, indexed where something to search
    by is new, numbers once."""
    packed = pack_records(records)
    tables: dict[str, Columns] = {
        "resident_version": version_columns(ring, records, [record.event_no for record in records], packed)
    }
    for slot, indexer in ring.write_indexes().items():
        tables |= index_columns(indexer, slot, records)
    return tables


def measure_rows(ring: TenantRing, measure: Measure, tables: dict[str, Rows]) -> None:
    """Add the rows of one version of a 支援措置."""
    content = measure.content
    ends_on = content.provisional_until if measure.state is MeasureState.PROVISIONAL else content.ends_on
    sealed = ring.seal("support_measure", "support", str(measure.measure_no), measure.version_no, content)
    tables.setdefault("support_measure", []).append(
        (
            measure.measure_no,
            measure.version_no,
            measure.state.value,
            ends_on,
            measure.known_from,
            measure.entered_by,
            sealed,
        )
    )
    for slot, indexer in ring.write_indexes().items():
        tables.setdefault(f"support_subject_{slot}", []).extend(subject_rows(indexer, measure.measure_no, content))


def _stock(ring: TenantRing, run: Run, result: ChunkResult) -> Columns:
    numbers = [run.first_code + ordinal for _, ordinal, _ in result.codes]
    sealed = ring.seal_column(
        "resident_code_stock", "resident_code", _places(ring, numbers), [code.encode() for _, _, code in result.codes]
    )
    return numbers, [run.started_at] * len(numbers), [MIGRATION.code] * len(numbers), sealed


def _originals(ring: TenantRing, run: Run, place: Mapping[str, int], result: ChunkResult) -> Columns:
    """Every row that was taken over, as it came."""
    kept = [(taken.place, taken.atena_no, taken.version_no) for taken in result.taken]
    kept += [(at, "", 0) for at, _, _ in result.codes]
    files = {name: (((run.run_no << _FILE_BITS) | number) << _LINE_BITS) for name, number in place.items()}
    names = [at.file.name for at, _, _ in kept]
    lines = [at.line for at, _, _ in kept]
    numbers = [files[name] | line for name, line in zip(names, lines, strict=True)]
    raw = [shorten(at.raw()) for at, _, _ in kept]
    sealed = ring.seal_column("import_original", "raw", _places(ring, numbers), raw)
    persons, versions = [atena_no for _, atena_no, _ in kept], [version_no for _, _, version_no in kept]
    return numbers, [run.run_no] * len(kept), names, lines, persons, versions, sealed


def _rejects(ring: TenantRing, run: Run, first: int, entries: Sequence[Entry]) -> Columns:
    """The rows of the work list."""
    numbers = [first | position for position in range(len(entries))]
    raw = [shorten(entry.raw) for entry in entries]
    sealed = ring.seal_column("import_reject", "raw", _places(ring, numbers), raw)
    shown = [
        (
            *(e.outcome.value, e.file, e.line, e.fault.item, e.fault.value_class, e.fault.reason),
            *(_own_number(e.atena_no), _own_number(e.setai_no)),
        )
        for e in entries
    ]
    return (numbers, [run.run_no] * len(entries), *by_column(shown), sealed) if entries else ()


def _own_number(text: str) -> str:
    """An in-house number to stand in plain sight; empty for what a row that is out of place may show instead of one."""
    short = text.isascii() and text.isdigit() and len(text) <= _OWN_NUMBER_MOST
    return text if short else ""


def _places(ring: TenantRing, numbers: Sequence[int]) -> list[bytes]:
    return [ring.place(str(number), 1) for number in numbers]
