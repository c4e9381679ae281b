"""SQL of the tree: placing rows as leaves, heads, and the reads that proofs and exports need."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Final

import msgspec

from juki.tenancy.session import TenantSession

_SEQUENCER_LOCK: Final = 19279
_NO_HORIZON: Final = "1:1:"
"""A snapshot before every transaction."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The last checkpoint, and the snapshot of now."""

    size: int
    root: bytes
    edge: bytes
    horizon: str
    now_horizon: str
    made_at: dt.datetime | None
    elsewhere: bool
    """Whether the horizon is of another server: it counts transactions that this one has not reached."""


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """A row that has become a leaf."""

    leaf_no: int
    op_no: int
    part: int
    xid: str
    leaf_hash: bytes


class LeafRow(msgspec.Struct, frozen=True, kw_only=True):
    """A leaf with the row it stands for, as exported."""

    leaf_no: int
    op_no: int
    part: int
    kind: str
    action: str
    result: str
    at: dt.datetime
    xid: int
    body: bytes
    leaf_hash: bytes


async def lock_sequencer(session: TenantSession) -> None:
    """One sequencer at a time in a municipality; the next one sees what this one placed."""
    await session.execute(
        "SELECT pg_advisory_xact_lock(%(lock)s, %(tenant)s)",
        {"lock": _SEQUENCER_LOCK, "tenant": int(session.tenant.code)},
    )


async def head(session: TenantSession) -> Head:
    """Where the log stands."""
    row = await session.fetch_one(
        """
        SELECT coalesce(c.size, 0), coalesce(c.root, ''), coalesce(c.edge, ''), coalesce(c.horizon::text, '1:1:'),
               pg_current_snapshot()::text, c.made_at,
               coalesce(pg_snapshot_xmax(c.horizon) > pg_snapshot_xmax(pg_current_snapshot()), false)
        FROM (SELECT 1) AS one
        LEFT JOIN LATERAL (SELECT size, root, edge, horizon, made_at FROM {t}.audit_checkpoint
                           ORDER BY size DESC LIMIT 1) AS c ON true
        """
    )
    if row is None:
        raise RuntimeError("a select without source gave no row")
    return Head(
        size=row[0],
        root=bytes(row[1]),
        edge=bytes(row[2]),
        horizon=row[3],
        now_horizon=row[4],
        made_at=row[5],
        elsewhere=row[6],
    )


async def take_time(session: TenantSession) -> None:
    """No limit to a statement for the rest of this transaction: the whole log is looked through, once after a move."""
    await session.execute("SELECT set_config('statement_timeout', '0', true)")


async def place(session: TenantSession, last: Head, size: int, after: tuple[str, int, int], limit: int) -> list[Placed]:
    """Give the next rows their places: those committed since the last horizon, in the order of their transactions.

    The two snapshots decide which rows belong to this step, so a row can be neither missed nor placed twice however
    long its transaction was open. After a dump was restored on another server the stored snapshot says nothing about the
    transactions of this one: there every row that has no place gets one. The hash is taken over the canonical bytes of
    the row (docs/adr/0004).
    """
    rows = await session.fetch(
        """
        INSERT INTO {t}.audit_leaf (leaf_no, op_no, part, leaf_hash)
        SELECT %(size)s + row_number() OVER (ORDER BY r.xid, r.op_no, r.part) - 1, r.op_no, r.part,
               sha256('\\x0001'::bytea || convert_to(%(code)s, 'UTF8') || int8send(r.op_no) || int4send(r.part)
                   || int4send(octet_length(r.kind)) || convert_to(r.kind, 'UTF8')
                   || int4send(octet_length(r.action)) || convert_to(r.action, 'UTF8')
                   || int4send(octet_length(r.result)) || convert_to(r.result, 'UTF8')
                   || timestamptz_send(r.at) || xid8send(r.xid)
                   || int4send(octet_length(r.body_sealed)) || r.body_sealed)
        FROM {t}.audit_row r
        WHERE r.xid >= pg_snapshot_xmin(%(since)s::pg_snapshot)
          AND NOT pg_visible_in_snapshot(r.xid, %(since)s::pg_snapshot)
          AND (%(elsewhere)s OR pg_visible_in_snapshot(r.xid, %(upto)s::pg_snapshot))
          -- rows of an earlier server bear numbers that this one comes to as well; asked row by row, never as a join
          AND (SELECT l.leaf_no FROM {t}.audit_leaf l WHERE l.op_no = r.op_no AND l.part = r.part) IS NULL
          AND (r.xid, r.op_no, r.part) > (%(xid)s::xid8, %(op_no)s, %(part)s)
        ORDER BY r.xid, r.op_no, r.part LIMIT %(limit)s
        RETURNING leaf_no, op_no, part, leaf_hash
        """,
        {
            "size": size,
            "code": session.tenant.code,
            "since": _NO_HORIZON if last.elsewhere else last.horizon,
            "elsewhere": last.elsewhere,
            "upto": last.now_horizon,
            "xid": after[0],
            "op_no": after[1],
            "part": after[2],
            "limit": limit,
        },
    )
    placed = [Placed(leaf_no=r[0], op_no=r[1], part=r[2], xid="", leaf_hash=bytes(r[3])) for r in rows]
    return sorted(placed, key=lambda leaf: leaf.leaf_no)


async def xid_of(session: TenantSession, op_no: int, part: int) -> str:
    """Transaction of a row, as text."""
    row = await session.fetch_one(
        "SELECT xid::text FROM {t}.audit_row WHERE op_no = %(op_no)s AND part = %(part)s",
        {"op_no": op_no, "part": part},
    )
    return str(row[0]) if row else "0"


async def add_tiles(session: TenantSession, tiles: Sequence[tuple[int, int, bytes]]) -> None:
    """Roots of subtrees that have become full."""
    await session.execute_many(
        "INSERT INTO {t}.audit_tile (height, tile_no, root) VALUES (%(height)s, %(tile_no)s, %(root)s)",
        [{"height": height, "tile_no": tile_no, "root": root} for height, tile_no, root in tiles],
    )


async def add_checkpoint(
    session: TenantSession, size: int, root: bytes, edge: bytes, horizon: str, now: dt.datetime, note: str
) -> None:
    """A signed head."""
    await session.execute(
        """
        INSERT INTO {t}.audit_checkpoint (size, root, edge, horizon, made_at, note)
        VALUES (%(size)s, %(root)s, %(edge)s, %(horizon)s::pg_snapshot, %(now)s, %(note)s)
        """,
        {"size": size, "root": root, "edge": edge, "horizon": horizon, "now": now, "note": note},
    )


async def newest_note(session: TenantSession) -> tuple[int, str] | None:
    """The newest checkpoint: size and note."""
    row = await session.fetch_one("SELECT size, note FROM {t}.audit_checkpoint ORDER BY size DESC LIMIT 1")
    return (row[0], row[1]) if row else None


async def note_of(session: TenantSession, size: int) -> str | None:
    """The checkpoint of this size."""
    row = await session.fetch_one("SELECT note FROM {t}.audit_checkpoint WHERE size = %(size)s", {"size": size})
    return str(row[0]) if row else None


async def newest_notes(session: TenantSession, limit: int) -> list[tuple[int, str]]:
    """The newest checkpoints, newest first."""
    rows = await session.fetch(
        "SELECT size, note FROM {t}.audit_checkpoint ORDER BY size DESC LIMIT %(limit)s", {"limit": limit}
    )
    return [(row[0], row[1]) for row in rows]


async def notes(session: TenantSession, after_size: int, up_to: int, limit: int = 10_000) -> list[tuple[int, str]]:
    """Checkpoints larger than `after_size` and no larger than `up_to`, smallest first."""
    rows = await session.fetch(
        "SELECT size, note FROM {t}.audit_checkpoint WHERE size > %(after)s AND size <= %(up_to)s"
        " ORDER BY size LIMIT %(limit)s",
        {"after": after_size, "up_to": up_to, "limit": limit},
    )
    return [(row[0], row[1]) for row in rows]


async def leaves(session: TenantSession, start: int, end: int) -> list[LeafRow]:
    """Leaves [start, end) with their rows."""
    rows = await session.fetch(
        """
        SELECT l.leaf_no, r.op_no, r.part, r.kind, r.action, r.result, r.at, r.xid::text::bigint, r.body_sealed,
               l.leaf_hash
        FROM {t}.audit_leaf l JOIN {t}.audit_row r ON r.op_no = l.op_no AND r.part = l.part
        WHERE l.leaf_no >= %(start)s AND l.leaf_no < %(end)s ORDER BY l.leaf_no
        """,
        {"start": start, "end": end},
    )
    return [
        LeafRow(
            leaf_no=row[0],
            op_no=row[1],
            part=row[2],
            kind=row[3],
            action=row[4],
            result=row[5],
            at=row[6],
            xid=row[7],
            body=bytes(row[8]),
            leaf_hash=bytes(row[9]),
        )
        for row in rows
    ]


async def leaf_hashes(session: TenantSession, start: int, end: int) -> list[bytes]:
    """Hashes of the leaves [start, end)."""
    rows = await session.fetch(
        "SELECT leaf_hash FROM {t}.audit_leaf WHERE leaf_no >= %(start)s AND leaf_no < %(end)s ORDER BY leaf_no",
        {"start": start, "end": end},
    )
    return [bytes(row[0]) for row in rows]


async def tiles(session: TenantSession, height: int, start: int, end: int) -> list[bytes]:
    """Roots of the full subtrees [start, end) of one height."""
    rows = await session.fetch(
        "SELECT root FROM {t}.audit_tile WHERE height = %(height)s AND tile_no >= %(start)s AND tile_no < %(end)s"
        " ORDER BY tile_no",
        {"height": height, "start": start, "end": end},
    )
    return [bytes(row[0]) for row in rows]


async def leaf_of(session: TenantSession, op_no: int, part: int) -> tuple[int, bytes] | None:
    """Place and hash of a row, once it has one."""
    row = await session.fetch_one(
        "SELECT leaf_no, leaf_hash FROM {t}.audit_leaf WHERE op_no = %(op_no)s AND part = %(part)s",
        {"op_no": op_no, "part": part},
    )
    return (row[0], bytes(row[1])) if row else None
