"""交付: exactly what was prepared becomes paper, a number and a record, or none of the three."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import secrets
from collections.abc import Sequence
from typing import Final

from juki import registry
from juki.audit import Operation
from juki.certificates import render, store
from juki.certificates.compose import compose, disclosed_items, fiscal_year, label
from juki.certificates.model import (
    RIGHT_OF_ITEM,
    Application,
    Disposal,
    Issued,
    IssueEntry,
    Item,
    Relation,
    Verdict,
)
from juki.certificates.office import office_of
from juki.certificates.prepare import digest_of, ensure_allowed, gather, judge_subject, watched
from juki.certificates.rules import NOT_AVAILABLE, fee_yen, held_back
from juki.problem import Conflict, JukiError, NotFound, Refused

HISTORY_MAX: Final = 500


async def issue(op: Operation, token: str) -> Issued:
    """Issue what a token stands for; the same token again gives the same paper, never a second number.

    Raises NotFound `certificates.token_unknown`, Refused `certificates.token_expired` or `token_elsewhere`, Conflict
    `certificates.record_changed` where a record has moved on since it was judged.
    """
    found = await store.application(op, digest_of(token))
    if (found.prepared_by, found.terminal_id) != (op.caller.actor_id, op.caller.terminal_id):
        raise Refused("certificates.token_elsewhere", "prepared by another clerk or at another terminal")
    await store.lock_terminal(op)
    if earlier := await store.issued(op, found.application_no):
        return await _again(op, found, earlier)
    if op.now > found.expires_at:
        raise Refused("certificates.token_expired", "prepared too long ago")
    asked, office = found.held.application, office_of(op.tenant, op.caller)
    await registry.hold_guards(op, sorted((await watched(op, asked)).guards))
    subject = await gather(op, asked)
    ensure_allowed(op, judge_subject(op, asked, subject))
    if subject.versions() != found.held.versions:
        raise Conflict("certificates.record_changed", "the record moved on after it was checked")
    sheet = compose(asked, subject.as_household(), office, now=op.now)
    year = fiscal_year(op.now)
    first = await store.next_running_no(op, year)
    copies = [
        store.Copy(copy_no=n + 1, running_no=first + n, label=label(office, asked, first + n, now=op.now))
        for n in range(asked.copies)
    ]
    labels, mark = tuple(c.label for c in copies), secrets.token_hex(16)
    drawn = await asyncio.to_thread(render.certificate, sheet, office, labels, mark=mark, now=op.now)
    pdf = await asyncio.to_thread(store.sign, op, drawn, f"{sheet.title}の写し")
    disclosed = {record.atena_no: disclosed_items(asked, record) for record in subject.records}
    fee = fee_yen(asked, office.fees_yen[asked.kind])
    digest, pages = hashlib.sha256(pdf).digest(), len(sheet.pages)
    numbers = await store.add_issue(
        op, found, copies, disclosed, year=year, pages=pages, fee_yen=fee, pdf_digest=digest
    )
    await store.spool(op, found.application_no, pdf)
    _disclose(op, asked, disclosed)
    op.fact(application=found.application_no, copies=asked.copies, pages=pages, label=labels[0])
    return Issued(
        pdf=pdf,
        labels=labels,
        issue_nos=numbers,
        application_no=found.application_no,
        copies=asked.copies,
        pages=pages,
        fee_yen=fee,
        issued_at=op.now,
    )


def _disclose(op: Operation, asked: Application, disclosed: dict[str, tuple[str, ...]]) -> None:
    """One disclosure row a person: which items, to whom, on what ground (R-1-1.1-ISS-01)."""
    basis = {Relation.OFFICIAL: "住基法第12条の2", Relation.THIRD: "住基法第12条の3"}.get(
        asked.relation, "住基法第12条"
    )
    to = asked.requester.organisation if asked.relation is Relation.OFFICIAL else asked.relation.value
    for atena_no, items in disclosed.items():
        op.disclose(atena_no, items, to, basis, "paper", my_number=Item.MY_NUMBER in asked.items)


async def _again(op: Operation, found: store.ApplicationRow, earlier: list[store.IssueRow]) -> Issued:
    """The paper of an application that was issued before, from the sealed waiting room.

    A paper that was not handed over yet may still be kept back: 支援措置 and 抑止 that began since hold for it too.
    """
    asked, application_no = found.held.application, found.application_no
    subject = await watched(op, asked)
    if notice := held_back(asked, subject.records, subject.guards, subject.together):
        ensure_allowed(op, Verdict(refusal=NOT_AVAILABLE, notice=notice))
    pdf = await store.spooled(op, application_no)
    if pdf is None:
        raise NotFound("certificates.handed_over", "the paper was handed over and its file is gone")
    if hashlib.sha256(pdf).digest() != earlier[0].pdf_digest:
        raise JukiError("certificates.digest_differs", "the spooled paper is not the one that was issued")
    for row in earlier:
        for atena_no, items in await store.persons_of(op, row.issue_no):
            _need_rights(op, items)
            op.touch(atena_no, my_number=Item.MY_NUMBER.value in items)
    return Issued(
        pdf=pdf,
        labels=tuple(row.label for row in earlier),
        issue_nos=tuple(row.issue_no for row in earlier),
        application_no=application_no,
        copies=len(earlier),
        pages=earlier[0].pages,
        fee_yen=sum(row.fee_yen for row in earlier),
        issued_at=earlier[0].issued_at,
        repeated=True,
    )


def _need_rights(op: Operation, items: Sequence[str]) -> None:
    """A paper holds what it was issued with, so reading it again takes the rights to those items."""
    if any(item.value in items and not op.caller.may(right) for item, right in RIGHT_OF_ITEM.items()):
        raise Refused("certificates.item_right_missing", "the duty does not carry the right to an item")


async def fetch_again(op: Operation, number: str) -> Issued:
    """再取得: the paper of a 発行番号 whose answer was lost, until it is handed over or its day has passed.

    Refused `certificates.item_right_missing` for a paper with an item that this clerk may not see, `not_available` where
    somebody on it is protected or suppressed since.
    """
    application_no = await store.application_of_label(op, number)
    found = await store.application_numbered(op, application_no)
    return await _again(op, found, await store.issued(op, application_no))


async def waits(op: Operation, number: str) -> bool:
    """再取得の可否: whether the paper of a 発行番号 can still be fetched; False once handed over or its day has passed."""
    return await store.is_spooled(op, await store.application_of_label(op, number))


async def hand_over(op: Operation, number: str) -> None:
    """交付済み: the paper is in the resident's hand, so its file is forgotten; doing it twice changes nothing."""
    await store.clear_spool(op, await store.application_of_label(op, number))


async def clear_spool(op: Operation, *, older_than: dt.timedelta = dt.timedelta(days=1)) -> int:
    """Forget papers that nobody fetched; run at the end of the day. Returns how many."""
    return await store.clear_spool_before(op, op.now - older_than)


async def dispose(op: Operation, issue_no: int, reason: Disposal) -> None:
    """書損・誤交付: write down that a sheet set was spoiled; its number stays used. Conflict where it is written already."""
    for atena_no, _ in await store.persons_of(op, issue_no):
        op.touch(atena_no)
    try:
        await store.add_disposal(op, issue_no, reason)
    except Conflict:
        raise Conflict("certificates.disposed_already", "this paper was written off before") from None
    op.fact(issue=issue_no, reason=reason.value)


async def history(op: Operation, atena_no: str) -> tuple[IssueEntry, ...]:
    """交付履歴 [31] of one resident, newest first, at most `HISTORY_MAX`."""
    op.touch(atena_no)
    return await store.entries(op, atena_no, HISTORY_MAX)
