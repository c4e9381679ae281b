"""The counter's pages are tried by the same people as the web rooms, and by the two who look after 支援措置."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from litestar import Litestar
from tests.web.conftest import application, clerk, hirono, household, iwaki, second
from tests.web.counter import Browser, Town

from juki.tenancy import Fleet

__all__ = ["application", "clerk", "hirono", "household", "iwaki", "second"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def protector(application: Litestar, iwaki: Town, fleet: Fleet) -> AsyncIterator[Browser]:
    """The clerk for 支援措置."""
    async with Browser(application, iwaki, terminal=0) as browser:
        await browser.log_in("shien", fleet.clock())
        yield browser


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def guardian(application: Litestar, iwaki: Town, fleet: Fleet) -> AsyncIterator[Browser]:
    """The other clerk for 支援措置, who approves."""
    async with Browser(application, iwaki, terminal=0) as browser:
        await browser.log_in("hogo", fleet.clock())
        yield browser
