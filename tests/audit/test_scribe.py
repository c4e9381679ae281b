"""The writer of the log: commits are shared, faults are not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import psycopg
import pytest
from psycopg import sql

from juki import audit
from juki.access.model import Caller
from juki.audit.model import SealedRow
from juki.audit.scribe import COMMITS_AT_ONCE, Scribe, scribe_of
from juki.problem import Conflict, JukiError
from juki.tenancy import OPEN_STATES, Fleet

IWAKI = "072044"


def row(fleet: Fleet, op_no: int) -> SealedRow:
    return SealedRow(
        op_no=op_no, part=0, kind="intent", action="scribe.test", result="", at=fleet.clock(), body_sealed=b"sealed"
    )


async def written(fleet: Fleet) -> dict[int, str]:
    """Operation and transaction of every row of this test."""
    async with fleet.session(IWAKI, write=False) as session:
        rows = await session.fetch("SELECT op_no, xid::text FROM {t}.audit_row WHERE action = 'scribe.test'")
    return dict(rows)


async def test_operations_that_begin_together_share_a_commit_and_all_are_there(fleet: Fleet) -> None:
    """R-A-3.3-LOG-01: no caller goes on before its row is durable, however many share the way to the disk."""
    scribe = scribe_of(fleet, IWAKI, OPEN_STATES)
    numbers = list(range(9_000_000, 9_000_100))

    async def write(number: int) -> bool:
        await scribe.write([row(fleet, number)])
        return number in await written(fleet)

    assert all(await asyncio.gather(*(write(number) for number in numbers)))
    found = await written(fleet)
    assert set(numbers) <= set(found)
    assert len({found[number] for number in numbers}) < 20


async def test_one_row_that_is_there_already_does_not_spoil_the_others(fleet: Fleet) -> None:
    """R-A-3.3-LOG-01: a duplicate is told to whom it belongs; its neighbours are written."""
    scribe = scribe_of(fleet, IWAKI, OPEN_STATES)
    await scribe.write([row(fleet, 9_100_000)])
    numbers = [9_100_000, *range(9_100_001, 9_100_020)]
    answers = await asyncio.gather(*(scribe.write([row(fleet, n)]) for n in numbers), return_exceptions=True)
    assert [isinstance(a, Conflict) for a in answers] == [True] + [False] * 19
    assert set(numbers) <= set(await written(fleet))


async def test_without_a_database_nothing_begins_and_every_waiter_is_told(
    fresh_fleet: Fleet, caller: Callable[..., Caller], server: str
) -> None:
    """R-A-3.3-LOG-01: what cannot be written down is not done."""
    async with audit.operation(fresh_fleet, caller(), "resident.read", purpose="照会", write=False):
        pass
    database = str(psycopg.conninfo.conninfo_to_dict(fresh_fleet.config.dsn_registry)["dbname"])
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(database)))
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database,))
    ran = 0

    async def work() -> None:
        nonlocal ran
        async with audit.operation(fresh_fleet, caller(), "resident.read", purpose="照会", write=False):
            ran += 1

    try:
        answers = await asyncio.gather(*(work() for _ in range(5)), return_exceptions=True)
    finally:
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(database)))
    assert all(isinstance(answer, JukiError) and answer.status == 503 for answer in answers)
    assert ran == 0


async def test_a_caller_that_goes_away_leaves_its_row_and_hurts_nobody(fleet: Fleet) -> None:
    """R-A-3.3-LOG-01: rows handed over are written even where the one who wrote them was cancelled."""
    scribe = scribe_of(fleet, IWAKI, OPEN_STATES)
    task = asyncio.create_task(scribe.write([row(fleet, 9_200_000)]))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await scribe.write([row(fleet, 9_200_001)])
    async with asyncio.timeout(60):
        while not {9_200_000, 9_200_001} <= set(await written(fleet)):
            await asyncio.sleep(0.05)


class GatedScribe(Scribe):
    """Commits nothing, and each commit ends when its gate is opened."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(fleet, IWAKI, OPEN_STATES)
        self.gates: list[asyncio.Future[None]] = []
        self.open = False

    async def _commit(self, batch: object) -> None:
        if not self.open:
            self.gates.append(asyncio.get_running_loop().create_future())
            await self.gates[-1]


async def test_whoever_comes_as_the_last_commit_ends_is_not_left_waiting(fleet: Fleet) -> None:
    """R-A-3.3-LOG-01: rows handed over in the very moment every lane closes are written, not waited for in vain."""
    scribe = GatedScribe(fleet)
    early = [asyncio.create_task(scribe.write([row(fleet, n)])) for n in range(COMMITS_AT_ONCE)]
    # a lane each: the second writer must not share the first one's commit
    while len(scribe.gates) < COMMITS_AT_ONCE:
        if len(scribe.gates) == 1 and not scribe._waiting:
            early.append(asyncio.create_task(scribe.write([row(fleet, 9)])))
        await asyncio.sleep(0)
    scribe.open = True
    for gate in scribe.gates:
        gate.set_result(None)
    late = asyncio.create_task(scribe.write([row(fleet, 10)]))  # runs right behind the lanes, in the same turn
    async with asyncio.timeout(60):
        await asyncio.gather(*early, late)
