"""交付の可否: the table of refusals, and that a refusal aloud says nothing."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from juki.access.model import RIGHTS
from juki.certificates.model import (
    FOREIGN_ITEMS,
    Application,
    CertificateKind,
    Guard,
    IdentityCheck,
    Item,
    Relation,
    Requester,
    Verdict,
    preset,
    purposes,
)
from juki.certificates.rules import NOT_AVAILABLE, check_form, fee_yen, judge
from juki.dates import RegistryDate
from juki.registry.model import Place, Record, Removal, Status

CASES = tomllib.loads((Path(__file__).parent / "refusals.toml").read_text(encoding="utf-8"))["case"]
WHO = {"self": "0000000001", "member": "0000000002", "other": "0000000099"}


def _application(case: dict[str, Any]) -> Application:
    return Application(
        kind=CertificateKind(case.get("kind", "resident")),
        relation=Relation(case["relation"]),
        requester=Requester(
            name="請求　人",
            identity=IdentityCheck(case.get("identity", "photo")),
            atena_no=WHO[case.get("requester", "self")],
            organisation=case.get("organisation", ""),
            authority=case.get("authority", ""),
        ),
        persons=(WHO["self"],),
        purpose=case.get("purpose", "residence"),
        purpose_detail=case.get("detail", ""),
        ground=case.get("ground", ""),
        items=tuple(Item(i) for i in case.get("items", ())),
        official_use=case.get("official_use", False),
    )


def _verdict(case: dict[str, Any], japanese: Callable[..., Record]) -> Verdict:
    leaving = Removal(
        planned_address=Place(country="米国")
        if case.get("leaving") == "国外"
        else Place(text="宮城県仙台市青葉区国分町三丁目7番1号"),
        occurred_on=RegistryDate(2026, 12, 1),
    )
    record = japanese(
        1, status=Status(case.get("status", "resident")), removal=leaving if case.get("leaving") else None
    )
    guard = Guard(
        protected=case.get("protected", False),
        co_protected=frozenset({WHO["member"]}) if case.get("co_protected") else frozenset(),
        suppressed=case.get("suppressed", ""),
        draft_pending=case.get("draft", False),
    )
    return judge(
        _application(case),
        () if case.get("unknown") else (record,),
        household=frozenset({WHO["self"], WHO["member"]}),
        guards={record.atena_no: guard},
        rights=RIGHTS - {case.get("lacking", "")},
    )


@pytest.mark.parametrize("case", CASES, ids=[case["about"] for case in CASES])
def test_each_row_of_the_table_ends_as_written(case: dict[str, Any], japanese: Callable[..., Record]) -> None:
    """R-1-1.1-ISS-01, R-1-B2-DAT-04: who may have which items of whom, and what stands against it."""
    verdict = _verdict(case, japanese)
    assert verdict.refusal == case.get("refusal", "")
    assert verdict.notice == case.get("notice", "")
    if "warning" in case:
        assert case["warning"] in verdict.warnings
    if case.get("quiet"):
        assert verdict.warnings == ()
    if "field" in case:
        assert case["field"] in verdict.fields


def test_protected_suppressed_void_and_unknown_are_refused_in_the_same_words(japanese: Callable[..., Record]) -> None:
    """R-1-B2-DAT-04, 支援措置: what is said aloud must not tell a protected person from an unknown one."""
    third = {"relation": "third", "requester": "other", "ground": "債権の保全"}
    hidden = [{"protected": True}, {"suppressed": "error"}, {"status": "void"}, {"unknown": True}]
    spoken = {(v.refusal, tuple(v.fields)) for v in (_verdict(third | case, japanese) for case in hidden)}
    assert spoken == {(NOT_AVAILABLE, ())}


def test_one_protected_member_stops_the_whole_household(
    japanese: Callable[..., Record], application: Callable[..., Application]
) -> None:
    """支援措置: a joint form must not show the others of a protected person's household to an outsider."""
    asked = application(
        japanese(1),
        japanese(2),
        relation=Relation.AGENT,
        requester=Requester(name="代理　人", identity=IdentityCheck.PHOTO, authority="委任状"),
    )
    guards = {japanese(2).atena_no: Guard(protected=True)}
    verdict = judge(asked, (japanese(1), japanese(2)), household=frozenset(asked.persons), guards=guards, rights=RIGHTS)
    assert verdict.refusal == NOT_AVAILABLE


@pytest.mark.parametrize(
    ("relation", "allowed"),
    [
        (Relation.SELF, True),
        (Relation.HOUSEHOLD, True),
        (Relation.OFFICIAL, True),
        (Relation.AGENT, False),
        (Relation.THIRD, False),
    ],
)
def test_the_copy_of_somebody_who_lives_with_a_protected_person_goes_to_no_stranger(
    japanese: Callable[..., Record], application: Callable[..., Application], relation: Relation, allowed: bool
) -> None:
    """支援措置, R-1-B2-DAT-04: a child's address is its mother's; the refusal is the same as for an unknown person."""
    child, mother = japanese(3), japanese(1)
    requester = Requester(
        name="請求　人",
        identity=IdentityCheck.PHOTO,
        atena_no=child.atena_no,
        authority="委任状",
        organisation="裁判所",
    )
    verdict = judge(
        application(child, relation=relation, requester=requester, ground="債権の保全"),
        (child,),
        household=frozenset({child.atena_no, mother.atena_no}),
        guards={child.atena_no: Guard(), mother.atena_no: Guard(protected=True)},
        rights=RIGHTS,
    )
    assert (verdict.refusal, tuple(verdict.fields)) == (("", ()) if allowed else (NOT_AVAILABLE, ()))
    assert ("certificates.warn_protected_home" in verdict.warnings) is allowed
    assert verdict.notice == ("" if allowed else "certificates.clerk_protected_home")


@pytest.mark.parametrize(("suppressed", "notice"), [("error", "certificates.clerk_suppressed_home"), ("alert", "")])
def test_the_copy_of_somebody_who_lives_with_a_person_held_back_goes_to_no_stranger(
    japanese: Callable[..., Record], application: Callable[..., Application], suppressed: str, notice: str
) -> None:
    """抑止, R-1-B2-DAT-04: what may not be printed of the mother is not printed of her child; the cause goes to the clerk."""
    child, mother = japanese(3), japanese(1)
    requester = Requester(name="請求　人", identity=IdentityCheck.PHOTO)
    verdict = judge(
        application(child, relation=Relation.THIRD, requester=requester, ground="債権の保全"),
        (child,),
        household=frozenset({child.atena_no, mother.atena_no}),
        guards={child.atena_no: Guard(), mother.atena_no: Guard(suppressed=suppressed)},
        rights=RIGHTS,
    )
    assert (verdict.refusal, verdict.notice) == (NOT_AVAILABLE if notice else "", notice)


@pytest.mark.parametrize(
    ("lives_here", "under_the_same", "refusal"),
    [(True, False, ""), (False, True, ""), (False, False, NOT_AVAILABLE)],
)
def test_whoever_was_left_behind_is_not_shown_by_a_housemate_where_a_protected_person_went(
    japanese: Callable[..., Record],
    application: Callable[..., Application],
    lives_here: bool,
    under_the_same: bool,
    refusal: str,
) -> None:
    """支援措置, R-1-B2-DAT-04: 除票 and 異動前住所 of a child tell where its mother lives; who lives with her knows."""
    father, mother, child = japanese(1), japanese(2), japanese(3)
    requester = Requester(
        name=father.basic.name if father.basic else "", identity=IdentityCheck.PHOTO, atena_no=father.atena_no
    )
    measure = Guard(protected=True, co_protected=frozenset({father.atena_no} if under_the_same else ()))
    verdict = judge(
        application(child, relation=Relation.HOUSEHOLD, requester=requester),
        (child,),
        household=frozenset({father.atena_no, child.atena_no, *((mother.atena_no,) if lives_here else ())}),
        guards={mother.atena_no: measure},
        rights=RIGHTS,
    )
    assert verdict.refusal == refusal


@pytest.mark.parametrize("relation", [Relation.SELF, Relation.OFFICIAL])
def test_one_s_own_copy_and_one_for_an_authority_are_given_though_they_show_a_home_of_before(
    japanese: Callable[..., Record], application: Callable[..., Application], relation: Relation
) -> None:
    """R-1-B2-DAT-05: whoever came back from a protected person's home knows it; the clerk is told whose home it shows."""
    child, mother = japanese(3), japanese(2)
    requester = Requester(name="請求　人", identity=IdentityCheck.PHOTO, atena_no=child.atena_no, organisation="裁判所")
    verdict = judge(
        application(child, relation=relation, requester=requester, ground="民事執行法"),
        (child,),
        household=frozenset({child.atena_no}),
        guards={mother.atena_no: Guard(protected=True)},
        rights=RIGHTS,
    )
    assert (verdict.refusal, verdict.warnings) == ("", ("certificates.warn_protected_home",))


def test_a_right_is_needed_for_its_item_and_for_no_other(japanese: Callable[..., Record]) -> None:
    """R-1-3.3-PRV-01: with every right but one only that item is refused; with exactly that one it is printed."""
    for item, right in ((Item.MY_NUMBER, "resident.my_number"), (Item.RESIDENT_CODE, "resident.code")):
        case = {"relation": "self", "purpose": "tax", "items": [item.value]}
        assert _verdict(case | {"lacking": right}, japanese).refusal == "certificates.item_right_missing"
        alone = judge(
            _application(case), (japanese(1),), household=frozenset({WHO["self"]}), guards={}, rights=frozenset({right})
        )
        assert alone.is_allowed


def test_persons_of_two_households_need_two_applications(
    japanese: Callable[..., Record], application: Callable[..., Application]
) -> None:
    """様式 20.1.2: a joint form is one 世帯."""
    other = japanese(2, setai_no="9000000002")
    asked = application(japanese(1), other)
    verdict = judge(asked, (japanese(1), other), household=frozenset(asked.persons), guards={}, rights=RIGHTS)
    assert verdict.refusal == "certificates.one_household"


@pytest.mark.parametrize(("copies", "wrong"), [(0, True), (1, False), (20, False), (21, True)])
def test_copies_have_a_limit(application: Callable[..., Application], copies: int, wrong: bool) -> None:
    """P-3-1: the form is complete or nothing goes on."""
    assert ("copies" in check_form(application(copies=copies))) is wrong


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"requester": Requester(name="　", identity=IdentityCheck.PHOTO)}, "requester.name"),
        ({"requester": Requester(name="あ" * 100, identity=IdentityCheck.PHOTO)}, ""),
        ({"requester": Requester(name="あ" * 101, identity=IdentityCheck.PHOTO)}, "requester.name"),
        ({"persons": ()}, "persons"),
        ({"persons": tuple(f"{n:010d}" for n in range(40))}, ""),
        ({"persons": tuple(f"{n:010d}" for n in range(41))}, "persons"),
        ({"printer_no": 0}, "printer_no"),
        ({"printer_no": 1}, ""),
        ({"printer_no": 999}, ""),
        ({"printer_no": 1000}, "printer_no"),
    ],
)
def test_a_form_that_is_not_complete_names_its_field(
    application: Callable[..., Application], changes: dict[str, Any], field: str
) -> None:
    """P-3-1: who asks, for whom, and where it is printed must stand on the form."""
    assert set(check_form(application(**changes))) == ({field} if field else set())


def test_nobody_is_left_out_of_a_joint_paper_without_a_word(
    japanese: Callable[..., Record], application: Callable[..., Application]
) -> None:
    """R-1-B2-DAT-04: one unknown person among several refuses the whole application, as if all were unknown."""
    asked = application(japanese(1), "0000000099")
    verdict = judge(asked, (japanese(1),), household=frozenset(asked.persons), guards={}, rights=RIGHTS)
    assert (verdict.refusal, verdict.notice) == (NOT_AVAILABLE, "certificates.clerk_unknown")


def test_naming_a_person_twice_is_a_mistake_on_the_form(application: Callable[..., Application]) -> None:
    """P-3-1."""
    asked = application("0000000001", "0000000001")
    assert check_form(asked)["persons"] == "certificates.persons_range"


def test_presets_offer_the_least_and_a_number_only_where_a_law_lets_it_be_taken() -> None:
    """最小限の開示: every preset that holds 個人番号 is a purpose marked so; foreign items only for foreign residents."""
    for code, purpose in purposes().items():
        offered = preset(code, foreign=False)
        assert Item.MY_NUMBER not in offered or purpose.my_number
        assert Item.RESIDENT_CODE not in offered
        assert not FOREIGN_ITEMS & set(offered)
    assert preset("residence", foreign=True) == ()
    assert Item.CARD_NUMBER in preset("residence_status", foreign=True)


def test_a_fee_is_taken_for_every_copy_but_not_for_official_use(application: Callable[..., Application]) -> None:
    """手数料: 公用 and purposes freed by law cost nothing."""
    assert fee_yen(application(copies=3), 300) == 900
    assert fee_yen(application(copies=3, official_use=True), 300) == 0
    assert fee_yen(application(purpose="disaster"), 300) == 0


def test_a_text_too_long_for_the_form_is_named_by_its_own_field(application: Callable[..., Application]) -> None:
    """P-3-1: each mistake stands beside its field."""
    asked = application(ground="あ" * 301, purpose_detail="あ" * 300)
    assert check_form(asked) == {"ground": "certificates.too_long"}


@settings(max_examples=1000, deadline=None)
@given(
    relation=st.sampled_from(Relation),
    identity=st.sampled_from(IdentityCheck),
    asker=st.sampled_from(tuple(WHO.values())),
    purpose=st.sampled_from((*purposes(), "curiosity")),
    items=st.sets(st.sampled_from(Item)).map(tuple),
    status=st.sampled_from(Status),
    kind=st.sampled_from(CertificateKind),
    words=st.tuples(*[st.sampled_from(("", "理由"))] * 4),
    protected=st.booleans(),
    suppressed=st.sampled_from(("", "alert", "error")),
    rights=st.sets(st.sampled_from(sorted(RIGHTS))).map(frozenset),
)
def test_no_combination_lets_a_number_or_a_protected_person_out_to_an_outsider(
    japanese: Callable[..., Record],
    relation: Relation,
    identity: IdentityCheck,
    asker: str,
    purpose: str,
    items: tuple[Item, ...],
    status: Status,
    kind: CertificateKind,
    words: tuple[str, str, str, str],
    protected: bool,
    suppressed: str,
    rights: frozenset[str],
) -> None:
    """R-1-1.1-ISS-01, R-1-B2-DAT-04, 番号法: what holds for every application that the rules let pass."""
    ground, detail, organisation, authority = words
    asked = Application(
        kind=kind,
        relation=relation,
        requester=Requester(
            name="請求　人", identity=identity, atena_no=asker, organisation=organisation, authority=authority
        ),
        persons=(WHO["self"],),
        purpose=purpose,
        purpose_detail=detail,
        ground=ground,
        items=items,
    )
    verdict = judge(
        asked,
        (japanese(1, status=status),),
        household=frozenset({WHO["self"], WHO["member"]}),
        guards={WHO["self"]: Guard(protected=protected, suppressed=suppressed)},
        rights=rights,
    )
    if not verdict.is_allowed:
        return
    own = relation in {Relation.SELF, Relation.HOUSEHOLD}
    assert Item.MY_NUMBER not in items or (own and "resident.my_number" in rights and purposes()[purpose].my_number)
    assert Item.RESIDENT_CODE not in items or (own and "resident.code" in rights)
    assert not own or asker in {WHO["self"], WHO["member"]}
    assert identity is not IdentityCheck.NONE
    assert suppressed != "error"
    assert status is not Status.VOID
    assert (status is Status.RESIDENT) is (kind is CertificateKind.RESIDENT)
    if protected:
        assert verdict.warnings
        assert relation is Relation.OFFICIAL or asker == WHO["self"]


def test_people_struck_out_at_different_homes_are_not_put_under_one_address(
    japanese: Callable[..., Record], application: Callable[..., Application]
) -> None:
    """様式 20.1.2 has one box for the address and one for the head: what is not common to all cannot be printed there."""
    gone = {"status": Status.MOVED_OUT, "removal": Removal(reason="転出")}
    one, two = japanese(1, **gone), japanese(2, **gone)
    assert one.basic is not None
    assert two.address is not None
    moved = msgspec.structs.replace(two, address=msgspec.structs.replace(two.address, address=Place(text="別の住所")))
    upstairs, abroad, across = (
        msgspec.structs.replace(two, address=msgspec.structs.replace(two.address, address=place))
        for place in (
            msgspec.structs.replace(two.address.address, building="別の部屋"),
            msgspec.structs.replace(two.address.address, country="米国"),
            msgspec.structs.replace(two.address.address, text="別の番地"),
        )
    )
    widow = msgspec.structs.replace(two, basic=msgspec.structs.replace(one.basic, head_name="渡邉　花子"))

    def refusal(*records: Record, items: tuple[Item, ...] = ()) -> str:
        stated = {"relation": Relation.THIRD, "ground": "相続登記", "purpose_detail": "相続関係の確認"}
        asked = application(*records, kind=CertificateKind.REMOVED, items=items, **stated)
        together = frozenset(r.atena_no for r in records)
        return judge(asked, records, household=together, guards={}, rights=frozenset()).refusal

    assert refusal(one, two) == ""
    assert {refusal(one, other) for other in (moved, upstairs, abroad, across)} == {"certificates.one_home"}
    assert refusal(one, two, items=(Item.RELATIONSHIP,)) == ""
    assert refusal(one, widow) == ""
    assert refusal(one, widow, items=(Item.RELATIONSHIP,)) == "certificates.one_home"


def test_nobody_asks_in_the_name_of_the_dead(
    japanese: Callable[..., Record], application: Callable[..., Application]
) -> None:
    """住基法 15条の4: an heir is 第三者 or an agent with a ground, not 本人 and not the housemate who has died."""
    gone = {"status": Status.DECEASED, "removal": Removal(reason="死亡")}
    dead, widow = japanese(1, **gone), japanese(2, **gone)

    def refusal(*records: Record, relation: Relation) -> str:
        asked = application(*records, kind=CertificateKind.REMOVED, relation=relation)
        together = frozenset(r.atena_no for r in records)
        return judge(asked, records, household=together, guards={}, rights=frozenset()).refusal

    assert refusal(dead, relation=Relation.SELF) == "certificates.requester_deceased"
    assert refusal(dead, widow, relation=Relation.HOUSEHOLD) == "certificates.requester_deceased"
