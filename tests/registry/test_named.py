"""JSON の形: what a date of the interface may say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from juki import dates
from juki.dates import RegistryDate
from juki.problem import Invalid
from juki.registry.named import from_named, to_named


@pytest.mark.parametrize(
    "raw",
    [
        {"date": "2020-05-01", "era": "S"},
        {"date": "1989-01-08", "era": "S"},
        {"date": "2019-04-30", "era": "R"},
        {"date": "0000-01-01", "era": "H"},
        {"date": "2020-05-01", "era": "X"},
    ],
)
def test_a_date_in_an_era_that_did_not_hold_is_refused(raw: dict[str, Any]) -> None:
    """昭和95年 is on no paper: an era is taken only with a day on which it was in force."""
    with pytest.raises(Invalid) as caught:
        from_named(RegistryDate, raw, path="birth")
    assert caught.value.code == "registry.form_unreadable"
    assert list(caught.value.fields) == ["birth"]


@given(st.dates(min_value=dates.ERAS[0].start), st.booleans())
def test_a_date_with_its_era_goes_out_and_comes_back_the_same(day: Any, written: bool) -> None:
    """An item that nobody touched reads the same after a trip over the interface."""
    era = dates.era_of(day)
    date = RegistryDate(day.year, day.month, day.day, era.letter if era and written else "")
    assert from_named(RegistryDate, to_named(date)) == date
