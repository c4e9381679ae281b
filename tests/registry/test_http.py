"""住民の口: the whole of a move-in over JSON, by two logged-in persons; persons only in bodies, unknown fields refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from tests.registry.conftest import family, my_number, newcomer, reception
from tests.web.counter import IWAKI, Browser, Town, build, open_town, settle
from tests.web.counter import family as people

from juki.registry import http
from juki.registry.named import to_named
from juki.tenancy import Fleet

ORIGIN = "http://127.0.0.1:8000"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def town(fleet: Fleet) -> Town:
    """いわき市 with its people."""
    return await open_town(fleet, IWAKI)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def counter(fleet: Fleet, town: Town) -> AsyncIterator[tuple[Browser, Browser]]:
    """The clerk who enters and the person who confirms, logged in at two terminals."""
    application = build(fleet)
    async with Browser(application, town, terminal=0) as clerk, Browser(application, town, terminal=1) as second:
        await clerk.log_in("uketsuke", fleet.clock())
        await second.log_in("shogo", fleet.clock())
        yield clerk, second


async def call(who: Browser, method: str, path: str, body: Any = None, **headers: str) -> Any:
    """One API request from our own page."""
    return await who.client.request(
        method,
        f"/{IWAKI}/api/v1{path}",
        json=body,
        headers={"origin": ORIGIN, "accept": "application/json", "juki-purpose": "notification"} | headers,
    )


def form() -> dict[str, Any]:
    """A 転入届 as JSON: items by name, dates as text."""
    change = to_named(family(newcomer("通信　太郎", "世帯主", name_kana="ツウシン　タロウ")))
    return {"change": change, "reception": to_named(reception())}


async def test_a_move_in_goes_from_form_to_record_over_the_api(counter: tuple[Browser, Browser]) -> None:
    """R-12-3.2-QUA-01 over HTTP: examine, enter, queue, confirm, read, history, search."""
    clerk, second = counter
    body = form()
    seen = await call(clerk, "POST", "/changes/examine", body)
    assert seen.status_code == 200, seen.text
    assert seen.json()["findings"] == {"errors": [], "alerts": []}
    entered = await call(clerk, "POST", "/changes", body)
    assert entered.status_code == 201, entered.text
    number = entered.json()["case_no"]
    waiting = (await call(second, "GET", "/cases")).json()
    assert number in [case["case_no"] for case in waiting]
    view = (await call(second, "GET", f"/cases/{number}")).json()
    person = body["change"]["persons"][0]
    values = {
        "occurred_on": "R8.11.1",
        "notified_on": "令和8年11月1日",
        "persons.0.birth": "S55.4.1",
        "persons.0.my_number": person["my_number"],
        "persons.0.resident_code": person["resident_code"],
    }
    wrong = await call(second, "POST", f"/cases/{number}/confirm", {"reentry": values | {"occurred_on": "R8.11.2"}})
    assert wrong.status_code == 422
    assert person["my_number"] not in wrong.text
    done = await call(
        second, "POST", f"/cases/{number}/confirm", {"reentry": {path: values[path] for path in view["reentry"]}}
    )
    assert done.status_code == 200, done.text
    (atena_no,) = done.json()["new_atena_nos"]
    record = (await call(clerk, "GET", f"/records/{atena_no}?groups=basic,address")).json()
    assert record["basic"]["name"] == "通信　太郎"
    assert record["my_number"] is None
    history = (await call(clerk, "GET", f"/records/{atena_no}/history")).json()
    assert [v["event"]["reason"] for v in history] == ["move_in"]
    home = (await call(clerk, "GET", f"/households/{record['setai_no']}")).json()
    assert [m["atena_no"] for m in home["members"]] == [atena_no]
    standing = (await call(clerk, "GET", f"/records/{atena_no}/protection")).json()
    assert (standing["protected"], standing["suppressions"]) == (False, [])
    found = await call(clerk, "POST", "/search", {"kana": "ツウシ", "birth": "昭和55年"})
    assert [hit["atena_no"] for hit in found.json()["hits"]] == [atena_no]
    earlier = await call(clerk, "GET", f"/records/{atena_no}?as_of=2026-10-31")
    assert earlier.status_code == 404


DRAFTS: dict[str, dict[str, Any]] = {
    "転入": {},
    "外国人の転入": {
        "kind": "foreign", "registered_domicile": "", "family_head": "",
        "foreigner": {
            "nationality": "ブラジル", "category": "中長期在留者", "residence_expires": "2029-07-31",
            "special_card_issued_on": "2024-07-30", "card_number": "AB12345678CD",
        },
    },
}  # fmt: skip


@pytest.mark.parametrize("which", list(DRAFTS))
async def test_whoever_confirms_over_the_api_is_not_shown_what_they_type_again(
    counter: tuple[Browser, Browser], which: str
) -> None:
    """R-12-3.2-QUA-01: the API is as blind as the page: no date and no number of the draft, in the form or in the record."""
    clerk, second = counter
    body = form()
    body["change"]["persons"][0] |= {"name": f"盲検　{which}"} | DRAFTS[which]
    person = body["change"]["persons"][0]
    number = (await call(clerk, "POST", "/changes", body)).json()["case_no"]
    answer = await call(second, "GET", f"/cases/{number}")
    view = answer.json()
    assert set(view["reentry"]) >= {"occurred_on", "persons.0.birth", "persons.0.my_number"}
    hidden = ["2026-11-01", "1980-04-01", "2029-07-31", "2024-07-30", person["my_number"], person["resident_code"]]
    assert [value for value in hidden if value in answer.text] == []
    shown = view["change"]["persons"][0]
    assert (view["change"]["form"], view["change"]["occurred_on"], view["change"]["notified_on"]) == (
        "move_in",
        None,
        None,
    )
    assert (shown["birth"], shown["my_number"], shown["resident_code"]) == (None, None, None)
    assert (shown["name"], shown["my_number_source"]) == (person["name"], "certificate")
    (after,) = view["after"]
    assert (after["basic"]["name"], after["basic"]["birth"], after["valid_from"]) == (person["name"], None, None)
    assert after["address"]["address"]["text"] == "福島県いわき市平字梅本21番地の1"


async def test_a_correction_is_confirmed_blind_and_what_stood_before_is_shown(
    counter: tuple[Browser, Browser], fleet: Fleet
) -> None:
    """R-12-3.2-QUA-01: of items set right only the dates and numbers are withheld; a case handed back is shown whole."""
    clerk, second = counter
    (atena_no,) = await settle(fleet, people("盲", "モウ")[:1])
    items: dict[str, Any] = {
        "basic.birth": "S59.5.3",
        "basic.name_kana": "モウ　イチロー",
        "my_number.my_number": my_number(660_211),
    }
    change = {
        "form": "correct", "occurred_on": "R8.11.19", "atena_no": atena_no, "version_no": 1, "items": items,
        "my_number_source": "card",
    }  # fmt: skip
    number = (await call(clerk, "POST", "/changes", {"change": change, "reception": to_named(reception())})).json()[
        "case_no"
    ]
    view = (await call(second, "GET", f"/cases/{number}")).json()
    assert view["change"]["items"] == items | {"basic.birth": None, "my_number.my_number": None}
    (before,), (after,) = view["before"], view["after"]
    assert (before["basic"]["birth"]["date"], after["basic"]["birth"]) == ("1984-05-02", None)
    assert after["basic"]["name_kana"] == "モウ　イチロー"
    assert after["my_number"]["my_number"] is None
    assert after["address"]["address_since"] == before["address"]["address_since"] is not None
    typed = {"occurred_on": "R8.11.19", "items.basic.birth": "S59.5.3", "items.my_number.my_number": my_number(660_211)}
    typed |= {"notified_on": "R8.11.22"}
    told = await call(second, "POST", f"/cases/{number}/confirm", {"reentry": typed})
    assert (told.status_code, told.json()["fields"]) == (422, {"notified_on": "registry.reentry_differs"})
    await call(second, "POST", f"/cases/{number}/hand-back", {"reason": "届出日を確かめてください"})
    view = (await call(second, "GET", f"/cases/{number}")).json()
    assert view["change"]["items"]["basic.birth"] == "S59.5.3"


async def test_a_number_set_right_over_the_api_names_its_source(counter: tuple[Browser, Browser], fleet: Fleet) -> None:
    """R-1-2.3-NUM-01: the field of the form is `my_number_source`; the answer names it and holds no number."""
    clerk, _ = counter
    (atena_no,) = await settle(fleet, people("訂", "テイ")[:1])
    number = my_number(660_201)
    change = {
        "form": "correct", "occurred_on": "R8.11.20", "atena_no": atena_no, "version_no": 1,
        "items": {"my_number.my_number": number},
    }  # fmt: skip
    paper = to_named(reception())
    told = await call(clerk, "POST", "/changes", {"change": change, "reception": paper})
    assert (told.status_code, told.json()["fields"]) == (422, {"my_number_source": "registry.my_number_source"})
    assert number not in told.text
    done = await call(clerk, "POST", "/changes", {"change": change | {"my_number_source": "card"}, "reception": paper})
    assert done.status_code == 201, done.text


async def test_a_form_sent_twice_is_refused_with_the_number_of_its_case(counter: tuple[Browser, Browser]) -> None:
    """R-12-3.2-QUA-01: a resend or a second entry of one paper names the case it is in, in the words a clerk reads."""
    clerk, _ = counter
    body = form()
    body["change"]["persons"][0]["name"] = "二重　太郎"
    entered = await call(clerk, "POST", "/changes", body)
    number = entered.json()["case_no"]
    for path in ("/changes", "/changes/examine"):
        again = await call(clerk, "POST", path, body)
        assert (again.status_code, again.json()["code"]) == (409, "registry.form_used")
        assert f"仮登録 {number} " in again.json()["detail"]
        assert "{" not in again.json()["detail"]


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("change", {"blood_type": "A"}, "change.blood_type"),
        ("reception", {"telephone": "0"}, "reception.telephone"),
        ("change", {"form": "no_such_form"}, "change.form"),
        ("change", {"occurred_on": "きのう"}, "change.occurred_on"),
        ("change", {"persons": [{"name": "一部　だけ"}]}, "change.persons.0.birth"),
        ("change", {"persons": "誰か"}, "change.persons"),
        ("change", {"address": 5}, "change.address"),
    ],
)
async def test_what_is_not_on_the_form_is_refused_by_name(
    counter: tuple[Browser, Browser], path: str, value: dict[str, Any], field: str
) -> None:
    """R-1-3.2-MIN-02: a field outside the form, or one that cannot be read, is named and nothing is kept."""
    clerk, _ = counter
    body = form()
    body[path] |= value
    answer = await call(clerk, "POST", "/changes", body)
    assert answer.status_code == 422
    assert answer.json()["code"] == "registry.form_unreadable"
    assert field in answer.text
    assert "だけ" not in answer.text


async def test_no_address_of_the_api_can_carry_a_name_or_a_number(counter: tuple[Browser, Browser]) -> None:
    """security: no personal data in URLs; keys of our own only, and a search is a POST."""
    for handler in http.routes:
        for path in handler.paths:
            assert "name" not in path
            assert {part for part in path.split("/") if part.startswith("{")} <= {
                "{atena_no:str}",
                "{setai_no:str}",
                "{case_no:int}",
                "{measure_no:int}",
                "{suppression_no:int}",
                "{loosening_no:int}",
            }
        assert {"right", "purpose", "action"} <= set(handler.opt)
    clerk, _ = counter
    answer = await call(clerk, "GET", "/records/渡邊")
    assert answer.status_code in (400, 422)
    assert "渡邊" not in answer.text


async def test_the_second_person_may_not_enter_and_the_first_may_not_confirm(
    counter: tuple[Browser, Browser],
) -> None:
    """R-1-3.3-PRV-01: the duty decides which door opens."""
    clerk, second = counter
    assert (await call(second, "POST", "/changes", form())).status_code == 403
    assert (await call(clerk, "GET", "/cases")).status_code == 403
    assert (await call(clerk, "POST", "/cases/1/confirm", {"reentry": {}})).status_code == 403


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def guardians(fleet: Fleet, town: Town) -> AsyncIterator[tuple[Browser, Browser]]:
    """The two who look after 支援措置."""
    application = build(fleet)
    async with Browser(application, town, terminal=0) as one, Browser(application, town, terminal=0) as other:
        await one.log_in("shien", fleet.clock())
        await other.log_in("hogo", fleet.clock())
        yield one, other


async def test_a_measure_is_loosened_over_the_api_by_two_persons_only(
    fleet: Fleet, guardians: tuple[Browser, Browser]
) -> None:
    """R-12-3.2-QUA-01, R-1-B2-DAT-05: the same front door as the pages; the direct way is gone."""
    one, other = guardians
    atena_no, along = await settle(fleet, people("口", "クチ")[:2])
    body = {
        "name": "口　一郎", "birth": "1984-05-02", "address": "平", "atena_no": atena_no, "starts_on": "2026-11-20",
        "copies": {"wanted": True}, "protected_with": [along],
    }  # fmt: skip
    measure_no = (await call(one, "POST", "/protections", body)).json()["measure_no"]
    narrower = body | {"protected_with": [], "contact": "0246-00-0000"}
    told = await call(one, "POST", f"/protections/{measure_no}/amend", {"content": narrower})
    assert (told.status_code, told.json()["fields"]) == (422, {"reason": "registry.loosening_reason"})
    told = await call(one, "POST", f"/protections/{measure_no}/amend", {"content": narrower, "reason": "独立した"})
    assert told.status_code == 200, told.text
    number = told.json()["loosening_no"]
    assert told.json() == {"version_no": 2, "loosening_no": number}
    (waiting,) = (await call(other, "GET", "/loosenings")).json()
    assert (waiting["loosening"]["loosening_no"], waiting["items"]) == (number, ["protected_with"])

    again = await call(one, "POST", f"/protections/{measure_no}/ask-end", {"reason": "申出の取下げ"})
    assert (again.status_code, again.json()["code"]) == (409, "registry.loosening_waits")
    assert f"申請 {number} を開いて" in again.json()["detail"]
    own = await call(one, "POST", f"/loosenings/{number}/approve")
    assert (own.status_code, own.json()["code"]) == (403, "registry.own_loosening")
    done = await call(other, "POST", f"/loosenings/{number}/approve")
    assert done.status_code == 204, done.text
    assert not (await call(one, "GET", f"/records/{along}/protection")).json()["protected"]

    number = (await call(one, "POST", f"/protections/{measure_no}/ask-end", {"reason": "申出の取下げ"})).json()[
        "loosening_no"
    ]
    declined = await call(other, "POST", f"/loosenings/{number}/decline", {"reason": "本人に確かめていない"})
    assert declined.status_code == 204
    number = (await call(one, "POST", f"/protections/{measure_no}/ask-end", {"reason": "申出の取下げ"})).json()[
        "loosening_no"
    ]
    assert (await call(one, "POST", f"/loosenings/{number}/withdraw")).status_code == 204
    late = await call(other, "POST", f"/loosenings/{number}/approve")
    assert (late.status_code, late.json()["code"]) == (409, "registry.loosening_ended")
    seen = (await call(other, "GET", f"/loosenings/{number}")).json()
    assert [step["state"] for step in seen["loosening"]["steps"]] == ["asked", "withdrawn"]
    for path in (f"/protections/{measure_no}/end", f"/protections/{measure_no}/release"):
        assert (await call(one, "POST", path, {"reason": "一人で"})).status_code == 404
    assert (await call(one, "GET", f"/records/{atena_no}/protection")).json()["protected"]
    logged = await outcomes(fleet)
    assert logged["protection.amend"] == {"refused"}
    assert logged["protection.ask_narrow"] == logged["protection.decline"] == logged["protection.withdraw"] == {"done"}
    assert logged["protection.ask_end"] == logged["protection.approve"] == {"done", "refused"}


async def outcomes(fleet: Fleet) -> dict[str, set[str]]:
    """Operation -> its outcomes as they stand in the log."""
    async with fleet.session(IWAKI, write=False) as session:
        rows = await session.fetch(
            "SELECT i.action, o.result FROM {t}.audit_row i JOIN {t}.audit_row o ON o.op_no = i.op_no AND o.part = 1 "
            "WHERE i.part = 0"
        )
    found: dict[str, set[str]] = {}
    for action, result in rows:
        found.setdefault(action, set()).add(result)
    return found


async def test_a_suppression_is_released_for_good_over_the_api_by_two_persons_only(
    fleet: Fleet, guardians: tuple[Browser, Browser]
) -> None:
    """R-1-B2-DAT-04, R-12-3.2-QUA-01."""
    one, other = guardians
    (atena_no,) = await settle(fleet, people("止", "トメ")[:1])
    await one.state_purpose("protection")
    await one.get(f"/residents/{atena_no}/protection")
    await one.post(f"/residents/{atena_no}/suppress", {"process": "issue", "level": "error", "reason": "調査中"})

    async def held() -> list[tuple[int, bool]]:
        found = (await call(one, "GET", f"/records/{atena_no}/protection")).json()["suppressions"]
        return [(s["suppression_no"], s["release_asked"]) for s in found]

    ((suppression_no, _),) = await held()
    path = f"/records/{atena_no}/suppressions/{suppression_no}/ask-release"
    assert (await call(one, "POST", path, {"reason": " "})).status_code == 422
    number = (await call(one, "POST", path, {"reason": "解消した"})).json()["loosening_no"]
    assert await held() == [(suppression_no, True)]
    assert (await call(one, "POST", f"/loosenings/{number}/approve")).status_code == 403
    assert (await call(other, "POST", f"/loosenings/{number}/approve")).status_code == 204
    assert await held() == []
