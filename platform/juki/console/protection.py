"""支援措置: the list of measures, the 29 items of one, its beginning, decision and renewal; its end is asked for here."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

from litestar import Response, get, post

from juki import dates, registry
from juki.access import Caller
from juki.audit import Operation, operation
from juki.console import clerks, kept, sections, words
from juki.console.form import Field, Form, new_number
from juki.console.once import Once, page_key
from juki.console.page import go, render
from juki.console.person import ASKED, notices_of, person_of
from juki.console.resident import strip
from juki.console.suppression import HOLD
from juki.console.table import Cell, Table
from juki.problem import Conflict, Invalid
from juki.registry.model import LooseningKind, Measure, MeasureState, SupportMeasure, Wish, ends_of, renewable_from
from juki.tenancy import Fleet
from juki.web import AnyRequest, form_of, route, text_of

PURPOSE: Final = "支援措置の申出の受付"
RIGHT: Final = "protection.enter"
HOLDING: Final = "holding"  # in a kept form of the page with two forms: it is the one for 抑止
STATES: Final = {
    MeasureState.PROVISIONAL: "仮支援措置",
    MeasureState.IN_FORCE: "支援措置中",
    MeasureState.ENDED: "終了",
}
WISHES: Final = (
    ("browsing", "住民基本台帳の閲覧（現住所）"),
    ("copies", "住民票の写し等の交付（現住所）"),
    ("removed_copies", "住民票の除票の写し等の交付（前住所等）"),
    ("domicile_copies", "戸籍の附票の写しの交付（現本籍）"),
    ("former_domicile_copies", "戸籍の附票・除票の写しの交付（前本籍等）"),
    ("property_support", "固定資産所在市区町村における準じた支援"),
)
TEXTS: Final = (
    ("contact", "連絡先"),
    ("situation", "申出者の状況"),
    ("other", "その他"),
    ("forwarded_to", "転送先市区町村名"),
    ("forwarded_duties", "転送を受けた市区町村が支援を求められている事務"),
    ("first_received_by", "当初受付市区町村"),
    ("feared", "加害者とされる者"),
)
LABELS: Final = {
    **dict((*WISHES, *TEXTS)),
    "protected_with": "併せて支援を求める者",
    "found_needless_on": "支援の必要性がないことを確認した連絡年月日",
}
"""What an amendment can change, in words."""


def _fields(members: Sequence[tuple[str, str]]) -> list[Field]:
    asked = [
        Field(name="provisional", label="仮支援措置とする", kind="check"),
        Field(
            name="starts_on", label="開始年月日", kind="date", width="s", hint="仮支援措置のときは仮支援措置の開始日"
        ),
        Field(name="wishes", label="希望する支援措置", kind="checks", required=True, options=WISHES),
    ]
    if members:
        asked.append(Field(name="with", label="併せて支援を求める者", kind="checks", options=members))
    asked += [Field(name=name, label=label, width="l", max=300) for name, label in TEXTS]
    return asked


@get("/{code:str}/protection", opt=route("protection.list", "protection.read", PURPOSE), include_in_schema=False)
async def listing(request: AnyRequest, code: str, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """Every measure in force, those whose term is near or over first."""
    async with operation(fleet, caller, "protection.list", purpose=PURPOSE, right="protection.read", write=False) as op:
        alerts = await registry.protection_alerts(op)
        measures = await registry.measures_in_force(op)
        asked = await registry.waiting_for(op, [m.measure_no for m in measures])
    heads = ["支援措置番号", "氏名", "状態", "申請", "生年月日", "期間の末日"]
    tables = [
        Table(
            title="期間の末日が近いもの・過ぎたもの",
            heads=heads,
            rows=[_line(m, asked, "期間経過" if told == "overdue" else "末日が近い") for m, told in alerts],
            empty="期間の末日が近い支援措置はありません。",
        ),
        Table(
            title="支援措置の一覧",
            heads=heads,
            rows=[_line(m, asked) for m in measures],
            empty="支援措置は登録されていません。対象者の住民票の記録から登録します。",
        ),
    ]
    acts = [{"path": "/protection/loosenings", "label": "承認待ちの申請を見る"}] if caller.may(RIGHT) else []
    context = {"tables": tables, "form": None, "acts": acts, "lead": ""}
    return render(request, "list.html", "支援措置", context, tenant=await fleet.tenant(code), here="/protection")


@get(
    "/{code:str}/protection/{measure_no:int}",
    opt=route("protection.read", "protection.read", PURPOSE),
    include_in_schema=False,
)
async def detail(request: AnyRequest, code: str, measure_no: int, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """The 29 items of one measure and what became of it."""
    fields = (*_end_fields(), *_decide_fields())
    form = await kept.form_of(request, fleet, caller, fields)
    return await _detail(request, code, measure_no, fleet, caller, form or Form(fields))


@post(
    "/{code:str}/protection/{measure_no:int}/renew",
    opt=route("protection.renew", "protection.enter", PURPOSE),
    include_in_schema=False,
)
async def renew(request: AnyRequest, code: str, measure_no: int, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """延長 by one year."""
    try:
        async with operation(fleet, caller, "protection.renew", purpose=PURPOSE, right="protection.enter") as op:
            await registry.renew_protection(op, measure_no)
    except Invalid as error:
        form = Form(_end_fields())
        form.take(error)
        return await kept.show_again(fleet, caller, f"/{code}/protection/{measure_no}", form)
    return go(f"/{code}/protection/{measure_no}", done="renewed", no=measure_no)


@post(
    "/{code:str}/protection/{measure_no:int}/decide",
    opt=route("protection.confirm", "protection.enter", PURPOSE),
    include_in_schema=False,
)
async def decide(request: AnyRequest, code: str, measure_no: int, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """仮支援措置 becomes 支援措置 from a day on."""
    form = Form(_decide_fields(), form_of(request))
    starts = form.date("starts_on")
    day = starts.to_date() if form.check() and starts else None
    if day is not None:
        try:
            async with operation(fleet, caller, "protection.confirm", purpose=PURPOSE, right="protection.enter") as op:
                await registry.confirm_protection(op, measure_no, day)
            return go(f"/{code}/protection/{measure_no}", done="measure_confirmed", no=measure_no)
        except Invalid as error:
            form.take(error)
    return await kept.show_again(fleet, caller, f"/{code}/protection/{measure_no}", form)


@post(
    "/{code:str}/protection/{measure_no:int}/ask-end",
    opt=route("protection.ask_end", RIGHT, PURPOSE),
    include_in_schema=False,
)
async def ask_end(request: AnyRequest, code: str, measure_no: int, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """終了の申請 with a reason, once for one page however often it is sent."""
    form = Form(_end_fields(), form_of(request))

    async def act() -> int:
        async with operation(fleet, caller, "protection.ask_end", purpose=PURPOSE, right=RIGHT) as op:
            return await registry.ask_end(op, measure_no, form.text("reason"))

    if form.check():
        once: Once = request.app.state.once
        try:
            number = await once.run(page_key(caller.session_id, form), act)
            return go(f"/{code}/protection/{measure_no}", done="end_asked", no=number)
        except Invalid as error:
            form.take(error)
        except Conflict as error:
            form.wrong("form", text_of(error.code, error.status, error.facts))
    return await kept.show_again(fleet, caller, f"/{code}/protection/{measure_no}", form)


@get(
    "/{code:str}/residents/{atena_no:str}/protection",
    opt=route("protection.form", "protection.enter", PURPOSE),
    include_in_schema=False,
)
async def entry_page(request: AnyRequest, code: str, atena_no: str, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """The form for a measure and, below it, for holding a process back."""
    form = await kept.form_of(request, fleet, caller)
    if form is not None and form.text(HOLDING):
        form.fields = HOLD
        return await entry(request, code, atena_no, fleet, caller, hold=form)
    return await entry(request, code, atena_no, fleet, caller, form=form)


@post(
    "/{code:str}/residents/{atena_no:str}/protection",
    opt=route("protection.enter", "protection.enter", PURPOSE),
    include_in_schema=False,
)
async def enter(request: AnyRequest, code: str, atena_no: str, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """支援措置の開始."""
    given = form_of(request)
    form = Form(_fields([(no, no) for no in given.get("with", ())]), given)
    starts = form.date("starts_on")

    async def act() -> int:
        async with operation(fleet, caller, "protection.enter", purpose=PURPOSE, right="protection.enter") as op:
            content = await _content(op, atena_no, form, starts.to_date() if starts else None)
            return await registry.enter_protection(op, content)

    if form.check():
        once: Once = request.app.state.once
        try:
            number = await once.run(page_key(caller.session_id, form), act)
            return go(f"/{code}/residents/{atena_no}", done="protected", no=number)
        except Invalid as error:
            form.take(error, {"provisional_from": "starts_on"})
    return await kept.show_again(fleet, caller, request.url.path, form)


async def _content(op: Operation, atena_no: str, form: Form, starts: dt.date | None) -> SupportMeasure:
    """The 29 items: those of the person from the record, the others from the form."""
    record = await registry.record(op, atena_no, groups=("basic", "address"))
    basic, address = record.basic, record.address
    if basic is None or address is None:
        raise Invalid("registry.record_incomplete", "a record without its basic groups")
    said: dict[str, Any] = {name: Wish(wanted=True) for name in form.texts("wishes")}
    said |= {name: form.text(name) for name, _ in TEXTS}
    provisional = bool(form.text("provisional"))
    return SupportMeasure(
        name=basic.name,
        birth=basic.birth,
        address=sections.place(address.address),
        name_kana=basic.name_kana if record.kind.value == "japanese" else "",
        foreign_name_kana=basic.name_kana if record.kind.value == "foreign" else "",
        alias=basic.alias,
        alias_kana=basic.alias_kana,
        former_surname=basic.former_surname,
        former_surname_kana=basic.former_surname_kana,
        atena_no=atena_no,
        sex=basic.sex,
        starts_on=None if provisional else starts,
        provisional=provisional,
        provisional_from=starts if provisional else None,
        protected_with=tuple(form.texts("with")),
        **said,
    )


async def entry(
    request: AnyRequest,
    code: str,
    atena_no: str,
    fleet: Fleet,
    caller: Caller,
    *,
    form: Form | None = None,
    hold: Form | None = None,
) -> Response[bytes]:
    """The page with the form for a measure and, below it, the form for holding a process back."""
    async with operation(
        fleet, caller, "protection.form", purpose=PURPOSE, right="protection.enter", write=False
    ) as op:
        shown = await strip(op, atena_no)
        record = await registry.record(op, atena_no, groups=("basic",))
        home = await registry.household(op, record.setai_no, groups=("basic",))
    others = [(m.atena_no, m.basic.name) for m in home.members if m.basic and m.atena_no != atena_no]
    form = form or Form(())
    form.fields = _fields(others)
    hold = hold or Form(HOLD)
    for one in (form, hold):
        one.put("form_key", new_number())
    context = {**shown, "form": form, "hold": hold, "atena_no": atena_no}
    status = 422 if form.errors or hold.errors else 200
    title = "支援措置・抑止の登録"
    return render(request, "protect.html", title, context, tenant=await fleet.tenant(code), status=status)


async def _detail(
    request: AnyRequest, code: str, measure_no: int, fleet: Fleet, caller: Caller, form: Form
) -> Response[bytes]:
    async with operation(fleet, caller, "protection.read", purpose=PURPOSE, right="protection.read", write=False) as op:
        history = await registry.measure_history(op, measure_no)
        latest = history[-1]
        asked = (await registry.waiting_for(op, [measure_no])).get(measure_no)
        approved = await registry.approvals(op, measure_no)
        named = await clerks.names(op, [*(m.entered_by for m in history), *(by for _, by in approved.values())])
        others = await registry.current(op, latest.content.protected_with, ("basic",))
        shown = await whose(op, latest.content.atena_no)
    acts = caller.may(RIGHT) and latest.state is not MeasureState.ENDED
    form.put("form_key", new_number())
    ends = ends_of(latest)
    opens = renewable_from(ends) if ends and latest.state is MeasureState.IN_FORCE else None
    context = {
        **shown,
        "measure_no": measure_no,
        "state": STATES[latest.state],
        "atena_no": latest.content.atena_no,
        "name": latest.content.name,
        "said": _said(latest, [r.basic.name for r in others.values() if r.basic]),
        "history": [
            (m.version_no, STATES[m.state], words.instant(m.known_from), _who(m, approved, named)) for m in history
        ],
        "asked": (asked[0], ASKED[asked[1]]) if asked else None,
        "may_open": caller.may(RIGHT),
        "may_act": acts,
        "may_decide": acts and latest.state is MeasureState.PROVISIONAL,
        "may_renew": acts and opens is not None and opens <= dates.today_in_japan(fleet.clock()),
        "renewable_from": words.calendar(opens) if opens else "",
        "form": form,
        "decide": _decide_fields()[0],
        "ending": _end_fields()[0],
    }
    status = 422 if form.errors else 200
    title = f"支援措置 {measure_no}"
    return render(request, "measure.html", title, context, tenant=await fleet.tenant(code), status=status)


async def whose(op: Operation, atena_no: str) -> dict[str, Any]:
    """`person` and `notices` for the pages of a measure; also of somebody whose 照会 is held back: here is who sees to that."""
    found = (await registry.current(op, [atena_no], ("basic", "address"))).get(atena_no)
    held = await registry.protection(op, atena_no)
    return {"person": person_of(found) if found else None, "notices": notices_of(held)}


def _end_fields() -> tuple[Field, ...]:
    return (Field(name="reason", label="終了を求める理由", required=True, width="l", max=300),)


def _decide_fields() -> tuple[Field, ...]:
    return (
        Field(
            name="starts_on", label="支援措置の開始年月日", kind="date", required=True, width="s", hint="例: R8.11.24"
        ),
    )


def _who(measure: Measure, approved: Mapping[int, tuple[int, str]], named: Mapping[str, str]) -> str:
    """Who entered a version and, where it protects less than the one before, who approved it."""
    entered = named[measure.entered_by]
    if measure.version_no not in approved:
        return entered
    number, by = approved[measure.version_no]
    return f"申請 {entered}　承認 {named[by]}（申請 {number}）"


def _line(measure: Measure, asked: Mapping[int, tuple[int, LooseningKind]], told: str = "") -> list[str | Cell]:
    content = measure.content
    last = ends_of(measure)
    return [
        Cell(str(measure.measure_no), path=f"/protection/{measure.measure_no}"),
        content.name,
        Cell(told or STATES[measure.state], look="warn" if told else ""),
        _asked(asked[measure.measure_no][1]) if measure.measure_no in asked else "―",
        words.day(content.birth),
        words.calendar(last) if last else "決定まで",
    ]


def _asked(kind: LooseningKind) -> Cell:
    return Cell(f"{ASKED[kind].removeprefix('支援措置の')}の申請中", look="warn")


def _said(measure: Measure, others: Sequence[str]) -> list[tuple[str, str]]:
    c = measure.content
    named: list[tuple[str, str]] = [
        ("氏名", c.name),
        ("フリガナ", c.name_kana or c.foreign_name_kana),
        ("通称", "　".join(t for t in (c.alias, c.alias_kana) if t)),
        ("旧氏", "　".join(t for t in (c.former_surname, c.former_surname_kana) if t)),
        ("生年月日", words.day(c.birth)),
        ("性別", words.SEX[c.sex]),
        ("住所", c.address),
        ("宛名番号", c.atena_no),
    ]
    wishes = [(label, _wish(getattr(c, name))) for name, label in WISHES]
    days = [
        ("開始年月日", c.starts_on),
        ("終了年月日", c.ends_on),
        ("仮支援措置の開始年月日", c.provisional_from),
        ("仮支援措置の終了年月日", c.provisional_until),
        ("転送年月日", c.forwarded_on),
        ("転送を受けた年月日", c.forwarded_received_on),
        ("支援の必要性がないことを確認した連絡年月日", c.found_needless_on),
    ]
    texts = [(label, str(getattr(c, name))) for name, label in TEXTS]
    tail = [("仮支援措置", "該当" if c.provisional else ""), ("併せて支援を求める者", "、".join(others))]
    tail += [("終了の理由", c.ended_because)] if c.ended_because else []
    return [*named, *wishes, *((label, words.calendar(day) if day else "") for label, day in days), *texts, *tail]


def told(name: str, content: SupportMeasure, names: Mapping[str, str]) -> tuple[str, str]:
    """(label, value) of one item in words; `names` gives 氏名 by 宛名番号."""
    value: Any = getattr(content, name)
    if isinstance(value, Wish):
        text = _wish(value)
    elif isinstance(value, tuple):
        text = "、".join(names.get(a, a) for a in content.protected_with)
    else:
        text = words.calendar(value) if isinstance(value, dt.date) else str(value or "")
    return LABELS.get(name, name), text or "なし"


def _wish(wish: Wish) -> str:
    return f"希望する　{wish.place}".strip("　") if wish.wanted else "希望しない"


routes: Final = [listing, detail, renew, decide, ask_end, entry_page, enter]
