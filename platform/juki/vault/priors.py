"""How common a name is before anything is known of a municipality: the weights that blind indexes smooth with.

Family names: people per name in the installed `japanese-personal-name-dataset` (its second column). Given names: that
data set has no counts, so a reading weighs as many points as it has written forms. A name in neither table is rare.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from functools import cache
from importlib.resources import files
from typing import Final

PEOPLE_IN_JAPAN: Final = 125_000_000
GIVEN_SHARE_MAX: Final = 0.01  # no given name is held by more than about one person in 100
_KANA_LEVELS: Final = 3
TO_KATAKANA: Final = {c: c + 0x60 for c in range(0x3041, 0x3097)}


def _rows(name: str) -> list[list[str]]:
    source = files("japanese_personal_name_dataset") / "dataset" / name
    return list(csv.reader(source.read_text(encoding="utf-8").splitlines()))


def family_rows() -> list[list[str]]:
    """Family name, people who bear it, reading in hiragana, reading in letters."""
    return _rows("last_name_org.csv")


def given_rows() -> list[list[str]]:
    """Reading in hiragana, reading in letters, then every written form."""
    return _rows("first_name_man_org.csv") + _rows("first_name_woman_org.csv")


@cache
def family_shares() -> dict[str, float]:
    """Share of the population by family name as written."""
    return {row[0]: int(row[1]) / PEOPLE_IN_JAPAN for row in family_rows()}


@cache
def family_kana_shares() -> dict[str, float]:
    """Share of the population by the first one, two and three kana (katakana) of the family name."""
    shares: defaultdict[str, float] = defaultdict(float)
    for row in family_rows():
        _add_prefixes(shares, row[2], int(row[1]) / PEOPLE_IN_JAPAN)
    return dict(shares)


@cache
def given_kana_shares() -> dict[str, float]:
    """Share of the population by the first one, two and three kana (katakana) of the given name."""
    weights: dict[str, float] = defaultdict(float)
    for row in given_rows():
        weights[row[0]] += len(row) - 2
    total = sum(weights.values())
    shares: defaultdict[str, float] = defaultdict(float)
    for reading, weight in weights.items():
        _add_prefixes(shares, reading, weight / total)
    return dict(shares)


def _add_prefixes(shares: defaultdict[str, float], reading: str, share: float) -> None:
    kana = reading.translate(TO_KATAKANA)
    for length in range(1, _KANA_LEVELS + 1):
        shares[kana[:length].ljust(length, "$")] += share


def full_name_share(joined: str) -> float:
    """Upper estimate of the share of people with this whole name (no separator): family share x commonest given name."""
    shares = family_shares()
    for length in range(min(4, len(joined) - 1), 0, -1):
        share = shares.get(joined[:length])
        if share is not None:
            return share * GIVEN_SHARE_MAX
    return 0.0
