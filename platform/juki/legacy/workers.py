"""手分け: several processes judge, seal and write the chunks of one import; this one deals them out and keeps the run.

A worker is a process like any other: it opens the fleet, so it is known as present and is told to forget keys; it has a
connection of its own, and each chunk is its own transaction, so one that dies leaves its chunk to the next attempt. It
ends when its parent ends, and until it has, its lock keeps a second attempt waiting.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Final

import msgspec

from juki import problem
from juki.config import Config
from juki.legacy.layout import Layout
from juki.legacy.plan import Plan
from juki.legacy.store import ledger
from juki.legacy.store.ledger import Run
from juki.legacy.writing import write_chunks
from juki.problem import Conflict, JukiError, Unavailable
from juki.tenancy import Fleet, Tenant, bulk
from juki.tenancy.session import known_problem

WORKERS_MAX: Final = 15  # with this process sixteen, as many as the vault's budget of messages per key allows for
ROWS_PER_WORKER: Final = 40_000  # fewer are written before a second process has read the extract
_AHEAD: Final = 2  # chunks a worker holds: one that is judged, one that is written
_END_SECONDS: Final = 30.0


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is told when it begins."""

    config: Config
    tenant: str
    folder: Path
    layout: Layout
    today: dt.date
    run: Run
    rows: int
    chunks: int


class _Failure(msgspec.Struct, frozen=True):
    """A JukiError as it goes from one process to another."""

    kind: str
    code: str
    detail: str
    remedy: str
    facts: dict[str, str | int]


def worth(rows: int) -> int:
    """How many workers an extract of so many rows is worth on this machine; one core is left to the database."""
    return max(1, min((os.cpu_count() or 1) - 1, rows // ROWS_PER_WORKER, WORKERS_MAX))


def write_together(task: Task, numbers: Sequence[int], workers: int, written: Callable[[int], None]) -> None:
    """Have chunks written by `workers` processes; `written` is told of each, in the order in which they end.

    Raises what a worker raised, or Unavailable `legacy.worker_lost` where one ended before its work did; the others are
    then ended too, and what they were writing is not there.
    """
    waiting = deque(numbers)
    crew = [_Worker(task) for _ in range(min(workers, WORKERS_MAX, len(waiting)))]
    try:
        for worker in crew * _AHEAD:
            worker.give(waiting)
        while busy := {worker.pipe: worker for worker in crew if worker.holds}:
            for pipe in wait(list(busy)):
                worker = next(one for one in crew if one.pipe is pipe)
                written(worker.answer())
                worker.give(waiting)
    except BaseException:
        for worker in crew:
            worker.process.kill()
        raise
    finally:
        for worker in crew:
            worker.end()


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, task: Task) -> None:
        context = multiprocessing.get_context(
            "spawn"
        )  # a copy of a process with threads and open sessions is no process
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(task, theirs), daemon=True)
        self.process.start()
        theirs.close()  # so that its end is heard here when it dies
        self.holds = 0
        self._told_all = False

    def give(self, waiting: deque[int]) -> None:
        """The next chunk, or that there is none."""
        if self._told_all:
            return
        self._told_all = not waiting
        try:
            self.pipe.send(waiting.popleft() if waiting else None)
        except OSError:
            raise _lost() from None
        self.holds += not self._told_all

    def answer(self) -> int:
        """The chunk it has written."""
        try:
            told: int | _Failure = self.pipe.recv()
        except (EOFError, OSError):
            raise _lost() from None
        if isinstance(told, _Failure):
            kind: type[JukiError] = getattr(problem, told.kind)
            raise kind(told.code, told.detail, remedy=told.remedy, **told.facts)
        self.holds -= 1
        return told

    def end(self) -> None:
        """Wait until it has ended; one that does not is killed."""
        self.pipe.close()
        self.process.join(_END_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.process.close()


def _lost() -> Unavailable:
    return Unavailable(
        "legacy.worker_lost",
        "a process of this import ended before its work did; chunks written so far stay",
        remedy="run the same command again, with fewer --workers where memory is short",
    )


# --- in the worker ------------------------------------------------------------------------------------------------


def _work(task: Task, pipe: Pipe[Any, Any]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        asyncio.run(_serve(task, pipe))
    except JukiError as fault:
        pipe.send(_failure(fault))
    except (EOFError, BrokenPipeError):
        return  # the import was given up
    except Exception as error:  # noqa: BLE001  a trace on standard error may quote a person's data
        pipe.send(_failure(known_problem(error) or problem.defect(error)))


def _failure(fault: JukiError) -> _Failure:
    kind = next(c.__name__ for c in type(fault).__mro__ if c.__module__ == problem.__name__)
    return _Failure(kind, fault.code, fault.detail, fault.remedy, fault.facts)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)  # whatever is being written is rolled back


async def _serve(task: Task, pipe: Pipe[Any, Any]) -> None:
    fleet = await Fleet.open(task.config)
    try:
        tenant = await fleet.tenant(task.tenant)
        await asyncio.to_thread(_write, fleet, tenant, task, pipe)
    finally:
        await fleet.close()


def _write(fleet: Fleet, tenant: Tenant, task: Task, pipe: Pipe[Any, Any]) -> None:
    rule = tenant.settings.numbering.resident_code_check
    with (
        Plan(task.folder, task.layout, tenant=tenant.code, resident_code_rule=rule, today=task.today) as plan,
        bulk(fleet, tenant.code) as connection,
    ):
        if (plan.rows, plan.chunks) != (task.rows, task.chunks):
            raise Conflict("legacy.source_changed", "the extract changed while it was read", remedy="leave it as it is")
        ledger.hold_worker(connection, tenant)
        write_chunks(fleet, tenant, plan, task.run, connection, iter(pipe.recv, None), pipe.send)
