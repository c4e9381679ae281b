"""転居・出生・死亡・転出・世帯主変更・修正・取消し: each with its days, the household kept whole."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import msgspec
import pytest
from tests.registry.conftest import Desk, authority, family, my_number, newcomer, resident_code, three

from juki import registry
from juki.dates import RegistryDate, from_date
from juki.problem import Conflict, Invalid
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
    Newcomer,
    NumberSource,
    Place,
    Position,
    Relocate,
    Sex,
    Status,
)

NEW_HOME = Place(text="福島県いわき市小名浜字中町境1番地の2", building="港荘101", postal="9718101")


async def _members(desk: Desk, setai_no: str, **more: object) -> list[registry.Hit]:
    home = await desk.do(desk.clerk, lambda op: registry.household(op, setai_no, groups=("basic", "address"), **more))
    return list(home.members)


async def _family(desk: Desk, surname: str) -> tuple[str, list[str]]:
    result = await desk.make(three(surname))
    head = await desk.read(result.new_atena_nos[0])
    return head.setai_no, list(result.new_atena_nos)


async def test_a_whole_household_moves_and_keeps_its_number(desk: Desk) -> None:
    """転居: 異動前住所 kept, 住所を定めた日 new, 住民となった日 unchanged."""
    setai_no, people = await _family(desk, "転居全")
    change = Relocate(occurred_on=RegistryDate(2026, 11, 15), atena_nos=tuple(people), address=NEW_HOME)
    await desk.make(change)
    members = await _members(desk, setai_no)
    assert [m.atena_no for m in members] == people
    for member in members:
        assert member.address.address == NEW_HOME
        assert member.address.moved_within_from.text == "福島県いわき市平字梅本21番地の1"
        assert member.address.address_since == RegistryDate(2026, 11, 15)
        assert member.address.resident_since == RegistryDate(2026, 11, 1)
    before = await _members(desk, setai_no, as_of=dt.date(2026, 11, 14))
    assert before[0].address.address.text == "福島県いわき市平字梅本21番地の1"


async def test_part_of_a_household_moves_into_one_of_its_own_and_those_left_stay_whole(desk: Desk) -> None:
    """転居 of the head alone: who stays needs a new 世帯主 in the same form."""
    setai_no, (head, wife, child) = await _family(desk, "転居分")
    change = Relocate(
        occurred_on=RegistryDate(2026, 11, 15),
        atena_nos=(head,),
        address=NEW_HOME,
    )
    with pytest.raises(Invalid) as caught:
        await desk.enter(change)
    assert caught.value.fields == {"positions": "registry.head_needed"}
    change = Relocate(
        occurred_on=RegistryDate(2026, 11, 15),
        atena_nos=(head,),
        address=NEW_HOME,
        positions=(Position(atena_no=wife, relationship="世帯主"), Position(atena_no=child, relationship="子")),
    )
    await desk.make(change)
    moved = await desk.read(head)
    assert moved.setai_no != setai_no
    assert (moved.is_head, moved.member_order) == (True, 1)
    left = await _members(desk, setai_no)
    assert [(m.atena_no, m.basic.relationship, m.basic.head_name) for m in left] == [
        (wife, "世帯主", "転居分　花子"),
        (child, "子", "転居分　花子"),
    ]


async def test_a_child_is_born_into_a_household_with_a_code_from_the_stock_and_a_number_awaited(desk: Desk) -> None:
    """R-1-2.3-NUM-01: 個人番号 is asked for and never typed at birth."""
    setai_no, (head, _, _) = await _family(desk, "出生")
    birth = Birth(
        occurred_on=RegistryDate(2026, 11, 10),
        setai_no=setai_no,
        person=Newcomer(
            name="出生　さくら",
            name_kana="シュッセイ　サクラ",
            birth=RegistryDate(2026, 11, 10),
            relationship="子",
            sex=Sex.FEMALE,
            registered_domicile="福島県いわき市平字梅本21番地",
            family_head="出生　一郎",
        ),
    )
    case_no = await desk.enter(birth)
    with pytest.raises(Conflict) as caught:
        await desk.confirm(case_no, birth)
    assert caught.value.code == "registry.code_stock_empty"
    left = await desk.do(desk.clerk, lambda op: registry.add_codes(op, [resident_code(800_000 + i) for i in range(3)]))
    assert left == 3
    result = await desk.confirm(case_no, birth)
    baby = await desk.read(result.new_atena_nos[0])
    assert baby.my_number is None
    assert baby.resident_code is not None
    assert baby.resident_code.resident_code in {resident_code(800_000 + i) for i in range(3)}
    assert baby.address is not None
    assert baby.address.address.text == "福島県いわき市平字梅本21番地の1"
    assert baby.setai_no == setai_no
    assert await desk.do(desk.clerk, registry.codes_left) == 2
    awaited = await desk.do(desk.clerk, registry.awaited_numbers)
    assert [a for a, _ in awaited] == [baby.atena_no]

    stated = Amend(
        occurred_on=RegistryDate(2026, 11, 18),
        reason="my_number_entry",
        atena_no=baby.atena_no,
        items={"my_number.my_number": my_number(660_001)},
    )
    with pytest.raises(Invalid) as refused:
        await desk.enter(stated, authority())
    assert refused.value.fields == {"my_number_source": "registry.my_number_source"}
    returned = Amend(
        **{f: getattr(stated, f) for f in stated.__struct_fields__} | {"my_number_source": NumberSource.NETWORK}
    )
    await desk.make(returned, authority())
    assert (await desk.read(baby.atena_no)).my_number.my_number == my_number(660_001)
    assert await desk.do(desk.clerk, registry.awaited_numbers) == ()
    del head


async def test_a_birth_with_a_number_on_the_form_is_refused(desk: Desk) -> None:
    """R-1-2.3-NUM-01."""
    setai_no, _ = await _family(desk, "出生番号")
    person = newcomer("出生番号　子", "子", RegistryDate(2026, 11, 10))
    with pytest.raises(Invalid) as caught:
        await desk.enter(Birth(occurred_on=RegistryDate(2026, 11, 10), setai_no=setai_no, person=person))
    assert caught.value.fields["person.my_number"] == "registry.number_not_yet"


async def test_when_a_head_dies_those_left_get_a_head_in_the_same_case(desk: Desk) -> None:
    """標準仕様書 4.1.3: two or more left need 世帯主変更; every member then carries the new head's name."""
    setai_no, (head, wife, child) = await _family(desk, "死亡主")
    bare = Death(occurred_on=RegistryDate(2026, 11, 14), atena_no=head)
    with pytest.raises(Invalid) as caught:
        await desk.enter(bare)
    assert caught.value.fields == {"positions": "registry.head_needed"}
    change = Death(
        occurred_on=RegistryDate(2026, 11, 14),
        atena_no=head,
        positions=(Position(atena_no=wife, relationship="世帯主"), Position(atena_no=child, relationship="子")),
    )
    await desk.make(change)
    dead = await desk.read(head)
    assert (dead.status, dead.is_head) == (Status.DECEASED, False)
    assert dead.removal is not None
    assert (dead.removal.reason, dead.removal.occurred_on) == ("死亡", RegistryDate(2026, 11, 14))
    assert [(m.atena_no, m.basic.head_name) for m in await _members(desk, setai_no)] == [
        (wife, "死亡主　花子"),
        (child, "死亡主　花子"),
    ]


async def test_when_exactly_one_is_left_that_person_becomes_head_by_authority(desk: Desk) -> None:
    """標準仕様書 4.1: 職権による世帯主変更; the day of death may be an expression."""
    change = family(
        newcomer("二人　夫", "世帯主"), newcomer("二人　妻", "妻", sex=Sex.FEMALE), day=dt.date(2026, 11, 1)
    )
    result = await desk.make(change)
    husband, wife = result.new_atena_nos
    day = RegistryDate(2026, 11, 0, "R", "令和8年11月上旬")
    await desk.make(Death(occurred_on=day, atena_no=husband))
    widow = await desk.read(wife)
    assert (widow.is_head, widow.basic.relationship, widow.basic.head_name) == (True, "世帯主", "二人　妻")
    history = await desk.do(desk.clerk, lambda op: registry.history(op, husband))
    assert history[-1].event.occurred_on == day


async def test_a_move_out_lies_in_the_future_and_takes_effect_on_its_day(desk: Desk) -> None:
    """標準仕様書 4.0: only 転出 may lie ahead; until the day the person is a resident."""
    setai_no, people = await _family(desk, "転出")
    change = MoveOut(
        occurred_on=RegistryDate(2026, 12, 1),
        atena_nos=tuple(people),
        destination=Place(text="東京都千代田区千代田1番1号"),
    )
    await desk.make(change)
    assert (await desk.read(people[0])).status is Status.RESIDENT
    later = await desk.read(people[0], as_of=dt.date(2026, 12, 1))
    assert later.status is Status.MOVED_OUT
    assert later.removal is not None
    assert later.removal.planned_address.text == "東京都千代田区千代田1番1号"
    assert len(await _members(desk, setai_no)) == 3
    assert await _members(desk, setai_no, as_of=dt.date(2026, 12, 2)) == []
    with pytest.raises(Invalid) as caught:
        await desk.enter(Relocate(occurred_on=RegistryDate(2026, 12, 1), atena_nos=(people[0],), address=NEW_HOME))
    assert "registry.occurred_in_future" in caught.value.fields.values()


@pytest.mark.parametrize(("moved_in", "effective"), [(28, 28), (30, 30)])
async def test_a_move_out_takes_effect_at_the_earlier_of_the_planned_and_the_reported_day(
    desk: Desk, moved_in: int, effective: int
) -> None:
    """R-1-B2-DAT-03: both orders of the two days give the earlier one; no form has a field to override it."""
    surname = {28: "通知甲", 30: "通知乙"}[moved_in]
    result = await desk.make(three(surname, dt.date(2026, 10, 20)), notified_late="試験")
    people = result.new_atena_nos
    await desk.make(
        MoveOut(
            occurred_on=RegistryDate(2026, 10, 30),
            notified_on=dt.date(2026, 10, 25),
            atena_nos=people,
            destination=Place(text="東京都千代田区千代田1番1号"),
        )
    )
    notice = MoveInNotice(
        occurred_on=RegistryDate(2026, 10, moved_in),
        atena_nos=people,
        settled_address=Place(text="東京都千代田区永田町1番1号"),
    )
    await desk.make(notice, authority())
    record = await desk.read(people[0])
    assert record.status is Status.MOVED_OUT
    assert record.valid_from == dt.date(2026, 10, effective)
    assert record.removal.occurred_on == RegistryDate(2026, 10, effective)
    assert record.removal.moved_out_on == RegistryDate(2026, 10, effective)
    assert record.removal.settled_address.text == "東京都千代田区永田町1番1号"
    assert record.corrects_version == 2
    assert (await desk.read(people[0], as_of=dt.date(2026, 10, effective - 1))).status is Status.RESIDENT


async def test_a_later_reported_day_than_planned_changes_nothing_of_the_day(desk: Desk) -> None:
    """R-1-B2-DAT-03: 転入通知 after the planned day."""
    result = await desk.make(family(newcomer("通知　後", "世帯主"), day=dt.date(2026, 10, 20)), notified_late="試験")
    atena_no = result.new_atena_nos[0]
    await desk.make(
        MoveOut(
            occurred_on=RegistryDate(2026, 11, 1),
            notified_on=dt.date(2026, 11, 1),
            atena_nos=(atena_no,),
            destination=Place(text="東京都"),
        )
    )
    await desk.make(
        MoveInNotice(
            occurred_on=RegistryDate(2026, 11, 9), atena_nos=(atena_no,), settled_address=Place(text="東京都")
        ),
        authority(),
    )
    assert (await desk.read(atena_no)).removal.occurred_on == RegistryDate(2026, 11, 1)


async def test_a_correction_names_what_it_corrects_and_sets_right_every_later_version(desk: Desk) -> None:
    """F-S1-01, 誤記修正: known then and known now both stay readable."""
    setai_no, people = await _family(desk, "誤記")
    head = people[0]
    await desk.make(Relocate(occurred_on=RegistryDate(2026, 11, 15), atena_nos=tuple(people), address=NEW_HOME))
    wrong_known = (await desk.read(head)).known_from
    change = Correct(
        occurred_on=RegistryDate(2026, 11, 20),
        atena_no=head,
        version_no=1,
        items={"basic.name": "護記　一郎", "basic.birth": "S59.5.3"},
    )
    await desk.make(change, authority())
    history = await desk.do(desk.clerk, lambda op: registry.history(op, head))
    assert [(v.record.version_no, v.record.corrects_version, v.superseded_by) for v in history] == [
        (1, None, 3),
        (2, None, 4),
        (3, 1, None),
        (4, 2, None),
    ]
    now = await desk.read(head)
    assert (now.basic.name, now.basic.birth.iso(), now.address.address) == ("護記　一郎", "1984-05-03", NEW_HOME)
    then = await desk.read(head, as_of=dt.date(2026, 11, 2))
    assert (then.basic.name, then.version_no) == ("護記　一郎", 3)
    as_known = await desk.read(head, as_of=dt.date(2026, 11, 2), known_at=wrong_known)
    assert (as_known.basic.name, as_known.version_no) == ("誤記　一郎", 1)
    assert {m.basic.head_name for m in await _members(desk, setai_no)} == {"護記　一郎"}
    assert {m.basic.head_name for m in await _members(desk, setai_no, as_of=dt.date(2026, 11, 2))} == {"護記　一郎"}


@pytest.mark.parametrize(
    ("items", "code"),
    [
        ({"basic.nonsense": "x"}, "registry.item_unknown"),
        ({"basic.head_name": "x"}, "registry.use_head_change"),
        ({"basic.relationship": "子"}, "registry.use_head_change"),
        ({"basic.birth": "きのう"}, "date.unreadable"),
        ({"basic.birth": "22000101"}, "registry.born_in_future"),
        ({"basic.name_priority": "通称"}, "registry.item_unreadable"),
        ({"foreigner.card_number": "12345"}, "registry.card_number_invalid"),
        ({"my_number.my_number": "123456789012"}, "registry.my_number_invalid"),
        ({"foreigner.nationality": "米国"}, "registry.not_for_japanese"),
        ({"basic.name": "誤項　一郎"}, "registry.nothing_changes"),
        ({"address.address.text": " "}, "registry.required"),
    ],
)
async def test_a_correction_of_what_cannot_be_corrected_is_refused(
    desk: Desk, items: dict[str, str | bool], code: str
) -> None:
    """R-1-3.2-MIN-02."""
    hits = await desk.do(desk.clerk, lambda op: registry.search(op, registry.Query(name="誤項　一郎")))
    atena_no = hits.hits[0].atena_no if hits.hits else (await _family(desk, "誤項"))[1][0]
    change = Correct(occurred_on=RegistryDate(2026, 11, 20), atena_no=atena_no, version_no=1, items=items)
    with pytest.raises(Invalid) as caught:
        await desk.enter(change, authority())
    assert code in caught.value.fields.values()


async def test_a_number_is_set_right_only_from_a_source_that_may_be_believed(desk: Desk, other_desk: Desk) -> None:
    """R-1-2.3-NUM-01: 誤記修正 names where 個人番号 came from, in every municipality; nothing is kept without it."""
    for here, name, serial in ((desk, "訂番", 660_101), (other_desk, "正番", 660_102)):
        head = (await _family(here, name))[1][0]
        before = (await here.read(head)).my_number
        stated = Correct(
            occurred_on=RegistryDate(2026, 11, 20), atena_no=head, version_no=1,
            items={"my_number.my_number": my_number(serial)},
        )  # fmt: skip
        for reason in ("correct", "amend"):
            with pytest.raises(Invalid) as caught:
                await here.enter(msgspec.structs.replace(stated, reason=reason), authority())
            assert caught.value.fields == {"my_number_source": "registry.my_number_source"}
        assert (await here.read(head)).my_number == before
        await here.make(msgspec.structs.replace(stated, my_number_source=NumberSource.CARD), authority())
        assert (await here.read(head)).my_number.my_number == my_number(serial)


async def test_a_cancelled_change_is_restored_and_both_stay_in_the_history(desk: Desk) -> None:
    """異動の取消し（修正）: 転居 taken back for the whole household."""
    setai_no, people = await _family(desk, "取消修")
    made = await desk.make(Relocate(occurred_on=RegistryDate(2026, 11, 15), atena_nos=tuple(people), address=NEW_HOME))
    cancelled = await desk.make(Cancel(occurred_on=RegistryDate(2026, 11, 20), event_no=made.event_no), authority())
    assert set(cancelled.atena_nos) == set(people)
    for member in await _members(desk, setai_no):
        assert member.address.address.text == "福島県いわき市平字梅本21番地の1"
        assert member.cancels_version == 2
    history = await desk.do(desk.clerk, lambda op: registry.history(op, people[0]))
    assert [v.event.reason for v in history] == ["move_in", "relocate", "cancel_amend"]
    assert [v.superseded_by for v in history] == [None, 3, None]
    assert history[-1].event.cancels_event == made.event_no
    with pytest.raises(Invalid) as caught:
        await desk.enter(Cancel(occurred_on=RegistryDate(2026, 11, 20), event_no=made.event_no), authority())
    assert caught.value.fields == {"event_no": "registry.not_on_timeline"}


async def test_a_cancelled_death_brings_the_resident_back_and_the_head_with_him(desk: Desk) -> None:
    """異動の取消し（増）."""
    setai_no, (head, wife, child) = await _family(desk, "取消増")
    made = await desk.make(
        Death(
            occurred_on=RegistryDate(2026, 11, 14),
            atena_no=head,
            positions=(Position(atena_no=wife, relationship="世帯主"), Position(atena_no=child, relationship="子")),
        )
    )
    await desk.make(Cancel(occurred_on=RegistryDate(2026, 11, 20), event_no=made.event_no), authority())
    assert [(m.atena_no, m.basic.relationship, m.is_head) for m in await _members(desk, setai_no)] == [
        (head, "世帯主", True),
        (wife, "妻", False),
        (child, "子", False),
    ]
    history = await desk.do(desk.clerk, lambda op: registry.history(op, head))
    assert history[-1].event.reason == "cancel_add"


async def test_a_cancelled_move_in_leaves_a_void_record_and_frees_the_number(desk: Desk) -> None:
    """異動の取消し（減）: the record stays in the history and is found by no search."""
    change = family(newcomer("取消減　太郎", "世帯主"))
    made = await desk.make(change)
    await desk.make(Cancel(occurred_on=RegistryDate(2026, 11, 20), event_no=made.event_no), authority())
    record = await desk.read(made.new_atena_nos[0])
    assert record.status is Status.VOID
    hits = await desk.do(desk.clerk, lambda op: registry.search(op, registry.Query(name="取消減　太郎")))
    assert hits.hits == ()
    again = await desk.make(family(newcomer("取消減　太郎", "世帯主", my_number=change.persons[0].my_number)))
    assert again.new_atena_nos != made.new_atena_nos


async def test_nobody_waits_for_the_number_of_someone_whose_entry_was_taken_back(desk: Desk) -> None:
    """R-1-2.3-NUM-01: 付番待ち holds those who stand in the register."""
    person = newcomer("付番　待", "世帯主", my_number="", my_number_source=NumberSource.STATED)
    result = await desk.make(family(person))
    (atena_no,) = result.new_atena_nos
    assert atena_no in dict(await desk.do(desk.clerk, registry.awaited_numbers))
    await desk.make(Cancel(occurred_on=RegistryDate(2026, 11, 20), event_no=result.event_no), authority())
    assert atena_no not in dict(await desk.do(desk.clerk, registry.awaited_numbers))


async def test_only_the_last_change_of_everyone_it_touched_can_be_cancelled(desk: Desk) -> None:
    """標準仕様書 4.6."""
    _, people = await _family(desk, "取消順")
    first = await desk.make(Relocate(occurred_on=RegistryDate(2026, 11, 10), atena_nos=tuple(people), address=NEW_HOME))
    await desk.make(
        Correct(
            occurred_on=RegistryDate(2026, 11, 20),
            atena_no=people[2],
            version_no=2,
            items={"basic.name": "取消順　史郎"},
        ),
        authority(),
    )
    with pytest.raises(Invalid) as caught:
        await desk.enter(Cancel(occurred_on=RegistryDate(2026, 11, 20), event_no=first.event_no), authority())
    assert caught.value.fields == {f"event_no.{people[2]}": "registry.corrected_since"}


async def test_a_cancellation_names_the_member_who_has_another_change_since(
    desk: Desk,
) -> None:
    """標準仕様書 4.6: on a form of a household who is in the way is named by 宛名番号."""
    _, people = await _family(desk, "取消者")
    first = await desk.make(Relocate(occurred_on=RegistryDate(2026, 11, 10), atena_nos=tuple(people), address=NEW_HOME))
    later = Amend(
        occurred_on=RegistryDate(2026, 11, 15), atena_no=people[1], reason="amend", items={"notes.remarks": "備考あり"}
    )
    await desk.make(later)
    back = Cancel(occurred_on=RegistryDate(2026, 11, 20), event_no=first.event_no)
    with pytest.raises(Invalid) as caught:
        await desk.enter(back, authority())
    assert caught.value.fields == {f"event_no.{people[1]}": "registry.later_change"}


async def test_a_cancelled_correction_brings_back_what_it_had_corrected(desk: Desk) -> None:
    """異動の取消し of 誤記修正."""
    _, people = await _family(desk, "修正消")
    made = await desk.make(
        Correct(
            occurred_on=RegistryDate(2026, 11, 20),
            atena_no=people[1],
            version_no=1,
            items={"basic.name": "修正消　華子"},
        ),
        authority(),
    )
    assert (await desk.read(people[1])).basic.name == "修正消　華子"
    await desk.make(Cancel(occurred_on=RegistryDate(2026, 11, 20), event_no=made.event_no), authority())
    assert (await desk.read(people[1])).basic.name == "修正消　花子"


async def test_the_head_changes_and_every_member_carries_the_new_name(desk: Desk) -> None:
    """世帯主変更: exactly one head; the order of members follows 続柄."""
    setai_no, (head, wife, child) = await _family(desk, "主変更")
    change = HeadChange(
        occurred_on=RegistryDate(2026, 11, 16),
        household=setai_no,
        positions=(
            Position(atena_no=wife, relationship="世帯主"),
            Position(atena_no=head, relationship="夫"),
            Position(atena_no=child, relationship="子"),
        ),
    )
    await desk.make(change)
    assert [(m.atena_no, m.member_order, m.basic.head_name) for m in await _members(desk, setai_no)] == [
        (wife, 1, "主変更　花子"),
        (head, 2, "主変更　花子"),
        (child, 3, "主変更　花子"),
    ]


@pytest.mark.parametrize("how", ["death", "move_out", "relocate", "head_change"])
async def test_nobody_keeps_in_silence_a_relationship_that_was_said_of_the_head_who_is_gone(
    desk: Desk, other_desk: Desk, how: str
) -> None:
    """標準仕様書 1.1, item 6: the son follows as head, and the form leaves his mother's 続柄 blank; she is not his 妻."""
    for here in (desk, other_desk):
        setai_no, (head, wife, child) = await _family(here, f"継{how}".replace("_", ""))
        day = RegistryDate(2026, 11, 16)
        follows = (Position(atena_no=child, relationship="世帯主"),)
        forms: dict[str, Callable[..., Change]] = {
            "death": lambda p, head=head, day=day: Death(occurred_on=day, atena_no=head, positions=p),
            "move_out": lambda p, head=head, day=day: MoveOut(
                occurred_on=day, atena_nos=(head,), destination=Place(text="東京都"), positions=p
            ),
            "relocate": lambda p, head=head, day=day: Relocate(
                occurred_on=day, atena_nos=(head,), address=NEW_HOME, positions=p
            ),
            "head_change": lambda p, setai_no=setai_no, head=head, day=day: HeadChange(
                occurred_on=day, household=setai_no, positions=(*p, Position(atena_no=head, relationship="父"))
            ),
        }
        with pytest.raises(Invalid) as caught:
            await here.enter(forms[how](follows))
        assert caught.value.fields == {"alert.registry.relationship_kept": "registry.relationship_kept"}
        await here.make(forms[how]((*follows, Position(atena_no=wife, relationship="母"))))
        held = {m.atena_no: m.basic.relationship for m in await _members(here, setai_no) if m.basic}
        assert (held[child], held[wife]) == ("世帯主", "母")


async def test_nobody_joins_in_silence_a_household_that_is_known_to_leave(desk: Desk, other_desk: Desk) -> None:
    """出生, 転居, 転入: a newborn whose family has told that it leaves would stay behind alone, as 世帯主."""
    for here in (desk, other_desk):
        setai_no, people = await _family(here, "先転出")
        (guest,) = (await here.make(family(newcomer("客人　某", "世帯主")), namesake="別人")).new_atena_nos
        day, home = RegistryDate(2026, 11, 18), (await here.read(people[0])).address.address
        leaves = MoveOut(
            occurred_on=RegistryDate(2026, 11, 28), atena_nos=tuple(people), destination=Place(text="東京都")
        )
        await here.make(leaves)
        baby = Newcomer(
            name="先転出　赤", name_kana="センテンシュツ　アカ", birth=day, relationship="子",
            registered_domicile="福島県いわき市", family_head="先転出　一郎",
        )  # fmt: skip
        cousin = newcomer("先転出　従", "縁故者")
        joins: tuple[Change, ...] = (
            Birth(occurred_on=day, setai_no=setai_no, person=baby),
            family(cousin, day=dt.date(2026, 11, 18), setai_no=setai_no),
            Relocate(
                occurred_on=day, atena_nos=(guest,), address=home, setai_no=setai_no,
                positions=(Position(atena_no=guest, relationship="同居人"),),
            ),
        )  # fmt: skip
        for change in joins:
            with pytest.raises(Invalid) as caught:
                await here.enter(change)
            assert "registry.household_leaves" in caught.value.fields.values()


async def test_a_household_splits_and_merges_at_one_address(desk: Desk) -> None:
    """世帯分離, 世帯合併: nobody's address changes."""
    setai_no, (head, wife, child) = await _family(desk, "分離")
    await desk.make(
        HeadChange(
            reason="household_split",
            occurred_on=RegistryDate(2026, 11, 16),
            household=setai_no,
            atena_nos=(child,),
            positions=(Position(atena_no=child, relationship="世帯主"),),
        )
    )
    apart = await desk.read(child)
    assert apart.setai_no != setai_no
    assert apart.is_head
    await desk.make(
        HeadChange(
            reason="household_merge",
            occurred_on=RegistryDate(2026, 11, 18),
            household=apart.setai_no,
            setai_no=setai_no,
            atena_nos=(child,),
            positions=(Position(atena_no=child, relationship="子"),),
        )
    )
    assert [m.atena_no for m in await _members(desk, setai_no)] == [head, wife, child]


async def test_a_name_changes_from_a_day_on_and_the_old_one_is_still_found(desk: Desk) -> None:
    """軽微な修正 and search by a past name."""
    _, people = await _family(desk, "旧名")
    await desk.make(
        Amend(
            occurred_on=RegistryDate(2026, 11, 17),
            reason="minor",
            atena_no=people[1],
            items={"basic.name": "新名　花子", "basic.name_kana": "シンメイ　ハナコ"},
        ),
        authority(),
    )
    assert (await desk.read(people[1], as_of=dt.date(2026, 11, 16))).basic.name == "旧名　花子"
    hits = (await desk.do(desk.clerk, lambda op: registry.search(op, registry.Query(name="旧名　花子")))).hits
    assert [(h.atena_no, h.name, h.matched_past) for h in hits] == [(people[1], "新名　花子", True)]


async def test_a_late_change_of_address_is_woven_in_before_what_is_already_known(desk: Desk) -> None:
    """異動日 before a change recorded earlier: the later version takes the new address over and names what it corrects."""
    setai_no, (head, wife, child) = await _family(desk, "遅届")
    await desk.make(
        HeadChange(
            occurred_on=RegistryDate(2026, 11, 18),
            household=setai_no,
            positions=(
                Position(atena_no=wife, relationship="世帯主"),
                Position(atena_no=head, relationship="夫"),
                Position(atena_no=child, relationship="子"),
            ),
        )
    )
    await desk.make(
        Relocate(occurred_on=from_date(dt.date(2026, 11, 10)), atena_nos=(head, wife, child), address=NEW_HOME)
    )
    for day, name in ((dt.date(2026, 11, 12), "遅届　一郎"), (dt.date(2026, 11, 19), "遅届　花子")):
        members = await _members(desk, setai_no, as_of=day)
        assert {m.address.address for m in members} == {NEW_HOME}
        assert {m.basic.head_name for m in members} == {name}


async def test_a_mover_joins_an_existing_household_and_its_order(desk: Desk) -> None:
    """転居 into another household: place and head's name follow the household joined."""
    target, (host, _, _) = await _family(desk, "受入")
    alone = (await desk.make(family(newcomer("合流　母", "世帯主", RegistryDate(1950, 1, 1, "S"))))).new_atena_nos[0]
    change = Relocate(
        occurred_on=RegistryDate(2026, 11, 18),
        atena_nos=(alone,),
        setai_no=target,
        address=(await desk.read(host)).address.address,
        positions=(Position(atena_no=alone, relationship="母"),),
    )
    await desk.make(change, same_address="世帯に入るため")
    joined = await desk.read(alone)
    assert (joined.setai_no, joined.member_order, joined.is_head) == (target, 4, False)
    assert joined.basic.head_name == "受入　一郎"
    missing = Relocate(
        occurred_on=RegistryDate(2026, 11, 18), atena_nos=(alone,), setai_no="0000000000", address=NEW_HOME
    )
    with pytest.raises(Invalid) as caught:
        await desk.enter(missing)
    assert "registry.unknown_household" in caught.value.fields.values()


async def test_a_change_before_the_record_begins_or_of_someone_gone_is_refused(desk: Desk) -> None:
    """異動日 against the life of the record."""
    _, people = await _family(desk, "始終")
    early = Relocate(occurred_on=RegistryDate(2026, 10, 31), atena_nos=tuple(people), address=NEW_HOME)
    with pytest.raises(Invalid) as caught:
        await desk.enter(early)
    assert "registry.before_first" in caught.value.fields.values()
    await desk.make(
        MoveOut(
            occurred_on=RegistryDate(2026, 11, 19),
            notified_on=dt.date(2026, 11, 19),
            atena_nos=tuple(people),
            destination=Place(text="東京都"),
        )
    )
    with pytest.raises(Invalid) as caught:
        await desk.enter(Death(occurred_on=RegistryDate(2026, 11, 20), atena_no=people[0]))
    assert caught.value.fields == {"atena_no": "registry.not_resident"}
    unknown = Death(occurred_on=RegistryDate(2026, 11, 20), atena_no="0000000000")
    with pytest.raises(Invalid) as caught:
        await desk.enter(unknown)
    assert caught.value.fields == {"atena_no": "registry.unknown_resident"}


async def test_a_reason_that_the_form_does_not_serve_is_refused(desk: Desk) -> None:
    """R-1-1.1-DAT-02: the reason of a change fits its form."""
    _, people = await _family(desk, "様式")
    wrong = Death(reason="relocate", occurred_on=RegistryDate(2026, 11, 18), atena_no=people[2])
    with pytest.raises(Invalid) as caught:
        await desk.enter(wrong)
    assert caught.value.fields == {"reason": "registry.reason_not_of_form"}
