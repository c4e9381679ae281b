"""索引鍵の交換 over real residents: found before, found all the while, found after, and the old slot is empty."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from juki import registry
from juki.access.model import Caller
from juki.audit import operation
from juki.commands.rotate import SEALED
from juki.config import Config
from juki.registry import Query
from juki.tenancy import Fleet, IndexedTables, connect, rotate_index, rotate_root

from ..registry.conftest import Desk, my_number, three
from .conftest import kms_of

CODE = "075418"
INDEXED = IndexedTables(refills=registry.REFILLS, slots=registry.SLOTS)
Quiet = Callable[[object], None]


async def turn(config: Config, tell: Quiet) -> Any:
    """The index root of 広野町, turned beside the service."""
    return await asyncio.to_thread(rotate_index, config, kms_of(config), CODE, actor="test", indexed=INDEXED, tell=tell)


async def found(desk: Desk, query: Query) -> list[str]:
    """宛名番号 of everyone a search finds."""
    async with operation(desk.fleet, desk.clerk, "registry.search", purpose="試験") as op:
        hits = await registry.search(op, query)
    return sorted(hit.atena_no for hit in hits.hits)


async def test_residents_are_found_before_during_and_after_a_turn_of_the_index_root(
    fresh_fleet: Fleet, fresh_config: Config, caller: Callable[..., Caller]
) -> None:
    """Searches by name, kana and number answer the same at every step, and a move-in during the turn is found after it."""
    desk = Desk(fresh_fleet, caller, CODE)
    await desk.make(three("渡邊"))
    queries = [Query(name="渡辺"), Query(kana="ワタナベ"), Query(my_number=my_number(1))]
    before = [await found(desk, query) for query in queries]
    assert len(before[0]) == 3
    stop, answers = asyncio.Event(), 0

    async def ask() -> None:
        nonlocal answers
        while not stop.is_set():
            assert [await found(desk, query) for query in queries] == before
            answers += 1

    asking = asyncio.create_task(ask())
    done = await turn(fresh_config, lambda _: None)
    stop.set()
    await asking
    assert answers > 0
    assert (done.old_version, done.new_version) == (1, 2)
    assert [await found(desk, query) for query in queries] == before
    assert slots(fresh_config) == {"a": 0, "b": 3}
    again = await turn(fresh_config, lambda _: None)
    assert again.new_version == 3
    assert [await found(desk, query) for query in queries] == before
    assert slots(fresh_config) == {"a": 3, "b": 0}


def slots(config: Config) -> dict[str, int]:
    """Rows of each slot."""
    with connect(config, "deploy") as connection:
        rows = {
            slot: connection.execute(f"SELECT count(*) FROM t075418.resident_index_{slot}").fetchone()  # pyright: ignore[reportArgumentType, reportCallIssue]
            for slot in ("a", "b")
        }
    return {slot: row[0] for slot, row in rows.items() if row}


async def test_a_change_made_while_the_slot_is_being_filled_is_in_both(
    fresh_fleet: Fleet, fresh_config: Config, caller: Callable[..., Caller]
) -> None:
    """Writers fill both slots from the moment every process has said so."""
    desk = Desk(fresh_fleet, caller, CODE)
    await desk.make(three("渡邊"))
    loop = asyncio.get_running_loop()

    def tell(progress: object) -> None:
        if (getattr(progress, "step", ""), getattr(progress, "phase", "")) == ("processes write both", "end"):
            asyncio.run_coroutine_threadsafe(desk.make(three("髙橋")), loop).result(60)

    await turn(fresh_config, tell)
    assert len(await found(desk, Query(name="高橋"))) == 3
    assert slots(fresh_config) == {"a": 0, "b": 6}


async def test_after_the_root_is_turned_over_a_real_register_everything_still_opens(
    fresh_fleet: Fleet, fresh_config: Config, caller: Callable[..., Caller]
) -> None:
    """Every sealed column of every room is re-sealed, and the log still reads."""
    desk = Desk(fresh_fleet, caller, CODE)
    made = await desk.make(three("渡邊"))
    waiting = three("髙橋")
    draft = await desk.enter(waiting)
    done = await asyncio.to_thread(
        rotate_root, fresh_config, kms_of(fresh_config), CODE, actor="test", sealed=SEALED, tell=lambda _: None
    )
    assert done.rows >= 5
    record = await desk.read(made.atena_nos[0])
    assert record.basic is not None
    assert record.basic.name.startswith("渡邊")
    view = await desk.do(desk.checker, lambda op: registry.case(op, draft))
    assert view.change is not None
    await desk.confirm(draft, waiting)


@pytest.fixture(autouse=True)
def _clock(fresh_fleet: Fleet) -> None:
    """The counter's day of the registry's own tests."""
    import datetime as dt

    from juki.dates import JST

    fresh_fleet.clock = lambda: dt.datetime(2026, 11, 20, 10, 0, tzinfo=JST)
