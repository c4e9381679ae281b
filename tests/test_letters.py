"""文字: search keys, 外字 and variation sequences (標準仕様書 2.1 検索; stored names are never normalised)."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from juki import letters

FOLDED = {
    "辺": "辺邊邉",
    "浜": "浜濱濵",
    "斎": "斎齋齊斉",
    "高": "高髙",
    "崎": "崎﨑嵜",
    "沢": "沢澤",
    "国": "国國",
    "吉": "吉𠮷",
    "広": "広廣",
    "島": "島嶋嶌",
    "竜": "竜龍",
    "恵": "恵惠",
    "徳": "徳德",
    "桜": "桜櫻",
    "塚": "塚塚",
    "真": "真眞",
    "神": "神神",
    "藤": "藤籐籘",
}


@pytest.mark.parametrize(("base", "variants"), FOLDED.items())
def test_every_variant_of_a_character_folds_to_one_key(base: str, variants: str) -> None:
    """標準仕様書 2.1: 辺 finds 邊 and 邉."""
    assert {letters.fold(v) for v in variants} == {base}


def test_characters_that_are_not_variants_keep_different_keys() -> None:
    keys = [letters.fold(c) for c in "佐左島鳥大太末未土士千干"]
    assert len(set(keys)) == len(keys)


def test_folding_drops_selectors_spaces_and_case_but_not_letters() -> None:
    assert letters.fold("葛\U000e0100　城") == "葛城"
    assert letters.fold("Nguyễn Văn-A") == "nguyenvan-a"
    assert letters.fold("\ue001田") == "\ue001田"


@given(st.text(max_size=40))
def test_folding_a_key_again_changes_nothing(text: str) -> None:
    once = letters.fold(text)
    assert letters.fold(once) == once


@given(st.text(alphabet="アァカガハパヴワヰヲウオー〜～~‖∥んゞヽゝ゛がｶﾞｱｯ -－・éR\U000e0100", max_size=40))
def test_a_kana_key_of_a_key_is_itself(text: str) -> None:
    once = letters.kana_key(text)
    assert letters.kana_key(once) == once


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("ワタナベ", "ﾜﾀﾅﾍﾞ"),
        ("わたなべ", "ワタナヘ"),
        ("ヂ", "ジ"),
        ("ミヅノ", "ミズノ"),
        ("ヴァン", "バン"),
        ("ヲダ", "オダ"),
        ("ハ", "ワ"),
        ("ショウイチ", "シヨオイチ"),
        ("コウヘイ", "コオヘイ"),
        ("コーヘイ", "コヘイ"),
        ("サトウ　タロウ", "サトウ タロウ"),
        ("キッカワ", "キツカワ"),
        ("ジャン－ポール", "ジャン-ポール"),
        ("ハ゛ハ", "ババ"),
        ("ササキ", "サゝキ"),
    ],
)
def test_kana_that_a_clerk_may_type_either_way_has_one_key(left: str, right: str) -> None:
    """標準仕様書 2.1: 清濁半濁, ヂジ, ズヅ, ワハ, ヴァバ, オヲ, 小書き, 長音, オ段の後のウ, 空白."""
    assert letters.kana_key(left) == letters.kana_key(right)


def test_kana_of_different_names_keeps_different_keys() -> None:
    names = ["サトウ", "スズキ", "タカハシ", "タナカ", "イトウ", "ヤマモト", "ナカムラ", "コバヤシ", "カトウ", "ヨシダ"]
    assert len({letters.kana_key(n) for n in names}) == len(names)


TWINS = ["〜～", "‖∥", "−－", "―—", "¢￠", "£￡", "¬￢"]
"""One character of JIS X 0208 as the JIS tables and as cp932 write it in Unicode."""


@pytest.mark.parametrize("pair", TWINS)
def test_what_cp932_and_jis_write_differently_has_one_key(pair: str) -> None:
    """標準仕様書 2.1: an extract came by one table, the clerk's keyboard goes by the other."""
    one, other = (unicodedata.normalize("NFC", c) for c in pair)
    assert one != other
    assert letters.fold(f"山{one}田") == letters.fold(f"山{other}田")
    assert letters.kana_key(f"ヤ{one}マ") == letters.kana_key(f"ヤ{other}マ")
    assert letters.fold_address(f"平{one}1{one}2") == letters.fold_address(f"平{other}1{other}2")
    assert letters.full_kana(pair) == pair, "what is stored stays as it came"


def test_half_width_kana_comes_back_whole() -> None:
    for name in ("ワタナベ　タロウ", "パク　ヨンジュン", "ヴォルフ", "オーノ"):
        assert letters.full_kana(letters.half_kana(name)) == name


def test_full_kana_leaves_every_stored_character_alone() -> None:
    """A stored name is never normalised: U+FA19 and full-width letters stay."""
    assert letters.full_kana("神ＡＢ①ﾊﾞ") == "神ＡＢ①バ"
    assert letters.full_kana("ｱﾝﾅ-ﾏﾘｰ 1-2") == "アンナ－マリー\u30001-2"


def test_gaiji_are_identified_by_the_municipality_table_and_the_rest_is_named() -> None:
    table = letters.Gaiji({"\ue000": letters.Identification(text="辻\U000e0102", mj="MJ000001")})
    assert table.identify("\ue000村\ue001\ue001") == ("辻\U000e0102村\ue001\ue001", ("\ue001",))
    assert letters.private_use("\ue000村\ue001\ue001") == ("\ue000", "\ue001")


def test_a_sequence_the_font_lacks_is_swapped_or_reported_never_dropped_in_silence() -> None:
    known = {("葛", "\U000e0102")}
    equal = {("葛", "\U000e0100"): "\U000e0102"}
    assert letters.to_mj_sequence("葛\U000e0100", known, equal) == ("葛\U000e0102", ())
    assert letters.to_mj_sequence("邊\U000e0100", known, equal) == ("邊", (("邊", "\U000e0100"),))
    assert letters.to_mj_sequence("葛\U000e0102", known) == ("葛\U000e0102", ())


@given(st.text(alphabet="葛邊ア\U000e0100\U000e0102\ufe00", max_size=20))
def test_clusters_put_together_are_the_text(text: str) -> None:
    assert "".join(letters.clusters(text)) == text


@pytest.mark.parametrize("text", ["a\x00", "\u202e", "\ufeff", "\U000e0100葛", "葛\U000e0100\U000e0100", "\ud800"])
def test_controls_and_stray_selectors_are_refused_in_any_text(text: str) -> None:
    assert letters.forbidden(text)
    assert not letters.is_name(text)


@pytest.mark.parametrize(
    "text", ["山田　太郎", "葛\U000e0100城", "NGUYEN VAN A", "佐々木　ゑみ", "\ue000川", "マリア＝ルイサ"]
)
def test_names_of_a_register_are_names(text: str) -> None:
    assert letters.is_name(text.replace("＝", "・"))


@pytest.mark.parametrize("text", ["", "　", "123", "山田\n太郎", "あ" * 101, "<b>", "😀"])
def test_what_is_no_name_is_refused(text: str) -> None:
    assert not letters.is_name(text)


@pytest.mark.parametrize("text", ["平一丁目2番地の3", "平１－２－３", "平1丁目2番3号", "平1-2-3"])
def test_one_address_written_four_ways_has_one_key(text: str) -> None:
    assert letters.fold_address(text) == "平1-2-3"
