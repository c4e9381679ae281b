"""Limits, headers and the one table of problems."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import httpx
import msgspec
import pytest
from litestar import Litestar, get
from litestar.testing import AsyncTestClient
from litestar.types import ASGIApp
from tests.web.counter import IWAKI, Browser, Town

from juki.access import terminals
from juki.access.model import system
from juki.app import behind_proxies
from juki.audit import operation
from juki.problem import Conflict, Invalid, JukiError, NotFound, Unavailable
from juki.tenancy import Fleet
from juki.texts import texts
from juki.web import Limits, Turnstile, error_handlers, problem_of, text_of
from juki.web.limits import Pace, TooOften, check_json
from juki.web.problems import json_answer

ORIGIN = {"origin": "http://127.0.0.1:8000"}
PLATFORM = Path(__file__).resolve().parents[2] / "platform" / "juki"


def test_every_kind_of_failure_has_its_status_and_a_japanese_sentence() -> None:
    """RFC 9457: one table; the sentence says what happened and what to do."""
    for error, status in (
        (NotFound(), 404),
        (Conflict(), 409),
        (Invalid(fields={"x": "y"}), 422),
        (Unavailable(), 503),
        (JukiError(), 500),
        (RuntimeError("渡邊　一郎"), 500),
    ):
        problem = problem_of(error)
        assert problem.status == status
        assert problem.detail.endswith("。")
        assert "渡邊" not in str(problem)
    assert problem_of(Invalid("date.unreadable", fields={"birth": "date.unreadable"})).fields == {
        "birth": "date.unreadable"
    }


def test_an_unknown_fault_says_nothing_of_itself(caplog: pytest.LogCaptureFixture) -> None:
    """No personal data in an answer or a log line, even where a defect's message quotes a resident."""

    @get("/fault")
    async def fault() -> None:
        raise RuntimeError("渡邊　一郎 1984-05-02")

    async def ask() -> str:
        handlers = error_handlers(lambda _, problem: json_answer(problem))
        app = Litestar([fault], exception_handlers=handlers, logging_config=None, openapi_config=None)
        async with AsyncTestClient(app) as client:
            answer = await client.get("/fault")
            assert answer.status_code == 500
            return answer.text

    body = asyncio.run(ask())
    assert "渡邊" not in body + caplog.text
    assert "RuntimeError" in caplog.text


def test_every_code_that_the_platform_raises_has_a_sentence() -> None:
    """The page never shows a bare code: each code of a room stands in some messages.toml, or falls to its status."""
    raised: set[str] = set()
    for file in PLATFORM.rglob("*.py"):
        if "commands" in file.parts or "peers" in file.parts:
            continue
        raised |= set(
            re.findall(r'(?:NotFound|Conflict|Refused|Invalid|NotSignedIn)\(\s*"([a-z_]+\.[a-z_.]+)"', file.read_text())
        )
    assert len(raised) > 50
    shown_at_the_counter = {
        code for code in raised if code.startswith(("registry.", "certificates.", "web.", "date.", "access."))
    }
    assert sorted(code for code in shown_at_the_counter if code not in texts()) == []
    assert text_of("nothing.known", 404) == text_of("not_found", 404)


def test_nesting_and_counts_of_a_body_are_limited() -> None:
    """Depth and count are refused before a decoder builds anything; brackets in strings do not count."""
    limits = Limits()
    check_json(b'{"a": "[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "b": [1, 2, {"c": "\\"]]"}]}', limits)
    with pytest.raises(Invalid, match="too_deep"):
        check_json(b"[" * 17 + b"]" * 17, limits)
    with pytest.raises(Invalid, match="too_many"):
        check_json(b"[" + b"1," * 6000 + b"1]", limits)


def test_the_pace_of_log_ins_is_limited_per_key_and_forgotten_with_time() -> None:
    """R-A-3.3-AUT-01: guessing is slowed; another key is not."""
    pace = Pace(3, 60, keys=2)
    for _ in range(3):
        pace.try_once("a", 0)
    with pytest.raises(TooOften):
        pace.try_once("a", 1)
    pace.try_once("b", 1)
    pace.try_once("a", 61)
    pace.try_once("c", 61)
    pace.try_once("d", 61)
    assert len(pace._tries) == 2


async def test_one_request_more_than_there_is_room_for_is_told_to_come_back() -> None:
    """Time and company are limited; what is turned away has not begun."""
    begun: list[int] = []
    gate = asyncio.Event()

    @get("/slow")
    async def slow() -> str:
        begun.append(1)
        await gate.wait()
        return "ok"

    app = Litestar(
        [slow],
        middleware=[Turnstile(Limits(requests_at_once=1, request_seconds=2.0))],
        exception_handlers=error_handlers(lambda _, problem: json_answer(problem)),
        openapi_config=None,
        logging_config=None,
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client:
        first = asyncio.create_task(client.get("/slow"))
        while not begun:
            await asyncio.sleep(0.01)
        crowded = await client.get("/slow")
        assert (crowded.status_code, crowded.json()["code"]) == (503, "web.too_busy")
        assert crowded.headers["retry-after"]
        assert len(begun) == 1
        late = await first
        assert (late.status_code, late.json()["code"]) == (503, "web.too_slow")
        gate.set()
        assert (await client.get("/slow")).text == "ok"


async def test_a_body_too_large_or_a_form_with_too_many_fields_is_refused(clerk: Browser) -> None:
    """Input has limits: size, count, length of one value."""
    await clerk.get("/search")
    answer = await clerk.post("/search", {"kana": "ア" * 5_000, "purpose": "inquiry"})
    assert answer.status_code == 413
    await clerk.get("/search")
    answer = await clerk.post("/search", {f"f{n}": "1" for n in range(500)})
    assert answer.status_code in (400, 422)
    huge = await clerk.client.post(
        f"/{IWAKI}/search",
        content=b"a=" + b"x" * 2_000_000,
        headers=ORIGIN | {"content-type": "application/x-www-form-urlencoded"},
    )
    assert huge.status_code == 413


async def test_every_answer_carries_its_headers_and_no_page_is_kept(clerk: Browser, household: tuple[str, ...]) -> None:
    """No foreign content, no frames, no caches, no referrer (R-1-3.3-CPY-01)."""
    await clerk.state_purpose()
    for answer in (
        await clerk.get(f"/residents/{household[0]}"),
        await clerk.get("/nowhere"),
        await clerk.client.get("/healthz"),
    ):
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert "<style" not in clerk.html
    assert not re.search(r"\son[a-z]+=|style=|javascript:", (await clerk.get(f"/residents/{household[0]}")).text)


async def test_cookies_are_out_of_reach_of_scripts_and_other_sites(clerk: Browser) -> None:
    """HttpOnly and SameSite=Strict; `__Host-` and Secure where the page is served over TLS."""
    from litestar import Response

    from juki.config import Config
    from juki.web import entrance

    answer: Response[bytes] = Response(b"")
    entrance.put_session(answer, Config(cookie_secure=True), "t")
    entrance.put_terminal(answer, Config(cookie_secure=True), "t")
    for cookie in answer.cookies:
        assert cookie.key.startswith("__Host-")
        assert (cookie.httponly, cookie.samesite, cookie.secure, cookie.path, cookie.domain) == (
            True,
            "strict",
            True,
            "/",
            None,
        )


async def test_the_process_says_whether_it_lives_and_whether_it_is_ready(application: Litestar, clerk: Browser) -> None:
    """/healthz asks nobody; /readyz asks the database and the keys; the description has no example."""
    assert (await clerk.client.get("/healthz")).json() == {"status": "ok"}
    ready = await clerk.client.get("/readyz")
    assert ready.json() == {"status": "ok", "database": "ok", "kms": "ok"}
    described = (await clerk.client.get("/openapi.json")).json()
    assert described["openapi"].startswith("3.1")
    assert "example" not in str(described).lower()
    assert set(described["components"]["securitySchemes"]) == {"session", "bearer"}


async def test_a_wrong_log_in_says_no_more_than_that(application: Litestar, iwaki, clerk: Browser) -> None:  # type: ignore[no-untyped-def]
    """R-A-3.3-AUT-01: unknown name, wrong password and wrong code read the same; an unregistered terminal is refused."""
    said = set()
    async with Browser(application, iwaki, terminal=1) as browser:
        secret = iwaki.secrets("kakari")
        for login, password in (("nobody", "x"), (secret.login, "wrong-password"), (secret.login, secret.password)):
            await browser.get("/login")
            answer = await browser.post("/login", {"login": login, "password": password, "otp": "000000"})
            assert answer.status_code == 422
            said.add(re.sub(r'value="[^"]*"|data-clock[^<]*<', "", answer.text))
        assert len(said) == 1
        browser.client.cookies.clear()
        answer = await browser.get("/login")
        assert "この端末はまだ登録されていません" in answer.text


async def test_behind_a_proxy_each_terminal_has_its_own_tries_to_log_in(application: Litestar, clerk: Browser) -> None:
    """R-A-3.3-AUT: whoever guesses at one terminal locks nobody else out; only the proxy named is believed about that."""
    proxy, config = "10.0.0.5", clerk.client.app.state.fleet.config

    async def tries(behind: ASGIApp, peer: str, terminal: str, times: int) -> list[int]:
        transport = httpx.ASGITransport(app=behind, client=(peer, 1))  # pyright: ignore[reportArgumentType]  ASGI 3 either way
        headers = ORIGIN | {"x-forwarded-for": f"192.0.2.1, {terminal}"}
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN["origin"], headers=headers) as client:
            return [
                (await client.post(f"/{IWAKI}/login", data={"login": f"{terminal} {n}"})).status_code
                for n in range(times)
            ]

    pace: Pace = application.state.pace
    pace._tries.clear()
    named = behind_proxies(application, msgspec.structs.replace(config, proxies=f"{proxy}, 10.1.0.0/16"))
    assert await tries(named, proxy, "203.0.113.7", 11) == [422] * 10 + [429]
    assert await tries(named, proxy, "203.0.113.8", 1) == [422]
    assert await tries(named, "203.0.113.9", "203.0.113.10", 10) == [422] * 10  # no proxy: nobody speaks for others
    assert await tries(named, "203.0.113.9", "203.0.113.11", 1) == [429]
    assert behind_proxies(application, config) is application
    pace._tries.clear()


async def test_a_morning_of_enrolments_uses_up_nobodys_tries(application: Litestar, iwaki: Town, fleet: Fleet) -> None:
    """R-1-3.3-USE-02: only wrong codes are counted."""
    async with Browser(application, iwaki, terminal=2) as browser:
        for _ in range(11):
            async with operation(fleet, system(IWAKI, "test"), "terminal.offer", purpose="試験") as op:
                code = await terminals.offer(op.work, browser.terminal.id)
            answer = await browser.client.post(
                f"/{IWAKI}/terminal", data={"enrol_code": code}, headers=ORIGIN, follow_redirects=False
            )
            assert answer.status_code == 303


@pytest.mark.parametrize("method", ["OPTIONS", "HEAD", "PUT", "DELETE", "PATCH", "TRACE"])
async def test_a_method_that_no_page_has_is_refused_and_never_a_fault(clerk: Browser, method: str) -> None:
    """No hidden way in, no 500."""
    for path in (f"/{IWAKI}/search", f"/{IWAKI}/api/v1/cases", "/healthz", "/", f"/{IWAKI}/login"):
        answer = await clerk.client.request(method, path, headers={"accept": "text/html"})
        assert answer.status_code in (204, 403, 404, 405), (path, answer.status_code, answer.text[:200])


async def test_a_body_that_is_no_text_is_bad_input_and_no_defect(clerk: Browser) -> None:
    """Bytes that are not UTF-8, and a number no machine holds: 400 or 422, and no alarm."""
    headers = {"content-type": "application/json", "origin": "http://127.0.0.1:8000", "juki-purpose": "inquiry"}
    for body in (b'{"name": "\xed\xa0\x80"}', b'{"name": "\xff"}', b'{"limit": ' + b"9" * 400 + b"}", b"\xff\xfe"):
        answer = await clerk.client.post(f"/{IWAKI}/api/v1/search", content=body, headers=headers)
        assert answer.status_code in (400, 422), (body[:20], answer.text)
