"""抑止の設定と解除: the pages by which a process of one person is held back and let go."""

from __future__ import annotations

from typing import Final

from litestar import Response, get, post

from juki import dates, registry
from juki.access import Caller
from juki.audit import operation
from juki.console import kept, protection
from juki.console.form import Form
from juki.console.once import Once, page_key
from juki.console.page import go, render
from juki.console.person import suppression_line
from juki.console.suppression import FOR_GOOD, HOLD, RELEASE
from juki.problem import Conflict, NotFound, Refused
from juki.registry.model import Level, Process
from juki.tenancy import Fleet
from juki.web import AnyRequest, form_of, route, text_of

PURPOSE: Final = protection.PURPOSE
RIGHT: Final = "protection.enter"


@post(
    "/{code:str}/residents/{atena_no:str}/suppress",
    opt=route("protection.suppress", RIGHT, PURPOSE),
    include_in_schema=False,
)
async def suppress(request: AnyRequest, code: str, atena_no: str, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """抑止の設定 for one person from today, once for one page however often it is sent."""
    form = Form(HOLD, form_of(request))
    if not form.check():
        given = {**form.given, protection.HOLDING: ["1"]}
        return await kept.show(fleet, caller, f"/{code}/residents/{atena_no}/protection", given, wrong=form.errors)

    async def act() -> int:
        async with operation(fleet, caller, "protection.suppress", purpose=PURPOSE, right=RIGHT) as op:
            numbers = await registry.suppress(
                op,
                [atena_no],
                Process(form.text("process")),
                Level(form.text("level")),
                starts_on=dates.today_in_japan(op.now),
                reason=form.text("reason"),
            )
        return numbers[0]

    once: Once = request.app.state.once
    await once.run(page_key(caller.session_id, form), act)
    return go(f"/{code}/residents/{atena_no}", done="suppressed")


@get(
    "/{code:str}/residents/{atena_no:str}/suppressions/{suppression_no:int}",
    opt=route("protection.form", RIGHT, PURPOSE),
    include_in_schema=False,
)
async def release_page(
    request: AnyRequest, code: str, atena_no: str, suppression_no: int, fleet: Fleet, caller: Caller
) -> Response[bytes]:
    """The form for letting one 抑止 go."""
    form = await kept.form_of(request, fleet, caller, RELEASE)
    return await _page(request, code, atena_no, suppression_no, fleet, caller, form or Form(RELEASE))


@post(
    "/{code:str}/residents/{atena_no:str}/suppressions/{suppression_no:int}",
    opt=route("protection.release", RIGHT, PURPOSE),
    include_in_schema=False,
)
async def release(
    request: AnyRequest, code: str, atena_no: str, suppression_no: int, fleet: Fleet, caller: Caller
) -> Response[bytes]:
    """抑止の一時解除 with a reason, or 解除の申請 for good."""
    form = Form(RELEASE, form_of(request))
    if not form.check():
        return await kept.show_again(fleet, caller, request.url.path, form)
    try:
        if form.text("minutes") == FOR_GOOD:
            return await _ask(code, atena_no, suppression_no, fleet, caller, form)
        async with operation(fleet, caller, "protection.release", purpose=PURPOSE, right=RIGHT) as op:
            minutes = int(form.text("minutes"))
            await registry.release(op, atena_no, suppression_no, minutes=minutes, reason=form.text("reason"))
    except (Conflict, Refused) as error:
        form.wrong("form", text_of(error.code, error.status, error.facts))
        return await kept.show_again(fleet, caller, request.url.path, form)
    return go(f"/{code}/residents/{atena_no}", done="released")


async def _ask(
    code: str, atena_no: str, suppression_no: int, fleet: Fleet, caller: Caller, form: Form
) -> Response[bytes]:
    async with operation(fleet, caller, "protection.ask_release", purpose=PURPOSE, right=RIGHT) as op:
        number = await registry.ask_release(op, atena_no, suppression_no, form.text("reason"))
    return go(f"/{code}/residents/{atena_no}", done="release_asked", no=number)


async def _page(
    request: AnyRequest, code: str, atena_no: str, suppression_no: int, fleet: Fleet, caller: Caller, form: Form
) -> Response[bytes]:
    async with operation(fleet, caller, "protection.form", purpose=PURPOSE, right=RIGHT, write=False) as op:
        record = await registry.record(op, atena_no, groups=("basic",))
        held = next((s for s in await registry.suppressions(op, atena_no) if s.suppression_no == suppression_no), None)
    if held is None:
        raise NotFound("registry.unknown_suppression", "no such suppression")
    name = record.basic.name if record.basic else atena_no
    context = {
        "form": form,
        "lead": [f"{name}（宛名番号 {atena_no}）　{suppression_line(held)}"],
        "action": f"/{code}/residents/{atena_no}/suppressions/{suppression_no}",
        "hidden": [],
        "button": "解除する（この先ずっとのときは申請する）",
        "back": f"/{code}/residents/{atena_no}",
    }
    status = 422 if form.errors else 200
    return render(request, "simple.html", "抑止の解除", context, tenant=await fleet.tenant(code), status=status)


routes: Final = [suppress, release_page, release]
