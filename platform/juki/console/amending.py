"""支援措置の変更: what is added holds at once; what is taken away is asked for with a reason, on one and the same form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from litestar import Response, get, post

from juki import registry
from juki.access import Caller
from juki.audit import Operation, operation
from juki.console import kept
from juki.console.form import Field, Form, new_number
from juki.console.once import Once, page_key
from juki.console.page import go, render
from juki.console.protection import PURPOSE, RIGHT, TEXTS, WISHES, whose
from juki.problem import Conflict, Invalid
from juki.registry.model import Measure, SupportMeasure, Wish
from juki.tenancy import Fleet
from juki.web import AnyRequest, form_of, route, text_of


@get(
    "/{code:str}/protection/{measure_no:int}/amend",
    opt=route("protection.form", RIGHT, PURPOSE),
    include_in_schema=False,
)
async def page(request: AnyRequest, code: str, measure_no: int, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """The items of the measure as they now read, to be changed."""
    return await _page(request, code, measure_no, fleet, caller, await kept.form_of(request, fleet, caller))


@post(
    "/{code:str}/protection/{measure_no:int}/amend",
    opt=route("protection.amend", RIGHT, PURPOSE),
    include_in_schema=False,
)
async def amend(request: AnyRequest, code: str, measure_no: int, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """支援措置の変更, once for one page; with a reason it may also ask for less, and the log calls it so."""
    given = form_of(request)
    form = Form(_fields([(no, no) for no in given.get("with", ())]), given)
    action = "protection.ask_narrow" if form.text("reason") else "protection.amend"

    async def act() -> int:
        async with operation(fleet, caller, action, purpose=PURPOSE, right=RIGHT) as op:
            now = (await registry.measure_history(op, measure_no))[-1]
            content = _content(now.content, form)
            done = await registry.amend_protection(op, measure_no, content, reason=form.text("reason"))
            return done.loosening_no or 0

    if form.check():
        once: Once = request.app.state.once
        try:
            asked = await once.run(page_key(caller.session_id, form), act)
            done, number = ("narrow_asked", asked) if asked else ("amended", measure_no)
            return go(f"/{code}/protection/{measure_no}", done=done, no=number)
        except Invalid as error:
            form.take(error)
        except Conflict as error:
            form.wrong("form", text_of(error.code, error.status, error.facts))
    return await kept.show_again(fleet, caller, f"/{code}/protection/{measure_no}/amend", form)


async def _page(
    request: AnyRequest, code: str, measure_no: int, fleet: Fleet, caller: Caller, form: Form | None
) -> Response[bytes]:
    async with operation(fleet, caller, "protection.form", purpose=PURPOSE, right=RIGHT, write=False) as op:
        now = (await registry.measure_history(op, measure_no))[-1]
        others = await _others(op, now)
        shown = await whose(op, now.content.atena_no)
    form = form or Form((), _given(now.content))
    form.fields = _fields(others)
    form.replace("form_key", [new_number()])
    context: dict[str, Any] = {
        **shown,
        "form": form,
        "lead": [
            f"{now.content.name}の支援措置です。希望・対象者・記述を増やす変更は、すぐに有効になります。",
            "減らす変更は、理由を入力して申請します。ほかの職員が承認するまで、減らす部分は変わりません。",
        ],
        "action": f"/{code}/protection/{measure_no}/amend",
        "hidden": [("form_key", str(form.value("form_key")))],
        "button": f"支援措置 {measure_no} を変更する（減らす部分は申請する）",
        "back": f"/{code}/protection/{measure_no}",
    }
    status = 422 if form.errors else 200
    title = f"支援措置 {measure_no} の変更"
    tenant = await fleet.tenant(code)
    return render(request, "simple.html", title, context, tenant=tenant, here="/protection", status=status)


async def _others(op: Operation, now: Measure) -> list[tuple[str, str]]:
    """Whom the measure may protect along: those it protects now and the rest of the household."""
    record = await registry.record(op, now.content.atena_no, groups=("basic",))
    home = await registry.household(op, record.setai_no, groups=("basic",))
    along = await registry.current(op, now.content.protected_with, ("basic",))
    people = [*along.values(), *home.members]
    return list({r.atena_no: r.basic.name for r in people if r.basic and r.atena_no != now.content.atena_no}.items())


def _fields(others: Sequence[tuple[str, str]]) -> list[Field]:
    asked = [Field(name="wishes", label="希望する支援措置", kind="checks", options=WISHES)]
    if others:
        asked.append(Field(name="with", label="併せて支援を求める者", kind="checks", options=others))
    asked += [Field(name=name, label=label, width="l", max=300) for name, label in TEXTS]
    asked.append(Field(name="reason", label="支援を減らす理由", width="l", max=300, hint="減らす変更があるときだけ"))
    return asked


def _given(content: SupportMeasure) -> dict[str, list[str]]:
    """The form as it reads before anybody changed it."""
    texts = {name: [str(getattr(content, name))] for name, _ in TEXTS}
    wanted = [name for name, _ in WISHES if getattr(content, name).wanted]
    return texts | {"wishes": wanted, "with": list(content.protected_with)}


def _content(now: SupportMeasure, form: Form) -> SupportMeasure:
    """The measure with what the form says; a place beside a wish stays."""
    wanted = set(form.texts("wishes"))
    wishes = {name: Wish(wanted=name in wanted, place=getattr(now, name).place) for name, _ in WISHES}
    kept = tuple(a for a in now.protected_with if a in form.texts("with"))
    joining = tuple(a for a in form.texts("with") if a not in now.protected_with)
    texts = {name: form.text(name) for name, _ in TEXTS}
    return msgspec.structs.replace(now, **wishes, **texts, protected_with=(*kept, *joining))


routes: Final = [page, amend]
