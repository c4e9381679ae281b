"""検索・照会: one page, the purpose once per case, enough in each line to tell people apart."""

from __future__ import annotations

from typing import Final

import msgspec
from litestar import Response, get, post

from juki import registry
from juki.access import Caller
from juki.audit import operation
from juki.console import kept, purpose, words
from juki.console.form import Field, Form, fault_of
from juki.console.page import render
from juki.console.person import known_as
from juki.problem import Invalid
from juki.registry.model import HITS_MAX, Hit, Query, Status
from juki.tenancy import Fleet
from juki.web import AnyRequest, form_of, purpose_of, route

_WAYS: Final = (
    ("my_number", "個人番号（12桁）"),
    ("resident_code", "住民票コード（11桁）"),
    ("atena_no", "宛名番号"),
    ("setai_no", "世帯番号"),
)


class Tag(msgspec.Struct, frozen=True):
    """A word beside a name, with its look."""

    text: str
    look: str = ""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the results."""

    atena_no: str
    name: str
    known_as: str
    kana: str
    birth: str
    sex: str
    address: str
    place: str
    status: str
    removed: bool
    tags: list[Tag]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The results with their cap."""

    rows: list[Row]
    capped: bool
    cap: int = HITS_MAX


def _fields() -> list[Field]:
    return [
        purpose.field(),
        Field(name="kana", label="フリガナ", hint="先頭だけで可。氏と名は空白で分ける", autofocus=True),
        Field(name="name", label="氏名", hint="漢字・ローマ字。異体字も探します"),
        Field(name="birth", label="生年月日", width="s", hint="S55.4.1、昭和55年、19800401"),
        Field(name="address", label="住所", width="l", hint="番地まで。ほかの条件もあれば町名だけで可"),
        Field(name="number_kind", label="番号の種類", kind="select", options=_WAYS, width="s"),
        Field(name="number", label="番号", kind="number", width="s", max=20),
        Field(name="removed", label="消除された人も探す", kind="check"),
    ]


@get("/{code:str}/search", opt=route("resident.search", "resident.search", "検索画面の表示"), include_in_schema=False)
async def search_page(request: AnyRequest, code: str, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """The empty form, or the results of a search that was sent from it."""
    if (kept_form := await kept.form_of(request, fleet, caller, _fields())) is not None:
        return await _found(request, fleet, code, caller, kept_form)
    form = Form(_fields())
    form.put("purpose", purpose_of(request))
    return await _page(request, fleet, code, form, None)


@post("/{code:str}/search", opt=route("resident.search", "resident.search"), include_in_schema=False)
async def search(request: AnyRequest, code: str, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """To the results. A POST, because what is asked for is personal data and has no place in an address."""
    form = Form(_fields(), form_of(request))
    answer = await kept.show(fleet, caller, f"/{code}/search", form.given)
    if form.check(["purpose"]):
        purpose.keep(answer, fleet.config, code, form.text("purpose"))
    return answer


async def _found(request: AnyRequest, fleet: Fleet, code: str, caller: Caller, form: Form) -> Response[bytes]:
    """The results, each time anew: what is shown is what holds now, and the log has it."""
    found = None
    if form.text("number") and not form.text("number_kind"):
        form.wrong("number_kind", "番号の種類を選んでください。")
    if fault := _fault(form):
        form.wrong("number", fault)
    if form.check():
        query = _query(form)
        try:
            async with operation(
                fleet, caller, "resident.search", purpose=form.text("purpose"), right="resident.search", write=False
            ) as op:
                hits = await registry.search(op, query)
            found = Found(rows=[_row(hit) for hit in hits.hits], capped=hits.capped)
        except Invalid as error:
            form.take(error, {"": "kana"})
    return await _page(request, fleet, code, form, found)


async def _page(request: AnyRequest, fleet: Fleet, code: str, form: Form, found: Found | None) -> Response[bytes]:
    context = {"form": form, "hits": found, "by_number": bool(form.text("number"))}
    tenant = await fleet.tenant(code)
    status = 422 if form.errors else 200
    return render(request, "search.html", "検索・照会", context, tenant=tenant, here="/search", status=status)


def _fault(form: Form) -> str:
    """What keeps a number from being anybody's: too short, too long, or a check digit that does not fit."""
    kind, number = form.text("number_kind"), form.text("number")
    if not number or kind not in ("my_number", "resident_code"):
        return ""
    return fault_of("my_number" if kind == "my_number" else "resident_code", number)


def _query(form: Form) -> Query:
    kind, number = form.text("number_kind") or "atena_no", form.text("number")
    kana = (form.texts("kana") or [""])[0]  # a leading space asks for the given name alone
    return Query(
        kana=kana,
        name=form.text("name"),
        birth=form.text("birth"),
        address=form.text("address"),
        include_removed=bool(form.text("removed")),
        my_number=number if kind == "my_number" else "",
        resident_code=number if kind == "resident_code" else "",
        atena_no=number if kind == "atena_no" else "",
        setai_no=number if kind == "setai_no" else "",
    )


def _row(hit: Hit) -> Row:
    removed = hit.status is not Status.RESIDENT
    tags = [
        Tag(text, look)
        for text, look, there in (
            ("支援措置", "stop", hit.protected),
            ("異体字", "blue", hit.variant),
            ("過去の記載で一致", "warn", hit.matched_past),
        )
        if there
    ]
    return Row(
        atena_no=hit.atena_no,
        name=hit.name,
        known_as="、".join(f"{word} {name}" for word, name in known_as(hit.alias, hit.former_surname)),
        kana=hit.name_kana,
        birth=words.birth(hit.birth, hit.kind),
        sex=words.SEX[hit.sex],
        address=hit.address,
        place=hit.relationship,
        status=words.STATUS[hit.status],
        removed=removed,
        tags=tags,
    )


routes: Final = [search_page, search]
