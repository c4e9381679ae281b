"""The way back after a page of its own: 照会の目的 asked for first, and the browser's Back."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
from litestar import Litestar
from tests.web.counter import IWAKI, Browser, Town, text_of

from juki import audit, registry
from juki.access import Caller, pages
from juki.audit import operation
from juki.tenancy import Fleet


@pytest.mark.parametrize(
    ("there", "location"),
    [
        (f"/{IWAKI}/residents/渡邊", f"/{IWAKI}/residents/%E6%B8%A1%E9%82%8A"),
        (f"/{IWAKI}/residents/1?day=R8.11.20&a=%E6%B8%A1", f"/{IWAKI}/residents/1?day=R8.11.20&a=%E6%B8%A1"),
        (f"/{IWAKI}/cases", f"/{IWAKI}/cases"),
        ("//evil.example/渡邊", f"/{IWAKI}/search"),
        ("https://evil.example/", f"/{IWAKI}/search"),
        (f"/{IWAKI}/\\evil.example", f"/{IWAKI}/search"),
        (f"/{IWAKI}/..//evil.example", f"/{IWAKI}/search"),
        (f"/{IWAKI}/../075418/search", f"/{IWAKI}/search"),
        (f"/{IWAKI}/%2e%2E/075418/search", f"/{IWAKI}/search"),
        (f"/{IWAKI}/residents/\u2028渡邊", f"/{IWAKI}/search"),
        ("", f"/{IWAKI}/search"),
    ],
)
async def test_the_purpose_leads_back_to_our_own_pages_whatever_letters_stand_in_the_address(
    clerk: Browser, there: str, location: str
) -> None:
    """A header carries ASCII; a path in Japanese is coded, and only paths of this municipality are taken."""
    await clerk.get("/purpose", params={"next": there})
    answer = await clerk.post("/purpose", {"purpose": "notification", "next": there}, follow=False)
    assert (answer.status_code, answer.headers["location"]) == (303, location)


async def test_a_page_in_japanese_asks_for_the_purpose_first(clerk: Browser) -> None:
    """The question knows where it came from, letter by letter."""
    clerk.client.cookies.delete("juki-purpose")
    asked = await clerk.client.get(f"/{IWAKI}/residents/渡邊 1", follow_redirects=False)
    assert asked.status_code == 303
    assert asked.headers["location"] == f"/{IWAKI}/purpose?next=/{IWAKI}/residents/%E6%B8%A1%E9%82%8A%201"
    await clerk.get(asked.headers["location"])
    assert clerk.hidden()["next"] == [f"/{IWAKI}/residents/渡邊 1"]
    answer = await clerk.post("/purpose", {"purpose": "notification", **clerk.hidden()}, follow=False)
    assert answer.headers["location"] == f"/{IWAKI}/residents/%E6%B8%A1%E9%82%8A%201"


async def test_an_address_with_wide_digits_is_no_municipality(clerk: Browser) -> None:
    """A code is ASCII digits; anything else is not found, not a fault."""
    answer = await clerk.client.get("/０７２０４４/cases", headers={"accept": "text/html"}, follow_redirects=False)
    assert answer.status_code in (303, 404)


async def rows(fleet: Fleet) -> list[tuple[int, str, bytes]]:
    """What is kept, as it lies there."""
    async with fleet.session(IWAKI, write=False) as session:
        found = await session.fetch("SELECT page_no, session_id, given_sealed FROM {t}.staff_page ORDER BY kept_at")
    return [(no, session_id, bytes(sealed)) for no, session_id, sealed in found]


async def sent(browser: Browser, path: str, data: dict[str, Any]) -> str:
    """Send a form whose answer is a page of its own; where that page is."""
    answer = await browser.post(path, data, follow=False)
    assert answer.status_code == 303, text_of(answer.text)
    where = answer.headers["location"]
    assert re.fullmatch(r"/072044/[a-z0-9/-]+\?kept=\d+", where), where
    return where


async def test_a_search_can_be_gone_back_to_and_nothing_asked_for_stands_in_its_address(
    clerk: Browser, second: Browser, household: tuple[str, ...], fleet: Fleet
) -> None:
    """R-1-3.3-CPY-01: the page is an ordinary one; what was asked for lies sealed, and is this session's alone."""
    number = str(await asked_number(fleet, household[0]))
    await clerk.get("/search")
    where = await sent(clerk, "/search", {"number_kind": "my_number", "number": number, "purpose": "inquiry"})
    assert number not in where
    for _ in range(2):
        answer = await clerk.get(where)
        assert (answer.status_code, answer.request.method) == (200, "GET")
        assert household[0] in answer.text, text_of(answer.text)
        assert number in answer.text
    held = await rows(fleet)
    assert any(f"kept={no}" in where for no, _, _ in held)
    assert not any(number.encode() in sealed for _, _, sealed in held)
    answer = await second.get(where)
    assert household[0] not in answer.text
    assert number not in answer.text
    assert "残っていません" in text_of(answer.text)
    other = where.replace("/search?", "/changes/move-in?")
    assert number not in (await clerk.get(other)).text
    await clerk.get("/search?kept=99999999999999999999999")
    assert (await clerk.get("/search?kept=x")).status_code == 200


async def asked_number(fleet: Fleet, atena_no: str) -> str:
    """個人番号 of a resident."""
    who = Caller(
        tenant=IWAKI, actor_id="op-test", terminal_id="T-1", rights=frozenset({"resident.read", "resident.my_number"})
    )
    async with operation(fleet, who, "resident.read", purpose="試験", write=False) as op:
        record = await registry.record(op, atena_no, groups=("my_number",))
    assert record.my_number is not None
    return record.my_number.my_number


async def test_a_refused_search_can_be_gone_back_to_as_well(clerk: Browser) -> None:
    """What is wrong stands beside its field each time."""
    await clerk.get("/search")
    where = await sent(clerk, "/search", {"birth": "S64.2.30", "purpose": "inquiry"})
    for _ in range(2):
        answer = await clerk.get(where)
        assert answer.status_code == 422
        assert re.search(r'name="birth"[^>]*aria-invalid="true"', answer.text)


async def test_a_number_that_was_shown_is_not_shown_again_by_going_back(
    clerk: Browser, household: tuple[str, ...], fleet: Fleet
) -> None:
    """個人番号 is shown because somebody asks for it, once; a day of the past as often as gone back to."""
    number = await asked_number(fleet, household[0])
    await clerk.state_purpose()
    path = f"/residents/{household[0]}"
    await clerk.get(path)
    where = await sent(clerk, f"{path}/reveal", {"item": "my_number"})
    assert number in re.sub(r"\D", "", text_of((await clerk.get(where)).text))
    answer = await clerk.get(where)
    assert answer.status_code == 200
    assert number not in re.sub(r"\D", "", text_of(answer.text))
    where = await sent(clerk, f"{path}/as-of", {"day": "R8.11.20"})
    for _ in range(2):
        assert "今の記録ではありません" in (await clerk.get(where)).text


async def test_every_page_of_a_form_can_be_gone_back_to_as_it_was_filled_in(
    clerk: Browser, household: tuple[str, ...]
) -> None:
    """P-1-1: the step before stands in the browser's history, with what was typed; the review records nothing by itself."""
    await clerk.state_purpose()
    path = f"/residents/{household[0]}/changes/relocate"
    await clerk.get(path)
    first = {
        "form_no": "R8-4001", "occurred_on": "R8.11.20", "notified_on": "R8.11.23", "notifier": "渡邊　一郎",
        "source": "person", "document": "my_number_card", "go": "next",
    }  # fmt: skip
    second_page = await sent(clerk, path, {**clerk.hidden(), **first})
    await clerk.get(second_page)
    wrong = await sent(clerk, path, {**clerk.hidden(), "who": list(household), "go": "next"})
    answer = await clerk.get(wrong)
    assert answer.status_code == 422
    move = {"who": list(household), "to_text": "福島県いわき市錦町大島4番地", "go": "next"}
    third_page = await sent(clerk, path, {**clerk.hidden(), **move})
    await clerk.get(third_page)
    review = await sent(clerk, path, {**clerk.hidden(), "go": "next"})
    for _ in range(2):
        answer = await clerk.get(review)
        assert "仮登録する" in answer.text, text_of(answer.text)
    held_up = await sent(clerk, path, {**clerk.hidden(), "go": "save", "form_no": ""})
    answer = await clerk.get(held_up)
    assert answer.status_code == 422
    answer = await clerk.get(second_page)
    assert clerk.hidden()["form_no"] == ["R8-4001"]
    clerk.client.cookies.delete("juki-purpose")
    answer = await clerk.get(review)
    assert "照会の目的" in answer.text
    answer = await clerk.post("/purpose", {**clerk.hidden(), "purpose": "notification"})
    assert "仮登録する" in answer.text, text_of(answer.text)


async def test_a_paper_gone_back_to_from_its_number_is_not_issued_a_second_time(
    clerk: Browser, household: tuple[str, ...]
) -> None:
    """P-3-3: the page before bears the same token, so the same button leads to the same paper."""
    await clerk.state_purpose("certificate")
    path = f"/residents/{household[0]}/certificate"
    await clerk.get(path)
    asked = {
        "kind": "resident", "relation": "self", "requester": household[0], "identity": "photo", "purpose": "residence",
        "persons": [household[0]], "copies": "1", "go": "preview",
    }  # fmt: skip
    preview = await sent(clerk, path, asked)
    papers: list[str] = []
    for _ in range(2):
        answer = await clerk.get(preview)
        assert "印刷の見本" in answer.text, text_of(answer.text)
        assert "object-src data:" in answer.headers["content-security-policy"]
        answer = await clerk.post(path, {**clerk.hidden(), "go": "issue"})
        assert "交付しました" in answer.text, text_of(answer.text)
        papers.append(str(answer.url))
    assert papers[0] == papers[1]
    refused = await sent(clerk, path, {**asked, "identity": "none"})
    for _ in range(2):
        assert (await clerk.get(refused)).status_code == 422


async def test_what_is_kept_goes_with_the_session_and_the_oldest_gives_way(
    application: Litestar, iwaki: Town, fleet: Fleet
) -> None:
    """What was typed goes: at the log-out at once, of a session that ran out by the sweep; never more than so many."""
    async with Browser(application, iwaki, terminal=0) as browser:
        await browser.log_in("kakari", fleet.clock())
        await browser.get("/search")
        token = {"form_token": browser.token}
        for n in range(pages.KEPT_MAX + 3):
            await browser.post("/search", {"kana": f"カナ{n}", "purpose": "inquiry", **token}, follow=False)
        mine = {session for _, session, _ in (await rows(fleet))[-3:]}
        assert len(mine) == 1
        held = [no for no, session, _ in await rows(fleet) if session in mine]
        assert len(held) == pages.KEPT_MAX
        assert await audit.forget_pages(fleet, IWAKI) == 0
        await browser.get("/search")
        await browser.post("/logout")
        assert not [no for no, session, _ in await rows(fleet) if session in mine]
        await browser.log_in("kakari", fleet.clock())
        await browser.get("/search")
        await browser.post("/search", {"kana": "カナ", "purpose": "inquiry"}, follow=False)
        now = fleet.clock
        try:
            fleet.clock = lambda: now() + dt.timedelta(hours=11)
            assert await audit.forget_pages(fleet, IWAKI) > 0
            assert await rows(fleet) == []
        finally:
            fleet.clock = now


async def test_a_part_of_the_log_and_of_the_work_list_can_be_gone_back_to(
    application: Litestar, iwaki: Town, household: tuple[str, ...], fleet: Fleet
) -> None:
    """One person's page of the log is asked for by a number; the work list by two codes, which may stand in an address."""
    terminal = next(n for n, t in enumerate(iwaki.made.terminals) if "audit" in t.functions)
    async with Browser(application, iwaki, terminal=terminal) as browser:
        await browser.log_in("kansa", fleet.clock())
        await browser.get("/audit")
        where = await sent(browser, "/audit", {"atena_no": household[0]})
        for _ in range(2):
            answer = await browser.get(where)
            assert "操作の一覧" in answer.text
            assert "標準分析" not in answer.text
    terminal = next(n for n, t in enumerate(iwaki.made.terminals) if "import" in t.functions)
    async with Browser(application, iwaki, terminal=terminal) as browser:
        await browser.log_in("iko", fleet.clock())
        await browser.get("/worklist")
        answer = await browser.post("/worklist", {"outcome": "held", "closed": "1"}, follow=False)
        assert answer.headers["location"] == f"/{IWAKI}/worklist?outcome=held&closed=1"
        assert (await browser.get(answer.headers["location"])).status_code == 200


async def test_a_refused_form_can_be_gone_back_to_with_what_was_typed(
    clerk: Browser, second: Browser, protector: Browser, household: tuple[str, ...]
) -> None:
    """P-1-1: 照合 that did not agree, 支援措置 without a wish, 抑止 without a reason; no number typed stands in the address."""
    await clerk.state_purpose()
    path = f"/residents/{household[1]}/changes/relocate"
    await clerk.get(path)
    first = {
        "form_no": "R8-4002", "occurred_on": "R8.11.20", "notified_on": "R8.11.23", "notifier": "渡邊　花子",
        "source": "person", "document": "my_number_card",
    }  # fmt: skip
    for page in (first, {"who": [household[1]], "to_text": "福島県いわき市錦町大島5番地"}, {}):
        await clerk.post(path, {**clerk.hidden(), **page, "go": "next"})
    answer = await clerk.post(path, {**clerk.hidden(), "go": "save", "alert_reason": "書類で確かめた"})
    case = re.search(r"/cases/(\d+)", str(answer.url))
    assert case, text_of(answer.text)
    await second.get(f"/cases/{case[1]}")
    typed = {"again:occurred_on": "R8.11.21", "again:notified_on": "R8.11.23"}
    where = await sent(second, f"/cases/{case[1]}/confirm", typed)
    for _ in range(2):
        answer = await second.get(where)
        assert answer.status_code == 422
        assert 'value="R8.11.21"' in answer.text
        assert re.search(r'name="again:occurred_on"[^>]*aria-invalid="true"', answer.text), text_of(answer.text)
    await protector.get(f"/residents/{household[0]}/protection")
    for path, given, wrong in (
        (f"/residents/{household[0]}/protection", {"starts_on": "R8.11.20"}, "wishes"),
        (f"/residents/{household[0]}/suppress", {"process": "change", "level": "error"}, "reason"),
    ):
        where = await sent(protector, path, given)
        for _ in range(2):
            answer = await protector.get(where)
            assert answer.status_code == 422
            assert f'href="#f-{wrong}"' in answer.text, text_of(answer.text)
