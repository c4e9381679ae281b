"""書記: writes rows of the log, many operations to one commit where many are at work.

While commits are on their way to the disk, whoever comes next waits together and shares the following one. A lone operation
waits for nobody. Every caller goes on only after the commit that holds its rows.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from juki.audit import store
from juki.audit.model import SealedRow
from juki.problem import Conflict
from juki.tenancy import Fleet

ROWS_PER_COMMIT_MAX: Final = 5_000
COMMITS_AT_ONCE: Final = 2  # one gathers while the other waits for the disk


class _Item(msgspec.Struct):
    rows: Sequence[SealedRow]
    fingerprints: Sequence[bytes]
    done: asyncio.Future[None]


class Scribe:
    """The writer of one municipality's log in one process."""

    def __init__(self, fleet: Fleet, code: str, states: Collection[str]) -> None:
        self._fleet = weakref.ref(fleet)
        self._code = code
        self._states = states
        self._waiting: list[_Item] = []
        self._writing: set[asyncio.Task[None]] = set()
        self._lanes = 0

    async def write(self, rows: Sequence[SealedRow], fingerprints: Sequence[bytes] = ()) -> None:
        """Commit these rows, and where to find them by person. Conflict `db.twice` where one is there already."""
        item = _Item(rows, fingerprints, asyncio.get_running_loop().create_future())
        self._waiting.append(item)
        if self._lanes < COMMITS_AT_ONCE:
            self._lanes += 1
            task = asyncio.create_task(self._drain())
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)
        # a caller that goes away does not take its rows back: they may be on the disk already
        await asyncio.shield(item.done)

    async def _drain(self) -> None:
        try:
            while self._waiting:
                batch = self._take()
                try:
                    await self._commit(batch)
                except Conflict:
                    await self._one_by_one(batch)
                except BaseException as error:
                    self._settle(batch, error)
                    if not isinstance(error, Exception):
                        raise
                else:
                    self._settle(batch, None)
        finally:
            # in the same breath as the last look at the waiting line: whoever comes after it opens a lane anew
            self._lanes -= 1

    def _take(self) -> list[_Item]:
        count = rows = 0
        for item in self._waiting:
            rows += len(item.rows)
            if count and rows > ROWS_PER_COMMIT_MAX:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def _one_by_one(self, batch: Sequence[_Item]) -> None:
        """One of them is there already: the others must not suffer for it."""
        for item in batch:
            try:
                await self._commit([item])
            except Exception as error:  # noqa: BLE001  handed to the one who waits for it
                self._settle([item], error)
            else:
                self._settle([item], None)

    async def _commit(self, batch: Sequence[_Item]) -> None:
        fleet = self._fleet()
        if fleet is None:
            raise RuntimeError("the runtime is gone")
        async with fleet.session(self._code, write=True, states=self._states) as session:
            rows = [row for item in batch for row in item.rows]
            filed = [(item.rows[0].op_no, fingerprint) for item in batch for fingerprint in item.fingerprints]
            await store.add_rows(session, rows, filed)

    @staticmethod
    def _settle(batch: Sequence[_Item], error: BaseException | None) -> None:
        for item in batch:
            if item.done.cancelled():
                continue
            if error is None:
                item.done.set_result(None)
            else:
                item.done.set_exception(error)
                item.done.exception()  # a caller that has gone away does not read it; that is no fault to report


_scribes: weakref.WeakKeyDictionary[Fleet, dict[tuple[str, frozenset[str]], Scribe]] = weakref.WeakKeyDictionary()


def scribe_of(fleet: Fleet, code: str, states: Collection[str]) -> Scribe:
    """The writer of a municipality's log in this process."""
    known = _scribes.setdefault(fleet, {})
    key = (code, frozenset(states))
    if key not in known:
        known[key] = Scribe(fleet, code, key[1])
    return known[key]
