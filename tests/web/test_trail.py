"""Every route that shows something leaves its row: walked one by one over the assembled application, so a new one is walked too."""

from __future__ import annotations

import re
from typing import Any

import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute
from tests.web.counter import IWAKI, Browser, Town

from juki.tenancy import Fleet
from juki.web.admission import PUBLIC

SHOWS_NOBODY = {
    "/{code:str}": "what one may do",
    "/{code:str}/account/password": "asks for a password",
    "/{code:str}/account/totp": "asks for a password",
    "/{code:str}/api/v1/certificates/purposes": "a fixed list",
    "/{code:str}/purpose": "asks for the purpose",
    "/{code:str}/search": "the empty form; what is found has a page and a row of its own",
}
"""Pages without any data of a resident or of staff, and so without a row."""


def walked(application: Litestar, person: str) -> dict[str, tuple[str, str]]:
    """Path of each route that is read -> its address with something in every place, and its name in the log."""
    found: dict[str, tuple[str, str]] = {}
    for route in application.routes:
        assert isinstance(route, HTTPRoute)
        handler: Any = route.route_handler_map.get("GET", (None,))[0]
        if handler is None or PUBLIC in handler.opt:
            continue
        address = route.path.replace("{code:str}", IWAKI).replace("{atena_no:str}", person)
        address = re.sub(r"\{\w+:int\}", "1", address).replace("{slug:str}", "relocate")
        found[route.path] = (re.sub(r"\{\w+:str\}", "0000000001", address), str(handler.opt["action"]))
    return found


async def _rows(fleet: Fleet, after: int) -> list[tuple[int, str, str, bool]]:
    async with fleet.session(IWAKI, write=False) as session:
        rows = await session.fetch(
            "SELECT r.op_no, r.action, r.result, EXISTS (SELECT FROM {t}.audit_subject s WHERE s.op_no = r.op_no)"
            " FROM {t}.audit_row r WHERE r.part = 1 AND r.op_no > %(after)s ORDER BY r.op_no",
            {"after": after},
        )
    return [(row[0], row[1], row[2], row[3]) for row in rows]


@pytest.mark.parametrize("who", ["uketsuke", "kakari", "shien", "kansa"])
async def test_whatever_is_shown_or_refused_leaves_its_row_and_a_record_the_person(
    application: Litestar, iwaki: Town, household: tuple[str, ...], fleet: Fleet, who: str
) -> None:
    """R-A-3.3-LOG-01: no page and no answer of the API shows anybody without a row, under the name the route declares."""
    bare: list[str] = []
    seen = max((row[0] for row in await _rows(fleet, 0)), default=0)
    async with Browser(application, iwaki) as browser:
        await browser.log_in(who, fleet.clock())
        seen = max(row[0] for row in await _rows(fleet, seen))
        for path, (address, action) in walked(application, household[0]).items():
            headers = {"juki-purpose": "notification", "accept": "text/html"}
            status = (await browser.client.get(address, headers=headers, follow_redirects=False)).status_code
            rows = await _rows(fleet, seen)
            seen = max((row[0] for row in rows), default=seen)
            results = [result for _, name, result, _ in rows if name == action]
            if status == 200:
                named = "{atena_no" not in path or any(filed for *_, filed in rows)
                held = path in SHOWS_NOBODY or (results == ["done"] and named)
            else:
                held = status < 500 and (status != 403 or results == ["refused"])
            if not held:
                bare.append(f"{path} {status} {action}: {rows}")
    assert bare == []
