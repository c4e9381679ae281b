"""The five commonest counter tasks in a real browser, by keyboard alone; every page passed is checked by axe."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import BrowserContext, Page
from tests.web.counter import Town, family, my_number, resident_code, settle

from juki.tenancy import Fleet

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PICTURES = Path(__file__).resolve().parents[2] / "docs" / "screenshots"
TABS_MAX = 140


class Hands:
    """Hands on a keyboard: they never touch a mouse and never see the page's inside."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.faults: list[str] = []

    async def reach(self, selector: str) -> None:
        """Tab until the focus is there: what cannot be reached fails."""
        for _ in range(TABS_MAX):
            if await self.page.evaluate("s => document.activeElement.matches(s)", selector):
                return
            await self.page.keyboard.press("Tab")
        said = await self.page.inner_text("main")
        raise AssertionError(f"{selector} cannot be reached by Tab on {self.page.url}: {said[:600]}")

    async def fill(self, name: str, text: str) -> None:
        """Type into a field."""
        await self.reach(f"[name='{name}']")
        await self.page.keyboard.press("Control+A")
        await self.page.keyboard.insert_text(text)

    async def choose(self, name: str, value: str) -> None:
        """Choose in a list with the arrow keys."""
        await self.reach(f"select[name='{name}']")
        await self.page.keyboard.press("Home")
        for _ in range(60):
            if await self.page.evaluate("() => document.activeElement.value") == value:
                return
            await self.page.keyboard.press("ArrowDown")
        raise AssertionError(f"{name} has no {value}")

    async def tick(self, name: str, value: str = "1") -> None:
        """Tick a box with the space bar."""
        await self.reach(f"input[name='{name}'][value='{value}']")
        if not await self.page.evaluate("() => document.activeElement.checked"):
            await self.page.keyboard.press("Space")

    async def press(self, selector: str) -> None:
        """Press a button or a link with Enter and wait for the page."""
        await self.reach(selector)
        async with self.page.expect_navigation():
            await self.page.keyboard.press("Enter")

    async def key(self, letter: str) -> None:
        """An access key, as the keyboard sends it: the driver's own shortcut leaves out the letter that Alt goes with."""
        wire = await self.page.context.new_cdp_session(self.page)
        code = ord(letter.upper())
        event = {"modifiers": 1, "key": letter, "unmodifiedText": letter, "windowsVirtualKeyCode": code}
        async with self.page.expect_navigation():
            await wire.send("Input.dispatchKeyEvent", event | {"type": "keyDown"})
            await wire.send("Input.dispatchKeyEvent", event | {"type": "keyUp"})
        await wire.detach()

    async def back(self) -> None:
        """Alt+Left, the browser's own Back; a page of the browser that asks for sending again has no frame of ours."""
        await self.page.go_back()
        assert await self.page.locator("header .town, main").count(), await self.page.content()

    async def look(self, name: str = "") -> None:
        """Check the page with axe, keep its picture."""
        found = await Axe().run(self.page)
        self.faults += [
            f"{self.page.url}: {v['id']}: {v['nodes'][0]['html'][:160]} ({v['nodes'][0]['failureSummary'][:300]})"
            for v in found.response["violations"]
        ]
        if name and os.environ.get("JUKI_SCREENSHOTS"):
            PICTURES.mkdir(parents=True, exist_ok=True)
            await self.page.screenshot(path=str(PICTURES / f"{name}.png"))


async def enrol_and_log_in(hands: Hands, town: Town, address: str, terminal: int, login: str, fleet: Fleet) -> None:
    """Enrol the terminal with its one-time code, then log in."""
    secret = town.secrets(login)
    await hands.page.goto(f"{address}/{town.code}/terminal")
    await hands.fill("enrol_code", town.made.terminals[terminal].enrol_code)
    await hands.press("button.main")
    await hands.look("login" if terminal == 0 else "")
    await hands.fill("login", secret.login)
    await hands.fill("password", secret.password)
    await hands.fill("otp", town.otp(login, fleet.clock()))
    await hands.press("button.main")
    assert await hands.page.title() == "業務の一覧 | 福島県いわき市 住民記録"
    await hands.look("home" if terminal == 0 else "")


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    """What one task leaves for the next."""
    return {}


async def test_five_counter_tasks_by_keyboard_alone(
    terminals: list[BrowserContext], iwaki: Town, address: str, fleet: Fleet
) -> None:
    """Search and open; 転入; confirm by a second clerk; certificate; 転居. No page has an axe violation."""
    people = await settle(fleet, family())
    await settle(fleet, family("渡部", "ワタナベ"))
    clerk, second = Hands(await terminals[0].new_page()), Hands(await terminals[1].new_page())
    await enrol_and_log_in(clerk, iwaki, address, 0, "uketsuke", fleet)
    await enrol_and_log_in(second, iwaki, address, 1, "shogo", fleet)

    await _search_and_open(clerk, people[0])
    number, numbers = await _move_in(clerk)
    await _confirm(second, number, numbers)
    await _certificate(clerk, address, people)
    await _relocate(clerk, address, people)
    await _session_end(clerk, address, people, iwaki, fleet)
    assert clerk.faults + second.faults == []


async def _search_and_open(clerk: Hands, atena_no: str) -> None:
    await clerk.key("s")
    await clerk.choose("purpose", "notification")
    await clerk.fill("name", "渡辺")
    await clerk.press("form[action*='/search'] button.main")
    assert "異体字" in await clerk.page.inner_text("main")
    await clerk.look("search")
    await clerk.press(f"a[href$='/residents/{atena_no}']")
    assert "渡邊　一郎" in await clerk.page.inner_text(".person")
    await clerk.look("resident")
    await clerk.back()
    assert "異体字" in await clerk.page.inner_text("main"), "the results, and no question of the browser"
    assert "渡辺" not in clerk.page.url
    await clerk.page.reload()
    await clerk.look()
    results = clerk.page.url
    await clerk.page.goto(results.partition("?")[0] + "?kept=1")
    assert "前に入力した内容は残っていません" in await clerk.page.inner_text("main")
    await clerk.look()
    await clerk.page.goto(results)
    await clerk.press(f"a[href$='/residents/{atena_no}']")
    await clerk.fill("day", "R8.11.20")
    await clerk.press("form[action$='/as-of'] button")
    assert "今の記録ではありません" in await clerk.page.inner_text("main")
    await clerk.look("resident-as-of")
    await clerk.press(f"a[href$='/residents/{atena_no}']")
    await clerk.key("2")
    assert "渡邊　花子" in await clerk.page.inner_text(".person")


async def _move_in(clerk: Hands) -> tuple[int, dict[str, str]]:
    await clerk.key("n")
    await clerk.look("move-in-1")
    await clerk.fill("form_no", "R8-2001")
    await clerk.fill("occurred_on", "R8.11.20")
    await clerk.fill("notified_on", "R8.11.23")
    await clerk.fill("notifier", "磐城 海")
    await clerk.choose("document", "driving_licence")
    await clerk.press("button.main")
    await clerk.fill("to_text", "福島県いわき市小名浜花畑町34番地の2")
    await clerk.fill("to_postal", "9718101")
    await clerk.fill("from_text", "東京都千代田区千代田1番1号")
    await clerk.look()
    await clerk.press("button.main")
    await clerk.back()
    assert await clerk.page.input_value("[name=to_postal]") in ("", "9718101")
    await clerk.page.go_forward()
    numbers = {"my_number": my_number(), "resident_code": resident_code()}
    await clerk.fill("p0_name", "磐城 海")
    await clerk.press("button.main")
    assert await clerk.page.evaluate("() => document.activeElement.getAttribute('aria-invalid')") == "true"
    await clerk.look("move-in-errors")
    await clerk.fill("p0_name_kana", "イワキ カイ")
    await clerk.fill("p0_birth", "H5.7.20")
    await clerk.choose("p0_sex", "1")
    await clerk.fill("p0_relationship", "世帯主")
    await clerk.fill("p0_registered_domicile", "東京都千代田区千代田1番")
    await clerk.fill("p0_family_head", "磐城 海")
    await clerk.fill("p0_my_number", numbers["my_number"])
    await clerk.choose("p0_my_number_source", "certificate")
    await clerk.fill("p0_resident_code", numbers["resident_code"])
    await clerk.press("button.main")
    assert "仮登録する" in await clerk.page.inner_text("main"), await clerk.page.inner_text("main")
    await clerk.look("move-in-review")
    if await clerk.page.locator("[name=alert_reason]").count():
        await clerk.fill("alert_reason", "書類で確かめた")
    await clerk.press("button[value=save]")
    assert "仮登録しました" in await clerk.page.inner_text("main"), await clerk.page.inner_text("main")
    await clerk.look("case-own")
    return int(clerk.page.url.partition("/cases/")[2].partition("?")[0]), numbers


async def _confirm(second: Hands, number: int, numbers: dict[str, str]) -> None:
    await second.key("q")
    await second.look("queue")
    await second.press(f"a[href$='/cases/{number}']")
    await second.look("confirm")
    await second.fill("again:occurred_on", "R8.11.20")
    await second.fill("again:notified_on", "R8.11.23")
    await second.fill("again:persons.0.birth", "H5.7.20")
    await second.fill("again:persons.0.my_number", numbers["my_number"])
    await second.fill("again:persons.0.resident_code", numbers["resident_code"])
    await second.press("button.main")
    assert "本登録しました" in await second.page.inner_text("main"), await second.page.inner_text("main")
    await second.look()


async def _certificate(clerk: Hands, address: str, people: tuple[str, ...]) -> None:
    await clerk.page.goto(f"{address}/072044/residents/{people[0]}")
    await clerk.key("c")
    await clerk.look("certificate")
    await clerk.choose("relation", "self")
    await clerk.choose("identity", "photo")
    await clerk.choose("purpose", "residence")
    await clerk.press("button.main")
    assert "印刷の見本" in await clerk.page.inner_text("main"), await clerk.page.inner_text("main")
    await clerk.page.wait_for_timeout(1500)
    await clerk.look("certificate-preview")
    await clerk.press("button.main")
    assert "交付しました" in await clerk.page.inner_text("main"), await clerk.page.inner_text("main")
    await clerk.look("certificate-issued")
    issued = clerk.page.url
    await clerk.back()
    assert "印刷の見本" in await clerk.page.inner_text("main"), await clerk.page.inner_text("main")
    await clerk.press("button.main")
    assert clerk.page.url == issued, "the same paper, not a second one"


async def _relocate(clerk: Hands, address: str, people: tuple[str, ...]) -> None:
    await clerk.page.goto(f"{address}/072044/residents/{people[0]}")
    await clerk.key("m")
    await clerk.fill("form_no", "R8-2002")
    await clerk.fill("occurred_on", "R8.11.22")
    await clerk.fill("notifier", "渡邊 一郎")
    await clerk.choose("document", "my_number_card")
    await clerk.press("button.main")
    for atena_no in people:
        await clerk.tick("who", atena_no)
    await clerk.fill("to_text", "福島県いわき市錦町大島1番地")
    await clerk.fill("to_postal", "9748232")
    await clerk.look()
    await clerk.press("button.main")
    await clerk.press("button.main")
    assert "仮登録する" in await clerk.page.inner_text("main"), await clerk.page.inner_text("main")
    await clerk.look("relocate-review")
    if await clerk.page.locator("[name=alert_reason]").count():
        await clerk.fill("alert_reason", "書類で確かめた")
    await clerk.press("button[value=save]")
    assert "仮登録しました" in await clerk.page.inner_text("main"), await clerk.page.inner_text("main")


async def _session_end(clerk: Hands, address: str, people: tuple[str, ...], town: Town, fleet: Fleet) -> None:
    """The session ends under a half-filled form; by keyboard through the log-in and on, with nothing typed twice."""
    await clerk.page.goto(f"{address}/072044/residents/{people[0]}/changes/relocate")
    await clerk.fill("form_no", "R8-2003")
    await clerk.fill("occurred_on", "R8.11.22")
    await clerk.fill("notifier", "渡邊 一郎")
    await clerk.choose("document", "passport")
    other = await clerk.page.context.new_page()
    await other.goto(f"{address}/072044/")
    await other.click("form[action$='/logout'] button")
    await other.close()
    await clerk.press("button.main")
    assert "まだ記録していません" in await clerk.page.inner_text("main")
    await clerk.look("session-ended")
    await clerk.press("button.main")
    secret = town.secrets("uketsuke")
    await clerk.fill("login", secret.login)
    await clerk.fill("password", secret.password)
    await clerk.fill("otp", town.otp("uketsuke", fleet.clock()))
    await clerk.press("button.main")
    await clerk.look()
    await clerk.press("button.main")
    assert await clerk.page.locator("[name=to_text]").count() == 1
    assert await clerk.page.input_value("[name=form_no]") == "R8-2003"


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (1920, 1080), (640, 400), (360, 740)])
async def test_no_page_needs_sideways_scrolling(
    terminals: list[BrowserContext], address: str, width: int, height: int
) -> None:
    """Both usual screens, 200 % zoom (640x400 of the smaller one) and 360 px: text never runs out of the page."""
    page = await terminals[0].new_page()
    await page.set_viewport_size({"width": width, "height": height})
    for path in (
        "/",
        "/search",
        "/changes/move-in",
        "/cases",
        "/account",
        "/account/password",
        "/account/totp",
        "/protection",
    ):
        await page.goto(f"{address}/072044{path}")
        assert "ログイン |" not in await page.title(), path
        over = await page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert over <= 0, f"{path} is {over} px too wide at {width}"
    await page.close()


async def test_buttons_are_large_enough_and_the_focus_is_seen(terminals: list[BrowserContext], address: str) -> None:
    """screens: 48 px controls at the counter; the focus ring is drawn on whatever has the focus."""
    page = await terminals[0].new_page()
    await page.goto(f"{address}/072044/search")
    heights = await page.evaluate(
        "() => [...document.querySelectorAll('main button, main .btn, main select, main input[type=text]')]"
        ".map(e => e.getBoundingClientRect().height)"
    )
    assert min(heights) >= 48
    for _ in range(12):
        await page.keyboard.press("Tab")
        if await page.evaluate("() => document.activeElement === document.body"):
            continue  # past the last control the focus goes to the browser itself
        width = await page.evaluate("() => parseFloat(getComputedStyle(document.activeElement).outlineWidth)")
        assert width >= 4
    await page.close()
