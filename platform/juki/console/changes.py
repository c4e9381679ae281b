"""異動の入力: one page per step of the paper form, the rules beside the field, before and after, then 仮登録."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from litestar import Response, get, post

from juki import registry
from juki.access import Caller
from juki.audit import Operation, operation
from juki.console import kept, procedures, purpose, sections, words
from juki.console.compare import side_by_side
from juki.console.form import Field, Form, new_number
from juki.console.once import Once, page_key
from juki.console.page import go, render
from juki.console.person import notices_of, person_of
from juki.console.procedures import LAST, PROCEDURES, About, Member, Procedure, Step
from juki.console.whose import whose
from juki.problem import Conflict, Invalid, NotFound
from juki.registry.model import Household, Record, Status, Version, reason_name
from juki.tenancy import Fleet
from juki.web import AnyRequest, form_of, purpose_of, route

RIGHT: Final = "change.enter"
_REASON: Final = Field(
    name="alert_reason",
    label="注意を確かめて進める理由",
    required=True,
    width="l",
    max=200,
    hint="仮登録とともに残ります",
)
_GIVE_REASON, _REFUSED = "reason", "refused"
"""Asked for by us, not by a button: the review, held up by an alert without a reason, and the page of what was refused."""
_CARRY_NOT: Final = ("step", "alert_reason")


class Desk(msgspec.Struct, kw_only=True):
    """One form under way: whose, which page, and what was given so far."""

    code: str
    procedure: Procedure
    about: About
    form: Form
    person: dict[str, Any]
    steps: list[Step]
    at: int = 0
    replaces: int | None = None  # the case handed back that this entry takes the place of

    @property
    def action(self) -> str:
        """Where the form is sent."""
        head = f"/{self.code}/residents/{self.about.atena_no}" if self.about.atena_no else f"/{self.code}"
        return f"{head}/changes/{self.procedure.slug}"

    @property
    def back(self) -> str:
        """Where giving up leads."""
        return f"/{self.code}/residents/{self.about.atena_no}" if self.about.atena_no else f"/{self.code}/"

    @property
    def titles(self) -> list[str]:
        """The pages of the form with the last one, which is ours."""
        return [*(step.title for step in self.steps), LAST]


@get("/{code:str}/changes/{slug:str}", opt=route("change.form", RIGHT), include_in_schema=False)
async def start_new(request: AnyRequest, code: str, slug: str, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """A form that starts from nobody: 転入."""
    return await _start(request, code, slug, "", fleet, caller)


@post("/{code:str}/changes/{slug:str}", opt=route("change.enter", RIGHT), include_in_schema=False)
async def step_new(request: AnyRequest, code: str, slug: str, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """One page of it given."""
    return await _step(request, code, slug, "", fleet, caller)


@get("/{code:str}/residents/{atena_no:str}/changes", opt=route("change.choose", RIGHT), include_in_schema=False)
async def choose(request: AnyRequest, code: str, atena_no: str, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """Which 異動 of this person."""
    if not purpose_of(request):
        return purpose.ask(code, f"/{code}/residents/{atena_no}/changes")
    async with operation(fleet, caller, "change.choose", purpose=purpose_of(request), right=RIGHT, write=False) as op:
        record = await registry.record(op, atena_no, groups=("basic", "address"))
        held = await registry.protection(op, atena_no)
        waiting = bool(await registry.under_change(op, [atena_no]))
    living = record.status is Status.RESIDENT
    offered = [p for p in PROCEDURES.values() if p.slug != "move-in" and (living or p.slug in ("correct", "cancel"))]
    context = {
        "person": person_of(record),
        "notices": notices_of(held, under_change=waiting),
        "offered": [(f"/{code}/residents/{atena_no}/changes/{p.slug}", p.title) for p in offered],
    }
    return render(request, "choose.html", "異動の選択", context, tenant=await fleet.tenant(code))


@get(
    "/{code:str}/residents/{atena_no:str}/changes/{slug:str}",
    opt=route("change.form", RIGHT),
    include_in_schema=False,
)
async def start(
    request: AnyRequest, code: str, atena_no: str, slug: str, fleet: Fleet, caller: Caller
) -> Response[bytes]:
    """The first page of a form about one person."""
    return await _start(request, code, slug, atena_no, fleet, caller)


@post(
    "/{code:str}/residents/{atena_no:str}/changes/{slug:str}",
    opt=route("change.enter", RIGHT),
    include_in_schema=False,
)
async def step(
    request: AnyRequest, code: str, atena_no: str, slug: str, fleet: Fleet, caller: Caller
) -> Response[bytes]:
    """One page of it given."""
    return await _step(request, code, slug, atena_no, fleet, caller)


@get("/{code:str}/cases/{case_no:int}/again", opt=route("change.form", RIGHT), include_in_schema=False)
async def start_again(request: AnyRequest, code: str, case_no: int, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """差戻しの再入力: the form of one's own case that was handed back, filled as it was."""
    if not purpose_of(request):
        return purpose.ask(code, f"/{code}/cases/{case_no}/again")
    async with operation(fleet, caller, "change.case", purpose=purpose_of(request), right=RIGHT, write=False) as op:
        view = await registry.case(op, case_no)
    known = procedures.refilled(view.change, view.reception, view.summary.atena_nos)
    if known is None or view.summary.state != "handed_back" or view.summary.entered_by != caller.actor_id:
        raise NotFound
    form = Form((), {**known.values, "form_key": [new_number()]})
    return await _page(request, fleet, await _desk(request, code, known.slug, known.atena_no, fleet, caller, form))


async def _start(
    request: AnyRequest, code: str, slug: str, atena_no: str, fleet: Fleet, caller: Caller
) -> Response[bytes]:
    """The page of the form that was asked for, the first one where none was."""
    if not purpose_of(request):
        return purpose.ask(code, kept.here(request))
    form = await kept.form_of(request, fleet, caller)
    if form is not None:
        return await _turn(request, fleet, caller, await _desk(request, code, slug, atena_no, fleet, caller, form))
    form = Form(())
    form.put("form_key", new_number())
    desk = await _desk(request, code, slug, atena_no, fleet, caller, form)
    return await _page(request, fleet, desk)


async def _step(
    request: AnyRequest, code: str, slug: str, atena_no: str, fleet: Fleet, caller: Caller
) -> Response[bytes]:
    """仮登録 where that was pressed; every other button leads to a page that can be gone back to."""
    form = Form((), form_of(request))
    if form.text("go") != "save" or not purpose_of(request):
        return await kept.show(fleet, caller, request.url.path, _shown(form))
    return await _save(request, fleet, caller, await _desk(request, code, slug, atena_no, fleet, caller, form))


def _shown(form: Form, wish: str = "") -> dict[str, Sequence[str]]:
    """The form as the next page takes it; a page that is only looked at records nothing."""
    wished = wish or form.text("go")
    return {**form.given, "go": ["next" if wished == "save" else wished]}


async def _turn(request: AnyRequest, fleet: Fleet, caller: Caller, desk: Desk) -> Response[bytes]:
    """The page that a button leads to."""
    form = desk.form
    at = form.text("step")
    desk.at = min(int(at), len(desk.steps)) if at.isdecimal() else 0
    wish = form.text("go")
    if wish == _GIVE_REASON:
        form.fields = [_REASON]
        form.check()
        desk.at = len(desk.steps)
        return await _review(request, fleet, caller, desk)
    if wish == _REFUSED:
        return await _page_of_error(request, fleet, desk)
    if wish == "back":
        desk.at = max(desk.at - 1, 0)
        return await _page(request, fleet, desk)
    if wish == "drop" and procedures.persons_of(form) > 1:
        form.replace("persons", [str(procedures.persons_of(form) - 1)])
        desk.steps = desk.procedure.steps(desk.about, procedures.persons_of(form))
        desk.at = len(desk.steps) - 1
        return await _page(request, fleet, desk)
    return await _forward(request, fleet, caller, desk, add=wish == "add")


async def _forward(request: AnyRequest, fleet: Fleet, caller: Caller, desk: Desk, *, add: bool) -> Response[bytes]:
    """On to the next page where this one is in order."""
    form = desk.form
    if desk.at < len(desk.steps):
        form.fields = desk.steps[desk.at].fields
        if not form.check():
            return await _page(request, fleet, desk)
    if add and desk.procedure.grows and procedures.persons_of(form) < procedures.MAX_PERSONS:
        form.replace("persons", [str(procedures.persons_of(form) + 1)])
        desk.steps = desk.procedure.steps(desk.about, procedures.persons_of(form))
        desk.at = len(desk.steps) - 1
        return await _page(request, fleet, desk)
    desk.at += 1
    if desk.at < len(desk.steps):
        return await _page(request, fleet, desk)
    return await _review(request, fleet, caller, desk)


async def _review(request: AnyRequest, fleet: Fleet, caller: Caller, desk: Desk) -> Response[bytes]:
    """What the rules say, and before and after; an error leads back to the page of its field."""
    form = desk.form
    if not _whole(desk):
        return await _page(request, fleet, desk)
    try:
        change = desk.procedure.build(desk.about, form)
        async with operation(
            fleet, caller, "change.examine", purpose=purpose_of(request), right=RIGHT, write=False
        ) as op:
            paper = procedures.reception(form, caller.actor_id)
            desk.replaces = await _replaced(op, paper.form_no)
            seen = await registry.examine(op, change, paper, replaces=desk.replaces)
            about = await whose(op, seen.change, (*seen.findings.errors, *seen.findings.alerts))
    except (Invalid, Conflict) as error:
        procedures.place_problem(form, error)
        return await _page_of_error(request, fleet, desk)
    if seen.findings.errors:
        procedures.place_findings(form, {f.field or "form": f.code for f in seen.findings.errors}, about)
        return await _page_of_error(request, fleet, desk)
    people = side_by_side(seen.before, seen.after)
    alerts = [procedures.sentence(f.field, f.code, about) for f in seen.findings.alerts]
    return await _review_page(request, fleet, desk, alerts, people)


async def _save(request: AnyRequest, fleet: Fleet, caller: Caller, desk: Desk) -> Response[bytes]:
    """仮登録, once for one page however often it is sent."""
    form = desk.form
    if not _whole(desk):
        return await kept.show(fleet, caller, request.url.path, _shown(form))
    change = desk.procedure.build(desk.about, form)
    reception = procedures.reception(form, caller.actor_id)

    async def enter() -> int:
        async with operation(fleet, caller, "change.enter", purpose=purpose_of(request), right=RIGHT) as op:
            replaces = await _replaced(op, reception.form_no)
            seen = await registry.examine(op, change, reception, replaces=replaces)
            why = dict.fromkeys((a.code for a in seen.findings.alerts), form.text("alert_reason"))
            return await registry.enter(op, change, reception, acknowledged=why, replaces=replaces)

    once: Once = request.app.state.once
    try:
        number = await once.run(page_key(caller.session_id, form), enter)
    except (Invalid, Conflict) as error:
        if error.code == "registry.alerts_open":
            return await kept.show(fleet, caller, request.url.path, _shown(form, _GIVE_REASON))
        procedures.place_problem(form, error)
        return await kept.show(fleet, caller, request.url.path, _shown(form, _REFUSED), wrong=form.errors)
    return go(f"/{desk.code}/cases/{number}", done="entered", no=number)


async def _replaced(op: Operation, form_no: str) -> int | None:
    """差戻しの再入力: the same paper again takes the place of the case that was handed back."""
    use = await registry.form_use(op, form_no)
    return use.case_no if use is not None and use.state == "handed_back" else None


def _whole(desk: Desk) -> bool:
    """Every page again, for what comes back in hidden fields may have been changed on the way."""
    form = desk.form
    for at, page in enumerate(desk.steps):
        form.fields = page.fields
        if not form.check():
            desk.at = at
            return False
    form.fields = [f for page in desk.steps for f in page.fields]
    return True


async def _page_of_error(request: AnyRequest, fleet: Fleet, desk: Desk) -> Response[bytes]:
    """The first page that has a wrong field; what belongs to no field stands at the top."""
    wrong = set(desk.form.errors)
    for at, page in enumerate(desk.steps):
        if wrong & {f.name for f in page.fields}:
            desk.at = at
            break
    else:
        desk.at = len(desk.steps) - 1
        desk.form.errors = {"form": "　".join(dict.fromkeys(desk.form.errors.values()))}
    here = {f.name for f in desk.steps[desk.at].fields}
    others = [_elsewhere(desk, name, text) for name, text in desk.form.errors.items() if name not in {*here, "form"}]
    if others:
        desk.form.errors.setdefault("form", "　".join(dict.fromkeys(others)))
        desk.form.errors = {n: t for n, t in desk.form.errors.items() if n in here or n == "form"}
    return await _page(request, fleet, desk)


def _elsewhere(desk: Desk, name: str, text: str) -> str:
    """What is wrong on another page, with the page and the field it is wrong at."""
    for page in desk.steps:
        for field in page.fields:
            if field.name == name:
                return f"{page.title}の{field.label}: {text}"
    return text


async def _page(request: AnyRequest, fleet: Fleet, desk: Desk) -> Response[bytes]:
    page = desk.steps[desk.at]
    form = desk.form
    form.fields = page.fields
    context = {
        **desk.person,
        "steps": desk.titles,
        "at": desk.at,
        "form": form,
        "action": desk.action,
        "hidden": form.carried(but=(*_CARRY_NOT, *(f.name for f in page.fields))),
        "lead": page.lead,
        "grows": desk.procedure.grows and desk.at == len(desk.steps) - 1,
        "shrinks": desk.procedure.grows and desk.at == len(desk.steps) - 1 and procedures.persons_of(form) > 1,
        "back": desk.back,
    }
    return await _render(request, fleet, desk, "step.html", context, wrong=bool(form.errors))


async def _review_page(
    request: AnyRequest, fleet: Fleet, desk: Desk, alerts: list[str], people: list[Any]
) -> Response[bytes]:
    said = said_of(desk.steps, desk.form)
    if desk.replaces is not None:
        said[0][1].insert(0, ("差戻しの再入力", f"差し戻された仮登録 {desk.replaces} に代わります"))
    desk.form.fields = [_REASON]
    context = {
        **desk.person,
        "steps": desk.titles,
        "at": len(desk.steps),
        "form": desk.form,
        "action": desk.action,
        "hidden": desk.form.carried(but=_CARRY_NOT),
        "alerts": alerts,
        "said": said,
        "people": people,
        "back": desk.back,
    }
    return await _render(request, fleet, desk, "review.html", context, wrong=bool(desk.form.errors))


async def _render(
    request: AnyRequest, fleet: Fleet, desk: Desk, template: str, context: Mapping[str, Any], *, wrong: bool
) -> Response[bytes]:
    title = f"{desk.procedure.title}の入力"
    here = f"/changes/{desk.procedure.slug}"
    tenant = await fleet.tenant(desk.code)
    return render(request, template, title, context, tenant=tenant, here=here, status=422 if wrong else 200)


async def _desk(
    request: AnyRequest, code: str, slug: str, atena_no: str, fleet: Fleet, caller: Caller, form: Form
) -> Desk:
    procedure = PROCEDURES.get(slug)
    if procedure is None or (slug == "move-in") == bool(atena_no):
        raise NotFound
    about = About()
    person: dict[str, Any] = {"person": None, "notices": []}
    if atena_no:
        async with operation(fleet, caller, "change.form", purpose=purpose_of(request), right=RIGHT, write=False) as op:
            about, person = await _about(op, atena_no)
    return Desk(
        code=code,
        procedure=procedure,
        about=about,
        form=form,
        person=person,
        steps=procedure.steps(about, procedures.persons_of(form)),
    )


async def _about(op: Operation, atena_no: str) -> tuple[About, dict[str, Any]]:
    record = await registry.record(op, atena_no, groups=("basic", "address"))
    home = await registry.household(op, record.setai_no, groups=("basic",))
    versions = await registry.history(op, atena_no, groups=("basic",))
    held = await registry.protection(op, atena_no)
    waiting = bool(await registry.under_change(op, [atena_no]))
    about = About(
        atena_no=atena_no,
        setai_no=record.setai_no,
        version_no=record.version_no,
        members=_members(home, record),
        events=[(str(v.event.event_no), _event(v)) for v in reversed(versions) if v.superseded_by is None],
        versions=[(str(v.record.version_no), f"履歴{v.record.version_no}　{_event(v)}") for v in reversed(versions)],
        items=_correctable(),
    )
    return about, {"person": person_of(record), "notices": notices_of(held, under_change=waiting)}


def _members(home: Household, record: Record) -> list[Member]:
    return [
        Member(
            atena_no=m.atena_no,
            name=m.basic.name,
            relationship=m.basic.relationship,
            is_head=m.is_head,
            chosen=m.atena_no == record.atena_no,
        )
        for m in home.members
        if m.basic
    ]


def _event(version: Version) -> str:
    return f"{reason_name(version.event.reason)}（異動日 {words.day(version.event.occurred_on)}）"


def _correctable() -> list[tuple[str, str]]:
    """Items a correction may name; what follows from the household or is a number of ours is changed otherwise."""
    groups = ("basic.", "address.", "domicile.", "foreigner.", "notes.", "resident_code.", "my_number.")
    derived = {"basic.head_name", "basic.relationship"}
    found: list[tuple[str, str]] = []
    for section in sections.SECTIONS:
        for item in section.items:
            if item.path in derived or not item.path.startswith(groups):
                continue
            whole = item.path in {"address.address", "address.previous_address", "address.last_registered_address"}
            found.append((f"{item.path}.text" if whole else item.path, item.label))
            if item.path == "address.address":
                found.append(("address.address.building", "方書"))
    return [(path, label) for path, label in found if path != "address.moved_within_from"]


def said_of(steps: list[Step], form: Form) -> list[tuple[str, list[tuple[str, str]]]]:
    """What each page of the form says, in the words of the paper; blanks are left out."""
    said = [(page.title, [(f.label, text) for f in page.fields if (text := _read(f, form))]) for page in steps]
    return [(title, lines) for title, lines in said if lines]


def _read(field: Field, form: Form) -> str:
    names = dict(field.options)
    given = [v for v in form.texts(field.name) if v.strip()]
    if given and field.kind == "date":
        read = form.date(field.name)
        return words.day(read) if read else given[0]
    if field.options:
        return "、".join(names.get(v, v) for v in given)
    return form.text(field.name)


routes: Final = [start_new, step_new, choose, start, step, start_again]
