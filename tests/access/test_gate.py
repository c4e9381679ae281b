"""The gate: callers who come back at the same moment share a question, and nobody shares an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from juki import audit
from juki.access.model import NotSignedIn
from juki.problem import Unavailable
from juki.tenancy import Fleet, TenantSession

from .conftest import IWAKI, Town


async def test_callers_at_the_same_moment_share_questions_and_each_hears_their_own_answer(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-1-3.3-USE-02, R-A-3.3-AUT-01: another's good session beside it opens nothing for a bad one."""
    clerk, boss = await town.sign_in("sato.m"), await town.sign_in("endo.y", "IWK-HON-01")
    asked = _counted(town.fleet, monkeypatch)
    terminal = town.token("IWK-HON-01")
    calls = [
        (clerk.token, terminal),
        (boss.token, terminal),
        (clerk.token, "no terminal"),
        (boss.token + "x", terminal),
    ]
    answers = await asyncio.gather(
        *(audit.resume(town.fleet, IWAKI, *call) for call in calls * 10), return_exceptions=True
    )
    told = [a.code if isinstance(a, NotSignedIn) else getattr(a, "actor_id", a) for a in answers]
    assert (
        told
        == [
            town.id_of("sato.m"),
            town.id_of("endo.y"),
            "access.session_terminal",
            "access.session_unknown",
        ]
        * 10
    )
    assert asked.count(False) <= 4  # reading sessions: forty callers, a handful of questions


async def test_a_session_that_ended_is_refused_with_the_next_call_however_many_are_asking(town: Town) -> None:
    """R-1-3.3-PRV-05: what is on its way for earlier calls never answers for a later one."""
    opened = await town.sign_in("sato.m")
    caller = await town.resume(opened)
    crowd = [asyncio.create_task(town.resume(opened)) for _ in range(20)]
    await asyncio.sleep(0)
    await audit.sign_out(town.fleet, caller)
    with pytest.raises(NotSignedIn) as refused:
        await town.resume(opened)
    assert refused.value.code == "access.session_ended"
    await asyncio.gather(*crowd, return_exceptions=True)


async def test_a_caller_who_goes_away_takes_nobody_along(town: Town) -> None:
    """A cut request leaves the question of the others as it is, and the gate open."""
    opened = await town.sign_in("sato.m")
    crowd = [asyncio.create_task(town.resume(opened)) for _ in range(20)]
    await asyncio.sleep(0)
    for task in crowd[::2]:
        task.cancel()
    answers = await asyncio.gather(*crowd, return_exceptions=True)
    assert [isinstance(a, asyncio.CancelledError) for a in answers] == [True, False] * 10
    assert {a.actor_id for a in answers if not isinstance(a, BaseException)} == {town.id_of("sato.m")}
    await town.resume(opened)


async def test_when_the_question_fails_everyone_who_shares_it_is_told(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody comes in on an unanswered question, nobody waits for ever, and the next one is asked again."""
    opened = await town.sign_in("sato.m")

    def gone(*_: object, **__: object) -> object:
        raise Unavailable("db.gone", "the database does not answer")

    with monkeypatch.context() as broken:
        broken.setattr(town.fleet, "session", gone)
        answers = await asyncio.gather(*(town.resume(opened) for _ in range(10)), return_exceptions=True)
    assert [getattr(a, "code", "") for a in answers] == ["db.gone"] * 10
    assert (await town.resume(opened)).actor_id == town.id_of("sato.m")


def _counted(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """`write` of every session opened from now on."""
    asked: list[bool] = []
    inner = fleet.session

    @asynccontextmanager
    async def session(code: str, *, write: bool, **more: Any) -> AsyncIterator[TenantSession]:
        asked.append(write)
        async with inner(code, write=write, **more) as opened:
            yield opened

    monkeypatch.setattr(fleet, "session", session)
    return asked
