"""転入: from the form to the register, by two persons."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from tests.registry.conftest import Desk, authority, family, my_number, newcomer, reception, three

from juki import registry
from juki.dates import RegistryDate
from juki.problem import Invalid, NotFound, Refused
from juki.registry.model import Kind, MoveOut, NumberSource, Place, Sex, Status


async def test_a_family_of_three_moves_in_and_stands_in_the_register_after_a_second_person_confirmed(
    desk: Desk,
) -> None:
    """R-12-3.2-QUA-01, R-1-1.1-DAT-01, R-1-1.4-LAW-01: 転入 of three with 個人番号."""
    change = three()
    case_no = await desk.enter(change)
    result = await desk.confirm(case_no, change)
    assert len(result.new_atena_nos) == 3
    head = await desk.read(result.new_atena_nos[0])
    home = await desk.do(desk.clerk, lambda op: registry.household(op, head.setai_no, groups=("basic", "address")))
    assert [m.is_head for m in home.members] == [True, False, False]
    assert [m.member_order for m in home.members] == [1, 2, 3]
    assert [m.basic.relationship for m in home.members] == ["世帯主", "妻", "子"]
    assert {m.basic.head_name for m in home.members} == {"渡邊　一郎"}
    assert head.my_number is not None
    assert head.my_number.my_number == change.persons[0].my_number
    assert head.status is Status.RESIDENT
    assert head.address is not None
    assert head.address.resident_since == RegistryDate(2026, 11, 1)
    assert head.address.previous_address.text.startswith("宮城県仙台市")
    assert head.address.last_registered_address == head.address.previous_address


async def test_a_draft_is_seen_by_no_search_and_no_record(desk: Desk) -> None:
    """R-12-3.2-QUA-01: 仮登録 is invisible outside the flow of confirming."""
    change = family(newcomer("仮登録　太郎", "世帯主", name_kana="カリトウロク　タロウ"))
    case_no = await desk.enter(change)
    hits = await desk.do(desk.clerk, lambda op: registry.search(op, registry.Query(name="仮登録　太郎")))
    assert hits.hits == ()
    hits = await desk.do(
        desk.clerk, lambda op: registry.search(op, registry.Query(my_number=change.persons[0].my_number))
    )
    assert hits.hits == ()
    result = await desk.confirm(case_no, change)
    hits = await desk.do(desk.clerk, lambda op: registry.search(op, registry.Query(name="仮登録　太郎")))
    assert [h.atena_no for h in hits.hits] == list(result.new_atena_nos)


async def test_whoever_entered_a_change_cannot_confirm_it_or_hand_it_back(desk: Desk) -> None:
    """R-12-3.2-QUA-01: 入力者以外による照合, whatever the rights of the person."""
    case_no = await desk.enter(three("別人"))
    both = desk.clerk.__class__(
        tenant="072044", actor_id="op-entry", rights=desk.clerk.rights | {"change.confirm"}, terminal_id="T"
    )
    for work in (
        lambda op: registry.confirm(op, case_no, {}),
        lambda op: registry.hand_back(op, case_no, "理由"),
    ):
        with pytest.raises(Refused) as caught:
            await desk.do(both, work)
        assert caught.value.code == "registry.same_person"


async def test_what_the_second_person_types_must_equal_the_entry_and_only_the_field_is_named(desk: Desk) -> None:
    """R-12-3.2-QUA-01: blind re-entry of numbers and dates."""
    change = family(newcomer("照合　花子", "世帯主", RegistryDate(1970, 1, 2, "S")))
    case_no = await desk.enter(change)
    for field, typed in (
        ("persons__0__my_number", my_number(777777)),
        ("persons__0__birth", "S45.1.3"),
        ("occurred_on", "R8.11.2"),
    ):
        with pytest.raises(Invalid) as caught:
            await desk.confirm(case_no, change, **{field: typed})
        assert caught.value.code == "registry.reentry_mismatch"
        assert caught.value.fields == {field.replace("__", "."): "registry.reentry_differs"}
        assert change.persons[0].my_number not in repr(caught.value)
    with pytest.raises(Invalid) as caught:
        await desk.do(desk.checker, lambda op: registry.confirm(op, case_no, {}))
    assert set(caught.value.fields) >= {"occurred_on", "persons.0.my_number", "persons.0.birth", "notified_on"}
    number = change.persons[0].my_number
    spaced = f"{number[:4]} {number[4:8]}-{number[8:]}"
    result = await desk.confirm(
        case_no, change, persons__0__my_number=spaced, persons__0__birth="昭和45年1月2日", occurred_on="R8.11.1"
    )
    assert len(result.new_atena_nos) == 1


@pytest.mark.parametrize(
    ("person", "code"),
    [
        ({"my_number": "123456789012"}, "registry.my_number_invalid"),
        ({"my_number": "000000000000"}, "registry.my_number_invalid"),
        ({"my_number_source": NumberSource.STATED}, "registry.my_number_source"),
        ({"resident_code": "123"}, "registry.resident_code_invalid"),
        ({"relationship": "祖父"}, "registry.relationship_unknown"),
        ({"birth": RegistryDate(2026, 11, 2)}, "registry.born_after"),
        ({"registered_domicile": ""}, "registry.required"),
        ({"name": "　"}, "registry.name_unusable"),
        ({"former_surname": "旧\u202e氏"}, "registry.name_unusable"),
        ({"former_surname": "1"}, "registry.name_unusable"),
        ({"name_kana": "カナ\x00"}, "registry.text_unusable"),
        ({"registered_domicile": "福島県\u2066いわき市"}, "registry.text_unusable"),
        ({"family_head": "戸" * 4001}, "registry.text_unusable"),
        ({"kind": Kind.FOREIGN}, "registry.foreigner_missing"),
        ({"alias": "通称"}, "registry.not_for_japanese"),
        ({"returning_atena_no": "0000000000"}, "registry.unknown_resident"),
    ],
)
async def test_a_newcomer_with_a_fault_cannot_be_entered(desk: Desk, person: dict[str, Any], code: str) -> None:
    """R-1-2.3-NUM-01, 標準仕様書 11: errors name the field and the rule."""
    given = {"name": "誤り　太郎", "relationship": "世帯主"} | person
    with pytest.raises(Invalid) as caught:
        await desk.enter(family(newcomer(**given)))
    assert caught.value.code == "registry.change_invalid"
    assert code in caught.value.fields.values()


async def test_a_number_that_a_resident_holds_is_refused_for_anyone_else(desk: Desk) -> None:
    """個人番号 and 住民票コード belong to one person."""
    first = family(newcomer("番号　一郎", "世帯主"))
    await desk.make(first)
    for number in ("my_number", "resident_code"):
        copied = {number: getattr(first.persons[0], number)}
        with pytest.raises(Invalid) as caught:
            await desk.enter(family(newcomer("番号　二郎", "世帯主", **copied)))
        assert caught.value.fields == {f"persons.0.{number}": "registry.number_held"}


async def test_the_other_municipality_may_hold_the_same_number_and_knows_nothing_of_it(
    desk: Desk, other_desk: Desk
) -> None:
    """R-1-3.6-TEN-01: another municipality's residents are not there at all."""
    change = family(newcomer("両方　太郎", "世帯主"))
    mine = await desk.make(change)
    theirs = await other_desk.make(change)
    for atena_no in set(mine.new_atena_nos) - set(theirs.new_atena_nos):
        with pytest.raises(NotFound):
            await other_desk.read(atena_no)
    hits = await other_desk.do(other_desk.clerk, lambda op: registry.search(op, registry.Query(name="両方　太郎")))
    assert [h.atena_no for h in hits.hits] == list(theirs.new_atena_nos)


async def test_whoever_comes_back_goes_on_under_the_same_atena_number(desk: Desk) -> None:
    """R-1-2.3-LNK-01: the 個人番号 of the move-out certificate finds the removed record."""
    change = family(newcomer("再転　太郎", "世帯主"), day=dt.date(2026, 9, 1))
    result = await desk.make(change, notified_late="試験")
    atena_no = result.new_atena_nos[0]
    await desk.make(
        MoveOut(
            occurred_on=RegistryDate(2026, 10, 1),
            notified_on=dt.date(2026, 10, 1),
            atena_nos=(atena_no,),
            destination=Place(text="東京都千代田区千代田1番1号"),
        )
    )
    again = await desk.make(
        change.__class__(
            **{f: getattr(change, f) for f in change.__struct_fields__}
            | {"occurred_on": RegistryDate(2026, 11, 10), "notified_on": dt.date(2026, 11, 12)}
        ),
        namesake="同じ方",
    )
    assert again.new_atena_nos == ()
    assert again.atena_nos == (atena_no,)
    record = await desk.read(atena_no)
    assert record.status is Status.RESIDENT
    assert record.version_no == 3
    assert record.removal is None
    between = await desk.read(atena_no, as_of=dt.date(2026, 10, 15))
    assert between.status is Status.MOVED_OUT


async def test_a_namesake_with_the_same_birth_and_sex_is_an_alert_that_needs_a_reason(desk: Desk) -> None:
    """標準仕様書 4.1: name, sex and birth match raises an alert; the reason is kept with the case."""
    await desk.make(family(newcomer("同姓　同名", "世帯主", RegistryDate(1990, 7, 7, "H"))))
    twin = family(newcomer("同姓　同名", "世帯主", RegistryDate(1990, 7, 7, "H")))
    with pytest.raises(Invalid) as caught:
        await desk.enter(twin)
    assert caught.value.fields == {"alert.registry.namesake": "registry.namesake"}
    case_no = await desk.enter(twin, acknowledged={"registry.namesake": "別人であることを確認"})
    view = await desk.do(desk.checker, lambda op: registry.case(op, case_no))
    assert view.acknowledged == {"registry.namesake": "別人であることを確認"}
    other = family(newcomer("同姓　同名", "世帯主", RegistryDate(1990, 7, 7, "H"), sex=Sex.FEMALE))
    await desk.make(other)


async def test_the_draft_carries_reception_source_channel_and_how_the_person_was_known(desk: Desk) -> None:
    """P-1-1, P-1-2, R-1-2.3-ACQ-01, R-A-3.2-ACQ-02."""
    paper = reception(form_no="R8-異-000777")
    case_no = await desk.enter(three("受付"), paper)
    view = await desk.do(desk.checker, lambda op: registry.case(op, case_no))
    assert view.reception == paper
    assert view.summary.form_no == "R8-異-000777"
    assert view.summary.entered_by == "op-entry"
    row = await desk.do(
        desk.checker,
        lambda op: op.session.fetch_one(
            "SELECT source, channel, identity_checked, terminal FROM {t}.change_case WHERE case_no = %(n)s",
            {"n": case_no},
        ),
    )
    assert row == ("person", "paper", True, "IWK-HON-01")


async def test_a_change_by_authority_needs_no_notifier(desk: Desk) -> None:
    """R-1-1.1-DAT-02: every change states its ground."""
    result = await desk.make(family(newcomer("職権　太郎", "世帯主"), reason="entry"), authority())
    version = (await desk.do(desk.clerk, lambda op: registry.history(op, result.new_atena_nos[0])))[0]
    assert version.event.reason == "entry"
    assert (version.event.entered_by, version.event.confirmed_by) == ("op-entry", "op-check")


async def test_a_newcomer_joins_an_existing_household_only_at_its_address(desk: Desk) -> None:
    """標準仕様書 1.1: a household has one address and one head."""
    base = await desk.make(three("同居"))
    head = await desk.read(base.new_atena_nos[0])
    joined = family(newcomer("同居　祖母", "母", RegistryDate(1950, 1, 1, "S")), setai_no=head.setai_no)
    result = await desk.make(joined)
    mother = await desk.read(result.new_atena_nos[0])
    assert mother.setai_no == head.setai_no
    assert mother.member_order == 4
    assert mother.basic is not None
    assert mother.basic.head_name == "同居　一郎"
    elsewhere = family(
        newcomer("別所　祖父", "父", RegistryDate(1950, 1, 1, "S")),
        setai_no=head.setai_no,
        address=Place(text="福島県いわき市小名浜字中町境1番地"),
    )
    with pytest.raises(Invalid) as caught:
        await desk.enter(elsewhere)
    assert "registry.two_addresses" in caught.value.fields.values()
    second_head = family(newcomer("二人　主", "世帯主"), setai_no=head.setai_no)
    with pytest.raises(Invalid) as caught:
        await desk.enter(second_head)
    assert "registry.two_heads" in caught.value.fields.values()
