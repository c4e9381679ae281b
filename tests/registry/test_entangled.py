"""Changes that meet others on their way: another household, another change of the same day, a cancellation, a number given anew."""

from __future__ import annotations

import datetime as dt

import pytest
from tests.registry.conftest import Desk, authority, family, my_number, newcomer, resident_code
from tests.registry.test_nationality import DAY, lost
from tests.registry.town import Town, whole

from juki import registry
from juki.dates import RegistryDate, from_date
from juki.problem import Invalid
from juki.registry.model import (
    Amend,
    Birth,
    Cancel,
    Change,
    Correct,
    Death,
    HeadChange,
    MoveInNotice,
    MoveOut,
    Place,
    Position,
    Record,
    Relocate,
    Status,
    as_of,
    timeline,
)

FAR = Place(text="福島県いわき市小名浜字中町境1番地の2")
TOKYO = Place(text="東京都千代田区永田町1番1号")


async def _members(desk: Desk, setai_no: str) -> tuple[Record, ...]:
    return (await desk.do(desk.clerk, lambda op: registry.household(op, setai_no))).members


async def _refused(desk: Desk, change: Change) -> set[str]:
    with pytest.raises(Invalid) as caught:
        await desk.enter(change, authority())
    return set(caught.value.fields.values())


def _make(town: Town, change: Change) -> None:
    change, scene, allowed = town.judge(change)
    assert allowed, type(change).__name__
    town.commit(change, scene)


async def test_whoever_has_joined_another_household_is_no_head_there_because_the_old_one_lost_its_head(
    desk: Desk,
) -> None:
    """世帯主は一人 (標準仕様書 1.1): the father's death is told after the son moved in with his aunt; the aunt stays head."""
    father, son = (
        await desk.make(family(newcomer("絡　父", "世帯主"), newcomer("絡　子", "子", RegistryDate(2010, 1, 1))))
    ).new_atena_nos
    (aunt,) = (await desk.make(family(newcomer("絡　伯母", "世帯主"), address=FAR))).new_atena_nos
    home = (await desk.read(aunt)).setai_no
    joined = Relocate(
        occurred_on=RegistryDate(2026, 11, 15),
        atena_nos=(son,),
        address=FAR,
        setai_no=home,
        positions=(Position(atena_no=son, relationship="縁故者"),),
    )
    await desk.make(joined)
    await desk.make(Death(occurred_on=RegistryDate(2026, 11, 13), atena_no=father))
    members = await _members(desk, home)
    assert [(m.atena_no, m.is_head, m.member_order) for m in members] == [(aunt, True, 1), (son, False, 2)]
    assert [m.basic.relationship for m in members if m.basic] == ["世帯主", "縁故者"]
    assert {m.basic.head_name for m in members if m.basic} == {"絡　伯母"}
    alone = await desk.read(son, as_of=dt.date(2026, 11, 14))
    assert (alone.is_head, alone.basic and alone.basic.relationship) == (True, "世帯主")


async def test_an_address_shared_by_a_household_that_split_off_is_not_set_right_for_half_of_that_household(
    desk: Desk,
) -> None:
    """世帯は住所を同じくする: who came into the split household later was never in the one whose address is corrected."""
    head, sister = (
        await desk.make(family(newcomer("割　兄", "世帯主"), newcomer("割　妹", "妹", RegistryDate(1985, 1, 1))))
    ).new_atena_nos
    first = await desk.read(head)
    split = HeadChange(
        occurred_on=RegistryDate(2026, 11, 8),
        reason="household_split",
        household=first.setai_no,
        atena_nos=(sister,),
        positions=(Position(atena_no=sister, relationship="世帯主"),),
    )
    await desk.make(split)
    home = (await desk.read(sister)).setai_no
    husband = newcomer("割　夫", "夫", RegistryDate(1984, 1, 1))
    await desk.make(family(husband, day=dt.date(2026, 11, 10), setai_no=home))
    correct = Correct(
        occurred_on=RegistryDate(2026, 11, 20),
        atena_no=head,
        version_no=1,
        items={"address.address.text": "福島県いわき市平字梅本12番地の1"},
    )
    await desk.make(correct, authority())
    assert {m.address.address.text for m in await _members(desk, home) if m.address} == {
        "福島県いわき市平字梅本12番地の1"
    }


async def test_a_household_that_always_lived_at_the_address_is_not_set_right_because_somebody_moved_in_with_it(
    desk: Desk,
) -> None:
    """誤記修正 of 住所: two households of one house; a mistake in the record of one is none in that of the other."""
    (neighbour,) = (
        await desk.make(family(newcomer("隣　一", "世帯主"), day=dt.date(2026, 10, 20)), notified_late="試験")
    ).new_atena_nos
    (guest,) = (await desk.make(family(newcomer("客　一", "世帯主"), day=dt.date(2026, 11, 7)))).new_atena_nos
    home = (await desk.read(neighbour)).setai_no
    moves = HeadChange(
        occurred_on=RegistryDate(2026, 11, 10),
        reason="household_move",
        household=(await desk.read(guest)).setai_no,
        atena_nos=(guest,),
        setai_no=home,
        positions=(Position(atena_no=guest, relationship="同居人"),),
    )
    await desk.make(moves)
    items: dict[str, str | bool] = {"address.address.text": "福島県いわき市平字梅本12番地の1"}
    correct = Correct(occurred_on=RegistryDate(2026, 11, 20), atena_no=guest, version_no=1, items=items)
    assert await _refused(desk, correct) == {"registry.two_addresses"}


async def test_a_record_struck_out_and_written_on_one_day_may_be_corrected_and_its_person_still_lives_here(
    desk: Desk,
) -> None:
    """誤記修正 of the half that was struck out: it stays before the half that was written."""
    (person,) = (await desk.make(family(newcomer("半　消", "世帯主")))).new_atena_nos
    await desk.make(lost(person, foreigner=_stay()), authority())
    correct = Correct(
        occurred_on=RegistryDate(2026, 11, 20), atena_no=person, version_no=2, items={"basic.name": "半　正"}
    )
    await desk.make(correct, authority())
    held = await desk.read(person)
    assert (held.status, held.kind.value) == (Status.RESIDENT, "foreign")
    assert held.basic is not None
    assert held.basic.name == "SATO KEN"


def test_the_first_of_two_changes_of_one_day_is_corrected_and_the_second_still_holds() -> None:
    """誤記修正: a correction stands where the wrong version stood, not after what was written since."""
    town = Town(0)
    town.today = dt.date(2026, 6, 1)
    day = RegistryDate(2026, 5, 1)
    _make(town, family(newcomer("同日　一", "世帯主"), day=dt.date(2026, 3, 1)))
    (person,) = town.records
    for name in ("同日　誤", "同日　二"):
        _make(town, Amend(occurred_on=day, reason="minor", atena_no=person, items={"basic.name": name}))
    known = town.records[person][-1].known_from
    correct = Correct(occurred_on=day, atena_no=person, version_no=2, items={"basic.name": "同日　正"})
    _make(town, correct)
    held = as_of(timeline(town.records[person]), day.sort_date())
    assert held is not None
    assert held.basic is not None
    assert (held.basic.name, held.version_no) == ("同日　二", 3)
    as_known = as_of(timeline(town.records[person], known), day.sort_date())
    assert as_known is not None
    assert as_known.version_no == 3


async def _leaving(desk: Desk, surname: str) -> tuple[str, ...]:
    people = (
        await desk.make(
            family(newcomer(f"{surname}　夫", "世帯主"), newcomer(f"{surname}　妻", "妻"), day=dt.date(2026, 10, 20)),
            notified_late="試験",
        )
    ).new_atena_nos
    out = MoveOut(
        occurred_on=RegistryDate(2026, 11, 18),
        notified_on=dt.date(2026, 11, 1),
        atena_nos=people[:1],
        destination=TOKYO,
        positions=(Position(atena_no=people[1], relationship="世帯主"),),
    )
    await desk.make(out)
    return people


def _notice(day: int, *people: str) -> MoveInNotice:
    return MoveInNotice(occurred_on=RegistryDate(2026, 11, day), atena_nos=people, settled_address=TOKYO)


async def test_a_notice_finds_the_record_struck_out_also_where_it_was_corrected_since(desk: Desk) -> None:
    """R-1-B2-DAT-03: the 除票 and nothing else is settled, and those who stayed follow its day."""
    husband, wife = await _leaving(desk, "通知訂正")
    name = {"basic.name": "通知正　夫"}
    correct = Correct(occurred_on=RegistryDate(2026, 11, 20), atena_no=husband, version_no=1, items=name)
    await desk.make(correct, authority())
    await desk.make(_notice(15, husband), authority())
    gone = await desk.read(husband)
    assert (gone.status, gone.valid_from) == (Status.MOVED_OUT, dt.date(2026, 11, 15))
    assert gone.removal is not None
    assert gone.removal.settled_address == TOKYO
    assert (await desk.read(husband, as_of=dt.date(2026, 11, 14))).status is Status.RESIDENT
    heads = [(await desk.read(wife, as_of=dt.date(2026, 11, day))).is_head for day in (14, 15, 20)]
    assert heads == [False, True, True]


async def test_nobody_lives_on_after_the_effective_day_because_something_was_recorded_before_the_planned_one(
    desk: Desk,
) -> None:
    """R-1-B2-DAT-03: a change of a day after the effective one is taken back first; the notice does not pass over it."""
    husband, _ = await _leaving(desk, "通知後先")
    amend = Amend(
        occurred_on=RegistryDate(2026, 11, 16),
        reason="minor",
        atena_no=husband,
        items={"domicile.registered_domicile": "福島県いわき市平1番地"},
    )
    made = await desk.make(amend, authority(), leaving="試験")
    assert await _refused(desk, _notice(15, husband)) == {"registry.later_change"}
    await desk.make(Cancel(occurred_on=RegistryDate(2026, 11, 20), event_no=made.event_no), authority())
    await desk.make(_notice(16, husband), authority())
    assert (await desk.read(husband)).status is Status.MOVED_OUT


def test_the_household_that_a_cancelled_move_had_led_to_is_whole_without_whoever_goes_back() -> None:
    """異動の取消し: the order of those who stay closes up, and one who is left alone is 世帯主."""
    town = Town(0)
    town.today = dt.date(2026, 6, 1)
    for surname, place in (("去", FAR), ("留", TOKYO), ("後", FAR)):
        _make(town, family(newcomer(f"{surname}　一", "世帯主"), day=dt.date(2026, 3, 1), address=place))
    leaver, stays, late = town.records
    home = town.records[stays][0].setai_no
    for atena_no, day in ((leaver, 1), (late, 2)):
        positions = (Position(atena_no=atena_no, relationship="同居人"),)
        when = RegistryDate(2026, 5, day)
        joins = Relocate(occurred_on=when, atena_nos=(atena_no,), address=TOKYO, setai_no=home, positions=positions)
        _make(town, joins)
    _make(town, Cancel(occurred_on=from_date(town.today), event_no=len(town.events) - 1))
    assert whole(town, dt.date.max) == [] == whole(town, dt.date(2026, 5, 1))


async def test_a_number_given_anew_does_not_come_back_to_its_first_holder_by_a_cancellation(desk: Desk) -> None:
    """個人番号 and 住民票コード have one holder: entered, taken back, entered again, and the taking back is taken back."""
    numbers = {"my_number": my_number(770_001), "resident_code": resident_code(770_001)}
    first = await desk.make(family(newcomer("再番　一", "世帯主", **numbers)))
    back = await desk.make(Cancel(occurred_on=RegistryDate(2026, 11, 20), event_no=first.event_no), authority())
    again = family(newcomer("再番　一", "世帯主", **numbers), day=dt.date(2026, 11, 2))
    second = await desk.make(again)
    assert second.new_atena_nos != first.new_atena_nos
    change = Cancel(occurred_on=RegistryDate(2026, 11, 20), event_no=back.event_no)
    assert await _refused(desk, change) == {"registry.number_held"}
    await desk.make(Cancel(occurred_on=RegistryDate(2026, 11, 20), event_no=second.event_no), authority())
    await desk.make(change, authority())
    assert (await desk.read(first.new_atena_nos[0])).status is Status.RESIDENT


async def test_the_number_of_a_residence_card_has_one_holder_by_whatever_form_it_comes(desk: Desk) -> None:
    """在留カード等の番号: checked and held once, also in a correction and at a birth."""
    holder, other = (
        await desk.make(family(newcomer("券　一", "世帯主"), newcomer("券　二", "弟", RegistryDate(1985, 1, 1))))
    ).new_atena_nos
    card = "EF12345678GH"
    await desk.make(lost(holder, foreigner=_stay(card)), authority())
    await desk.make(lost(other, name="SATO JIRO", foreigner=_stay()), authority())
    for number, code in ((card, "number_held"), ("AB123", "card_number_invalid")):
        items = {"foreigner.card_number": number}
        correct = Correct(occurred_on=DAY, atena_no=other, version_no=3, items=items)
        assert await _refused(desk, correct) == {f"registry.{code}"}
    child = newcomer(
        "SATO MIO", "子", DAY, kind="foreign", registered_domicile="", family_head="", foreigner=_stay(card),
        my_number="", resident_code="",
    )  # fmt: skip
    home = (await desk.read(holder)).setai_no
    assert "registry.number_held" in await _refused(desk, Birth(occurred_on=DAY, setai_no=home, person=child))


def _stay(card_number: str = "") -> registry.model.Foreigner:
    return registry.model.Foreigner(nationality="ブラジル", category="中長期在留者", card_number=card_number)


async def test_whoever_returns_without_the_code_on_paper_goes_on_under_the_code_that_they_had(desk: Desk) -> None:
    """住基法 30条の3: a 住民票コード is given once; the stock is for those who never had one."""
    await desk.do(desk.clerk, lambda op: registry.add_codes(op, [resident_code(770_100)]))
    here = family(newcomer("再来　一", "世帯主"), day=dt.date(2026, 11, 8))
    (person,) = (await desk.make(here)).new_atena_nos
    out = MoveOut(occurred_on=RegistryDate(2026, 11, 12), atena_nos=(person,), destination=TOKYO)
    await desk.make(out)
    back = newcomer("再来　一", "世帯主", my_number="", resident_code="", returning_atena_no=person)
    await desk.make(family(back, day=dt.date(2026, 11, 19)))
    held = await desk.read(person)
    assert held.resident_code is not None
    assert held.resident_code.resident_code == here.persons[0].resident_code
    assert await desk.do(desk.clerk, registry.codes_left) == 1


@pytest.mark.parametrize(
    ("items", "code"),
    [
        ({"address.address.building": "ハイツ\u202e302"}, "text_unusable"),
        ({"basic.former_surname": "旧/氏"}, "name_unusable"),
    ],
)
async def test_no_mark_that_turns_a_text_around_gets_into_a_record_by_a_correction(
    desk: Desk, items: dict[str, str | bool], code: str
) -> None:
    """文字: a paper shows what is held; 方書 read from right to left would be another room."""
    first = {"text_unusable": "字　一", "name_unusable": "字　二"}[code]
    (person,) = (await desk.make(family(newcomer(first, "世帯主")))).new_atena_nos
    correct = Correct(occurred_on=RegistryDate(2026, 11, 20), atena_no=person, version_no=1, items=items)
    assert await _refused(desk, correct) == {f"registry.{code}"}


async def test_notes_of_several_lines_are_no_fault(desk: Desk) -> None:
    """備考 and メモ have lines."""
    (person,) = (await desk.make(family(newcomer("行　一", "世帯主")))).new_atena_nos
    items: dict[str, str | bool] = {"notes.memo": "一行目\r\n二行目"}
    correct = Correct(occurred_on=RegistryDate(2026, 11, 20), atena_no=person, version_no=1, items=items)
    await desk.make(correct, authority())
    notes = (await desk.read(person)).notes
    assert notes is not None
    assert notes.memo == "一行目\r\n二行目"


async def test_a_correction_gives_nobody_the_items_of_the_other_kind(desk: Desk) -> None:
    """法7条, 30条の45: 本籍 and 旧氏 belong to the Japanese, 通称 to foreign residents, in whatever form they come."""
    people = family(newcomer("別種　一", "世帯主"), newcomer("別種　二", "弟", RegistryDate(1985, 1, 1)))
    foreign, japanese = (await desk.make(people)).new_atena_nos
    await desk.make(lost(foreign, name="SATO BESSHU", foreigner=_stay()), authority())
    tries: list[tuple[str, int, dict[str, str | bool], str]] = [
        (foreign, 3, {"domicile.registered_domicile": "福島県いわき市平1番地"}, "not_for_foreigner"),
        (foreign, 3, {"basic.former_surname": "佐藤"}, "not_for_foreigner"),
        (japanese, 1, {"basic.alias": "佐藤　二"}, "not_for_japanese"),
    ]
    for atena_no, version_no, items, code in tries:
        correct = Correct(occurred_on=DAY, atena_no=atena_no, version_no=version_no, items=items)
        assert await _refused(desk, correct) == {f"registry.{code}"}


async def test_a_place_is_given_to_nobody_outside_the_household_in_silence(desk: Desk) -> None:
    """続柄: a 世帯主 named by a slip of the hand, who lives elsewhere, is told and not passed over."""
    home = family(
        newcomer("位　夫", "世帯主"), newcomer("位　妻", "妻"), newcomer("位　子", "子", RegistryDate(2010, 1, 1))
    )
    husband, wife, child = (await desk.make(home)).new_atena_nos
    (stranger,) = (await desk.make(family(newcomer("位　他", "世帯主"), address=FAR))).new_atena_nos
    when = RegistryDate(2026, 11, 15)
    positions = (
        Position(atena_no=wife, relationship="世帯主"),
        Position(atena_no=child, relationship="子"),
        Position(atena_no=stranger, relationship="同居人"),
    )
    changes: tuple[Change, ...] = (
        Death(occurred_on=when, atena_no=husband, positions=positions),
        MoveOut(occurred_on=when, atena_nos=(husband,), destination=TOKYO, positions=positions),
        Relocate(occurred_on=when, atena_nos=(husband,), address=FAR, positions=positions),
    )
    for change in changes:
        assert await _refused(desk, change) == {"registry.not_a_member"}
