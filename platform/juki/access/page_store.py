"""SQL of 画面の控え: rows that live as long as the session of staff they belong to."""

from __future__ import annotations

import datetime as dt

from juki.tenancy.session import TenantSession


async def add(
    session: TenantSession, *, page_no: int, session_id: str, now: dt.datetime, given_sealed: bytes, most: int
) -> None:
    """One page more of a session, which keeps `most` of them; Conflict `db.twice` where the number is taken."""
    await session.execute(
        """
        WITH old AS (
            DELETE FROM {t}.staff_page WHERE page_no IN (
                SELECT page_no FROM {t}.staff_page WHERE session_id = %(session_id)s
                ORDER BY kept_at DESC, page_no OFFSET %(left)s)
        )
        INSERT INTO {t}.staff_page (page_no, session_id, kept_at, given_sealed)
        VALUES (%(page_no)s, %(session_id)s, %(now)s, %(given_sealed)s)
        """,
        {"page_no": page_no, "session_id": session_id, "now": now, "given_sealed": given_sealed, "left": most - 1},
    )


async def one(session: TenantSession, page_no: int, session_id: str) -> bytes | None:
    """The sealed page of this session under a number; another session's is not there."""
    row = await session.fetch_one(
        "SELECT given_sealed FROM {t}.staff_page WHERE page_no = %(page_no)s AND session_id = %(session_id)s",
        {"page_no": page_no, "session_id": session_id},
    )
    return bytes(row[0]) if row else None


async def drop(session: TenantSession, page_no: int, session_id: str) -> int:
    """One page of this session goes; how many there were."""
    return await session.execute(
        "DELETE FROM {t}.staff_page WHERE page_no = %(page_no)s AND session_id = %(session_id)s",
        {"page_no": page_no, "session_id": session_id},
    )


async def drop_of(session: TenantSession, session_id: str) -> int:
    """Every page of one session goes."""
    return await session.execute(
        "DELETE FROM {t}.staff_page WHERE session_id = %(session_id)s", {"session_id": session_id}
    )


async def drop_ended(session: TenantSession, now: dt.datetime, idle_since: dt.datetime) -> int:
    """Every page whose session has ended or run out goes."""
    return await session.execute(
        """
        DELETE FROM {t}.staff_page p WHERE NOT EXISTS (
            SELECT FROM {t}.staff_session s WHERE s.session_id = p.session_id AND s.ended_at IS NULL
            AND s.expires_at > %(now)s AND s.seen_at > %(idle_since)s)
        """,
        {"now": now, "idle_since": idle_since},
    )
