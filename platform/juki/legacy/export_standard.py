"""標準レイアウトへの出力: one municipality's whole register out of one snapshot, streamed; and the comparison of two holdings."""

from __future__ import annotations

import base64
import csv
import datetime as dt
import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, BinaryIO, Final

import msgspec
import psycopg

from juki.dates import today_in_japan
from juki.legacy import standard, table_store
from juki.legacy.standard import (
    EVENTS,
    EVENTS_FILE,
    HOUSEHOLD_COLUMNS,
    HOUSEHOLDS_FILE,
    LAYOUT,
    LAYOUT_VERSION,
    MANIFEST,
    MEASURES,
    MEASURES_FILE,
    RESIDENTS,
    RESIDENTS_FILE,
    TABLES,
    Comparison,
    Manifest,
    ManifestFile,
    Sink,
)
from juki.registry import iter_records_sync
from juki.registry.model import Record, Status, as_of, timeline
from juki.tenancy import Fleet, Tenant, bulk, connect, find
from juki.vault import TenantRing

_FLUSH_BYTES: Final = 1 << 18


def export_standard(fleet: Fleet, code: str, sink: Sink, *, now: dt.datetime) -> Manifest:
    """Write every file of the standard layout and, last, the manifest. Runs in the caller's thread; memory stays small.

    All files come from one snapshot of the database. Raises Unavailable where database, keys or disk are gone: there is
    no manifest then, so what was written cannot be taken for an export.
    """
    with connect(fleet.config, "registry") as directory:
        tenant = find(directory, code)
    ring = fleet.keyring.get_sync(code)
    with bulk(fleet, code) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        counts = _Counts()
        files = [
            *_main_files(connection, tenant, ring, sink, counts, today_in_japan(now)),
            *(_table_file(connection, tenant, ring, sink, table) for table in TABLES),
        ]
        connection.rollback()
    manifest = Manifest(
        layout=LAYOUT,
        layout_version=LAYOUT_VERSION,
        municipality=code,
        made_at=now,
        files=tuple(sorted(files, key=lambda f: f.name)),
        residents=counts.residents,
        current_residents=counts.current,
        households=counts.households,
    )
    with sink(MANIFEST) as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    return manifest


def compare(fleet: Fleet, code: str, manifest: Manifest) -> Comparison:
    """Whether a municipality's register holds exactly what a manifest lists; nothing is written anywhere.

    `households.csv` follows from the residents on the day of the export, so it is compared as of that day.
    """
    held = export_standard(fleet, code, nowhere, now=manifest.made_at)
    return standard.compare_manifests(manifest, held)


class _Counts:
    def __init__(self) -> None:
        self.residents = self.current = self.households = 0


class _CsvFile:
    """One CSV file on its way out: counted and hashed."""

    def __init__(self, name: str, file: BinaryIO, header: Sequence[str]) -> None:
        self.name, self._file = name, file
        self._text = io.StringIO()
        self._writer = csv.writer(self._text, lineterminator="\r\n")
        self._digest = hashlib.sha256()
        self.rows, self.bytes = -1, 0
        self.put(header)

    def put(self, row: Sequence[str]) -> None:
        """Append one row."""
        self._writer.writerow(row)
        self.rows += 1
        if self._text.tell() > _FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand over what is waiting."""
        raw = self._text.getvalue().encode("utf-8")
        self._text.seek(0)
        self._text.truncate()
        self._file.write(raw)
        self._digest.update(raw)
        self.bytes += len(raw)

    def done(self) -> ManifestFile:
        """Its line of the manifest."""
        self.flush()
        return ManifestFile(name=self.name, rows=self.rows, bytes=self.bytes, sha256=self._digest.hexdigest())


def _main_files(
    connection: psycopg.Connection[Any],
    tenant: Tenant,
    ring: TenantRing,
    sink: Sink,
    counts: _Counts,
    today: dt.date,
) -> Iterator[ManifestFile]:
    households: dict[str, tuple[str, int]] = {}
    with sink(RESIDENTS_FILE) as file:
        out = _CsvFile(RESIDENTS_FILE, file, RESIDENTS.columns())
        for versions in iter_records_sync(connection, tenant.schema, ring):
            counts.residents += 1
            _count_household(versions, households, today)
            for record in versions:
                out.put(RESIDENTS.row(record))
        yield out.done()
    counts.current = sum(members for _, members in households.values())
    counts.households = len(households)
    rows = ((no, head, str(members)) for no, (head, members) in sorted(households.items()))
    yield _file(sink, HOUSEHOLDS_FILE, HOUSEHOLD_COLUMNS, rows)
    events = (EVENTS.row(event) for event in table_store.events(connection, tenant, ring))
    yield _file(sink, EVENTS_FILE, EVENTS.columns(), events)
    measures = (MEASURES.row(measure) for measure in table_store.measures(connection, tenant, ring))
    yield _file(sink, MEASURES_FILE, MEASURES.columns(), measures)


def _count_household(versions: Sequence[Record], households: dict[str, tuple[str, int]], today: dt.date) -> None:
    held = as_of(timeline(versions), today)
    if held is not None and held.status is Status.RESIDENT:
        head, members = households.get(held.setai_no, ("", 0))
        households[held.setai_no] = (held.atena_no if held.is_head else head, members + 1)


def _table_file(
    connection: psycopg.Connection[Any], tenant: Tenant, ring: TenantRing, sink: Sink, table: str
) -> ManifestFile:
    columns = table_store.columns_of(connection, tenant, table)
    rows = table_store.opened_rows(connection, tenant, ring, table, columns, TABLES[table])
    return _file(sink, f"{table}.csv", columns, ([_cell(value) for value in row] for row in rows))


def _cell(value: str | bytes | None) -> str:
    """NULL is empty, a value begins with a mark of its own, so that an empty text stays apart from none."""
    if value is None:
        return ""
    return f"b{base64.b64encode(value).decode()}" if isinstance(value, bytes) else f"={value}"


def _file(sink: Sink, name: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> ManifestFile:
    with sink(name) as file:
        out = _CsvFile(name, file, header)
        for row in rows:
            out.put(row)
        return out.done()


class _Nowhere(io.RawIOBase):
    """Takes everything, keeps nothing."""

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: Any, /) -> int:
        """Bytes taken."""
        return len(data)


def nowhere(name: str) -> AbstractContextManager[BinaryIO]:
    """A sink for an export of which only the manifest is wanted."""
    return io.BufferedWriter(_Nowhere())
