"""SQL of the log: rows are inserted and read, never changed; the roles of a service could not do otherwise."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Final

from juki.audit.model import SealedRow
from juki.tenancy.session import TenantSession

ROWS_PER_STATEMENT: Final = 1_000


async def draw_numbers(session: TenantSession, count: int) -> list[int]:
    """The next `count` operation numbers; unused ones leave harmless gaps."""
    rows = await session.fetch(
        "SELECT nextval('{t}.audit_op_seq') FROM generate_series(1, %(count)s)",
        {"count": count},
    )
    return [row[0] for row in rows]


async def add_rows(
    session: TenantSession, rows: Sequence[SealedRow], subjects: Sequence[tuple[int, bytes]] = ()
) -> None:
    """Rows with what they are found by (operation, fingerprint), in one statement up to a thousand, by COPY above.

    Conflict `db.twice` where one of them is there already.
    """
    if len(rows) > ROWS_PER_STATEMENT or len(subjects) > ROWS_PER_STATEMENT:
        await _copy_rows(session, rows, subjects)
    else:
        await session.execute(
            """
            WITH filed AS (
                INSERT INTO {t}.audit_subject (subject_fp, op_no)
                SELECT DISTINCT f.fp, f.op_no FROM unnest(%(fps)s::bytea[], %(filed)s::bigint[]) AS f (fp, op_no)
            )
            INSERT INTO {t}.audit_row (op_no, part, kind, action, result, at, body_sealed)
            SELECT * FROM unnest(%(op_nos)s::bigint[], %(parts)s::integer[], %(kinds)s::text[], %(actions)s::text[],
                %(results)s::text[], %(ats)s::timestamptz[], %(bodies)s::bytea[])
            """,
            {
                "fps": [fingerprint for _, fingerprint in subjects],
                "filed": [op_no for op_no, _ in subjects],
                "op_nos": [row.op_no for row in rows],
                "parts": [row.part for row in rows],
                "kinds": [row.kind for row in rows],
                "actions": [row.action for row in rows],
                "results": [row.result for row in rows],
                "ats": [row.at for row in rows],
                "bodies": [row.body_sealed for row in rows],
            },
        )


async def _copy_rows(session: TenantSession, rows: Sequence[SealedRow], subjects: Sequence[tuple[int, bytes]]) -> None:
    await session.copy_in(
        "COPY {t}.audit_row (op_no, part, kind, action, result, at, body_sealed) FROM STDIN (FORMAT BINARY)",
        ("int8", "int4", "text", "text", "text", "timestamptz", "bytea"),
        ((row.op_no, row.part, row.kind, row.action, row.result, row.at, row.body_sealed) for row in rows),
    )
    await session.copy_in(
        "COPY {t}.audit_subject (subject_fp, op_no) FROM STDIN (FORMAT BINARY)",
        ("bytea", "int8"),
        ((fingerprint, op_no) for op_no, fingerprint in subjects),
    )


def _columns(row: SealedRow) -> dict[str, object]:
    return {
        "op_no": row.op_no,
        "part": row.part,
        "kind": row.kind,
        "action": row.action,
        "result": row.result,
        "at": row.at,
        "body_sealed": row.body_sealed,
    }


async def keys(session: TenantSession) -> list[tuple[int, str, bytes]]:
    """Number, month and sealed key of every key of the log."""
    rows = await session.fetch("SELECT key_no, period, key_sealed FROM {t}.audit_key ORDER BY key_no")
    return [(row[0], row[1], bytes(row[2])) for row in rows]


async def add_key(session: TenantSession, key_no: int, period: str, now: dt.datetime, key_sealed: bytes) -> None:
    """A month's key; whoever came first wins, the others read theirs."""
    await session.execute(
        """
        INSERT INTO {t}.audit_key (key_no, period, made_at, key_sealed)
        VALUES (%(key_no)s, %(period)s, %(made_at)s, %(key_sealed)s) ON CONFLICT DO NOTHING
        """,
        {"key_no": key_no, "period": period, "made_at": now, "key_sealed": key_sealed},
    )


async def result_of(session: TenantSession, op_no: int) -> str:
    """How an operation ended; empty where it has not."""
    row = await session.fetch_one(
        "SELECT result FROM {t}.audit_row WHERE op_no = %(op_no)s AND part = 1", {"op_no": op_no}
    )
    return str(row[0]) if row else ""


async def open_intents(
    session: TenantSession, oldest: dt.datetime, newest: dt.datetime, limit: int
) -> list[tuple[int, str, dt.datetime, bytes]]:
    """Intents of a span of time without an outcome, oldest first."""
    rows = await session.fetch(
        """
        SELECT i.op_no, i.action, i.at, i.body_sealed FROM {t}.audit_row i
        WHERE i.kind = 'intent' AND i.at >= %(oldest)s AND i.at < %(newest)s
          AND NOT EXISTS (SELECT FROM {t}.audit_row o WHERE o.op_no = i.op_no AND o.part = 1)
        ORDER BY i.at LIMIT %(limit)s
        """,
        {"oldest": oldest, "newest": newest, "limit": limit},
    )
    return [(row[0], row[1], row[2], bytes(row[3])) for row in rows]


async def close_unknown(session: TenantSession, row: SealedRow) -> int:
    """Close an operation unless its outcome has come meanwhile; 1 or 0."""
    return await session.execute(
        """
        INSERT INTO {t}.audit_row (op_no, part, kind, action, result, at, body_sealed)
        VALUES (%(op_no)s, %(part)s, %(kind)s, %(action)s, %(result)s, %(at)s, %(body_sealed)s) ON CONFLICT DO NOTHING
        """,
        _columns(row),
    )


async def intents(
    session: TenantSession,
    *,
    since: dt.datetime | None,
    until: dt.datetime | None,
    action: str,
    before_op: int,
    limit: int,
) -> list[tuple[int, str, dt.datetime, bytes]]:
    """Intents of a part of the log, newest first."""
    rows = await session.fetch(
        """
        SELECT op_no, action, at, body_sealed FROM {t}.audit_row
        WHERE part = 0 AND (%(since)s::timestamptz IS NULL OR at >= %(since)s)
          AND (%(until)s::timestamptz IS NULL OR at < %(until)s)
          AND (%(action)s = '' OR starts_with(action, %(action)s))
          AND (%(before)s = 0 OR op_no < %(before)s)
        ORDER BY op_no DESC LIMIT %(limit)s
        """,
        {"since": since, "until": until, "action": action, "before": before_op, "limit": limit},
    )
    return [(row[0], row[1], row[2], bytes(row[3])) for row in rows]


async def rows_of(session: TenantSession, op_nos: Sequence[int]) -> list[SealedRow]:
    """Every row of some operations, in order."""
    rows = await session.fetch(
        """
        SELECT op_no, part, kind, action, result, at, body_sealed FROM {t}.audit_row
        WHERE op_no = ANY(%(op_nos)s) ORDER BY op_no, part
        """,
        {"op_nos": list(op_nos)},
    )
    return [
        SealedRow(op_no=r[0], part=r[1], kind=r[2], action=r[3], result=r[4], at=r[5], body_sealed=bytes(r[6]))
        for r in rows
    ]


async def operations_on(session: TenantSession, fingerprints: Sequence[bytes], limit: int) -> list[int]:
    """Operations filed under any of these fingerprints, newest first."""
    rows = await session.fetch(
        """
        SELECT DISTINCT op_no FROM {t}.audit_subject WHERE subject_fp = ANY(%(fps)s) ORDER BY op_no DESC LIMIT %(limit)s
        """,
        {"fps": list(fingerprints), "limit": limit},
    )
    return [row[0] for row in rows]
