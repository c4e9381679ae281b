"""和暦 and registry dates: what a clerk types, what a register holds, what a 住民票 prints."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from juki import dates
from juki.dates import RegistryDate
from juki.problem import Invalid

days = st.dates(dt.date(1868, 1, 25), dt.date(2117, 12, 31))


def read(reader: Callable[..., RegistryDate], text: str, **how: bool) -> RegistryDate | str:
    """The date, or the code of the refusal."""
    try:
        return reader(text, **how)
    except Invalid as fault:
        return fault.code


@pytest.mark.parametrize(
    ("typed", "iso"),
    [
        ("S55.4.1", "1980-04-01"),
        ("s55/4/1", "1980-04-01"),
        ("昭和55年4月1日", "1980-04-01"),
        ("昭55.4.1", "1980-04-01"),
        ("Ｓ５５．４．１", "1980-04-01"),
        ("19800401", "1980-04-01"),
        ("1980-04-01", "1980-04-01"),
        ("1980年4月1日", "1980-04-01"),
        ("3550401", "1980-04-01"),
        ("S550401", "1980-04-01"),
        ("令和元年5月1日", "2019-05-01"),
        ("R8.11.20", "2026-11-20"),
        ("明治45年7月30日", "1912-07-30"),
        ("大正元年7月30日", "1912-07-30"),
        ("大正15年12月25日", "1926-12-25"),
        ("昭和元年12月25日", "1926-12-25"),
        ("昭和64年1月7日", "1989-01-07"),
        ("平成31年4月30日", "2019-04-30"),
    ],
)
def test_a_date_is_read_in_every_form_a_clerk_types(typed: str, iso: str) -> None:
    """R-1-B2-DAT-02: both days that belong to two eras are accepted in either."""
    assert dates.parse(typed).iso() == iso


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("", "date.unreadable"),
        ("きのう", "date.unreadable"),
        ("1980年13月1日", "date.no_such_day"),
        ("平成元年1月7日", "date.outside_era"),
        ("昭和64年1月8日", "date.outside_era"),
        ("平成31年5月1日", "date.outside_era"),
        ("平成11年2月29日", "date.no_such_day"),
        ("昭和40年", "date.unknown_not_allowed"),
        ("昭和40年頃", "date.unreadable"),
        ("1999-02-00", "date.unknown_not_allowed"),
        ("令和0年5月1日", "date.unreadable"),
        ("9" * 80, "date.unreadable"),
    ],
)
def test_a_date_that_needs_a_full_calendar_day_refuses_everything_else(typed: str, code: str) -> None:
    """Dates other than birth, becoming a resident, fixing an address, 出生, 死亡 and 失踪."""
    with pytest.raises(Invalid) as caught:
        dates.parse(typed)
    assert caught.value.code == code
    assert typed[:4] == "" or typed[:4] not in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "iso", "note"),
    [
        ("年月日不詳", "0000-00-00", "年月日不詳"),
        ("昭和40年頃", "1965-00-00", "昭和40年頃"),
        ("昭和40年4月頃", "1965-04-00", "昭和40年4月頃"),
        ("昭和40年4月1日頃", "1965-04-01", "昭和40年4月1日頃"),
        ("推定昭和40年4月1日", "1965-04-01", "推定昭和40年4月1日"),
        ("推定昭和40年4月", "1965-04-00", "推定昭和40年4月"),
        ("昭和40年春", "1965-00-00", "昭和40年春"),
        ("昭和40年4月上旬", "1965-04-00", "昭和40年4月上旬"),
        ("昭和40年4月中旬頃", "1965-04-00", "昭和40年4月中旬頃"),
        ("昭和40年月日不詳", "1965-00-00", "昭和40年月日不詳"),
        ("昭和40年4月日不詳", "1965-04-00", "昭和40年4月日不詳"),
        ("昭和40年4月1日から4月10日までの間", "1965-04-01", "昭和40年4月1日から4月10日までの間"),
        ("昭和40年4月から昭和40年6月まで", "1965-04-00", "昭和40年4月から昭和40年6月まで"),
        ("令和8年3月1日から10日までの間", "2026-03-01", "令和8年3月1日から10日までの間"),
        ("1965年頃", "1965-00-00", "1965年頃"),
    ],
)
def test_the_fourteen_unknown_expressions_keep_their_text_and_order_by_what_is_known(
    typed: str, iso: str, note: str
) -> None:
    """標準仕様書: the expression stays as written, an internal day orders it, no deemed day is made."""
    found = dates.parse(typed, unknown_allowed=True)
    assert (found.iso(), found.note) == (iso, note)
    assert found.to_date() is None
    assert dates.wareki(found) == note.replace("1965年", "昭和40年")


def test_a_day_the_calendar_lacks_is_kept_where_it_may_stand_and_sorts_as_the_last_of_its_month() -> None:
    """29 February of a common year stands on old records."""
    found = dates.parse("平成11年2月29日", unknown_allowed=True)
    assert found.iso() == "1999-02-29"
    assert found.sort_date() == dt.date(1999, 2, 28)
    assert dates.wareki(found) == "平成11年2月29日"


@given(days)
def test_any_day_since_meiji_prints_in_wareki_and_reads_back_as_itself(day: dt.date) -> None:
    """R-1-B2-DAT-02."""
    printed = dates.wareki(dates.from_date(day))
    assert dates.parse(printed).to_date() == day


@given(days)
def test_any_day_prints_in_western_form_and_reads_back_as_itself(day: dt.date) -> None:
    """R-1-B2-DAT-02: foreign residents' dates."""
    assert dates.parse(dates.western(dates.from_date(day))).to_date() == day


@given(st.integers(0, 9999), st.integers(0, 12), st.integers(0, 31))
def test_every_registry_date_sorts_without_failing_and_iso_reads_back(year: int, month: int, day: int) -> None:
    """0000 and 9999 are the open ends; no date of a register may stop a sort."""
    date = RegistryDate(year, month, day)
    assert dt.date.min <= date.sort_date() <= dt.date.max
    assert read(dates.parse_iso, date.iso()) in (date, "date.no_such_day")


@given(st.text(max_size=100))
def test_no_text_at_all_breaks_the_reading_of_dates(text: str) -> None:
    """Bad input everywhere: one clear refusal."""
    for allowed in (False, True):
        found = read(dates.parse, text, unknown_allowed=allowed)
        assert isinstance(found, RegistryDate) or found.startswith("date.")


@pytest.mark.parametrize(
    ("birth", "day", "age"),
    [
        (RegistryDate(2000, 2, 29), dt.date(2026, 2, 28), 25),
        (RegistryDate(2000, 2, 29), dt.date(2026, 3, 1), 26),
        (RegistryDate(1965), dt.date(2026, 1, 1), 61),
    ],
)
def test_age_counts_full_years(birth: RegistryDate, day: dt.date, age: int) -> None:
    """満年齢."""
    assert dates.age_on(birth, day) == age


def test_the_business_day_is_the_day_in_japan_wherever_the_machine_stands() -> None:
    """処理日."""
    assert dates.today_in_japan(dt.datetime(2026, 11, 20, 15, 30, tzinfo=dt.UTC)) == dt.date(2026, 11, 21)


def test_the_first_year_of_an_era_prints_as_gannen() -> None:
    """元年."""
    assert dates.wareki(RegistryDate(2019, 5, 1)) == "令和元年5月1日"
    assert dates.wareki(RegistryDate(2019, 4, 30)) == "平成31年4月30日"


@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        ("S40.4.1頃", "昭和40年4月1日頃"),
        ("1965.4.1頃", "昭和40年4月1日頃"),
        ("19650401頃", "昭和40年4月1日頃"),
        ("1965年4月頃", "昭和40年4月頃"),
        ("推定S40.4.1", "推定昭和40年4月1日"),
    ],
)
def test_an_expression_typed_in_short_prints_as_it_stands_on_paper(typed: str, printed: str) -> None:
    """標準仕様書 1.1: an unknown day is printed in words, never as the digits it was typed in."""
    assert dates.wareki(dates.parse(typed, unknown_allowed=True)) == printed


@pytest.mark.parametrize("typed", ["平成40年", "昭和65年4月", "平成元年頃", "大正1年7月", "昭和64年1月", "令和元年5月"])
def test_a_date_with_unknown_parts_lies_in_its_era_where_it_can(typed: str) -> None:
    """元号: a year or month that the era never had is as impossible as a day of it."""
    if typed in {"平成40年", "昭和65年4月"}:
        with pytest.raises(Invalid) as caught:
            dates.parse(typed, unknown_allowed=True)
        assert caught.value.code == "date.outside_era"
    else:
        assert dates.parse(typed, unknown_allowed=True).era
