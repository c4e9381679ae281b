"""標準レイアウトからの復元: an export taken into an empty register, sealed and indexed under that tenant's own keys."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from collections.abc import Iterable, Iterator
from itertools import chain, groupby, islice
from typing import Any, BinaryIO, Final

import psycopg

from juki.legacy import table_store
from juki.legacy.standard import (
    EVENTS,
    EVENTS_FILE,
    HOUSEHOLDS_FILE,
    MEASURES,
    MEASURES_FILE,
    RESIDENTS,
    RESIDENTS_FILE,
    TABLES,
    Manifest,
    ManifestFile,
    Reader,
    read_manifest,
)
from juki.legacy.store.chunk import Rows, by_column, copy_table, measure_rows, packed, resident_columns
from juki.problem import Conflict, Invalid, Unavailable
from juki.registry import event_row
from juki.registry.model import Event, Measure, Record
from juki.tenancy import Fleet, Tenant, beyond_use, bulk, connect, enter_write, find
from juki.vault import TenantRing

_BATCH: Final = 2000
_CELL_MAX: Final = 1 << 26


def import_standard(fleet: Fleet, code: str, reader: Reader) -> Manifest:
    """Take an export into the empty register of tenant `code`; all of it or nothing. Returns the manifest that was read.

    Raises Invalid `legacy.manifest_*`, `legacy.standard_file`, `legacy.standard_row` for an export that is not whole,
    Conflict `legacy.not_empty`, Unavailable where database or keys are gone.
    """
    manifest = read_manifest(reader)
    with connect(fleet.config, "registry") as directory:
        tenant = find(directory, code)
    ring = fleet.keyring.get_sync(code)
    try:
        with bulk(fleet, code) as connection, connection.transaction():
            enter_write(connection, tenant)
            for table in ("resident_version", "event", "support_measure", *TABLES):
                if not table_store.is_empty(connection, tenant, table):
                    raise Conflict("legacy.not_empty", f"{table} holds rows", remedy="restore into a fresh tenant")
            _restore(connection, tenant, ring, reader, manifest)
    except psycopg.errors.DataError:
        raise Invalid("legacy.standard_row", "a value does not fit its column") from None
    except psycopg.OperationalError:
        raise Unavailable("db.gone", "the database does not answer; nothing was restored") from None
    return manifest


def _restore(
    connection: psycopg.Connection[Any], tenant: Tenant, ring: TenantRing, reader: Reader, manifest: Manifest
) -> None:
    for listed in manifest.files:
        if listed.name == HOUSEHOLDS_FILE:
            continue  # follows from the residents
        with reader(listed.name) as file:
            source = _Checked(file, listed)
            rows = source.rows()
            if listed.name == RESIDENTS_FILE:
                _residents(connection, tenant, ring, rows)
            elif listed.name == EVENTS_FILE:
                _events(connection, tenant, ring, rows)
            elif listed.name == MEASURES_FILE:
                _measures(connection, tenant, ring, rows)
    for table in TABLES:
        listed = manifest.of(f"{table}.csv")
        if listed is not None:
            with reader(listed.name) as file:
                _table(connection, tenant, ring, table, _Checked(file, listed))
    beyond_use(connection, tenant)


class _Checked:
    """One file read row by row; at its end rows, bytes and digest must be those of the manifest."""

    def __init__(self, file: BinaryIO, listed: ManifestFile) -> None:
        self._listed = listed
        self._hashing = _Hashing(file)
        text = io.TextIOWrapper(io.BufferedReader(self._hashing, 1 << 18), encoding="utf-8", newline="")
        csv.field_size_limit(_CELL_MAX)
        self._csv = csv.reader(text, strict=True)
        self._text = text
        self.header = self._next() or []

    def rows(self) -> Iterator[list[str]]:
        """Rows without the header. Invalid `legacy.standard_file` where the file is not the one of the manifest."""
        count = 0
        while (row := self._next()) is not None:
            if len(row) != len(self.header):
                raise Invalid("legacy.standard_row", f"{self._listed.name}, row {count + 1}: {len(row)} columns")
            count += 1
            yield row
        found = (count, self._hashing.count, self._hashing.digest.hexdigest())
        if found != (self._listed.rows, self._listed.bytes, self._listed.sha256):
            raise Invalid("legacy.standard_file", f"{self._listed.name} is not the file of the manifest")

    def _next(self) -> list[str] | None:
        try:
            return next(self._csv, None)
        except (csv.Error, UnicodeDecodeError):
            raise Invalid("legacy.standard_file", f"{self._listed.name} does not read") from None


class _Hashing(io.RawIOBase):
    """Bytes counted and hashed as they are read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.count = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer."""
        raw = self._file.read(len(buffer))
        buffer[: len(raw)] = raw
        self.digest.update(raw)
        self.count += len(raw)
        return len(raw)


def _batches(rows: Iterable[Any]) -> Iterator[list[Any]]:
    source = iter(rows)
    while batch := list(islice(source, _BATCH)):
        yield batch


def _residents(
    connection: psycopg.Connection[Any], tenant: Tenant, ring: TenantRing, rows: Iterator[list[str]]
) -> None:
    records: Iterator[Record] = (RESIDENTS.value(row, RESIDENTS_FILE) for row in rows)
    persons = ([*versions] for _, versions in groupby(records, key=lambda record: record.atena_no))
    for batch in _batches(persons):
        for table, columns in resident_columns(ring, list(chain.from_iterable(batch))).items():
            copy_table(connection, tenant, table, packed(table, columns))


def _events(connection: psycopg.Connection[Any], tenant: Tenant, ring: TenantRing, rows: Iterator[list[str]]) -> None:
    for batch in _batches(rows):
        events: list[Event] = [EVENTS.value(row, EVENTS_FILE) for row in batch]
        copy_table(connection, tenant, "event", packed("event", by_column(event_row(ring, event) for event in events)))


def _measures(connection: psycopg.Connection[Any], tenant: Tenant, ring: TenantRing, rows: Iterator[list[str]]) -> None:
    subjects: dict[str, dict[tuple[object, ...], None]] = {}
    for batch in _batches(rows):
        measures: list[Measure] = [MEASURES.value(row, MEASURES_FILE) for row in batch]
        tables: dict[str, Rows] = {}
        for measure in measures:
            measure_rows(ring, measure, tables)
        for table in [name for name in tables if name.startswith("support_subject")]:
            known = subjects.setdefault(table, {})
            fresh = [row for row in dict.fromkeys(tables[table]) if row not in known]
            known.update(dict.fromkeys(fresh))
            tables[table] = fresh
        for table, ready in tables.items():
            copy_table(connection, tenant, table, packed(table, by_column(ready)))


def _table(connection: psycopg.Connection[Any], tenant: Tenant, ring: TenantRing, table: str, source: _Checked) -> None:
    columns = table_store.columns_of(connection, tenant, table)
    if source.header != columns:
        raise Invalid("legacy.standard_file", f"{table}.csv has other columns than this release")
    rows = ([_value(cell, table) for cell in row] for row in source.rows())
    table_store.put_rows(connection, tenant, ring, table, columns, rows)


def _value(cell: str, table: str) -> str | bytes | None:
    if not cell:
        return None
    try:
        return base64.b64decode(cell[1:], validate=True) if cell[0] == "b" else cell[1:]
    except ValueError:
        raise Invalid("legacy.standard_row", f"{table}.csv holds a value that does not read") from None
