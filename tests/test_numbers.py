"""Check digits: 個人番号, 住民票コード, 宛名番号, 団体コード, 在留カード番号."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from juki import numbers


@pytest.mark.parametrize("number", ["123456789018", "621498320257", "983205673214", "111111111118", "023456789013"])
def test_published_valid_individual_numbers_pass(number: str) -> None:
    """平成26年総務省令第85号 第5条: examples printed in public sources."""
    assert numbers.is_my_number(number)


@pytest.mark.parametrize(
    "number",
    [
        "123456789012",
        "123456789019",
        "111111111111",
        "555555555555",
        "000000000000",
        "12345678901",
        "1234567890188",
        "１２３４５６７８９０１８",
        "12345678901a",
        "",
    ],
)
def test_numbers_that_are_not_individual_numbers_fail(number: str) -> None:
    """Twelve zeros satisfy the arithmetic and are refused by policy; full-width digits are not digits here."""
    assert not numbers.is_my_number(number)


@given(st.integers(0, 10**11 - 1), st.integers(0, 10), st.integers(1, 9))
def test_a_wrong_digit_in_an_individual_number_is_found_unless_zero_is_the_check_digit(
    body: int, position: int, by: int
) -> None:
    """The check digit 0 stands for two remainders, so only there can one wrong digit pass."""
    text = f"{body:011d}"
    number = text + str(numbers.my_number_check_digit(text))
    wrong = number[:position] + str((int(number[position]) + by) % 10) + number[position + 1 :]
    if number[11] != "0":
        assert not numbers.is_my_number(wrong)
    assert numbers.is_my_number(number) or number == "0" * 12


def test_the_municipality_code_of_iwaki_and_hirono_pass_and_their_neighbours_fail() -> None:
    """全国地方公共団体コード."""
    assert numbers.is_municipality_code("072044")
    assert numbers.is_municipality_code("075418")
    assert not numbers.is_municipality_code("072043")
    assert numbers.municipality_check_digit("13101") == 6


@given(st.integers(1, 10**9 - 1))
def test_an_in_house_number_carries_its_check_digit_or_its_serial_is_skipped(serial: int) -> None:
    """宛名番号, 世帯番号: modulus 11, weights 2 to 7; remainder 1 has no digit."""
    number = numbers.in_house_number(serial)
    if number is not None:
        assert len(number) == 10
        assert numbers.is_in_house_number(number)
        assert not numbers.is_in_house_number(number[:-1] + str((int(number[-1]) + 1) % 10))


def test_about_one_serial_in_eleven_is_skipped() -> None:
    """The gap in the rule: those serials are never given out, so no number is ambiguous."""
    skipped = sum(1 for serial in range(1, 11_001) if numbers.in_house_number(serial) is None)
    assert skipped == 1000


@given(st.integers(0, 10**10 - 1))
def test_a_resident_code_passes_its_own_rule_and_any_eleven_digits_pass_without_one(body: int) -> None:
    """The official weights are not public: the rule is a setting of the municipality."""
    text = f"{body:010d}"
    code = text + str(numbers.resident_code_check_digit(text))
    assert numbers.is_resident_code(code, rule="mod11-w2to7")
    wrong = text + str((int(code[-1]) + 1) % 10)
    assert not numbers.is_resident_code(wrong, rule="mod11-w2to7")
    assert numbers.is_resident_code(wrong)
    assert not numbers.is_resident_code(code[:-1])


@pytest.mark.parametrize("place", range(10))
@pytest.mark.parametrize("digit", range(1, 10))
def test_each_place_of_a_number_of_ours_weighs_what_the_rule_says(place: int, digit: int) -> None:
    """Modulus 11, weights 2 to 7 from the right and again from 2; one digit alone shows its own weight."""
    remainder = digit * (2, 3, 4, 5, 6, 7, 2, 3, 4, 5)[place] % 11
    body = str(digit * 10**place)
    assert numbers.resident_code_check_digit(f"{body:0>10}") == (0 if remainder <= 1 else 11 - remainder)
    expected = None if remainder == 1 else f"{body:0>10}{(11 - remainder) % 11}"
    assert numbers.in_house_number(int(body), digits=11) == expected


@pytest.mark.parametrize(("card", "well"), [("AB12345678CD", True), ("ab12345678cd", False), ("AB1234567CD", False)])
def test_a_residence_card_number_has_two_letters_eight_digits_two_letters(card: str, well: bool) -> None:
    """在留カード等の番号: no public check digit."""
    assert numbers.is_residence_card_number(card) is well
