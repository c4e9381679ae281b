"""The counter tasks without scripts, through the real pages, by two clerks."""

from __future__ import annotations

import re
from typing import Any

from tests.web.counter import Browser, family, my_number, newcomer, resident_code, settle, text_of

from juki.dates import RegistryDate
from juki.tenancy import Fleet

FIRST = {
    "reason": "move_in",
    "form_no": "R8-0901",
    "occurred_on": "R8.11.20",
    "notified_on": "R8.11.20",
    "notifier": "若松 太一",
    "source": "person",
    "document": "driving_licence",
}
HOME = {
    "to_text": "福島県いわき市小名浜花畑町34番地の2",
    "to_postal": "971-8101",
    "from_text": "東京都千代田区千代田1番1号",
}


def person(name: str, kana: str, relationship: str, birth: str, sex: str = "1", n: int = 0) -> dict[str, str]:
    """One page of a person."""
    return {
        f"p{n}_name": name,
        f"p{n}_name_kana": kana,
        f"p{n}_birth": birth,
        f"p{n}_sex": sex,
        f"p{n}_relationship": relationship,
        f"p{n}_kind": "japanese",
        f"p{n}_registered_domicile": "東京都千代田区千代田1番",
        f"p{n}_family_head": name,
        f"p{n}_my_number": my_number(),
        f"p{n}_my_number_source": "certificate",
        f"p{n}_resident_code": resident_code(),
    }


async def give(browser: Browser, path: str, values: dict[str, Any], go: str = "next") -> str:
    """Send the page last seen with what it carries."""
    carried = {k: v for k, v in browser.hidden().items() if k != "form_token"}
    answer = await browser.post(path, {**carried, **values, "go": go})
    return answer.text


async def enter_move_in(browser: Browser, given: dict[str, str], form_no: str) -> int:
    """転入 of one person up to 仮登録; the case number."""
    path = "/changes/move-in"
    await browser.get(path)
    await give(browser, path, FIRST | {"form_no": form_no})
    await give(browser, path, HOME)
    html = await give(browser, path, given)
    assert "仮登録する" in html, text_of(html)
    assert "新しく記載" in html
    answer = await browser.post(path, {**browser.hidden(), "go": "save", "alert_reason": "書類で確かめた"})
    found = re.search(r"/cases/(\d+)", str(answer.url))
    assert found, text_of(answer.text)
    assert "仮登録番号は" in answer.text
    return int(found[1])


async def test_a_resident_is_found_by_kana_and_opened_with_a_purpose(
    clerk: Browser, household: tuple[str, ...]
) -> None:
    """P-4-1: search by items; R-A-3.3-LOG-01: the purpose is stated first."""
    await clerk.get("/search")
    answer = await clerk.post("/search", {"kana": "ワタナベ", "purpose": ""})
    assert answer.status_code == 422
    answer = await clerk.post("/search", {"kana": "ワタナベ", "purpose": "inquiry"})
    assert household[0] in answer.text, text_of(answer.text)
    answer = await clerk.get(f"/residents/{household[0]}")
    said = text_of(answer.text)
    assert "渡邊 一郎" in said, said
    assert "昭和59年5月2日" in said
    assert "国内転入" in said
    assert f"/residents/{household[1]}" in answer.text


async def test_a_variant_character_is_found_and_marked(clerk: Browser, household: tuple[str, ...]) -> None:
    """標準仕様書 2.1: 辺 finds 邊."""
    answer = await clerk.post("/search", {"name": "渡辺", "purpose": "inquiry"})
    assert household[0] in answer.text, text_of(answer.text)
    assert "異体字" in answer.text


async def test_an_empty_search_says_what_to_do(clerk: Browser) -> None:
    """Nothing found is not an error, and nothing asked for is."""
    answer = await clerk.post("/search", {"kana": "ゾゾゾゾ", "purpose": "inquiry"})
    assert "該当する人はいません" in answer.text
    answer = await clerk.post("/search", {"purpose": "inquiry"})
    assert answer.status_code == 422


async def test_a_search_that_cannot_be_read_is_told_beside_its_own_field(clerk: Browser) -> None:
    """P-4-1: a wrong date is said of 生年月日, a number without its kind of 番号の種類; a bare year is enough."""
    answer = await clerk.post("/search", {"birth": "S64.2.30", "purpose": "inquiry"})
    assert answer.status_code == 422
    assert re.search(r'name="birth"[^>]*aria-invalid="true"', answer.text), text_of(answer.text)
    answer = await clerk.post("/search", {"number": "123456789012", "purpose": "inquiry"})
    assert re.search(r'name="number_kind"[^>]*aria-invalid="true"', answer.text), text_of(answer.text)
    for year in ("S59", "S59.5", "1984"):
        answer = await clerk.post("/search", {"birth": year, "purpose": "inquiry"})
        assert answer.status_code == 200, text_of(answer.text)


async def test_an_outsider_is_never_recorded_as_the_person_shown(clerk: Browser, household: tuple[str, ...]) -> None:
    """標準仕様書 20.1: the list of requesters starts on the person shown; a third party goes by the name typed."""
    await clerk.state_purpose("certificate")
    asked = {
        "kind": "resident",
        "relation": "third",
        "requester": household[0],
        "identity": "photo",
        "purpose": "claim",
        "ground": "債権の回収のため",
        "persons": [household[0]],
        "copies": "1",
        "go": "preview",
    }
    path = f"/residents/{household[0]}/certificate"
    await clerk.get(path)
    answer = await clerk.post(path, asked)
    assert re.search(r'name="requester_name"[^>]*aria-invalid="true"', answer.text), text_of(answer.text)
    answer = await clerk.post(path, asked | {"requester_name": "小名浜 一"})
    assert "小名浜 一（第三者）" in text_of(answer.text), text_of(answer.text)


async def test_a_third_party_says_why_more_is_needed(clerk: Browser, household: tuple[str, ...]) -> None:
    """住基法12の3: what a third party may leave out is printed with a reason, and the form has room for it."""
    await clerk.state_purpose("certificate")
    asked = {
        "kind": "resident",
        "relation": "third",
        "requester_name": "小名浜 一",
        "identity": "photo",
        "purpose": "claim",
        "ground": "債権の回収のため",
        "persons": [household[0]],
        "items": ["domicile"],
        "copies": "1",
        "go": "preview",
    }
    path = f"/residents/{household[0]}/certificate"
    await clerk.get(path)
    answer = await clerk.post(path, asked)
    assert re.search(r'name="purpose_detail"[^>]*aria-invalid="true"', answer.text), text_of(answer.text)
    answer = await clerk.post(path, asked | {"purpose_detail": "相続人を確かめるため"})
    assert "data:application/pdf;base64," in answer.text, text_of(answer.text)


async def test_a_refusal_names_the_municipality_and_leads_on(clerk: Browser) -> None:
    """screens: the municipality is always in sight; no page is without a way on."""
    answer = await clerk.get("/residents/9999999999")
    assert answer.status_code == 404
    assert "福島県いわき市" in answer.text
    answer = await clerk.get("/nothing-here")
    assert answer.status_code == 404
    assert f'href="/{clerk.town.code}/"' in answer.text


async def test_numbers_stay_masked_until_asked_for(clerk: Browser, household: tuple[str, ...]) -> None:
    """R-A-3.3-LOG-01: showing 個人番号 is an act of its own with a mark in the log."""
    answer = await clerk.get(f"/residents/{household[0]}")
    assert not re.search(r"\b99\d{10}\b", answer.text)
    answer = await clerk.post(f"/residents/{household[0]}/reveal", {"item": "my_number"})
    assert re.search(r"\b99\d{10}\b", answer.text), text_of(answer.text)


async def test_a_move_in_waits_for_a_second_person_who_types_it_again(clerk: Browser, second: Browser) -> None:
    """R-12-3.2-QUA-01: whoever entered it cannot confirm it; a wrong re-entry names the field and nothing is recorded."""
    await clerk.state_purpose()
    given = person("若松　太一", "ワカマツ　タイチ", "世帯主", "H2.6.1")
    number = await enter_move_in(clerk, given, "R8-0901")
    answer = await clerk.get(f"/cases/{number}")
    assert "照合は別の職員が行います" in answer.text
    answer = await clerk.post(f"/cases/{number}/confirm", {"again:occurred_on": "R8.11.20"})
    assert answer.status_code == 403
    answer = await second.get("/cases")
    assert f"/cases/{number}" in answer.text
    answer = await second.get(f"/cases/{number}")
    assert given["p0_my_number"] not in answer.text
    assert "平成2年6月1日" not in answer.text
    typed = {
        "again:occurred_on": "R8.11.20",
        "again:notified_on": "R8.11.20",
        "again:persons.0.birth": "H2.6.2",
        "again:persons.0.my_number": given["p0_my_number"],
        "again:persons.0.resident_code": given["p0_resident_code"],
    }
    answer = await second.post(f"/cases/{number}/confirm", typed)
    assert answer.status_code == 422, text_of(answer.text)
    assert 'name="again:persons.0.birth"' in answer.text
    assert re.search(r'name="again:persons\.0\.birth"[^>]*aria-invalid="true"', answer.text)
    answer = await second.post(f"/cases/{number}/confirm", typed | {"again:persons.0.birth": "19900601"})
    assert "本登録しました" in answer.text, text_of(answer.text)


async def test_the_same_page_sent_twice_is_one_case(clerk: Browser) -> None:
    """Double submit: the second press of 仮登録 leads to the same number."""
    path = "/changes/move-in"
    await clerk.state_purpose()
    await clerk.get(path)
    await give(clerk, path, FIRST | {"form_no": "R8-0902"})
    await give(clerk, path, HOME)
    await give(clerk, path, person("二本柳　進", "ニホンヤナギ　ススム", "世帯主", "S60.1.5"))
    page = {**clerk.hidden(), "go": "save", "alert_reason": "書類で確かめた"}
    first = await clerk.post(path, page)
    again = await clerk.post(path, page)
    assert re.search(r"/cases/(\d+)", str(first.url)), text_of(first.text)
    assert first.url.path == again.url.path


async def test_a_page_gone_back_to_and_corrected_is_not_answered_as_if_it_were_saved(clerk: Browser) -> None:
    """Nothing typed is lost in silence: the corrected page meets the case that holds its paper, and is told so."""
    path = "/changes/move-in"
    await clerk.state_purpose()
    await clerk.get(path)
    await give(clerk, path, FIRST | {"form_no": "R8-0912"})
    await give(clerk, path, HOME)
    await give(clerk, path, person("大野　戻", "オオノ　モドル", "世帯主", "S61.2.6"))
    page = {**clerk.hidden(), "go": "save", "alert_reason": "書類で確かめた"}
    first = await clerk.post(path, page)
    number = re.search(r"/cases/(\d+)", str(first.url))
    assert number, text_of(first.text)
    corrected = await clerk.post(path, page | {"to_text": "福島県いわき市平字梅本12番地の1"})
    assert "仮登録しました" not in corrected.text
    assert number[1] in text_of(corrected.text)
    assert "R8-0912" in corrected.text


async def test_an_error_stands_beside_its_field(clerk: Browser) -> None:
    """標準仕様書 11: an error names the field and says what to do; what was typed is still there."""
    path = "/changes/move-in"
    await clerk.state_purpose()
    await clerk.get(path)
    html = await give(clerk, path, FIRST | {"occurred_on": "R8.2.30"})
    assert re.search(r'name="occurred_on"[^>]*aria-invalid="true"', html), text_of(html)
    assert 'value="R8.2.30"' in html
    await give(clerk, path, FIRST | {"form_no": "R8-0903"})
    await give(clerk, path, HOME)
    bad = person("誤　番号", "アヤマリ　バンゴウ", "世帯主", "H1.2.3") | {"p0_my_number": "123456789012"}
    html = await give(clerk, path, bad)
    assert re.search(r'name="p0_my_number"[^>]*aria-invalid="true"', html), text_of(html)


async def test_a_certificate_is_looked_at_issued_and_printed(clerk: Browser, household: tuple[str, ...]) -> None:
    """F-S1-02, P-3-2: the paper is seen before it is issued; the number is told and the history has it."""
    await clerk.state_purpose("certificate")
    path = f"/residents/{household[0]}/certificate"
    await clerk.get(path)
    asked = {
        "kind": "resident",
        "relation": "household",
        "requester": household[0],
        "identity": "photo",
        "purpose": "household",
        "persons": list(household),
        "items": ["relationship"],
        "copies": "1",
    }
    answer = await clerk.post(path, asked | {"go": "preview"})
    assert "data:application/pdf;base64," in answer.text, text_of(answer.text)
    token = clerk.hidden()["token"][0]
    answer = await clerk.post(path, {**clerk.hidden(), "go": "issue", "token": token})
    assert "交付しました" in answer.text, text_of(answer.text)
    issued = re.search(r"/certificate/(\d+)", str(answer.url))
    assert issued
    paper = await clerk.post(f"{path}/{issued[1]}/paper")
    assert paper.headers["content-type"] == "application/pdf"
    assert paper.content.startswith(b"%PDF")
    assert paper.headers["cache-control"] == "no-store"
    answer = await clerk.get(f"/residents/{household[0]}")
    assert "交付履歴" in answer.text
    assert "いわき" in text_of(answer.text)


async def test_a_relocation_of_the_household_starts_from_its_page(clerk: Browser, household: tuple[str, ...]) -> None:
    """F-S1-01: 転居 carries the members over, and the last page compares before and after."""
    await clerk.state_purpose()
    path = f"/residents/{household[0]}/changes/relocate"
    await clerk.get(path)
    start = {k: v for k, v in FIRST.items() if k != "reason"} | {"form_no": "R8-0904"}
    await give(clerk, path, start)
    html = await give(
        clerk, path, {"who": list(household), "to_text": "福島県いわき市錦町大島1番地", "to_postal": "9748232"}
    )
    assert "新しい続柄" in html, text_of(html)
    html = await give(clerk, path, {})
    assert "仮登録する" in html, text_of(html)
    assert "錦町大島" in html
    assert 'class="changed"' in html


async def test_the_record_can_be_read_as_of_a_day(clerk: Browser, household: tuple[str, ...]) -> None:
    """標準仕様書 1.2: both axes; a day before the record says so."""
    await clerk.get(f"/residents/{household[0]}")
    answer = await clerk.post(f"/residents/{household[0]}/as-of", {"day": "R8.11.3"})
    assert "今の記録ではありません" in answer.text, text_of(answer.text)
    answer = await clerk.post(f"/residents/{household[0]}/as-of", {"day": "H1.1.8"})
    assert "この時点の記録はありません" in answer.text


async def test_a_clerk_sees_only_the_menu_of_the_duty(clerk: Browser, second: Browser, fleet: Fleet) -> None:
    """R-1-3.3-PRV-01: duty-based menus; a page of another duty is refused."""
    answer = await clerk.get("/")
    assert "転入の入力" in answer.text
    assert "操作の記録" not in answer.text
    answer = await second.get("/")
    assert "転入の入力" not in answer.text
    answer = await second.get("/changes/move-in")
    assert answer.status_code == 403


async def test_a_number_that_is_nobodys_is_told_beside_the_field(clerk: Browser) -> None:
    """P-4-1: a check digit that does not fit, or a digit missing, before anybody searches in vain."""
    for kind, number, word in (
        ("my_number", "１２３４ ５６７８ ９０１２", "検査用数字"),
        ("my_number", "1234", "12桁"),
        ("resident_code", "123", "11桁"),
    ):
        answer = await clerk.post("/search", {"number_kind": kind, "number": number, "purpose": "numbers"})
        assert answer.status_code == 422
        assert re.search(r'name="number"[^>]*aria-invalid="true"', answer.text), text_of(answer.text)
        assert word in answer.text


async def test_a_number_may_be_pasted_in_any_width(clerk: Browser, fleet: Fleet) -> None:
    """P-4-1: full-width digits and the hyphens of the card are no obstacle."""
    persons = family("全角", "ゼンカク")[:1]
    (atena_no,) = await settle(fleet, persons)
    wide = persons[0].my_number.translate({ord(str(d)): 0xFF10 + d for d in range(10)})
    pasted = f"{wide[:4]}－{wide[4:8]}－{wide[8:]}"
    answer = await clerk.post("/search", {"number_kind": "my_number", "number": pasted, "purpose": "numbers"})
    assert atena_no in answer.text, text_of(answer.text)


async def test_both_axes_of_time_show_what_stood_and_what_was_known(
    clerk: Browser, second: Browser, fleet: Fleet
) -> None:
    """標準仕様書 1.2: what was recorded today did not stand in yesterday's knowledge; no number and no act from the past."""
    people = await settle(fleet, family("二軸", "ニジク"))
    await clerk.state_purpose()
    page = f"/residents/{people[0]}"
    answer = await clerk.get(page)
    assert "個人番号を表示する" in answer.text
    answer = await clerk.post(f"{page}/as-of", {"day": "R8.11.20"})
    said = text_of(answer.text)
    assert "令和8年11月20日現在の内容を表示しています" in said, said
    assert "個人番号を表示する" not in answer.text
    assert "証明書を交付する" not in answer.text
    answer = await clerk.post(f"{page}/as-of", {"day": "R8.11.20", "known": "R8.11.1"})
    assert answer.status_code == 422
    assert "この時点の記録はありません" in answer.text
    answer = await clerk.post(f"{page}/as-of", {"known": "32.13.1"})
    assert answer.status_code == 422
    assert re.search(r'href="#f-known"', answer.text), text_of(answer.text)


async def test_a_paper_is_found_again_in_the_history_until_it_is_handed_over_or_written_off(
    clerk: Browser, fleet: Fleet
) -> None:
    """F-S1-02: 刷り直し from the history; 書損 with a reason; after either the paper is gone."""
    (atena_no,) = await settle(fleet, family("書損", "ショソン")[:1])
    await clerk.state_purpose("certificate")
    path = f"/residents/{atena_no}/certificate"
    await clerk.get(path)
    asked = {
        "kind": "resident", "relation": "self", "requester": atena_no, "identity": "photo", "purpose": "residence",
        "persons": [atena_no], "copies": "1", "go": "preview",
    }  # fmt: skip
    answer = await clerk.post(path, asked)
    assert "書損　一郎（1人）" in answer.text, text_of(answer.text)
    await clerk.post(path, {**clerk.hidden(), "go": "issue"})
    answer = await clerk.get(f"/residents/{atena_no}")
    link = re.search(rf"/residents/{atena_no}/certificate/(\d+)", answer.text)
    assert link, text_of(answer.text)
    await clerk.get(f"{path}/{link[1]}")
    assert (await clerk.post(f"{path}/{link[1]}/paper")).content.startswith(b"%PDF")
    await clerk.get(f"{path}/{link[1]}")
    answer = await clerk.post(f"{path}/{link[1]}/dispose", {})
    assert answer.status_code == 422
    answer = await clerk.post(f"{path}/{link[1]}/dispose", {"reason": "misprint"})
    assert "書損として記録しました" in answer.text, text_of(answer.text)
    answer = await clerk.get(f"{path}/{link[1]}")
    assert "書損にした証明書" in answer.text
    assert "印刷する" not in answer.text
    answer = await clerk.post(f"{path}/{link[1]}/dispose", {"reason": "misprint"})
    assert answer.status_code == 422


async def test_a_paper_handed_over_is_not_offered_for_printing(clerk: Browser, household: tuple[str, ...]) -> None:
    """F-S1-02: once the paper is in hand the page says so, and 書損 is what is left to do."""
    await clerk.state_purpose("certificate")
    path = f"/residents/{household[1]}/certificate"
    await clerk.get(path)
    asked = {
        "kind": "resident", "relation": "self", "requester": household[1], "identity": "photo", "purpose": "residence",
        "persons": [household[1]], "copies": "1", "go": "preview",
    }  # fmt: skip
    await clerk.post(path, asked)
    answer = await clerk.post(path, {**clerk.hidden(), "go": "issue"})
    assert "証明書を印刷する" in answer.text, text_of(answer.text)
    number = re.search(r"/certificate/(\d+)", str(answer.url))
    assert number
    await clerk.post(f"{path}/{number[1]}/hand-over")
    answer = await clerk.get(f"{path}/{number[1]}")
    assert "証明書を印刷する" not in answer.text
    assert "もう一度印刷することはできません" in answer.text
    assert "書損として記録する" in answer.text


async def test_a_name_that_cannot_be_printed_is_named_as_the_item(clerk: Browser, fleet: Fleet) -> None:
    """標準仕様書 20.0.5: the refusal says which item to write by hand, never its value alone."""
    (atena_no,) = await settle(
        fleet, [newcomer("外字\ue123　一郎", "ガイジ　イチロウ", "世帯主", RegistryDate(1980, 4, 1, "S"))]
    )
    await clerk.state_purpose("certificate")
    await clerk.get(f"/residents/{atena_no}/certificate")
    asked = {
        "kind": "resident", "relation": "self", "requester": atena_no, "identity": "photo", "purpose": "residence",
        "persons": [atena_no], "copies": "1", "go": "preview",
    }  # fmt: skip
    answer = await clerk.post(f"/residents/{atena_no}/certificate", asked)
    assert answer.status_code == 422
    assert "印刷できない文字を含む項目（氏名・フリガナ）" in answer.text, text_of(answer.text)


async def test_a_joint_form_names_whose_item_cannot_be_printed(clerk: Browser, fleet: Fleet) -> None:
    """標準仕様書 20.0.5: of several members the refusal names the one, by place on the form and by name."""
    birth = RegistryDate(1980, 4, 1, "S")
    people = await settle(
        fleet,
        [
            newcomer("外字　一郎", "ガイジ　イチロウ", "世帯主", birth),
            newcomer("外字　花子", "ガイジ　ハナコ", "妻", birth),
            newcomer("外字\ue123　次郎", "ガイジ　ジロウ", "子", RegistryDate(2010, 4, 1, "H")),
        ],
    )
    await clerk.state_purpose("certificate")
    path = f"/residents/{people[0]}/certificate"
    await clerk.get(path)
    asked = {
        "kind": "resident", "relation": "household", "requester": people[0], "identity": "photo", "purpose": "residence",
        "persons": list(people), "copies": "1", "go": "preview",
    }  # fmt: skip
    answer = await clerk.post(path, asked)
    assert answer.status_code == 422
    assert "印刷できない文字を含む項目（3人目の外字\ue123　次郎の氏名・フリガナ）" in answer.text, text_of(answer.text)
