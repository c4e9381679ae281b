"""証明書の口: what goes in and out as JSON, and what the routes declare."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from litestar import Litestar
from litestar.di import Provide
from litestar.testing import AsyncTestClient

from juki.access.model import RIGHTS, Caller
from juki.audit import operation
from juki.certificates.http import routes
from juki.registry.model import Record
from juki.tenancy import Fleet
from juki.web import error_handlers

pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")

ROOT = "/072044/api/v1/certificates"
FORM: dict[str, Any] = {
    "relation": "self",
    "requester": {"name": "渡邉　太郎", "identity": "photo", "atena_no": "0000000001"},
    "persons": ["0000000001"],
    "purpose": "residence",
    "items": ["kana"],
}


def _page(request: Any, problem: Any) -> Any:
    raise AssertionError("these routes speak JSON only")


@pytest_asyncio.fixture(loop_scope="session")
async def client(fleet: Fleet, caller: Callable[..., Caller]) -> AsyncIterator[AsyncTestClient[Litestar]]:
    clerk = caller(rights=("certificate.issue", "resident.read"))
    app = Litestar(
        route_handlers=[*routes],
        dependencies={
            "fleet": Provide(lambda: fleet, sync_to_thread=False),
            "caller": Provide(lambda: clerk, sync_to_thread=False),
            "purpose": Provide(lambda: "窓口", sync_to_thread=False),
        },
        exception_handlers=error_handlers(_page),
        openapi_config=None,
    )
    async with AsyncTestClient(app) as opened:
        yield opened


def test_every_route_declares_action_right_and_purpose() -> None:
    """Guard: permission, purpose and the name in the log stand at the route."""
    for handler in routes:
        assert handler.opt["action"].startswith("certificate.")
        assert handler.opt["right"] in RIGHTS
        assert handler.opt["purpose"]
        assert all(path.startswith("/{code:str}/api/v1/") for path in handler.paths)


async def test_unknown_fields_and_a_missing_form_are_turned_away(client: AsyncTestClient[Litestar]) -> None:
    """Bad input: one clear answer, nothing kept."""
    for body in (FORM | {"surprise": 1}, {}, FORM | {"items": ["everything"]}, FORM | {"copies": "two"}):
        answer = await client.post(f"{ROOT}/prepare", json=body)
        assert answer.status_code == 400
        assert "渡邉" not in answer.text


async def test_a_neutral_refusal_is_a_403_in_plain_japanese(client: AsyncTestClient[Litestar]) -> None:
    """支援措置: the answer to an unknown 宛名番号 is that of a protected one."""
    form = FORM | {
        "persons": ["0000009999"],
        "requester": {"name": "渡邉　太郎", "identity": "photo", "atena_no": "0000009999"},
    }
    answer = await client.post(f"{ROOT}/prepare", json=form)
    assert answer.status_code == 403
    assert answer.json()["code"] == "certificates.not_available"
    assert "係長" in answer.text


async def test_preparing_issuing_and_fetching_speak_the_same_numbers(
    client: AsyncTestClient[Litestar],
    fleet: Fleet,
    caller: Callable[..., Caller],
    put: Callable[..., Awaitable[None]],
    japanese: Callable[..., Record],
) -> None:
    """F-S1-02: token in, PDF and number out; the number fetches the same PDF; handing over ends it."""
    async with operation(fleet, caller(), "test.store", purpose="試験") as op:
        await put(op, japanese(1))
    ready = (await client.post(f"{ROOT}/prepare", json=FORM)).json()
    page = await client.post(f"{ROOT}/preview", json=FORM)
    assert page.headers["content-type"] == "application/pdf"
    assert page.headers["cache-control"] == "no-store"
    issued = (await client.post(f"{ROOT}/issue", json={"token": ready["token"]})).json()
    assert base64.b64decode(issued["pdf"]).startswith(b"%PDF-")
    again = (await client.post(f"{ROOT}/fetch", json={"number": issued["issue_no"]})).json()
    assert again["pdf"] == issued["pdf"]
    assert (await client.post(f"{ROOT}/hand-over", json={"number": issued["issue_no"]})).status_code == 204
    gone = await client.post(f"{ROOT}/fetch", json={"number": issued["issue_no"]})
    assert (gone.status_code, gone.json()["code"]) == (404, "certificates.handed_over")
    spoiled = {"issue_no": issued["issue_nos"][0], "reason": "misprint"}
    assert (await client.post(f"{ROOT}/dispose", json=spoiled)).status_code == 204
    listed = (await client.get("/072044/api/v1/residents/0000000001/certificates")).json()
    assert [(entry["label"], entry["disposed"]) for entry in listed] == [(issued["issue_no"], "misprint")]


@pytest.mark.parametrize("number", ["abc", "1' OR '1'='1", "9" * 40])
async def test_a_malformed_in_house_number_is_not_looked_up(client: AsyncTestClient[Litestar], number: str) -> None:
    """Bad input: only digits reach the register."""
    answer = await client.get(f"/072044/api/v1/residents/{number}/certificates")
    assert answer.status_code == 400


async def test_purposes_come_with_the_least_items(client: AsyncTestClient[Litestar]) -> None:
    """最小限の開示."""
    listed = (await client.get(f"{ROOT}/purposes")).json()
    assert listed[0] == {
        "code": "residence",
        "text": listed[0]["text"],
        "items": [],
        "my_number": False,
        "free_of_fee": False,
    }
