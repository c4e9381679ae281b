"""帰化等, 国籍喪失, 改製, 再製: one record struck out and one written for the same person, with history, as-of, correction, cancellation."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest
from tests.registry.conftest import Desk, authority, family, newcomer, reception, three

from juki import registry
from juki.dates import RegistryDate
from juki.problem import Invalid
from juki.registry.model import (
    Cancel,
    Correct,
    Death,
    Foreigner,
    Kind,
    NationalityChange,
    Place,
    Record,
    Relocate,
    Remake,
    Status,
)

DAY = RegistryDate(2026, 11, 10)
CARD = "AB12345678CD"
STAY = Foreigner(
    nationality="ブラジル", category="中長期在留者", residence_status="定住者", residence_period="3年", card_number=CARD
)


def naturalised(atena_no: str, **more: Any) -> NationalityChange:
    """A 帰化 notice."""
    given: dict[str, Any] = {
        "name": "山田　安奈",
        "name_kana": "ヤマダ　アンナ",
        "registered_domicile": "福島県いわき市平字梅本21番地",
        "family_head": "山田　安奈",
    }
    return NationalityChange(occurred_on=DAY, reason="entry_naturalised", atena_no=atena_no, **(given | more))


def lost(atena_no: str, **more: Any) -> NationalityChange:
    """A notice of 国籍喪失."""
    given: dict[str, Any] = {
        "name": "SATO KEN", "name_kana": "サトウ　ケン", "name_roman": "SATO KEN", "foreigner": STAY,
    }  # fmt: skip
    return NationalityChange(occurred_on=DAY, reason="entry_nationality_lost", atena_no=atena_no, **(given | more))


async def foreign_family(desk: Desk, card: str) -> tuple[str, ...]:
    """A foreign head with an alias, and a Japanese child."""
    head = newcomer(
        "SILVA ANA",
        "世帯主",
        RegistryDate(1990, 2, 3),
        kind=Kind.FOREIGN,
        registered_domicile="",
        family_head="",
        name_roman="SILVA ANA",
        name_kana="シルバ　アナ",
        alias="田中　安奈",
        foreigner=Foreigner(
            nationality="ブラジル",
            category="中長期在留者",
            card_number=card,
            foreign_resident_since=RegistryDate(2020, 5, 1),
        ),
    )
    child = newcomer("田中　海", "子", RegistryDate(2020, 1, 1, "R"))
    return (await desk.make(family(head, child), namesake="別の方")).new_atena_nos


async def history(desk: Desk, atena_no: str) -> list[tuple[str, str, str, int | None]]:
    """(reason of the change, status, kind, superseded by) of every version."""
    found = await desk.do(desk.clerk, lambda op: registry.history(op, atena_no))
    return [(v.event.reason, v.record.status.value, v.record.kind.value, v.superseded_by) for v in found]


async def test_a_naturalised_resident_loses_what_is_foreign_and_gets_the_domicile(desk: Desk) -> None:
    """標準仕様書 1.2.2 職権記載（帰化等）: numbers, address, birth and 続柄 go on; 30条の45 and 通称 go, 本籍・筆頭者 come."""
    ana, child = await foreign_family(desk, "CD12345678EF")
    before = await desk.read(ana)
    result = await desk.make(naturalised(ana), authority())
    assert set(result.atena_nos) == {ana, child}
    after = await desk.read(ana)
    assert (after.kind, after.status, after.is_head) == (Kind.JAPANESE, Status.RESIDENT, True)
    assert after.foreigner is None
    assert after.domicile is not None
    assert (after.domicile.registered_domicile, after.domicile.family_head) == (
        "福島県いわき市平字梅本21番地",
        "山田　安奈",
    )
    assert after.basic is not None
    assert before.basic is not None
    assert (after.basic.name, after.basic.alias, after.basic.name_roman) == ("山田　安奈", "", "")
    assert (after.basic.birth, after.basic.sex, after.basic.relationship) == (
        before.basic.birth,
        before.basic.sex,
        "世帯主",
    )
    assert (after.my_number, after.resident_code, after.setai_no) == (
        before.my_number,
        before.resident_code,
        before.setai_no,
    )
    kid = await desk.read(child)
    assert kid.basic is not None
    assert kid.basic.head_name == "山田　安奈"
    assert [line[:3] for line in await history(desk, ana)] == [
        ("move_in", "resident", "foreign"),
        ("entry_naturalised", "removed", "foreign"),
        ("entry_naturalised", "resident", "japanese"),
    ]
    struck = (await desk.do(desk.clerk, lambda op: registry.history(op, ana, groups=("removal",))))[1].record
    assert struck.removal is not None
    assert (struck.removal.reason, struck.removal.occurred_on) == ("職権消除（帰化等）", DAY)
    eve = await desk.read(ana, as_of=dt.date(2026, 11, 9))
    assert (eve.kind, eve.basic) == (Kind.FOREIGN, before.basic)
    hits = await desk.do(desk.clerk, lambda op: registry.search(op, registry.Query(name="山田　安奈")))
    assert [h.atena_no for h in hits.hits] == [ana]


async def test_before_and_after_show_the_record_that_is_written(desk: Desk) -> None:
    """SS 4.0: who confirms 帰化 or 改製 sees what the record will say, not only that the old one is struck out."""
    ana, _ = await foreign_family(desk, "CD12345679EF")
    seen = await desk.do(desk.clerk, lambda op: registry.examine(op, naturalised(ana), authority()))
    was, now = seen.before[0], seen.after[0]
    assert (was.kind, now.kind, now.status) == (Kind.FOREIGN, Kind.JAPANESE, Status.RESIDENT)
    assert was.basic is not None
    assert now.basic is not None
    assert (was.basic.name, now.basic.name) == ("SILVA ANA", "山田　安奈")


async def test_a_naturalisation_is_corrected(desk: Desk) -> None:
    """誤記修正 of the Japanese record, not of the foreign one before it; and that correction taken back."""
    ana, _ = await foreign_family(desk, "EF12345678GH")
    await desk.make(naturalised(ana), authority())
    fix = {"domicile.registered_domicile": "福島県いわき市平字梅本22番地"}
    corrected = await desk.make(Correct(occurred_on=DAY, atena_no=ana, version_no=3, items=fix), authority())
    held = await desk.read(ana)
    assert held.domicile is not None
    assert held.domicile.registered_domicile.endswith("22番地")
    assert (await desk.read(ana, as_of=dt.date(2026, 11, 9))).domicile is None
    await desk.make(Cancel(occurred_on=RegistryDate(2026, 11, 20), event_no=corrected.event_no), authority())
    held = await desk.read(ana)
    assert held.domicile is not None
    assert held.domicile.registered_domicile.endswith("21番地")


async def test_a_naturalisation_is_taken_back(desk: Desk) -> None:
    """異動の取消し（減）: the foreign record stands again, and everything stays in the history."""
    ana, child = await foreign_family(desk, "MN12345678OP")
    before = await desk.read(ana)
    event_no = (await desk.make(naturalised(ana), authority())).event_no
    await desk.make(Cancel(occurred_on=RegistryDate(2026, 11, 20), event_no=event_no), authority())
    back = await desk.read(ana)
    assert (back.kind, back.basic, back.foreigner, back.domicile) == (
        before.kind, before.basic, before.foreigner, before.domicile,
    )  # fmt: skip
    kid = await desk.read(child)
    assert kid.basic is not None
    assert kid.basic.head_name == "SILVA ANA"
    lines = await history(desk, ana)
    assert ("entry_naturalised", "resident", "japanese") in [line[:3] for line in lines]
    assert lines[-1][0] == "cancel_remove"


async def test_who_loses_the_nationality_and_stays_becomes_a_foreign_resident(desk: Desk) -> None:
    """職権記載（国籍喪失）: 本籍・筆頭者 and 旧氏 go, 30条の45 comes; the day is 外国人住民となった年月日."""
    ken, wife, child = (await desk.make(three("佐藤"))).new_atena_nos
    before = await desk.read(ken)
    await desk.make(lost(ken), authority())
    after = await desk.read(ken)
    assert (after.kind, after.status, after.domicile) == (Kind.FOREIGN, Status.RESIDENT, None)
    assert after.foreigner is not None
    assert (after.foreigner.category, after.foreigner.foreign_resident_since) == ("中長期在留者", DAY)
    assert (after.my_number, after.resident_code) == (before.my_number, before.resident_code)
    assert after.basic is not None
    assert (after.basic.name, after.basic.former_surname) == ("SATO KEN", "")
    everybody = (ken, wife, child)
    new_home = Place(text="福島県いわき市錦町1番地")
    await desk.make(Relocate(occurred_on=RegistryDate(2026, 11, 15), atena_nos=everybody, address=new_home))
    await desk.make(
        Correct(occurred_on=DAY, atena_no=ken, version_no=3, items={"foreigner.nationality": "ペルー"}), authority()
    )
    last = await desk.read(ken)
    assert last.foreigner is not None
    assert last.foreigner.nationality == "ペルー"
    assert (await desk.read(ken, as_of=dt.date(2026, 11, 9))).kind is Kind.JAPANESE


async def test_who_may_not_stay_is_struck_out(desk: Desk) -> None:
    """職権消除（国籍喪失）: without a residence status there is no foreign resident; for a Japanese only."""
    head, wife, child = (await desk.make(three("喪失"))).new_atena_nos
    await desk.make(Death(occurred_on=DAY, reason="removal_nationality_lost", atena_no=wife), authority())
    gone = await desk.read(wife)
    assert gone.status is Status.REMOVED
    assert gone.removal is not None
    assert gone.removal.reason == "職権消除（国籍喪失）"
    ana, _ = await foreign_family(desk, "GH12345678IJ")
    wrong = Death(occurred_on=DAY, reason="removal_nationality_lost", atena_no=ana)
    assert "registry.not_for_foreigner" in await refused(desk, wrong)
    assert (await desk.read(head)).status is (await desk.read(child)).status is Status.RESIDENT


async def refused(desk: Desk, change: Any, paper: Any = None) -> set[str]:
    """The rules that a change breaks."""
    with pytest.raises(Invalid) as caught:
        await desk.enter(change, paper or authority())
    return set(caught.value.fields.values())


async def test_a_change_of_nationality_rests_on_a_notice_and_on_the_right_items(desk: Desk) -> None:
    """Who may start it: an authority's notice, nobody at the counter; each kind has its own items and no others."""
    ana, _ = await foreign_family(desk, "IJ12345678KL")
    ken = (await desk.make(three("規則"))).new_atena_nos[0]
    for change in (naturalised(ana), lost(ken, foreigner=Foreigner(nationality="ペルー", category="中長期在留者"))):
        assert "registry.notice_needed" in await refused(desk, change, reception())
    assert await refused(desk, naturalised(ken)) == {"registry.not_for_japanese"}
    assert await refused(desk, naturalised(ana, registered_domicile=" ")) == {"registry.required"}
    assert await refused(desk, naturalised(ana, foreigner=Foreigner(nationality="ペルー"))) == {
        "registry.not_for_japanese"
    }
    assert await refused(desk, naturalised(ana, name=" ")) == {"registry.name_unusable"}
    assert await refused(desk, lost(ana, foreigner=Foreigner(nationality="ペルー", category="中長期在留者"))) == {
        "registry.not_for_foreigner"
    }
    assert await refused(desk, lost(ken, foreigner=None)) == {"registry.foreigner_missing"}
    assert await refused(desk, lost(ken, foreigner=Foreigner(nationality="ペルー"))) == {"registry.required"}
    held = Foreigner(nationality="ペルー", category="中長期在留者", card_number="IJ12345678KL")
    assert await refused(desk, lost(ken, foreigner=held)) == {"registry.number_held"}
    ahead = msgspec.structs.replace(naturalised(ana), occurred_on=RegistryDate(2026, 11, 21))
    assert "registry.occurred_in_future" in await refused(desk, ahead)


async def remade(desk: Desk, reason: str, **more: Any) -> tuple[Record, Record, str]:
    """A record with a former address and remarks, before and after it is written anew."""
    made = await desk.make(family(newcomer("書替　太郎", "世帯主")), namesake="別の方")
    (atena_no,) = made.new_atena_nos
    moved = Relocate(
        occurred_on=RegistryDate(2026, 11, 5), atena_nos=(atena_no,), address=Place(text="福島県いわき市内郷綴町1番地")
    )
    await desk.make(moved, notified_late="届出人の入院のため")
    note = Correct(occurred_on=DAY, atena_no=atena_no, version_no=2, items={"notes.remarks": "古い備考"})
    await desk.make(note, authority())
    before = await desk.read(atena_no)
    await desk.make(Remake(occurred_on=DAY, reason=reason, atena_no=atena_no, **more), authority())
    return before, await desk.read(atena_no), atena_no


async def test_what_is_past_stays_behind_when_a_record_is_reissued(desk: Desk) -> None:
    """改製: 異動前住所 and old 備考 are on the record struck out; 転入前住所, numbers and 備考 carried over are on the new one."""
    before, after, atena_no = await remade(desk, "entry_reissue", carried_remarks="移記した備考")
    assert before.address is not None
    assert after.address is not None
    assert before.address.moved_within_from.text
    assert not after.address.moved_within_from.text
    assert after.address.previous_address == before.address.previous_address
    assert after.notes is not None
    assert after.notes.remarks == "移記した備考"
    assert after.removal is not None
    assert (after.removal.reissue_entered_on, after.removal.occurred_on) == (DAY, None)
    assert (after.status, after.my_number, after.basic) == (Status.RESIDENT, before.my_number, before.basic)
    found = await desk.do(desk.clerk, lambda op: registry.history(op, atena_no, groups=("removal", "notes", "address")))
    struck = found[-2].record
    assert struck.removal is not None
    assert (struck.status, struck.removal.reason, struck.removal.reissue_removed_on) == (Status.REMOVED, "改製", DAY)
    assert struck.notes is not None
    assert struck.notes.remarks == "古い備考"
    assert struck.address == before.address
    await desk.make(Cancel(occurred_on=RegistryDate(2026, 11, 20), event_no=found[-1].event.event_no), authority())
    back = await desk.read(atena_no)
    assert (back.address, back.notes, back.removal) == (before.address, before.notes, before.removal)


async def test_a_record_made_again_reads_as_it_was(desk: Desk) -> None:
    """再製: everything as before, with the day; 備考 is not chosen anew."""
    before, after, atena_no = await remade(desk, "entry_restored")
    assert (after.address, after.notes, after.basic) == (before.address, before.notes, before.basic)
    assert after.removal is not None
    assert (after.removal.restored_entered_on, after.removal.reissue_entered_on) == (DAY, None)
    assert [line[:2] for line in await history(desk, atena_no)][-2:] == [
        ("entry_restored", "removed"),
        ("entry_restored", "resident"),
    ]
    wrong = Remake(occurred_on=DAY, reason="entry_restored", atena_no=atena_no, carried_remarks="備考")
    assert await refused(desk, wrong) == {"registry.not_for_reason"}
    early = Remake(occurred_on=RegistryDate(2026, 11, 2), reason="entry_reissue", atena_no=atena_no)
    assert await refused(desk, early) == {"registry.later_change"}
    assert "registry.notice_needed" in await refused(
        desk, Remake(occurred_on=DAY, reason="entry_reissue", atena_no=atena_no), reception()
    )


@pytest.mark.parametrize("reason", ["entry_reissue", "entry_restored"])
async def test_a_record_written_anew_twice_on_one_day_is_refused_and_not_struck_out(desk: Desk, reason: str) -> None:
    """改製・再製: nobody is struck out without the record that takes the place of the old one."""
    _, after, atena_no = await remade(desk, reason)
    again = Remake(occurred_on=DAY, reason=reason, atena_no=atena_no, carried_remarks="")
    assert await refused(desk, again) == {"registry.nothing_changes"}
    assert (await desk.read(atena_no)).version_no == after.version_no


async def test_another_municipality_sees_nothing_of_it(desk: Desk, other_desk: Desk) -> None:
    """R-A-3.3-ACC: the same form in two municipalities touches each one's own resident only."""
    mine, _ = await foreign_family(desk, "KL12345678MN")
    theirs, _ = await foreign_family(other_desk, "KL12345678MN")
    await desk.make(naturalised(mine), authority())
    assert (await other_desk.read(theirs)).kind is Kind.FOREIGN
    assert (await desk.read(mine)).kind is Kind.JAPANESE
