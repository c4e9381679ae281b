"""住民票の記録: the record in the order of the paper, the household one key away, the history on both axes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from litestar import Response, get, post

from juki import certificates, dates, registry
from juki.access import Caller
from juki.audit import Operation, operation
from juki.certificates.model import CertificateKind, IssueEntry, Relation
from juki.console import clerks, kept, purpose, sections, words
from juki.console.form import Field, Form
from juki.console.page import render
from juki.console.person import Notice, leaving, notices_of, person_of, suppression_lines
from juki.console.search import Tag
from juki.dates import JST, RegistryDate
from juki.problem import NotFound
from juki.registry.model import Household, Record, Status, Version, reason_name
from juki.tenancy import Fleet
from juki.web import AnyRequest, form_of, purpose_of, route

_GUARDED: Final = {
    "my_number": ("my_number.my_number", "resident.my_number"),
    "resident_code": ("resident_code.resident_code", "resident.code"),
}
KINDS: Final = {CertificateKind.RESIDENT: "住民票の写し", CertificateKind.REMOVED: "除票の写し"}
RELATIONS: Final = {
    Relation.SELF: "本人",
    Relation.HOUSEHOLD: "同一世帯員",
    Relation.AGENT: "代理人",
    Relation.THIRD: "第三者",
    Relation.OFFICIAL: "公用",
}
_KEPT: Final = Notice(
    title="同じ世帯に、照会を抑止している方がいます",
    text="その方の氏名・続柄などは表示していません。必要な場合は抑止を設定した係に連絡してください。",
    soft=True,
)
_AS_OF: Final = (
    Field(name="day", label="いつの内容を見るか（異動日で）", kind="date", width="s", hint="例: R5.4.1"),
    Field(name="known", label="いつまでに記録された内容か（記録日で）", kind="date", width="s", hint="空欄は今まで"),
)


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """One thing this duty may do from here."""

    path: str
    label: str
    key: str = ""


class View(msgspec.Struct, kw_only=True):
    """What one look at a resident brought."""

    record: Record
    household: Household | None
    protected: frozenset[str]  # of the household, whoever is under 支援措置
    versions: tuple[Version, ...]
    protection: Any
    under_change: bool
    issues: tuple[IssueEntry, ...]
    today: dt.date
    clerks: dict[str, str]


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """The point on both axes; both None is now."""

    day: dt.date | None = None
    known: dt.datetime | None = None


NOW: Final = Moment()


@get("/{code:str}/residents/{atena_no:str}", opt=route("resident.read", "resident.read"), include_in_schema=False)
async def show(request: AnyRequest, code: str, atena_no: str, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """The record as it stands now; as it was on a day or with a number shown, where that was asked for."""
    if not purpose_of(request):
        return purpose.ask(code, kept.here(request))
    form = await kept.form_of(request, fleet, caller, _AS_OF)
    if form is None:
        return await _page(request, code, atena_no, fleet, caller, NOW, Form(_AS_OF), {})
    if group := form.text("item"):
        if group not in _GUARDED:
            raise NotFound
        return await _page(request, code, atena_no, fleet, caller, NOW, Form(_AS_OF), {group: _GUARDED[group]})
    return await _past(request, code, atena_no, fleet, caller, form)


@post(
    "/{code:str}/residents/{atena_no:str}/as-of",
    opt=route("resident.read", "resident.read"),
    include_in_schema=False,
)
async def as_of(request: AnyRequest, code: str, atena_no: str, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """To the record as it was on a day, as known on a day."""
    asked = {name: form_of(request).get(name, ()) for name in ("day", "known")}
    return await kept.show(fleet, caller, f"/{code}/residents/{atena_no}", asked)


@post(
    "/{code:str}/residents/{atena_no:str}/reveal",
    opt=route("resident.read", "resident.read"),
    include_in_schema=False,
)
async def reveal(request: AnyRequest, code: str, atena_no: str, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """To 個人番号 or 住民票コード, for a clerk with the right to it; shown once, and the log marks that it was touched."""
    asked = {"item": form_of(request).get("item", ())}
    return await kept.show(fleet, caller, f"/{code}/residents/{atena_no}", asked, once=True)


async def _past(
    request: AnyRequest, code: str, atena_no: str, fleet: Fleet, caller: Caller, form: Form
) -> Response[bytes]:
    """The record on another point of the two axes."""
    form.check()
    day, known = _calendar(form.date("day")), _calendar(form.date("known"))
    at = dt.datetime.combine(known + dt.timedelta(days=1), dt.time.min, JST) if known else None
    moment = NOW if form.errors else Moment(day=day, known=at)
    try:
        return await _page(request, code, atena_no, fleet, caller, moment, form, {})
    except NotFound:
        if moment == NOW:
            raise
        form.wrong("day", "この時点の記録はありません。別の日を入れてください。")
        return await _page(request, code, atena_no, fleet, caller, NOW, form, {})


async def _page(
    request: AnyRequest,
    code: str,
    atena_no: str,
    fleet: Fleet,
    caller: Caller,
    moment: Moment,
    form: Form,
    revealed: Mapping[str, tuple[str, str]],
) -> Response[bytes]:
    groups = (*sections.OPEN_GROUPS, *revealed)
    right = next((needed for _, needed in revealed.values()), "resident.read")
    action = "resident.reveal" if revealed else "resident.read"
    async with operation(fleet, caller, action, purpose=purpose_of(request), right=right, write=False) as op:
        view = await _look(op, atena_no, groups, moment)
    tenant = await fleet.tenant(code)
    context = _context(view, caller, form, moment, frozenset(path for path, _ in revealed.values()))
    status = 422 if form.errors else 200
    return render(request, "resident.html", "住民票の記録", context, tenant=tenant, status=status)


async def _look(op: Operation, atena_no: str, groups: tuple[str, ...], moment: Moment) -> View:
    record = await registry.record(op, atena_no, groups=groups, as_of=moment.day, known_at=moment.known)
    if moment == NOW:
        record = await _with_plan(op, record)
    home = None
    if record.status is Status.RESIDENT:
        home = await registry.household(op, record.setai_no, groups=("basic",), as_of=moment.day, known_at=moment.known)
    versions = await registry.history(op, atena_no, groups=("basic",), known_at=moment.known)
    issues = await certificates.history(op, atena_no)
    guarded = await registry.protections(op, [m.atena_no for m in home.members] if home else [])
    acted = [who for v in versions for who in (v.event.entered_by, v.event.confirmed_by)]
    return View(
        record=record,
        household=home,
        protected=frozenset(a for a, held in guarded.items() if held.protected),
        versions=versions,
        protection=await registry.protection(op, atena_no),
        under_change=bool(await registry.under_change(op, [atena_no])),
        issues=issues,
        clerks=await clerks.names(op, [who for who in (*acted, *(i.issued_by for i in issues)) if who]),
        today=moment.day or dates.today_in_japan(op.now),
    )


async def _with_plan(op: Operation, record: Record) -> Record:
    """転出予定者: what is planned stands on the record of whoever is still a resident, as it does on paper."""
    held = (await registry.current(op, [record.atena_no], ("removal",))).get(record.atena_no)
    return msgspec.structs.replace(record, removal=held.removal) if held is not None else record


def _context(view: View, caller: Caller, form: Form, moment: Moment, revealed: frozenset[str]) -> dict[str, Any]:
    return {
        "person": person_of(view.record),
        "notices": [
            *notices_of(view.protection, under_change=view.under_change),
            *leaving(view.record),
            *([_KEPT] if view.household and view.household.held else []),
        ],
        "acts": _acts(view.record, caller) if moment == NOW else [],
        "asof_text": _asof_text(moment),
        "sections": [_section(s, caller, now=moment == NOW) for s in sections.shown(view.record, revealed=revealed)],
        "issues": [_issue(entry, view, caller) for entry in view.issues],
        "suppressions": suppression_lines(view.protection),
        "may_release": caller.may("protection.enter") and moment == NOW,
        "setai_no": view.record.setai_no,
        "members": _members(view),
        "versions": [_version(v, view.clerks) for v in reversed(view.versions)],
        "asof": form,
    }


def _acts(record: Record, caller: Caller) -> list[Act]:
    here = f"/residents/{record.atena_no}"
    found: list[Act] = []
    if caller.may("certificate.issue"):
        found.append(Act(path=f"{here}/certificate", label="証明書を交付する", key="c"))
    if caller.may("change.enter"):
        if record.status is Status.RESIDENT:
            found.append(Act(path=f"{here}/changes/relocate", label="転居", key="m"))
        found.append(Act(path=f"{here}/changes", label="そのほかの異動"))
    if caller.may("protection.enter"):
        found.append(Act(path=f"{here}/protection", label="支援措置・抑止"))
    return found


def _asof_text(moment: Moment) -> str:
    if moment == NOW:
        return ""
    day = words.calendar(moment.day) + "現在" if moment.day else "今日現在"
    last = moment.known.astimezone(JST).date() - dt.timedelta(days=1) if moment.known else None
    known = words.calendar(last) + "までの記録による" if last else "今までの記録による"
    return f"{known}{day}の内容を表示しています。今の記録ではありません。"


def _section(shown: sections.Shown, caller: Caller, *, now: bool) -> dict[str, Any]:
    masked = {path: group for group, (path, right) in _GUARDED.items() if now and caller.may(right)}
    lines = [
        {
            "numbers": line.numbers,
            "label": line.label,
            "text": line.text,
            "masked": line.masked,
            "reveal": masked.get(line.path, "") if line.masked else "",
        }
        for line in shown.lines
    ]
    return {"title": shown.title, "open": shown.open, "filled": shown.filled, "lines": lines}


def _members(view: View) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for n, member in enumerate(view.household.members if view.household else ()):
        basic = member.basic
        here = member.atena_no == view.record.atena_no
        found.append(
            {
                "atena_no": member.atena_no,
                "name": basic.name if basic else "照会の抑止により表示していません",
                "relationship": basic.relationship if basic else "",
                "age": f"{dates.age_on(basic.birth, view.today)}歳" if basic and basic.birth.year > 0 else "",
                "here": here,
                "protected": member.atena_no in view.protected,
                "key": str(n + 1) if n < 9 and not here else "",
            }
        )
    return found


def _version(version: Version, named: dict[str, str]) -> dict[str, Any]:
    record, event = version.record, version.event
    tags: list[Tag] = []
    if version.superseded_by:
        tags.append(Tag(f"履歴{version.superseded_by}で訂正・取消し", "gone"))
    if record.corrects_version:
        tags.append(Tag(f"履歴{record.corrects_version}の訂正", "warn"))
    if record.cancels_version:
        tags.append(Tag(f"履歴{record.cancels_version}の取消し", "warn"))
    return {
        "no": record.version_no,
        "reason": reason_name(event.reason),
        "void": version.superseded_by is not None,
        "tags": tags,
        "occurred": words.day(event.occurred_on),
        "notified": words.calendar(event.notified_on) if event.notified_on else "",
        "known": words.instant(event.known_from),
        "entered_by": named.get(event.entered_by, ""),
        "confirmed_by": named.get(event.confirmed_by, ""),
    }


def _issue(entry: IssueEntry, view: View, caller: Caller) -> dict[str, Any]:
    here = f"/residents/{view.record.atena_no}/certificate/{entry.issue_no}"
    return {
        "path": here if caller.may("certificate.issue") else "",
        "at": words.instant(entry.issued_at),
        "kind": KINDS[entry.kind],
        "relation": RELATIONS[entry.relation],
        "label": entry.label,
        "terminal": entry.terminal_id,
        "clerk": view.clerks.get(entry.issued_by, ""),
        "disposed": "書損" if entry.disposed else "",
    }


def _calendar(value: RegistryDate | None) -> dt.date | None:
    return value.to_date() if value else None


async def strip(op: Operation, atena_no: str) -> dict[str, Any]:
    """`person` and `notices` for another page of the same person."""
    record = await registry.record(op, atena_no, groups=("basic", "address"))
    held = await registry.protection(op, atena_no)
    waiting = bool(await registry.under_change(op, [atena_no]))
    return {"person": person_of(record), "notices": notices_of(held, under_change=waiting)}


routes: Final = [show, as_of, reveal]
