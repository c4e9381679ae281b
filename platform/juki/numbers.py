"""Numbers of the register and their check digits: 個人番号, 住民票コード, 宛名番号, 世帯番号, 全国地方公共団体コード, 在留カード番号."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import cycle
from operator import mul
from typing import Final

_MY_NUMBER_WEIGHTS: Final = (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)
_RESIDENT_CODE_WEIGHTS: Final = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)
_IN_HOUSE_WEIGHTS: Final = (2, 3, 4, 5, 6, 7)
_CODE_WEIGHTS: Final = (6, 5, 4, 3, 2)
_CARD: Final = re.compile(r"[A-Z]{2}[0-9]{8}[A-Z]{2}")
_ASCII_DIGITS: Final = re.compile(r"[0-9]+")
_DIGITS_AT_ONCE: Final = 4


class _Weighed:
    """Digits times their weights, summed: a few digits at once by tables, for millions of numbers are checked in an import."""

    def __init__(self, weights: Sequence[int]) -> None:
        parts = [weights[at : at + _DIGITS_AT_ONCE] for at in range(0, len(weights), _DIGITS_AT_ONCE)]
        self._first, self._second, self._third = map(self._table, parts)

    def __call__(self, body: str) -> int:
        """The sum; KeyError for anything but as many ASCII digits as there are weights."""
        return self._first[body[:4]] + self._second[body[4:8]] + self._third[body[8:]]

    @staticmethod
    def _table(weights: Sequence[int]) -> dict[str, int]:
        sums = {"": 0}
        for weight in weights:
            sums = {f"{text}{digit}": total + digit * weight for text, total in sums.items() for digit in range(10)}
        return sums


_weighed: Final = cache(_Weighed)


def my_number_check_digit(body: str) -> int:
    """個人番号 check digit of 11 digits (平成26年総務省令第85号 第5条). ValueError for anything else."""
    return _modulus_11(body, _MY_NUMBER_WEIGHTS)


def _modulus_11(body: str, weights: tuple[int, ...]) -> int:
    try:
        remainder = _weighed(weights)(body) % 11
    except KeyError:
        raise ValueError(f"a check digit is of {len(weights)} digits") from None
    return 0 if remainder <= 1 else 11 - remainder


def is_my_number(text: str) -> bool:
    """12 digits with a right check digit; all zeros pass the arithmetic and are refused by policy."""
    return text != "0" * 12 and _ends_in_its_digit(text, _MY_NUMBER_WEIGHTS)


def _ends_in_its_digit(text: str, weights: tuple[int, ...]) -> bool:
    try:
        return text[-1:] == str(_modulus_11(text[:-1], weights))
    except ValueError:
        return False


def _mod11_w2to7(body: str) -> int:
    return sum(map(mul, map(int, reversed(body)), cycle(_IN_HOUSE_WEIGHTS))) % 11


def resident_code_check_digit(body: str) -> int:
    """住民票コード check digit of 10 digits by modulus 11, weights 2..7 from the right (our reading: the gazette's weights are
    not public). ValueError for anything else."""
    return _modulus_11(body, _RESIDENT_CODE_WEIGHTS)


def is_resident_code(text: str, *, rule: str = "none") -> bool:
    """11 digits; `rule` is `mod11-w2to7` or `none` (a tenant setting, because the official weights are not published)."""
    if rule != "none":
        return _ends_in_its_digit(text, _RESIDENT_CODE_WEIGHTS)
    return len(text) == 11 and _ASCII_DIGITS.fullmatch(text) is not None


def in_house_number(serial: int, *, digits: int = 10) -> str | None:
    """宛名番号 or 世帯番号 of a serial: modulus 11, weights 2..7; None where the digit would be 10 (that serial is skipped)."""
    body = f"{serial:0{digits - 1}d}"
    remainder = _mod11_w2to7(body)
    if remainder == 1:
        return None
    return body + str(0 if remainder == 0 else 11 - remainder)


def is_in_house_number(text: str) -> bool:
    """A number that this platform issued; migrated numbers keep theirs and need not pass."""
    return (
        _ASCII_DIGITS.fullmatch(text) is not None
        and len(text) > 1
        and in_house_number(int(text[:-1]), digits=len(text)) == text
    )


def municipality_check_digit(body: str) -> int:
    """全国地方公共団体コード check digit of the five digits of JIS X 0401 and 0402."""
    return (11 - sum(int(d) * w for d, w in zip(body, _CODE_WEIGHTS, strict=True)) % 11) % 10


def is_municipality_code(text: str) -> bool:
    """Six digits with a right check digit, e.g. 072044 for いわき市."""
    return (
        len(text) == 6
        and _ASCII_DIGITS.fullmatch(text) is not None
        and int(text[5]) == municipality_check_digit(text[:5])
    )


def is_residence_card_number(text: str) -> bool:
    """在留カード等の番号: two letters, eight digits, two letters; no public check digit."""
    return _CARD.fullmatch(text) is not None
