"""The pages of the other duties: protection, the log, the account."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections.abc import AsyncIterator

import pyotp
import pytest_asyncio
from litestar import Litestar
from tests.web.counter import Browser, Town, family, settle, text_of

from juki.console import trail
from juki.dates import today_in_japan
from juki.tenancy import Fleet


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def auditor(application: Litestar, iwaki: Town, fleet: Fleet) -> AsyncIterator[Browser]:
    """The auditor."""
    terminal = next(n for n, t in enumerate(iwaki.made.terminals) if "audit" in t.functions)
    async with Browser(application, iwaki, terminal=terminal) as browser:
        await browser.log_in("kansa", fleet.clock())
        yield browser


async def test_protection_is_entered_shown_everywhere_and_its_end_is_asked_for_only_with_a_reason(
    protector: Browser, clerk: Browser, fleet: Fleet
) -> None:
    """R-1-B2-DAT-05: one year, on every page of the person, never ending silently, never by one person."""
    (atena_no,) = await settle(fleet, family("支援", "シエン")[:1])
    await protector.state_purpose("protection")
    await protector.get(f"/residents/{atena_no}/protection")
    begun = today_in_japan(fleet.clock()) - dt.timedelta(days=20)  # so that it is too early to renew
    answer = await protector.post(
        f"/residents/{atena_no}/protection", {"starts_on": begun.isoformat(), "wishes": ["browsing", "copies"]}
    )
    assert "支援措置の対象者です" in answer.text, text_of(answer.text)
    await clerk.state_purpose("certificate")
    for page in (f"/residents/{atena_no}", f"/residents/{atena_no}/certificate", f"/residents/{atena_no}/changes"):
        assert "支援措置の対象者です" in (await clerk.get(page)).text
    await clerk.get(f"/residents/{atena_no}/certificate")
    asked = {
        "kind": "resident", "relation": "third", "requester_name": "他人　太郎", "requester_address": "東京都",
        "identity": "photo", "purpose": "claim", "ground": "債権の回収", "authority": "契約書", "persons": atena_no,
        "copies": "1", "go": "preview", "requester": "",
    }  # fmt: skip
    answer = await clerk.post(f"/residents/{atena_no}/certificate", asked)
    assert answer.status_code == 422
    assert "data:application/pdf" not in answer.text
    assert "職員限り" in answer.text, text_of(answer.text)
    answer = await protector.get("/protection")
    assert "支援　一郎" in answer.text
    number = re.findall(r"/protection/(\d+)", answer.text)[-1]
    await protector.get(f"/protection/{number}")
    answer = await protector.post(f"/protection/{number}/ask-end", {"reason": ""})
    assert answer.status_code == 422
    answer = await protector.post(f"/protection/{number}/renew")
    assert answer.status_code == 422
    answer = await protector.post(f"/protection/{number}/ask-end", {"reason": "申出の取下げ"})
    assert "終了を申請しました" in answer.text, text_of(answer.text)
    assert (await protector.post(f"/protection/{number}/end", {"reason": "申出の取下げ"})).status_code == 404
    assert "支援措置の対象者です" in (await clerk.get(f"/residents/{atena_no}")).text


async def test_a_suppression_stops_and_is_shown(protector: Browser, clerk: Browser, fleet: Fleet) -> None:
    """標準仕様書 3.1: 抑止 is seen by whoever opens the person."""
    (atena_no,) = await settle(fleet, family("抑止", "ヨクシ")[:1])
    await protector.get(f"/residents/{atena_no}/protection")
    answer = await protector.post(
        f"/residents/{atena_no}/suppress", {"process": "issue", "level": "error", "reason": "調査中"}
    )
    assert "抑止を設定しました" in answer.text, text_of(answer.text)
    answer = await clerk.get(f"/residents/{atena_no}")
    assert "発行の抑止が設定されています" in answer.text


async def test_the_log_shows_who_looked_at_one_person(
    auditor: Browser, clerk: Browser, household: tuple[str, ...]
) -> None:
    """R-A-3.3-LOG-01, LOG-02: by period, by person, and the standard analyses; the clerk may not read it."""
    await clerk.state_purpose("inquiry")
    await clerk.get(f"/residents/{household[0]}")
    answer = await auditor.get("/audit")
    assert "標準分析" in answer.text
    assert "時間外の利用" in answer.text, text_of(answer.text)
    answer = await auditor.post("/audit", {"atena_no": household[0]})
    said = text_of(answer.text)
    assert "住民票の記録の照会" in said, said
    assert "本人又は世帯員からの問合せ" in said
    assert "渡邊" not in said
    number = answer.text.partition("/audit/")[2].partition('"')[0]
    answer = await auditor.get(f"/audit/{number}")
    assert household[0] in answer.text
    assert (await clerk.get("/audit")).status_code == 403


async def test_one_sees_ones_own_log_ins_and_changes_the_password(
    application: Litestar, iwaki: Town, fleet: Fleet
) -> None:
    """R-1-3.3-AUT-04: weak and repeated passwords are refused beside the field; the new one is taken."""
    async with Browser(application, iwaki, terminal=2) as browser:
        await browser.log_in("kakari", fleet.clock())
        answer = await browser.get("/account")
        assert "ログインの記録" in answer.text
        assert "完了" in text_of(answer.text), text_of(answer.text)
        secret = iwaki.secrets("kakari")
        await browser.get("/account/password")
        answer = await browser.post(
            "/account/password", {"old": secret.password, "password": "short", "again": "short"}
        )
        assert "12文字以上" in answer.text
        new = "Kumo-no-ue-42-hashi"
        answer = await browser.post("/account/password", {"old": "wrong", "password": new, "again": new})
        assert "今のパスワードが違います" in answer.text
        answer = await browser.post("/account/password", {"old": secret.password, "password": new, "again": new})
        assert "パスワードを変更しました" in answer.text, text_of(answer.text)
        answer = await browser.post("/logout")
        assert "ログイン" in answer.text
        answer = await browser.get("/search")
        assert "検索する" not in answer.text


async def test_the_second_factor_is_renewed_only_with_password_and_a_code_of_the_new_secret(
    application: Litestar, iwaki: Town, fleet: Fleet
) -> None:
    """R-A-3.3-AUT-01: taking over an open screen is not enough to take over the account."""
    async with Browser(application, iwaki, terminal=2) as browser:
        await browser.log_in("kacho", fleet.clock())
        await browser.get("/account/totp")
        secret = browser.hidden()["otp_secret"][0]
        right = pyotp.TOTP(secret).at(fleet.clock())
        password = iwaki.secrets("kacho").password
        given = {"otp_secret": secret, "password": "wrong", "otp": right}
        assert (await browser.post("/account/totp", given)).status_code == 422
        given = {"otp_secret": secret, "password": password, "otp": "000000"}
        assert (await browser.post("/account/totp", given)).status_code == 422
        answer = await browser.post("/account/totp", {"otp_secret": secret, "password": password, "otp": right})
        assert "ワンタイムコードの登録を更新しました" in answer.text, text_of(answer.text)


async def test_a_measure_sent_twice_is_one_and_a_provisional_one_is_decided(
    protector: Browser, clerk: Browser, fleet: Fleet
) -> None:
    """R-1-B2-DAT-05: 仮支援措置 becomes 支援措置 by a decision; the page says from when it may be renewed."""
    (atena_no,) = await settle(fleet, family("仮措置", "カリソチ")[:1])
    path = f"/residents/{atena_no}/protection"
    await protector.get(path)
    form = {**protector.hidden(), "provisional": "1", "starts_on": "R8.11.2", "wishes": ["copies"]}
    answers = await asyncio.gather(*(protector.post(path, form) for _ in range(2)))
    numbers = {str(answer.url).partition("no=")[2] for answer in answers}
    assert len(numbers) == 1, numbers
    (number,) = numbers
    answer = await protector.get(f"/protection/{number}")
    assert "支援措置の決定" in answer.text
    assert "/renew" not in answer.text
    answer = await protector.post(f"/protection/{number}/decide", {"starts_on": ""})
    assert answer.status_code == 422
    answer = await protector.post(f"/protection/{number}/decide", {"starts_on": "R8.11.10"})
    said = text_of(answer.text)
    assert "支援措置にしました" in said, said
    assert "令和9年11月9日" in said
    assert "令和9年10月9日" in said
    assert "会津　四葉" in answer.text


async def test_the_page_of_somebody_who_lives_with_a_person_held_back_opens_and_says_so(
    protector: Browser, clerk: Browser, fleet: Fleet
) -> None:
    """SS 3.1: the family is opened by any clerk; who is held back from 照会 is in the list without a name, in words."""
    head, wife, _child = await settle(fleet, family("照止", "ショウシ"))
    await protector.state_purpose("protection")
    await protector.get(f"/residents/{head}/protection")
    await protector.post(f"/residents/{head}/suppress", {"process": "inquiry", "level": "error", "reason": "調査中"})
    await clerk.state_purpose("inquiry")
    answer = await clerk.get(f"/residents/{wife}")
    assert answer.status_code == 200
    said = text_of(answer.text)
    assert "同じ世帯に、照会を抑止している方がいます" in said
    assert "照会の抑止により表示していません" in said
    assert "照止 一郎" not in said.replace("　", " ")
    assert "照止 花子" in said.replace("　", " ")
    assert (await clerk.get(f"/residents/{head}")).status_code == 403
    assert "照止 一郎" in text_of((await protector.get(f"/residents/{wife}")).text).replace("　", " ")


async def test_a_suppression_is_released_for_a_while_with_a_reason(
    protector: Browser, guardian: Browser, fleet: Fleet
) -> None:
    """標準仕様書 3.1, ADR 0011: 一時解除 with a reason, from the person's page; the second of a day by another clerk."""
    (atena_no,) = await settle(fleet, family("解除", "カイジョ")[:1])
    await protector.state_purpose("protection")
    await protector.get(f"/residents/{atena_no}/protection")
    hold = {"process": "issue", "level": "alert", "reason": "調査中"}
    answer = await protector.post(f"/residents/{atena_no}/suppress", hold)
    link = re.search(rf"/residents/{atena_no}/suppressions/(\d+)", answer.text)
    assert link, text_of(answer.text)
    path = f"/residents/{atena_no}/suppressions/{link[1]}"
    await protector.get(path)
    answer = await protector.post(path, {"minutes": "30", "reason": ""})
    assert answer.status_code == 422
    answer = await protector.post(path, {"minutes": "30", "reason": "本人と確かめた"})
    assert "抑止を一時解除しました" in answer.text, text_of(answer.text)
    assert "一時解除中" in answer.text
    await protector.get(path)
    answer = await protector.post(path, {"minutes": "240", "reason": "まだ終わらない"})
    assert answer.status_code == 422
    assert "ほかの職員に一時解除を依頼するか" in answer.text, text_of(answer.text)
    assert 'value="まだ終わらない"' in answer.text
    await guardian.state_purpose("protection")
    await guardian.get(path)
    answer = await guardian.post(path, {"minutes": "30", "reason": "代わって確かめた"})
    assert "抑止を一時解除しました" in answer.text, text_of(answer.text)
    answer = await protector.get(f"/residents/{atena_no}/suppressions/999999999")
    assert answer.status_code == 404


async def test_the_conditions_of_the_log_hold_together_and_it_speaks_in_names(
    auditor: Browser, clerk: Browser, household: tuple[str, ...]
) -> None:
    """R-A-3.3-LOG-01: one person, one operator by log-in name and one kind of operation at once."""
    await clerk.state_purpose("inquiry")
    await clerk.get(f"/residents/{household[0]}")
    await auditor.get("/audit")
    login = clerk.town.secrets("uketsuke").login
    asked = {"atena_no": household[0], "actor": login, "action": "resident.read"}
    answer = await auditor.post("/audit", asked)
    rows = re.findall(r"<tr>(?!<th scope=.col).*?</tr>", answer.text, re.DOTALL)
    assert rows
    assert all("住民票の記録の照会" in row and "白河　花子" in row for row in rows)
    answer = await auditor.post("/audit", asked | {"result": "refused"})
    assert "条件に合う操作はありません" in answer.text
    answer = await auditor.get("/audit")
    counts = [int(n) for n in re.findall(r"ID別のログイン回数.*?<td>(\d+)件", answer.text, re.DOTALL)]
    assert counts == sorted(counts, reverse=True)
    assert len(counts) > 1
    answer = await auditor.post("/audit", {"since": "R8.11.24", "until": "R8.11.23", "actor": "nobody"})
    assert answer.status_code == 422
    assert all(word in answer.text for word in ("始まりの日より前", "このログイン名の操作者はいません"))


def test_a_finding_names_operators_or_the_terminal() -> None:
    """screens: nothing is shown in English, and no operator by number where there is a name."""
    named = {"op-1": "白河　花子", "op-2": "相馬　次郎"}
    assert trail.who("terminal IWK-01", named) == "端末 IWK-01"
    assert trail.who("op-1, op-2", named) == "白河　花子、相馬　次郎"
