"""時間外利用: refused unless the head of the information policy division has approved it beforehand (R-1-3.3-USE-01)."""

from __future__ import annotations

import datetime as dt
from typing import Final

from juki.access import grant_store
from juki.access.model import is_open
from juki.access.work import Work
from juki.problem import Invalid, Refused

LONGEST_DAYS: Final = 31


async def approve(
    work: Work, operator_id: str, terminal_id: str, from_at: dt.datetime, until_at: dt.datetime, reason: str
) -> int:
    """事前承認 for one person on one terminal, 31 days at most; its number.

    Refused `access.right_missing` without account.approve, `access.own_request` for oneself, `access.not_beforehand`
    for time that has passed.
    """
    if not work.by.may("account.approve"):
        raise Refused("access.right_missing", "the approval is for the head of the information policy division")
    if work.by.actor_id == operator_id:
        raise Refused("access.own_request", "nobody approves the own use")
    if until_at <= from_at or until_at - from_at > dt.timedelta(days=LONGEST_DAYS):
        raise Invalid("access.hours_span", "the span is not right", fields={"until_at": "span"})
    if until_at <= work.now:
        raise Refused("access.not_beforehand", "an approval comes before the use")
    start = max(from_at, work.now)
    return await grant_store.add_hours_approval(
        work.session, operator_id, terminal_id, (start, until_at), reason[:100], work.by.actor_id, work.now
    )


def within(work: Work) -> bool:
    """True within the municipality's working hours."""
    hours = work.session.tenant.settings.hours
    return is_open(work.now, hours.opens, hours.closes, hours.days, hours.holidays)


async def may_work_now(work: Work, operator_id: str, terminal_id: str) -> bool:
    """True within hours, and outside them with an approval for this person, terminal and time."""
    if within(work):
        return True
    return await grant_store.has_hours_approval(work.session, operator_id, terminal_id, work.now)
