"""SQL of duties: granted, taken back, reviewed, and approved for hours outside business."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec

from juki.tenancy.session import TenantSession


class GrantRow(msgspec.Struct, frozen=True, kw_only=True):
    """One duty of one operator."""

    grant_no: int
    operator_id: str
    duty: str
    requested_by: str
    requested_at: dt.datetime
    approved_by: str | None
    approved_at: dt.datetime | None
    valid_from: dt.date
    valid_until: dt.date
    state: str


async def grants(session: TenantSession, operator_id: str | None = None) -> list[GrantRow]:
    """Grants of one operator or of all, oldest first."""
    rows = await session.fetch(
        """
        SELECT grant_no, operator_id, duty, requested_by, requested_at, approved_by, approved_at, valid_from,
               valid_until, state
        FROM {t}.duty_grant WHERE %(operator_id)s::text IS NULL OR operator_id = %(operator_id)s ORDER BY grant_no
        """,
        {"operator_id": operator_id},
    )
    return [_grant(row) for row in rows]


async def grant_by_no(session: TenantSession, grant_no: int) -> GrantRow | None:
    """One grant, locked until the transaction ends."""
    row = await session.fetch_one(
        """
        SELECT grant_no, operator_id, duty, requested_by, requested_at, approved_by, approved_at, valid_from,
               valid_until, state
        FROM {t}.duty_grant WHERE grant_no = %(grant_no)s FOR UPDATE
        """,
        {"grant_no": grant_no},
    )
    return _grant(row) if row else None


async def add_grant(
    session: TenantSession,
    operator_id: str,
    duty: str,
    requested_by: str,
    now: dt.datetime,
    valid_from: dt.date,
    valid_until: dt.date,
) -> int:
    """A request for a duty; its number. Conflict `db.twice` where one is open."""
    row = await session.fetch_one(
        """
        INSERT INTO {t}.duty_grant (operator_id, duty, requested_by, requested_at, valid_from, valid_until, state)
        VALUES (%(operator_id)s, %(duty)s, %(requested_by)s, %(now)s, %(valid_from)s, %(valid_until)s, 'requested')
        RETURNING grant_no
        """,
        {
            "operator_id": operator_id,
            "duty": duty,
            "requested_by": requested_by,
            "now": now,
            "valid_from": valid_from,
            "valid_until": valid_until,
        },
    )
    return _number(row)


async def decide_grant(session: TenantSession, grant_no: int, state: str, approved_by: str, now: dt.datetime) -> None:
    """Grant or refuse a request."""
    await session.execute(
        "UPDATE {t}.duty_grant SET state = %(state)s, approved_by = %(approved_by)s, approved_at = %(now)s"
        " WHERE grant_no = %(grant_no)s",
        {"grant_no": grant_no, "state": state, "approved_by": approved_by, "now": now},
    )


async def revoke_grant(session: TenantSession, grant_no: int) -> None:
    """A granted duty is taken away."""
    await session.execute(
        "UPDATE {t}.duty_grant SET state = 'revoked' WHERE grant_no = %(grant_no)s", {"grant_no": grant_no}
    )


async def shorten_grant(session: TenantSession, grant_no: int, last_day: dt.date) -> None:
    """A granted duty ends earlier."""
    await session.execute(
        "UPDATE {t}.duty_grant SET valid_until = %(last_day)s"
        " WHERE grant_no = %(grant_no)s AND valid_until > %(last_day)s",
        {"grant_no": grant_no, "last_day": last_day},
    )


async def add_revocations(
    session: TenantSession,
    operator_id: str,
    duty: str,
    rights: Sequence[str],
    effective_on: dt.date,
    reason: str,
    executed_by: str,
    now: dt.datetime,
) -> None:
    """失効管理簿: one row a right."""
    await session.execute(
        """
        INSERT INTO {t}.revocation_ledger (operator_id, duty, access_right, effective_on, reason, executed_by,
            executed_at)
        SELECT %(operator_id)s, %(duty)s, r, %(effective_on)s, %(reason)s, %(executed_by)s, %(now)s
        FROM unnest(%(rights)s::text[]) AS r
        """,
        {
            "operator_id": operator_id,
            "duty": duty,
            "rights": list(rights),
            "effective_on": effective_on,
            "reason": reason,
            "executed_by": executed_by,
            "now": now,
        },
    )


async def revocations(session: TenantSession, operator_id: str) -> list[tuple[str, str, dt.date, str, str]]:
    """Duty, right, day, reason and executor of everything taken from an operator."""
    rows = await session.fetch(
        "SELECT duty, access_right, effective_on, reason, executed_by FROM {t}.revocation_ledger"
        " WHERE operator_id = %(operator_id)s ORDER BY ledger_no",
        {"operator_id": operator_id},
    )
    return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]


async def add_review(
    session: TenantSession, operator_id: str, decision: str, decided_by: str, now: dt.datetime
) -> None:
    """One decision of a periodic review."""
    await session.execute(
        "INSERT INTO {t}.account_review (operator_id, decision, decided_by, decided_at)"
        " VALUES (%(operator_id)s, %(decision)s, %(decided_by)s, %(now)s)",
        {"operator_id": operator_id, "decision": decision, "decided_by": decided_by, "now": now},
    )


async def last_reviews(session: TenantSession) -> dict[str, dt.datetime]:
    """When each account was last decided upon."""
    rows = await session.fetch("SELECT operator_id, max(decided_at) FROM {t}.account_review GROUP BY operator_id")
    return {row[0]: row[1] for row in rows}


async def add_hours_approval(
    session: TenantSession,
    operator_id: str,
    terminal_id: str,
    span: tuple[dt.datetime, dt.datetime],
    reason: str,
    approved_by: str,
    now: dt.datetime,
) -> int:
    """時間外利用承認; its number."""
    row = await session.fetch_one(
        """
        INSERT INTO {t}.hours_approval (operator_id, terminal_id, from_at, until_at, reason, approved_by, approved_at)
        VALUES (%(operator_id)s, %(terminal_id)s, %(from_at)s, %(until_at)s, %(reason)s, %(approved_by)s, %(now)s)
        RETURNING approval_no
        """,
        {
            "operator_id": operator_id,
            "terminal_id": terminal_id,
            "from_at": span[0],
            "until_at": span[1],
            "reason": reason,
            "approved_by": approved_by,
            "now": now,
        },
    )
    return _number(row)


async def has_hours_approval(session: TenantSession, operator_id: str, terminal_id: str, now: dt.datetime) -> bool:
    """True where this person may work on this terminal now although it is outside hours."""
    row = await session.fetch_one(
        """
        SELECT EXISTS (SELECT FROM {t}.hours_approval WHERE operator_id = %(operator_id)s
            AND terminal_id = %(terminal_id)s AND from_at <= %(now)s AND until_at > %(now)s)
        """,
        {"operator_id": operator_id, "terminal_id": terminal_id, "now": now},
    )
    return bool(row and row[0])


def _grant(row: tuple[Any, ...]) -> GrantRow:
    return GrantRow(
        grant_no=row[0],
        operator_id=row[1],
        duty=row[2],
        requested_by=row[3],
        requested_at=row[4],
        approved_by=row[5],
        approved_at=row[6],
        valid_from=row[7],
        valid_until=row[8],
        state=row[9],
    )


def _number(row: tuple[Any, ...] | None) -> int:
    if row is None:
        raise RuntimeError("an insert that returns its number gave none")
    return int(row[0])
