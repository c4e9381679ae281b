"""証明書の記載: words in the order of the form."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from juki.certificates.compose import OMITTED, Office, Sheet, compose, disclosed_items, fiscal_year, label
from juki.certificates.model import Application, CertificateKind, Item
from juki.dates import OPEN_END, RegistryDate
from juki.registry import changes
from juki.registry.model import (
    Drawn,
    Household,
    NationalityChange,
    Place,
    Record,
    Remake,
    Removal,
    Scene,
    Status,
)

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "certificates"
ALL = tuple(Item)


def _words(sheet: Sheet) -> str:
    return "".join(f"{name}\t{value.replace(chr(10), '⏎')}\n" for name, value in sheet.words())


def _leaving() -> Removal:
    return Removal(
        planned_address=Place(text="宮城県仙台市青葉区国分町三丁目7番1号"), occurred_on=RegistryDate(2026, 12, 1)
    )


def _sheets(japanese: Callable[..., Record], foreign: Callable[..., Record], removed: Record) -> dict[str, tuple]:
    return {
        "single_least": ((japanese(1),), {}),
        "single_all": ((japanese(1),), {"items": ALL}),
        "single_foreign": ((foreign(1),), {"items": ALL}),
        "single_foreign_least": ((foreign(1),), {}),
        "single_leaving": ((japanese(1, removal=_leaving()),), {}),
        "removed": ((removed,), {"items": (Item.DOMICILE,), "kind": CertificateKind.REMOVED}),
        "joint_mixed": ((japanese(1), japanese(2), foreign(3)), {"items": (Item.RELATIONSHIP, Item.DOMICILE)}),
        "joint_removed": (
            (removed, japanese(2, status=Status.DECEASED)),
            {"kind": CertificateKind.REMOVED, "items": (Item.REMARKS,)},
        ),
    }


@pytest.mark.parametrize(
    "name",
    [
        "single_least",
        "single_all",
        "single_foreign",
        "single_foreign_least",
        "single_leaving",
        "removed",
        "joint_mixed",
        "joint_removed",
    ],
)
def test_the_words_of_each_form_are_those_of_its_golden_file(
    name: str,
    japanese: Callable[..., Record],
    foreign: Callable[..., Record],
    removed: Record,
    application: Callable[..., Application],
    office: Office,
    now: dt.datetime,
) -> None:
    """F-S1-02, 様式 20.1.1, 20.1.2, 20.1.3: content equals the record, value by value, in the order of the form."""
    members, asked = _sheets(japanese, foreign, removed)[name]
    sheet = compose(application(*members, **asked), Household(setai_no="9", members=members), office, now=now)
    file = GOLDEN / f"{name}.tsv"
    if os.environ.get("JUKI_TEST_WRITE_GOLDEN"):
        file.write_text(_words(sheet), encoding="utf-8")
    assert _words(sheet) == file.read_text(encoding="utf-8")


def test_an_item_not_asked_for_prints_the_word_omitted_and_never_its_value(
    japanese: Callable[..., Record],
    foreign: Callable[..., Record],
    application: Callable[..., Application],
    office: Office,
    now: dt.datetime,
) -> None:
    """様式 20.1.1: 省略, not a blank; exactly the items asked for are there."""
    homes = {
        Item.RELATIONSHIP: {"relationship", "head_name"},
        Item.DOMICILE: {"registered_domicile", "family_head"},
        Item.MY_NUMBER: {"my_number"},
        Item.RESIDENT_CODE: {"resident_code"},
        Item.NATIONALITY: {"nationality"},
        Item.RESIDENCE: {"category", "residence_status", "residence_period", "residence_expires"},
        Item.CARD_NUMBER: {"card_number"},
        Item.ALIAS_HISTORY: {"alias_history"},
        Item.REMARKS: {"remarks"},
    }
    for record in (japanese(1), foreign(1)):
        household = Household(setai_no="9", members=(record,))
        for item, boxes in homes.items():
            without = compose(
                application(record, items=tuple(i for i in ALL if i is not item)), household, office, now=now
            )
            only = compose(application(record, items=(item,)), household, office, now=now)
            shown = {f.item for f in only.pages[0].blocks[0].fields if f.value == OMITTED}
            hidden = {f.item for f in without.pages[0].blocks[0].fields if f.value == OMITTED}
            present = {f.item for f in without.pages[0].blocks[0].fields}
            assert hidden == boxes & present
            assert not boxes & shown


@pytest.mark.parametrize(("members", "pages"), [(2, 1), (4, 1), (5, 2), (8, 2), (9, 3)])
def test_a_joint_form_holds_four_members_a_page(
    members: int,
    pages: int,
    japanese: Callable[..., Record],
    application: Callable[..., Application],
    office: Office,
    now: dt.datetime,
) -> None:
    """様式 20.1.2: 世帯連記式, four members a page."""
    people = tuple(japanese(n) for n in range(1, members + 1))
    sheet = compose(application(*people), Household(setai_no="9", members=people), office, now=now)
    assert sheet.form == "joint"
    assert [len(page.blocks) for page in sheet.pages] == [min(4, members - 4 * n) for n in range(pages)]


def test_only_the_persons_asked_for_are_on_the_form(
    japanese: Callable[..., Record], application: Callable[..., Application], office: Office, now: dt.datetime
) -> None:
    """最小限の開示: the rest of the household stays off the paper."""
    people = (japanese(1), japanese(2), japanese(3))
    sheet = compose(application(japanese(2)), Household(setai_no="9", members=people), office, now=now)
    assert "渡邉　一郎" not in _words(sheet)
    assert "渡邉　花子" in _words(sheet)


def test_dates_are_western_for_a_foreign_birth_and_as_written_where_unknown(
    japanese: Callable[..., Record],
    foreign: Callable[..., Record],
    application: Callable[..., Application],
    office: Office,
    now: dt.datetime,
) -> None:
    """R-1-B2-DAT-02: 西暦 for a foreign resident's birth; 不詳 stays 不詳."""
    unknown = japanese(1)
    unknown = msgspec.structs.replace(
        unknown, basic=msgspec.structs.replace(unknown.basic, birth=RegistryDate(0, note="年月日不詳"))
    )
    printed = dict(compose(application(), Household(setai_no="9", members=(unknown,)), office, now=now).words())
    assert printed["生年月日"] == "年月日不詳"
    other = foreign(1)
    printed = dict(compose(application(other), Household(setai_no="9", members=(other,)), office, now=now).words())
    assert printed["生年月日"] == "1988年2月29日"


def test_a_period_of_stay_without_an_end_prints_no_day_of_the_year_9999(
    foreign: Callable[..., Record], application: Callable[..., Application], office: Office, now: dt.datetime
) -> None:
    """R-1-B2-DAT-02, item 68: an extract writes the open end as 9999-12-31, which is no day that anybody was given."""
    person = foreign(1)
    for end, printed in ((OPEN_END, "＊＊＊"), (RegistryDate(2031, 4, 15), "2031年4月15日")):
        held = msgspec.structs.replace(
            person, foreigner=msgspec.structs.replace(person.foreigner, residence_expires=end)
        )
        asked = application(held, items=(Item.RESIDENCE,))
        words = dict(compose(asked, Household(setai_no="9", members=(held,)), office, now=now).words())
        assert words["在留期間の満了の日"] == printed


def test_the_number_names_day_place_counter_printer_and_count(
    office: Office, application: Callable[..., Application], now: dt.datetime
) -> None:
    """標準仕様書 2.8: 発行番号."""
    assert label(office, application(), 123, now=now) == "20261123 いわき市 本庁1 プリンタ001 000123"


@pytest.mark.parametrize(
    ("instant", "year"),
    [
        (dt.datetime(2026, 3, 31, 14, 59, tzinfo=dt.UTC), 2025),
        (dt.datetime(2026, 3, 31, 15, 0, tzinfo=dt.UTC), 2026),
        (dt.datetime(2027, 1, 4, 0, 0, tzinfo=dt.UTC), 2026),
    ],
)
def test_the_count_begins_again_with_the_japanese_fiscal_year(instant: dt.datetime, year: int) -> None:
    """年度: from 1 April in Japan, wherever the machine stands."""
    assert fiscal_year(instant) == year


def test_what_is_said_to_be_disclosed_is_what_is_printed(
    japanese: Callable[..., Record], application: Callable[..., Application]
) -> None:
    """P-3-3: names of items go into the history, foreign ones only where the record has them."""
    items = disclosed_items(application(items=(Item.MY_NUMBER, Item.CARD_NUMBER)), japanese(1))
    assert "my_number" in items
    assert "card_number" not in items
    assert "domicile" not in items


_FILED_UNDER = {
    "head_name": "relationship",
    "registered_domicile": "domicile",
    "family_head": "domicile",
    "removal_reason": "removal",
    "removal_on": "removal",
    "removal_to": "removal",
    "category": "residence",
    "residence_status": "residence",
    "residence_period": "residence",
    "residence_expires": "residence",
}


@pytest.mark.parametrize("asked", [(), tuple(Item)])
@pytest.mark.parametrize("kind", list(CertificateKind))
def test_every_printed_item_stands_in_the_disclosure_row(
    japanese: Callable[..., Record],
    foreign: Callable[..., Record],
    application: Callable[..., Application],
    office: Office,
    now: dt.datetime,
    kind: CertificateKind,
    asked: tuple[Item, ...],
) -> None:
    """R-1-1.1-ISS-01: nothing leaves on paper that the history of disclosures does not name."""
    for record in (japanese(1), foreign(1)):
        given = application(record, kind=kind, items=asked)
        sheet = compose(given, Household(setai_no="9000000001", members=(record,)), office, now=now)
        printed = {f.item for page in sheet.pages for b in page.blocks for f in b.fields if f.value != OMITTED}
        kana = {"kana"} if Item.KANA in asked else set[str]()  # stands in the box of the name
        assert {_FILED_UNDER.get(item, item) for item in printed} | kana == set(disclosed_items(given, record))


def test_a_foreign_name_is_printed_in_roman_letters_and_in_kanji_where_both_are_held(
    foreign: Callable[..., Record], application: Callable[..., Application], office: Office, now: dt.datetime
) -> None:
    """氏名 of a 外国人住民 as on the residence card; a name held once is printed once."""

    def name_of(**names: str) -> str:
        held = foreign(1)
        assert held.basic is not None
        record = msgspec.structs.replace(held, basic=msgspec.structs.replace(held.basic, **names))
        sheet = compose(application(record), Household(setai_no="9000000001", members=(record,)), office, now=now)
        return next(f.value for f in sheet.pages[0].blocks[0].fields if f.item == "name")

    assert name_of(name="王　偉", name_roman="WANG WEI", name_kanji="王　偉") == "WANG WEI　王　偉"
    assert name_of(name="SMITH JOHN", name_roman="SMITH JOHN") == "SMITH JOHN"
    assert name_of(name="SMITH　JOHN", name_roman="SMITH JOHN") == "SMITH JOHN"
    assert name_of(name="李　明") == "李　明"


def _written_anew(record: Record, change: NationalityChange | Remake) -> tuple[Record, Record]:
    """The record struck out and the one written, as a change makes them."""
    scene = Scene(today=dt.date(2026, 11, 20), records={record.atena_no: (record,)})
    struck, written = changes.apply(change, scene, Drawn())
    return struck, written


def test_a_paper_of_a_naturalised_resident_shows_the_domicile_and_nothing_foreign(
    foreign: Callable[..., Record], application: Callable[..., Application], office: Office, now: dt.datetime
) -> None:
    """F-S1-02, 標準仕様書 1.2.2: 本籍・筆頭者 come, 国籍, 在留 and 通称 go, birth in 和暦; the 除票 keeps what was."""
    record = foreign(1, version_no=1)
    notice = NationalityChange(
        occurred_on=RegistryDate(2026, 11, 10),
        reason="entry_naturalised",
        atena_no=record.atena_no,
        name="山田　安奈",
        registered_domicile="福島県いわき市平字梅本21番地",
        family_head="山田　安奈",
    )
    struck, written = _written_anew(record, notice)
    home = Household(setai_no=record.setai_no, members=(written,))
    words = dict(compose(application(written, items=ALL), home, office, now=now).words())
    assert (words["本籍"], words["筆頭者"]) == ("福島県いわき市平字梅本21番地", "山田　安奈")
    assert words["氏名"].endswith("山田　安奈")
    assert not {"国籍・地域", "在留資格", "在留カード等の番号", "通称", "通称の記載・削除"} & set(words)
    home = Household(setai_no=record.setai_no, members=(struck,))
    asked = application(struck, kind=CertificateKind.REMOVED, items=(Item.NATIONALITY,))
    old = dict(compose(asked, home, office, now=now).words())
    assert old["消除の事由"] == "職権消除（帰化等）"
    assert record.foreigner is not None
    assert old["国籍・地域"] == record.foreigner.nationality


def test_a_paper_of_a_reissued_record_shows_what_holds_now(
    japanese: Callable[..., Record], application: Callable[..., Application], office: Office, now: dt.datetime
) -> None:
    """改製: 異動前住所 and old 備考 are not printed any more, 転入前住所 is; nobody is taken for leaving."""
    record = japanese(1, version_no=1)
    assert record.address is not None
    address = msgspec.structs.replace(record.address, moved_within_from=Place(text="福島県いわき市錦町1番地"))
    record = msgspec.structs.replace(record, address=address)
    reissue = Remake(occurred_on=RegistryDate(2026, 11, 10), reason="entry_reissue", atena_no=record.atena_no)
    struck, written = _written_anew(record, reissue)
    before, after = (
        dict(compose(application(r, items=ALL), Household(setai_no=r.setai_no, members=(r,)), office, now=now).words())
        for r in (record, written)
    )
    assert before["異動前住所"] == "福島県いわき市錦町1番地"
    assert after["異動前住所"] not in (before["異動前住所"], OMITTED)
    assert "転出予定" not in after["備考"]
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {"異動前住所", "備考"}
    assert struck.status is Status.REMOVED
