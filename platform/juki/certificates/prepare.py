"""交付準備: read what the paper would say, judge the application, and keep it under a token that is good once."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import secrets
from collections.abc import Sequence
from typing import Final

import msgspec

from juki import registry
from juki.audit import Operation
from juki.certificates import render, store
from juki.certificates.compose import Office, Sheet, compose
from juki.certificates.model import (
    GROUP_OF_ITEM,
    PREPARED_MINUTES,
    Application,
    Guard,
    Held,
    Prepared,
    Verdict,
)
from juki.certificates.office import office_of
from juki.certificates.rules import NOT_AVAILABLE, check_form, fee_yen, judge
from juki.personal import Personal
from juki.problem import Invalid, Refused
from juki.registry.model import Household, Process, Protection, Record

_ALWAYS: Final = ("basic", "address", "removal", "foreigner")
_PREVIEW_LABEL: Final = "確認用（証明の効力はありません）"


class Subject(Personal, frozen=True, kw_only=True):
    """Everything an application is about, as read just now."""

    records: tuple[Record, ...]  # of the persons asked for, in the order of the register
    together: frozenset[str]  # 宛名番号 of everyone in the household
    guards: dict[str, Guard]

    def as_household(self) -> Household:
        """The persons asked for, as the form wants them."""
        return Household(setai_no=self.records[0].setai_no, members=self.records)

    def versions(self) -> dict[str, int]:
        """宛名番号 -> 履歴番号 of what was read."""
        return {record.atena_no: record.version_no for record in self.records}


async def check(op: Operation, application: Application) -> Verdict:
    """可否の確認: what the rules say, without keeping anything; for the screen before the token is drawn."""
    verdict = (await _judged(op, application))[1]
    return verdict if op.caller.may("protection.read") else msgspec.structs.replace(verdict, notice="")


async def prepare(op: Operation, application: Application) -> Prepared:
    """Judge an application and keep it for `PREPARED_MINUTES`.

    Raises Invalid `certificates.form_incomplete` with fields, Refused `certificates.not_available` (neutral: the same
    for protected, suppressed, struck out and unknown), or Refused/Invalid with the rule's own code.
    """
    office = office_of(op.tenant, op.caller)
    subject, verdict = await _judged(op, application)
    ensure_allowed(op, verdict)
    sheet = compose(application, subject.as_household(), office, now=op.now)
    # Overflow and missing glyphs stop here, before a fee is taken and a number is used.
    await asyncio.to_thread(render.certificate, sheet, office, ("",), mark="", now=op.now)
    token = secrets.token_urlsafe(24)
    expires_at = op.now + dt.timedelta(minutes=PREPARED_MINUTES)
    held = Held(application=application, versions=subject.versions())
    number = await store.add_application(op, digest_of(token), held, expires_at)
    op.fact(application=number, kind=application.kind.value, relation=application.relation.value)
    return Prepared(
        token=token,
        application_no=number,
        expires_at=expires_at,
        warnings=verdict.warnings,
        fee_yen=fee_yen(application, office.fees_yen[application.kind]),
        copies=application.copies,
        pages=len(sheet.pages),
    )


async def preview(op: Operation, application: Application) -> bytes:
    """確認用の印刷イメージ: the real page without number and seal, marked as no certificate."""
    office = office_of(op.tenant, op.caller)
    subject, verdict = await _judged(op, application)
    ensure_allowed(op, verdict)
    sheet = compose(application, subject.as_household(), office, now=op.now)
    return await asyncio.to_thread(draw_preview, sheet, office, now=op.now)


def draw_preview(sheet: Sheet, office: Office, *, now: dt.datetime) -> bytes:
    """PDF of a page that nobody can pass off as issued."""
    return render.certificate(sheet, office, (_PREVIEW_LABEL,), mark="", now=now, preview=True)


async def standing(op: Operation, application: Application) -> list[str]:
    """氏名 of the persons asked for, in the order in which they stand on the form."""
    subject = await _subject(op, application, ("basic",))
    return [record.basic.name if record.basic else record.atena_no for record in subject.records]


async def gather(op: Operation, application: Application) -> Subject:
    """Read the persons asked for, with the groups that the items need and no other, and what stands over them.

    An unknown 宛名番号 is simply not among the records, so that it ends in the same neutral refusal as a protected one.
    """
    chosen = {GROUP_OF_ITEM[item] for item in application.items if item in GROUP_OF_ITEM}
    return await _subject(op, application, sorted({*_ALWAYS, *chosen}))


async def watched(op: Operation, application: Application) -> Subject:
    """Who is on a paper and what stands over them and those whose home it shows, without any of its items."""
    return await _subject(op, application, ())


async def _subject(op: Operation, application: Application, groups: Sequence[str]) -> Subject:
    found = await registry.current(op, application.persons, groups)
    records = tuple(sorted(found.values(), key=lambda record: (record.member_order, record.atena_no)))
    if not records:
        return Subject(records=(), together=frozenset(), guards={})
    household = await registry.household(op, records[0].setai_no, groups=())
    together = frozenset((*(m.atena_no for m in household.members), *found))
    homes = await registry.living_with(op, sorted(found))
    over = await registry.protections(op, sorted(together | homes.keys()))
    drafts = await registry.under_change(op, application.persons)
    return Subject(
        records=records,
        together=together,
        guards={
            a: guard_of(stands, draft=a in drafts, known_to=homes.get(a, frozenset())) for a, stands in over.items()
        },
    )


def guard_of(over: Protection, *, draft: bool = False, known_to: frozenset[str] = frozenset()) -> Guard:
    """What the rules heed of what the registry says stands over somebody; `known_to` are those who lived in the same home."""
    level = over.level(Process.ISSUE)
    together = [(m.content.atena_no, *m.content.protected_with) for m in over.measures]
    return Guard(
        protected=over.protected,
        co_protected=frozenset(atena_no for group in together for atena_no in group),
        suppressed=level.value if level else "",
        draft_pending=draft,
        known_to=known_to,
    )


async def _judged(op: Operation, application: Application) -> tuple[Subject, Verdict]:
    if wrong := check_form(application):
        raise Invalid("certificates.form_incomplete", "the application form is not complete", fields=wrong)
    subject = await gather(op, application)
    return subject, judge_subject(op, application, subject)


def judge_subject(op: Operation, application: Application, subject: Subject) -> Verdict:
    """The rules over what was read."""
    return judge(
        application, subject.records, household=subject.together, guards=subject.guards, rights=op.caller.rights
    )


def ensure_allowed(op: Operation, verdict: Verdict) -> None:
    """Raise what the rules found. The reason behind a neutral refusal goes only to a clerk who may know it."""
    if verdict.is_allowed:
        return
    if verdict.notice:
        op.fact(notice=verdict.notice)
    facts = {"notice": verdict.notice} if verdict.notice and op.caller.may("protection.read") else {}
    if verdict.refusal == NOT_AVAILABLE:
        raise Refused(NOT_AVAILABLE, "nothing can be issued on this application", **facts)
    if verdict.refusal == "certificates.item_right_missing":
        raise Refused(verdict.refusal, "the duty does not carry the right to an item")
    raise Invalid(verdict.refusal, "the application breaks a rule", fields=verdict.fields)


def digest_of(token: str) -> bytes:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).digest()
