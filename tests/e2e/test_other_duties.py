"""Pages of the other duties in a real browser: no axe violation, and a picture of each."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser as Chromium
from playwright.async_api import Page
from tests.legacy.media import imported
from tests.web.counter import IWAKI, Browser, Town, build, family, settle

from juki.access.model import Caller
from juki.dates import today_in_japan
from juki.peers import generate
from juki.tenancy import Fleet

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PICTURES = Path(__file__).resolve().parents[2] / "docs" / "screenshots"


async def opened(chromium: Chromium, fleet: Fleet, town: Town, address: str, login: str, function: str) -> Page:
    """A page of somebody who is logged in at a terminal of their function."""
    number = next(n for n, t in enumerate(town.made.terminals) if function in t.functions)
    async with Browser(build(fleet), town, number) as browser:
        await browser.log_in(login, fleet.clock())
        cookies = dict(browser.client.cookies)
    context = await chromium.new_context(viewport={"width": 1280, "height": 800}, locale="ja-JP")
    cookies["juki-purpose"] = "protection"
    await context.add_cookies([{"name": k, "value": v, "url": address} for k, v in cookies.items()])
    return await context.new_page()


async def look(page: Page, address: str, path: str, name: str = "") -> list[str]:
    """Violations on one page."""
    await page.goto(f"{address}/{IWAKI}{path}")
    assert "ログイン |" not in await page.title()
    found = await Axe().run(page)
    if name and os.environ.get("JUKI_SCREENSHOTS"):
        await page.screenshot(path=str(PICTURES / f"{name}.png"))
    return [f"{path}: {v['id']}: {v['nodes'][0]['html'][:160]}" for v in found.response["violations"]]


async def test_no_page_of_another_duty_has_an_axe_violation(
    chromium: Chromium, fleet: Fleet, iwaki: Town, address: str
) -> None:
    """Protection with its notice, the log, the work list, the removed and the masked."""
    (atena_no,) = await settle(fleet, family("保護", "ホゴ")[:1])
    folder = Path(fleet.config.home) / "extract"
    generate(IWAKI, folder, residents=120, seed=3, as_of=today_in_japan(fleet.clock()))
    mover = Caller(
        tenant=IWAKI, actor_id="bench", actor_kind="system", rights=frozenset({"import.run", "import.review"})
    )
    await imported(fleet, mover, folder)

    page = await opened(chromium, fleet, iwaki, address, "shien", "protection")
    faults = await look(page, address, f"/residents/{atena_no}/protection", "protection-form")
    await page.check("input[name=wishes][value=copies]")
    await page.fill("input[name=starts_on]", "R8.11.1")
    async with page.expect_navigation():
        await page.click("form[action$='/protection'] button.main")
    faults += await look(page, address, f"/residents/{atena_no}", "resident-protected")
    assert "支援措置の対象者です" in await page.inner_text("body")
    faults += await look(page, address, "/protection", "protection-list")
    number = re.search(r"/protection/(\d+)", await page.content())
    assert number
    faults += await look(page, address, f"/protection/{number[1]}", "measure")
    await page.goto(f"{address}/{IWAKI}/residents/{atena_no}/protection")
    await page.select_option("select[name=process]", "issue")
    await page.select_option("select[name=level]", "alert")
    await page.fill("form[action$='/suppress'] input[name=reason]", "調査中")
    async with page.expect_navigation():
        await page.click("form[action$='/suppress'] button")
    held = re.search(r"/residents/\d+/suppressions/\d+", await page.content())
    assert held
    faults += await look(page, address, held[0])
    faults += await _two_persons(chromium, fleet, iwaki, address, page, number[1], atena_no)

    page = await opened(chromium, fleet, iwaki, address, "kansa", "audit")
    faults += await look(page, address, "/audit", "audit")
    entry = re.search(r"/audit/(\d+)", await page.content())
    assert entry
    faults += await look(page, address, f"/audit/{entry[1]}")

    page = await opened(chromium, fleet, iwaki, address, "kacho", "admin")
    faults += await look(page, address, "/staff", "staff")

    page = await opened(chromium, fleet, iwaki, address, "iko", "import")
    faults += await look(page, address, "/worklist", "worklist")
    row = re.search(r"/worklist/(\d+)", await page.content())
    assert row
    faults += await look(page, address, f"/worklist/{row[1]}", "worklist-row")
    faults += await look(page, address, "/account", "account")
    faults += await look(page, address, "/nowhere")
    assert faults == []


async def _two_persons(
    chromium: Chromium, fleet: Fleet, town: Town, address: str, page: Page, measure_no: str, atena_no: str
) -> list[str]:
    """The pages on which an end is asked for and approved, by keyboard alone."""
    faults = await look(page, address, f"/protection/{measure_no}/amend", "measure-amend")
    await page.goto(f"{address}/{IWAKI}/protection/{measure_no}")
    await page.focus("summary:has-text('終了を申請する')")
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await page.keyboard.type("本人の申出による")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    async with page.expect_navigation():
        await page.keyboard.press("Enter")
    assert "終了の申請中です" in await page.inner_text("body")
    faults += await look(page, address, f"/protection/{measure_no}", "measure-end-asked")
    faults += await look(page, address, f"/residents/{atena_no}")
    faults += await look(page, address, "/protection")
    faults += await look(page, address, "/protection/loosenings")
    asked = re.search(r"/protection/loosenings/\d+", await page.inner_html("main"))
    assert asked
    faults += await look(page, address, asked[0])

    other = await opened(chromium, fleet, town, address, "hogo", "protection")
    faults += await look(other, address, "/protection/loosenings", "loosenings")
    faults += await look(other, address, asked[0], "loosening")
    await other.focus("a.btn:has-text('一覧に戻る')")
    await other.keyboard.press("Tab")
    async with other.expect_navigation():
        await other.keyboard.press("Enter")
    assert "を承認しました" in await other.inner_text("main")
    faults += await look(other, address, asked[0])
    return faults
