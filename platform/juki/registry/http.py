"""住民の口: JSON routes for finding, reading and changing residents. Decodes, calls the front door, encodes; nothing else.

Whatever names a person stands in the body: a search is a POST, and only 宛名番号, 世帯番号 and case numbers stand in an address.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any, Final, cast

import msgspec
from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from juki import registry
from juki.access import Caller
from juki.audit import Operation, operation
from juki.dates import JST
from juki.registry.blind import to_confirm
from juki.registry.change import Change, Reception
from juki.registry.measures import SupportMeasure
from juki.registry.named import from_named, to_named
from juki.registry.query import Query
from juki.registry.resident import Record
from juki.tenancy import Fleet
from juki.web import route

_READ: Final = "resident.read"
_ATENA: Final = Parameter(pattern=r"^[0-9]{1,15}$", description="宛名番号")
_SETAI: Final = Parameter(pattern=r"^[0-9]{1,15}$", description="世帯番号")
_GROUPS: Final = Parameter(
    pattern=r"^[a-z_]{1,20}(,[a-z_]{1,20}){0,8}$",
    description="項目の区分, e.g. basic,address; all open ones where left out",
)
_DAY: Final = Parameter(description="基準日: the version that was true on this day")
_KNOWN: Final = Parameter(description="記録日時: as known at this instant")
_DEFAULT: Final = "basic,address,domicile,foreigner,entitlements,removal,notes"
_HIT_ITEMS: Final = ("name", "name_kana", "birth", "sex", "address", "status", "relationship")
_NUMBER: Final = Parameter(ge=1, le=2**62)
_Short: Final = msgspec.Meta(min_length=1, max_length=400)


class Searching(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """照会の条件, as typed."""

    kana: Annotated[str, msgspec.Meta(max_length=100)] = ""
    name: Annotated[str, msgspec.Meta(max_length=100)] = ""
    birth: Annotated[str, msgspec.Meta(max_length=40)] = ""
    address: Annotated[str, msgspec.Meta(max_length=200)] = ""
    sex: Annotated[str, msgspec.Meta(pattern=r"^[012]?$")] = ""
    my_number: Annotated[str, msgspec.Meta(max_length=20)] = ""
    resident_code: Annotated[str, msgspec.Meta(max_length=20)] = ""
    atena_no: Annotated[str, msgspec.Meta(max_length=20)] = ""
    setai_no: Annotated[str, msgspec.Meta(max_length=20)] = ""
    include_removed: bool = True


class Entering(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """異動の入力: the form (`change`, its kind under `form`), the reception record, and reasons for the alerts passed."""

    change: dict[str, Any]
    reception: dict[str, Any]
    acknowledged: dict[str, Annotated[str, _Short]] = msgspec.field(default_factory=dict[str, str])
    replaces: Annotated[int, msgspec.Meta(ge=1)] | None = None


class Confirming(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """照合: numbers and dates typed again, by path."""

    reentry: dict[str, Annotated[str, msgspec.Meta(max_length=80)]]


class Reasoned(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """理由."""

    reason: Annotated[str, _Short]


class Amending(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """支援措置の変更: the items as they are to read, and the reason where something is protected less."""

    content: dict[str, Any]
    reason: Annotated[str, msgspec.Meta(max_length=400)] = ""


class Entered(msgspec.Struct, frozen=True, kw_only=True):
    """受付番号."""

    case_no: int


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """支援措置の番号."""

    measure_no: int


class AskedFor(msgspec.Struct, frozen=True, kw_only=True):
    """緩和の申請の番号."""

    loosening_no: int


@post("/search", opt=route("resident.search", "resident.search"), status_code=200)
async def search(data: Searching, caller: Caller, fleet: Fleet, purpose: str) -> dict[str, Any]:
    """照会: at most fifty residents who satisfy every condition."""
    given = {name: getattr(data, name) for name in data.__struct_fields__ if name != "sex"}
    query = from_named(Query, given | {"sex": data.sex or None})
    async with operation(fleet, caller, "resident.search", purpose=purpose, right="resident.search", write=False) as op:
        found = await registry.search(op, query)
        for hit in found.hits:
            _hand_out(op, purpose, hit.atena_no, [item for item in _HIT_ITEMS if getattr(hit, item)])
    return {"hits": [to_named(hit) for hit in found.hits], "capped": found.capped}


@get("/records/{atena_no:str}", opt=route("resident.read", _READ))
async def record(
    atena_no: Annotated[str, _ATENA],
    caller: Caller,
    fleet: Fleet,
    purpose: str,
    groups: Annotated[str, _GROUPS] = _DEFAULT,
    as_of: Annotated[dt.date | None, _DAY] = None,
    known_at: Annotated[dt.datetime | None, _KNOWN] = None,
) -> dict[str, Any]:
    """住民票: one resident on a day, as known at an instant."""
    async with operation(fleet, caller, "resident.read", purpose=purpose, right=_READ, write=False) as op:
        found = await registry.record(
            op, atena_no, groups=tuple(groups.split(",")), as_of=as_of, known_at=_instant(known_at)
        )
        _hand_out(op, purpose, atena_no, _told(groups, [found]))
    return to_named(found)


@get("/records/{atena_no:str}/history", opt=route("resident.history", _READ))
async def history(
    atena_no: Annotated[str, _ATENA],
    caller: Caller,
    fleet: Fleet,
    purpose: str,
    groups: Annotated[str, _GROUPS] = "basic,address",
) -> list[dict[str, Any]]:
    """異動履歴: every version with its change, corrected and cancelled ones marked."""
    async with operation(fleet, caller, "resident.history", purpose=purpose, right=_READ, write=False) as op:
        found = await registry.history(op, atena_no, groups=tuple(groups.split(",")))
        _hand_out(op, purpose, atena_no, ["history", *_told(groups, [version.record for version in found])])
    return [to_named(version) for version in found]


@get("/records/{atena_no:str}/protection", opt=route("resident.protection", _READ))
async def protection(atena_no: Annotated[str, _ATENA], caller: Caller, fleet: Fleet, purpose: str) -> dict[str, Any]:
    """支援措置・抑止 of one resident, as far as the caller may know."""
    async with operation(fleet, caller, "resident.protection", purpose=purpose, right=_READ, write=False) as op:
        await registry.record(op, atena_no, groups=())
        found = await registry.protection(op, atena_no)
    return to_named(found)


@get("/households/{setai_no:str}", opt=route("resident.household", _READ))
async def household(
    setai_no: Annotated[str, _SETAI],
    caller: Caller,
    fleet: Fleet,
    purpose: str,
    groups: Annotated[str, _GROUPS] = "basic,address",
    as_of: Annotated[dt.date | None, _DAY] = None,
) -> dict[str, Any]:
    """世帯 on a day, head first."""
    async with operation(fleet, caller, "resident.household", purpose=purpose, right=_READ, write=False) as op:
        found = await registry.household(op, setai_no, groups=tuple(groups.split(",")), as_of=as_of)
        for member in found.members:
            _hand_out(op, purpose, member.atena_no, _told(groups, [member]))
    return to_named(found)


@post("/changes/examine", opt=route("change.examine", "change.enter"), status_code=200)
async def examine(data: Entering, caller: Caller, fleet: Fleet, purpose: str) -> dict[str, Any]:
    """審査: what the rules say, before and after, nothing kept."""
    change, reception = _form(data)
    async with operation(fleet, caller, "change.examine", purpose=purpose, right="change.enter", write=False) as op:
        return to_named(await registry.examine(op, change, reception))


@post("/changes", opt=route("change.enter", "change.enter"))
async def enter(data: Entering, caller: Caller, fleet: Fleet, purpose: str) -> Entered:
    """仮登録: the number of the case that now waits for a second person."""
    change, reception = _form(data)
    async with operation(fleet, caller, "change.enter", purpose=purpose, right="change.enter") as op:
        number = await registry.enter(op, change, reception, acknowledged=data.acknowledged, replaces=data.replaces)
    return Entered(case_no=number)


@get("/cases", opt=route("change.queue", "change.confirm", "照合待ちの確認"))
async def queue(caller: Caller, fleet: Fleet, purpose: str) -> list[dict[str, Any]]:
    """照合待ちの一覧."""
    async with operation(fleet, caller, "change.queue", purpose=purpose, right="change.confirm", write=False) as op:
        return [to_named(summary) for summary in await registry.queue(op)]


@get("/cases/{case_no:int}", opt=route("change.case", "change.confirm", "照合待ちの確認"))
async def case(case_no: Annotated[int, _NUMBER], caller: Caller, fleet: Fleet, purpose: str) -> dict[str, Any]:
    """仮登録の内容 with before and after; whoever may confirm it is not shown what they have to type again."""
    async with operation(fleet, caller, "change.case", purpose=purpose, right="change.confirm", write=False) as op:
        view = await registry.case(op, case_no)
        return to_confirm(view) if view.summary.may_confirm else to_named(view)


@post("/cases/{case_no:int}/confirm", opt=route("change.confirm", "change.confirm"), status_code=200)
async def confirm(
    case_no: Annotated[int, _NUMBER],
    data: Confirming,
    caller: Caller,
    fleet: Fleet,
    purpose: str,
) -> dict[str, Any]:
    """照合・本登録. Sent twice it answers the same."""
    async with operation(fleet, caller, "change.confirm", purpose=purpose, right="change.confirm") as op:
        return to_named(await registry.confirm(op, case_no, data.reentry))


@post("/cases/{case_no:int}/hand-back", opt=route("change.hand_back", "change.confirm"), status_code=204)
async def hand_back(
    case_no: Annotated[int, _NUMBER], data: Reasoned, caller: Caller, fleet: Fleet, purpose: str
) -> None:
    """差戻し."""
    async with operation(fleet, caller, "change.hand_back", purpose=purpose, right="change.confirm") as op:
        await registry.hand_back(op, case_no, data.reason)


@post("/cases/{case_no:int}/withdraw", opt=route("change.withdraw", "change.enter"), status_code=204)
async def withdraw(
    case_no: Annotated[int, _NUMBER], data: Reasoned, caller: Caller, fleet: Fleet, purpose: str
) -> None:
    """取下げ."""
    async with operation(fleet, caller, "change.withdraw", purpose=purpose, right="change.enter") as op:
        await registry.withdraw(op, case_no, data.reason)


@post("/protections", opt=route("protection.enter", "protection.enter"))
async def enter_protection(data: dict[str, Any], caller: Caller, fleet: Fleet, purpose: str) -> Measured:
    """支援措置の開始: the 29 items."""
    content = from_named(SupportMeasure, data)
    async with operation(fleet, caller, "protection.enter", purpose=purpose, right="protection.enter") as op:
        number = await registry.enter_protection(op, content)
    return Measured(measure_no=number)


@get("/protections/alerts", opt=route("protection.alerts", "protection.read", "支援措置の期間の確認"))
async def protection_alerts(caller: Caller, fleet: Fleet, purpose: str) -> list[dict[str, Any]]:
    """期間終了の知らせ: measures whose last day is near or has passed."""
    async with operation(
        fleet, caller, "protection.alerts", purpose=purpose, right="protection.read", write=False
    ) as op:
        found = await registry.protection_alerts(op)
    return [{"measure": to_named(measure), "alert": told} for measure, told in found]


@post("/protections/{measure_no:int}/amend", opt=route("protection.amend", "protection.enter"), status_code=200)
async def amend_protection(
    measure_no: Annotated[int, _NUMBER], data: Amending, caller: Caller, fleet: Fleet, purpose: str
) -> registry.Amended:
    """支援措置の変更: holds at once as far as it protects nobody less; the rest waits under `loosening_no`."""
    content = from_named(SupportMeasure, data.content, path="content")
    action = "protection.ask_narrow" if data.reason else "protection.amend"
    async with operation(fleet, caller, action, purpose=purpose, right="protection.enter") as op:
        return await registry.amend_protection(op, measure_no, content, reason=data.reason)


@post("/protections/{measure_no:int}/ask-end", opt=route("protection.ask_end", "protection.enter"))
async def ask_end(
    measure_no: Annotated[int, _NUMBER], data: Reasoned, caller: Caller, fleet: Fleet, purpose: str
) -> AskedFor:
    """支援措置の終了の申請; the measure goes on until a second person approves."""
    async with operation(fleet, caller, "protection.ask_end", purpose=purpose, right="protection.enter") as op:
        return AskedFor(loosening_no=await registry.ask_end(op, measure_no, data.reason))


@post(
    "/records/{atena_no:str}/suppressions/{suppression_no:int}/ask-release",
    opt=route("protection.ask_release", "protection.enter"),
)
async def ask_release(
    atena_no: Annotated[str, _ATENA],
    suppression_no: Annotated[int, _NUMBER],
    data: Reasoned,
    caller: Caller,
    fleet: Fleet,
    purpose: str,
) -> AskedFor:
    """抑止の解除の申請, for good; the process stays held back until a second person approves."""
    async with operation(fleet, caller, "protection.ask_release", purpose=purpose, right="protection.enter") as op:
        return AskedFor(loosening_no=await registry.ask_release(op, atena_no, suppression_no, data.reason))


@get("/loosenings", opt=route("protection.asks", "protection.enter", "支援措置の緩和の承認"))
async def loosenings(caller: Caller, fleet: Fleet, purpose: str) -> list[dict[str, Any]]:
    """承認待ちの一覧: what waits for a second person."""
    async with operation(
        fleet, caller, "protection.asks", purpose=purpose, right="protection.enter", write=False
    ) as op:
        return [to_named(view) for view in await registry.loosenings(op)]


@get("/loosenings/{loosening_no:int}", opt=route("protection.ask", "protection.enter", "支援措置の緩和の承認"))
async def loosening(
    loosening_no: Annotated[int, _NUMBER], caller: Caller, fleet: Fleet, purpose: str
) -> dict[str, Any]:
    """緩和の申請の内容 with its course."""
    async with operation(fleet, caller, "protection.ask", purpose=purpose, right="protection.enter", write=False) as op:
        return to_named(await registry.loosening(op, loosening_no))


@post("/loosenings/{loosening_no:int}/approve", opt=route("protection.approve", "protection.enter"), status_code=204)
async def approve_loosening(loosening_no: Annotated[int, _NUMBER], caller: Caller, fleet: Fleet, purpose: str) -> None:
    """緩和の承認 by another person than the one who asked."""
    async with operation(fleet, caller, "protection.approve", purpose=purpose, right="protection.enter") as op:
        await registry.approve_loosening(op, loosening_no)


@post("/loosenings/{loosening_no:int}/decline", opt=route("protection.decline", "protection.enter"), status_code=204)
async def decline_loosening(
    loosening_no: Annotated[int, _NUMBER], data: Reasoned, caller: Caller, fleet: Fleet, purpose: str
) -> None:
    """緩和の却下."""
    async with operation(fleet, caller, "protection.decline", purpose=purpose, right="protection.enter") as op:
        await registry.decline_loosening(op, loosening_no, data.reason)


@post(
    "/loosenings/{loosening_no:int}/withdraw",
    opt=route("protection.withdraw", "protection.enter"),
    status_code=204,
)
async def withdraw_loosening(loosening_no: Annotated[int, _NUMBER], caller: Caller, fleet: Fleet, purpose: str) -> None:
    """緩和の申請の取下げ."""
    async with operation(fleet, caller, "protection.withdraw", purpose=purpose, right="protection.enter") as op:
        await registry.withdraw_loosening(op, loosening_no)


def _hand_out(op: Operation, purpose: str, atena_no: str, items: Sequence[str]) -> None:
    """提供: what a machine is answered leaves for another duty's system; staff look at it here."""
    if op.caller.actor_kind == "machine":
        op.disclose(atena_no, items, op.caller.actor_id, purpose, "api", my_number="my_number" in items)


def _told(groups: str, records: Sequence[Record]) -> list[str]:
    """Of the groups asked for those that went out: what is withheld, or is not there, was not handed to anybody."""
    return [group for group in groups.split(",") if any(getattr(record, group) is not None for record in records)]


def _form(data: Entering) -> tuple[Change, Reception]:
    change = cast("Change", from_named(cast("type[Any]", Change), data.change, path="change"))
    return change, from_named(Reception, data.reception, path="reception")


def _instant(given: dt.datetime | None) -> dt.datetime | None:
    """An instant without a zone is read as Japanese time."""
    if given is None or given.tzinfo is not None:
        return given
    return given.replace(tzinfo=JST)


routes: Final[list[HTTPRouteHandler]] = [
    search,
    record,
    history,
    protection,
    household,
    examine,
    enter,
    queue,
    case,
    confirm,
    hand_back,
    withdraw,
    enter_protection,
    protection_alerts,
    amend_protection,
    ask_end,
    ask_release,
    loosenings,
    loosening,
    approve_loosening,
    decline_loosening,
    withdraw_loosening,
]
