"""SQL of 端末: registered terminals and how one is enrolled."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from juki.tenancy.session import TenantSession


class TerminalRow(msgspec.Struct, frozen=True, kw_only=True):
    """端末, as registered."""

    terminal_id: str
    label: str
    office: str
    functions: tuple[str, ...]
    state: str


async def add_terminal(session: TenantSession, row: TerminalRow, now: dt.datetime, by_whom: str) -> None:
    """A new terminal; Conflict `db.twice` where the id exists."""
    await session.execute(
        """
        INSERT INTO {t}.terminal (terminal_id, label, office, functions, state, registered_at, registered_by)
        VALUES (%(terminal_id)s, %(label)s, %(office)s, %(functions)s, %(state)s, %(now)s, %(by_whom)s)
        """,
        {**msgspec.structs.asdict(row), "functions": list(row.functions), "now": now, "by_whom": by_whom},
    )


async def terminals(session: TenantSession) -> list[TerminalRow]:
    """Every terminal, ordered by id."""
    rows = await session.fetch("SELECT terminal_id, label, office, functions, state FROM {t}.terminal ORDER BY 1")
    return [_terminal(row) for row in rows]


async def terminal_by_token(session: TenantSession, token_digest: bytes) -> TerminalRow | None:
    """The terminal that was given this token."""
    row = await session.fetch_one(
        "SELECT terminal_id, label, office, functions, state FROM {t}.terminal WHERE token_digest = %(token_digest)s",
        {"token_digest": token_digest},
    )
    return _terminal(row) if row else None


async def terminal_by_id(session: TenantSession, terminal_id: str) -> TerminalRow | None:
    """One terminal."""
    row = await session.fetch_one(
        "SELECT terminal_id, label, office, functions, state FROM {t}.terminal WHERE terminal_id = %(terminal_id)s",
        {"terminal_id": terminal_id},
    )
    return _terminal(row) if row else None


async def offer_enrolment(session: TenantSession, terminal_id: str, enrol_digest: bytes, until: dt.datetime) -> None:
    """A one-time code for a terminal; an older one is void."""
    await session.execute(
        "UPDATE {t}.terminal SET enrol_digest = %(enrol_digest)s, enrol_until = %(until)s"
        " WHERE terminal_id = %(terminal_id)s",
        {"terminal_id": terminal_id, "enrol_digest": enrol_digest, "until": until},
    )


async def take_enrolment(
    session: TenantSession, enrol_digest: bytes, token_digest: bytes, now: dt.datetime
) -> TerminalRow | None:
    """Use a one-time code up and give the terminal its token; None for a wrong, used or late code."""
    row = await session.fetch_one(
        """
        UPDATE {t}.terminal SET token_digest = %(token_digest)s, enrol_digest = NULL, enrol_until = NULL
        WHERE enrol_digest = %(enrol_digest)s AND enrol_until > %(now)s AND state = 'active'
        RETURNING terminal_id, label, office, functions, state
        """,
        {"enrol_digest": enrol_digest, "token_digest": token_digest, "now": now},
    )
    return _terminal(row) if row else None


async def set_terminal_token(session: TenantSession, terminal_id: str, token_digest: bytes) -> None:
    """Give a terminal its token without a code (first set-up only)."""
    await session.execute(
        "UPDATE {t}.terminal SET token_digest = %(token_digest)s WHERE terminal_id = %(terminal_id)s",
        {"terminal_id": terminal_id, "token_digest": token_digest},
    )


async def set_terminal_state(session: TenantSession, terminal_id: str, state: str) -> int:
    """Suspend, reopen or end a terminal."""
    return await session.execute(
        "UPDATE {t}.terminal SET state = %(state)s WHERE terminal_id = %(terminal_id)s",
        {"terminal_id": terminal_id, "state": state},
    )


def _terminal(row: tuple[Any, ...]) -> TerminalRow:
    return TerminalRow(terminal_id=row[0], label=row[1], office=row[2], functions=tuple(row[3]), state=row[4])
