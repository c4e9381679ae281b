"""支援措置 and 抑止: seen by those who may, warned about before and after the last day, never ending silently."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from tests.registry.conftest import Desk, family, newcomer

from juki import registry
from juki.access.model import Caller
from juki.audit import operation
from juki.config import Config
from juki.dates import JST, RegistryDate
from juki.legacy.assemble import measure_of
from juki.problem import Invalid, NotFound, Refused
from juki.registry import protection_store, store
from juki.registry.model import (
    GROUPS,
    MEASURE_ITEMS,
    Birth,
    Level,
    MeasureState,
    MoveOut,
    NumberSource,
    Place,
    Position,
    Process,
    Query,
    Relocate,
    Sex,
    SupportMeasure,
    Wish,
)
from juki.tenancy import Fleet, bulk

KANJI = str.maketrans("0123456789", "〇一二三四五六七八九")

FULL: dict[str, Any] = {
    "contact": "0246-00-0000",
    "situation": "配偶者からの暴力",
    "browsing": Wish(wanted=True),
    "copies": Wish(wanted=True),
    "removed_copies": Wish(wanted=True, place="宮城県仙台市"),
    "domicile_copies": Wish(wanted=True, place="福島県いわき市"),
    "former_domicile_copies": Wish(wanted=False, place="宮城県仙台市"),
    "property_support": Wish(wanted=True, place="福島県双葉郡広野町"),
    "other": "勤務先には連絡しないこと",
    "name_kana": "シエン　ハナコ",
    "foreign_name_kana": "シエン",
    "alias": "通称名",
    "alias_kana": "ツウショウメイ",
    "former_surname": "旧姓",
    "former_surname_kana": "キュウセイ",
    "sex": Sex.FEMALE,
    "forwarded_to": "福島県双葉郡広野町",
    "forwarded_on": dt.date(2026, 11, 18),
    "forwarded_duties": "閲覧、写しの交付",
    "forwarded_received_on": dt.date(2026, 11, 19),
    "found_needless_on": dt.date(2026, 11, 20),
    "first_received_by": "宮城県仙台市",
    "feared": "相手方の氏名",
}


async def _protected(desk: Desk, name: str, **more: Any) -> tuple[str, int]:
    result = await desk.make(family(newcomer(name, "世帯主"), day=dt.date(2026, 11, 10)))
    content = SupportMeasure(
        **{
            "name": name,
            "birth": RegistryDate(1980, 4, 1, "S"),
            "address": "福島県いわき市平字梅本21番地の1",
            "atena_no": result.new_atena_nos[0],
            "starts_on": dt.date(2026, 11, 20),
        }
        | FULL
        | more
    )
    number = await desk.do(desk.guardian, lambda op: registry.enter_protection(op, content))
    return result.new_atena_nos[0], number


async def test_all_twenty_nine_items_are_sealed_and_read_back(desk: Desk) -> None:
    """R-1-B2-DAT-05: every item of the list survives; the last day is computed."""
    atena_no, number = await _protected(desk, "支援　項目")
    (measure,) = await desk.do(desk.guardian, lambda op: registry.measure_history(op, number))
    assert measure.state is MeasureState.IN_FORCE
    assert measure.content.ends_on == dt.date(2027, 11, 19)
    for name, value in FULL.items():
        assert getattr(measure.content, name) == value
    assert measure.content.atena_no == atena_no
    assert sorted(MEASURE_ITEMS) == list(range(1, 30))
    fields = set(SupportMeasure.__struct_fields__)
    assert {path for paths in MEASURE_ITEMS.values() for path in paths} <= fields


async def test_no_plain_column_tells_whom_a_measure_protects(desk: Desk, config: Config) -> None:
    """security: the subject stands only in the seal and in a keyed fingerprint."""
    atena_no, number = await _protected(desk, "支援　封印")
    with bulk(config, "072044") as connection:
        rows = connection.execute(
            "SELECT m::text, s::text FROM t072044.support_measure m JOIN t072044.support_subject_a s "
            "ON s.measure_no = m.measure_no WHERE m.measure_no = %s",
            (number,),
        ).fetchall()
    assert rows
    text = "".join("".join(row) for row in rows)
    assert atena_no not in text
    assert "支援" not in text


async def test_a_measure_is_shown_to_staff_and_its_content_only_with_the_right(
    desk: Desk, caller: Callable[..., Caller]
) -> None:
    """R-A-2.3-USE-01: the notice for every clerk, the reasons for few."""
    atena_no, number = await _protected(desk, "支援　閲覧")
    plain = caller("resident.read", "resident.search")
    seen = await desk.do(plain, lambda op: registry.protection(op, atena_no))
    assert (seen.protected, seen.measures) == (True, ())
    await _kept_from_inquiry(desk, atena_no, Process.CHANGE)
    full = await desk.do(desk.guardian, lambda op: registry.protection(op, atena_no))
    assert [m.measure_no for m in full.measures] == [number]
    assert [s.reason for s in full.suppressions] == ["調査中"]
    seen = await desk.do(plain, lambda op: registry.protection(op, atena_no))
    assert [(s.process, s.reason) for s in seen.suppressions] == [(Process.CHANGE, "")]
    for work in (
        lambda op: registry.measure_history(op, number),
        registry.protection_alerts,
        registry.measures_in_force,
    ):
        with pytest.raises(Refused):
            await desk.do(plain, work)
    hits = await desk.do(plain, lambda op: registry.search(op, Query(name="支援　閲覧")))
    assert [h.protected for h in hits.hits] == [True]


async def test_a_machine_never_learns_of_a_protected_person(desk: Desk, caller: Callable[..., Caller]) -> None:
    """architecture 6: a protected person, an unknown one and another municipality's answer the same."""
    atena_no, _ = await _protected(desk, "支援　機械")
    machine = caller("resident.search", "resident.read", kind="machine")
    found = await desk.do(machine, lambda op: registry.search(op, Query(name="支援　機械")))
    assert found.hits == ()
    codes = []
    for number in (atena_no, "0000000000"):
        with pytest.raises(NotFound) as caught:
            await desk.do(machine, lambda op, n=number: registry.record(op, n, groups=("basic",)))
        codes.append((caught.value.code, caught.value.detail))
    assert codes[0] == codes[1]
    held = await desk.do(
        desk.guardian,
        lambda op: registry.suppress(
            op, [atena_no], Process.INQUIRY, Level.ERROR, starts_on=dt.date(2026, 11, 1), reason="支援"
        ),
    )
    assert held
    for work in (registry.record, registry.history):
        with pytest.raises(NotFound):
            await desk.do(machine, lambda op, w=work: w(op, atena_no, groups=("basic",)))
    setai_no = (await desk.do(desk.guardian, lambda op: registry.record(op, atena_no, groups=()))).setai_no
    for number in (setai_no, "0000000000"):
        with pytest.raises(NotFound) as caught:
            await desk.do(machine, lambda op, n=number: registry.household(op, n, groups=("basic",)))
        codes.append((caught.value.code, caught.value.detail))
    assert codes[2] == codes[3]


async def test_no_record_of_the_family_tells_a_machine_the_name_of_a_protected_head(
    desk: Desk, caller: Callable[..., Caller]
) -> None:
    """architecture 6: the head's name stands on every member's record, so it is left out where one of them is hidden."""
    people = [newcomer("支援　世帯主", "世帯主"), newcomer("支援　配偶者", "妻"), newcomer("支援　子", "子")]
    result = await desk.make(family(*people))
    head, wife, child = result.new_atena_nos
    content = SupportMeasure(
        name="支援　世帯主",
        birth=RegistryDate(1980, 4, 1, "S"),
        address="平",
        atena_no=head,
        starts_on=desk.fleet.clock().date(),
    )
    await desk.do(desk.guardian, lambda op: registry.enter_protection(op, content))
    machine = caller("resident.search", "resident.read", kind="machine")
    record = await desk.do(machine, lambda op: registry.record(op, child))
    history = await desk.do(machine, lambda op: registry.history(op, child))
    assert {m.basic.head_name for m in (record, *(v.record for v in history))} == {""}
    assert wife
    assert (await desk.read(child)).basic.head_name == "支援　世帯主"


async def test_how_many_a_machine_is_shown_does_not_tell_that_somebody_is_hidden(
    fresh_fleet: Fleet, caller: Callable[..., Caller]
) -> None:
    """architecture 6: fifty strangers and one protected person of a name are fifty, not forty-nine and a cap."""
    fresh_fleet.clock = lambda: dt.datetime(2026, 11, 20, 10, 0, tzinfo=JST)
    desk = Desk(fresh_fleet, caller, "072044")
    people = [newcomer(f"同名　{n:03d}".translate(KANJI), "世帯主" if n == 0 else "同居人") for n in range(51)]
    result = await desk.make(family(*people))
    content = SupportMeasure(
        name="同名", birth=RegistryDate(1980, 4, 1, "S"), address="平", atena_no=result.new_atena_nos[7],
        starts_on=dt.date(2026, 11, 20),
    )  # fmt: skip
    await desk.do(desk.guardian, lambda op: registry.enter_protection(op, content))
    machine = caller("resident.search", "resident.read", kind="machine")
    found = await desk.do(machine, lambda op: registry.search(op, Query(name="同名")))
    assert (len(found.hits), found.capped) == (50, False)
    staff = await desk.do(desk.clerk, lambda op: registry.search(op, Query(name="同名")))
    assert (len(staff.hits), staff.capped) == (50, True)


async def test_a_measure_goes_on_after_its_last_day_until_a_person_ends_it(desk: Desk) -> None:
    """R-1-B2-DAT-05: alerts before and after, never ending silently; history kept."""
    atena_no, number = await _protected(desk, "支援　期限", starts_on=dt.date(2025, 11, 21))
    told = {m.measure_no: t for m, t in await desk.do(desk.guardian, registry.protection_alerts)}
    assert told[number] == "ending"
    desk.fleet.clock = lambda: dt.datetime(2026, 12, 1, 10, 0, tzinfo=JST)
    told = {m.measure_no: t for m, t in await desk.do(desk.guardian, registry.protection_alerts)}
    assert told[number] == "overdue"
    standing = await desk.do(desk.clerk, lambda op: registry.protection(op, atena_no))
    assert (standing.protected, standing.overdue) == (True, True)
    assert await desk.paper_refused(atena_no) == "certificates.not_available"
    with pytest.raises(Invalid):
        await desk.do(desk.guardian, lambda op: registry.ask_end(op, number, ""))
    await desk.approve(await desk.do(desk.guardian, lambda op: registry.ask_end(op, number, "本人の申出による")))
    standing = await desk.do(desk.clerk, lambda op: registry.protection(op, atena_no))
    assert not standing.protected
    versions = await desk.do(desk.guardian, lambda op: registry.measure_history(op, number))
    assert [v.state.value for v in versions] == ["in_force", "ended"]
    assert versions[-1].content.ended_because == "本人の申出による"


async def test_a_renewal_opens_a_month_before_and_leaves_no_gap(desk: Desk) -> None:
    """標準仕様書 3.4: renewable from one month before the last day."""
    _, number = await _protected(desk, "支援　延長")
    with pytest.raises(Invalid) as caught:
        await desk.do(desk.guardian, lambda op: registry.renew_protection(op, number))
    assert caught.value.code == "registry.too_early_to_renew"
    desk.fleet.clock = lambda: dt.datetime(2027, 10, 19, 10, 0, tzinfo=JST)
    until = await desk.do(desk.guardian, lambda op: registry.renew_protection(op, number))
    assert until == dt.date(2028, 11, 19)


async def test_a_measure_that_came_over_without_a_last_day_is_warned_about_and_renewed_like_any_other(
    desk: Desk,
) -> None:
    """R-1-B2-DAT-05: an incumbent that kept no last day is no reason for a measure that nobody looks at again."""
    person = (await desk.make(family(newcomer("支援　移行", "世帯主"), day=dt.date(2026, 11, 10)))).new_atena_nos[0]
    content = SupportMeasure(
        name="支援　移行", birth=RegistryDate(1980, 4, 1, "S"), address="福島県いわき市平", atena_no=person,
        starts_on=dt.date(2025, 12, 10),
    )  # fmt: skip
    kept = measure_of(content, 990_001, desk.fleet.clock())
    await desk.do(desk.guardian, lambda op: protection_store.add_measure(op, kept))
    alerts = await desk.do(desk.guardian, registry.protection_alerts)
    assert [told for measure, told in alerts if measure.measure_no == 990_001] == ["ending"]
    renewed = await desk.do(desk.guardian, lambda op: registry.renew_protection(op, 990_001))
    assert renewed == dt.date(2027, 12, 9)


async def test_a_provisional_measure_protects_at_once_and_becomes_a_full_one(desk: Desk) -> None:
    """標準仕様書 3.4: 仮支援措置 blocks during assessment."""
    atena_no, number = await _protected(
        desk, "支援　仮", provisional=True, provisional_from=dt.date(2026, 11, 20), starts_on=None
    )
    standing = await desk.do(desk.clerk, lambda op: registry.protection(op, atena_no))
    assert (standing.protected, standing.provisional) == (True, True)
    await desk.do(desk.guardian, lambda op: registry.confirm_protection(op, number, dt.date(2026, 12, 1)))
    standing = await desk.do(desk.guardian, lambda op: registry.protection(op, atena_no))
    assert (standing.protected, standing.provisional) == (True, False)
    assert standing.measures[0].content.ends_on == dt.date(2027, 11, 30)


async def test_whoever_is_named_along_is_protected_until_taken_out(desk: Desk) -> None:
    """併せて支援を求める者."""
    child = (await desk.make(family(newcomer("支援　併せ", "世帯主")))).new_atena_nos[0]
    _, number = await _protected(desk, "支援　主", protected_with=(child,))
    assert (await desk.do(desk.clerk, lambda op: registry.protection(op, child))).protected
    (measure,) = await desk.do(desk.guardian, lambda op: registry.measure_history(op, number))
    alone = SupportMeasure(
        **{f: getattr(measure.content, f) for f in SupportMeasure.__struct_fields__} | {"protected_with": ()}
    )
    done = await desk.do(
        desk.guardian, lambda op: registry.amend_protection(op, number, alone, reason="成人し、本人が望まない")
    )
    assert (await desk.do(desk.clerk, lambda op: registry.protection(op, child))).protected
    await desk.approve(done.loosening_no)
    assert not (await desk.do(desk.clerk, lambda op: registry.protection(op, child))).protected


async def test_a_change_of_a_protected_person_needs_a_reason(desk: Desk) -> None:
    """The clerk is warned before a protected person's record moves on."""
    atena_no, _ = await _protected(desk, "支援　異動")
    change = MoveOut(occurred_on=RegistryDate(2026, 12, 1), atena_nos=(atena_no,), destination=Place(text="東京都"))
    with pytest.raises(Invalid) as caught:
        await desk.enter(change)
    assert caught.value.fields == {"alert.registry.protected_subject": "registry.protected_subject"}
    await desk.make(change, protected_subject="本人であることを確認")


async def test_whoever_joins_the_household_of_a_protected_person_is_asked_about(desk: Desk) -> None:
    """R-1-B2-DAT-04: a member of the household is given its papers, so nobody becomes one without a question."""
    atena_no, _ = await _protected(desk, "支援　受入")
    setai_no = (await desk.read(atena_no)).setai_no
    home = (await desk.read(atena_no)).address.address
    (other,) = (
        await desk.make(family(newcomer("加入　者", "世帯主"), address=Place(text="福島県いわき市平字加入1番地")))
    ).new_atena_nos
    day, seat = RegistryDate(2026, 11, 18), {"relationship": "同居人"}
    baby = newcomer("支援　生児", "子", day, my_number="", resident_code="", my_number_source=NumberSource.STATED)
    joining = (
        Relocate(
            occurred_on=day, atena_nos=(other,), address=home, setai_no=setai_no,
            positions=(Position(atena_no=other, **seat),),
        ),
        Birth(occurred_on=day, setai_no=setai_no, person=baby),
        family(newcomer("加入　二", "同居人"), day=dt.date(2026, 11, 18), address=home, setai_no=setai_no),
    )  # fmt: skip
    for change in joining:
        with pytest.raises(Invalid) as caught:
            await desk.enter(change)
        assert caught.value.code == "registry.alerts_open"
        assert "registry.protected_host" in caught.value.fields.values()
    await desk.make(joining[0], protected_host="対象の方の承諾を確認")
    apart = Relocate(
        occurred_on=RegistryDate(2026, 11, 19), atena_nos=(other,), address=Place(text="福島県いわき市平字加入2番地"),
        positions=(Position(atena_no=other, relationship="世帯主"),),
    )  # fmt: skip
    await desk.make(apart)


async def test_a_suppression_holds_a_process_until_released_and_comes_back_by_itself(desk: Desk) -> None:
    """R-1-B2-DAT-04: release with a reason, for a while; the last day lifts nothing; every release is kept."""
    atena_no = (await desk.make(family(newcomer("抑止　太郎", "世帯主")))).new_atena_nos[0]
    (number,) = await desk.do(
        desk.guardian,
        lambda op: registry.suppress(
            op,
            [atena_no],
            Process.ISSUE,
            Level.ERROR,
            starts_on=dt.date(2026, 11, 1),
            ends_on=dt.date(2026, 11, 2),
            reason="確認中",
        ),
    )

    async def refused() -> str:
        return await desk.paper_refused(atena_no, "self")

    assert await refused()
    with pytest.raises(Invalid):
        await desk.do(desk.guardian, lambda op: registry.release(op, atena_no, number, minutes=30, reason=" "))
    with pytest.raises(Refused):
        await desk.do(desk.clerk, lambda op: registry.release(op, atena_no, number, minutes=30, reason="交付"))
    await desk.do(desk.guardian, lambda op: registry.release(op, atena_no, number, minutes=30, reason="本人に交付"))
    assert not await refused()
    desk.fleet.clock = lambda: dt.datetime(2026, 11, 20, 10, 31, tzinfo=JST)
    assert await refused()
    await desk.approve(await desk.do(desk.guardian, lambda op: registry.ask_release(op, atena_no, number, "解消")))
    assert not await refused()
    assert await desk.do(desk.clerk, lambda op: registry.suppressions(op, atena_no)) == ()


async def test_a_clock_that_was_put_back_leaves_what_is_held_back_held_back(desk: Desk) -> None:
    """R-1-B2-DAT-04: a release made a year ahead opens nothing until then, and what began today has begun yesterday too."""
    desk.fleet.clock = lambda: dt.datetime(2027, 11, 20, 10, 0, tzinfo=JST)
    atena_no = (await desk.make(family(newcomer("時計　太郎", "世帯主")))).new_atena_nos[0]
    for process in (Process.ISSUE, Process.INQUIRY):
        held = desk.guardian, lambda op, process=process: registry.suppress(
            op, [atena_no], process, Level.ERROR, starts_on=dt.date(2027, 11, 20), reason="調査中"
        )  # fmt: skip
        (number,) = await desk.do(*held)
        await desk.do(
            desk.guardian, lambda op, no=number: registry.release(op, atena_no, no, minutes=60, reason="交付")
        )

    async def shown() -> tuple[list[bool], bool]:
        found = await desk.do(desk.guardian, lambda op: registry.suppressions(op, atena_no))
        kept = await desk.do(desk.clerk, lambda op: store.held_from_inquiry(op, [atena_no]))
        return [s.released for s in found], atena_no in kept

    assert await shown() == ([True, True], False)
    desk.fleet.clock = lambda: dt.datetime(2026, 11, 20, 10, 0, tzinfo=JST)
    assert await shown() == ([False, False], True)


async def test_nobody_lets_the_same_suppression_go_twice_within_a_day(desk: Desk, other_desk: Desk) -> None:
    """R-1-B2-DAT-04, R-12-3.2-QUA-01: the second release needs somebody else; nothing is released by the one refused."""
    for here in (desk, other_desk):
        await _let_go_again_and_again(here)


async def _let_go_again_and_again(here: Desk) -> None:
    here.fleet.clock = lambda: dt.datetime(2026, 11, 20, 10, 0, tzinfo=JST)
    atena_no = (await here.make(family(newcomer("再解除　太郎", "世帯主")))).new_atena_nos[0]
    number, another = await _held_from_issue(here, atena_no), await _held_from_issue(here, atena_no)

    async def release(who: Caller, number: int) -> None:
        await here.do(who, lambda op: registry.release(op, atena_no, number, minutes=30, reason="交付"))

    await release(here.guardian, number)
    for later in ((20, 10, 10), (20, 11, 0), (21, 10, 29)):
        here.fleet.clock = lambda later=later: dt.datetime(2026, 11, *later, tzinfo=JST)
        with pytest.raises(Refused) as caught:
            await release(here.guardian, number)
        assert caught.value.code == "registry.release_again"
    assert not any(s.released for s in await here.do(here.clerk, lambda op: registry.suppressions(op, atena_no)))
    await release(here.guardian, another)  # another 抑止 of the same person has its own day
    await release(here.other_guardian, number)
    here.fleet.clock = lambda: dt.datetime(2026, 11, 21, 10, 30, tzinfo=JST)
    await release(here.guardian, number)
    with pytest.raises(Refused):
        await release(here.other_guardian, number)


async def _held_from_issue(here: Desk, atena_no: str) -> int:
    (number,) = await here.do(
        here.guardian,
        lambda op: registry.suppress(
            op, [atena_no], Process.ISSUE, Level.ERROR, starts_on=dt.date(2026, 11, 1), reason="調査中"
        ),
    )
    return number


async def test_two_clicks_at_once_let_a_suppression_go_once(desk: Desk) -> None:
    """R-12-3.2-QUA-01: of two releases of one person at the same moment the second finds the first."""
    atena_no = (await desk.make(family(newcomer("同時　解除", "世帯主")))).new_atena_nos[0]
    number = await _held_from_issue(desk, atena_no)

    async def release() -> None:
        await desk.do(desk.guardian, lambda op: registry.release(op, atena_no, number, minutes=30, reason="交付"))

    done = await asyncio.gather(release(), release(), release(), return_exceptions=True)
    assert sorted(type(result).__name__ for result in done) == ["NoneType", "Refused", "Refused"]


@pytest.mark.parametrize(("level", "kind"), [(Level.ERROR, "registry.change_suppressed"), (Level.ALERT, "alert")])
async def test_a_suppressed_change_is_stopped_or_warned_about(desk: Desk, level: Level, kind: str) -> None:
    """抑止 of 異動 by level."""
    atena_no = (await desk.make(family(newcomer("抑止　異動", "世帯主")), namesake="別人")).new_atena_nos[0]
    await desk.do(
        desk.guardian,
        lambda op: registry.suppress(
            op, [atena_no], Process.CHANGE, level, starts_on=dt.date(2026, 11, 1), reason="調査中"
        ),
    )
    change = MoveOut(occurred_on=RegistryDate(2026, 12, 1), atena_nos=(atena_no,), destination=Place(text="東京都"))
    with pytest.raises(Invalid) as caught:
        await desk.enter(change)
    expected = "registry.change_held" if kind == "alert" else kind
    assert set(caught.value.fields.values()) == {expected}


async def test_a_measure_for_someone_unknown_or_without_a_first_day_is_refused(desk: Desk) -> None:
    """Bad input."""
    content = SupportMeasure(name="不明", birth=RegistryDate(1980), address="", atena_no="0000000000")
    with pytest.raises(NotFound):
        await desk.do(desk.guardian, lambda op: registry.enter_protection(op, content))
    with pytest.raises(Invalid) as caught:
        await _protected(desk, "支援　初日", starts_on=None)
    assert caught.value.fields == {"starts_on": "registry.required"}
    with pytest.raises(Refused):
        await desk.do(desk.clerk, lambda op: registry.enter_protection(op, content))


async def test_everyone_a_measure_concerns_stands_in_the_log(desk: Desk) -> None:
    """R-A-3.3-LOG-01."""
    atena_no, number = await _protected(desk, "支援　記録")
    async with operation(desk.fleet, desk.guardian, "protection.read", purpose="試験", write=False) as op:
        await registry.measure_history(op, number)
        assert op.subjects == {atena_no: False}


async def _kept_from_inquiry(here: Desk, atena_no: str, process: Process = Process.INQUIRY) -> int:
    (number,) = await here.do(
        here.guardian,
        lambda op: registry.suppress(
            op, [atena_no], process, Level.ERROR, starts_on=dt.date(2026, 11, 1), reason="調査中"
        ),
    )
    return number


async def test_whoever_lives_with_somebody_held_back_is_opened_and_tells_nothing_of_them(
    desk: Desk, other_desk: Desk
) -> None:
    """SS 3.1, R-A-3.3-LOG-01: a 照会の抑止 holds one person back and not the family; the log names whom was looked at."""
    for here in (desk, other_desk):
        await _look_at_a_family_with_one_held_back(here)


async def _look_at_a_family_with_one_held_back(here: Desk) -> None:
    people = [newcomer("抑止　世帯主", "世帯主"), newcomer("抑止　配偶者", "妻"), newcomer("抑止　子", "子")]
    head, wife, child = (await here.make(family(*people))).new_atena_nos
    setai_no = (await here.read(head)).setai_no
    number = await _kept_from_inquiry(here, head)

    async with operation(here.fleet, here.clerk, "resident.read", purpose="試験", write=False) as op:
        record = await registry.record(op, wife)
        history = await registry.history(op, wife)
        home = await registry.household(op, setai_no)
        assert set(op.subjects) == {wife, child}
    assert (home.held, [m.atena_no for m in home.members]) == ((head,), [head, wife, child])
    kept = home.members[0]
    assert [name for name in GROUPS if getattr(kept, name) is not None] == []
    assert (kept.is_head, kept.version_no, kept.known_from) == (False, 0, None)
    shown = [record, *(v.record for v in history), *home.members[1:]]
    assert {r.basic.head_name for r in shown} == {""}
    assert home.members[1].basic.name == "抑止　配偶者"
    assert home.members[1].address.address.text
    with pytest.raises(Refused):
        await here.do(here.clerk, lambda op: registry.record(op, head))

    whole = await here.do(here.guardian, lambda op: registry.household(op, setai_no))
    assert (whole.held, whole.members[0].basic.name) == ((), "抑止　世帯主")
    assert (await here.do(here.guardian, lambda op: registry.record(op, wife))).basic.head_name == "抑止　世帯主"
    async with operation(here.fleet, here.clerk, "certificate.prepare", purpose="試験", write=False) as op:
        assert (await registry.household(op, setai_no)).held == ()  # 発行 has a 抑止 of its own
    await here.do(here.guardian, lambda op: registry.release(op, head, number, minutes=30, reason="本人の来庁"))
    assert (await here.do(here.clerk, lambda op: registry.household(op, setai_no))).held == ()
    assert (await here.read(wife)).basic.head_name == "抑止　世帯主"


async def test_the_name_of_a_visible_head_stays_though_another_of_the_family_is_held_back(desk: Desk) -> None:
    """SS 3.1: only the name of the one held back is left out."""
    people = [newcomer("見主　一郎", "世帯主"), newcomer("見主　花子", "妻"), newcomer("見主　三郎", "子")]
    _head, wife, child = (await desk.make(family(*people))).new_atena_nos
    await _kept_from_inquiry(desk, child)
    assert (await desk.read(wife)).basic.head_name == "見主　一郎"


async def test_a_held_back_inquiry_opens_no_record_and_shows_no_address(desk: Desk) -> None:
    """抑止 of 照会: the search says that someone is there and held back; release opens the record for a while."""
    result = await desk.make(family(newcomer("抑止　照会", "世帯主"), day=dt.date(2026, 11, 10)))
    atena_no = result.new_atena_nos[0]
    setai_no = (await desk.read(atena_no)).setai_no
    (number,) = await desk.do(
        desk.guardian,
        lambda op: registry.suppress(
            op, [atena_no], Process.INQUIRY, Level.ERROR, starts_on=dt.date(2026, 11, 1), reason="調査中"
        ),
    )
    (hit,) = (await desk.do(desk.clerk, lambda op: registry.search(op, Query(name="抑止　照会")))).hits
    assert (hit.held, hit.address) == (True, "")
    for work in (
        lambda op: registry.record(op, atena_no, groups=("basic",)),
        lambda op: registry.history(op, atena_no, groups=("basic",)),
        lambda op: registry.household(op, setai_no, groups=("basic",)),
    ):
        with pytest.raises(Refused) as caught:
            await desk.do(desk.clerk, work)
        assert caught.value.code == "registry.inquiry_suppressed"
        assert await desk.do(desk.guardian, work)
    await desk.do(desk.guardian, lambda op: registry.release(op, atena_no, number, minutes=30, reason="本人の来庁"))
    (hit,) = (await desk.do(desk.clerk, lambda op: registry.search(op, Query(name="抑止　照会")))).hits
    assert not hit.held
    assert hit.address
    assert (await desk.read(atena_no)).atena_no == atena_no


async def test_nobody_finds_by_an_address_or_a_household_whoever_is_held_back(desk: Desk) -> None:
    """抑止 of 照会: an address that is not shown is not confirmed by a search for it either, nor by the 世帯番号 of a hit."""
    there = Place(text="福島県いわき市平字抑止町77番地の3")
    people = (newcomer("抑止　所在", "世帯主"), newcomer("抑止　同居", "妻"))
    result = await desk.make(family(*people, day=dt.date(2026, 11, 10), address=there))
    atena_no, wife = result.new_atena_nos
    setai_no = (await desk.read(atena_no)).setai_no
    queries = (Query(address=there.text), Query(setai_no=setai_no), Query(name="抑止　所在", address=there.text))

    async def found(who: Caller) -> list[set[str]]:
        hits = [(await desk.do(who, lambda op, q=q: registry.search(op, q))).hits for q in queries]
        return [{hit.atena_no for hit in some} & {atena_no, wife} for some in hits]

    assert await found(desk.clerk) == [{atena_no, wife}, {atena_no, wife}, {atena_no}]
    await desk.do(
        desk.guardian,
        lambda op: registry.suppress(
            op, [atena_no], Process.INQUIRY, Level.ERROR, starts_on=dt.date(2026, 11, 1), reason="調査中"
        ),
    )
    assert await found(desk.clerk) == [{wife}, {wife}, set()]
    assert await found(desk.guardian) == [{atena_no, wife}, {atena_no, wife}, {atena_no}]
    (hit,) = (await desk.do(desk.clerk, lambda op: registry.search(op, Query(name="抑止　所在")))).hits
    assert (hit.held, hit.name) == (True, "抑止　所在")
    assert (hit.address, hit.setai_no, hit.relationship, hit.is_head) == ("", "", "", False)
