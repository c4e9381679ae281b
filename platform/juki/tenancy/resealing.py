"""再暗号化: every sealed value of a tenant moved to the newest root, block by block, while the tenant works.

The walk follows the physical blocks of a table, so it needs no key order and a killed run goes on where it stood. A row
that somebody holds is left for the next pass; the story ends only when a count over the whole table finds nothing old.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final, LiteralString, TypeAlias, cast

import msgspec
import psycopg
from psycopg import sql

from juki.tenancy.directory import Tenant
from juki.tenancy.session import Row
from juki.vault import TenantRing

SealedColumn: TypeAlias = tuple[str, str, str, str, str]
"""Table, group, column of the row key, column (or constant) of the row version, sealed column: what a slice exports."""

BLOCKS_PER_BATCH: Final = 64


class SealedTable(msgspec.Struct, frozen=True, kw_only=True):
    """The sealed columns of one table, which are re-sealed row by row in one statement."""

    table: str
    key: str
    row_version: str
    columns: tuple[tuple[str, str], ...]  # column, group


def tables_of(columns: Sequence[SealedColumn]) -> tuple[SealedTable, ...]:
    """Sealed columns as the slices list them, gathered by table."""
    gathered: dict[tuple[str, str, str], list[tuple[str, str]]] = defaultdict(list)
    for table, group, key, row_version, column in columns:
        gathered[table, key, row_version].append((column, group))
    return tuple(
        SealedTable(table=table, key=key, row_version=row_version, columns=tuple(pairs))
        for (table, key, row_version), pairs in gathered.items()
    )


def blocks(connection: psycopg.Connection[Row], tenant: Tenant, table: str) -> int:
    """Blocks of a table now."""
    row = connection.execute(
        "SELECT pg_relation_size(%s::regclass) / current_setting('block_size')::bigint", (f"{tenant.schema}.{table}",)
    ).fetchone()
    return int(row[0]) if row else 0


def reseal_blocks(
    connection: psycopg.Connection[Row], tenant: Tenant, ring: TenantRing, table: SealedTable, first: int, last: int
) -> int:
    """Move every old value in blocks [first, last) to the ring's newest root, in the caller's transaction; rows moved.

    The role of the transaction is the tenant's re-keying role. Rows are locked before they are read, so a row that an
    operation changes meanwhile keeps what the operation wrote.
    """
    newest = ring.seal_version.to_bytes(2, "big")
    # binary both ways: as text every sealed byte would travel as two digits
    asked = {"newest": newest, "first": first, "last": last}
    rows = connection.execute(_select(tenant, table), asked, binary=True).fetchall()
    if not rows:
        return 0
    moved = [_resealed(ring, table, row) for row in rows]
    arrays: dict[str, Any] = {f"c{i}": [row[1][i] for row in moved] for i in range(len(table.columns))}
    done = connection.execute(_update(tenant, table), {"places": [row[0] for row in moved], **arrays})
    return done.rowcount


def _resealed(ring: TenantRing, table: SealedTable, row: Row) -> tuple[str, list[bytes | None]]:
    place, key, row_version, *values = row
    fresh = [
        None if value is None else ring.reseal(table.table, group, key, row_version, bytes(value))
        for (_, group), value in zip(table.columns, values, strict=True)
    ]
    return place, fresh


def left(connection: psycopg.Connection[Row], tenant: Tenant, table: SealedTable, newest: int) -> int:
    """Rows with a value under another root version than `newest`."""
    query = sql.SQL("SELECT count(*) FROM {} AS r WHERE {}").format(_name(tenant, table.table), _is_old(table))
    row = connection.execute(query, {"newest": newest.to_bytes(2, "big")}).fetchone()
    return int(row[0]) if row else 0


def ranges(first: int, end: int) -> Iterator[tuple[int, int]]:
    """Half-open runs of blocks from `first` to `end`, one batch each."""
    for start in range(first, end, BLOCKS_PER_BATCH):
        yield start, min(start + BLOCKS_PER_BATCH, end)


def _select(tenant: Tenant, table: SealedTable) -> sql.Composed:
    return sql.SQL(
        "SELECT r.ctid::text, r.{key}::text, {version}, {columns} FROM {table} AS r"
        " WHERE r.ctid >= format('(%%s,0)', %(first)s::bigint)::tid AND r.ctid < format('(%%s,0)', %(last)s::bigint)::tid"
        " AND {old} FOR NO KEY UPDATE SKIP LOCKED"
    ).format(
        key=sql.Identifier(table.key),
        version=_row_version(table),
        columns=sql.SQL(", ").join(sql.SQL("r.{}").format(sql.Identifier(column)) for column, _ in table.columns),
        table=_name(tenant, table.table),
        old=_is_old(table),
    )


def _update(tenant: Tenant, table: SealedTable) -> sql.Composed:
    names = [sql.Identifier(column) for column, _ in table.columns]
    return sql.SQL(
        "UPDATE {table} AS r SET {sets} FROM unnest(%(places)s::text[], {arrays}) AS v(place, {names})"
        " WHERE r.ctid = v.place::tid"
    ).format(
        table=_name(tenant, table.table),
        sets=sql.SQL(", ").join(sql.SQL("{0} = v.{0}").format(name) for name in names),
        arrays=sql.SQL(", ").join(sql.SQL(_array(i)) for i in range(len(names))),
        names=sql.SQL(", ").join(names),
    )


def _array(number: int) -> LiteralString:
    return cast(LiteralString, f"%(c{number})b::bytea[]")  # a counter of ours, never text from outside


def _is_old(table: SealedTable) -> sql.Composed:
    tests = [sql.SQL("substring(r.{} from 3 for 2) <> %(newest)s").format(sql.Identifier(c)) for c, _ in table.columns]
    return sql.SQL("({})").format(sql.SQL(" OR ").join(tests))


def _row_version(table: SealedTable) -> sql.Composable:
    if table.row_version.isdigit():
        return sql.Literal(int(table.row_version))
    return sql.SQL("r.{}").format(sql.Identifier(table.row_version))


def _name(tenant: Tenant, table: str) -> sql.Identifier:
    return sql.Identifier(tenant.schema, table)
