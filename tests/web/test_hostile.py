"""Hostile requests: each is refused with the answer of the unknown, and leaves a row where it was aimed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from litestar import Litestar
from tests.web.counter import HIRONO, IWAKI, Browser, Town, family, settle, text_of

from juki import audit
from juki.access.model import Caller
from juki.audit import Filter, operation
from juki.tenancy import Fleet

ORIGIN = "http://127.0.0.1:8000"


async def refusals(fleet: Fleet, caller: Callable[..., Caller], tenant: str) -> list[tuple[str, str, str]]:
    """Refused rows of a municipality, newest first: action, code, who."""
    reader = caller("audit.read", tenant=tenant, actor="op-auditor")
    async with operation(fleet, reader, "audit.list", purpose="試験", right="audit.read", write=False) as op:
        found = await audit.listing(op, Filter(result="refused"))
    return [(e.action, e.code, e.intent.actor_id) for e in found]


@pytest.fixture
def page() -> dict[str, str]:
    """Headers of a browser that asks for a page."""
    return {"accept": "text/html"}


async def test_a_path_of_another_municipality_answers_as_an_unknown_one(
    clerk: Browser, hirono: Town, fleet: Fleet, caller: Callable[..., Caller]
) -> None:
    """R-A-3.3-AUT-01: same answer for a municipality that exists and one that does not; rows on both sides."""
    (theirs,) = await settle(fleet, family("広野", "ヒロノ")[:1], HIRONO)
    before = len(await refusals(fleet, caller, HIRONO))
    foreign = await clerk.client.get(f"/{HIRONO}/residents/{theirs}", headers={"accept": "text/html"})
    nowhere = await clerk.client.get(f"/131016/residents/{theirs}", headers={"accept": "text/html"})
    assert (foreign.status_code, nowhere.status_code) == (404, 404)
    assert text_of(foreign.text) == text_of(nowhere.text)
    rows = await refusals(fleet, caller, HIRONO)
    assert len(rows) == before + 1
    assert rows[0][1] == "tenant.foreign"
    assert ("resident.read", "tenant.foreign") in [(a, c) for a, c, _ in await refusals(fleet, caller, IWAKI)]


async def test_an_id_of_another_municipality_answers_as_an_unknown_one(
    clerk: Browser, hirono: Town, fleet: Fleet
) -> None:
    """Path ids of another tenant are nobody here."""
    await clerk.state_purpose()
    (theirs,) = await settle(fleet, family("双葉", "フタバ")[:1], HIRONO)
    known = await clerk.get(f"/residents/{theirs}")
    unknown = await clerk.get("/residents/9999999999")
    if known.status_code == 200:  # the same 宛名番号 may exist in both municipalities: then it is our own person
        assert "双葉" not in known.text
    else:
        assert (known.status_code, unknown.status_code) == (404, 404)
        assert text_of(known.text) == text_of(unknown.text)


async def test_headers_cannot_name_another_municipality_or_person(
    clerk: Browser, hirono: Town, page: dict[str, str]
) -> None:
    """Header spoofing: nothing but the path and the session says who is calling."""
    spoofed = page | {
        "x-tenant": HIRONO,
        "x-forwarded-user": "op-root",
        "x-forwarded-host": "evil",
        "x-original-url": f"/{HIRONO}/",
    }
    answer = await clerk.client.get(f"/{IWAKI}/account", headers=spoofed)
    assert answer.status_code == 200
    assert "白河 花子" in text_of(answer.text)
    assert "広野町" not in answer.text


async def test_a_stolen_session_does_not_work_at_another_terminal(
    clerk: Browser, fleet: Fleet, caller: Callable[..., Caller], page: dict[str, str]
) -> None:
    """R-1-3.3-USE-02: the session's token without its terminal's token opens nothing, and is noted."""
    token = clerk.client.cookies["juki"]
    other = clerk.town.made.terminals[1].token
    for terminal in (other, "", "072044.forged"):
        stolen = await _bare(clerk, {"juki": token, "juki-terminal": terminal}, f"/{IWAKI}/account", page)
        assert stolen.status_code == 303
        assert stolen.headers["location"].endswith("/login")
    rows = await refusals(fleet, caller, IWAKI)
    assert [row[1] for row in rows[:3]] == ["access.session_terminal"] * 3
    assert (await clerk.get("/account")).status_code == 200


@pytest.mark.parametrize("token", ["072044.aaaa", "075418.aaaa", "no-dot", "072044." + "x" * 5000, "日本"])
async def test_a_forged_session_or_bearer_token_is_turned_away_with_a_row(
    clerk: Browser, hirono: Town, fleet: Fleet, caller: Callable[..., Caller], page: dict[str, str], token: str
) -> None:
    """Forged tokens answer 401 to programs and the log-in page to people; the municipality named by the token has a row."""
    home = HIRONO if token.startswith(HIRONO) else IWAKI
    before = len(await refusals(fleet, caller, home))
    if token.isascii():
        answer = await _bare(clerk, {"juki": token}, f"/{IWAKI}/account", page)
        assert answer.status_code == 303
    headers = {"authorization": b"Bearer " + token.encode()}
    answer = await _bare(clerk, {}, f"/{IWAKI}/api/v1/certificates/purposes", headers)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "access.token_unknown"
    assert len(await refusals(fleet, caller, home)) > before


async def test_a_post_from_another_site_is_refused(
    clerk: Browser, fleet: Fleet, caller: Callable[..., Caller], page: dict[str, str]
) -> None:
    """CSRF: Origin, Sec-Fetch-Site and the form's own token must all say that our page is asking."""
    await clerk.get("/account/password")
    data = {"form_token": clerk.token}
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": ORIGIN, "sec-fetch-site": "cross-site"},
        {"origin": "null"},
        {"origin": "https://evil.example", "sec-fetch-site": "same-origin"},
        {},
    ):
        answer = await clerk.client.post(f"/{IWAKI}/logout", data=data, headers=page | headers)
        assert answer.status_code == 403, headers
    answer = await clerk.client.post(
        f"/{IWAKI}/logout", data={"form_token": "0" * 64}, headers=page | {"origin": ORIGIN}
    )
    assert answer.status_code == 403
    foreign = await clerk.client.post(
        f"/{IWAKI}/logout", data={"form_token": "偽" * 64}, headers=page | {"origin": ORIGIN}
    )
    assert foreign.status_code == 403
    rows = await refusals(fleet, caller, IWAKI)
    assert [row[:2] for row in rows[:7]] == [("session.logout", "web.forged")] * 7
    assert (await clerk.get("/account")).status_code == 200


async def test_an_api_call_with_a_session_also_proves_its_origin(clerk: Browser) -> None:
    """A cookie alone, sent by another site's script, does nothing."""
    answer = await clerk.client.post(
        f"/{IWAKI}/api/v1/certificates/issue", json={"token": "x" * 20}, headers={"origin": "https://evil.example"}
    )
    assert answer.status_code == 403
    assert answer.json()["code"] == "web.forged"


async def test_a_right_that_the_duty_lacks_is_refused_with_a_row(
    second: Browser, fleet: Fleet, caller: Callable[..., Caller]
) -> None:
    """R-1-3.3-PRV-01: the route's own right is checked before anything is read."""
    answer = await second.client.get(f"/{IWAKI}/changes/move-in", headers={"accept": "text/html"})
    assert answer.status_code == 403
    assert (await refusals(fleet, caller, IWAKI))[0][:2] == ("change.form", "access.right_missing")


async def test_whoever_has_to_change_the_password_first_is_turned_away_with_a_row(
    application: Litestar, iwaki: Town, fleet: Fleet, caller: Callable[..., Caller]
) -> None:
    """R-1-3.3-AUT-04: a first password opens nothing, and what it was tried on stands in the log."""
    async with Browser(application, iwaki, terminal=2) as browser:
        await browser.log_in("hogo", fleet.clock())
        async with fleet.session(IWAKI, write=True) as session:
            due = await session.execute(
                "UPDATE {t}.staff_session SET password_due = true WHERE ended_at IS NULL AND terminal_id = %(at)s",
                {"at": browser.terminal.id},
            )
        assert due == 1
        answer = await browser.client.get(f"/{IWAKI}/api/v1/certificates/purposes")
        assert (answer.status_code, answer.json()["code"]) == (403, "access.password_due")
    assert (await refusals(fleet, caller, IWAKI))[0][1] == "access.password_due"


async def _bare(browser: Browser, cookies: dict[str, str], path: str, headers: Mapping[str, str | bytes]):  # type: ignore[no-untyped-def]
    """One request with these cookies and no others."""
    kept = dict(browser.client.cookies)
    browser.client.cookies.clear()
    try:
        joined = "; ".join(f"{k}={v}" for k, v in cookies.items())
        sent = dict(headers) | ({"cookie": joined} if joined else {})
        return await browser.client.get(path, headers=sent, follow_redirects=False)
    finally:
        browser.client.cookies.clear()
        for name, value in kept.items():
            browser.client.cookies.set(name, value)
