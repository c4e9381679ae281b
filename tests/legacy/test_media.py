"""移行の媒体: registered, kept, returned or destroyed, and an import from no other (R-1-3.2-MED-01)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.legacy.media import registered

from juki import legacy
from juki.access.model import Caller
from juki.audit import Operation, operation, reading
from juki.audit.model import Filter
from juki.config import Config
from juki.problem import Conflict, Invalid, JukiError, NotFound, Refused
from juki.tenancy import Fleet, bulk

IWAKI, HIRONO = "072044", "075418"
DAY = dt.date(2026, 11, 2)


class Keeper:
    """Whoever keeps the media of one municipality."""

    def __init__(self, fleet: Fleet, who: Caller) -> None:
        self.fleet, self.who = fleet, who

    async def do(self, work: Callable[[Operation], Awaitable[Any]], action: str = "medium_add") -> Any:
        """One recorded operation."""
        async with operation(self.fleet, self.who, f"legacy.{action}", purpose="移行媒体の管理") as op:
            return await work(op)

    async def add(self, number: str, **more: Any) -> None:
        """Register a medium."""
        given = {"kind": "usb", "encryption": "AES-256", "received_on": DAY, "received_from": "搬送　花子"} | more
        await self.do(lambda op: legacy.add_medium(op, number, **given))

    async def leave(self, number: str, how: str, on: dt.date = DAY) -> None:
        """Return or destroy it."""
        if how == "return":
            await self.do(lambda op: legacy.return_medium(op, number, on=on, to="搬送　花子"), "medium_return")
        else:
            await self.do(lambda op: legacy.destroy_medium(op, number, on=on, by="廃棄　次郎"), "medium_destroy")

    async def refusal(self, work: Awaitable[None]) -> JukiError:
        """What it was refused with."""
        with pytest.raises(JukiError) as caught:
            await work
        return caught.value


@pytest.fixture
def keeper(fleet: Fleet, caller: Callable[..., Caller]) -> Keeper:
    return Keeper(fleet, caller("import.run", "import.review", tenant=IWAKI, actor="op-medium"))


async def _versions(fleet: Fleet, code: str) -> int:
    with bulk(fleet, code) as connection:
        row = connection.execute(f"SELECT count(*) FROM t{code}.resident_version".encode()).fetchone()
    return row[0] if row else -1


async def test_an_import_from_a_medium_that_is_not_registered_or_has_left_is_refused(
    fresh_fleet: Fleet, extracts: dict[str, Path], caller: Callable[..., Caller]
) -> None:
    """R-1-3.2-MED-01: unknown, returned, destroyed, and registered in another municipality only; then it goes."""
    keeper = Keeper(fresh_fleet, caller("import.run", "import.review", "audit.read", tenant=IWAKI))
    medium = "USB-072044-01"
    await registered(fresh_fleet, HIRONO, medium)
    refused = await keeper.refusal(legacy.run_import(fresh_fleet, keeper.who, extracts[IWAKI]))
    assert (type(refused), refused.code) == (Conflict, "legacy.medium_unregistered")
    await registered(fresh_fleet, IWAKI)
    today = fresh_fleet.clock().astimezone(dt.timezone(dt.timedelta(hours=9))).date()
    await keeper.leave(medium, "return", today)
    refused = await keeper.refusal(legacy.run_import(fresh_fleet, keeper.who, extracts[IWAKI]))
    assert (type(refused), refused.code) == (Conflict, "legacy.medium_gone")
    other = legacy.run_import(fresh_fleet, keeper.who, extracts[IWAKI], medium="USB-999")
    assert (await keeper.refusal(other)).code == "legacy.medium_unregistered"
    assert await _versions(fresh_fleet, IWAKI) == 0
    await registered(fresh_fleet, IWAKI, "DVD-0001")
    await keeper.leave("DVD-0001", "destroy", today)
    dead = legacy.run_import(fresh_fleet, keeper.who, extracts[IWAKI], medium="DVD-0001")
    assert (await keeper.refusal(dead)).code == "legacy.medium_gone"
    await keeper.add(medium, received_on=today)  # it came again
    assert (await legacy.run_import(fresh_fleet, keeper.who, extracts[IWAKI])).medium == medium
    async with operation(fresh_fleet, keeper.who, "audit.list", purpose="監査", write=False) as op:
        told = [(e.action, e.result) for e in await reading.listing(op, Filter(limit=100))]
    assert told.count(("legacy.import", "refused")) + told.count(("legacy.import", "failed")) == 4
    assert ("legacy.medium_return", "done") in told
    assert ("legacy.medium_destroy", "done") in told


async def test_the_course_of_a_medium_is_kept_whole(keeper: Keeper, config: Config) -> None:
    """Received, returned, received again, destroyed: four steps with day, person and who noted it; names are sealed."""
    await keeper.add("usb-100")
    await keeper.leave("USB-100", "return", dt.date(2026, 11, 3))
    await keeper.add("USB-100", received_on=dt.date(2026, 11, 4), received_from="搬送　三郎")
    await keeper.leave("USB-100", "destroy", dt.date(2026, 11, 5))
    media = {m.medium_no: m for m in await keeper.do(legacy.media, "medium_list")}
    assert [(s.state.value, s.on_day.day, s.person, s.noted_by) for s in media["USB-100"].steps] == [
        ("in", 2, "搬送　花子", "op-medium"),
        ("returned", 3, "搬送　花子", "op-medium"),
        ("in", 4, "搬送　三郎", "op-medium"),
        ("destroyed", 5, "廃棄　次郎", "op-medium"),
    ]
    assert (
        await keeper.refusal(keeper.add("USB-100", received_on=dt.date(2026, 11, 6)))
    ).code == "legacy.medium_destroyed"
    with bulk(config, IWAKI) as connection:
        rows = connection.execute("SELECT s::text FROM t072044.import_medium_step s").fetchall()
    assert rows
    assert not [row for row in rows if "搬送".encode().hex() in row[0] or "搬送" in row[0]]


@pytest.mark.parametrize(
    ("number", "more", "code"),
    [
        ("U", {}, "legacy.medium_no"),
        ("USB 1", {}, "legacy.medium_no"),
        ("USB-200", {"kind": "paper"}, "legacy.medium_kind"),
        ("USB-200", {"encryption": " "}, "legacy.medium_text"),
        ("USB-200", {"received_from": ""}, "legacy.medium_text"),
        ("USB-200", {"received_on": dt.date(2099, 1, 1)}, "legacy.medium_day"),
    ],
)
async def test_a_medium_is_not_registered_with_less(
    keeper: Keeper, number: str, more: dict[str, Any], code: str
) -> None:
    """R-1-3.2-MED-01: a number, a kind, an encryption, whom it came from and a day that has been."""
    refused = await keeper.refusal(keeper.add(number, **more))
    assert (type(refused), refused.code) == (Invalid, code)
    assert number not in {m.medium_no for m in await keeper.do(legacy.media, "medium_list")}


async def test_a_medium_is_registered_once_and_leaves_once(keeper: Keeper, caller: Callable[..., Caller]) -> None:
    """Twice is refused, and so is whoever may not."""
    await keeper.add("USB-300")
    assert (await keeper.refusal(keeper.add("USB-300"))).code == "legacy.medium_known"
    assert isinstance(await keeper.refusal(keeper.leave("USB-301", "return")), NotFound)
    assert (
        await keeper.refusal(keeper.leave("USB-300", "return", DAY - dt.timedelta(days=1)))
    ).code == "legacy.medium_day"
    await keeper.leave("USB-300", "return")
    assert (await keeper.refusal(keeper.leave("USB-300", "destroy"))).code == "legacy.medium_gone"
    stranger = Keeper(keeper.fleet, caller("resident.read", tenant=IWAKI))
    assert isinstance(await stranger.refusal(stranger.add("USB-302")), Refused)
    assert isinstance(await stranger.refusal(stranger.do(legacy.media)), Refused)
