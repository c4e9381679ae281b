"""A real server process and a real Chromium; without the browser the tests are skipped, and .ci/run installs it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser as Chromium
from playwright.async_api import BrowserContext, async_playwright
from tests.web.counter import IWAKI, Town, open_town, serving

from juki.config import Config
from juki.tenancy import Fleet

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Debian's Chromium."""
    found = shutil.which("chromium")
    if found is None:
        pytest.skip(
            "no chromium on this machine; `apt-get install chromium fonts-noto-cjk libatomic1`, as .ci/run does"
        )
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def iwaki(fleet: Fleet) -> Town:
    """いわき市 with its people."""
    return await open_town(fleet, IWAKI)


@pytest.fixture(scope="module")
def address(config: Config, chromium_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`juki serve` as a process of its own."""
    with serving(config, tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def chromium(chromium_path: str) -> AsyncIterator[Chromium]:
    """One browser for the module."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path, args=list(ARGUMENTS))
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def terminals(chromium: Chromium) -> AsyncIterator[list[BrowserContext]]:
    """Two terminals: their cookies are their own."""
    size = {"width": 1280, "height": 800}
    made = [await chromium.new_context(viewport=size, locale="ja-JP") for _ in range(2)]  # type: ignore[arg-type]
    yield made
    await asyncio.gather(*(context.close() for context in made))
