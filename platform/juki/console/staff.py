"""操作者と権限: who may do what until when; asked for by one person, approved by another (R-1-3.3-PRV-01)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from litestar import Response, get, post

from juki import dates
from juki.access import Caller, accounts, duties, grants
from juki.audit import Operation, operation
from juki.console import clerks, words
from juki.console.form import Field, Form, new_number
from juki.console.once import Once, page_key
from juki.console.page import go, render
from juki.problem import JukiError, NotFound, Refused
from juki.tenancy import Fleet, Tenant
from juki.web import AnyRequest, form_of, route, text_of

PURPOSE: Final = "IDと権限の管理"
ANY: Final = "account.manage|account.approve"
STATES: Final = {"active": "利用中", "suspended": "停止中"}


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """One account as the list shows it."""

    operator_id: str
    login: str
    name: str
    office: str
    duties: str
    state: str
    look: str
    suspended: bool
    own: bool
    overdue: bool


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request for a duty that waits; `own` where whoever looks may not decide."""

    number: int
    name: str
    duty: str
    span: str
    asked_by: str
    own: bool


@get("/{code:str}/staff", opt=route("account.list", ANY, PURPOSE), include_in_schema=False)
async def listing(request: AnyRequest, code: str, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """Requests that wait, every account with its duties, and the form that asks for a duty."""
    return await _page(request, code, fleet, caller, Form(()))


@post("/{code:str}/staff/grants", opt=route("account.request", "account.manage", PURPOSE), include_in_schema=False)
async def ask(request: AnyRequest, code: str, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """権限の申請, once for one page however often it is sent."""
    given = form_of(request)
    form = Form(_fields([(no, no) for no in given.get("operator", ()) if no]), given)
    until = form.date("valid_until")
    day = until.to_date() if form.check() and until else None
    if day is None:
        return await _page(request, code, fleet, caller, form)

    async def act() -> int:
        async with operation(fleet, caller, "account.request", purpose=PURPOSE, right="account.manage") as op:
            return await grants.request(op.work, form.text("operator"), form.text("duty"), op.work.today, day)

    once: Once = request.app.state.once
    try:
        number = await once.run(page_key(caller.session_id, form), act)
    except JukiError as error:
        return await _refused(request, code, fleet, caller, form, error)
    return go(f"/{code}/staff", done="duty_requested", no=number)


@post(
    "/{code:str}/staff/grants/{grant_no:int}/{decision:str}",
    opt=route("account.decide", "account.approve", PURPOSE),
    include_in_schema=False,
)
async def decide(
    request: AnyRequest, code: str, grant_no: int, decision: str, fleet: Fleet, caller: Caller
) -> Response[bytes]:
    """権限の承認又は却下, by somebody who neither asked nor would hold it."""
    if decision not in ("approve", "refuse"):
        raise NotFound
    approve = decision == "approve"
    try:
        async with operation(fleet, caller, "account.decide", purpose=PURPOSE, right="account.approve") as op:
            await grants.decide(op.work, grant_no, approve=approve)
    except JukiError as error:
        return await _refused(request, code, fleet, caller, Form(()), error)
    return go(f"/{code}/staff", done="duty_granted" if approve else "duty_refused", no=grant_no)


@post(
    "/{code:str}/staff/{operator_id:str}/suspend",
    opt=route("account.suspend", "account.manage", PURPOSE),
    include_in_schema=False,
)
async def suspend(request: AnyRequest, code: str, operator_id: str, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """停止, at once and with a reason; an open session ends."""
    form = Form((), form_of(request))
    if not form.text("reason"):
        form.wrong("form", "停止の理由が入力されていません。理由を入力して、もう一度停止してください。")
        return await _page(request, code, fleet, caller, form)
    try:
        async with operation(fleet, caller, "account.suspend", purpose=PURPOSE, right="account.manage") as op:
            if operator_id == caller.actor_id:
                raise Refused("access.own_account", "nobody suspends the own account")
            await accounts.suspend(op.work, operator_id, form.text("reason")[:100])
    except JukiError as error:
        return await _refused(request, code, fleet, caller, form, error)
    return go(f"/{code}/staff", done="stopped")


@post(
    "/{code:str}/staff/{operator_id:str}/reopen",
    opt=route("account.reopen", "account.manage", PURPOSE),
    include_in_schema=False,
)
async def reopen(request: AnyRequest, code: str, operator_id: str, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """停止解除."""
    try:
        async with operation(fleet, caller, "account.reopen", purpose=PURPOSE, right="account.manage") as op:
            await accounts.reopen(op.work, operator_id)
    except JukiError as error:
        return await _refused(request, code, fleet, caller, Form(()), error)
    return go(f"/{code}/staff", done="reopened")


async def _refused(
    request: AnyRequest, code: str, fleet: Fleet, caller: Caller, form: Form, error: JukiError
) -> Response[bytes]:
    if error.status >= 500:
        raise error
    form.wrong("form", text_of(error.code, error.status))
    return await _page(request, code, fleet, caller, form)


async def _page(request: AnyRequest, code: str, fleet: Fleet, caller: Caller, form: Form) -> Response[bytes]:
    tenant = await fleet.tenant(code)
    async with operation(fleet, caller, "account.list", purpose=PURPOSE, write=False) as op:
        persons = [_person(line, caller, tenant) for line in await accounts.review(op.work)]
        asked = await _asked(op)
    form.fields = _fields([(p.operator_id, f"{p.name}（{p.login}）") for p in persons])
    form.put("form_key", new_number())
    context: dict[str, Any] = {
        "asked": asked,
        "persons": persons,
        "form": form,
        "may_ask": caller.may("account.manage"),
        "may_decide": caller.may("account.approve"),
    }
    status = 422 if form.errors else 200
    return render(request, "staff.html", "操作者と権限", context, tenant=tenant, here="/staff", status=status)


async def _asked(op: Operation) -> list[Asked]:
    waiting = await grants.requests(op.work)
    names = await clerks.names(op, [who for g in waiting for who in (g.operator_id, g.requested_by)])
    return [
        Asked(
            number=g.grant_no,
            name=names[g.operator_id],
            duty=g.duty,
            span=f"{_day(g.valid_from)}から{_day(g.valid_until)}まで",
            asked_by=names[g.requested_by],
            own=op.caller.actor_id in (g.operator_id, g.requested_by),
        )
        for g in waiting
    ]


def _person(line: accounts.ReviewLine, caller: Caller, tenant: Tenant) -> Person:
    offices = {d.code: d.name for d in tenant.settings.departments}
    suspended = line.state == "suspended"
    return Person(
        operator_id=line.operator_id,
        login=line.login_name,
        name=line.name,
        office=offices.get(line.office, line.office),
        duties="・".join(line.duties) or "なし",
        state=STATES.get(line.state, line.state),
        look="stop" if suspended else "good",
        suspended=suspended,
        own=line.operator_id == caller.actor_id,
        overdue=line.overdue,
    )


def _fields(people: Sequence[tuple[str, str]]) -> list[Field]:
    return [
        Field(name="operator", label="操作者", kind="select", required=True, options=people, width="m"),
        Field(name="duty", label="事務", kind="select", required=True, options=[(n, n) for n in duties()], width="s"),
        Field(name="valid_until", label="いつまで", kind="date", required=True, width="s", hint="長くて1年"),
    ]


def _day(value: dt.date) -> str:
    return words.day(dates.from_date(value))


routes: Final = [listing, ask, decide, suspend, reopen]
