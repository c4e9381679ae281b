"""The whole application over a real fleet, with people who can log in."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from litestar import Litestar
from tests.web.counter import HIRONO, IWAKI, Browser, Town, build, family, open_town, settle

from juki.tenancy import Fleet


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def iwaki(fleet: Fleet) -> Town:
    """いわき市 with its people."""
    return await open_town(fleet, IWAKI)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hirono(fleet: Fleet) -> Town:
    """広野町 with its people."""
    return await open_town(fleet, HIRONO)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def application(fleet: Fleet) -> Litestar:
    """The registry's application."""
    return build(fleet)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def household(fleet: Fleet) -> tuple[str, ...]:
    """渡邊 family of three in いわき市."""
    return await settle(fleet, family())


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def clerk(application: Litestar, iwaki: Town, fleet: Fleet) -> AsyncIterator[Browser]:
    """The counter clerk, logged in."""
    async with Browser(application, iwaki, terminal=0) as browser:
        await browser.log_in("uketsuke", fleet.clock())
        yield browser


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def second(application: Litestar, iwaki: Town, fleet: Fleet) -> AsyncIterator[Browser]:
    """The second person, logged in at another terminal."""
    async with Browser(application, iwaki, terminal=1) as browser:
        await browser.log_in("shogo", fleet.clock())
        yield browser
