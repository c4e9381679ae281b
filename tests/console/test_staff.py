"""操作者と権限: asked for by the head of the office, approved by the head of information policy, never by oneself."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections.abc import AsyncIterator

import pytest_asyncio
from litestar import Litestar
from tests.web.counter import IWAKI, OFFICE, Browser, Town, build, people, text_of

from juki.access.bootstrap import People, Person, bootstrap
from juki.access.model import system
from juki.audit import operation
from juki.dates import today_in_japan
from juki.tenancy import Fleet, system_clock

TERM = (today_in_japan(system_clock()) + dt.timedelta(days=90)).isoformat()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def town(fleet: Fleet) -> Town:
    """いわき市 with a head of the office beside the usual people."""
    known = people(IWAKI)
    head = Person(login="shocho44", name="湯本　八郎", staff_no="072044099", office=OFFICE[IWAKI], duties=("所属長",))
    given = People(
        approved_by=known.approved_by,
        operator=(*known.operator, head),
        outside_hours=known.outside_hours,
        change_password_at_first_login=False,
    )
    caller = system(IWAKI, "bootstrap", {"account.manage"})
    async with operation(fleet, caller, "access.bootstrap", purpose="試験の準備", right="account.manage") as op:
        return Town(code=IWAKI, made=await bootstrap(op.work, given))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def application(fleet: Fleet) -> Litestar:
    """The registry's application."""
    return build(fleet)


async def _at_admin(application: Litestar, town: Town, fleet: Fleet, login: str) -> AsyncIterator[Browser]:
    number = next(n for n, t in enumerate(town.made.terminals) if "admin" in t.functions)
    async with Browser(application, town, number) as browser:
        await browser.log_in(login, fleet.clock())
        yield browser


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def head(application: Litestar, town: Town, fleet: Fleet) -> AsyncIterator[Browser]:
    """The head of the office: may ask."""
    async for browser in _at_admin(application, town, fleet, "shocho"):
        yield browser


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def policy(application: Litestar, town: Town, fleet: Fleet) -> AsyncIterator[Browser]:
    """The head of information policy: may approve."""
    async for browser in _at_admin(application, town, fleet, "kacho"):
        yield browser


async def test_a_duty_is_asked_for_once_and_approved_by_another(head: Browser, policy: Browser, town: Town) -> None:
    """R-1-3.3-PRV-01: 申請 by one, 承認 by another; a page sent twice asks once."""
    clerk = town.secrets("uketsuke").operator_id
    await head.get("/staff")
    asked = {**head.hidden(), "operator": clerk, "duty": "支援措置", "valid_until": TERM}
    answers = await asyncio.gather(*(head.post("/staff/grants", asked) for _ in range(2)))
    numbers = {str(a.url).partition("no=")[2] for a in answers}
    assert len(numbers) == 1, [text_of(a.text)[:300] for a in answers]
    (number,) = numbers
    assert "自分の申請・権限は、別の人が判断します" in answers[0].text
    answer = await head.post(f"/staff/grants/{number}/approve")
    assert answer.status_code == 403
    answer = await policy.get("/staff")
    assert f"申請 {number} を却下する" in answer.text, text_of(answer.text)
    answer = await policy.post(f"/staff/grants/{number}/approve")
    assert "承認しました" in answer.text, text_of(answer.text)
    row = re.search(r"<tr><th scope=\"row\">白河　花子.*?</tr>", answer.text, re.DOTALL)
    assert row
    assert "窓口・支援措置" in row[0]
    answer = await policy.post(f"/staff/grants/{number}/refuse")
    assert answer.status_code == 422
    assert "決定済み" in answer.text


async def test_a_duty_of_another_department_is_refused_beside_the_form(head: Browser, town: Town) -> None:
    """R-A-2.3-USE-01: the duty table says which department does what; a term over a year is refused too."""
    auditor = town.secrets("kansa").operator_id
    await head.get("/staff")
    answer = await head.post("/staff/grants", {"operator": auditor, "duty": "窓口", "valid_until": TERM})
    assert answer.status_code == 422
    assert "この課では行わない事務" in answer.text, text_of(answer.text)
    answer = await head.post("/staff/grants", {"operator": auditor, "duty": "監査", "valid_until": "R20.3.31"})
    assert answer.status_code == 422
    answer = await head.post("/staff/grants", {"operator": "", "duty": "", "valid_until": "x"})
    assert answer.status_code == 422
    assert len(re.findall(r'aria-invalid="true"', answer.text)) == 3


async def test_an_account_is_stopped_with_a_reason_and_opened_again(head: Browser, policy: Browser, town: Town) -> None:
    """R-1-3.3-AUT-02: 停止 at once, never of oneself, and only by whoever manages accounts."""
    clerk, own = town.secrets("shien").operator_id, town.secrets("shocho").operator_id
    await head.get("/staff")
    assert f"/staff/{own}/suspend" not in head.html
    answer = await head.post(f"/staff/{clerk}/suspend", {"reason": ""})
    assert answer.status_code == 422
    answer = await head.post(f"/staff/{own}/suspend", {"reason": "試験"})
    assert answer.status_code == 422
    answer = await head.post(f"/staff/{clerk}/suspend", {"reason": "長期の休み"})
    assert "操作者を停止しました" in answer.text, text_of(answer.text)
    assert "会津　四葉の停止を解除する" in answer.text
    await policy.get("/staff")
    answer = await policy.post(f"/staff/{clerk}/reopen")
    assert answer.status_code == 403
    await head.get("/staff")
    answer = await head.post(f"/staff/{clerk}/reopen")
    assert "停止を解除しました" in answer.text, text_of(answer.text)
