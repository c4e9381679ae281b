"""緩和の申請と承認: what protects somebody less is asked for by one person and approved by another, or does not happen."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import psycopg
import pytest
from tests.registry.conftest import Desk, family, newcomer
from tests.registry.test_killed import kill, results, sweep_later

from juki import registry
from juki.access.model import Caller
from juki.audit import Operation, operation
from juki.commands.rotate import SEALED
from juki.config import Config
from juki.dates import JST, RegistryDate
from juki.problem import Conflict, Invalid, JukiError, NotFound, Refused
from juki.registry import loosening_store
from juki.registry.model import Level, LooseningKind, LooseningState, Process, SupportMeasure, Wish
from juki.tenancy import Fleet, bulk, rotate_root
from juki.vault import open_kms

Work = Callable[[Operation], Awaitable[Any]]
WHY = "本人の申出による"


async def protected(desk: Desk, name: str, **more: Any) -> tuple[str, int]:
    """宛名番号 of somebody under a measure, and its number."""
    (atena_no,) = (await desk.make(family(newcomer(name, "世帯主"), day=dt.date(2026, 11, 10)))).new_atena_nos
    given: dict[str, Any] = {
        "name": name,
        "birth": RegistryDate(1980, 4, 1, "S"),
        "address": "福島県いわき市平字梅本21番地の1",
        "atena_no": atena_no,
        "starts_on": dt.date(2026, 11, 20),
        "copies": Wish(wanted=True),
    }
    content = SupportMeasure(**(given | more))
    return atena_no, await desk.do(desk.guardian, lambda op: registry.enter_protection(op, content))


async def held(desk: Desk, name: str) -> tuple[str, int]:
    """宛名番号 of somebody for whom nothing is issued, and the number of the 抑止."""
    (atena_no,) = (await desk.make(family(newcomer(name, "世帯主"), day=dt.date(2026, 11, 10)))).new_atena_nos
    (number,) = await desk.do(
        desk.guardian,
        lambda op: registry.suppress(
            op, [atena_no], Process.ISSUE, Level.ERROR, starts_on=dt.date(2026, 11, 1), reason="確認中"
        ),
    )
    return atena_no, number


async def two_more(desk: Desk, surname: str) -> tuple[str, str]:
    """Two more residents, each in a household of their own."""
    made = [await desk.make(family(newcomer(f"{surname}　{name}", "世帯主"))) for name in ("子", "姉")]
    return made[0].new_atena_nos[0], made[1].new_atena_nos[0]


async def ask_end(desk: Desk, measure_no: int, who: Caller | None = None) -> int:
    """終了の申請."""
    return await desk.do(who or desk.guardian, lambda op: registry.ask_end(op, measure_no, WHY))


async def refused_to(desk: Desk, atena_no: str, relation: str = "third") -> bool:
    """Whether a certificate is refused to this kind of applicant, as to somebody unknown."""
    return await desk.paper_refused(atena_no, relation) == "certificates.not_available"


async def versions(desk: Desk, measure_no: int) -> list[str]:
    """States of a measure, version by version."""
    found = await desk.do(desk.guardian, lambda op: registry.measure_history(op, measure_no))
    return [measure.state.value for measure in found]


async def view(desk: Desk, loosening_no: int, who: Caller | None = None) -> registry.LooseningView:
    """The ask as somebody sees it."""
    return await desk.do(who or desk.guardian, lambda op: registry.loosening(op, loosening_no))


async def code_of(work: Awaitable[Any]) -> str:
    """Code of the refusal, empty where it went through."""
    try:
        await work
    except JukiError as error:
        return error.code
    return ""


async def test_an_end_that_is_asked_for_changes_nothing_until_another_person_approves(desk: Desk) -> None:
    """R-12-3.2-QUA-01, R-1-B2-DAT-05: the third party is refused until the approval, not until the ask."""
    atena_no, measure_no = await protected(desk, "終了　申請")
    number = await ask_end(desk, measure_no)
    assert await versions(desk, measure_no) == ["in_force"]
    assert await refused_to(desk, atena_no)
    standing = await desk.do(desk.clerk, lambda op: registry.protection(op, atena_no))
    assert (standing.protected, standing.asked) == (True, (LooseningKind.END,))
    waiting = await desk.do(desk.other_guardian, registry.loosenings)
    assert number in [w.loosening.loosening_no for w in waiting if w.may_approve]

    await desk.approve(number)
    assert await versions(desk, measure_no) == ["in_force", "ended"]
    assert not await refused_to(desk, atena_no)
    standing = await desk.do(desk.clerk, lambda op: registry.protection(op, atena_no))
    assert (standing.protected, standing.asked) == (False, ())
    last = (await desk.do(desk.guardian, lambda op: registry.measure_history(op, measure_no)))[-1]
    assert (last.content.ended_because, last.entered_by) == (WHY, "op-protect")
    approved = await desk.do(desk.guardian, lambda op: registry.approvals(op, measure_no))
    assert approved == {2: (number, "op-approve")}
    done = await view(desk, number)
    assert [(s.state.value, s.done_by) for s in done.loosening.steps] == [
        ("asked", "op-protect"),
        ("approved", "op-approve"),
    ]
    assert not done.loosening.stale
    assert number not in [w.loosening.loosening_no for w in await desk.do(desk.guardian, registry.loosenings)]


async def test_whoever_asked_can_neither_approve_nor_decline(desk: Desk) -> None:
    """R-12-3.2-QUA-01: 入力者以外による照合, whatever the rights of the one who asked."""
    atena_no, measure_no = await protected(desk, "同一　職員")
    number = await ask_end(desk, measure_no)
    for work in (registry.approve_loosening, lambda op, n: registry.decline_loosening(op, n, "理由")):
        with pytest.raises(Refused) as caught:
            await desk.do(desk.guardian, lambda op, w=work: w(op, number))
        assert caught.value.code == "registry.own_loosening"
    own = await view(desk, number)
    assert (own.own, own.may_approve, own.may_decline, own.may_withdraw) == (True, False, False, True)
    assert await versions(desk, measure_no) == ["in_force"]
    assert await refused_to(desk, atena_no)


@pytest.mark.parametrize("state", ["approved", "declined"])
async def test_the_database_itself_keeps_the_two_persons_apart(desk: Desk, config: Config, state: str) -> None:
    """R-12-3.2-QUA-01: a program that forgets the rule is refused by the table, and no ask ends twice."""
    _, measure_no = await protected(desk, f"壁　{state}")
    number = await ask_end(desk, measure_no)
    step = (
        "INSERT INTO t072044.loosening_step (loosening_no, step_no, state, asked_by, done_by, done_at) "
        "VALUES (%s, %s, %s, %s, %s, now())"
    )
    for by, asked_by, step_no in (
        ("op-protect", "op-protect", 2),  # approving what one asked for
        ("op-protect", "op-approve", 2),  # and giving somebody else as the one who asked
        ("op-approve", "op-protect", 3),  # a third step
    ):
        with bulk(config, "072044") as connection, pytest.raises(psycopg.errors.IntegrityError):
            connection.execute(step, (number, step_no, state, asked_by, by))


async def test_an_ask_for_a_measure_that_moved_on_is_stale_and_asked_anew(desk: Desk) -> None:
    """R-12-3.2-QUA-01: the second person approves what the first one saw, nothing else."""
    atena_no, measure_no = await protected(desk, "申請　古い")
    number = await ask_end(desk, measure_no)
    (now,) = await desk.do(desk.guardian, lambda op: registry.measure_history(op, measure_no))
    wider = msgspec.structs.replace(now.content, browsing=Wish(wanted=True))
    await desk.do(desk.guardian, lambda op: registry.amend_protection(op, measure_no, wider))
    seen = await view(desk, number, desk.other_guardian)
    assert (seen.loosening.stale, seen.may_approve, seen.may_decline) == (True, False, True)
    with pytest.raises(Conflict) as caught:
        await desk.approve(number)
    assert caught.value.code == "registry.loosening_stale"
    assert await versions(desk, measure_no) == ["in_force", "in_force"]
    standing = await desk.do(desk.clerk, lambda op: registry.protection(op, atena_no))
    assert (standing.protected, standing.asked) == (True, ())

    anew = await ask_end(desk, measure_no)
    await desk.do(desk.other_guardian, lambda op: registry.decline_loosening(op, number, "内容が変わった"))
    await desk.approve(anew)
    assert await versions(desk, measure_no) == ["in_force", "in_force", "ended"]


async def test_a_renewal_between_the_look_and_the_approval_wins(desk: Desk) -> None:
    """R-1-B2-DAT-05: what protects more is never undone by an approval that did not see it."""
    _, measure_no = await protected(desk, "延長　先", starts_on=dt.date(2025, 11, 21))
    number = await ask_end(desk, measure_no)
    await desk.do(desk.guardian, lambda op: registry.renew_protection(op, measure_no))
    assert await code_of(desk.approve(number)) == "registry.loosening_stale"
    assert await versions(desk, measure_no) == ["in_force", "in_force"]


async def test_asking_twice_names_the_ask_that_waits(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """One ask at a time, also where two persons ask at the same moment and each looks before the other writes."""
    _, measure_no = await protected(desk, "二重　申請")
    look = loosening_store.waiting_of_measures

    async def slow(*given: Any) -> Any:
        found = await look(*given)
        await asyncio.sleep(0.3)
        return found

    monkeypatch.setattr(loosening_store, "waiting_of_measures", slow)
    numbers = await asyncio.gather(
        ask_end(desk, measure_no), ask_end(desk, measure_no, desk.other_guardian), return_exceptions=True
    )
    (made,) = [n for n in numbers if isinstance(n, int)]
    (error,) = [n for n in numbers if isinstance(n, Conflict)]
    assert (error.code, error.facts) == ("registry.loosening_waits", {"loosening_no": made})
    with pytest.raises(Conflict) as caught:
        await ask_end(desk, measure_no)
    assert caught.value.facts == {"loosening_no": made}


async def test_of_two_who_approve_at_once_one_wins_and_the_other_is_told(desk: Desk) -> None:
    """R-12-3.2-QUA-01: one end, whoever was quicker; sent again it is refused too."""
    _, measure_no = await protected(desk, "同時　承認")
    number = await ask_end(desk, measure_no)
    third = msgspec.structs.replace(desk.other_guardian, actor_id="op-third")
    tried = [desk.do(who, lambda op: registry.approve_loosening(op, number)) for who in (desk.other_guardian, third)]
    assert sorted(await asyncio.gather(*map(code_of, tried))) == ["", "registry.loosening_ended"]
    assert await versions(desk, measure_no) == ["in_force", "ended"]
    assert await code_of(desk.approve(number)) == "registry.loosening_ended"
    assert await code_of(ask_end(desk, measure_no)) == "registry.measure_state"


async def test_declining_needs_a_reason_and_leaves_everything_as_it_was(desk: Desk) -> None:
    """R-1-B2-DAT-05: the reason is kept; asking again is possible."""
    atena_no, measure_no = await protected(desk, "却下　理由")
    number = await ask_end(desk, measure_no)
    silent = desk.do(desk.other_guardian, lambda op: registry.decline_loosening(op, number, " "))
    assert await code_of(silent) == "registry.reason_missing"
    await desk.do(desk.other_guardian, lambda op: registry.decline_loosening(op, number, "本人に確かめていない"))
    done = (await view(desk, number)).loosening
    assert (done.state, done.steps[-1].comment) == (LooseningState.DECLINED, "本人に確かめていない")
    assert await refused_to(desk, atena_no)
    assert await code_of(desk.approve(number)) == "registry.loosening_ended"
    await desk.approve(await ask_end(desk, measure_no))
    assert not await refused_to(desk, atena_no)


async def test_only_the_one_who_asked_withdraws(desk: Desk) -> None:
    """取下げ: nothing happened, and nothing can be approved any more."""
    _, measure_no = await protected(desk, "取下　本人")
    number = await ask_end(desk, measure_no)

    async def withdraw(op: Operation) -> None:
        await registry.withdraw_loosening(op, number)

    assert await code_of(desk.do(desk.other_guardian, withdraw)) == "registry.not_own_loosening"
    await desk.do(desk.guardian, withdraw)
    assert (await view(desk, number)).loosening.state is LooseningState.WITHDRAWN
    for late in (desk.approve(number), desk.do(desk.guardian, withdraw)):
        assert await code_of(late) == "registry.loosening_ended"
    assert await versions(desk, measure_no) == ["in_force"]


async def test_a_mixed_amendment_protects_more_at_once_and_less_only_after_the_approval(desk: Desk) -> None:
    """R-12-3.2-QUA-01, R-1-B2-DAT-05: nobody waits to be protected, nobody is dropped by one clerk."""
    child, sister = await two_more(desk, "縮小")
    _, measure_no = await protected(desk, "縮小　主", protected_with=(child,))
    (now,) = await desk.do(desk.guardian, lambda op: registry.measure_history(op, measure_no))
    wanted = msgspec.structs.replace(now.content, protected_with=(sister,), contact="080")

    def amend(reason: str) -> Work:
        return lambda op: registry.amend_protection(op, measure_no, wanted, reason=reason)

    with pytest.raises(Invalid) as caught:
        await desk.do(desk.guardian, amend(" "))
    assert caught.value.fields == {"reason": "registry.loosening_reason"}
    assert await versions(desk, measure_no) == ["in_force"]

    done = await desk.do(desk.guardian, amend("成人した"))
    assert done.version_no == 2
    seen = await view(desk, done.loosening_no, desk.other_guardian)
    assert (seen.loosening.kind, seen.items) == (LooseningKind.NARROW, ("protected_with",))
    for atena_no in (child, sister):
        standing = await desk.do(desk.clerk, lambda op, a=atena_no: registry.protection(op, a))
        assert (standing.protected, standing.asked) == (True, (LooseningKind.NARROW,))
    assert await refused_to(desk, child)

    await desk.approve(done.loosening_no)
    assert not await refused_to(desk, child)
    assert await refused_to(desk, sister)
    last = (await desk.do(desk.guardian, lambda op: registry.measure_history(op, measure_no)))[-1]
    assert (last.version_no, last.content) == (3, wanted)
    assert await code_of(desk.do(desk.guardian, amend(""))) == "registry.nothing_changes"


async def test_an_amendment_cannot_move_a_measure_to_somebody_else_or_shorten_it(desk: Desk) -> None:
    """R-1-B2-DAT-05: whom it is for, its state and its period stay, whatever the form says."""
    atena_no, measure_no = await protected(desk, "移す　先")
    stranger, _ = await two_more(desk, "他所")
    (now,) = await desk.do(desk.guardian, lambda op: registry.measure_history(op, measure_no))
    forged = msgspec.structs.replace(
        now.content, atena_no=stranger, ends_on=dt.date(2026, 11, 21), ended_because="x", contact="090"
    )
    done = await desk.do(desk.guardian, lambda op: registry.amend_protection(op, measure_no, forged))
    assert done.loosening_no is None
    last = (await desk.do(desk.guardian, lambda op: registry.measure_history(op, measure_no)))[-1]
    assert last.content == msgspec.structs.replace(now.content, contact="090")
    assert await refused_to(desk, atena_no)
    unknown = msgspec.structs.replace(now.content, protected_with=("0000000000",))
    assert await code_of(desk.do(desk.guardian, lambda op: registry.amend_protection(op, measure_no, unknown))) == (
        "registry.unknown_resident"
    )


async def test_a_suppression_is_let_go_for_good_by_two_and_for_a_while_by_one(desk: Desk) -> None:
    """R-1-B2-DAT-04: an authorised person releases with a reason, and for good only with a second one."""
    atena_no, number = await held(desk, "抑止　二人")
    asked = await desk.do(desk.guardian, lambda op: registry.ask_release(op, atena_no, number, "解消した"))
    assert await refused_to(desk, atena_no, "self")
    (line,) = await desk.do(desk.clerk, lambda op: registry.suppressions(op, atena_no))
    assert (line.release_asked, line.released) == (True, False)
    again = desk.do(desk.other_guardian, lambda op: registry.ask_release(op, atena_no, number, "二度目"))
    assert await code_of(again) == "registry.loosening_waits"
    own = desk.do(desk.guardian, lambda op: registry.approve_loosening(op, asked))
    assert await code_of(own) == "registry.own_loosening"

    await desk.do(desk.guardian, lambda op: registry.release(op, atena_no, number, minutes=30, reason="本人に交付"))
    assert not await refused_to(desk, atena_no, "self")
    desk.fleet.clock = lambda: dt.datetime(2026, 11, 20, 10, 31, tzinfo=JST)
    assert await refused_to(desk, atena_no, "self")
    for minutes in (0, -1, 481):
        let_go = desk.do(
            desk.guardian, lambda op, m=minutes: registry.release(op, atena_no, number, minutes=m, reason="長く")
        )
        assert await code_of(let_go) == "registry.release_minutes"

    await desk.approve(asked)
    assert not await refused_to(desk, atena_no, "self")
    assert await desk.do(desk.clerk, lambda op: registry.suppressions(op, atena_no)) == ()
    late = desk.do(desk.guardian, lambda op: registry.ask_release(op, atena_no, number, "もう一度"))
    assert await code_of(late) == "registry.unknown_suppression"


async def test_another_municipality_sees_no_ask_and_approves_none(desk: Desk, other_desk: Desk) -> None:
    """R-1-3.6-TEN-01: the number of an ask means nothing next door, and the answer is that of an unknown one."""
    atena_no, measure_no = await protected(desk, "隣町　不可")
    number = await ask_end(desk, measure_no)
    assert await other_desk.do(other_desk.other_guardian, registry.loosenings) == ()
    decided: tuple[Work, ...] = (
        lambda op: registry.loosening(op, number),
        lambda op: registry.approve_loosening(op, number),
        lambda op: registry.decline_loosening(op, number, "理由"),
        lambda op: registry.withdraw_loosening(op, number),
    )
    for work in decided:
        with pytest.raises(NotFound) as caught:
            await other_desk.do(other_desk.other_guardian, work)
        assert caught.value.code == "registry.unknown_loosening"
    assert await code_of(ask_end(other_desk, measure_no)) == "registry.unknown_measure"
    assert await refused_to(desk, atena_no)
    assert (await view(desk, number)).loosening.state is LooseningState.ASKED


async def test_nobody_without_the_right_asks_sees_or_decides(desk: Desk) -> None:
    """R-1-3.3-PRV-01: protection.enter, as for whatever else is done about a measure."""
    atena_no, measure_no = await protected(desk, "権限　無し")
    person, suppression_no = await held(desk, "権限　抑止")
    number = await ask_end(desk, measure_no)
    (now,) = await desk.do(desk.guardian, lambda op: registry.measure_history(op, measure_no))
    tried: tuple[Work, ...] = (
        lambda op: registry.ask_end(op, measure_no, WHY),
        lambda op: registry.ask_release(op, person, suppression_no, WHY),
        lambda op: registry.amend_protection(op, measure_no, now.content),
        lambda op: registry.approve_loosening(op, number),
        lambda op: registry.decline_loosening(op, number, WHY),
        lambda op: registry.withdraw_loosening(op, number),
        lambda op: registry.loosening(op, number),
        registry.loosenings,
    )
    for work in tried:
        with pytest.raises(Refused) as caught:
            await desk.do(desk.clerk, work)
        assert caught.value.code == "access.right_missing"
    assert await refused_to(desk, atena_no)


async def test_everyone_an_ask_concerns_stands_in_the_log_of_each_step(desk: Desk) -> None:
    """R-A-3.3-LOG-01: ask, look, refusal and approval alike, with the number of the ask."""
    child, _ = await two_more(desk, "証跡")
    atena_no, measure_no = await protected(desk, "証跡　緩和", protected_with=(child,))

    async def touched(who: Caller, work: Work) -> tuple[set[str], dict[str, Any]]:
        async with operation(desk.fleet, who, "protection.test", purpose="試験") as op:
            await work(op)
            return set(op.subjects), dict(op.facts)

    both = {atena_no, child}
    first = await touched(desk.guardian, lambda op: registry.ask_end(op, measure_no, WHY))
    number = int(first[1]["loosening_no"])
    steps: tuple[tuple[Caller, Work], ...] = (
        (desk.other_guardian, lambda op: registry.loosening(op, number)),
        (desk.other_guardian, lambda op: registry.decline_loosening(op, number, "確かめていない")),
        (desk.guardian, lambda op: registry.ask_end(op, measure_no, WHY)),
        (desk.other_guardian, lambda op: registry.approve_loosening(op, number + 1)),
    )
    assert first[0] == both
    for who, work in steps:
        subjects, facts = await touched(who, work)
        assert subjects == both
        assert facts["loosening_no"] in (number, number + 1)


async def test_nothing_of_an_ask_lies_in_the_clear(desk: Desk, config: Config) -> None:
    """security: reason, refusal and the persons stand only in seals."""
    atena_no, measure_no = await protected(desk, "封印　緩和")
    number = await ask_end(desk, measure_no)
    await desk.do(desk.other_guardian, lambda op: registry.decline_loosening(op, number, "別居の証明なし"))
    with bulk(config, "072044") as connection:
        rows = connection.execute(
            "SELECT l::text, s::text FROM t072044.loosening l JOIN t072044.loosening_step s "
            "ON s.loosening_no = l.loosening_no WHERE l.loosening_no = %s",
            (number,),
        ).fetchall()
    text = "".join("".join(row) for row in rows)
    assert len(rows) == 2
    for word in (atena_no, "封印", WHY, "別居"):
        assert word not in text
        assert word.encode().hex() not in text


async def test_an_ask_opens_and_is_approved_after_the_root_was_turned(
    fresh_fleet: Fleet, fresh_config: Config, caller: Callable[..., Caller]
) -> None:
    """security: reason, asked-for content and refusal are sealed anew with everything else, and say what they said."""
    fresh_fleet.clock = lambda: dt.datetime(2026, 11, 20, 10, 0, tzinfo=JST)
    desk = Desk(fresh_fleet, caller, "072044")
    child, _ = await two_more(desk, "鍵替")
    _, measure_no = await protected(desk, "鍵替　主", protected_with=(child,))
    declined = await ask_end(desk, measure_no)
    await desk.do(desk.other_guardian, lambda op: registry.decline_loosening(op, declined, "確かめていない"))
    (now,) = await desk.do(desk.guardian, lambda op: registry.measure_history(op, measure_no))
    alone = msgspec.structs.replace(now.content, protected_with=())
    done = await desk.do(desk.guardian, lambda op: registry.amend_protection(op, measure_no, alone, reason=WHY))
    before = [await view(desk, number) for number in (declined, done.loosening_no)]
    kms = open_kms(fresh_config.kms_spec)
    await asyncio.to_thread(
        rotate_root, fresh_config, kms, "072044", actor="test", sealed=SEALED, tell=lambda progress: None
    )
    assert [await view(desk, number) for number in (declined, done.loosening_no)] == before
    await desk.approve(done.loosening_no)
    assert not await refused_to(desk, child)


async def test_an_approval_that_fails_in_the_middle_leaves_the_measure_in_force(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-12-3.2-QUA-01: the next version and the step that allows it are one transaction."""
    atena_no, measure_no = await protected(desk, "途中　失敗")
    number = await ask_end(desk, measure_no)

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("cut here")

    with monkeypatch.context() as patched:
        patched.setattr(loosening_store, "end", broken)
        with pytest.raises(RuntimeError):
            await desk.approve(number)
    assert await versions(desk, measure_no) == ["in_force"]
    assert await refused_to(desk, atena_no)
    assert (await view(desk, number)).loosening.state is LooseningState.ASKED
    await desk.approve(number)
    assert await versions(desk, measure_no) == ["in_force", "ended"]


END_POINTS = ("ask opened", "measure written", "before the commit", "after the commit")
RELEASE_POINTS = ("release opened", "release written", "before the commit", "after the commit")


@pytest.mark.parametrize("point", END_POINTS)
async def test_a_killed_approval_of_an_end_protects_until_it_is_approved_again(
    point: str, desk: Desk, config: Config
) -> None:
    """R-12-3.2-QUA-01, R-1-B2-DAT-05: in force with the ask waiting, or ended with both persons named; nothing between."""
    atena_no, measure_no = await protected(desk, f"途絶　{'甲乙丙丁'[END_POINTS.index(point)]}")
    number = await ask_end(desk, measure_no)
    logged = await results(desk, "registry.killed")
    await kill(config, point, _order(desk, number))
    finished = point == "after the commit"
    assert await versions(desk, measure_no) == (["in_force", "ended"] if finished else ["in_force"])
    assert await refused_to(desk, atena_no) is not finished
    state = (await view(desk, number)).loosening.state
    assert state is (LooseningState.APPROVED if finished else LooseningState.ASKED)

    assert await code_of(desk.approve(number)) == ("registry.loosening_ended" if finished else "")
    assert await versions(desk, measure_no) == ["in_force", "ended"]
    assert await sweep_later(desk) == (0 if finished else 1)
    cut = set((await results(desk, "registry.killed")).items()) - set(logged.items())
    assert [outcome for _, outcome in cut] == ["done" if finished else "unknown"]


@pytest.mark.parametrize("point", RELEASE_POINTS)
async def test_a_killed_approval_of_a_release_holds_until_it_is_approved_again(
    point: str, desk: Desk, config: Config
) -> None:
    """R-12-3.2-QUA-01, R-1-B2-DAT-04: held back with the ask waiting, or released with both persons named."""
    atena_no, suppression_no = await held(desk, f"抑止　{'甲乙丙丁'[RELEASE_POINTS.index(point)]}")
    number = await desk.do(desk.guardian, lambda op: registry.ask_release(op, atena_no, suppression_no, "解消"))
    await kill(config, point, _order(desk, number))
    finished = point == "after the commit"
    assert await refused_to(desk, atena_no, "self") is not finished
    assert await code_of(desk.approve(number)) == ("registry.loosening_ended" if finished else "")
    assert not await refused_to(desk, atena_no, "self")
    (step,) = [s for s in (await view(desk, number)).loosening.steps if s.state is LooseningState.APPROVED]
    assert (step.done_by, step.version_no) == ("op-approve", 1)


def _order(desk: Desk, number: int) -> dict[str, Any]:
    who = desk.other_guardian
    return {"actor": who.actor_id, "rights": sorted(who.rights), "loosening_no": number}
