"""認証とセッション, each rule of the assessment by its control id."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from typing import Any

import msgspec
import pytest
from pyotp.totp import TOTP

from juki import audit
from juki.access import accounts, grants, hours, store, terminals
from juki.access.model import Caller, NotSignedIn, system
from juki.access.sessions import Login, Opened
from juki.config import Config
from juki.problem import Invalid, JukiError, Refused
from juki.tenancy import Fleet

from .conftest import HIRONO, IWAKI, Town, settled


async def code_of(awaited: Any) -> str:
    """Code of the refusal an awaitable ends with; empty where it does not."""
    try:
        await awaited
    except JukiError as e:
        return e.code
    return ""


async def last_login(town: Town) -> audit.Entry:
    """The newest log-in in the log."""
    auditor = Caller(tenant=town.code, actor_id="op-auditor", rights=frozenset({"audit.read"}))
    async with audit.operation(
        town.fleet, auditor, "audit.list", purpose="点検", right="audit.read", write=False
    ) as op:
        return (await audit.listing(op, audit.Filter(action="session.login", limit=1)))[0]


async def test_a_named_person_comes_in_with_password_and_one_time_code(town: Town) -> None:
    """R-A-3.3-AUT-01: one account of one person, at a registered terminal, with the rights of the duty."""
    opened = await town.sign_in("sato.m")
    caller = await town.resume(opened)
    assert (caller.actor_id, caller.duty, caller.office) == (town.id_of("sato.m"), "窓口", "shimin")
    assert caller.may("change.enter")
    assert not caller.may("change.confirm")
    assert opened.name == "佐藤　みどり"
    assert "佐藤" not in repr(opened)
    assert opened.token not in repr(opened)


@pytest.mark.parametrize("wrong", ["password", "otp", "name"])
async def test_wrong_password_code_and_name_answer_the_same_and_are_logged(town: Town, wrong: str) -> None:
    """R-A-3.3-AUT-01, R-A-3.3-LOG-01: nobody learns which of the three was wrong; every failure is a row."""
    right = town.login("sato.m")
    typed = Login(
        login_name="nobody" if wrong == "name" else right.login_name,
        password="wrong" if wrong == "password" else right.password,
        otp="000000" if wrong == "otp" else right.otp,
    )
    with pytest.raises(NotSignedIn) as refused:
        await audit.sign_in(town.fleet, IWAKI, typed, town.token("IWK-HON-01"))
    assert (refused.value.code, refused.value.status) == ("access.login_failed", 401)
    entry = await last_login(town)
    known = "unknown" if wrong == "name" else town.id_of("sato.m")
    assert (entry.result, entry.code, entry.facts) == (
        "refused", "access.login_failed", {"terminal": "IWK-HON-01", "operator": known},
    )  # fmt: skip


async def test_nobody_comes_in_by_the_id_of_an_account(town: Town) -> None:
    """R-A-3.3-AUT-01: ids stand in the log and on pages; only the log-in name is a name to log in with."""
    typed = msgspec.structs.replace(town.login("sato.m"), login_name=town.id_of("sato.m"))
    assert await code_of(audit.sign_in(town.fleet, IWAKI, typed, town.token("IWK-HON-01"))) == "access.login_failed"


async def test_an_unknown_name_takes_as_long_as_a_wrong_password(fresh_config: Config) -> None:
    """R-A-3.3-AUT-01: nobody finds out by the clock which names have accounts."""
    fleet = await Fleet.open(msgspec.structs.replace(fresh_config, argon2_passes=4, argon2_memory_kib=32_768))
    town = await settled(fleet)

    async def quickest(login_name: str) -> float:
        took: list[float] = []
        for _ in range(3):
            begun = time.perf_counter()
            typed = msgspec.structs.replace(town.login("sato.m", password="guess"), login_name=login_name)
            await code_of(audit.sign_in(town.fleet, IWAKI, typed, town.token("IWK-HON-01")))
            took.append(time.perf_counter() - begun)
        return min(took)

    try:
        assert await quickest("nobody") > await quickest("sato.m") / 2
    finally:
        await fleet.close()


async def test_a_one_time_code_works_once(town: Town) -> None:
    """R-A-3.3-AUT-01 (RFC 6238 5.2): a code seen over the shoulder is worth nothing, an older one neither."""
    typed = town.login("sato.m")
    await audit.sign_in(town.fleet, IWAKI, typed, town.token("IWK-HON-01"))
    assert await code_of(audit.sign_in(town.fleet, IWAKI, typed, town.token("IWK-HON-01"))) == "access.login_failed"
    older = town.login("sato.m", otp=TOTP(town.made.operators[0].otp_secret).at(town.now - dt.timedelta(seconds=30)))
    assert await code_of(audit.sign_in(town.fleet, IWAKI, older, town.token("IWK-HON-01"))) == "access.login_failed"


async def test_five_failures_lock_the_account_for_a_time(town: Town) -> None:
    """R-A-3.3-AUT-01: guessing stops; the right password is refused too until the lock ends."""
    for _ in range(5):
        assert await code_of(town.sign_in("sato.m", password="guess")) == "access.login_failed"
    assert await code_of(town.sign_in("sato.m")) == "access.locked"
    town.later(minutes=15)
    assert await code_of(town.sign_in("sato.m")) == ""
    async with audit.operation(town.fleet, system(IWAKI, "test"), "account.list", purpose="試験", write=False) as op:
        steps = await store.account_events(op.session, town.id_of("sato.m"))
    assert [step[0] for step in steps].count("locked") == 1


async def test_a_lock_made_while_the_clock_ran_a_year_ahead_ends_with_it(town: Town) -> None:
    """R-A-3.3-AUT-01: no code fits a wrong clock, so everybody who tried was locked out until the day it had shown."""
    town.later(days=365)
    for _ in range(5):
        assert await code_of(town.sign_in("sato.m", password="guess")) == "access.login_failed"
    assert await code_of(town.sign_in("sato.m")) == "access.locked"
    town.later(days=-365)
    assert await code_of(town.sign_in("sato.m")) == ""


async def test_parallel_guesses_are_counted_one_by_one(town: Town) -> None:
    """R-A-3.3-AUT-01: a hundred hands guess no more often than one."""
    typed = town.login("sato.m", password="guess")
    attempts = [audit.sign_in(town.fleet, IWAKI, typed, town.token("IWK-HON-01")) for _ in range(10)]
    answers = [e.code for e in await asyncio.gather(*attempts, return_exceptions=True) if isinstance(e, JukiError)]
    assert sorted(answers) == ["access.locked"] * 5 + ["access.login_failed"] * 5


async def test_one_account_is_not_used_on_two_terminals(town: Town) -> None:
    """R-1-3.3-AUT-02: a parallel session is refused and logged; on the same terminal the new one replaces the old."""
    first = await town.sign_in("sato.m", "IWK-HON-01")
    assert await code_of(town.sign_in("sato.m", "IWK-HON-02")) == "access.session_elsewhere"
    assert (await last_login(town)).code == "access.session_elsewhere"
    second = await town.sign_in("sato.m", "IWK-HON-01")
    assert await code_of(town.resume(first)) == "access.session_ended"
    await town.resume(second)


async def test_two_log_ins_at_the_same_moment_leave_one_session(town: Town) -> None:
    """R-1-3.3-AUT-02: a race does not make two sessions."""
    typed = town.login("sato.m")
    both = [audit.sign_in(town.fleet, IWAKI, typed, town.token(t)) for t in ("IWK-HON-01", "IWK-HON-02")]
    answers = await asyncio.gather(*both, return_exceptions=True)
    assert len([a for a in answers if isinstance(a, Opened)]) == 1


async def test_a_password_half_a_year_old_opens_nothing_but_its_change(town: Town) -> None:
    """R-1-3.3-AUT-04: past the term the account has no right until the password is changed."""
    town.later(days=182)
    before = await town.resume(await town.sign_in("sato.m"))
    assert before.may("resident.search")
    town.later(days=4)  # a Monday? the next line would be refused out of hours otherwise
    while town.now.isoweekday() > 5:
        town.later(days=1)
    opened = await town.sign_in("sato.m")
    held = await town.resume(opened)
    assert (held.password_due, held.rights) == (True, frozenset())
    old = town.login("sato.m").password
    await audit.change_password(town.fleet, held, old, "Kawa-to-yama-2026")
    renewed = await town.resume(opened)
    assert renewed.may("resident.search")
    assert await code_of(town.sign_in("sato.m", password=old)) == "access.login_failed"
    assert await code_of(town.sign_in("sato.m", password="Kawa-to-yama-2026")) == ""


@pytest.mark.parametrize(
    ("new", "rule"),
    [("short-1", "too_short"), ("aaaaaaaaaaaaaa", "too_uniform"), ("xx-sato.m-xxyz", "contains_own_name")],
)
async def test_a_weak_new_password_is_refused(town: Town, new: str, rule: str) -> None:
    """R-1-3.3-AUT-04: what replaces a password is worth it; the old one again is not."""
    caller = await town.resume(await town.sign_in("sato.m"))
    with pytest.raises(Invalid) as refused:
        await audit.change_password(town.fleet, caller, town.login("sato.m").password, new)
    assert refused.value.fields == {"password": rule}
    same = town.login("sato.m").password
    assert await code_of(audit.change_password(town.fleet, caller, same, same)) == "access.password_same"


async def test_the_same_person_reaches_less_on_a_terminal_for_less(town: Town) -> None:
    """R-1-3.3-PRV-02: what the terminal is not registered for is refused, and logged."""
    boss = "endo.y"
    here = await town.resume(await town.sign_in(boss, "IWK-HON-01"))
    assert here.rights == {"account.manage", "offboard.approve"}
    await audit.sign_out(town.fleet, here)
    there = await town.resume(await town.sign_in(boss, "IWK-HON-02"), "IWK-HON-02")
    assert there.rights == frozenset()
    with pytest.raises(Refused) as refused:
        async with audit.operation(town.fleet, there, "account.list", purpose="点検", right="account.manage"):
            pass
    assert refused.value.code == "access.right_missing"


async def test_an_unregistered_terminal_is_refused_with_a_valid_user(town: Town) -> None:
    """R-1-3.3-USE-02: neither no cookie, nor a made-up one, nor another municipality's opens the door; all are logged."""
    for token in ("", f"{IWAKI}.made-up", f"{HIRONO}.{town.token('IWK-HON-01').partition('.')[2]}"):
        answer = await code_of(audit.sign_in(town.fleet, IWAKI, town.login("sato.m"), token))
        assert answer == "access.terminal_unknown"
        assert (await last_login(town)).facts["terminal"] == "unregistered"


async def test_a_session_taken_to_another_terminal_is_refused_and_logged(town: Town) -> None:
    """R-1-3.3-USE-02: a stolen session cookie is worth nothing elsewhere."""
    opened = await town.sign_in("sato.m", "IWK-HON-01")
    assert await code_of(town.resume(opened, "IWK-HON-02")) == "access.session_terminal"
    assert await code_of(audit.resume(town.fleet, HIRONO, opened.token, town.token("IWK-HON-01"))) == (
        "access.session_unknown"
    )
    assert await code_of(audit.resume(town.fleet, IWAKI, opened.token + "x", "")) == "access.session_unknown"
    await town.resume(opened)


async def test_outside_hours_only_with_an_approval_given_beforehand(town: Town) -> None:
    """R-1-3.3-USE-01: refused in the evening, let in with an approval for this person, terminal and time, not longer."""
    opened = await town.sign_in("sato.m")
    head = await town.resume(await town.sign_in("kimura.j", "IWK-HON-09"), "IWK-HON-09")
    evening = town.now.replace(hour=9, minute=0)  # 18:00 in Japan
    span = (evening, evening + dt.timedelta(hours=2))
    async with audit.operation(town.fleet, head, "access.hours", purpose="承認", right="account.approve") as op:
        assert await code_of(hours.approve(op.work, town.id_of("kimura.j"), "IWK-HON-09", *span, "自分")) == (
            "access.own_request"
        )
    town.now = evening
    assert await code_of(town.resume(opened)) == "access.session_ended"  # idle since noon
    assert await code_of(town.sign_in("sato.m")) == "access.out_of_hours"
    town.now = evening - dt.timedelta(hours=2)
    async with audit.operation(town.fleet, head, "access.hours", purpose="承認", right="account.approve") as op:
        await hours.approve(op.work, town.id_of("sato.m"), "IWK-HON-01", *span, "年度末の処理")
    town.now = evening + dt.timedelta(minutes=2)
    late = await town.sign_in("sato.m")
    assert await code_of(town.sign_in("suzuki.k")) == "access.out_of_hours"
    assert await code_of(town.sign_in("sato.m", "IWK-HON-02")) == "access.out_of_hours"
    while town.now < span[1] - dt.timedelta(minutes=20):
        town.later(minutes=20)
        await town.resume(late)
    town.later(minutes=25)
    assert await code_of(town.resume(late)) == "access.out_of_hours"


async def test_a_session_ends_when_idle_and_in_any_case_after_a_working_day(town: Town) -> None:
    """R-A-3.3-AUT-01: an abandoned desk closes itself."""
    town.now = town.now.replace(hour=0)  # 09:00 in Japan
    opened = await town.sign_in("sato.m")
    town.later(minutes=29)
    await town.resume(opened)
    town.later(minutes=29)
    await town.resume(opened)
    town.later(minutes=31)
    assert await code_of(town.resume(opened)) == "access.session_ended"


async def test_suspending_an_account_or_a_terminal_ends_its_session_at_once(town: Town) -> None:
    """R-23-3.3-PRV-03, R-1-3.3-PRV-05: the next call is refused, and so is the next log-in."""
    opened = await town.sign_in("sato.m")
    boss = system(IWAKI, "test", {"account.manage"})
    async with audit.operation(town.fleet, boss, "account.suspend", purpose="停止") as op:
        await accounts.suspend(op.work, town.id_of("sato.m"), "test")
    assert await code_of(town.resume(opened)) == "access.session_ended"
    assert await code_of(town.sign_in("sato.m")) == "access.account_closed"
    other = await town.sign_in("suzuki.k")
    async with audit.operation(town.fleet, boss, "terminal.suspend", purpose="停止") as op:
        await terminals.suspend(op.work, "IWK-HON-01")
    assert await code_of(town.resume(other)) == "access.session_ended"
    assert await code_of(town.sign_in("suzuki.k")) == "access.terminal_unknown"


async def test_a_revoked_duty_is_gone_with_the_next_call(town: Town) -> None:
    """R-23-3.3-PRV-03: rights are looked up for every call, not remembered by the session."""
    opened = await town.sign_in("sato.m")
    assert (await town.resume(opened)).may("resident.read")
    boss = system(IWAKI, "test", {"account.manage"})
    async with audit.operation(town.fleet, boss, "account.revoke", purpose="失効") as op:
        number = (await grants.held_by(op.work, town.id_of("sato.m")))[0].grant_no
        await grants.revoke(op.work, number, "duty_changed")
    assert await code_of(town.resume(opened)) == "access.session_ended"
    again = await town.resume(await town.sign_in("sato.m"))
    assert again.rights == frozenset()


async def test_logging_out_ends_the_session(town: Town) -> None:
    """R-1-3.6-LOG-01: log-in and log-out are entries; the token is worth nothing afterwards."""
    opened = await town.sign_in("sato.m")
    caller = await town.resume(opened)
    await audit.sign_out(town.fleet, caller)
    assert await code_of(town.resume(opened)) == "access.session_ended"


async def test_the_rule_about_passwords_is_accepted_yearly(town: Town) -> None:
    """R-1-3.3-AUT-03: a year later nobody comes in without accepting the rule again."""
    town.later(days=371)
    while town.now.isoweekday() > 5:
        town.later(days=1)
    boss = system(IWAKI, "test", {"account.manage"})
    assert await code_of(town.sign_in("sato.m")) == "access.rules_not_accepted"
    assert await code_of(town.sign_in("sato.m", rules=True)) == ""
    assert boss.actor_kind == "system"


async def test_a_terminal_is_enrolled_once_with_its_code(town: Town) -> None:
    """R-1-3.3-USE-02: the code works once and for a day; the terminal's former token is void from then on."""
    code = next(t.enrol_code for t in town.made.terminals if t.id == "IWK-HON-01")
    token, terminal = await audit.enrol_terminal(town.fleet, IWAKI, code.lower())
    assert terminal == "IWK-HON-01"
    assert await audit.terminal_id(town.fleet, IWAKI, token) == "IWK-HON-01"
    assert await audit.terminal_id(town.fleet, IWAKI, town.token("IWK-HON-01")) is None
    assert await code_of(audit.enrol_terminal(town.fleet, IWAKI, code)) == "access.enrol_code"
    other = next(t.enrol_code for t in town.made.terminals if t.id == "IWK-HON-02")
    assert await code_of(audit.enrol_terminal(town.fleet, HIRONO, other)) == "access.enrol_code"
    town.later(hours=25)
    assert await code_of(audit.enrol_terminal(town.fleet, IWAKI, other)) == "access.enrol_code"


async def test_guessing_the_password_at_an_open_desk_locks_and_ends_the_session(town: Town) -> None:
    """R-1-3.3-AUT-03: changing password or one-time secret asks for the password, and counts wrong ones."""
    opened = await town.sign_in("sato.m")
    caller = await town.resume(opened)
    for number in range(5):
        change = audit.change_password(town.fleet, caller, "guess", "Kawa-to-yama-2026")
        renew = audit.change_otp(town.fleet, caller, "guess", town.made.operators[1].otp_secret, "000000")
        deed, unused = (change, renew) if number % 2 else (renew, change)
        unused.close()
        assert await code_of(deed) == "access.login_failed"
    assert await code_of(town.resume(opened)) == "access.session_ended"
    assert await code_of(town.sign_in("sato.m")) == "access.locked"
