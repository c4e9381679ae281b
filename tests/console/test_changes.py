"""Every 異動 of the counter through its pages: entered by one clerk, confirmed by another, seen in the record."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from typing import Any

import pytest
from tests.web.counter import Browser, family, my_number, settle, text_of, today

from juki.console import words
from juki.tenancy import Fleet

START = {
    "occurred_on": "R8.11.20",
    "notified_on": "R8.11.23",
    "notifier": "届出　人",
    "source": "person",
    "document": "my_number_card",
}
CHILD = {
    "p0_name": "相双　光",
    "p0_name_kana": "ソウソウ　ヒカリ",
    "p0_birth": "R8.11.20",
    "p0_sex": "2",
    "p0_relationship": "子",
    "p0_kind": "japanese",
    "p0_registered_domicile": "福島県いわき市平字梅本21番地",
    "p0_family_head": "相双　一郎",
}


async def go_through(browser: Browser, path: str, pages: list[dict[str, Any]]) -> int:
    """Every page of one form up to 仮登録; the case number."""
    await browser.get(path)
    for page in pages:
        carried = {k: v for k, v in browser.hidden().items() if k != "form_token"}
        await browser.post(path, {**carried, **page, "go": "next"})
    assert "仮登録する" in browser.html, text_of(browser.html)
    answer = await browser.post(path, {**browser.hidden(), "go": "save", "alert_reason": "書類で確かめた"})
    found = re.search(r"/cases/(\d+)", str(answer.url))
    assert found, text_of(answer.text)
    return int(found[1])


async def confirm(browser: Browser, number: int, **typed: str) -> str:
    """The second person types the dates again."""
    await browser.get(f"/cases/{number}")
    given = {"occurred_on": "R8.11.20", "notified_on": "R8.11.23"} | typed
    answer = await browser.post(f"/cases/{number}/confirm", {f"again:{k}": v for k, v in given.items()})
    assert "本登録しました" in answer.text, text_of(answer.text)
    return answer.text


@pytest.fixture
async def home(clerk: Browser, fleet: Fleet) -> tuple[str, ...]:
    """A household of three of its own for each test."""
    await clerk.state_purpose()
    return await settle(fleet, family("相双", "ソウソウ"))


def first(form_no: str, **more: str) -> dict[str, str]:
    """The first page of any form."""
    return START | {"form_no": form_no} | more


async def test_a_birth_joins_the_household(
    clerk: Browser, second: Browser, home: tuple[str, ...], fleet: Fleet
) -> None:
    """出生: 住民票コード from the stock, 個人番号 awaited."""
    from tests.web.counter import IWAKI, resident_code

    from juki import registry
    from juki.access.model import Caller
    from juki.audit import operation

    keeper = Caller(
        tenant=IWAKI, actor_id="op-stock", rights=frozenset({"resident.code", "change.enter", "account.approve"})
    )
    async with operation(fleet, keeper, "registry.stock", purpose="試験") as op:
        await registry.add_codes(op, [resident_code() for _ in range(3)])
    path = f"/residents/{home[0]}/changes/birth"
    number = await go_through(clerk, path, [first("R8-3001"), CHILD])
    await confirm(second, number, **{"person.birth": "R8.11.20"})
    assert "相双　光" in (await clerk.get(f"/residents/{home[0]}")).text


async def test_the_death_of_the_head_asks_who_follows(clerk: Browser, second: Browser, home: tuple[str, ...]) -> None:
    """死亡: two are left, so the form names the new head; the removed record says so on its page."""
    path = f"/residents/{home[0]}/changes/death"
    await clerk.get(path)
    pages = [first("R8-3002", reason="death"), {f"rel_{home[1]}": "世帯主", f"rel_{home[2]}": "子"}]
    number = await go_through(clerk, path, pages)
    await confirm(second, number)
    answer = await clerk.get(f"/residents/{home[0]}")
    assert "死亡" in answer.text
    assert "is-removed" in answer.text
    assert "消除される前の世帯は" in answer.text
    assert "相双　花子" in text_of((await clerk.get(f"/residents/{home[2]}")).text).replace(" ", "　")


async def test_a_notice_is_due_where_whoever_notified_could_not_be_identified(
    clerk: Browser, second: Browser, home: tuple[str, ...]
) -> None:
    """R-1-3.2-IDV-01: the form says that a notice will be sent, so the queue says to whom, after 本登録 too."""
    path = f"/residents/{home[0]}/changes/correct"
    wrong = {"version_no": "1", "item_0": "basic.name_kana", "value_0": "ソウソウ　イチロー"}
    sure = await go_through(
        clerk, path, [first("R8-3140", reason="correct", source="administration", document="not_needed"), wrong]
    )
    pages = [
        first("R8-3149", reason="death", document="none", checked_by=""),
        {f"rel_{home[1]}": "世帯主", f"rel_{home[2]}": "子"},
    ]
    number = await go_through(clerk, f"/residents/{home[0]}/changes/death", pages)
    await confirm(second, number)
    waiting, _, noticed = (await second.get("/cases")).text.partition("確認通知の対象")
    assert (f'/cases/{sure}"' in waiting, f'/cases/{sure}"' in noticed) == (True, False)
    assert (f'/cases/{number}"' in waiting, f'/cases/{number}"' in noticed) == (False, True)
    assert "相双　一郎" in noticed


async def test_a_move_out_takes_those_who_are_ticked(clerk: Browser, second: Browser, home: tuple[str, ...]) -> None:
    """転出 of one member: the others stay."""
    path = f"/residents/{home[2]}/changes/move-out"
    pages = [
        first("R8-3003", reason="move_out"),
        {"who": [home[2]], "to_text": "東京都千代田区千代田1番1号"},
        {},
    ]
    number = await go_through(clerk, path, pages)
    await confirm(second, number)
    assert "転出" in (await clerk.get(f"/residents/{home[2]}")).text
    assert "is-removed" not in (await clerk.get(f"/residents/{home[0]}")).text


async def test_a_planned_move_out_is_told_while_the_person_is_still_a_resident(
    clerk: Browser, second: Browser, home: tuple[str, ...], fleet: Fleet
) -> None:
    """転出予定者 (住基法24): the day and the place stand on the page, for the certificate says them too."""
    day = today(fleet) + dt.timedelta(days=10)
    path = f"/residents/{home[2]}/changes/move-out"
    place = {"who": [home[2]], "to_text": "東京都千代田区千代田1番1号"}
    start = first("R8-3141", reason="move_out") | {"occurred_on": f"{day:%Y%m%d}"}
    number = await go_through(clerk, path, [start, place, {}])
    assert "転出予定者です" not in (await clerk.get(f"/residents/{home[2]}")).text
    await confirm(second, number, occurred_on=f"{day:%Y%m%d}")
    answer = await clerk.get(f"/residents/{home[2]}")
    assert "転出予定者です" in answer.text
    assert f"{words.calendar(day)}に転出する予定" in answer.text
    assert "東京都千代田区千代田1番1号" in answer.text
    assert "is-removed" not in answer.text


async def test_a_correction_names_what_it_corrects(clerk: Browser, second: Browser, home: tuple[str, ...]) -> None:
    """誤記修正: the wrong version stays in the history, marked."""
    path = f"/residents/{home[1]}/changes/correct"
    pages = [
        first("R8-3004", reason="correct", source="administration", document="not_needed"),
        {"version_no": "1", "item_0": "basic.name_kana", "value_0": "ソウソウ　ハナゴ"},
    ]
    number = await go_through(clerk, path, pages)
    await confirm(second, number)
    answer = await clerk.get(f"/residents/{home[1]}")
    assert "ソウソウ　ハナゴ" in answer.text
    assert "履歴1の訂正" in answer.text
    assert "訂正・取消し" in answer.text


async def test_a_number_is_set_right_with_its_source_on_the_page(
    clerk: Browser, second: Browser, home: tuple[str, ...]
) -> None:
    """R-1-2.3-NUM-01: 個人番号の確認元 is asked on the page, missed beside its own field, and filled in again after 差戻し."""
    path = f"/residents/{home[2]}/changes/correct"
    start = first("R8-3120", reason="correct", source="administration", document="not_needed")
    number = my_number()
    wrong = {"version_no": "1", "item_0": "my_number.my_number", "value_0": number}
    await clerk.get(path)
    for page in (start, wrong):
        carried = {k: v for k, v in clerk.hidden().items() if k != "form_token"}
        answer = await clerk.post(path, {**carried, **page, "go": "next"})
    assert answer.status_code == 422
    assert re.search(r'name="my_number_source"[^>]*aria-invalid="true"', answer.text), text_of(answer.text)
    assert "入手元を選んでください" in answer.text
    case_no = await go_through(clerk, path, [start, {**wrong, "my_number_source": "card"}])
    await second.get(f"/cases/{case_no}")
    await second.post(f"/cases/{case_no}/hand-back", {"comment": "確認元を確かめてください"})
    await clerk.get(f"/cases/{case_no}/again")
    await clerk.post(path, {**clerk.hidden(), **start, "step": "0", "go": "next"})
    assert re.search(r'<option value="card" selected', clerk.html), text_of(clerk.html)


async def test_a_change_of_head_and_its_cancellation(clerk: Browser, second: Browser, home: tuple[str, ...]) -> None:
    """世帯主変更, then 異動の取消し: the state before is restored and both stay in the history."""
    path = f"/residents/{home[0]}/changes/head-change"
    new = {f"rel_{home[0]}": "夫", f"rel_{home[1]}": "世帯主", f"rel_{home[2]}": "子"}
    await confirm(second, await go_through(clerk, path, [first("R8-3005"), new]))
    answer = await clerk.get(f"/residents/{home[1]}")
    assert "世帯主変更" in answer.text
    path = f"/residents/{home[0]}/changes/cancel"
    answer = await clerk.get(path)
    pages = [first("R8-3006", source="administration", document="not_needed")]
    carried = {k: v for k, v in clerk.hidden().items() if k != "form_token"}
    answer = await clerk.post(path, {**carried, **pages[0], "go": "next"})
    event = re.search(r'<option value="(\d+)">世帯主変更', answer.text)
    assert event, text_of(answer.text)
    number = await go_through(clerk, path, [*pages, {"event_no": event[1]}])
    await confirm(second, number)
    answer = await clerk.get(f"/residents/{home[0]}")
    assert "異動の取消し" in answer.text
    assert "世帯主である旨" in answer.text


async def test_a_cancellation_that_another_member_stands_in_the_way_of_names_that_member(
    clerk: Browser, second: Browser, home: tuple[str, ...]
) -> None:
    """標準仕様書 4.6: opened from the head, refused because of the wife: by number and name, with what to do instead."""
    move = {"who": list(home), "to_text": "福島県いわき市錦町大島1番地"}
    path = f"/residents/{home[0]}/changes/relocate"
    await confirm(second, await go_through(clerk, path, [first("R8-3061"), move, {}]))
    wrong = {
        "version_no": "2", "item_0": "basic.name_kana", "value_0": "ソウソウ　ハナエ",
    }  # fmt: skip
    page = first("R8-3062", reason="correct", source="administration", document="not_needed")
    path = f"/residents/{home[1]}/changes/correct"
    await confirm(second, await go_through(clerk, path, [page, wrong]))
    path = f"/residents/{home[0]}/changes/cancel"
    await clerk.get(path)
    page = first("R8-3063", source="administration", document="not_needed")
    answer = await clerk.post(path, {**clerk.hidden(), **page, "go": "next"})
    event = re.search(r'<option value="(\d+)">転居', answer.text)
    assert event, text_of(answer.text)
    answer = await clerk.post(path, {**clerk.hidden(), "event_no": event[1], "go": "next"})
    assert answer.status_code == 422
    said = text_of(answer.text)
    assert f"相双　花子（宛名番号 {home[1]}）: この異動で書かれた記録は、あとで修正されている" in said.replace(
        "相双 花子", "相双　花子"
    ), said
    assert "誤記修正または職権修正で直してください" in said


async def test_a_form_of_several_newcomers_says_whom_an_alert_is_about(clerk: Browser, fleet: Fleet) -> None:
    """標準仕様書 11: 同姓同名 of the second person is told of the second person, before and after 仮登録."""
    await settle(fleet, family("注意", "チュウイ"))
    await clerk.state_purpose()
    path = "/changes/move-in"
    await clerk.get(path)
    birth = {"p0_birth": "S40.1.1", "p1_birth": "S61.8.20"}
    both = {}
    for n, (name, kana, place, sex) in enumerate(
        (("注意　太郎", "チュウイ　タロウ", "世帯主", "1"), ("注意　花子", "チュウイ　ハナコ", "妻", "2"))
    ):
        both[n] = {
            f"p{n}_name": name, f"p{n}_name_kana": kana, f"p{n}_sex": sex, f"p{n}_relationship": place,
            f"p{n}_birth": birth[f"p{n}_birth"], f"p{n}_kind": "japanese",
            f"p{n}_registered_domicile": "東京都千代田区千代田1番", f"p{n}_family_head": "注意　太郎",
        }  # fmt: skip
    to = {"to_text": "福島県いわき市錦町大島3番地", "from_text": "東京都千代田区千代田1番1号"}
    pages = [(first("R8-3064", reason="move_in"), "next"), (to, "next"), (both[0], "add"), (both[1], "next")]
    for page, go in pages:
        await clerk.post(path, {**clerk.hidden(), **page, "go": go})
    said = text_of(clerk.html)
    assert "2人目 注意 花子: 氏名・性別・生年月日が同じ方の記録があります" in said, said
    await clerk.post(path, {**clerk.hidden(), "go": "save", "alert_reason": "別の人と確かめた"})
    assert "2人目 注意 花子: 氏名・性別・生年月日が同じ方" in text_of(clerk.html), text_of(clerk.html)


@pytest.mark.parametrize(
    ("level", "words"),
    [("alert", "この方の異動には注意が設定されています"), ("error", "この方は異動の処理が抑止されています")],
)
async def test_a_form_of_several_says_whose_change_is_held_back(
    clerk: Browser, protector: Browser, home: tuple[str, ...], level: str, words: str
) -> None:
    """R-1-B2-DAT-04: opened from the head, warned about or refused because of the wife."""
    page = await protector.post(
        f"/residents/{home[1]}/suppress", {"process": "change", "level": level, "reason": "調査中"}
    )
    assert page.status_code == 200
    path = f"/residents/{home[0]}/changes/relocate"
    await clerk.get(path)
    move = {"who": list(home), "to_text": "福島県いわき市錦町大島1番地"}
    for given in (first(f"R8-309{len(level)}"), move, {}):
        await clerk.post(path, {**clerk.hidden(), **given, "go": "next"})
    said = text_of(clerk.html)
    assert f"相双 花子（宛名番号 {home[1]}）: {words}" in said.replace("\u3000", " "), said


async def test_a_case_goes_back_with_a_reason_or_is_withdrawn(
    clerk: Browser, second: Browser, home: tuple[str, ...]
) -> None:
    """差戻し by the second person, 取下げ by the first; each asks for a reason and names the case."""
    path = f"/residents/{home[0]}/changes/relocate"
    move = {"who": list(home), "to_text": "福島県いわき市錦町大島1番地"}
    number = await go_through(clerk, path, [first("R8-3007"), move, {}])
    await second.get(f"/cases/{number}")
    assert f"仮登録 {number} を差し戻す" in second.html
    answer = await second.post(f"/cases/{number}/hand-back", {"comment": ""})
    assert answer.status_code == 422
    answer = await second.post(f"/cases/{number}/hand-back", {"comment": "届出日が違う"})
    assert "差し戻しました" in answer.text
    answer = await clerk.get(f"/cases/{number}")
    assert "差戻し" in answer.text
    answer = await clerk.post(f"/cases/{number}/withdraw", {"comment": "入力し直す"})
    assert "取り下げました" in answer.text, text_of(answer.text)
    answer = await second.post(f"/cases/{number}/confirm", {"again:occurred_on": "R8.11.20"})
    assert answer.status_code in (403, 409, 422)


async def test_a_record_that_moved_on_makes_the_draft_stale(
    clerk: Browser, second: Browser, home: tuple[str, ...]
) -> None:
    """Stale page: what was compared is no longer what stands, so nothing is recorded and the page says so."""
    path = f"/residents/{home[0]}/changes/relocate"
    move = {"who": list(home), "to_text": "福島県いわき市錦町大島1番地"}
    one = await go_through(clerk, path, [first("R8-3008"), move, {}])
    other = await go_through(clerk, path, [first("R8-3009"), move | {"to_text": "福島県いわき市平2番地"}, {}])
    await confirm(second, one)
    await second.get(f"/cases/{other}")
    typed = {"again:occurred_on": "R8.11.20", "again:notified_on": "R8.11.23"}
    answer = await second.post(f"/cases/{other}/confirm", typed)
    assert answer.status_code == 422
    assert "記録していません" in answer.text or "変わった" in answer.text or "変更され" in answer.text, text_of(
        answer.text
    )


async def test_a_form_number_used_before_is_told_beside_it_with_its_case(
    clerk: Browser, second: Browser, home: tuple[str, ...]
) -> None:
    """R-12-3.2-QUA-01: the same paper twice is refused; handed back it is entered again in place of its case."""
    path = f"/residents/{home[0]}/changes/head-change"
    new = {f"rel_{home[0]}": "夫", f"rel_{home[1]}": "世帯主", f"rel_{home[2]}": "子"}
    number = await go_through(clerk, path, [first("R8-3090"), new])
    await clerk.get(path)
    for page in [first("Ｒ８－３０９０"), new]:
        carried = {k: v for k, v in clerk.hidden().items() if k != "form_token"}
        answer = await clerk.post(path, {**carried, **page, "go": "next"})
    assert answer.status_code == 422
    assert re.search(r'name="form_no"[^>]*aria-invalid="true"', answer.text), text_of(answer.text)
    assert f"仮登録 {number} で入力されています" in answer.text
    await second.get(f"/cases/{number}")
    await second.post(f"/cases/{number}/hand-back", {"comment": "続柄を確かめてください"})
    await clerk.get(path)
    for page in [first("R8-3090"), new]:
        carried = {k: v for k, v in clerk.hidden().items() if k != "form_token"}
        answer = await clerk.post(path, {**carried, **page, "go": "next"})
    assert f"差し戻された仮登録 {number} に代わります" in answer.text
    answer = await clerk.post(path, {**clerk.hidden(), "go": "save", "alert_reason": "書類で確かめた"})
    again = re.search(r"/cases/(\d+)", str(answer.url))
    assert again, text_of(answer.text)
    assert int(again[1]) != number
    assert "取下げ" in (await second.get(f"/cases/{number}")).text
    await confirm(second, int(again[1]))


async def test_a_case_that_was_handed_back_comes_back_as_its_form(
    clerk: Browser, second: Browser, home: tuple[str, ...]
) -> None:
    """差戻し: only the mistake is typed anew; the corrected entry takes the place of the one that was handed back."""
    path = f"/residents/{home[0]}/changes/correct"
    wrong = {"version_no": "1", "item_0": "basic.name_kana", "value_0": "ｿｳｿｳ ｲﾁﾛ"}
    number = await go_through(clerk, path, [first("R8-3010", reason="correct"), wrong])
    assert f"/cases/{number}/again" not in (await clerk.get(f"/cases/{number}")).text
    await second.get(f"/cases/{number}")
    await second.post(f"/cases/{number}/hand-back", {"comment": "フリガナが届出書と違う"})
    await clerk.get(f"/cases/{number}")
    assert f"/cases/{number}/again" in clerk.html
    answer = await second.get(f"/cases/{number}/again")
    assert answer.status_code == 403
    answer = await clerk.get(f"/cases/{number}/again")
    assert re.search(r'name="form_no" value="R8-3010"', answer.text), text_of(answer.text)
    assert re.search(r'name="occurred_on" value="令和8年11月20日"', answer.text)
    again = {**START, "form_no": "R8-3010", "reason": "correct", "step": "0"}
    await clerk.post(path, {**clerk.hidden(), **again, "go": "next"})
    assert re.search(r'name="value_0" value="ソウソウ　イチロ"', clerk.html), text_of(clerk.html)
    await clerk.post(path, {**clerk.hidden(), **wrong, "value_0": "そうそう いちろー", "go": "next"})
    answer = await clerk.post(path, {**clerk.hidden(), "go": "save", "alert_reason": "書類で確かめた"})
    made = re.search(r"/cases/(\d+)", str(answer.url))
    assert made, text_of(answer.text)
    await confirm(second, int(made[1]))
    assert "ソウソウ　イチロー" in (await clerk.get(f"/residents/{home[0]}")).text


async def test_a_page_that_somebody_else_overtook_says_so_and_records_nothing(
    clerk: Browser, second: Browser, home: tuple[str, ...]
) -> None:
    """Stale page: the first person withdraws while the second has the case open."""
    path = f"/residents/{home[0]}/changes/relocate"
    number = await go_through(
        clerk, path, [first("R8-3011"), {"who": list(home), "to_text": "福島県いわき市錦町大島3番地"}, {}]
    )
    await second.get(f"/cases/{number}")
    await clerk.get(f"/cases/{number}")
    await clerk.post(f"/cases/{number}/withdraw", {"comment": "申出の取下げ"})
    typed = {"again:occurred_on": "R8.11.20", "again:notified_on": "R8.11.23"}
    answer = await second.post(f"/cases/{number}/confirm", typed)
    assert answer.status_code == 422
    assert "先に処理しました" in answer.text, text_of(answer.text)
    assert "大島3番地" not in (await clerk.get(f"/residents/{home[0]}")).text


async def test_one_page_saved_from_two_tabs_at_once_is_one_case(clerk: Browser, home: tuple[str, ...]) -> None:
    """Double submit: both tabs are led to the same case."""
    path = f"/residents/{home[0]}/changes/relocate"
    await clerk.get(path)
    for page in [first("R8-3012"), {"who": list(home), "to_text": "福島県いわき市錦町大島4番地"}, {}]:
        carried = {k: v for k, v in clerk.hidden().items() if k != "form_token"}
        await clerk.post(path, {**carried, **page, "go": "next"})
    form = {**clerk.hidden(), "go": "save", "alert_reason": "書類で確かめた"}
    answers = await asyncio.gather(*(clerk.post(path, form) for _ in range(3)))
    assert len({str(a.url) for a in answers}) == 1
    assert "/cases/" in str(answers[0].url), text_of(answers[0].text)


async def test_a_naturalisation_is_entered_from_a_notice_and_shown(
    clerk: Browser, second: Browser, home: tuple[str, ...]
) -> None:
    """国籍喪失, then 帰化等: the record shows the items of the new kind, the history both halves."""
    path = f"/residents/{home[1]}/changes/nationality"
    notice = {"source": "administration", "document": "not_needed"}
    given = {
        "name": "SOSO HANAKO", "name_kana": "ソウソウ　ハナコ", "name_roman": "SOSO HANAKO",
        "nationality": "ブラジル", "category": "中長期在留者", "residence_status": "定住者", "card_number": "ZY12345678XW",
    }  # fmt: skip
    await clerk.get(path)
    for page in [first("R8-3101", reason="entry_nationality_lost"), given]:
        carried = {k: v for k, v in clerk.hidden().items() if k != "form_token"}
        answer = await clerk.post(path, {**carried, **page, "go": "next"})
    assert answer.status_code == 422
    assert "通知または職権で処理します" in answer.text, text_of(answer.text)
    start = first("R8-3101", reason="entry_nationality_lost", **notice)
    await confirm(second, await go_through(clerk, path, [start, given]))
    answer = await clerk.get(f"/residents/{home[1]}")
    assert "職権記載（国籍喪失）" in answer.text
    assert "中長期在留者" in answer.text
    back = {
        "name": "相双　花子", "name_kana": "ソウソウ　ハナコ", "registered_domicile": "福島県いわき市平字梅本21番地",
        "family_head": "相双　一郎",
    }  # fmt: skip
    await confirm(second, await go_through(clerk, path, [first("R8-3102", reason="entry_naturalised", **notice), back]))
    answer = await clerk.get(f"/residents/{home[1]}")
    assert "職権記載（帰化等）" in answer.text
    assert "相双　花子" in text_of(answer.text).replace(" ", "　")


async def test_a_record_is_reissued_from_its_page(clerk: Browser, second: Browser, home: tuple[str, ...]) -> None:
    """改製: by hand and by authority; the remarks carried over are on the record."""
    path = f"/residents/{home[2]}/changes/remake"
    start = first("R8-3111", reason="entry_reissue", source="administration", document="not_needed")
    number = await go_through(clerk, path, [start, {"carried_remarks": "移記した備考"}])
    await confirm(second, number)
    answer = await clerk.get(f"/residents/{home[2]}")
    assert "改製" in answer.text
    assert "移記した備考" in answer.text


async def test_a_notice_handed_back_is_filled_in_again(clerk: Browser, second: Browser, home: tuple[str, ...]) -> None:
    """差戻し: what was typed of a 帰化・国籍喪失 is there when it is entered again."""
    path = f"/residents/{home[2]}/changes/nationality"
    given = {
        "name": "SOSO SABURO", "name_kana": "ソウソウ　サブロウ", "nationality": "ペルー", "category": "中長期在留者",
        "residence_expires": "R10.4.1",
    }  # fmt: skip
    start = first("R8-3121", reason="entry_nationality_lost", source="administration", document="not_needed")
    number = await go_through(clerk, path, [start, given])
    await second.get(f"/cases/{number}")
    await second.post(f"/cases/{number}/hand-back", {"comment": "区分を確かめてください"})
    await clerk.get(f"/cases/{number}/again")
    carried = {k: v for k, v in clerk.hidden().items() if k != "form_token"}
    assert carried["name"] == ["SOSO SABURO"]
    assert carried["nationality"] == ["ペルー"]
    assert carried["residence_expires"] == ["令和10年4月1日"]


async def test_a_waiting_draft_is_told_on_the_pages_of_the_household_and_names_whom_it_is_about(
    clerk: Browser, second: Browser, home: tuple[str, ...]
) -> None:
    """異動受付中 (SS 4.0): told until 本登録; the case is about the person corrected and shows the 留意事項."""
    path = f"/residents/{home[1]}/changes/correct"
    start = first("R8-3131", reason="correct", source="administration", document="not_needed", remarks="戸籍で確認")
    wrong = {"version_no": "1", "item_0": "basic.name_kana", "value_0": "ソウソウ　ハナエ"}
    number = await go_through(clerk, path, [start, wrong])
    for page in (f"/residents/{home[0]}", f"/residents/{home[1]}/changes", f"/residents/{home[1]}/certificate", path):
        assert "異動受付中です" in (await clerk.get(page)).text, page
    queue = next(row for row in (await second.get("/cases")).text.split("<tr>") if f"/cases/{number}" in row)
    assert "相双　花子" in queue
    assert "相双　一郎" not in queue
    answer = await second.get(f"/cases/{number}")
    assert "戸籍で確認" in answer.text
    assert f"/residents/{home[1]}" in answer.text
    assert f"/residents/{home[0]}" not in answer.text
    await confirm(second, number)
    assert "異動受付中です" not in (await clerk.get(f"/residents/{home[0]}")).text
