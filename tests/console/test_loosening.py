"""緩和の承認 on the pages: asked for by one clerk, seen by everybody, approved by another, with nothing changed before."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest_asyncio
from litestar import Litestar
from tests.web.counter import Browser, Town, family, settle, text_of

from juki.tenancy import Fleet

ASKED_BY_STRANGER = {
    "kind": "resident", "relation": "third", "requester_name": "他人　太郎", "requester_address": "東京都",
    "identity": "photo", "purpose": "claim", "ground": "債権の回収", "authority": "契約書", "copies": "1", "go": "preview",
    "requester": "",
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def neighbour(application: Litestar, hirono: Town, fleet: Fleet) -> AsyncIterator[Browser]:
    """Who looks after 支援措置 in 広野町."""
    async with Browser(application, hirono, terminal=0) as browser:
        await browser.log_in("hogo", fleet.clock())
        yield browser


async def begin(who: Browser, atena_no: str, **more: object) -> str:
    """支援措置の開始; its number."""
    await who.state_purpose("protection")
    await who.get(f"/residents/{atena_no}/protection")
    given = {"starts_on": "R8.11.20", "wishes": ["browsing", "copies"]} | more
    answer = await who.post(f"/residents/{atena_no}/protection", given)
    assert "支援措置を登録しました" in answer.text, text_of(answer.text)
    return str(answer.url).partition("no=")[2]


async def ask_end(who: Browser, measure_no: str) -> str:
    """終了の申請; its number."""
    await who.get(f"/protection/{measure_no}")
    answer = await who.post(f"/protection/{measure_no}/ask-end", {"reason": "本人の申出による"})
    assert "終了を申請しました" in answer.text, text_of(answer.text)
    return str(answer.url).partition("no=")[2]


async def preview(clerk: Browser, atena_no: str) -> tuple[int, bool]:
    """(status, whether a paper is shown) when a stranger asks for a copy."""
    await clerk.state_purpose("certificate")
    await clerk.get(f"/residents/{atena_no}/certificate")
    answer = await clerk.post(f"/residents/{atena_no}/certificate", ASKED_BY_STRANGER | {"persons": atena_no})
    return answer.status_code, "data:application/pdf" in answer.text


async def test_the_next_copy_goes_out_only_after_a_second_clerk_approved_the_end(
    protector: Browser, guardian: Browser, clerk: Browser, fleet: Fleet
) -> None:
    """R-12-3.2-QUA-01, R-1-B2-DAT-05: asked for, shown in words on every page, refused to the asker, approved, issued."""
    (atena_no,) = await settle(fleet, family("終了", "シュウリョウ")[:1])
    measure_no = await begin(protector, atena_no)
    assert await preview(clerk, atena_no) == (422, False)
    number = await ask_end(protector, measure_no)

    assert await preview(clerk, atena_no) == (422, False)
    said = text_of((await clerk.get(f"/residents/{atena_no}")).text)
    assert "支援措置の対象者です" in said
    assert "支援措置の終了が申請されています まだ承認されていません" in said, said
    page = await protector.get(f"/protection/{measure_no}")
    assert f"申請 {number} がほかの職員の承認を待っています" in text_of(page.text)
    assert "/ask-end" not in page.text
    row = re.search(
        rf'<tr><th scope="row"><a[^>]*/protection/{measure_no}".*?</tr>', (await protector.get("/protection")).text
    )
    assert row
    assert ">終了の申請中<" in row[0]

    page = await protector.get(f"/protection/loosenings/{number}")
    assert "自分の申請です" in page.text
    assert f"/loosenings/{number}/approve" not in page.text
    answer = await protector.post(f"/protection/loosenings/{number}/approve")
    assert answer.status_code == 422
    assert "自分の申請を承認・却下できません" in answer.text
    assert await preview(clerk, atena_no) == (422, False)

    page = await guardian.get("/protection/loosenings")
    assert re.search(
        rf"/loosenings/{number}.*?承認待ち.*?支援措置の終了.*?終了　一郎.*?会津　四葉", page.text, re.DOTALL
    )
    page = await guardian.get(f"/protection/loosenings/{number}")
    assert "終了　一郎の支援措置の終了を承認する" in page.text
    assert "本人の申出による" in page.text
    answer = await guardian.post(f"/protection/loosenings/{number}/approve")
    assert f"申請 {number} を承認しました" in text_of(answer.text), text_of(answer.text)
    assert await preview(clerk, atena_no) == (200, True)
    said = text_of((await protector.get(f"/protection/{measure_no}")).text)
    assert f"申請 会津 四葉 承認 田村 八重（申請 {number}） " in said, said
    assert "終了の理由 本人の申出による" in said
    answer = await guardian.post(f"/protection/loosenings/{number}/approve")
    assert answer.status_code == 422
    assert "すでに承認・却下・取下げ" in answer.text


async def test_every_page_of_a_measure_names_its_person_and_every_housemate_is_marked(
    protector: Browser, guardian: Browser, clerk: Browser, fleet: Fleet
) -> None:
    """Nobody wonders whose measure is open, also where 照会 is held back; who opens a housemate sees who else is hunted."""
    hunted, housemate = await settle(fleet, family("帯名", "オビナ")[:2])
    measure_no = await begin(protector, hunted)
    await clerk.state_purpose("inquiry")
    home = (await clerk.get(f"/residents/{housemate}")).text
    marked = re.search(rf'/residents/{hunted}".*?</a>', home)
    assert marked, text_of(home)
    assert "支援措置" in marked[0]
    assert home.count('<span class="tag warn">支援措置</span>') == 1
    await protector.get(f"/residents/{hunted}/protection")
    held = {"process": "inquiry", "level": "error", "reason": "調査中", "starts_on": "R8.11.20"}
    answer = await protector.post(f"/residents/{hunted}/suppress", held)
    assert answer.status_code == 200, text_of(answer.text)
    number = await ask_end(protector, measure_no)
    for who, page in (
        (protector, f"/protection/{measure_no}"),
        (protector, f"/protection/{measure_no}/amend"),
        (guardian, f"/protection/loosenings/{number}"),
    ):
        shown = (await who.get(page)).text
        strip = shown.partition('aria-label="表示中の人"')[2].partition("<main")[0]
        assert "帯名" in strip, page
        assert hunted in strip, page
        assert "支援措置の対象者です" in text_of(shown), page


async def test_one_page_sent_twice_asks_once_and_a_second_ask_names_the_first(
    protector: Browser, guardian: Browser, fleet: Fleet
) -> None:
    """R-12-3.2-QUA-01: one ask, whoever sends what again."""
    (atena_no,) = await settle(fleet, family("二度", "ニド")[:1])
    measure_no = await begin(protector, atena_no)
    await protector.get(f"/protection/{measure_no}")
    await guardian.state_purpose("protection")
    await guardian.get(f"/protection/{measure_no}")  # the page that lies open while the other one asks
    form = {**protector.hidden(), "reason": "本人の申出による"}
    answers = await asyncio.gather(*(protector.post(f"/protection/{measure_no}/ask-end", form) for _ in range(2)))
    numbers = {str(answer.url).partition("no=")[2] for answer in answers}
    assert len(numbers) == 1, [text_of(a.text)[:300] for a in answers]
    answer = await guardian.post(f"/protection/{measure_no}/ask-end", {**guardian.hidden(), "reason": "別の申請"})
    assert answer.status_code == 422
    assert f"申請 {numbers.pop()} を開いて確かめてください" in answer.text


async def test_the_form_of_a_measure_adds_at_once_and_asks_before_it_takes_away(
    protector: Browser, guardian: Browser, clerk: Browser, fleet: Fleet
) -> None:
    """R-12-3.2-QUA-01: one form, filled as the measure reads; what is taken away needs a reason and a second clerk."""
    await clerk.state_purpose("inquiry")
    head, wife, child = await settle(fleet, family("縮小", "シュクショウ"))
    measure_no = await begin(protector, head, **{"with": [wife], "feared": "元の配偶者"})
    path = f"/protection/{measure_no}/amend"
    page = await protector.get(path)
    assert re.search(rf'name="with" value="{wife}" checked', page.text)
    assert 'value="元の配偶者"' in page.text
    shown = {"wishes": ["browsing", "copies"], "feared": "元の配偶者"}
    answer = await protector.post(path, {**protector.hidden(), **shown, "with": [wife, child], "contact": "0246-1"})
    assert f"支援措置 {measure_no} の内容を変更しました" in answer.text, text_of(answer.text)
    assert "支援措置の対象者です" in (await clerk.get(f"/residents/{child}")).text

    await protector.get(path)
    less = {"wishes": ["copies"], "feared": "元の配偶者とその父", "contact": "0246-1", "with": [child]}
    answer = await protector.post(path, {**protector.hidden(), **less})
    assert answer.status_code == 422
    assert "支援や対象者を減らす変更です" in answer.text
    assert 'id="f-reason" name="reason" value="" class="w-l" maxlength="300"' in answer.text
    assert "その父" not in (await protector.get(f"/protection/{measure_no}")).text
    await protector.get(path)
    answer = await protector.post(path, {**protector.hidden(), **less, "reason": "妻は別の措置に移る"})
    said = text_of(answer.text)
    assert "支援を減らす変更を申請しました" in said, said
    assert "元の配偶者とその父" in said
    assert "支援措置の縮小の申請中です" in said
    number = str(answer.url).partition("no=")[2]
    said = text_of((await clerk.get(f"/residents/{wife}")).text)
    assert "支援措置の対象者です" in said
    assert "支援措置の縮小が申請されています" in said

    page = await guardian.get(f"/protection/loosenings/{number}")
    rows = re.findall(r'<tr class="changed">(.*?)</tr>', page.text)
    assert [text_of(row) for row in rows] == [
        " 住民基本台帳の閲覧（現住所） 希望する 希望しない ",
        " 併せて支援を求める者 縮小　花子、縮小　空 縮小　空 ".replace("　", " "),
    ]
    answer = await guardian.post(f"/protection/loosenings/{number}/decline", {"reason": ""})
    assert answer.status_code == 422
    answer = await guardian.post(f"/protection/loosenings/{number}/decline", {"reason": "本人に確かめていない"})
    said = text_of(answer.text)
    assert f"申請 {number} を却下しました" in said
    assert "田村 八重" in said
    assert "本人に確かめていない" in said
    assert "支援措置の対象者です" in (await clerk.get(f"/residents/{wife}")).text


async def test_an_ask_that_was_overtaken_says_so_and_its_asker_withdraws_it(
    protector: Browser, guardian: Browser, fleet: Fleet
) -> None:
    """R-12-3.2-QUA-01: nobody approves what they did not see; 取下げ by whoever asked."""
    (atena_no,) = await settle(fleet, family("追越", "オイコシ")[:1])
    measure_no = await begin(protector, atena_no)
    number = await ask_end(protector, measure_no)
    await guardian.get(f"/protection/loosenings/{number}")
    await protector.get(f"/protection/{measure_no}/amend")
    more = {"wishes": ["browsing", "copies", "removed_copies"]}
    await protector.post(f"/protection/{measure_no}/amend", {**protector.hidden(), **more})
    answer = await guardian.post(f"/protection/loosenings/{number}/approve")
    assert answer.status_code == 422
    assert "承認していません" in answer.text
    assert "この申請は承認できません" in answer.text
    assert "内容が変わり承認できません" in (await guardian.get("/protection/loosenings")).text
    answer = await guardian.post(f"/protection/loosenings/{number}/withdraw")
    assert answer.status_code == 422
    assert "取り下げられるのは申請した職員だけです" in answer.text
    await protector.get(f"/protection/loosenings/{number}")
    answer = await protector.post(f"/protection/loosenings/{number}/withdraw")
    assert f"申請 {number} を取り下げました" in text_of(answer.text), text_of(answer.text)
    assert f'/loosenings/{number}"' not in (await protector.get("/protection/loosenings")).text


async def test_a_suppression_is_let_go_for_good_only_by_a_second_clerk(
    protector: Browser, guardian: Browser, clerk: Browser, fleet: Fleet
) -> None:
    """R-1-B2-DAT-04, R-12-3.2-QUA-01: the same form as for a while, another way."""
    await clerk.state_purpose("inquiry")
    (atena_no,) = await settle(fleet, family("解止", "カイシ")[:1])
    await protector.state_purpose("protection")
    await protector.get(f"/residents/{atena_no}/protection")
    hold = {"process": "issue", "level": "error", "reason": "調査中"}
    answer = await protector.post(f"/residents/{atena_no}/suppress", hold)
    path = re.search(rf"/residents/{atena_no}/suppressions/\d+", answer.text)
    assert path
    await protector.get(path[0])
    answer = await protector.post(path[0], {"minutes": "0", "reason": "調査が終わった"})
    said = text_of(answer.text)
    assert "抑止の解除を申請しました" in said, said
    assert "解除の申請中（承認されるまで続きます）" in said
    number = str(answer.url).partition("no=")[2]
    await protector.get(path[0])
    answer = await protector.post(path[0], {"minutes": "0", "reason": "もう一度"})
    assert answer.status_code == 422
    assert f"申請 {number} を開いて" in answer.text
    assert "発行の抑止が設定されています" in (await clerk.get(f"/residents/{atena_no}")).text
    await guardian.get(f"/protection/loosenings/{number}")
    answer = await guardian.post(f"/protection/loosenings/{number}/approve")
    assert f"申請 {number} を承認しました" in text_of(answer.text), text_of(answer.text)
    assert "発行の抑止" not in (await clerk.get(f"/residents/{atena_no}")).text


async def test_the_queue_is_for_those_with_the_right_and_of_one_municipality(
    protector: Browser, clerk: Browser, neighbour: Browser, fleet: Fleet
) -> None:
    """R-1-3.3-PRV-01, R-1-3.6-TEN-01: no way in for the counter, and nothing there for the town next door."""
    (atena_no,) = await settle(fleet, family("隔壁", "カクヘキ")[:1])
    number = await ask_end(protector, await begin(protector, atena_no))
    assert "承認待ち" in (await protector.get("/")).text
    assert "支援措置・抑止の承認待ち" not in (await clerk.get("/")).text
    for path in ("/protection/loosenings", f"/protection/loosenings/{number}"):
        assert (await clerk.get(path)).status_code == 403
    assert (await clerk.post(f"/protection/loosenings/{number}/approve")).status_code == 403
    await neighbour.state_purpose("protection")
    page = await neighbour.get("/protection/loosenings")
    assert "承認を待つ申請はありません" in page.text
    assert (await neighbour.get(f"/protection/loosenings/{number}")).status_code == 404
    for verb in ("approve", "withdraw"):
        assert (await neighbour.post(f"/protection/loosenings/{number}/{verb}")).status_code == 404
    answer = await neighbour.post(f"/protection/loosenings/{number}/decline", {"reason": "よその町"})
    assert answer.status_code == 404
    assert "承認待ち" in text_of((await protector.get(f"/protection/loosenings/{number}")).text)
