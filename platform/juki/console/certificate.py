"""証明書の交付: who asks and why, whom and which items, a look at the real paper, then number and history at once."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from litestar import Response, get, post

from juki import certificates, registry
from juki.access import Caller
from juki.audit import Operation, operation
from juki.certificates.model import (
    MAX_COPIES,
    Application,
    CertificateKind,
    Disposal,
    IdentityCheck,
    IssueEntry,
    Item,
    Prepared,
    Relation,
    Requester,
    preset,
    purposes,
)
from juki.console import kept, purpose, sections, words
from juki.console.form import Field, Form, Option
from juki.console.page import go, render
from juki.console.resident import KINDS, RELATIONS, strip
from juki.problem import Conflict, Invalid, JukiError, NotFound, Refused
from juki.registry.model import Kind, Status
from juki.tenancy import Fleet
from juki.web import AnyRequest, form_of, purpose_of, route, text_of

RIGHT: Final = "certificate.issue"
ITEMS: Final[tuple[Option, ...]] = (
    (Item.KANA.value, "フリガナ"),
    (Item.RELATIONSHIP.value, "世帯主・続柄"),
    (Item.DOMICILE.value, "本籍・筆頭者"),
    (Item.REMARKS.value, "備考"),
    (Item.MY_NUMBER.value, "個人番号"),
    (Item.RESIDENT_CODE.value, "住民票コード"),
    (Item.NATIONALITY.value, "国籍・地域"),
    (Item.RESIDENCE.value, "在留資格など"),
    (Item.CARD_NUMBER.value, "在留カード等の番号"),
    (Item.ALIAS_HISTORY.value, "通称の履歴"),
)
IDENTITY: Final[tuple[Option, ...]] = (
    (IdentityCheck.PHOTO.value, "顔写真付きの書類 1点"),
    (IdentityCheck.TWO_PAPERS.value, "顔写真のない書類 2点"),
    (IdentityCheck.NONE.value, "確認できない"),
)
_READY: Final = "ready"  # what 交付準備 answered, beside the form that was prepared
_UNPRINTABLE: Final = frozenset({"certificates.glyph_missing", "certificates.overflow"})
PRINTED: Final[Mapping[str, str]] = {
    "name": "氏名・フリガナ",
    "alias": "通称",
    "former_surname": "旧氏",
    "head_name": "世帯主",
    "relationship": "続柄",
    "address": "住所",
    "previous_address": "転入前住所",
    "moved_within_from": "異動前住所",
    "registered_domicile": "本籍",
    "family_head": "筆頭者",
    "nationality": "国籍・地域",
    "alias_history": "通称の履歴",
    "removal_to": "転出先住所",
    "remarks": "備考",
    "head": "首長の氏名",
}
_DISPOSAL: Final = Field(
    name="reason",
    label="書損の理由",
    kind="radio",
    required=True,
    options=(
        (Disposal.MISPRINT.value, "印字不良"),
        (Disposal.WRONG_PERSON.value, "対象者の誤り"),
        (Disposal.WRONG_ITEMS.value, "記載事項の誤り"),
        (Disposal.NOT_COLLECTED.value, "受け取りなし"),
    ),
)
_PDF_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; object-src data:; "
    "frame-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def _fields(members: Sequence[Option]) -> list[Field]:
    return [
        Field(name="kind", label="証明書の種類", kind="select", required=True, options=tuple((k.value, v) for k, v in KINDS.items())),
        Field(name="relation", label="請求者の区分", kind="select", required=True, options=tuple((k.value, v) for k, v in RELATIONS.items()), autofocus=True, hint="世帯のほかの人の分もあるときは、同一世帯員"),
        Field(name="requester", label="請求者（同じ世帯の人）", kind="select", options=members, hint="ほかの人は空欄にして氏名を入力"),
        Field(name="requester_name", label="請求者の氏名", hint="上で選んだときは空欄で可"),
        Field(name="identity", label="本人確認", kind="select", required=True, options=IDENTITY),
        Field(name="requester_address", label="請求者の住所", width="l", max=200),
        Field(name="organisation", label="機関・法人の名前（公用・法人のとき）", width="l"),
        Field(name="authority", label="権限を示す書類（代理人・第三者のとき）", width="l", hint="委任状、職務上請求書 など"),
        Field(name="purpose", label="請求の目的", kind="select", required=True, width="l", options=tuple((p.code, p.text) for p in purposes().values())),
        Field(name="ground", label="根拠・利用の目的（第三者・公用のとき）", width="l", max=300),
        Field(name="purpose_detail", label="記載する事項が必要な理由（第三者のとき）", width="l", max=300),
        Field(name="persons", label="証明する人", kind="checks", required=True, options=members),
        Field(name="items", label="記載する事項", kind="checks", options=ITEMS, hint="選ばない事項は「省略」と印字します"),
        Field(name="copies", label="部数", kind="number", required=True, width="xs", max=2),
        Field(name="official_use", label="公用（手数料なし）", kind="check"),
    ]  # fmt: skip


@get(
    "/{code:str}/residents/{atena_no:str}/certificate",
    opt=route("certificate.form", RIGHT),
    include_in_schema=False,
)
async def form_page(request: AnyRequest, code: str, atena_no: str, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """The form with the commonest answers in it, or the page that a button of it led to."""
    if not purpose_of(request):
        return purpose.ask(code, kept.here(request))
    form = await kept.form_of(request, fleet, caller)
    if form is None:
        return await _form(request, code, atena_no, fleet, caller, Form(()))
    if form.text("go") == "preview":
        return await _preview(request, code, atena_no, fleet, caller, form)
    return await _form(request, code, atena_no, fleet, caller, form, choose=form.text("go") == "preset")


@post(
    "/{code:str}/residents/{atena_no:str}/certificate",
    opt=route("certificate.prepare", RIGHT),
    include_in_schema=False,
)
async def act(request: AnyRequest, code: str, atena_no: str, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """Choose items, look, correct, issue: each a button of the same form."""
    path = f"/{code}/residents/{atena_no}/certificate"
    form = Form((), form_of(request))
    wish = form.text("go")
    if wish in ("preset", "edit") or not purpose_of(request):
        return await kept.show(fleet, caller, path, {**form.given, "go": ["edit" if wish == "issue" else wish]})
    if wish == "issue":
        return await _issue(request, code, atena_no, fleet, caller, form)
    ready = await _prepare(request, fleet, caller, form)
    return await kept.show(fleet, caller, path, {**form.given, "go": ["preview"], **ready})


@get(
    "/{code:str}/residents/{atena_no:str}/certificate/{issue_no:int}",
    opt=route("certificate.issued", RIGHT),
    include_in_schema=False,
)
async def issued_page(
    request: AnyRequest, code: str, atena_no: str, issue_no: int, fleet: Fleet, caller: Caller
) -> Response[bytes]:
    """The number to quote, and the paper to print."""
    form = await kept.form_of(request, fleet, caller, (_DISPOSAL,))
    return await _issued(request, code, atena_no, issue_no, fleet, caller, form or Form((_DISPOSAL,)))


async def _issued(
    request: AnyRequest, code: str, atena_no: str, issue_no: int, fleet: Fleet, caller: Caller, form: Form
) -> Response[bytes]:
    async with operation(
        fleet, caller, "certificate.issued", purpose=purpose_of(request) or "certificate", right=RIGHT, write=False
    ) as op:
        shown = await strip(op, atena_no)
        entries = await _together(op, atena_no, issue_no)
        waits = await certificates.waits(op, entries[0].label)
    context = {
        **shown,
        "labels": [e.label for e in entries],
        "issue_no": issue_no,
        "copies": len(entries),
        "pages": entries[0].pages,
        "fee": _fee(sum(e.fee_yen for e in entries), official=entries[0].official_use),
        "at": words.instant(entries[0].issued_at),
        "disposed": all(e.disposed for e in entries),
        "waits": waits,
        "form": form,
    }
    status = 422 if form.errors else 200
    return render(request, "issued.html", "証明書の交付", context, tenant=await fleet.tenant(code), status=status)


@post(
    "/{code:str}/residents/{atena_no:str}/certificate/{issue_no:int}/paper",
    opt=route("certificate.paper", RIGHT),
    include_in_schema=False,
    status_code=200,
)
async def paper(
    request: AnyRequest, code: str, atena_no: str, issue_no: int, fleet: Fleet, caller: Caller
) -> Response[bytes]:
    """The issued paper for the printer, until it is handed over."""
    async with operation(
        fleet, caller, "certificate.paper", purpose=purpose_of(request) or "certificate", right=RIGHT
    ) as op:
        entries = await _together(op, atena_no, issue_no)
        found = await certificates.fetch_again(op, entries[0].label)
    return Response(
        found.pdf, media_type="application/pdf", headers={"Content-Disposition": "inline; filename=certificate.pdf"}
    )


@post(
    "/{code:str}/residents/{atena_no:str}/certificate/{issue_no:int}/hand-over",
    opt=route("certificate.hand_over", RIGHT),
    include_in_schema=False,
)
async def hand_over(
    request: AnyRequest, code: str, atena_no: str, issue_no: int, fleet: Fleet, caller: Caller
) -> Response[bytes]:
    """The paper is in the resident's hand: its file is forgotten."""
    async with operation(
        fleet, caller, "certificate.hand_over", purpose=purpose_of(request) or "certificate", right=RIGHT
    ) as op:
        entries = await _together(op, atena_no, issue_no)
        await certificates.hand_over(op, entries[0].label)
    return go(f"/{code}/residents/{atena_no}", done="handed_over")


@post(
    "/{code:str}/residents/{atena_no:str}/certificate/{issue_no:int}/dispose",
    opt=route("certificate.dispose", RIGHT),
    include_in_schema=False,
)
async def dispose(
    request: AnyRequest, code: str, atena_no: str, issue_no: int, fleet: Fleet, caller: Caller
) -> Response[bytes]:
    """書損: this set of sheets was spoiled; its number stays used."""
    form = Form((_DISPOSAL,), form_of(request))
    if form.check():
        try:
            async with operation(
                fleet, caller, "certificate.dispose", purpose=purpose_of(request) or "certificate", right=RIGHT
            ) as op:
                for entry in await _together(op, atena_no, issue_no):
                    await certificates.dispose(op, entry.issue_no, Disposal(form.text("reason")))
            return go(f"/{code}/residents/{atena_no}", done="disposed")
        except Conflict as error:
            form.wrong("form", text_of(error.code, 409))
    path = f"/{code}/residents/{atena_no}/certificate/{issue_no}"
    return await kept.show_again(fleet, caller, path, form)


async def _form(
    request: AnyRequest,
    code: str,
    atena_no: str,
    fleet: Fleet,
    caller: Caller,
    form: Form,
    *,
    choose: bool = False,
    aside: str = "",
) -> Response[bytes]:
    async with operation(
        fleet, caller, "certificate.form", purpose=purpose_of(request), right=RIGHT, write=False
    ) as op:
        shown = await strip(op, atena_no)
        record = await registry.record(op, atena_no, groups=("basic",))
        home = await registry.household(op, record.setai_no, groups=("basic",))
    members = [(m.atena_no, f"{m.basic.name}（{m.basic.relationship}）") for m in home.members if m.basic]
    if record.status is not Status.RESIDENT and record.basic:
        members = [(atena_no, record.basic.name)]
    form.fields = _fields(members)
    first = CertificateKind.RESIDENT if record.status is Status.RESIDENT else CertificateKind.REMOVED
    start = {
        "kind": first.value,
        "relation": Relation.THIRD.value if record.status is Status.DECEASED else Relation.SELF.value,
        "requester": "" if record.status is Status.DECEASED else atena_no,
        "persons": atena_no,
        "copies": "1",
    }
    for name, value in start.items():
        form.put(name, value)
    if choose:
        items = preset(form.text("purpose"), foreign=record.kind is Kind.FOREIGN)
        form.replace("items", [item.value for item in items])
    status = 422 if form.errors else 200
    context = {**shown, "form": form, "aside": aside}
    return render(request, "certificate.html", "証明書の交付", context, tenant=await fleet.tenant(code), status=status)


def _asked(form: Form) -> Application | None:
    """The application as it was filled in, None where something is wrong beside a field."""
    known = dict.fromkeys([*form.texts("persons"), *form.texts("requester")])
    form.fields = _fields([(no, no) for no in known if no])
    return _application(form) if form.check() else None


async def _prepare(request: AnyRequest, fleet: Fleet, caller: Caller, form: Form) -> dict[str, list[str]]:
    """交付準備, once for the page that will show it: gone back to, it bears the same token, which is good once. Nothing where
    the application is refused; the page then says why.
    """
    application = _asked(form)
    if application is None:
        return {_READY: []}
    try:
        async with operation(fleet, caller, "certificate.prepare", purpose=purpose_of(request), right=RIGHT) as op:
            ready = await certificates.prepare(op, await _named(op, application))
    except (Invalid, Refused):
        return {_READY: []}
    return {_READY: [msgspec.json.encode(ready).decode()]}


async def _preview(
    request: AnyRequest, code: str, atena_no: str, fleet: Fleet, caller: Caller, form: Form
) -> Response[bytes]:
    """The paper as it would come out now, or the form with what stands against it."""
    application = _asked(form)
    prepared = form.texts(_READY)
    form.replace(_READY, [])
    if application is None:
        return await _form(request, code, atena_no, fleet, caller, form)
    try:
        async with operation(
            fleet, caller, "certificate.preview", purpose=purpose_of(request), right=RIGHT, write=False
        ) as op:
            shown = await strip(op, atena_no)
            application = await _named(op, application)
            pdf = await certificates.preview(op, application)
            shown_to = await registry.current(op, application.persons, ("basic",))
    except Invalid as error:
        if error.code in _UNPRINTABLE:
            form.wrong("form", _unprintable(error, await _standing(fleet, caller, request, application)))
        else:
            form.take(error, _WHERE)
        return await _form(request, code, atena_no, fleet, caller, form)
    except Refused as error:
        form.wrong("form", text_of(error.code, 403))
        return await _form(request, code, atena_no, fleet, caller, form, aside=_aside(error))
    if not prepared:  # what stood against it is gone since: it is prepared anew by the button
        return await _form(request, code, atena_no, fleet, caller, form)
    ready = msgspec.json.decode(prepared[0], type=Prepared)
    names = [record.basic.name for record in shown_to.values() if record.basic]
    context = {**shown, **_said(application, ready, names)}
    context["hidden"] = [*form.carried(), ("token", ready.token)]
    context["paper"] = "data:application/pdf;base64," + base64.b64encode(pdf).decode()
    answer = render(request, "preview.html", "交付する証明書の確認", context, tenant=await fleet.tenant(code))
    answer.headers["Content-Security-Policy"] = _PDF_POLICY
    return answer


async def _issue(
    request: AnyRequest, code: str, atena_no: str, fleet: Fleet, caller: Caller, form: Form
) -> Response[bytes]:
    """The token is good once: sent twice, also from a page gone back to, it leads to the same paper."""
    try:
        async with operation(fleet, caller, "certificate.issue", purpose=purpose_of(request), right=RIGHT) as op:
            issued = await certificates.issue(op, form.text("token"))
    except JukiError as error:
        if error.status >= 500:
            raise
        form.replace("go", ["edit"])
        form.wrong("form", text_of(error.code, error.status))
        return await kept.show_again(fleet, caller, f"/{code}/residents/{atena_no}/certificate", form)
    return go(f"/{code}/residents/{atena_no}/certificate/{issued.issue_nos[0]}")


_WHERE: Final[Mapping[str, str]] = {
    "requester.name": "requester_name",
    "requester.identity": "identity",
    "requester.organisation": "organisation",
    "requester.authority": "authority",
    "requester.address": "requester_address",
    "requester.atena_no": "requester",
}


def _application(form: Form) -> Application | None:
    copies = form.text("copies")
    if not copies.isdecimal() or not 1 <= int(copies) <= MAX_COPIES:
        form.wrong("copies", f"1から{MAX_COPIES}までの数を入れてください。")
        return None
    relation = Relation(form.text("relation"))
    chosen = _chosen(form, relation)
    if not chosen and not form.text("requester_name"):
        form.wrong(
            "requester_name",
            "請求者の氏名を入力してください。一覧の人を請求者にできるのは、本人・同一世帯員・代理人です。",
        )
        return None
    return Application(
        kind=CertificateKind(form.text("kind")),
        relation=relation,
        requester=Requester(
            name="　".join(form.text("requester_name").split()),
            address=form.text("requester_address"),
            identity=IdentityCheck(form.text("identity")),
            organisation=form.text("organisation"),
            authority=form.text("authority"),
            atena_no=chosen,
        ),
        persons=tuple(form.texts("persons")),
        purpose=form.text("purpose"),
        purpose_detail=form.text("purpose_detail"),
        ground=form.text("ground"),
        items=tuple(Item(item) for item in form.texts("items")),
        copies=int(copies),
        official_use=bool(form.text("official_use")) or relation is Relation.OFFICIAL,
    )


def _chosen(form: Form, relation: Relation) -> str:
    """宛名番号 of a requester from the household's list. The list starts on the person shown, so a name typed for
    somebody from outside goes before it: else the history would name a resident who never asked.
    """
    outside = relation in {Relation.THIRD, Relation.OFFICIAL}
    typed = relation is Relation.AGENT and form.text("requester_name")
    return "" if outside or typed else form.text("requester")


async def _named(op: Operation, application: Application) -> Application:
    """The requester's name and address from the record, where they are a resident chosen from the household."""
    asking = application.requester
    if not asking.atena_no:
        return application
    record = await registry.record(op, asking.atena_no, groups=("basic", "address"))
    name = record.basic.name if record.basic else asking.name
    address = sections.place(record.address.address) if record.address else asking.address
    return msgspec.structs.replace(
        application, requester=msgspec.structs.replace(asking, name=name, address=asking.address or address)
    )


async def _standing(fleet: Fleet, caller: Caller, request: AnyRequest, application: Application) -> list[str]:
    """氏名 of those who stand on the joint form, in its order."""
    async with operation(
        fleet, caller, "certificate.form", purpose=purpose_of(request), right=RIGHT, write=False
    ) as op:
        return await certificates.standing(op, application)


def _unprintable(error: Invalid, names: Sequence[str]) -> str:
    """Which items cannot be printed and whose, in the words of the paper: the clerk writes these by hand."""

    def said(path: str) -> str:
        item = PRINTED.get(path.rpartition(".")[2], "そのほかの項目")
        head, _, rest = path.partition(".")
        if head != "members":
            return item
        place = int(rest.partition(".")[0])
        return f"{place + 1}人目の{names[place]}の{item}"

    labels = dict.fromkeys(said(path) for path in error.fields)
    named = f"（{'、'.join(labels)}）" if labels else ""
    return text_of(error.code, 422).replace("項目", f"項目{named}", 1)


def _asking(application: Application) -> str:
    asking = application.requester
    parts = (asking.organisation, f"{asking.name}（{RELATIONS[application.relation]}）")
    return "　".join(part for part in parts if part)


def _said(application: Application, ready: Prepared, persons: Sequence[str]) -> dict[str, Any]:
    names = dict(ITEMS)
    listed = "、".join(names[item.value] for item in application.items)
    return {
        "said": [
            ("証明書の種類", KINDS[application.kind]),
            ("請求者", _asking(application)),
            ("請求の目的", purposes()[application.purpose].text),
            ("証明する人", f"{'、'.join(persons)}（{len(application.persons)}人）"),
            ("記載する事項", listed or "必ず記載する事項だけ"),
            ("部数・ページ", f"{application.copies}部　1部{ready.pages}ページ"),
        ],
        "warnings": [text_of(code, 200) for code in ready.warnings],
        "copies": application.copies,
        "fee": _fee(ready.fee_yen, official=application.official_use),
    }


def _fee(yen: int, *, official: bool) -> str:
    if official:
        return "公用　手数料なし"
    return f"手数料 {yen:,}円" if yen else "手数料なし"


def _aside(error: Refused) -> str:
    """What stands behind a refusal, apart from what may be said aloud, and only where the rule let this clerk know it."""
    notice = str(error.facts.get("notice", ""))
    return text_of(notice, 403) if notice else ""


async def _together(op: Operation, atena_no: str, issue_no: int) -> list[IssueEntry]:
    """The copies that were issued with this number, in order; NotFound where it is not this person's."""
    entries = await certificates.history(op, atena_no)
    first = next((e for e in entries if e.issue_no == issue_no), None)
    if first is None:
        raise NotFound
    same = [e for e in entries if (e.issued_at, e.terminal_id) == (first.issued_at, first.terminal_id)]
    return sorted(same, key=lambda e: e.copy_no)


routes: Final = [form_page, act, issued_page, paper, hand_over, dispose]
