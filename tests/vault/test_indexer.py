"""Blind indexes: a search finds every row it should, and matching ranks wins an attacker nothing."""

from __future__ import annotations

import hmac
import importlib.util
import struct
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from juki.problem import Invalid
from juki.vault import Indexer
from juki.vault.indexer import BIRTH_DEALS, MONTHS, YEARS_PER_STRATUM, Mac, split_address
from juki.vault.roots import derive

ROOT = b"\x07" * 32
INDEX = Indexer("a", ROOT)
NAMES = st.text("佐藤鈴木高橋辺見本花子太郎ー々ヶ", min_size=1, max_size=8) | st.sampled_from(
    ["佐藤", "鈴木", "佐藤花子"]
)
KANA = st.text("アイサシトタナハマミヤラン", min_size=1, max_size=6) | st.sampled_from(["サトウ", "スズキ", "オノ"])
SPREADS = st.integers(0, 10**10 - 1).map("{:010d}".format)


@given(NAMES, SPREADS, st.sampled_from(["family", "full"]))
def test_a_name_search_asks_for_the_tag_that_a_row_has(name: str, spread: str, field: str) -> None:
    assert INDEX.name_column(field, [name], [spread])[0] in INDEX.name_tags(field, name)


@given(KANA, KANA, SPREADS)
def test_every_prefix_of_both_kana_finds_the_row(family: str, given_name: str, spread: str) -> None:
    stored = set(INDEX.kana_column([family], [given_name], [spread], [spread])[0])
    for a in range(len(family) + 1):
        for b in range(len(given_name) + 1):
            if a or b:
                query = INDEX.kana_query(family[:a], given_name[:b])
                assert all(stored & set(any_of) for any_of in query)


@given(st.dates(), SPREADS)
def test_year_month_and_date_find_the_row(day: object, spread: str) -> None:
    iso = str(day)
    stored = set(INDEX.birth_column([iso], [spread])[0])
    parts = [int(part) for part in iso.split("-")]
    for length in (1, 2, 3):
        assert all(stored & set(any_of) for any_of in INDEX.birth_query(*parts[:length]))


@pytest.mark.parametrize("iso", ["1940-00-00", "1940-02-00", "1940-02-31", "0000-00-00", "9999-12-31"])
def test_unknown_and_impossible_days_are_found_as_written(iso: str) -> None:
    stored = set(INDEX.birth_column([iso], ["1"])[0])
    year, month, day = (int(part) for part in iso.split("-"))
    assert stored & set(INDEX.birth_query(year, month, day)[0])
    assert stored & set(INDEX.birth_query(year)[0])


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("福島県いわき市平字梅本21番地", "平字梅本21"),
        ("福島県いわき市平字梅本21番地の3", "いわき市平字梅本21-3"),
        ("中央台飯野四丁目2番地の1", "中央台飯野4丁目2"),
        ("福島県双葉郡広野町大字下北迫字苗代替35番地", "大字下北迫字苗代替35"),
        ("三重県四日市市諏訪町1番5号", "四日市市諏訪町1"),
        ("平字十五町目12番地", "平字十五町目12番"),
    ],
)
def test_an_address_is_found_however_its_numbers_are_written(written: str, asked: str) -> None:
    stored = set(INDEX.address_column([written], ["1"])[0])
    assert all(stored & set(any_of) for any_of in INDEX.address_query(asked))


def test_an_address_splits_into_town_and_numbers() -> None:
    assert split_address("福島県いわき市平字梅本21番地の3") == ("平字梅本", (21, 3))
    assert split_address("中央台飯野十二丁目2番地") == ("中央台飯野", (12, 2))
    assert split_address("平字梅本") == ("平字梅本", ())


def test_a_town_alone_and_an_empty_search_are_refused() -> None:
    """How many people live in each 町 is published: an index of it would give itself away by rank."""
    with pytest.raises(Invalid, match=r"vault\.address_needs_number"):
        INDEX.address_query("平字梅本")
    with pytest.raises(Invalid, match=r"vault\.empty_query"):
        INDEX.kana_query("")


def test_a_separator_in_a_name_changes_nothing() -> None:
    assert INDEX.name_tags("full", "佐藤　花子") == INDEX.name_tags("full", "佐藤花子")


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_unique_value_has_one_fingerprint_of_16_bytes(one: str, two: str) -> None:
    """R-1-2.6-RET-05: numbers are found by HMAC, never stored to be read."""
    first, second = INDEX.unique("my_number", one), INDEX.unique("my_number", two)
    assert len(first) == 16
    assert (first == second) == (one == two)
    assert first != INDEX.unique("resident_code", one)
    assert first == hmac.digest(derive(ROOT, "index", "unique", "my_number"), one.encode(), "sha256")[:16]


@given(st.binary(max_size=200), st.binary(min_size=32, max_size=32))
def test_the_prepared_mac_is_hmac_sha_256(message: bytes, key: bytes) -> None:
    assert Mac(key)(message) == hmac.digest(key, message, "sha256")


def test_another_root_and_another_slot_share_no_tokens_by_rule() -> None:
    """R-1-3.6-TEN-01: two municipalities' columns cannot be joined on their tags."""
    other = Indexer("a", b"\x08" * 32)
    assert INDEX.unique("my_number", "1") != other.unique("my_number", "1")
    assert INDEX.name_tags("family", "佐藤") != other.name_tags("family", "佐藤")
    assert INDEX.birth_query(1980) != other.birth_query(1980)


def test_tokens_fit_the_columns_they_are_stored_in() -> None:
    """int4 and bytea(16)."""
    for n in range(2000):
        row = (
            INDEX.name_column("family", [f"佐藤{n}"], [str(n)])[0],
            INDEX.name_column("full", [f"佐藤{n}"], [str(n)])[0],
            *INDEX.kana_column(["サトウ"], ["ハナコ"], [str(n)], [str(n)])[0],
            *INDEX.birth_column(["1980-04-01"], [str(n)])[0],
            *INDEX.address_column(["平字梅本21番地"], [str(n)])[0],
        )
        struct.pack(f"{len(row)}i", *row)
        assert len(row) == 13
        assert min(row) > 0


def test_a_household_with_one_name_has_one_tag() -> None:
    """Who lives together stands in the clear; were their tags to differ, households would tell which tags are one name."""
    for household in map(str, range(50)):
        assert len({INDEX.name_column("family", ["佐藤"], [household])[0] for _ in range(4)}) == 1
    assert len({INDEX.name_column("family", ["佐藤"], [str(h)])[0] for h in range(500)}) > 100


def test_longer_tokens_lie_inside_shorter_ones() -> None:
    """So the three tokens of a row tell no more than the longest alone."""
    parents: dict[int, int] = {}
    for household in range(400):
        for family in ("サトウ", "サトミ", "サイトウ", "スズキ", "オノ"):
            one, two, three = INDEX.kana_column([family], ["ハナコ"], [str(household)], [str(household)])[0][:3]
            assert parents.setdefault(three, two) == two
            assert parents.setdefault(two, one) == one


def test_every_birth_bucket_holds_as_many_years_as_every_other() -> None:
    buckets = Counter(
        token for year in range(1920, 1920 + 6 * YEARS_PER_STRATUM) for token in INDEX.birth_query(year)[0]
    )
    assert set(buckets.values()) == {6}
    assert len(buckets) == BIRTH_DEALS * YEARS_PER_STRATUM
    months = Counter(t for year in range(1920, 2016) for m in range(1, 13) for t in INDEX.birth_query(year, m)[0])
    assert set(months.values()) == {6}
    assert len(months) == BIRTH_DEALS * YEARS_PER_STRATUM * MONTHS


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    """The attack is the benchmark's own: one attacker, two sizes."""
    file = Path(__file__).resolve().parents[1] / "bench" / "leakage.py"
    spec = importlib.util.spec_from_file_location("bench_leakage", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_matching_ranks_does_no_better_than_naming_the_commonest_value(bench: ModuleType) -> None:
    """T3: every column and level at 7,000 residents, the attacker knowing the exact distribution and the construction."""
    leaks = bench.attack(bench.people(7_000, seed=11), keys=4)
    assert len(leaks) == 13
    assert [leak.column for leak in leaks if not leak.holds()] == []


def test_the_same_attack_wins_against_plain_tags(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The attack is no straw man: without spreading it names many times the commonest value's share."""
    from juki.vault import indexer

    monkeypatch.setattr(indexer, "_slices", lambda *_: 1)
    monkeypatch.setattr(indexer, "FAMILY_BUCKETS", 1 << 24)
    family = bench.attack(bench.people(7_000, seed=11), keys=1)[0]
    assert family.column == "name.family"
    assert family.plain > 5 * family.bar
    assert not family.holds()


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("十丁目", (10,)),
        ("二十三丁目", (23,)),
        ("二〇丁目", (20,)),
        ("１２番地3", (12, 3)),
        ("十十丁目", (20,)),
        ("十二十丁目", (30,)),
        ("9" * 5_000, (10**18 - 1,)),
    ],
)
def test_a_number_of_an_address_is_read_in_every_spelling_and_never_breaks_the_reader(
    written: str, read: tuple[int, ...]
) -> None:
    """Whatever somebody types as an address is searched for, or not found."""
    assert split_address(f"見本町{written}") == ("見本町", read)
