"""Changes that lie before others already recorded: what came later, and what is taken back, still reads right."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest
from tests.registry.conftest import family, newcomer
from tests.registry.town import Town, whole

from juki.dates import RegistryDate, from_date, parse
from juki.registry import move_in
from juki.registry.model import (
    Address,
    Amend,
    Basic,
    Cancel,
    Change,
    Correct,
    Death,
    HeadChange,
    MoveOut,
    Notes,
    Place,
    Position,
    Record,
    Relocate,
    Removal,
    Status,
    as_of,
    timeline,
)

FIRST = dt.date(2026, 3, 1)
OLD = Place(text="福島県いわき市平字梅本21番地の1")
NEW = Place(text="福島県いわき市小名浜字中町境1番地の2")


@pytest.fixture
def town() -> Town:
    """A town in which head, child and younger brother have lived together since March."""
    town = Town(0)
    town.today = dt.date(2026, 6, 1)
    _make(
        town,
        family(
            newcomer("過去　一郎", "世帯主"),
            newcomer("過去　二郎", "子"),
            newcomer("過去　三郎", "弟", RegistryDate(1982, 1, 1)),
            day=FIRST,
            address=OLD,
        ),
    )
    return town


def _make(town: Town, change: Change) -> None:
    change, scene, allowed = town.judge(change)
    assert allowed, type(change).__name__
    town.commit(change, scene)


def _held(town: Town, atena_no: str, day: dt.date = dt.date.max) -> Record:
    held = as_of(timeline(town.records[atena_no]), day)
    assert held is not None
    return held


def _basic(town: Town, atena_no: str, day: dt.date = dt.date.max) -> Basic:
    basic = _held(town, atena_no, day).basic
    assert basic is not None
    return basic


def _address(town: Town, atena_no: str, day: dt.date = dt.date.max) -> Address:
    address = _held(town, atena_no, day).address
    assert address is not None
    return address


@pytest.mark.parametrize("leaves", ["death", "move_out"])
def test_the_removed_record_keeps_the_home_of_the_day_of_removal_though_the_family_moved_since(
    town: Town, leaves: str
) -> None:
    """F-S1-01: a death told after the family's move leaves the 除票 at the address and place of the day of death."""
    head, child, brother = town.records
    moved = RegistryDate(2026, 4, 10)
    positions = tuple(Position(atena_no=a, relationship=r) for a, r in ((brother, "世帯主"), (child, "縁故者")))
    everyone = Relocate(occurred_on=moved, atena_nos=(head, child, brother), address=NEW)
    _make(town, everyone)
    gone_on = RegistryDate(2026, 4, 2)
    removal = (
        Death(occurred_on=gone_on, atena_no=head, positions=positions)
        if leaves == "death"
        else MoveOut(
            occurred_on=gone_on, atena_nos=(head,), destination=Place(text="東京都千代田区"), positions=positions
        )
    )
    _make(town, removal)
    assert _held(town, head).status is (Status.DECEASED if leaves == "death" else Status.MOVED_OUT)
    assert (_address(town, head).address, _address(town, head).moved_within_from) == (OLD, Place())
    assert (_basic(town, head).relationship, _basic(town, head).head_name) == ("世帯主", "過去　一郎")
    assert _address(town, child).address == NEW
    assert whole(town, dt.date.max) == [] == whole(town, gone_on.sort_date())


def test_a_cancelled_change_gives_back_what_stood_on_each_day_also_where_another_had_moved_on(town: Town) -> None:
    """異動の取消し of a change that lay before two others: the name that changed in between is not lost."""
    _head, child, brother = town.records
    _make(
        town,
        Amend(occurred_on=RegistryDate(2026, 4, 1), reason="minor", atena_no=child, items={"basic.name": "過去　次郎"}),
    )
    _make(
        town,
        MoveOut(occurred_on=RegistryDate(2026, 5, 1), atena_nos=(brother,), destination=Place(text="東京都千代田区")),
    )
    before = [_held(town, child, day) for day in (FIRST, dt.date(2026, 4, 1), dt.date(2026, 5, 1))]
    household = before[0].setai_no
    positions = (Position(atena_no=child, relationship="同居人"),)
    _make(town, HeadChange(occurred_on=from_date(FIRST), household=household, positions=positions))
    assert _basic(town, child).relationship == "同居人"
    _make(town, Cancel(occurred_on=from_date(town.today), event_no=len(town.events)))
    after = [_held(town, child, day) for day in (FIRST, dt.date(2026, 4, 1), dt.date(2026, 5, 1))]
    assert [r.basic for r in after] == [r.basic for r in before]
    assert [r.member_order for r in after] == [r.member_order for r in before]


def test_a_move_told_late_is_the_address_before_of_the_move_already_known(town: Town) -> None:
    """転居: A to C is known; that B lay between comes later, and 異動前住所 of C becomes B on every version since."""
    between = Place(text="福島県いわき市常磐湯本町吹谷1番地")
    everyone = tuple(town.records)
    _make(town, Relocate(occurred_on=RegistryDate(2026, 5, 1), atena_nos=everyone, address=NEW))
    _make(
        town,
        Amend(occurred_on=RegistryDate(2026, 5, 9), reason="minor", atena_no=everyone[1], items={"notes.memo": "控え"}),
    )
    _make(town, Relocate(occurred_on=RegistryDate(2026, 4, 1), atena_nos=everyone, address=between))
    for atena_no in everyone:
        on = [_address(town, atena_no, dt.date(2026, *day)) for day in ((3, 31), (4, 1), (5, 1), (5, 9))]
        assert [a.address for a in on] == [OLD, between, NEW, NEW]
        assert [a.moved_within_from for a in on] == [Place(), OLD, between, between]
    assert _held(town, everyone[1]).notes == Notes(memo="控え")


@pytest.mark.parametrize("typed", ["年月日不詳", "令和8年月日不詳", "令和8年3月頃", "令和8年4月1日から10日までの間"])
def test_a_death_on_a_day_nobody_knows_is_recorded_after_the_last_that_is_known_of_the_living(
    town: Town, typed: str
) -> None:
    """R-1-1.1-DAT-01, 死亡日不詳: kept as written; whoever moved in April was alive then, so the 除票 holds from there."""
    head, child, brother = town.records
    _make(town, Relocate(occurred_on=RegistryDate(2026, 4, 5), atena_nos=(head, child, brother), address=NEW))
    died = parse(typed, unknown_allowed=True)
    _make(town, Death(occurred_on=died, atena_no=brother))
    last = _held(town, brother)
    assert (last.status, last.valid_from) == (Status.DECEASED, dt.date(2026, 4, 5))
    assert last.removal == Removal(reason="死亡", occurred_on=died)
    assert _address(town, brother).address == NEW
    assert _held(town, brother, dt.date(2026, 4, 4)).status is Status.RESIDENT


def test_whoever_has_told_of_leaving_and_stays_does_not_come_in_anew_before_that_day(town: Town) -> None:
    """再転入: until 転出予定日 the person lives here, so the 転出 is cancelled and no second record of entry made."""
    brother = list(town.records)[2]
    _make(
        town,
        MoveOut(occurred_on=RegistryDate(2026, 6, 20), atena_nos=(brother,), destination=Place(text="東京都千代田区")),
    )
    returning = newcomer("過去　三郎", "世帯主", RegistryDate(1982, 1, 1), returning_atena_no=brother)
    early = family(returning, day=dt.date(2026, 6, 1), address=NEW)
    found = move_in.check(early, town.scene(early), "none")
    assert [(f.code, f.field) for f in found.errors] == [("registry.still_resident", "persons.0.returning_atena_no")]
    town.today = dt.date(2026, 7, 1)
    _make(town, family(returning, day=town.today, address=NEW))
    assert _held(town, brother).status is Status.RESIDENT
    assert _address(town, brother).address == NEW


def test_a_wrong_address_is_set_right_for_the_whole_household_and_for_where_they_moved_from(town: Town) -> None:
    """誤記修正 of 住所: one correction for all who stand there, also who joined later; the 異動前住所 of a later move follows."""
    head, child, brother = town.records
    setai_no = _held(town, head).setai_no
    _make(
        town,
        family(
            newcomer("過去　四郎", "弟", RegistryDate(1985, 1, 1)),
            day=dt.date(2026, 4, 1),
            address=OLD,
            setai_no=setai_no,
        ),
    )
    joined = list(town.records)[3]
    everyone = (head, child, brother, joined)
    _make(
        town,
        Amend(occurred_on=RegistryDate(2026, 4, 9), reason="minor", atena_no=child, items={"basic.name": "過去　次郎"}),
    )
    _make(town, Relocate(occurred_on=RegistryDate(2026, 5, 1), atena_nos=everyone, address=NEW))
    right = Place(text="福島県いわき市平字梅本12番地の1", postal=OLD.postal)
    correct = Correct(
        occurred_on=from_date(town.today), atena_no=head, version_no=1, items={"address.address.text": right.text}
    )
    _make(town, correct)
    for atena_no in everyone:
        assert _address(town, atena_no, dt.date(2026, 4, 30)).address == right
        assert (_address(town, atena_no).address, _address(town, atena_no).moved_within_from) == (NEW, right)
    assert _basic(town, child).name == "過去　次郎"
    assert whole(town, FIRST) == [] == whole(town, dt.date.max)
    _make(town, Cancel(occurred_on=from_date(town.today), event_no=len(town.events)))
    assert {_address(town, a, dt.date(2026, 4, 30)).address for a in everyone} == {OLD}


def test_a_new_wording_of_the_address_holds_for_everyone_who_lives_there(town: Town) -> None:
    """軽微な修正 (住居表示の変更等): from its day on, for the household as one."""
    wording = "福島県いわき市平梅本一丁目2番3号"
    head = next(iter(town.records))
    amend = Amend(
        occurred_on=RegistryDate(2026, 5, 1), reason="minor", atena_no=head, items={"address.address.text": wording}
    )
    _make(town, amend)
    for atena_no in town.records:
        assert _address(town, atena_no, dt.date(2026, 4, 30)).address == OLD
        assert _address(town, atena_no).address.text == wording
        assert _address(town, atena_no).moved_within_from == Place()


def test_a_late_change_of_head_reaches_the_removed_record_in_words_and_not_as_its_head(town: Town) -> None:
    """item 7, SS 1.1: after the removal nobody is 世帯主; the 除票 says the 続柄 of its last day and no more."""
    head, child, brother = town.records
    _make(town, Death(occurred_on=RegistryDate(2026, 4, 20), atena_no=brother))
    positions = tuple(
        Position(atena_no=a, relationship=r) for a, r in ((brother, "世帯主"), (head, "兄"), (child, "子"))
    )
    late = HeadChange(occurred_on=RegistryDate(2026, 4, 1), household=_held(town, head).setai_no, positions=positions)
    _change, scene, _ = town.judge(late)
    struck = [v for v in town.commit(late, scene) if v.atena_no == brother and v.status is Status.DECEASED]
    assert [(v.basic.relationship, v.is_head) for v in struck if v.basic] == [("世帯主", False)]


def test_a_removed_record_that_came_over_as_head_loses_the_mark_with_its_first_correction(town: Town) -> None:
    """item 7: what an incumbent left on a 除票 is not carried on."""
    head, child, brother = town.records
    positions = (Position(atena_no=child, relationship="世帯主"), Position(atena_no=brother, relationship="縁故者"))
    _make(town, Death(occurred_on=RegistryDate(2026, 4, 20), atena_no=head, positions=positions))
    *earlier, struck = town.records[head]
    town.records[head] = (*earlier, msgspec.structs.replace(struck, is_head=True))
    right: dict[str, str | bool] = {"basic.name": "過去　市郎"}
    _make(town, Correct(occurred_on=RegistryDate(2026, 5, 1), atena_no=head, version_no=struck.version_no, items=right))
    assert (_basic(town, head).name, _held(town, head).is_head) == ("過去　市郎", False)
