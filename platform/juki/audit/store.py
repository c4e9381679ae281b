"""SQL of the log: rows are inserted and read, never changed; the roles of a service could not do otherwise."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from juki.audit.model import SealedRow
from juki.tenancy.session import TenantSession


async def draw_numbers(session: TenantSession, count: int) -> list[int]:
    """The next `count` operation numbers; unused ones leave harmless gaps."""
    rows = await session.fetch(
        "SELECT nextval('{t}.audit_op_seq') FROM generate_series(1, %(count)s)",
        {"count": count},
    )
    return [row[0] for row in rows]


async def add_row(session: TenantSession, row: SealedRow) -> None:
    """One row; Conflict `db.twice` where the operation already has this part."""
    await session.execute(
        """
        INSERT INTO {t}.audit_row (op_no, part, kind, action, result, at, body_sealed)
        VALUES (%(op_no)s, %(part)s, %(kind)s, %(action)s, %(result)s, %(at)s, %(body_sealed)s)
        """,
        _columns(row),
    )


async def add_first_row(session: TenantSession, row: SealedRow) -> bool:
    """One row, unless this transaction has written something before: False then."""
    return bool(
        await session.execute(
            """
            INSERT INTO {t}.audit_row (op_no, part, kind, action, result, at, body_sealed)
            SELECT %(op_no)s, %(part)s, %(kind)s, %(action)s, %(result)s, %(at)s, %(body_sealed)s
            WHERE pg_current_xact_id_if_assigned() IS NULL
            """,
            _columns(row),
        )
    )


async def add_rows(session: TenantSession, rows: Sequence[SealedRow]) -> None:
    """Many rows in one batch."""
    await session.execute_many(
        """
        INSERT INTO {t}.audit_row (op_no, part, kind, action, result, at, body_sealed)
        VALUES (%(op_no)s, %(part)s, %(kind)s, %(action)s, %(result)s, %(at)s, %(body_sealed)s)
        """,
        [_columns(row) for row in rows],
    )


async def add_subjects(session: TenantSession, op_no: int, fingerprints: Sequence[bytes]) -> None:
    """Make the operation findable by the persons it touched."""
    await session.execute(
        """
        INSERT INTO {t}.audit_subject (subject_fp, op_no)
        SELECT DISTINCT f, %(op_no)s FROM unnest(%(fps)s::bytea[]) AS f
        """,
        {"op_no": op_no, "fps": list(fingerprints)},
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
