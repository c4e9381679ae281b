"""証明書の印刷: what is on the paper, judged from the picture and the file, not from hope."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from PIL import Image, ImageChops
from pypdf import PdfReader

from juki.certificates import render
from juki.certificates.compose import Office, Sheet, compose
from juki.certificates.model import Application, Item
from juki.certificates.prepare import draw_preview
from juki.certificates.seal import square_seal
from juki.dates import RegistryDate, wareki
from juki.problem import Invalid, Misconfigured
from juki.registry.model import Household, Notes, Place, Record

PPI = 150.0
MM = PPI / 25.4
LABEL = "20261123 いわき市 本庁1 プリンタ001 000123"
NAME_BOX_MM = (45, 34, 189, 50)


@pytest.fixture(scope="module")
def sheet(
    japanese: Callable[..., Record], application: Callable[..., Application], office: Office, now: dt.datetime
) -> Callable[..., Sheet]:
    def of(*members: Record, **asked: Any) -> Sheet:
        people = members or (japanese(1),)
        return compose(application(*people, **asked), Household(setai_no="9", members=people), office, now=now)

    return of


@pytest.fixture(scope="module")
def named(japanese: Callable[..., Record]) -> Callable[[str], Record]:
    def of(name: str) -> Record:
        record = japanese(1)
        return msgspec.structs.replace(record, basic=msgspec.structs.replace(record.basic, name=name))

    return of


def _picture(sheet: Sheet, office: Office, now: dt.datetime) -> Image.Image:
    page = render.pictures(sheet, office, (LABEL,), mark="00", now=now, ppi=PPI)[0]
    return Image.open(io.BytesIO(page)).convert("RGB")


def _crop(picture: Image.Image, box_mm: tuple[int, int, int, int]) -> Image.Image:
    return picture.crop(tuple(round(side * MM) for side in box_mm))  # type: ignore[arg-type]


def _red_box(picture: Image.Image) -> tuple[int, int, int, int] | None:
    red, green, _ = picture.split()
    return ImageChops.subtract(red, green).point(lambda v: 255 if v > 80 else 0).getbbox()


def _differ(one: Image.Image, other: Image.Image) -> bool:
    return ImageChops.difference(one, other).getbbox() is not None


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_remarks_of_several_lines_are_printed_line_by_line(
    end: str, sheet: Callable[..., Sheet], japanese: Callable[..., Record], office: Office, now: dt.datetime
) -> None:
    """様式 20.1.1, item 33: 備考 may have lines, and a browser ends them with two characters."""
    record = japanese(1, notes=Notes(remarks=f"令和元年5月1日転居{end}令和2年4月1日氏名の字体を修正"))
    pdf = render.certificate(sheet(record, items=(Item.REMARKS,)), office, (LABEL,), mark="00", now=now)
    words = PdfReader(io.BytesIO(pdf)).pages[0].extract_text().split()
    assert {"令和元年5月1日転居", "令和2年4月1日氏名の字体を修正"} <= set(words)


# --- glyphs -------------------------------------------------------------------------------------------------------


def test_a_variation_sequence_is_drawn_as_its_own_glyph(
    sheet: Callable[..., Sheet], named: Callable[[str], Record], office: Office, now: dt.datetime
) -> None:
    """F-S1-02: 葛 and 葛+U+E0102 (葛城) are different shapes on paper."""
    plain, variant, default = (
        _crop(_picture(sheet(named(name)), office, now), NAME_BOX_MM)
        for name in ("葛城　太郎", "葛\U000e0102城　太郎", "葛\U000e0103城　太郎")
    )
    assert _differ(plain, variant)
    assert not _differ(plain, default)


@pytest.mark.parametrize(
    ("stored", "drawn_as"),
    [
        ("葛\U000e0100城　太郎", "葛\U000e0102城　太郎"),
        ("葛\U000e0101城　太郎", "葛城　太郎"),
        ("辻\U000e0100　太郎", "辻\U000e0102　太郎"),
        ("祇\U000e0100園　太郎", "祇\U000e0102園　太郎"),
    ],
)
def test_an_adobe_japan1_sequence_is_drawn_as_the_same_glyph_of_moji_joho(
    stored: str,
    drawn_as: str,
    sheet: Callable[..., Sheet],
    named: Callable[[str], Record],
    office: Office,
    now: dt.datetime,
) -> None:
    """F-S1-02: the font knows one collection only; the other is mapped, never dropped in silence."""
    one = _crop(_picture(sheet(named(stored)), office, now), NAME_BOX_MM)
    other = _crop(_picture(sheet(named(drawn_as)), office, now), NAME_BOX_MM)
    assert not _differ(one, other)


@pytest.mark.parametrize(
    ("name", "about"),
    [
        ("葛\U000e01ef城　太郎", "a sequence that nobody registered"),
        ("\ue000田　太郎", "外字 that nobody identified"),
        ("\U0003134a田　太郎", "a character that the font lacks"),
    ],
)
def test_what_cannot_be_drawn_stops_the_paper_and_names_the_item_only(
    name: str,
    about: str,
    sheet: Callable[..., Sheet],
    named: Callable[[str], Record],
    office: Office,
    now: dt.datetime,
) -> None:
    """No personal data outside the seals: the code and the item, never the name, are in the error."""
    with pytest.raises(Invalid) as caught:
        render.certificate(sheet(named(name)), office, (LABEL,), mark="00", now=now)
    assert caught.value.code == "certificates.glyph_missing", about
    assert caught.value.fields == {"name": "certificates.glyph_missing"}
    assert "太郎" not in repr(caught.value) + str(caught.value.__cause__) + str(caught.value.__context__)


def test_an_own_glyph_of_the_municipality_is_drawn_in_the_place_of_its_gaiji(
    sheet: Callable[..., Sheet], named: Callable[[str], Record], office: Office, now: dt.datetime
) -> None:
    """外字: an explicit glyph supplied by the municipality is used."""
    drawing = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"><path d="M1 1h8v8h-8z"/></svg>'
    own = msgspec.structs.replace(office, glyphs={"\ue000": drawing})
    with_glyph = _crop(_picture(sheet(named("\ue000田　太郎")), own, now), NAME_BOX_MM)
    with_other = _crop(_picture(sheet(named("中田　太郎")), own, now), NAME_BOX_MM)
    assert _differ(with_glyph, with_other)
    assert sum(with_glyph.convert("L").histogram()[:60]) > sum(with_other.convert("L").histogram()[:60])


@pytest.mark.parametrize(
    "name", ["#panic(1)", "*太字* _斜体_ $x$", '#image("/etc/passwd")', '] #include "x"', "\\u{41}"]
)
def test_a_name_that_looks_like_markup_is_printed_letter_by_letter(
    name: str, sheet: Callable[..., Sheet], named: Callable[[str], Record], office: Office, now: dt.datetime
) -> None:
    """Bad input: values are text, never a program for the printer."""
    pdf = render.certificate(sheet(named(name)), office, (LABEL,), mark="00", now=now)
    assert name.replace(" ", "") in PdfReader(io.BytesIO(pdf)).pages[0].extract_text().replace(" ", "")


# --- room ---------------------------------------------------------------------------------------------------------


def test_a_long_value_shrinks_and_a_longer_one_stops_the_paper(
    sheet: Callable[..., Sheet], japanese: Callable[..., Record], office: Office, now: dt.datetime
) -> None:
    """標準仕様書 2.8: shrink to a limit, then an alert that names the item and not its value."""
    record = japanese(1)

    def living_at(length: int) -> Record:
        place = Place(text="福島県いわき市平字" + "梅" * length)
        return msgspec.structs.replace(record, address=msgspec.structs.replace(record.address, address=place))

    render.certificate(sheet(living_at(150)), office, (LABEL,), mark="00", now=now)
    with pytest.raises(Invalid) as caught:
        render.certificate(sheet(living_at(900)), office, (LABEL,), mark="00", now=now)
    assert caught.value.code == "certificates.overflow"
    assert caught.value.fields == {"address": "certificates.overflow"}
    assert "梅" not in str(caught.value)


def test_a_joint_form_says_whose_item_does_not_fit_or_cannot_be_drawn(
    sheet: Callable[..., Sheet], japanese: Callable[..., Record], office: Office, now: dt.datetime
) -> None:
    """標準仕様書 2.8: the sixth person of the form, on its second page; an item of the whole form is nobody's."""
    members = [japanese(n) for n in range(1, 8)]

    def of(**changed: Any) -> Sheet:
        sixth = msgspec.structs.replace(members[5], **changed)
        return sheet(*members[:5], sixth, members[6])

    far = msgspec.structs.replace(members[5].address, previous_address=Place(text="宮城県仙台市" + "梅" * 900))
    gaiji = msgspec.structs.replace(members[5].basic, name="\ue000田　太郎")
    for given, item, code in (
        (of(address=far), "previous_address", "overflow"),
        (of(basic=gaiji), "name", "glyph_missing"),
    ):
        with pytest.raises(Invalid) as caught:
            render.certificate(given, office, (LABEL,), mark="00", now=now)
        assert caught.value.fields == {f"members.5.{item}": f"certificates.{code}"}
    home = msgspec.structs.replace(members[0].address, address=Place(text="福島県いわき市" + "梅" * 900))
    with pytest.raises(Invalid) as caught:
        render.certificate(
            sheet(msgspec.structs.replace(members[0], address=home), members[1]), office, (LABEL,), mark="00", now=now
        )
    assert caught.value.fields == {"address": "certificates.overflow"}


def test_a_long_roman_name_without_spaces_never_runs_out_of_its_box(
    sheet: Callable[..., Sheet], named: Callable[[str], Record], office: Office, now: dt.datetime
) -> None:
    """標準仕様書 2.8: a word that cannot break counts as overflow too."""
    picture = _picture(sheet(named("WOLFESCHLEGELSTEINHAUSENBERGERDORFF")), office, now)
    right_margin = picture.crop((round(191 * MM), round(36 * MM), round(200 * MM), round(49 * MM))).convert("L")
    assert right_margin.getextrema()[0] > 150
    with pytest.raises(Invalid):
        render.certificate(sheet(named("W" * 120)), office, (LABEL,), mark="00", now=now)


@pytest.mark.parametrize("longest", [RegistryDate(1983, 11, 20), RegistryDate(1926, 12, 24)])
def test_a_birth_date_stands_on_one_line_of_the_joint_form(
    sheet: Callable[..., Sheet],
    japanese: Callable[..., Record],
    office: Office,
    now: dt.datetime,
    longest: RegistryDate,
) -> None:
    """様式 20.1.2: the narrow box of a member shrinks a date instead of tearing its 日 off."""
    record = japanese(1)
    record = msgspec.structs.replace(record, basic=msgspec.structs.replace(record.basic, birth=longest))
    pdf = render.certificate(sheet(record, japanese(2)), office, (LABEL,), mark="00", now=now)
    printed = PdfReader(io.BytesIO(pdf)).pages[0].extract_text()
    assert wareki(longest) in printed


def test_the_joint_form_prints_every_item_of_a_full_household(
    sheet: Callable[..., Sheet],
    japanese: Callable[..., Record],
    foreign: Callable[..., Record],
    office: Office,
    now: dt.datetime,
) -> None:
    """様式 20.1.2: nine members, three pages, every choice taken."""
    people = tuple(japanese(n) if n % 2 else foreign(n) for n in range(1, 10))
    pdf = render.certificate(sheet(*people, items=tuple(Item)), office, (LABEL,), mark="00", now=now)
    assert len(PdfReader(io.BytesIO(pdf)).pages) == 3


# --- the sheet as a whole -----------------------------------------------------------------------------------------


def test_the_statement_and_seal_stand_on_the_last_page_only_and_the_number_on_every_page(
    sheet: Callable[..., Sheet], japanese: Callable[..., Record], office: Office, now: dt.datetime
) -> None:
    """標準仕様書 2.8: 認証文 and 公印 on the last page; every copy has its own number, every page its count."""
    people = tuple(japanese(n) for n in range(1, 6))
    labels = (LABEL, LABEL.replace("000123", "000124"))
    pdf = render.certificate(sheet(*people), office, labels, mark="00", now=now)
    texts = [page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages]
    assert [("相違ないことを証明する" in text) for text in texts] == [False, True, False, True]
    for text, number in zip(texts, ("000123 1/2", "000123 2/2", "000124 1/2", "000124 2/2"), strict=True):
        assert f"20261123 いわき市 本庁1 プリンタ001 {number}" in text
    pages = render.pictures(sheet(*people), office, (LABEL,), mark="00", now=now, ppi=PPI)
    assert [_red_box(Image.open(io.BytesIO(page)).convert("RGB")) is not None for page in pages] == [False, True]


def test_the_seal_is_square_at_most_25_mm_and_covers_the_last_letter_of_the_head(
    sheet: Callable[..., Sheet], office: Office, now: dt.datetime
) -> None:
    """標準仕様書 2.8: 公印 up to 25 mm square, over the last character."""
    picture = _picture(sheet(), office, now)
    left, top, right, bottom = _red_box(picture) or (0, 0, 0, 0)
    width, height = (right - left) / MM, (bottom - top) / MM
    assert width == pytest.approx(office.seal_mm, abs=0.6)
    assert height == pytest.approx(width, abs=0.6)
    assert width <= 25
    under = picture.crop((left, top + (bottom - top) // 3, left + round(8 * MM), bottom - (bottom - top) // 3))
    assert sum(under.getchannel("R").histogram()[:60]) > 30  # red ink has much red; only the letter has little


def test_official_use_is_marked_and_nothing_else_is(
    sheet: Callable[..., Sheet], office: Office, now: dt.datetime
) -> None:
    """公用: the mark stands in the corner only where the application is official."""
    box = (166, 13, 192, 26)
    plain, marked = (_crop(_picture(sheet(official_use=use), office, now), box).convert("L") for use in (False, True))
    assert plain.getextrema()[0] > 200
    assert marked.getextrema()[0] < 60


def test_a_preview_has_no_seal_and_says_so_across_the_page(
    sheet: Callable[..., Sheet], office: Office, now: dt.datetime
) -> None:
    """見本: nobody can pass a preview off as a certificate."""
    text = PdfReader(io.BytesIO(draw_preview(sheet(), office, now=now))).pages[0].extract_text()
    assert "見" in text
    assert "証明の効力はありません" in text
    assert LABEL not in text


def test_the_file_is_archival_embeds_a_subset_of_the_font_and_is_equal_for_equal_input(
    sheet: Callable[..., Sheet], office: Office, now: dt.datetime
) -> None:
    """PDF/A-2b, fonts embedded; a digest can be compared because nothing in the file depends on the moment."""
    one, two = (render.certificate(sheet(), office, (LABEL,), mark="00", now=now) for _ in range(2))
    assert one == two
    assert one != render.certificate(sheet(), office, (LABEL,), mark="01", now=now)
    assert b"pdfaid:part>2" in one.replace(b'pdfaid:part="2', b"pdfaid:part>2")
    reader = PdfReader(io.BytesIO(one))
    fonts = reader.pages[0]["/Resources"]["/Font"].values()
    names = [font.get_object()["/BaseFont"] for font in fonts]
    assert names
    assert all(name.endswith("+IPAmjMincho") or "+IPAmjMincho" in name for name in names)
    assert len(one) < 120_000
    assert round(float(reader.pages[0].mediabox.width)) == 595
    assert round(float(reader.pages[0].mediabox.height)) == 842


def test_the_metadata_names_no_resident(sheet: Callable[..., Sheet], office: Office, now: dt.datetime) -> None:
    """No personal data outside the seals: title and author are the form and the municipality."""
    meta = PdfReader(io.BytesIO(render.certificate(sheet(), office, (LABEL,), mark="00", now=now))).metadata
    assert meta is not None
    assert (meta.title, meta.author) == ("住民票", "いわき市")


def test_remarks_are_printed_only_when_chosen(
    sheet: Callable[..., Sheet], japanese: Callable[..., Record], office: Office, now: dt.datetime
) -> None:
    """最小限の開示: 備考 is omitted unless asked for."""
    record = japanese(1, notes=Notes(remarks="特記事項甲乙丙"))
    shown, hidden = (
        PdfReader(io.BytesIO(render.certificate(sheet(record, items=items), office, (LABEL,), mark="0", now=now)))
        for items in ((Item.REMARKS,), ())
    )
    assert "特記事項甲乙丙" in shown.pages[0].extract_text()
    assert "特記事項甲乙丙" not in hidden.pages[0].extract_text()


@pytest.mark.parametrize("wording", ["", "　", "字" * 26, "\ue000市長"])
def test_a_seal_without_a_usable_wording_stops_the_start(wording: str) -> None:
    """公印: a setting that cannot be drawn is said so, not printed as an empty square."""
    with pytest.raises(Misconfigured):
        square_seal(wording)
