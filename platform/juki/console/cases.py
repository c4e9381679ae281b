"""照合: what waits, the paper's fields again without seeing them, then 本登録 or back with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from litestar import Response, get, post

from juki import registry
from juki.access import Caller
from juki.audit import Operation, operation
from juki.console import clerks, kept, procedures, sections, words
from juki.console.compare import side_by_side
from juki.console.form import Field, Form
from juki.console.page import go, render
from juki.console.person import Notice, notices_of
from juki.console.whose import whose
from juki.problem import Conflict, Invalid, JukiError
from juki.registry import CaseSummary, CaseView
from juki.registry.model import MoveIn, reason_name
from juki.tenancy import Fleet
from juki.web import AnyRequest, form_of, route, text_of

PURPOSE: Final = "仮登録の照合"
STATES: Final = {"entered": "照合待ち", "handed_back": "差戻し", "confirmed": "本登録済み", "withdrawn": "取下げ"}
_STEPS: Final = {"entered": "仮登録", "handed_back": "差戻し", "confirmed": "本登録", "withdrawn": "取下げ"}
_LOOKS: Final = {"entered": "blue", "handed_back": "warn", "confirmed": "good", "withdrawn": "gone"}
_REASON: Final = Field(name="comment", label="理由", required=True, width="l", max=300)
_LEAVES: Final = {
    "birth": "生年月日",
    "my_number": "個人番号",
    "resident_code": "住民票コード",
    "occurred_on": "異動日",
    "notified_on": "届出日",
}

_COUNTS: Final = {"my_number": "12桁", "resident_code": "11桁"}
_ITEMS: Final = {item.path: item.label for section in sections.SECTIONS for item in section.items}


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the queue."""

    case_no: int
    reason: str
    form_no: str
    who: str
    entered_by: str
    entered_at: str
    own: bool
    state: str
    look: str
    open: bool = False


@get("/{code:str}/cases", opt=route("change.queue", "change.enter|change.confirm", PURPOSE), include_in_schema=False)
async def queue(request: AnyRequest, code: str, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """照合待ちの一覧, oldest first, and 確認通知の対象 (R-1-3.2-IDV-01), newest first."""
    async with operation(fleet, caller, "change.queue", purpose=PURPOSE, write=False) as op:
        waiting, noticed = await registry.queue(op), await registry.identity_notices(op)
        listed = (*waiting, *noticed)
        names = await _names(op, [no for case in listed for no in case.about])
        names |= await clerks.names(op, [case.entered_by for case in listed])
    context = {
        "cases": [_line(c, caller, names) for c in waiting],
        "notices": [_line(c, caller, names) for c in noticed],
    }
    return render(request, "cases.html", "照合待ち", context, tenant=await fleet.tenant(code), here="/cases")


@get(
    "/{code:str}/cases/{case_no:int}",
    opt=route("change.case", "change.enter|change.confirm", PURPOSE),
    include_in_schema=False,
)
async def show(request: AnyRequest, code: str, case_no: int, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """One 仮登録: for its second person without the dates and numbers, for the first as entered."""
    return await _page(request, code, case_no, fleet, caller, await kept.form_of(request, fleet, caller))


@post(
    "/{code:str}/cases/{case_no:int}/confirm", opt=route("change.confirm", "change.confirm", PURPOSE), include_in_schema=False
)  # fmt: skip
async def confirm(request: AnyRequest, code: str, case_no: int, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """本登録 where everything typed again agrees (R-12-3.2-QUA-01)."""
    form = Form((), form_of(request))
    typed = {
        name.removeprefix("again:"): values[0] for name, values in form_of(request).items() if name[:6] == "again:"
    }
    try:
        async with operation(fleet, caller, "change.confirm", purpose=PURPOSE, right="change.confirm") as op:
            done = await registry.confirm(op, case_no, typed)
    except Invalid as error:
        for path, rule in (error.fields or {"form": error.code}).items():
            again = path in typed
            form.wrong(
                f"again:{path}" if again else "form", text_of(rule, 422) if again else procedures.sentence(path, rule)
            )
        return await kept.show_again(fleet, caller, f"/{code}/cases/{case_no}", form)
    except Conflict as error:
        form.wrong("form", text_of(error.code, 409))
        return await kept.show_again(fleet, caller, f"/{code}/cases/{case_no}", form)
    new = ".".join(done.new_atena_nos)
    return go(f"/{code}/cases/{case_no}", done="confirmed", no=done.event_no, new=new)


@post(
    "/{code:str}/cases/{case_no:int}/hand-back",
    opt=route("change.hand_back", "change.confirm", PURPOSE),
    include_in_schema=False,
)
async def hand_back(request: AnyRequest, code: str, case_no: int, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """差戻し to whoever entered it, with a reason."""
    form = Form((_REASON,), form_of(request))
    if not form.check():
        return await kept.show_again(fleet, caller, f"/{code}/cases/{case_no}", form)
    try:
        async with operation(fleet, caller, "change.hand_back", purpose=PURPOSE, right="change.confirm") as op:
            await registry.hand_back(op, case_no, form.text("comment"))
    except (Invalid, Conflict) as error:
        return await _with_error(code, case_no, fleet, caller, form, error)
    return go(f"/{code}/cases", done="handed_back", no=case_no)


@post(
    "/{code:str}/cases/{case_no:int}/withdraw",
    opt=route("change.withdraw", "change.enter", PURPOSE),
    include_in_schema=False,
)
async def withdraw(request: AnyRequest, code: str, case_no: int, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """取下げ by whoever entered it."""
    form = Form((_REASON,), form_of(request))
    if not form.check():
        return await kept.show_again(fleet, caller, f"/{code}/cases/{case_no}", form)
    try:
        async with operation(fleet, caller, "change.withdraw", purpose=PURPOSE, right="change.enter") as op:
            await registry.withdraw(op, case_no, form.text("comment"))
    except (Invalid, Conflict) as error:
        return await _with_error(code, case_no, fleet, caller, form, error)
    return go(f"/{code}/cases", done="withdrawn", no=case_no)


async def _with_error(
    code: str, case_no: int, fleet: Fleet, caller: Caller, form: Form, error: JukiError
) -> Response[bytes]:
    form.wrong("form", text_of(error.code, error.status))
    return await kept.show_again(fleet, caller, f"/{code}/cases/{case_no}", form)


async def _page(
    request: AnyRequest, code: str, case_no: int, fleet: Fleet, caller: Caller, given: Form | None
) -> Response[bytes]:
    async with operation(fleet, caller, "change.case", purpose=PURPOSE, write=False) as op:
        view = await registry.case(op, case_no)
        known = [*view.summary.about, *_new_ones(request)]
        names = await _names(op, known)
        names |= await clerks.names(op, [view.summary.entered_by, *(step.done_by for step in view.steps)])
        held = await registry.protections(op, view.summary.atena_nos)
        about = await whose(op, view.change, (*view.findings.errors, *view.findings.alerts))
    form = given or Form(())
    again = [_again(path, view, n == 0) for n, path in enumerate(sorted(view.reentry, key=_whole_first))]
    form.fields = [*again, _REASON]
    line = _line(view.summary, caller, names)
    blind = view.summary.may_confirm
    context = {
        "case": line,
        "persons": [(no, names[no]) for no in dict.fromkeys(known) if no in names]
        if caller.may("resident.read")
        else [],
        "anew": line.own and view.summary.state == "handed_back" and _anew(view),
        "said": [
            ("届出人", view.reception.notifier),
            *([("留意事項", view.change.remarks)] if view.change.remarks else []),
            *_passed(view),
            *_steps(view, names),
        ],
        "form": form,
        "again": [field.name for field in again],
        "errors": [procedures.sentence(f.field, f.code, about) for f in view.findings.errors],
        "alerts": [procedures.sentence(f.field, f.code, about) for f in view.findings.alerts],
        "people": side_by_side(view.before, view.after, blind=blind),
        "can_confirm": view.summary.may_confirm,
        "reason": _REASON,
        "notices": _once([n for p in held.values() for n in notices_of(p)]),
    }
    title = f"仮登録 {case_no}　{line.reason}"
    tenant = await fleet.tenant(code)
    return render(
        request, "case.html", title, context, tenant=tenant, here="/cases", status=422 if form.errors else 200
    )


def _anew(view: CaseView) -> bool:
    return procedures.refilled(view.change, view.reception, view.summary.atena_nos) is not None


def _again(path: str, view: CaseView, first: bool) -> Field:
    """One blind field; 届出日 left blank at the counter means the day of entry, so it is asked for too."""
    leaf = path.rpartition(".")[2]
    label = _LEAVES.get(leaf, _ITEMS.get(path.removeprefix("items."), leaf))
    number = leaf in {"my_number", "resident_code"}
    return Field(
        name=f"again:{path}",
        label=label,
        group=_whose(path, view),
        kind="number" if number else "text",
        required=True,
        width="s",
        max=40,
        autofocus=first,
        hint=_COUNTS.get(leaf, "例: S55.4.1" if leaf == "birth" else "例: R8.11.20"),
    )


def _whole_first(path: str) -> tuple[str, ...]:
    """The order of the paper: the form's own dates, then everything of one person, then of the next."""
    head, _, rest = path.partition(".")
    number, _, _ = rest.partition(".")
    return (number.zfill(2),) if head == "persons" else ("",)


def _new_ones(request: AnyRequest) -> list[str]:
    """宛名番号 that this confirmation gave out, as the address names them."""
    given = request.query_params.get("new", "").split(".")
    return [no for no in given[:12] if no.isascii() and no.isdigit() and len(no) <= 15]


def _whose(path: str, view: CaseView) -> str:
    parts = path.split(".")
    if parts[0] == "persons" and isinstance(view.change, MoveIn) and parts[1].isdecimal():
        return view.change.persons[int(parts[1])].name
    return "子" if parts[0] == "person" else ""


def _line(case: CaseSummary, caller: Caller, names: dict[str, str]) -> Waiting:
    return Waiting(
        case_no=case.case_no,
        reason=reason_name(case.reason),
        form_no=case.form_no,
        who="、".join(names.get(no, no) for no in case.about) or "新しく記載する人",
        entered_by=names.get(case.entered_by, case.entered_by),
        entered_at=words.instant(case.entered_at),
        own=case.entered_by == caller.actor_id,
        state=STATES.get(case.state, case.state),
        look=_LOOKS.get(case.state, ""),
        open=case.state in ("entered", "handed_back"),
    )


async def _names(op: Operation, atena_nos: Sequence[str]) -> dict[str, str]:
    found = await registry.current(op, list(dict.fromkeys(atena_nos)), ("basic",)) if atena_nos else {}
    return {no: record.basic.name for no, record in found.items() if record.basic}


def _passed(view: CaseView) -> list[tuple[str, str]]:
    return [("注意を確かめて進めた理由", why) for why in dict.fromkeys(view.acknowledged.values())]


def _steps(view: CaseView, names: dict[str, str]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for step in view.steps:
        text = f"{names.get(step.done_by, step.done_by)}　{words.instant(step.done_at)}"
        comment: Any = getattr(step, "comment", "")
        found.append((_STEPS.get(step.state, step.state), f"{text}　{comment}" if comment else text))
    return found


def _once(notices: list[Notice]) -> list[Notice]:
    return list({n.title: n for n in notices}.values())


routes: Final = [queue, show, confirm, hand_back, withdraw]
