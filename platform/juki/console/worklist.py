"""移行の作業一覧: rows an import turned away, opened one at a time, closed with a reason by whoever looked."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from litestar import Response, get, post

from juki import legacy
from juki.access import Caller
from juki.audit import operation
from juki.console import clerks, kept, words
from juki.console.form import Field, Form
from juki.console.page import go, render
from juki.console.table import Cell, Table
from juki.legacy.model import Outcome, WorkItem
from juki.problem import Conflict, Invalid
from juki.tenancy import Fleet
from juki.web import AnyRequest, form_of, route, text_of

PURPOSE: Final = "移行データの確認"
RIGHT: Final = "import.review"
OUTCOMES: Final = (("rejected", "取り込めない"), ("held", "保留"), ("alert", "注意"))
DECISIONS: Final = {"": "未処理", "resolved": "処理済み", "dismissed": "対応不要"}
CLASSES: Final = {
    "empty": "空白",
    "digits": "数字",
    "latin": "英字",
    "signs": "記号",
    "gaiji": "外字",
    "control": "制御文字",
    "kana": "カナ",
    "kanji": "漢字",
    "wide": "全角文字",
    "mixed": "混在",
}
WAY: Final = (
    "登録するには、送付元に直してもらった行だけの抽出データ（世帯全員のすべての履歴）を受け取り、もう一度取り込みます。"
    "宛名番号と世帯番号は、それまでほかの人に払い出しません。"
)
_PAGE: Final = 100
_FIELDS: Final = (
    Field(name="outcome", label="区分", kind="select", options=OUTCOMES, width="s"),
    Field(name="closed", label="処理済みも表示する", kind="check"),
)
_DECIDE: Final = (
    Field(
        name="decision",
        label="処理",
        kind="radio",
        required=True,
        options=(("resolved", "処理済み（別の方法で入力・修正した）"), ("dismissed", "対応不要")),
    ),
    Field(
        name="reason",
        label="理由・処理の内容",
        required=True,
        width="l",
        max=200,
        hint="氏名や番号は書かないでください",
    ),
)


@get("/{code:str}/worklist", opt=route("import.worklist", RIGHT, PURPOSE), include_in_schema=False)
async def listing(request: AnyRequest, code: str, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """What is open, in the order of the import; the next part of a filtered list carries the filter along."""
    kept = {name: [request.query_params[name]] for name in ("outcome", "closed") if name in request.query_params}
    form = Form(_FIELDS, kept)
    form.check()
    return await _list(request, code, fleet, caller, form)


@post("/{code:str}/worklist", opt=route("import.worklist", RIGHT, PURPOSE), include_in_schema=False)
async def filtered(request: AnyRequest, code: str) -> Response[bytes]:
    """To a part of it: what is asked for are two codes, which may stand in an address."""
    form = Form(_FIELDS, form_of(request))
    asked = {name: form.text(name) for name in ("outcome", "closed")}
    return go(f"/{code}/worklist?{urlencode({name: text for name, text in asked.items() if text})}")


@get("/{code:str}/worklist/{entry_no:int}", opt=route("import.open_row", RIGHT, PURPOSE), include_in_schema=False)
async def show(request: AnyRequest, code: str, entry_no: int, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """One row as it came, cut into items."""
    form = await kept.form_of(request, fleet, caller, _DECIDE)
    return await _row(request, code, entry_no, fleet, caller, form or Form(_DECIDE))


@post("/{code:str}/worklist/{entry_no:int}", opt=route("import.decide", RIGHT, PURPOSE), include_in_schema=False)
async def decide(request: AnyRequest, code: str, entry_no: int, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """Close it with a reason."""
    form = Form(_DECIDE, form_of(request))
    if form.check():
        act = legacy.resolve if form.text("decision") == "resolved" else legacy.dismiss
        try:
            async with operation(fleet, caller, "import.decide", purpose=PURPOSE, right=RIGHT) as op:
                await act(op, entry_no, form.text("reason"))
            return go(f"/{code}/worklist", done="reviewed", no=entry_no)
        except (Invalid, Conflict) as error:
            form.wrong("form", text_of(error.code, error.status))
    return await kept.show_again(fleet, caller, f"/{code}/worklist/{entry_no}", form)


async def _list(request: AnyRequest, code: str, fleet: Fleet, caller: Caller, form: Form) -> Response[bytes]:
    after = request.query_params.get("after", "")
    async with operation(fleet, caller, "import.worklist", purpose=PURPOSE, right=RIGHT, write=False) as op:
        counts = await legacy.work_counts(op)
        items = await legacy.worklist(
            op,
            outcome=form.text("outcome"),
            open_only=not form.text("closed"),
            after=int(after) if after.isdecimal() else 0,
            limit=_PAGE,
        )
    table = Table(
        title="行の一覧",
        note="　".join(f"{text} {counts.get(name, 0)}件" for name, text in OUTCOMES),
        heads=("番号", "区分", "ファイル", "行", "項目", "値の種類", "理由", "状態"),
        rows=[_line(item) for item in items],
        empty="処理を待つ行はありません。取込みで確認が必要な行が出ると、ここに並びます。",
    )
    more = [{"path": _next(form, items[-1].entry_no), "label": "次の100件"}] if len(items) == _PAGE else []
    context = {
        "tables": [table],
        "form": form,
        "action": f"/{code}/worklist",
        "button": "表示する",
        "acts": more,
        "lead": "",
    }
    tenant = await fleet.tenant(code)
    return render(request, "list.html", "移行の作業一覧", context, tenant=tenant, here="/worklist")


def _next(form: Form, last: int) -> str:
    kept = {"after": str(last), "outcome": form.text("outcome"), "closed": form.text("closed")}
    return "/worklist?" + urlencode({name: text for name, text in kept.items() if text})


async def _row(
    request: AnyRequest, code: str, entry_no: int, fleet: Fleet, caller: Caller, form: Form
) -> Response[bytes]:
    async with operation(fleet, caller, "import.open_row", purpose=PURPOSE, right=RIGHT) as op:
        opened = await legacy.open_row(op, entry_no)
        item = opened.item
        named = await clerks.names(op, [item.decided_by] if item.decided_by else [])
    context = {
        "said": [
            ("区分", dict(OUTCOMES).get(item.outcome, item.outcome)),
            ("ファイルと行", f"{item.file}　{item.line}行目"),
            ("宛名番号", item.atena_no),
            ("世帯番号", item.setai_no),
            ("項目", item.item),
            ("値の種類", _class(item.value_class)),
            ("理由", text_of(item.reason, 422)),
            ("状態", _state(item)),
            ("処理した職員", f"{named[item.decided_by]}　{words.instant(item.decided_at)}" if item.decided_by else ""),
        ],
        "waits_for": [(str(one.entry_no), _waited(one)) for one in opened.waits_for],
        "way": "" if item.decision else _way(item),
        "cells": opened.cells,
        "open": not item.decision,
        "form": form,
        "action": f"/{code}/worklist/{entry_no}",
    }
    status = 422 if form.errors else 200
    title = f"作業一覧の行 {entry_no}"
    tenant = await fleet.tenant(code)
    return render(request, "row.html", title, context, tenant=tenant, here="/worklist", status=status)


def _line(item: WorkItem) -> list[str | Cell]:
    look = {"rejected": "stop", "held": "warn"}.get(item.outcome, "")
    return [
        Cell(str(item.entry_no), path=f"/worklist/{item.entry_no}"),
        Cell(dict(OUTCOMES).get(item.outcome, item.outcome), look=look),
        item.file,
        str(item.line),
        item.item,
        _class(item.value_class),
        text_of(item.reason, 422),
        _state(item),
    ]


def _state(item: WorkItem) -> str:
    """未処理 and so on; of an open row whether its person is in the register by now."""
    arrived = item.arrived and not item.decision and item.outcome is not Outcome.ALERT
    return "登録あり（未処理）" if arrived else DECISIONS.get(item.decision, item.decision)


def _waited(item: WorkItem) -> str:
    named = f"（{item.item}）" if item.item else ""
    return f"{item.file}　{item.line}行目{named}　{text_of(item.reason, 422)}"


def _way(item: WorkItem) -> str:
    """How whoever waits gets into the register."""
    if item.outcome is Outcome.ALERT:
        return "この行は取り込まれています。内容を確かめ、必要なら誤記修正をしてから、処理を記録してください。"
    if item.arrived:
        return "この宛名番号の人は、すでに登録されています。登録の内容を確かめてから、処理を記録してください。"
    return WAY


def _class(value_class: str) -> str:
    """`digits(12)` -> 数字12文字: the kind of what stood there, never the value."""
    kind, _, length = value_class.removesuffix(")").partition("(")
    if kind == "bytes":
        return f"{length}バイト"
    name = CLASSES.get(kind, kind)
    return f"{name}{length}文字" if length else name


routes: Final = [listing, filtered, show, decide]
