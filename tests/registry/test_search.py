"""照会: by reading, letters, birth, address and numbers; false matches dropped, the past marked, the cap said."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from tests.registry.conftest import Desk, family, newcomer

from juki import registry
from juki.access.model import Caller
from juki.audit import operation
from juki.dates import RegistryDate
from juki.problem import Invalid, Refused
from juki.registry.model import Foreigner, Kind, MoveOut, Place, Query, Sex
from juki.tenancy import Fleet

TOWNS = ("平字梅本21番地の1", "小名浜字中町境1番地", "常磐湯本町吹谷76番地の1")


async def _people(desk: Desk) -> dict[str, str]:
    """Five households, entered once per module: name -> 宛名番号."""
    hits = await desk.do(desk.clerk, lambda op: registry.search(op, Query(address="いわき市平字梅本21")))
    if not hits.hits:
        persons: list[dict[str, Any]] = [
            {"name": "渡邉　健太", "name_kana": "ワタナベ　ケンタ", "birth": RegistryDate(1980, 4, 1, "S")},
            {
                "name": "渡辺　美咲",
                "name_kana": "わたなべ　みさき",
                "birth": RegistryDate(1992, 12, 31, "H"),
                "sex": Sex.FEMALE,
            },
            {
                "name": "齋藤　裕",
                "name_kana": "サイトウ　ユタカ",
                "birth": RegistryDate(1980, 4, 2, "S"),
                "former_surname": "髙橋",
                "former_surname_kana": "タカハシ",
            },
            {
                "name": "大塚　良男",
                "name_kana": "オオツカ　ヨシオ",
                "birth": RegistryDate(1965, 0, 0, "S", "昭和40年頃"),
            },
            {
                "name": "SMITH　JOHN",
                "name_kana": "スミス　ジョン",
                "birth": RegistryDate(1988, 6, 5),
                "kind": Kind.FOREIGN,
                "registered_domicile": "",
                "family_head": "",
                "alias": "鈴木　譲",
                "alias_kana": "スズキ　ジョウ",
                "foreigner": Foreigner(nationality="米国", category="中長期在留者", card_number="AB12345678CD"),
            },
        ]
        for i, person in enumerate(persons):
            await desk.make(
                family(
                    newcomer(relationship="世帯主", **person),
                    address=Place(text=f"福島県いわき市{TOWNS[i % 3]}"),
                    day=dt.date(2026, 11, 10),
                )
            )
    found: dict[str, str] = {}
    for kana in ("わ", "サ", "オ", "ス"):
        hits = await desk.do(desk.clerk, lambda op, k=kana: registry.search(op, Query(kana=k)))
        found |= {h.name: h.atena_no for h in hits.hits}
    return found


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (Query(kana="わた"), {"渡邉　健太", "渡辺　美咲"}),
        (Query(kana="ワタナヘ"), {"渡邉　健太", "渡辺　美咲"}),
        (Query(kana="ﾜﾀﾅﾍﾞ ｹ"), {"渡邉　健太"}),
        (Query(kana="　みさき"), {"渡辺　美咲"}),
        (Query(kana="わたなべみ"), {"渡辺　美咲"}),
        (Query(kana="オオツカ"), {"大塚　良男"}),
        (Query(kana="おうつか"), {"大塚　良男"}),
        (Query(kana="タカハ"), {"齋藤　裕"}),
        (Query(kana="スズキ"), {"SMITH　JOHN"}),
        (Query(name="渡辺"), {"渡邉　健太", "渡辺　美咲"}),
        (Query(name="渡邊"), {"渡邉　健太", "渡辺　美咲"}),
        (Query(name="渡邊健太"), {"渡邉　健太"}),
        (Query(name="斉藤　裕"), {"齋藤　裕"}),
        (Query(name="高橋裕"), {"齋藤　裕"}),
        (Query(name="smith john"), {"SMITH　JOHN"}),
        (Query(name="鈴木譲"), {"SMITH　JOHN"}),
        (Query(birth="S55.4.1"), {"渡邉　健太"}),
        (Query(birth="昭和55年4月1日"), {"渡邉　健太"}),
        (Query(birth="19800401"), {"渡邉　健太"}),
        (Query(birth="昭和55年4月"), {"渡邉　健太", "齋藤　裕"}),
        (Query(birth="1980年"), {"渡邉　健太", "齋藤　裕"}),
        (Query(birth="昭和40年"), {"大塚　良男"}),
        (Query(address="平字梅本21"), {"渡邉　健太", "大塚　良男"}),
        (Query(address="福島県いわき市小名浜字中町境1番地"), {"渡辺　美咲", "SMITH　JOHN"}),
        (Query(kana="わた", sex=Sex.FEMALE), {"渡辺　美咲"}),
        (Query(name="渡辺", birth="S55.4.1", address="平字梅本"), {"渡邉　健太"}),
        (Query(name="渡辺", birth="S55.4.2"), set()),
        (Query(kana="ワタリ"), set()),
        (Query(my_number="123456789018"), set()),
        (Query(atena_no="9999999999"), set()),
    ],
)
async def test_a_search_finds_exactly_those_who_satisfy_every_condition(
    desk: Desk, query: Query, names: set[str]
) -> None:
    """P-4-1, 標準仕様書 2.1: readings folded, 辺 finds 邊 and 邉, 旧氏 and 通称 found, birth in 和暦 or 西暦."""
    await _people(desk)
    found = await desk.do(desk.clerk, lambda op: registry.search(op, query))
    assert {h.name for h in found.hits} == names
    assert not found.capped


@pytest.mark.parametrize(
    ("kana", "typed"),
    [
        ("ニ　ハルミ", "ニハルミ"),
        ("モリ　アイ", "もりあい"),
        ("モト　ウメコ", "モトウメ"),
        ("モト　ウメコ", "モト　ウメ"),
    ],
)
async def test_a_whole_name_typed_without_a_space_finds_short_family_names_too(
    desk: Desk, kana: str, typed: str
) -> None:
    """標準仕様書 2.1: the space of a name is ignored, also where the family name is shorter than what is indexed of it."""
    name = {"ニ": "仁　春美", "モリ": "森　愛", "モト": "本　梅子"}[kana.split("　")[0]]
    before = await desk.do(desk.clerk, lambda op: registry.search(op, Query(name=name)))
    if not before.hits:
        await desk.make(family(newcomer(name, "世帯主", name_kana=kana)))
    found = await desk.do(desk.clerk, lambda op: registry.search(op, Query(kana=typed)))
    assert [h.name for h in found.hits] == [name]


async def test_an_address_is_found_whichever_table_its_signs_came_by(desk: Desk) -> None:
    """標準仕様書 2.1: 〜 of an extract is ～ of a keyboard; the record keeps what it was given."""
    text = "福島県いわき市平〜中‖島7番地"
    made = await desk.make(
        family(newcomer("波線　一郎", "世帯主"), address=Place(text=text), day=dt.date(2026, 11, 10))
    )
    (atena_no,) = made.new_atena_nos
    for typed in ("平〜中‖島7番地", "平～中∥島7番地", "平~中∥島７番地"):
        hits = await desk.do(desk.clerk, lambda op, t=typed: registry.search(op, Query(address=t)))
        assert [h.atena_no for h in hits.hits] == [atena_no], typed
        assert hits.hits[0].address == text


async def test_a_variant_match_is_marked_and_an_exact_one_is_not(desk: Desk) -> None:
    """screens: variant matches marked."""
    await _people(desk)
    found = await desk.do(desk.clerk, lambda op: registry.search(op, Query(name="渡辺")))
    assert {h.name: h.variant for h in found.hits} == {"渡邉　健太": True, "渡辺　美咲": False}
    found = await desk.do(desk.clerk, lambda op: registry.search(op, Query(name="smith john")))
    assert [h.variant for h in found.hits] == [False]


async def test_who_is_found_by_another_name_is_shown_with_it(desk: Desk) -> None:
    """標準仕様書 2.1: 旧氏 and 通称 are searched, so the line says them."""
    await _people(desk)
    found = await desk.do(desk.clerk, lambda op: registry.search(op, Query(kana="タカハシ")))
    assert [(h.name, h.former_surname) for h in found.hits] == [("齋藤　裕", "髙橋")]
    found = await desk.do(desk.clerk, lambda op: registry.search(op, Query(name="鈴木　譲")))
    assert [(h.name, h.alias) for h in found.hits] == [("SMITH　JOHN", "鈴木　譲")]


async def test_numbers_find_one_person_and_the_touch_of_an_individual_number_is_marked(desk: Desk) -> None:
    """P-4-1, R-A-3.3-LOG-01."""
    people = await _people(desk)
    atena_no = people["渡邉　健太"]
    record = await desk.read(atena_no)
    number = record.my_number.my_number
    for query in (
        Query(my_number=f"{number[:4]} {number[4:8]} {number[8:]}"),
        Query(resident_code=record.resident_code.resident_code),
        Query(atena_no=atena_no),
        Query(setai_no=record.setai_no),
        Query(my_number=number, kana="ワ"),
    ):
        async with operation(desk.fleet, desk.clerk, "resident.search", purpose="試験", write=False) as op:
            found = await registry.search(op, query)
            assert [h.atena_no for h in found.hits] == [atena_no]
            assert op.subjects == {atena_no: bool(query.my_number)}
            assert op.facts["hits"] == 1


@pytest.mark.parametrize(
    ("query", "right"),
    [(Query(my_number="123456789018"), "resident.my_number"), (Query(resident_code="12345678901"), "resident.code")],
)
async def test_a_search_by_a_guarded_number_needs_its_own_right(
    desk: Desk, caller: Callable[..., Caller], query: Query, right: str
) -> None:
    """R-A-2.3-USE-01: every right but this one is refused, exactly this one is enough."""
    but_one = caller(rights=desk.clerk.rights - {right})
    with pytest.raises(Refused) as caught:
        await desk.do(but_one, lambda op: registry.search(op, query))
    assert caught.value.facts["right"] == right
    only = caller("resident.search", right)
    assert (await desk.do(only, lambda op: registry.search(op, query))).hits == ()


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (Query(), "registry.query_empty"),
        (Query(sex=Sex.MALE), "registry.query_empty"),
        (Query(birth="きのう"), "date.unreadable"),
        (Query(birth="年月日不詳"), "registry.query_birth"),
        (Query(kana="　"), "registry.query_empty"),
        (Query(atena_no=" "), "registry.query_empty"),
        (Query(my_number="　", setai_no=" "), "registry.query_empty"),
        (Query(address="平字梅本"), "registry.query_address"),
    ],
)
async def test_a_search_without_a_usable_condition_is_refused(desk: Desk, query: Query, code: str) -> None:
    """Bad input: one clear message."""
    with pytest.raises(Invalid) as caught:
        await desk.do(desk.clerk, lambda op: registry.search(op, query))
    assert caught.value.code == code


async def test_a_removed_resident_is_found_with_status_and_can_be_left_out(desk: Desk) -> None:
    """R-1-2.2-DAT-03: 消除者 stay in the file."""
    result = await desk.make(
        family(newcomer("消除　太郎", "世帯主", name_kana="ショウジョ　タロウ"), day=dt.date(2026, 11, 8))
    )
    await desk.make(
        MoveOut(
            occurred_on=RegistryDate(2026, 11, 9),
            notified_on=dt.date(2026, 11, 9),
            atena_nos=result.new_atena_nos,
            destination=Place(text="東京都"),
        )
    )
    found = await desk.do(desk.clerk, lambda op: registry.search(op, Query(name="消除　太郎")))
    assert [h.status.value for h in found.hits] == ["moved_out"]
    found = await desk.do(desk.clerk, lambda op: registry.search(op, Query(name="消除　太郎", include_removed=False)))
    assert found.hits == ()


async def test_more_than_fifty_are_capped_and_said_to_be(fresh_fleet: Fleet, caller: Callable[..., Caller]) -> None:
    """screens: 50件まで表示."""
    clock = dt.datetime(2026, 11, 20, 3, 0, tzinfo=dt.UTC)
    fresh_fleet.clock = lambda: clock
    desk = Desk(fresh_fleet, caller, "072044")
    for batch in range(6):
        await desk.make(
            family(
                newcomer(f"多人　{'一二三四五六'[batch]}郎", "世帯主", name_kana="タニン　タロウ"),
                *(
                    newcomer(
                        f"多人　{'一二三四五六'[batch]}{'甲乙丙丁戊己庚辛'[i]}", "同居人", name_kana="タニン　ジロウ"
                    )
                    for i in range(8)
                ),
                day=dt.date(2026, 11, 10),
            )
        )
    found = await desk.do(desk.clerk, lambda op: registry.search(op, Query(kana="タニン")))
    assert (len(found.hits), found.capped) == (50, True)
    found = await desk.do(desk.clerk, lambda op: registry.search(op, Query(kana="タニン　タ")))
    assert (len(found.hits), found.capped) == (6, False)
