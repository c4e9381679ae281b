"""kill -9 between the entry and the register: doing it again ends the story with each change made exactly once."""

from __future__ import annotations

import asyncio
import datetime as dt
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.registry.conftest import CHECK, ENTRY, Desk, family, newcomer, reception, three

from juki import audit, registry
from juki.config import Config
from juki.dates import JST, RegistryDate
from juki.registry.model import Change, Death, MoveIn, NumberSource, Position, Status

CHILD = Path(__file__).with_name("killed.py")
Tally = dict[str, int]
POINTS = (
    "case moved",
    "ledger written",
    "versions written",
    "indexes written",
    "numbers asked for",
    "before the commit",
    "after the commit",
)
ENTRY_POINTS = ("draft written", "before the commit", "after the commit")
SERIALS = "一二三四五六七"
MOVED_IN = {"event": 1, "version": 3, "index": 3, "number": 4, "request": 2, "step": 1}
DIED = {"event": 1, "version": 3, "index": 0, "number": 0, "request": 0, "step": 1}
NOTHING = dict.fromkeys(MOVED_IN, 0)


async def kill(config: Config, point: str, order: dict[str, Any]) -> None:
    """Run the child until it kills itself at the point; anything else it may end with is a failure of the test."""
    child = [sys.executable, str(CHILD), point, config.dsn_registry, config.kms, config.home]
    given = msgspec.json.encode(order)
    killed = await asyncio.to_thread(subprocess.run, child, input=given, capture_output=True, check=False)
    assert killed.returncode == -9, killed.stderr.decode()


async def tally(desk: Desk) -> Tally:
    """Rows of everything that a confirmation writes."""
    async with desk.fleet.session(desk.tenant, write=False) as session:
        row = await session.fetch_one(
            "SELECT (SELECT count(*) FROM {t}.event), (SELECT count(*) FROM {t}.resident_version), "
            "(SELECT count(*) FROM {t}.resident_index_a), (SELECT count(*) FROM {t}.resident_number_a), "
            "(SELECT count(*) FROM {t}.number_request), (SELECT count(*) FROM {t}.case_step)"
        )
    assert row is not None
    return dict(zip(MOVED_IN, row, strict=True))


def more(now: Tally, before: Tally) -> Tally:
    """What was added since."""
    return {name: now[name] - before[name] for name in now}


async def results(desk: Desk, action: str) -> dict[int, str]:
    """Outcome of each operation of this name in the log; empty where it has none."""
    async with desk.fleet.session(desk.tenant, write=False) as session:
        rows = await session.fetch(
            "SELECT i.op_no, coalesce(o.result, '') FROM {t}.audit_row i LEFT JOIN {t}.audit_row o "
            "ON o.op_no = i.op_no AND o.part = 1 WHERE i.part = 0 AND i.action = %(action)s",
            {"action": action},
        )
    return dict(rows)


async def sweep_later(desk: Desk) -> int:
    """What the sweeper closes once nobody can be waiting any more."""
    desk.fleet.clock = lambda: dt.datetime(2026, 11, 20, 13, 0, tzinfo=JST)
    return await audit.sweep(desk.fleet, desk.tenant)


async def confirm_killed_then_again(
    desk: Desk, config: Config, point: str, change: Change, made: Tally
) -> registry.ConfirmResult:
    """Kill a confirmation at the point, look, confirm again as the same person, look again."""
    case_no = await desk.enter(change)
    typed = await desk.typed(case_no, change)
    before, logged = await tally(desk), await results(desk, "registry.killed")
    order = {"actor": desk.checker.actor_id, "rights": sorted(CHECK), "case_no": case_no, "typed": typed}
    await kill(config, point, order)
    finished = point == "after the commit"
    assert more(await tally(desk), before) == (made if finished else NOTHING)
    waiting = await desk.do(desk.checker, lambda op: registry.case(op, case_no))
    assert waiting.summary.state == ("confirmed" if finished else "entered")

    result = await desk.confirm(case_no, change)
    assert more(await tally(desk), before) == made
    view = await desk.do(desk.checker, lambda op: registry.case(op, case_no))
    assert view.summary.state == "confirmed"
    assert [(s.state, s.done_by) for s in view.steps] == [("entered", "op-entry"), ("confirmed", "op-check")]
    assert view.steps[-1].event_no == result.event_no

    assert await sweep_later(desk) == (0 if finished else 1)
    cut = set((await results(desk, "registry.killed")).items()) - set(logged.items())
    assert [outcome for _, outcome in cut] == ["done" if finished else "unknown"]
    assert set((await results(desk, "registry.confirm")).values()) == {"done"}
    return result


async def whole(desk: Desk, setai_no: str) -> list[tuple[str, str, bool]]:
    """(宛名番号, 続柄, is head) of a household that has one 世帯主, after whom everyone is filed."""
    home = await desk.do(desk.clerk, lambda op: registry.household(op, setai_no, groups=("basic",)))
    assert [m.is_head for m in home.members] == [True, *[False] * (len(home.members) - 1)]
    assert {m.basic.head_name for m in home.members} == {home.members[0].basic.name}
    return [(m.atena_no, m.basic.relationship, m.is_head) for m in home.members]


def arriving(surname: str) -> MoveIn:
    """A family of three of whom the head alone brings a 個人番号."""
    change = three(surname)
    none = {"my_number": "", "my_number_source": NumberSource.STATED}
    head, *others = change.persons
    return msgspec.structs.replace(change, persons=(head, *(msgspec.structs.replace(p, **none) for p in others)))


@pytest.mark.parametrize("point", POINTS)
async def test_a_killed_confirmation_of_a_family_moving_in_is_completed_by_confirming_again(
    point: str, desk: Desk, config: Config
) -> None:
    """R-12-3.2-QUA-01, P-1-3, R-1-2.3-NUM-01: nothing of it or all of it, once, and the same person may finish it."""
    change = arriving(f"途{SERIALS[POINTS.index(point)]}")
    result = await confirm_killed_then_again(desk, config, point, change, MOVED_IN)
    assert len(set(result.new_atena_nos)) == 3
    head = await desk.read(result.new_atena_nos[0])
    assert [m[:2] for m in await whole(desk, head.setai_no)] == list(
        zip(result.new_atena_nos, ("世帯主", "妻", "子"), strict=True)
    )
    query = registry.Query(my_number=change.persons[0].my_number)
    hits = await desk.do(desk.clerk, lambda op: registry.search(op, query))
    assert [h.atena_no for h in hits.hits] == [head.atena_no]


@pytest.mark.parametrize("point", POINTS)
async def test_a_killed_confirmation_of_the_head_s_death_leaves_no_household_without_a_head(
    point: str, desk: Desk, config: Config
) -> None:
    """R-12-3.2-QUA-01, P-1-3: the dead, the new 世帯主 and everyone's 続柄 change together or not at all."""
    head, wife, child = (await desk.make(three(f"亡{SERIALS[POINTS.index(point)]}"))).new_atena_nos
    setai_no = (await desk.read(head)).setai_no
    change = Death(
        occurred_on=RegistryDate(2026, 11, 14),
        atena_no=head,
        positions=(Position(atena_no=wife, relationship="世帯主"), Position(atena_no=child, relationship="子")),
    )
    await confirm_killed_then_again(desk, config, point, change, DIED)
    assert await whole(desk, setai_no) == [(wife, "世帯主", True), (child, "子", False)]
    dead = await desk.read(head)
    assert (dead.version_no, dead.status, dead.is_head) == (2, Status.DECEASED, False)


@pytest.mark.parametrize("point", ENTRY_POINTS)
async def test_a_killed_entry_leaves_a_whole_draft_or_none(point: str, desk: Desk, config: Config) -> None:
    """R-12-3.2-QUA-01, P-1-3: what waits for the second person can be confirmed; half a draft never waits."""
    change = family(newcomer(f"半分　{SERIALS[ENTRY_POINTS.index(point)]}郎", "世帯主"))
    paper = reception()
    before = {c.case_no for c in await desk.do(desk.clerk, registry.queue)}
    order = {"actor": desk.clerk.actor_id, "rights": sorted(ENTRY), "change": change, "reception": paper}
    await kill(config, point, order)

    async def drafts() -> list[int]:
        return [c.case_no for c in await desk.do(desk.clerk, registry.queue) if c.case_no not in before]

    left = await drafts()
    assert len(left) == (1 if point == "after the commit" else 0)
    case_no = left[0] if left else await desk.enter(change, paper)
    assert await drafts() == [case_no]
    start = await tally(desk)
    result = await desk.confirm(case_no, change)
    assert len(result.new_atena_nos) == 1
    assert more(await tally(desk), start)["event"] == 1
    view = await desk.do(desk.checker, lambda op: registry.case(op, case_no))
    assert [s.state for s in view.steps] == ["entered", "confirmed"]
    assert await sweep_later(desk) == (0 if left else 1)
