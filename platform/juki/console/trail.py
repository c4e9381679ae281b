"""操作の記録: who looked at or changed what, when and why; one person's page; the standard analyses. Reading it is logged too."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Final

from litestar import Response, get, post

from juki import audit
from juki.access import Caller, accounts
from juki.audit import Entry, Filter, operation
from juki.console import clerks, kept, words
from juki.console.actions import ACTORS, FACTS, ITEMS, MEDIA, OFFERED, action
from juki.console.form import Field, Form
from juki.console.page import render
from juki.console.table import Cell, Table
from juki.dates import JST
from juki.problem import NotFound
from juki.tenancy import Fleet
from juki.web import AnyRequest, form_of, route

PURPOSE: Final = "操作の記録の点検"
RIGHT: Final = "audit.read"
RESULTS: Final = (
    ("done", "完了"),
    ("refused", "拒否"),
    ("failed", "失敗"),
    ("unknown", "結果不明"),
    ("open", "処理中"),
)
_LOOK: Final = {"refused": "stop", "failed": "stop", "unknown": "warn"}
ANALYSES: Final = {
    "out_of_hours": "時間外の利用",
    "failed_logins": "ログインの失敗",
    "logins": "ID別のログイン回数",
    "logins_per_operator": "ID別のログイン回数",
    "mass_searches": "大量の照会",
    "one_person_by_many": "特定の人への照会の集中",
}
_FIELDS: Final = (
    Field(name="since", label="この日から", kind="date", width="s", hint="空欄は7日前"),
    Field(name="until", label="この日まで", kind="date", width="s", hint="空欄は今日"),
    Field(name="action", label="操作", kind="select", options=OFFERED, width="m"),
    Field(name="result", label="結果", kind="select", options=RESULTS, width="s"),
    Field(name="actor", label="操作者", width="s", max=40, hint="ログイン名"),
    Field(name="atena_no", label="対象者の宛名番号", kind="number", width="s", max=15),
)
_HEADS: Final = ("番号", "日時", "操作", "結果", "操作者", "端末", "目的", "対象者")
_DAYS: Final = 7
_CAP: Final = 100
_SHOWN: Final = 500
"""Persons of one operation on one page: a register handed over whole has hundreds of thousands."""


@get("/{code:str}/audit", opt=route("audit.list", RIGHT, PURPOSE), include_in_schema=False)
async def listing(request: AnyRequest, code: str, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """The last week, newest first, with the standard analyses of it; or the part of the log that was asked for."""
    form = await kept.form_of(request, fleet, caller, _FIELDS)
    if form is not None:
        form.check()
    return await _page(request, code, fleet, caller, form or Form(_FIELDS), analyses=form is None)


@post("/{code:str}/audit", opt=route("audit.list", RIGHT, PURPOSE), include_in_schema=False)
async def search(request: AnyRequest, code: str, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """To a part of the log, or to everything about one person."""
    return await kept.show(fleet, caller, f"/{code}/audit", form_of(request))


@get("/{code:str}/audit/{op_no:int}", opt=route("audit.entry", RIGHT, PURPOSE), include_in_schema=False)
async def detail(request: AnyRequest, code: str, op_no: int, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """One operation: intent, outcome, persons, disclosures."""
    async with operation(fleet, caller, "audit.entry", purpose=PURPOSE, right=RIGHT, write=False) as op:
        found = await audit.entry(op, op_no)
        intent = found.intent
        named = await _named(op, [intent.actor_id, str(found.facts.get("operator", ""))])
    tenant = await fleet.tenant(code)
    offices = {d.code: d.name for d in tenant.settings.departments}
    facts = [(FACTS.get(name, name), named.get(str(value), str(value))) for name, value in found.facts.items()]
    said = [
        ("操作", action(found.action)),
        ("開始", words.instant(found.at)),
        ("終了", words.instant(found.ended_at)),
        ("結果", dict(RESULTS).get(found.result or "open", found.result)),
        ("符号", found.code),
        ("操作者", named[intent.actor_id]),
        ("所属・職務", "　".join(part for part in (offices.get(intent.office, intent.office), intent.duty) if part)),
        ("端末", intent.terminal_id),
        ("目的", words.PURPOSE_NAMES.get(intent.purpose, intent.purpose)),
        ("根拠", intent.basis),
        *facts,
    ]
    tables = [
        Table(
            title="対象者",
            heads=("宛名番号", "個人番号"),
            note=_shortened(len(found.subjects)),
            rows=[(s.atena_no, "個人番号に触れた" if s.my_number else "―") for s in found.subjects[:_SHOWN]],
            empty="対象者はいません。",
        ),
        Table(
            title="提供の記録",
            note=_shortened(len(found.disclosures)),
            heads=("宛名番号", "事項", "提供先", "根拠", "媒体"),
            rows=[
                (d.atena_no, "、".join(ITEMS.get(i, i) for i in d.items), d.to, d.basis, MEDIA.get(d.medium, d.medium))
                for d in found.disclosures[:_SHOWN]
            ],
            empty="外部への提供はありません。",
        ),
    ]
    context = {"said": said, "tables": tables}
    return render(request, "entry.html", f"操作 {op_no}", context, tenant=tenant, here="/audit")


async def _page(
    request: AnyRequest, code: str, fleet: Fleet, caller: Caller, form: Form, *, analyses: bool
) -> Response[bytes]:
    since, until = _period(form, fleet.clock())
    if since >= until:
        form.wrong("until", "始まりの日より前の日です。期間を確かめてください。")
    tables: list[Table] = []
    async with operation(fleet, caller, "audit.list", purpose=PURPOSE, right=RIGHT, write=False) as op:
        wanted = Filter(
            since=since,
            until=until,
            action=form.text("action"),
            result=form.text("result"),
            actor_id=await _actor(op, form),
        )
        if form.errors:
            entries = []
        elif form.text("atena_no"):
            entries = [e for e in await audit.about(op, form.text("atena_no")) if _wanted(e, wanted)]
        else:
            entries = await audit.listing(op, wanted)
        found = await audit.analyse(op, since, until) if analyses else []
        named = await _named(
            op, [*(e.intent.actor_id for e in entries), *(w for f in found for w in f.who.split(", "))]
        )
    if analyses:
        tables.append(_analyses(found, named))
    tables.append(
        Table(
            title="操作の一覧",
            note=f"新しい順に{len(entries)}件"
            + ("まで表示。期間や条件を絞ってください。" if len(entries) >= _CAP else ""),
            heads=_HEADS,
            rows=[_line(e, named) for e in entries],
            empty="条件に合う操作はありません。期間を広げてください。",
        )
    )
    context = {
        "tables": tables,
        "form": form,
        "action": f"/{code}/audit",
        "button": "この条件で調べる",
        "acts": [],
        "lead": "",
    }
    tenant = await fleet.tenant(code)
    status = 422 if form.errors else 200
    return render(request, "list.html", "操作の記録", context, tenant=tenant, here="/audit", status=status)


async def _actor(op: audit.Operation, form: Form) -> str:
    """The operator id of a log-in name; who is nobody is said beside the field."""
    given = form.text("actor")
    if not given:
        return ""
    try:
        return (await accounts.find(op.work, given)).operator_id
    except NotFound:
        form.wrong("actor", "このログイン名の操作者はいません。ログイン名を確かめてください。")
        return ""


async def _named(op: audit.Operation, ids: Sequence[str]) -> dict[str, str]:
    """Id -> 氏名; an operator who has no account here stands with a word before the id."""
    known = await clerks.names(op, [i for i in ids if i and i not in ACTORS])
    strangers = {i: f"登録のない操作者 {i}" for i, name in known.items() if name == i and i.startswith("op-")}
    return known | strangers | ACTORS


def _shortened(count: int) -> str:
    return (
        f"{count:,}人のうち{_SHOWN}人まで表示。特定の人は、操作の記録を宛名番号で調べてください。"
        if count > _SHOWN
        else ""
    )


def _wanted(entry: Entry, wanted: Filter) -> bool:
    """Whether an operation on one person also fits the other conditions."""
    begun = wanted.since is None or entry.at >= wanted.since
    ended = wanted.until is None or entry.at < wanted.until
    return (
        begun
        and ended
        and wanted.action in ("", entry.action)
        and wanted.result in ("", entry.result or "open")
        and wanted.actor_id in ("", entry.intent.actor_id)
    )


def _analyses(found: Sequence[audit.Finding], named: dict[str, str]) -> Table:
    rows = [
        (
            Cell(ANALYSES.get(f.analysis, f.analysis), look="warn"),
            who(f.who, named),
            f"{f.count}{'人' if f.analysis == 'one_person_by_many' else '件'}",
            words.instant(f.first_at),
            words.instant(f.last_at),
            Cell(str(f.op_nos[0]), path=f"/audit/{f.op_nos[0]}") if f.op_nos else "",
        )
        for f in sorted(found, key=lambda f: (list(ANALYSES).index(f.analysis), -f.count))
    ]
    return Table(
        title="標準分析（7日間）",
        heads=("分析", "操作者・対象", "件数", "最初", "最後", "操作の例"),
        rows=rows,
        empty="注意が必要な利用は見つかりませんでした。",
    )


def who(found: str, named: dict[str, str]) -> str:
    """The operators of a finding by name, or the terminal where nobody was known."""
    kind, _, terminal = found.partition(" ")
    if kind == "terminal":
        return f"端末 {terminal}"
    return "、".join(named.get(one, one) for one in found.split(", "))


def _line(entry: Entry, named: dict[str, str]) -> list[str | Cell]:
    result = entry.result or "open"
    persons = [s.atena_no for s in entry.subjects]
    return [
        Cell(str(entry.op_no), path=f"/audit/{entry.op_no}"),
        words.instant(entry.at),
        action(entry.action),
        Cell(dict(RESULTS).get(result, result), look=_LOOK.get(result, "")),
        named.get(entry.intent.actor_id, entry.intent.actor_id),
        entry.intent.terminal_id,
        words.PURPOSE_NAMES.get(entry.intent.purpose, entry.intent.purpose),
        "、".join(persons[:3]) + (f" ほか{len(persons) - 3}人" if len(persons) > 3 else ""),
    ]


def _period(form: Form, now: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    first, last = form.date("since"), form.date("until")
    today = now.astimezone(JST).date()
    start = (first.to_date() if first else None) or today - dt.timedelta(days=_DAYS)
    end = (last.to_date() if last else None) or today
    midnight = dt.time.min
    return dt.datetime.combine(start, midnight, JST), dt.datetime.combine(end + dt.timedelta(days=1), midnight, JST)


routes: Final = [listing, search, detail]
