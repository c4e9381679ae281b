"""A real server process and a real Chromium; without the browser the tests are skipped, and .ci/run installs it."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser as Chromium
from playwright.async_api import BrowserContext, async_playwright

from juki.config import LOGINS, Config
from juki.tenancy import Fleet

_FILE = Path(__file__).parents[1] / "web" / "counter.py"
if "counter" not in sys.modules:
    _spec = importlib.util.spec_from_file_location("counter", _FILE)
    assert _spec is not None
    assert _spec.loader is not None
    _module = importlib.util.module_from_spec(_spec)
    sys.modules["counter"] = _module
    _spec.loader.exec_module(_module)

from counter import IWAKI, Town, open_town  # noqa: E402

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
        pytest.skip("no chromium on this machine; `apt-get install chromium fonts-noto-cjk`, as .ci/run does")
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def iwaki(fleet: Fleet) -> Town:
    """いわき市 with its people."""
    return await open_town(fleet, IWAKI)


@pytest.fixture(scope="module")
def address(config: Config, chromium_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`juki serve` as a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = {f"JUKI_DSN_{login.upper()}": config.dsn(login) for login in LOGINS}
    env = {k: v for k, v in os.environ.items() if not k.startswith("JUKI_")} | given
    env |= {
        "JUKI_HOME": config.home,
        "JUKI_KMS": config.kms_spec,
        "JUKI_COOKIE_SECURE": "false",
        "JUKI_ENVIRONMENT": "test",
        "JUKI_FONT_DIR": config.font_dir,
    }
    if not config.font_dir:
        del env["JUKI_FONT_DIR"]
    log = tmp_path_factory.mktemp("server") / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "juki", "serve", "--port", str(port)], env=env, stdout=out, stderr=out
        )
    try:
        _wait(f"http://127.0.0.1:{port}/healthz", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    import time

    for _ in range(200):
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"the server did not start: {log.read_text()[-2000:]}")


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
