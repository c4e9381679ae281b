"""移行の作業一覧: opened row by row by whoever may, closed with a reason, in the log."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from litestar import Litestar
from tests.legacy.media import imported
from tests.web.counter import IWAKI, Browser, Town, text_of

from juki.access.model import Caller
from juki.dates import today_in_japan
from juki.peers import generate
from juki.tenancy import Fleet


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def mover(application: Litestar, iwaki: Town, fleet: Fleet, tmp_path_factory: object) -> AsyncIterator[Browser]:
    """The clerk for the import, after one with faults in it."""
    folder = Path(fleet.config.home) / "extract"
    generate(IWAKI, folder, residents=200, seed=11, as_of=today_in_japan(fleet.clock()))
    rights = frozenset({"import.run", "import.review", "resident.read"})
    who = Caller(tenant=IWAKI, actor_id="bench", actor_kind="system", rights=rights)
    await imported(fleet, who, folder)
    terminal = next(n for n, t in enumerate(iwaki.made.terminals) if "import" in t.functions)
    async with Browser(application, iwaki, terminal=terminal) as browser:
        await browser.log_in("iko", fleet.clock())
        yield browser


async def test_a_rejected_row_is_opened_and_closed_with_a_reason(mover: Browser) -> None:
    """P-1-2: file, line, item, value class and reason in the list; the content only in the opened row."""
    answer = await mover.get("/worklist")
    assert "取り込めない" in answer.text, text_of(answer.text)
    numbers = re.findall(r"/worklist/(\d+)", answer.text)
    assert numbers, text_of(answer.text)
    assert "legacy." not in text_of(answer.text)
    assert "バイト" in text_of(answer.text)
    assert "bytes" not in text_of(answer.text)
    answer = await mover.get(f"/worklist/{numbers[0]}")
    assert "行の内容" in answer.text
    answer = await mover.post(f"/worklist/{numbers[0]}", {"decision": "resolved", "reason": ""})
    assert answer.status_code == 422
    given = {"decision": "resolved", "reason": "届出書を見て入力した"}
    answer = await mover.post(f"/worklist/{numbers[0]}", given)
    assert "処理済みにしました" in answer.text, text_of(answer.text)
    await mover.get("/worklist")
    answer = await mover.post(f"/worklist/{numbers[0]}", given)
    assert answer.status_code == 422, text_of(answer.text)


async def test_who_may_not_review_the_import_sees_no_row(clerk: Browser) -> None:
    """R-1-3.3-PRV-01."""
    assert (await clerk.get("/worklist")).status_code == 403


async def test_a_held_row_leads_to_the_row_it_waits_for_and_to_the_way_into_the_register(mover: Browser) -> None:
    """R-1-2.6-MIG-01: whoever settles a household must not look for its rows among hundreds, nor guess how it comes in."""
    listed = (await mover.get("/worklist?outcome=held")).text
    number = re.findall(r"/worklist/(\d+)", listed)[0]
    page = (await mover.get(f"/worklist/{number}")).text
    assert "この行が待っている行" in page
    assert "送付元に直してもらった行だけの抽出データ" in page
    waited = [n for n in re.findall(r"/worklist/(\d+)", page) if n != number]
    assert waited
    cause = text_of((await mover.get(f"/worklist/{waited[0]}")).text)
    assert "取り込めない" in cause
    home = re.search(r"世帯番号\s*(\d+)", text_of(page))
    assert home is not None
    assert home[1] in cause
