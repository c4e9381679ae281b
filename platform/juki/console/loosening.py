"""緩和の承認: what waits for a second person, who approves it or declines it with a reason; whoever asked may withdraw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from litestar import Response, get, post

from juki import registry
from juki.access import Caller
from juki.audit import Operation, operation
from juki.console import clerks, kept, words
from juki.console.form import Field, Form
from juki.console.page import go, render
from juki.console.person import ASKED, suppression_line
from juki.console.protection import RIGHT, told, whose
from juki.console.table import Cell, Table
from juki.problem import Conflict, Invalid, JukiError, Refused
from juki.registry import LooseningView
from juki.registry.model import LooseningKind, LooseningState
from juki.tenancy import Fleet
from juki.web import AnyRequest, form_of, route, text_of

PURPOSE: Final = "支援措置・抑止の申請の承認"
HERE: Final = "/protection/loosenings"
STATES: Final = {
    LooseningState.ASKED: "承認待ち",
    LooseningState.APPROVED: "承認済み",
    LooseningState.DECLINED: "却下",
    LooseningState.WITHDRAWN: "取下げ",
}
_NOBODY: Final[dict[str, Any]] = {"person": None, "notices": []}
_LOOKS: Final = {LooseningState.ASKED: "warn", LooseningState.APPROVED: "good"}
_STEPS: Final = STATES | {LooseningState.ASKED: "申請", LooseningState.APPROVED: "承認"}
_STALE: Final = "内容が変わり承認できません"
_REASON: Final = Field(name="reason", label="却下の理由", required=True, width="l", max=300)
_EFFECT: Final = {
    LooseningKind.END: "承認すると、この支援措置はすぐに終了し、対象者の住民票の写しなどを本人以外にも交付できるようになります。",
    LooseningKind.NARROW: "承認すると、下の「変更前」にあって「変更後」にない支援は、すぐに行われなくなります。",
    LooseningKind.RELEASE: "承認すると、この抑止はすぐに解除され、元に戻りません。",
}


@get("/{code:str}/protection/loosenings", opt=route("protection.asks", RIGHT, PURPOSE), include_in_schema=False)
async def queue(request: AnyRequest, code: str, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """承認待ちの一覧, oldest first."""
    async with operation(fleet, caller, "protection.asks", purpose=PURPOSE, right=RIGHT, write=False) as op:
        views = await registry.loosenings(op)
        names = await _names(op, views)
    table = Table(
        title="承認を待つ申請",
        heads=("申請番号", "状態", "申請の内容", "対象者", "申請者", "申請日時"),
        rows=[_line(view, names) for view in views],
        empty="承認を待つ申請はありません。支援措置の終了・縮小と抑止の解除は、対象者の画面から申請します。",
    )
    lead = "支援措置の終了・縮小と抑止の解除は、申請した職員とは別の職員が承認すると有効になります。"
    context = {"tables": [table], "form": None, "acts": [], "lead": lead}
    tenant = await fleet.tenant(code)
    return render(request, "list.html", "支援措置・抑止の承認待ち", context, tenant=tenant, here=HERE)


@get(
    "/{code:str}/protection/loosenings/{loosening_no:int}",
    opt=route("protection.ask", RIGHT, PURPOSE),
    include_in_schema=False,
)
async def show(request: AnyRequest, code: str, loosening_no: int, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """One ask: of whom, why, what would change, and its course."""
    form = await kept.form_of(request, fleet, caller)
    return await _page(request, code, loosening_no, fleet, caller, form or Form(()))


@post(
    "/{code:str}/protection/loosenings/{loosening_no:int}/approve",
    opt=route("protection.approve", RIGHT, PURPOSE),
    include_in_schema=False,
)
async def approve(request: AnyRequest, code: str, loosening_no: int, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """承認 by another person than the one who asked."""
    try:
        async with operation(fleet, caller, "protection.approve", purpose=PURPOSE, right=RIGHT) as op:
            await registry.approve_loosening(op, loosening_no)
    except (Conflict, Refused) as error:
        return await _with_error(code, loosening_no, fleet, caller, Form(()), error)
    return go(f"/{code}{HERE}/{loosening_no}", done="loosening_approved", no=loosening_no)


@post(
    "/{code:str}/protection/loosenings/{loosening_no:int}/decline",
    opt=route("protection.decline", RIGHT, PURPOSE),
    include_in_schema=False,
)
async def decline(request: AnyRequest, code: str, loosening_no: int, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """却下 with a reason."""
    form = Form((_REASON,), form_of(request))
    if not form.check():
        return await kept.show_again(fleet, caller, f"/{code}{HERE}/{loosening_no}", form)
    try:
        async with operation(fleet, caller, "protection.decline", purpose=PURPOSE, right=RIGHT) as op:
            await registry.decline_loosening(op, loosening_no, form.text("reason"))
    except (Conflict, Refused, Invalid) as error:
        return await _with_error(code, loosening_no, fleet, caller, form, error)
    return go(f"/{code}{HERE}/{loosening_no}", done="loosening_declined", no=loosening_no)


@post(
    "/{code:str}/protection/loosenings/{loosening_no:int}/withdraw",
    opt=route("protection.withdraw", RIGHT, PURPOSE),
    include_in_schema=False,
)
async def withdraw(request: AnyRequest, code: str, loosening_no: int, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """取下げ by whoever asked."""
    try:
        async with operation(fleet, caller, "protection.withdraw", purpose=PURPOSE, right=RIGHT) as op:
            await registry.withdraw_loosening(op, loosening_no)
    except (Conflict, Refused) as error:
        return await _with_error(code, loosening_no, fleet, caller, Form(()), error)
    return go(f"/{code}{HERE}/{loosening_no}", done="loosening_withdrawn", no=loosening_no)


async def _with_error(
    code: str, loosening_no: int, fleet: Fleet, caller: Caller, form: Form, error: JukiError
) -> Response[bytes]:
    form.wrong("form", text_of(error.code, error.status, error.facts))
    return await kept.show_again(fleet, caller, f"/{code}{HERE}/{loosening_no}", form)


async def _page(
    request: AnyRequest, code: str, loosening_no: int, fleet: Fleet, caller: Caller, form: Form
) -> Response[bytes]:
    async with operation(fleet, caller, "protection.ask", purpose=PURPOSE, right=RIGHT, write=False) as op:
        view = await registry.loosening(op, loosening_no)
        names = await _names(op, [view])
        shown = await whose(op, _subjects(view)[0]) if _subjects(view) else _NOBODY
    asked = view.loosening
    form.fields = [_REASON]
    context: dict[str, Any] = {
        **shown,
        "loosening_no": loosening_no,
        "state": STATES[asked.state],
        "look": _LOOKS.get(asked.state, "gone"),
        "what": f"{_whose(view, names)}の{ASKED[asked.kind]}",
        "effect": _EFFECT[asked.kind] if view.may_approve else "",
        "stale": asked.stale,
        "persons": [(a, names.get(a, a)) for a in _subjects(view)],
        "measure_no": asked.measure_no,
        "said": _said(view, names),
        "changes": _changes(view, names),
        "own": view.own,
        "may_approve": view.may_approve,
        "may_decline": view.may_decline,
        "may_withdraw": view.may_withdraw,
        "form": form,
        "reason": _REASON,
    }
    status = 422 if form.errors else 200
    title = f"申請 {loosening_no}　{ASKED[asked.kind]}"
    tenant = await fleet.tenant(code)
    return render(request, "loosening.html", title, context, tenant=tenant, here=HERE, status=status)


async def _names(op: Operation, views: Sequence[LooseningView]) -> dict[str, str]:
    """氏名 of everyone concerned and of the clerks."""
    persons = list(dict.fromkeys(a for view in views for a in _subjects(view)))
    found = await registry.current(op, persons, ("basic",)) if persons else {}
    staff = [step.done_by for view in views for step in view.loosening.steps]
    return await clerks.names(op, staff) | {a: r.basic.name for a, r in found.items() if r.basic}


def _subjects(view: LooseningView) -> tuple[str, ...]:
    if view.measure is not None:
        return tuple(a for a in (view.measure.content.atena_no, *view.measure.content.protected_with) if a)
    return (view.suppression.atena_no,) if view.suppression else ()


def _whose(view: LooseningView, names: Mapping[str, str]) -> str:
    if view.measure is not None:
        return view.measure.content.name
    return "、".join(names.get(a, a) for a in _subjects(view))


def _line(view: LooseningView, names: Mapping[str, str]) -> list[str | Cell]:
    asked = view.loosening
    state = _STALE if asked.stale else "自分の申請" if view.own else STATES[asked.state]
    return [
        Cell(str(asked.loosening_no), path=f"{HERE}/{asked.loosening_no}"),
        Cell(state, look="gone" if asked.stale else "blue" if view.own else "warn"),
        ASKED[asked.kind],
        _whose(view, names),
        names.get(asked.asked_by, asked.asked_by),
        words.instant(asked.asked_at),
    ]


def _said(view: LooseningView, names: Mapping[str, str]) -> list[tuple[str, str]]:
    asked = view.loosening
    found = [("抑止", suppression_line(view.suppression))] if view.suppression else []
    found.append(("理由", asked.asked.reason))
    for step in asked.steps:
        parts = (names.get(step.done_by, step.done_by), words.instant(step.done_at), step.comment)
        found.append((_STEPS[step.state], "　".join(part for part in parts if part)))
    return [*found, ("申請した端末", asked.terminal)]


def _changes(view: LooseningView, names: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """(item, before, after) of a 縮小."""
    measure, after = view.measure, view.loosening.asked.content
    if measure is None or after is None:
        return []
    pairs = [(told(name, measure.content, names), told(name, after, names)) for name in view.items]
    return [(label, before, then) for (label, before), (_, then) in pairs]


routes: Final = [queue, show, approve, decline, withdraw]
