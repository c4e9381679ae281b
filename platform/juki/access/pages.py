"""画面の控え: what a clerk sent to a page that only shows something, sealed, for as long as the session lasts.

What is asked for is personal data and has no place in an address. A page that answers such a form by itself cannot be gone
back to: browsers want the form sent again. So the form is kept under a number that says nothing, and the page with that
number is an ordinary one.
"""

from __future__ import annotations

import datetime as dt
import secrets
from typing import Final

import msgspec

from juki.access import page_store
from juki.access.work import Work
from juki.personal import SealedGroup

KEPT_MAX: Final = 50
"""Pages of one session; the oldest gives way."""

_NUMBER_BITS: Final = 48


class Kept(SealedGroup, frozen=True, kw_only=True):
    """One form as it was sent: the page that shows it, its fields, and what is wrong beside which."""

    page: str
    given: dict[str, list[str]]
    wrong: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    once: bool = False  # shown once and forgotten: nobody sees a 個人番号 by going back


async def keep(work: Work, kept: Kept) -> int:
    """Keep it for the acting person's session; its number."""
    number = secrets.randbits(_NUMBER_BITS) + 1
    sealed = work.ring.seal("staff_page", "page", str(number), 1, kept)
    await page_store.add(
        work.session, page_no=number, session_id=work.by.session_id, now=work.now, given_sealed=sealed, most=KEPT_MAX
    )
    return number


async def find(work: Work, number: int, page: str) -> Kept | None:
    """What the acting person's session kept for this page; None where it is gone, or was another's, or of another page."""
    sealed = await page_store.one(work.session, number, work.by.session_id)
    kept = work.ring.open("staff_page", "page", str(number), 1, sealed, Kept) if sealed is not None else None
    return kept if kept is not None and kept.page == page else None


async def forget(work: Work, number: int) -> None:
    """It was shown."""
    await page_store.drop(work.session, number, work.by.session_id)


async def leave(work: Work) -> None:
    """The acting person's session is over."""
    await page_store.drop_of(work.session, work.by.session_id)


async def clear(work: Work) -> int:
    """Pages of sessions that have ended or run out; how many went."""
    idle = dt.timedelta(seconds=work.policy.idle_seconds)
    return await page_store.drop_ended(work.session, work.now, work.now - idle)
