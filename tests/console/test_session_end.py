"""A session that ends under a half-filled form: what was typed goes through the log-in, and nothing else does."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest_asyncio
from litestar import Litestar
from tests.web.counter import Browser, Town, family, settle, text_of

from juki.tenancy import Fleet

STARTED = {
    "form_no": "R8-7001",
    "occurred_on": "R8.11.20",
    "notifier": "途中　太郎",
    "source": "person",
    "document": "passport",
    "step": "0",
    "go": "next",
}


@pytest_asyncio.fixture(loop_scope="session")
async def leaver(application: Litestar, iwaki: Town, fleet: Fleet) -> AsyncIterator[Browser]:
    """A counter clerk whose session the test may end."""
    async with Browser(application, iwaki, terminal=0) as browser:
        await browser.log_in("kakari", fleet.clock())
        await browser.state_purpose()
        yield browser


async def test_a_half_filled_form_is_carried_through_the_log_in(leaver: Browser, fleet: Fleet) -> None:
    """No input is lost when the session ends; a wrong log-in in between loses nothing either."""
    (atena_no,) = await settle(fleet, family("途中", "トチュウ")[:1])
    path = f"/residents/{atena_no}/changes/relocate"
    await leaver.get(path)
    kept = {k: v for k, v in leaver.hidden().items() if k != "form_token"}
    token = leaver.token
    await leaver.post("/logout")
    answer = await leaver.post(path, {**kept, **STARTED, "form_token": token})
    assert answer.status_code == 401
    assert "まだ記録していません" in answer.text, text_of(answer.text)
    answer = await leaver.post("/login/again", leaver.hidden())
    assert answer.status_code == 200
    carried = leaver.hidden()
    answer = await leaver.post("/login", {**carried, "login": "nobody", "password": "x" * 12, "otp": "000000"})
    assert answer.status_code == 422
    assert leaver.hidden() == carried
    secret = leaver.town.secrets("kakari")
    typed = {"login": secret.login, "password": secret.password, "otp": leaver.town.otp("kakari", fleet.clock())}
    answer = await leaver.post("/login", {**carried, **typed})
    assert "入力の続き" in answer.text, text_of(answer.text)
    assert secret.password not in answer.text
    action = re.search(
        r'<form method="post" action="([^"]+)">\s*<input type="hidden" name="form_token"[^>]*>\s*<input', answer.text
    )
    assert action, text_of(answer.text)
    assert action[1] == leaver.path(path)
    answer = await leaver.post(path, leaver.hidden())
    assert answer.status_code == 200
    assert "転居する人と新しい住所" in text_of(answer.text), text_of(answer.text)
    assert leaver.hidden()["form_no"] == ["R8-7001"]


async def test_a_form_of_another_site_or_with_a_password_is_never_carried(leaver: Browser, fleet: Fleet) -> None:
    """CSRF: what another site sends to an ended session is not kept for the next one; secrets are not kept at all."""
    await leaver.get("/account/password")
    token = leaver.token
    await leaver.post("/logout")
    answer = await leaver.post("/changes/move-in", STARTED | {"form_token": token}, origin="http://elsewhere.example")
    assert "R8-7001" not in answer.text
    assert "ログイン |" in answer.text
    answer = await leaver.post(
        "/account/password", {"form_token": token, "old": "secret-a", "password": "secret-b", "again": "secret-b"}
    )
    assert "secret-" not in answer.text
    assert "ログイン |" in answer.text
    answer = await leaver.post("/login/again", {"resume": "//elsewhere.example/x", "kept:a": "b"})
    assert "elsewhere" not in answer.text
    assert 'name="kept:a"' not in answer.text
