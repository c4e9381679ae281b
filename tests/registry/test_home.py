"""居所の秘匿: a machine is told of nobody's home that is kept, and of nobody's with whom they live, by the rule of the certificates."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.registry.conftest import Desk, family, newcomer

from juki import certificates, registry
from juki.access.model import Caller
from juki.certificates.model import Application, CertificateKind, IdentityCheck, Relation, Requester
from juki.dates import JST, RegistryDate, from_date
from juki.problem import NotFound
from juki.registry.model import (
    HITS_MAX,
    Level,
    MoveOut,
    Place,
    Position,
    Process,
    Query,
    Record,
    Relocate,
    Status,
    SupportMeasure,
)

HOME = "福島県いわき市平字梅本21番地の1"
ELSEWHERE = Place(text="福島県いわき市小名浜字中町境1番地の2")
PLACES = ("address", "domicile", "removal", "notes")


async def _protect(here: Desk, atena_no: str, **more: Any) -> int:
    given: dict[str, Any] = {
        "name": "秘匿",
        "birth": RegistryDate(1986, 8, 9, "S"),
        "address": "平",
        "atena_no": atena_no,
    }
    content = SupportMeasure(**(given | {"starts_on": dt.date(2026, 11, 20)} | more))
    return await here.do(here.guardian, lambda op: registry.enter_protection(op, content))


async def _suppress(here: Desk, atena_no: str, process: Process, level: Level = Level.ERROR) -> None:
    await here.do(
        here.guardian,
        lambda op: registry.suppress(op, [atena_no], process, level, starts_on=dt.date(2026, 11, 1), reason="調査中"),
    )


async def _nothing(here: Desk, mother: str, child: str) -> None:
    pass


async def _measure(here: Desk, mother: str, child: str) -> None:
    await _protect(here, mother)


async def _provisional(here: Desk, mother: str, child: str) -> None:
    await _protect(here, mother, starts_on=None, provisional=True, provisional_from=dt.date(2026, 11, 20))


async def _overdue(here: Desk, mother: str, child: str) -> None:
    await _protect(here, mother, starts_on=dt.date(2024, 11, 20))


async def _ended(here: Desk, mother: str, child: str) -> None:
    number = await _protect(here, mother)
    await here.approve(await here.do(here.guardian, lambda op: registry.ask_end(op, number, "申出の取下げ")))


async def _issue_held(here: Desk, mother: str, child: str) -> None:
    await _suppress(here, mother, Process.ISSUE)


async def _issue_alert(here: Desk, mother: str, child: str) -> None:
    await _suppress(here, mother, Process.ISSUE, Level.ALERT)


async def _inquiry_held(here: Desk, mother: str, child: str) -> None:
    await _suppress(here, mother, Process.INQUIRY)


STANDING = [  # what stands over the mother, whether a machine is told where her child lives, and whether a stranger is
    (_nothing, True, True),
    (_measure, False, False),
    (_provisional, False, False),
    (_overdue, False, False),
    (_ended, True, True),
    (_issue_held, False, False),
    (_issue_alert, True, True),
    (_inquiry_held, False, True),
]


@pytest.mark.parametrize(("stands", "told", "printed"), STANDING, ids=[row[0].__name__[1:] for row in STANDING])
async def test_where_a_child_lives_is_told_like_where_its_mother_does(
    desk: Desk, other_desk: Desk, caller: Callable[..., Caller], stands: Callable[..., Any], told: bool, printed: bool
) -> None:
    """R-1-B2-DAT-04, R-1-B2-DAT-05: record, history, household, search and paper of somebody who lives with her."""
    for here in (desk, other_desk):
        await _ask_after_the_child(here, caller, stands, told=told, printed=printed)


async def _ask_after_the_child(
    here: Desk, caller: Callable[..., Caller], stands: Callable[..., Any], *, told: bool, printed: bool
) -> None:
    name = f"秘匿{stands.__name__[1:]}　子".replace("_", "")
    people = [newcomer("秘匿　母", "世帯主"), newcomer(name, "子", RegistryDate(2015, 2, 3, "H"))]
    mother, child = (await here.make(family(*people), namesake="別人")).new_atena_nos
    setai_no = (await here.read(child)).setai_no
    await stands(here, mother, child)
    machine = caller("resident.search", "resident.read", kind="machine", tenant=here.tenant)

    record = await here.do(machine, lambda op: registry.record(op, child))
    past = await here.do(machine, lambda op: registry.record(op, child, as_of=dt.date(2026, 11, 5)))
    history = await here.do(machine, lambda op: registry.history(op, child))
    for shown in (record, past, *(version.record for version in history)):
        assert shown.basic.name == name
        assert _says_where(shown) is told
    (hit,) = (await here.do(machine, lambda op: registry.search(op, Query(name=name)))).hits
    assert (bool(hit.address), bool(hit.setai_no), bool(hit.relationship)) == (told, told, told)
    for query in (Query(name=name, address=HOME), Query(setai_no=setai_no), Query(address=HOME)):
        found = (await here.do(machine, lambda op, q=query: registry.search(op, q))).hits
        assert (len(found) >= HITS_MAX or child in [h.atena_no for h in found]) or not told
        assert told or child not in [h.atena_no for h in found]
    if told:
        home = await here.do(machine, lambda op: registry.household(op, setai_no))
        assert [m.atena_no for m in home.members] == [mother, child]
    else:
        codes = []
        for number in (setai_no, "0000000000"):
            with pytest.raises(NotFound) as caught:
                await here.do(machine, lambda op, n=number: registry.household(op, n))
            codes.append((caught.value.code, caught.value.detail))
        assert codes[0] == codes[1]

    asked = Application(
        relation=Relation.THIRD, requester=Requester(name="請求　人", identity=IdentityCheck.PHOTO), persons=(child,),
        purpose="claim", purpose_detail="債権の保全", ground="債権の保全",
    )  # fmt: skip
    clerk = caller("resident.read", "certificate.issue", tenant=here.tenant)
    verdict = await here.do(clerk, lambda op: certificates.check(op, asked))
    assert verdict.refusal == ("" if printed else "certificates.not_available")
    staff = await here.do(here.clerk, lambda op: registry.record(op, child))
    assert staff.address.address.text == HOME


def _says_where(record: Record) -> bool:
    """All of what shows a place, or nothing of it."""
    says = {
        record.address is not None,
        record.domicile is not None,
        bool(record.setai_no),
        bool(record.basic and record.basic.relationship),
    }
    assert len(says) == 1
    if says == {False}:
        assert [group for group in PLACES if getattr(record, group) is not None] == []
        assert (record.member_order, record.is_head, record.basic and record.basic.head_name) == (0, False, "")
    return says.pop()


async def test_whoever_moved_away_is_shown_where_they_live_now_and_not_where_they_lived_with_her(
    desk: Desk, caller: Callable[..., Caller]
) -> None:
    """R-1-B2-DAT-04: 異動前住所 and the versions of the time together would say where she is still."""
    people = [newcomer("別居　母", "世帯主"), newcomer("別居　兄", "子"), newcomer("別居　弟", "子")]
    mother, moved, stayed = (await desk.make(family(*people))).new_atena_nos
    go = Relocate(
        occurred_on=from_date(dt.date(2026, 11, 15)), atena_nos=(moved,), address=ELSEWHERE,
        positions=(Position(atena_no=moved, relationship="世帯主"),),
    )  # fmt: skip
    await desk.make(go)
    await _protect(desk, mother)
    machine = caller("resident.search", "resident.read", kind="machine")
    record = await desk.do(machine, lambda op: registry.record(op, moved))
    assert (record.address.address, record.address.moved_within_from) == (ELSEWHERE, Place())
    assert record.setai_no
    history = await desk.do(machine, lambda op: registry.history(op, moved))
    assert [_says_where(v.record) for v in history] == [False, True]
    assert HOME not in str([v.record.address for v in history])
    past = await desk.do(machine, lambda op: registry.record(op, moved, as_of=dt.date(2026, 11, 10)))
    assert not _says_where(past)
    found = await desk.do(machine, lambda op: registry.search(op, Query(name="別居　兄", address=HOME)))
    assert found.hits == ()
    assert not _says_where(await desk.do(machine, lambda op: registry.record(op, stayed)))
    (alone,) = (await desk.do(machine, lambda op: registry.household(op, record.setai_no))).members
    assert (alone.address.address, alone.address.moved_within_from) == (ELSEWHERE, Place())
    together = (await desk.read(stayed)).setai_no
    with pytest.raises(NotFound):
        await desk.do(machine, lambda op: registry.household(op, together, as_of=dt.date(2026, 11, 10)))


async def test_a_family_that_leaves_and_keeps_to_itself_is_told_of_as_little(
    desk: Desk, caller: Callable[..., Caller]
) -> None:
    """R-1-B2-DAT-04: the 除票 of the child names where both went; the father who stayed is shown again."""
    people = [newcomer("転出　父", "世帯主"), newcomer("転出　母", "妻"), newcomer("転出　子", "子")]
    father, mother, child = (await desk.make(family(*people))).new_atena_nos
    await _protect(desk, mother)
    machine = caller("resident.search", "resident.read", kind="machine")
    assert not _says_where(await desk.do(machine, lambda op: registry.record(op, father)))
    leave = MoveOut(
        occurred_on=from_date(dt.date(2026, 11, 19)), atena_nos=(mother, child), destination=Place(text="宮城県仙台市")
    )
    await desk.make(leave, protected_subject="本人であることを確認")
    record = await desk.do(machine, lambda op: registry.record(op, child))
    assert record.status is Status.MOVED_OUT
    assert not _says_where(record)
    alone = await desk.do(machine, lambda op: registry.record(op, father))
    assert alone.address.address.text == HOME
    clerk = caller("resident.read", "certificate.issue")
    asked = Application(
        kind=CertificateKind.REMOVED,
        relation=Relation.THIRD, requester=Requester(name="請求　人", identity=IdentityCheck.PHOTO), persons=(child,),
        purpose="claim", purpose_detail="債権の保全", ground="債権の保全",
    )  # fmt: skip
    verdict = await desk.do(clerk, lambda op: certificates.check(op, asked))
    assert verdict.refusal == "certificates.not_available"
    left_behind = msgspec.structs.replace(
        asked,
        relation=Relation.HOUSEHOLD,
        requester=Requester(name="転出　父", identity=IdentityCheck.PHOTO, atena_no=father),
    )
    verdict = await desk.do(clerk, lambda op: certificates.check(op, left_behind))
    assert verdict.refusal == "certificates.not_available"


@pytest.mark.parametrize(
    ("relation", "printed"),
    [
        (Relation.SELF, True),
        (Relation.OFFICIAL, True),
        (Relation.HOUSEHOLD, False),
        (Relation.AGENT, False),
        (Relation.THIRD, False),
    ],
)
async def test_the_paper_of_a_child_who_came_back_does_not_tell_where_the_mother_lives(
    desk: Desk, caller: Callable[..., Caller], relation: Relation, printed: bool
) -> None:
    """R-1-B2-DAT-04, R-1-B2-DAT-05: 異動前住所 of the child is the address at which she lives still."""
    people = [newcomer("帰宅　父", "世帯主"), newcomer("帰宅　母", "妻"), newcomer("帰宅　子", "子")]
    father, mother, child = (await desk.make(family(*people), namesake="別人")).new_atena_nos
    away = Relocate(
        occurred_on=from_date(dt.date(2026, 11, 10)), atena_nos=(mother, child), address=ELSEWHERE,
        positions=(Position(atena_no=mother, relationship="世帯主"), Position(atena_no=child, relationship="子")),
    )  # fmt: skip
    await desk.make(away)
    back = Relocate(
        occurred_on=from_date(dt.date(2026, 11, 15)), atena_nos=(child,), address=Place(text=HOME, postal="9700000"),
        setai_no=(await desk.read(father)).setai_no, positions=(Position(atena_no=child, relationship="子"),),
    )  # fmt: skip
    await desk.make(back)
    assert (await desk.read(child)).address.moved_within_from == ELSEWHERE
    clerk = caller("resident.read", "certificate.issue")
    asked = Application(
        relation=relation,
        requester=Requester(
            name="請求　人", identity=IdentityCheck.PHOTO, authority="委任状", organisation="裁判所",
            atena_no=child if relation is Relation.SELF else father,
        ),
        persons=(child,), purpose="claim", purpose_detail="債権の保全", ground="債権の保全",
    )  # fmt: skip
    assert (await desk.do(clerk, lambda op: certificates.check(op, asked))).is_allowed
    await _protect(desk, mother)
    verdict = await desk.do(clerk, lambda op: certificates.check(op, asked))
    assert verdict.refusal == ("" if printed else "certificates.not_available")
    assert ("certificates.warn_protected_home" in verdict.warnings) is printed


async def test_the_home_is_told_again_from_the_day_on_which_she_lives_elsewhere(
    desk: Desk, caller: Callable[..., Caller]
) -> None:
    """R-1-B2-DAT-04: today's household counts, whatever day is asked for."""
    people = [newcomer("転居　父", "世帯主"), newcomer("転居　母", "妻")]
    father, mother = (await desk.make(family(*people))).new_atena_nos
    await _protect(desk, mother)
    go = Relocate(
        occurred_on=from_date(dt.date(2026, 11, 19)), atena_nos=(mother,), address=ELSEWHERE,
        positions=(Position(atena_no=mother, relationship="世帯主"),),
    )  # fmt: skip
    desk.fleet.clock = lambda: dt.datetime(2026, 11, 20, 10, 0, tzinfo=JST)
    await desk.make(go, protected_subject="本人であることを確認")
    machine = caller("resident.search", "resident.read", kind="machine")
    record = await desk.do(machine, lambda op: registry.record(op, father))
    assert record.address.address.text == HOME
    assert await desk.paper_refused(father) == ""
    with pytest.raises(NotFound):
        await desk.do(machine, lambda op: registry.record(op, mother))


FAR = Place(text="山形県山形市旅篭町二丁目3番25号", building="旅篭荘201")
_POSITION = {"relationship": "世帯主"}


def _asked(
    person: str, relation: Relation, requester: str, kind: CertificateKind = CertificateKind.RESIDENT
) -> Application:
    return Application(
        kind=kind, relation=relation,
        requester=Requester(name="請求　人", identity=IdentityCheck.PHOTO, authority="委任状", atena_no=requester),
        persons=(person,), purpose="claim", purpose_detail="債権の保全", ground="債権の保全",
    )  # fmt: skip


def _alone(atena_no: str, to: Place, day: int, setai_no: str = "", relationship: str = "世帯主") -> Relocate:
    return Relocate(
        occurred_on=from_date(dt.date(2026, 11, day)), atena_nos=(atena_no,), address=to, setai_no=setai_no,
        positions=(Position(atena_no=atena_no, relationship=relationship),),
    )  # fmt: skip


async def _answers(here: Desk, caller: Callable[..., Caller], asked: Application) -> tuple[str, ...]:
    """交付の可否 for a stranger, an agent and as asked."""
    clerk = caller("resident.read", "certificate.issue", tenant=here.tenant)
    relations = (Relation.THIRD, Relation.AGENT, asked.relation)
    papers = [msgspec.structs.replace(asked, relation=relation) for relation in relations]
    return tuple([(await here.do(clerk, lambda op, p=p: certificates.check(op, p))).refusal for p in papers])


HIDDEN = ("certificates.not_available",) * 3
OPEN = ("", "", "")


@pytest.mark.parametrize("came_with", ["her", "nobody: born there", "her, and written otherwise"])
async def test_a_child_who_came_back_from_another_town_does_not_tell_where_the_mother_lives(
    desk: Desk, caller: Callable[..., Caller], came_with: str
) -> None:
    """R-1-B2-DAT-04: 転入前住所 of the child is the 転出先 of its mother, to whom it had gone."""
    people = [newcomer("再転入　父", "世帯主"), newcomer("再転入　母", "妻"), newcomer("再転入　子", "子")]
    father, mother, child = (await desk.make(family(*people), namesake="別人")).new_atena_nos
    went = (mother,) if came_with.startswith("nobody") else (mother, child)
    to = Place(text="山形県山形市") if came_with.endswith("otherwise") else FAR
    await desk.make(MoveOut(occurred_on=from_date(dt.date(2026, 11, 10)), atena_nos=went, destination=to))
    back = (
        newcomer("再転入　妹", "子", RegistryDate(2026, 5, 5, "R"))
        if came_with.startswith("nobody")
        else newcomer("再転入　子", "子", returning_atena_no=child, resident_code="")
    )
    home = (await desk.read(father)).setai_no
    made = await desk.make(
        family(back, day=dt.date(2026, 11, 15), setai_no=home, previous_address=FAR), namesake="本人", returning="本人"
    )
    child = next(iter(made.new_atena_nos), child)
    asked = _asked(child, Relation.HOUSEHOLD, father)
    assert (await desk.read(child)).address.previous_address == FAR
    assert await _answers(desk, caller, asked) == OPEN
    machine = caller("resident.search", "resident.read", kind="machine")
    assert (await desk.do(machine, lambda op: registry.record(op, child))).address.previous_address == FAR

    await _protect(desk, mother)
    assert await _answers(desk, caller, asked) == HIDDEN
    told = await desk.do(machine, lambda op: registry.record(op, child))
    assert (told.address.address.text, told.address.previous_address) == (HOME, Place())
    history = await desk.do(machine, lambda op: registry.history(op, child, groups=("basic", "address", "removal")))
    members = (await desk.do(machine, lambda op: registry.household(op, home))).members
    assert "旅篭" not in msgspec.json.encode([told, history, members]).decode()
    assert await _answers(desk, caller, _asked(father, Relation.HOUSEHOLD, child)) == OPEN


async def test_the_removed_record_of_a_child_who_followed_its_mother_does_not_tell_where_she_went(
    desk: Desk, caller: Callable[..., Caller]
) -> None:
    """R-1-B2-DAT-04: she first took a home of her own here and left the town from there; the child left from the father's."""
    people = [newcomer("追従　父", "世帯主"), newcomer("追従　母", "妻"), newcomer("追従　子", "子")]
    father, mother, child = (await desk.make(family(*people), namesake="別人")).new_atena_nos
    await desk.make(_alone(mother, ELSEWHERE, 7))
    for day, who in ((10, mother), (15, child)):
        leave = MoveOut(occurred_on=from_date(dt.date(2026, 11, day)), atena_nos=(who,), destination=FAR)
        await desk.make(leave)
    asked = _asked(child, Relation.HOUSEHOLD, father, CertificateKind.REMOVED)
    assert await _answers(desk, caller, asked) == OPEN
    await _protect(desk, mother)
    assert await _answers(desk, caller, asked) == HIDDEN
    machine = caller("resident.search", "resident.read", kind="machine")
    told = await desk.do(machine, lambda op: registry.record(op, child))
    assert (told.basic.name, told.removal.planned_address, told.removal.settled_address) == (
        "追従　子",
        Place(),
        Place(),
    )


async def test_two_households_at_one_address_are_one_home(desk: Desk, caller: Callable[..., Caller]) -> None:
    """R-1-B2-DAT-04: 世帯分離 parts the papers and not the home; who lives there is answered, the father is not."""
    people = [
        newcomer("分離　父", "世帯主"),
        newcomer("分離　母", "妻"),
        newcomer("分離　子", "子"),
        newcomer("分離　姉", "子"),
    ]
    father, mother, child, sister = (await desk.make(family(*people), namesake="別人")).new_atena_nos
    await desk.make(_alone(mother, ELSEWHERE, 7))
    await desk.make(_alone(child, ELSEWHERE, 8))
    apart = (await desk.read(child)).setai_no
    await desk.make(_alone(sister, ELSEWHERE, 9, apart, "姉"))
    assert apart != (await desk.read(mother)).setai_no
    stranger, sisters = _asked(child, Relation.THIRD, father), _asked(child, Relation.HOUSEHOLD, sister)
    assert await _answers(desk, caller, stranger) == OPEN
    await _protect(desk, mother)
    assert await _answers(desk, caller, stranger) == HIDDEN
    assert await _answers(desk, caller, sisters) == (*HIDDEN[:2], "")
    machine = caller("resident.search", "resident.read", kind="machine")
    for groups in (("basic", "address"), ("basic", "domicile")):
        told = await desk.do(machine, lambda op, g=groups: registry.record(op, child, groups=g))
        assert (told.address, told.domicile, told.setai_no, told.basic.name) == (None, None, "", "分離　子")
    found = await desk.do(machine, lambda op: registry.search(op, Query(name="分離　子")))
    assert [hit.address for hit in found.hits] == [""]
    with pytest.raises(NotFound):
        await desk.do(machine, lambda op: registry.household(op, apart))
    await desk.make(_alone(child, Place(text="福島県いわき市内郷高坂町四方木田191番地"), 10), same_address="")
    # 異動前住所, at which the child itself lived
    assert await _answers(desk, caller, _asked(child, Relation.HOUSEHOLD, child)) == (*HIDDEN[:2], "")


async def test_who_lived_there_themselves_is_given_the_papers_of_those_who_left_with_them(
    desk: Desk, caller: Callable[..., Caller]
) -> None:
    """R-1-B2-DAT-04: the home of a protected grandmother is 異動前住所 of all who moved out of it; it tells them nothing."""
    people = [newcomer("同居　祖母", "世帯主"), newcomer("同居　娘", "子"), newcomer("同居　孫", "子の子")]
    grandmother, daughter, child = (await desk.make(family(*people), namesake="別人")).new_atena_nos
    seats = (Position(atena_no=daughter, relationship="世帯主"), Position(atena_no=child, relationship="子"))
    day = from_date(dt.date(2026, 11, 10))
    await desk.make(Relocate(occurred_on=day, atena_nos=(daughter, child), address=ELSEWHERE, positions=seats))
    joined = family(
        newcomer("同居　夫", "夫"), day=dt.date(2026, 11, 15), address=ELSEWHERE,
        setai_no=(await desk.read(child)).setai_no,
    )  # fmt: skip
    (husband,) = (await desk.make(joined, namesake="別人")).new_atena_nos
    await _protect(desk, grandmother)
    assert await _answers(desk, caller, _asked(child, Relation.HOUSEHOLD, daughter)) == (*HIDDEN[:2], "")
    assert await _answers(desk, caller, _asked(child, Relation.HOUSEHOLD, husband)) == HIDDEN
