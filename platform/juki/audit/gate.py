"""門番: finds out who comes back with a session's token, many callers with one statement where many come at once.

Every call is judged by what the database says after the call arrived: while one question is on its way, whoever comes
next waits together and shares the following one. So a revocation works with the next call, and nothing is remembered.
"""

from __future__ import annotations

import asyncio
import weakref
from typing import Final

import msgspec

from juki.access import sessions
from juki.access.model import Caller, NotSignedIn, visitor
from juki.access.sessions import Shown
from juki.access.work import Work
from juki.tenancy import Fleet

CALLS_PER_QUESTION_MAX: Final = 200
QUESTIONS_AT_ONCE: Final = 2


class _Call(msgspec.Struct):
    shown: Shown
    answer: asyncio.Future[Caller | NotSignedIn]


class Gate:
    """The gate of one municipality in one process."""

    def __init__(self, fleet: Fleet, code: str) -> None:
        self._fleet = weakref.ref(fleet)
        self._code = code
        self._waiting: list[_Call] = []
        self._asking: set[asyncio.Task[None]] = set()
        self._lanes = 0

    async def resume(self, shown: Shown) -> Caller:
        """Who shows these tokens; NotSignedIn as `sessions.resume` says, and whatever the session raises."""
        call = _Call(shown, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        if self._lanes < QUESTIONS_AT_ONCE:
            self._lanes += 1
            task = asyncio.create_task(self._drain())
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        answer = await call.answer
        if isinstance(answer, NotSignedIn):
            raise answer
        return answer

    async def _drain(self) -> None:
        try:
            while self._waiting:
                batch = self._waiting[:CALLS_PER_QUESTION_MAX]
                self._waiting = self._waiting[CALLS_PER_QUESTION_MAX:]
                try:
                    answers = await self._ask([call.shown for call in batch])
                except BaseException as error:
                    _fail(batch, error)
                    if not isinstance(error, Exception):
                        raise
                else:
                    for call, answer in zip(batch, answers, strict=True):
                        if not call.answer.done():  # a caller that has gone away
                            call.answer.set_result(answer)
        finally:
            self._lanes -= 1

    async def _ask(self, shown: list[Shown]) -> list[Caller | NotSignedIn]:
        fleet = self._fleet()
        if fleet is None:
            raise RuntimeError("the runtime is gone")
        await fleet.tenant(self._code)
        ring = await fleet.keyring.get(self._code)
        seen: set[str] = set()
        now = fleet.clock()
        async with fleet.session(self._code, write=False) as session:
            work = Work(session=session, ring=ring, now=now, by=visitor(self._code))
            answers = await sessions.resume(work, shown, seen)
        if seen:
            async with fleet.session(self._code, write=True) as session:
                await sessions.see(Work(session=session, ring=ring, now=now, by=visitor(self._code)), seen)
        return answers


def _fail(batch: list[_Call], error: BaseException) -> None:
    for call in batch:
        if not call.answer.done():
            call.answer.set_exception(error)
            call.answer.exception()  # a caller that goes away meanwhile does not read it; that is no fault to report


_gates: weakref.WeakKeyDictionary[Fleet, dict[str, Gate]] = weakref.WeakKeyDictionary()


def gate_of(fleet: Fleet, code: str) -> Gate:
    """The gate of a municipality in this process."""
    known = _gates.setdefault(fleet, {})
    if code not in known:
        known[code] = Gate(fleet, code)
    return known[code]
