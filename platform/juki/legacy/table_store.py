"""表の出し入れ: rows of whole tables opened for an export and sealed again for a restore. Tables and columns come from the
list of the standard layout and from the database's own catalogue, never from a request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import psycopg
from psycopg import sql

from juki.legacy.standard import SEALED_OF
from juki.registry import events_sync
from juki.registry.model import Event, Measure, MeasureState, SupportMeasure
from juki.tenancy import Tenant
from juki.vault import TenantRing

_BATCH: Final = 1000


def columns_of(connection: psycopg.Connection[Any], tenant: Tenant, table: str) -> list[str]:
    """Columns of a table in their order."""
    rows = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped "
        "ORDER BY attnum",
        (f"{tenant.schema}.{table}",),
    ).fetchall()
    return [row[0] for row in rows]


def opened_rows(
    connection: psycopg.Connection[Any],
    tenant: Tenant,
    ring: TenantRing,
    table: str,
    columns: Sequence[str],
    key: Sequence[str],
) -> Iterator[list[str | bytes | None]]:
    """Rows in order of their key: plain values as text, sealed ones opened."""
    sealed = [(at, SEALED_OF[table, name]) for at, name in enumerate(columns) if (table, name) in SEALED_OF]
    spots = [(at, group, columns.index(k), _version_spot(v, columns)) for at, (group, k, v) in sealed]
    taken = {at for at, *_ in spots}
    picked = sql.SQL(", ").join(
        sql.Identifier(name) if at in taken else sql.SQL("{}::text").format(sql.Identifier(name))
        for at, name in enumerate(columns)
    )
    query = sql.SQL("SELECT {} FROM {} ORDER BY {}").format(
        picked, sql.Identifier(tenant.schema, table), sql.SQL(", ").join(sql.Identifier(name) for name in key)
    )
    with connection.cursor(name="whole_table") as cursor:
        cursor.itersize = _BATCH
        cursor.execute(query)
        for row in cursor:
            values = list(row)
            for at, group, key_at, (version_at, version) in spots:
                if values[at] is not None:
                    number = int(row[version_at]) if version_at is not None else version
                    values[at] = ring.open(table, group, row[key_at], number, bytes(row[at]), bytes)
            yield values


def _version_spot(version: str, columns: Sequence[str]) -> tuple[int | None, int]:
    return (None, int(version)) if version.isdigit() else (columns.index(version), 0)


def put_rows(
    connection: psycopg.Connection[Any],
    tenant: Tenant,
    ring: TenantRing,
    table: str,
    columns: Sequence[str],
    rows: Iterator[list[str | bytes | None]],
) -> int:
    """COPY rows into an empty table, opened values sealed under the tenant's own keys; how many."""
    sealed = [(at, SEALED_OF[table, name]) for at, name in enumerate(columns) if (table, name) in SEALED_OF]
    spots = [(at, group, columns.index(k), _version_spot(v, columns)) for at, (group, k, v) in sealed]
    query = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(tenant.schema, table), sql.SQL(", ").join(sql.Identifier(name) for name in columns)
    )
    written = 0
    with connection.cursor().copy(query) as copy:
        for row in rows:
            for at, group, key_at, (version_at, version) in spots:
                plain = row[at]
                if isinstance(plain, bytes):
                    number = int(row[version_at] or 0) if version_at is not None else version
                    row[at] = ring.seal(table, group, str(row[key_at]), number, plain)
            copy.write_row(row)
            written += 1
    return written


def is_empty(connection: psycopg.Connection[Any], tenant: Tenant, table: str) -> bool:
    """True where a table holds no row."""
    query = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(tenant.schema, table))
    row = connection.execute(query).fetchone()
    return row is not None and not row[0]


def events(connection: psycopg.Connection[Any], tenant: Tenant, ring: TenantRing) -> Iterator[Event]:
    """Every change of the ledger in order."""
    after = -1
    query = sql.SQL("SELECT event_no FROM {} WHERE event_no > %s ORDER BY event_no LIMIT %s").format(
        sql.Identifier(tenant.schema, "event")
    )
    while numbers := [row[0] for row in connection.execute(query, (after, _BATCH)).fetchall()]:
        found = events_sync(connection, tenant.schema, ring, numbers)
        for number in numbers:
            yield found[number]
        after = numbers[-1]


def measures(connection: psycopg.Connection[Any], tenant: Tenant, ring: TenantRing) -> Iterator[Measure]:
    """Every version of every 支援措置 in order."""
    query = sql.SQL(
        "SELECT measure_no, version_no, state, known_from, entered_by, measure_sealed FROM {} "
        "ORDER BY measure_no, version_no"
    ).format(sql.Identifier(tenant.schema, "support_measure"))
    for row in connection.execute(query).fetchall():
        yield Measure(
            measure_no=row[0],
            version_no=row[1],
            state=MeasureState(row[2]),
            known_from=row[3],
            entered_by=row[4],
            content=ring.open("support_measure", "support", str(row[0]), row[1], bytes(row[5]), SupportMeasure),
        )
