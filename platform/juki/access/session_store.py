"""SQL of staff sessions: one open session to an operator, kept so by a unique index."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec

from juki.tenancy.session import TenantSession


class SessionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A session with the account, the terminal and the grants it stands on, as they are now."""

    session_id: str
    operator_id: str
    terminal_id: str
    seen_at: dt.datetime
    expires_at: dt.datetime
    password_due: bool
    ended_at: dt.datetime | None
    office: str
    contract_no: str
    account_state: str
    account_until: dt.date | None
    terminal_state: str
    terminal_digest: bytes | None
    functions: tuple[str, ...]
    duties: tuple[str, ...]
    hours_approved: bool


async def by_tokens(
    session: TenantSession, token_digests: Sequence[bytes], now: dt.datetime, today: dt.date
) -> dict[bytes, SessionRow]:
    """Everything the rights of some calls rest upon, in one statement, so that a revocation works with the next call."""
    rows = await session.fetch(
        """
        SELECT s.session_id, s.operator_id, s.terminal_id, s.seen_at, s.expires_at, s.password_due, s.ended_at,
               o.office, o.contract_no, o.state, o.valid_until, t.state, t.token_digest, t.functions,
               ARRAY(SELECT g.duty FROM {t}.duty_grant g WHERE g.operator_id = s.operator_id AND g.state = 'granted'
                     AND g.valid_from <= %(today)s AND g.valid_until >= %(today)s),
               EXISTS (SELECT FROM {t}.hours_approval h WHERE h.operator_id = s.operator_id
                       AND h.terminal_id = s.terminal_id AND h.from_at <= %(now)s AND h.until_at > %(now)s),
               s.token_digest
        FROM {t}.staff_session s
        JOIN {t}.operator o ON o.operator_id = s.operator_id
        JOIN {t}.terminal t ON t.terminal_id = s.terminal_id
        WHERE s.token_digest = ANY(%(token_digests)s)
        """,
        {"token_digests": list(token_digests), "now": now, "today": today},
    )
    return {bytes(row[16]): _row(row) for row in rows}


def _row(row: tuple[Any, ...]) -> SessionRow:
    return SessionRow(
        session_id=row[0],
        operator_id=row[1],
        terminal_id=row[2],
        seen_at=row[3],
        expires_at=row[4],
        password_due=row[5],
        ended_at=row[6],
        office=row[7],
        contract_no=row[8],
        account_state=row[9],
        account_until=row[10],
        terminal_state=row[11],
        terminal_digest=bytes(row[12]) if row[12] is not None else None,
        functions=tuple(row[13]),
        duties=tuple(row[14]),
        hours_approved=row[15],
    )


async def open_one(session: TenantSession, operator_id: str) -> tuple[str, str, dt.datetime, dt.datetime] | None:
    """The open session of an operator: its id, terminal, last use and absolute end."""
    row = await session.fetch_one(
        "SELECT session_id, terminal_id, seen_at, expires_at FROM {t}.staff_session"
        " WHERE operator_id = %(operator_id)s AND ended_at IS NULL",
        {"operator_id": operator_id},
    )
    return (row[0], row[1], row[2], row[3]) if row else None


async def add(
    session: TenantSession,
    *,
    session_id: str,
    token_digest: bytes,
    operator_id: str,
    terminal_id: str,
    now: dt.datetime,
    expires_at: dt.datetime,
    password_due: bool,
) -> None:
    """A new session; Conflict `db.twice` where another log-in of the same operator was quicker."""
    await session.execute(
        """
        INSERT INTO {t}.staff_session (session_id, token_digest, operator_id, terminal_id, opened_at, seen_at,
            expires_at, password_due)
        VALUES (%(session_id)s, %(token_digest)s, %(operator_id)s, %(terminal_id)s, %(now)s, %(now)s,
            %(expires_at)s, %(password_due)s)
        """,
        {
            "session_id": session_id,
            "token_digest": token_digest,
            "operator_id": operator_id,
            "terminal_id": terminal_id,
            "now": now,
            "expires_at": expires_at,
            "password_due": password_due,
        },
    )


async def see(session: TenantSession, session_ids: Sequence[str], now: dt.datetime) -> None:
    """These sessions are in use; an ended one stays as it ended."""
    await session.execute(
        "UPDATE {t}.staff_session SET seen_at = %(now)s WHERE session_id = ANY(%(session_ids)s) AND ended_at IS NULL",
        {"session_ids": list(session_ids), "now": now},
    )


async def end(session: TenantSession, session_id: str, now: dt.datetime, why: str) -> None:
    """One session ends."""
    await session.execute(
        "UPDATE {t}.staff_session SET ended_at = %(now)s, ended_why = %(why)s"
        " WHERE session_id = %(session_id)s AND ended_at IS NULL",
        {"session_id": session_id, "now": now, "why": why},
    )


async def end_of_operator(session: TenantSession, operator_id: str, now: dt.datetime, why: str) -> int:
    """The open session of an operator ends; how many were open."""
    return await session.execute(
        "UPDATE {t}.staff_session SET ended_at = %(now)s, ended_why = %(why)s"
        " WHERE operator_id = %(operator_id)s AND ended_at IS NULL",
        {"operator_id": operator_id, "now": now, "why": why},
    )


async def end_of_terminal(session: TenantSession, terminal_id: str, now: dt.datetime, why: str) -> int:
    """Open sessions on a terminal end; how many were open."""
    return await session.execute(
        "UPDATE {t}.staff_session SET ended_at = %(now)s, ended_why = %(why)s"
        " WHERE terminal_id = %(terminal_id)s AND ended_at IS NULL",
        {"terminal_id": terminal_id, "now": now, "why": why},
    )


async def lift_password_due(session: TenantSession, operator_id: str) -> None:
    """The password was changed: the open session has its rights from now on."""
    await session.execute(
        "UPDATE {t}.staff_session SET password_due = false WHERE operator_id = %(operator_id)s AND ended_at IS NULL",
        {"operator_id": operator_id},
    )


async def log_ins(session: TenantSession, operator_id: str, limit: int = 20) -> list[tuple[dt.datetime, str, str]]:
    """Log-ins of one person, newest first: when, at which terminal, and the code of the refusal (empty where it opened)."""
    rows = await session.fetch(
        """
        SELECT at, terminal_id, reason FROM (
            SELECT opened_at AS at, terminal_id, '' AS reason FROM {t}.staff_session WHERE operator_id = %(operator_id)s
            UNION ALL
            SELECT at, terminal_id, reason FROM {t}.login_failure WHERE operator_id = %(operator_id)s
        ) AS both_kinds ORDER BY at DESC LIMIT %(limit)s
        """,
        {"operator_id": operator_id, "limit": limit},
    )
    return [(at, terminal_id, reason) for at, terminal_id, reason in rows]
