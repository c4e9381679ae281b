"""権限付与: asked for by one person, approved by another, for a time; taken away with a line in the ledger."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from juki.access import grant_store, sessions, store
from juki.access.grant_store import GrantRow
from juki.access.model import check_department, duties, duty
from juki.access.work import Work
from juki.problem import Conflict, Invalid, NotFound, Refused


async def request(work: Work, operator_id: str, name: str, valid_from: dt.date, valid_until: dt.date) -> int:
    """権限の申請; its number.

    Invalid `access.duty_unknown`, Refused `access.department` where the duty is not that department's
    (R-A-2.3-USE-01), Conflict `db.twice` where a request is open.
    """
    duty(name)
    if valid_until < valid_from or (valid_until - valid_from).days > 366:
        raise Invalid("access.grant_span", "a grant lasts a year at most", fields={"valid_until": "span"})
    account = await store.operator_by(work.session, work.ring, operator_id)
    if account is None or account.state == "ended":
        raise NotFound("access.operator_unknown", "no such account")
    check_department(name, _department_name(work, account.office))
    number = await grant_store.add_grant(
        work.session, account.operator_id, name, work.by.actor_id, work.now, valid_from, valid_until
    )
    await store.add_account_event(work.session, account.operator_id, "duty_requested", work.now, work.by.actor_id, name)
    return number


async def decide(work: Work, grant_no: int, *, approve: bool) -> None:
    """情報政策課長の承認 (R-1-3.3-PRV-01).

    Refused `access.right_missing` without account.approve, `access.own_request` for one's own request or right.
    """
    if not work.by.may("account.approve"):
        raise Refused("access.right_missing", "granting is for the head of the information policy division")
    grant = await grant_store.grant_by_no(work.session, grant_no)
    if grant is None:
        raise NotFound("access.grant_unknown", "no such request")
    if grant.state != "requested":
        raise Conflict("access.grant_decided", "this request has been decided")
    if work.by.actor_id in (grant.requested_by, grant.operator_id):
        raise Refused("access.own_request", "whoever asks, and whoever would hold the right, does not approve")
    await grant_store.decide_grant(
        work.session, grant_no, "granted" if approve else "refused", work.by.actor_id, work.now
    )
    what = "duty_granted" if approve else "duty_refused"
    await store.add_account_event(work.session, grant.operator_id, what, work.now, work.by.actor_id, grant.duty)


async def revoke(work: Work, grant_no: int, reason: str) -> None:
    """権限の失効, at once; one line in the ledger for every right."""
    grant = await grant_store.grant_by_no(work.session, grant_no)
    if grant is None or grant.state != "granted":
        raise NotFound("access.grant_unknown", "no such grant")
    await _revoke(work, grant, reason, work.today)
    await sessions.end_all(work, grant.operator_id, "revoked")


async def revoke_all(work: Work, operator_id: str, reason: str, effective_on: dt.date) -> None:
    """Every grant of one person ends; open requests are refused."""
    for grant in await grant_store.grants(work.session, operator_id):
        if grant.state == "granted":
            await _revoke(work, grant, reason, effective_on)
        elif grant.state == "requested" and work.by.actor_id not in (grant.requested_by, operator_id):
            await grant_store.decide_grant(work.session, grant.grant_no, "refused", work.by.actor_id, work.now)


def in_force(held: Iterable[GrantRow], today: dt.date) -> tuple[str, ...]:
    """Duties granted and valid on a day, in the order of the duty table."""
    names = {g.duty for g in held if g.state == "granted" and g.valid_from <= today <= g.valid_until}
    return tuple(name for name in duties() if name in names)


def rights(names: Iterable[str]) -> frozenset[str]:
    """Rights of duties, on a terminal that reaches everything."""
    return frozenset(right for name in names for right in duty(name).rights)


async def _revoke(work: Work, grant: GrantRow, reason: str, effective_on: dt.date) -> None:
    last_day = effective_on - dt.timedelta(days=1)
    if effective_on <= work.today or last_day < grant.valid_from:
        await grant_store.revoke_grant(work.session, grant.grant_no)
    else:
        await grant_store.shorten_grant(work.session, grant.grant_no, last_day)
    await grant_store.add_revocations(
        work.session,
        grant.operator_id,
        grant.duty,
        sorted(duty(grant.duty).rights),
        effective_on,
        reason,
        work.by.actor_id,
        work.now,
    )
    await store.add_account_event(
        work.session, grant.operator_id, "duty_revoked", work.now, work.by.actor_id, grant.duty
    )


def _department_name(work: Work, code: str) -> str:
    return next((d.name for d in work.session.tenant.settings.departments if d.code == code), "")


def must_manage(work: Work) -> None:
    """Refused `access.right_missing` for somebody who does not manage accounts."""
    if not work.by.may("account.manage"):
        raise Refused("access.right_missing", "asking for rights is for the head of the office")


async def held_by(work: Work, operator_id: str) -> list[GrantRow]:
    """Grants and requests of one person, oldest first."""
    return await grant_store.grants(work.session, operator_id)


async def requests(work: Work) -> list[GrantRow]:
    """Requests that wait for a decision, oldest first."""
    return [grant for grant in await grant_store.grants(work.session) if grant.state == "requested"]
