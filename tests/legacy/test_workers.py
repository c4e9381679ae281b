"""Several processes write one import (R-1-2.6-MIG-01): the same register, and nothing lost where one of them dies."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from psycopg import Connection
from tests.legacy.extracts import count_again
from tests.legacy.media import imported, registered
from tests.legacy.test_kill import CODE, digest, killed_at, manifest

from juki import legacy
from juki.access.model import Caller
from juki.config import Config
from juki.legacy import workers
from juki.legacy.workers import ROWS_PER_WORKER, WORKERS_MAX, worth
from juki.problem import Conflict, Unavailable
from juki.tenancy import Fleet, bulk, connect
from juki.tenancy.presence import PROCESS_LOCK, order


def chunks_written(fleet: Fleet) -> int:
    with bulk(fleet, CODE) as connection:
        row = connection.execute(f"SELECT count(*) FROM t{CODE}.import_chunk".encode()).fetchone()
    return row[0] if row else 0


def until_present(control: Connection[Any], processes: int) -> None:
    """Wait until so many processes of this installation are registered; none of them ends while this one waits."""
    deadline = time.monotonic() + 60
    while True:
        row = control.execute(
            "SELECT count(*) FROM control.process p JOIN pg_locks l ON l.locktype = 'advisory' AND l.granted"
            " AND l.objsubid = 2 AND l.classid::bigint = %s AND l.objid::bigint = p.process_no"
            " AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())",
            (PROCESS_LOCK,),
        ).fetchone()
        if row and row[0] >= processes:
            return
        assert time.monotonic() < deadline, "a worker did not start"
        time.sleep(0.02)


async def test_an_import_by_two_processes_ends_like_one_by_a_single_one(
    fleet: Fleet, fresh_fleet: Fleet, extracts: dict[str, Path], caller: Callable[..., Caller], tmp_path: Path
) -> None:
    """Every person, change and number is the same; what a worker refuses is refused by the import, with its own code."""
    who = caller("import.run", "import.review", tenant=CODE)
    told: list[int] = []
    straight = await imported(fleet, who, extracts[CODE])
    shared = await imported(
        fresh_fleet, who, extracts[CODE], workers=2, progress=lambda done, total, seconds: told.append(done)
    )
    assert shared.balanced
    assert shared.counts == straight.counts
    assert told == sorted(told)
    assert len(told) > 4
    one, other = await manifest(fleet), await manifest(fresh_fleet)
    for name in ("residents.csv", "households.csv", "events.csv"):
        assert digest(one, name) == digest(other, name), name
    assert not multiprocessing.active_children()
    for file in extracts[CODE].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with (tmp_path / "codes.csv").open("ab") as codes:
        codes.write(b"12345678903\r\n")
    count_again(tmp_path)
    with pytest.raises(Conflict) as refused:
        await imported(fresh_fleet, who, tmp_path, workers=2)
    assert refused.value.code == "legacy.already_there"
    assert not multiprocessing.active_children()


async def test_a_killed_worker_ends_the_run_and_the_next_one_ends_it_well(
    fresh_fleet: Fleet, extracts: dict[str, Path], caller: Callable[..., Caller]
) -> None:
    """Fault test with a real kill: the chunks that were committed stay, the others come with the next attempt."""
    who = caller("import.run", tenant=CODE)
    killed: list[int | None] = []

    def kill_one(done: int, total: int, seconds: float) -> None:
        if not killed:
            victim = multiprocessing.active_children()[0]
            victim.kill()
            killed.append(victim.pid)

    with pytest.raises(Unavailable) as lost:
        await imported(fresh_fleet, who, extracts[CODE], workers=2, progress=kill_one)
    assert lost.value.code == "legacy.worker_lost"
    assert killed
    assert not multiprocessing.active_children()
    assert chunks_written(fresh_fleet) >= 1
    assert (await imported(fresh_fleet, who, extracts[CODE], workers=2)).balanced


async def test_workers_end_with_the_process_that_dealt_them_their_work(
    fresh_config: Config, fresh_fleet: Fleet, extracts: dict[str, Path], caller: Callable[..., Caller]
) -> None:
    """Killed as a whole and started again at once: no worker of the first attempt writes beside the second."""
    await registered(fresh_fleet, CODE)
    assert await asyncio.to_thread(killed_at, fresh_config, extracts[CODE], 2, "--workers", "2")
    report = await imported(fresh_fleet, caller("import.run", tenant=CODE), extracts[CODE])
    assert report.balanced


async def test_an_order_to_forget_keys_reaches_every_worker(
    fresh_config: Config, fresh_fleet: Fleet, extracts: dict[str, Path], caller: Callable[..., Caller]
) -> None:
    """A worker is present like any process: the order waits until it has answered, too."""
    who = caller("import.run", tenant=CODE)
    answered: list[Any] = []

    def purge(done: int, total: int, seconds: float) -> None:
        if not answered:
            with connect(fresh_config, "control") as control:
                control.autocommit = True
                until_present(control, 3)  # the first chunk can be written before the second worker has started
                answered.extend(order(control, CODE, "test", wait_seconds=60).answers)

    run = imported(fresh_fleet, who, extracts[CODE], workers=2, progress=purge)
    (ended,) = await asyncio.gather(run, return_exceptions=True)
    if isinstance(ended, Unavailable):  # a worker had keys in hand at that moment and was cut
        assert ended.code.startswith("vault.")
        ended = await imported(fresh_fleet, who, extracts[CODE])
    assert isinstance(ended, legacy.Report)
    assert ended.balanced
    assert len(answered) >= 3


def test_what_nobody_foresaw_in_a_worker_is_told_by_its_place_alone(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """R-A-3.3-CPY-02: the import ends with one clear error; no trace on standard error quotes a person's data."""

    async def break_down(*_: Any) -> None:
        raise KeyError("渡邉　太郎")

    monkeypatch.setattr(workers, "_serve", break_down)
    here, there = multiprocessing.Pipe()
    workers._work(cast(Any, None), there)  # pyright: ignore[reportPrivateUsage]  what runs in the other process
    told = here.recv()
    assert (told.kind, told.code) == ("JukiError", "juki.fault")
    assert told.detail.startswith("KeyError in ")
    assert "渡邉" not in str(told) + "".join(capfd.readouterr())


def test_a_small_extract_is_worth_one_process_and_no_extract_more_than_the_budget_of_keys() -> None:
    assert worth(0) == worth(ROWS_PER_WORKER) == 1
    assert 1 <= worth(10**9) <= WORKERS_MAX
