"""文字: characters of names as stored, and the keys derived from them for searching.

A stored name is never normalised: normalising swaps some characters for others (U+FA19 becomes U+795E). Only the search
keys made here may be. Sources: 住民記録システム標準仕様書 2.1 (検索: 異体字, 清濁, 長音, 小書き), MJ縮退マップ and MJ文字一覧表 by
way of jntajis-python (CC BY-SA 2.1 JP), ja-itaiji (MIT) for characters that the former leave alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Final

import jntajis
import msgspec

_ALL_SCHEMES: Final = 15  # JIS包摂・UCS統合, 読み・字形による類推, 法務省告示582号, 戸籍法関連通達
_MEMO: Final = 1 << 16  # strings remembered per function; a municipality has fewer distinct family or given names
_ADDRESSES_REMEMBERED: Final = 1 << 14
_CHARACTERS_REMEMBERED: Final = 1 << 17
_MAX_STEPS: Final = 8

# One character of JIS X 0208, two of Unicode: cp932 and the JIS tables part ways, so an extract and a keyboard write it
# differently. NFKC and the dashes below settle the other twins (－ −, ― —, ￠ ¢, ￡ £, ￢ ¬).
_TWINS: Final[dict[str, str]] = {"〜": "~", "‖": "∥"}

# Pairs that registers are searched by as one although no official table joins them; a clerk sees the real character.
_OWN_PAIRS: Final[dict[str, str]] = {"斉": "斎", "齊": "斎", "籐": "藤", "嵜": "崎", "槗": "橋", "𣘺": "橋", "𨳝": "開"}


# --- characters ---------------------------------------------------------------------------------------------------


def is_private_use(character: str) -> bool:
    """外字 area: U+E000-U+F8FF (cp932 F040-F9FC arrives at U+E000-U+E757) and planes 15 and 16."""
    point = ord(character)
    return 0xE000 <= point <= 0xF8FF or 0xF0000 <= point <= 0xFFFFD or 0x100000 <= point <= 0x10FFFD


def private_use(text: str) -> tuple[str, ...]:
    """外字 of a text in order, each once."""
    if text.isascii() or _PRIVATE.search(text) is None:
        return ()
    return tuple(dict.fromkeys(c for c in text if is_private_use(c)))


def is_selector(character: str) -> bool:
    """異体字セレクタ: U+E0100-U+E01EF (ideographic) and U+FE00-U+FE0F (standardised)."""
    point = ord(character)
    return 0xE0100 <= point <= 0xE01EF or 0xFE00 <= point <= 0xFE0F


def has_sequence(text: str) -> bool:
    """True where a text holds a variation sequence (IVS or SVS)."""
    return _SELECTOR.search(text) is not None


def sequences(text: str) -> tuple[tuple[str, str], ...]:
    """(base, selector) pairs of a text in order."""
    return tuple((m[1], m[2]) for m in _SEQUENCE.finditer(text))


def without_selectors(text: str) -> str:
    """The text with every variation selector dropped: the base glyphs."""
    return _SELECTOR.sub("", text)


def clusters(text: str) -> Iterator[str]:
    """A text cut into base characters, each with the selectors that follow it."""
    start = 0
    for position in range(1, len(text) + 1):
        if position == len(text) or not is_selector(text[position]):
            yield text[start:position]
            start = position


def to_mj_sequence(
    text: str, known: Container[tuple[str, str]], equal: Mapping[tuple[str, str], str] | None = None
) -> tuple[str, tuple[tuple[str, str], ...]]:
    """A text whose every sequence a font can draw, and the sequences that had to lose their selector.

    `known` holds the (base, selector) pairs of the font; `equal` names, for a pair the font lacks (usually Adobe-Japan1
    U+E0100/U+E0101), the selector that draws the same glyph in it. Where neither helps the base glyph stays, and the
    pair is returned so that the caller can warn instead of printing another glyph in silence.
    """
    if not has_sequence(text):
        return text, ()
    lost: list[tuple[str, str]] = []

    def replace(found: re.Match[str]) -> str:
        pair = (found[1], found[2])
        if pair in known:
            return found[0]
        other = equal.get(pair) if equal else None
        if other is not None and (pair[0], other) in known:
            return pair[0] + other
        lost.append(pair)
        return pair[0]

    return _SEQUENCE.sub(replace, text), tuple(lost)


def forbidden(text: str) -> tuple[str, ...]:
    """Characters that no registered text may hold, as U+XXXX: controls, marks of direction, surrogates, holes.

    A variation selector with nothing before it counts too. 外字 are allowed here: they are identified elsewhere.
    """
    if _FORBIDDEN.search(text) is None:
        return ()
    return tuple(dict.fromkeys(f"U+{ord(m[0][-1]):04X}" for m in _FORBIDDEN.finditer(text)))


def is_name(text: str) -> bool:
    """氏名 as a register may hold it: letters, marks of names and spaces, not blank, at most 100 characters."""
    bare = without_selectors(text)
    return (
        0 < len(bare) <= 100 and not bare.isspace() and not forbidden(text) and all(_may_stand_in_name(c) for c in bare)
    )


@lru_cache(maxsize=_MEMO)
def _may_stand_in_name(character: str) -> bool:
    if character in _NAME_MARKS or is_private_use(character):
        return True
    return unicodedata.category(character) in {"Lu", "Ll", "Lt", "Lo", "Lm", "Mn", "Mc", "Nl"}


_NAME_MARKS: Final = frozenset(" \u3000・.,'’‘`´-‐‑－ー~々〆〇ゝゞヽヾ()（）")
_PRIVATE: Final = re.compile("[\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd]")
_SELECTOR: Final = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_SEQUENCE: Final = re.compile("([^\ufe00-\ufe0f\U000e0100-\U000e01ef])([\ufe00-\ufe0f\U000e0100-\U000e01ef])")
_FORBIDDEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufdd0-\ufdef\ufeff\ufff9-\uffff\ud800-\udfff"
    "\U000e0000-\U000e007f]|(?:^|(?<=[\ufe00-\ufe0f\U000e0100-\U000e01ef]))[\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)


# --- 外字 ---------------------------------------------------------------------------------------------------------


class Identification(msgspec.Struct, frozen=True, kw_only=True):
    """文字同定 of one 外字: what the incumbent's code point is in Unicode (with selector) and in MJ."""

    text: str  # one character, with a variation selector where the glyph needs it
    mj: str = ""  # MJ文字図形名, e.g. MJ030196


class Gaiji(msgspec.Struct, frozen=True):
    """外字表 of one municipality: private-use character -> its identification."""

    table: dict[str, Identification]

    def identify(self, text: str) -> tuple[str, tuple[str, ...]]:
        """The text with every identified 外字 replaced, and those that stay unidentified (kept as they are)."""
        if text.isascii() or _PRIVATE.search(text) is None:
            return text, ()
        left: list[str] = []
        out: list[str] = []
        for character in text:
            found = self.table.get(character) if is_private_use(character) else None
            if found is None and is_private_use(character):
                left.append(character)
            out.append(character if found is None else found.text)
        return "".join(out), tuple(dict.fromkeys(left))


# --- search keys --------------------------------------------------------------------------------------------------


class _FoldTable(dict[int, str]):
    """Code point -> folded text, filled as characters are met."""

    def __missing__(self, point: int) -> str:
        folded = _fold_character(chr(point))
        if len(self) < _CHARACTERS_REMEMBERED:
            self[point] = folded
        return folded


@lru_cache(maxsize=_MEMO)
def fold(text: str) -> str:
    """異体字をまとめた検索キー: 邊 and 邉 become 辺, 濱 becomes 浜; selectors, spaces and letter case are dropped.

    Only for searching. The same text always folds to the same key, and folding a key again changes nothing.
    """
    return text.translate(_FOLDS)


def _fold_character(character: str) -> str:
    if is_selector(character) or character in _DROPPED:
        return ""
    if is_private_use(character) or 0xD800 <= ord(character) <= 0xDFFF:
        return character
    parts = unicodedata.normalize("NFKC", character)
    if len(parts) != 1:
        return "".join(_fold_character(c) if c != character else c for c in parts)
    return _representative(parts) if _is_kanji(parts) else _fold_letter(parts)


def _fold_letter(character: str) -> str:
    if character in _DROPPED:
        return ""
    if character in _DASHES:
        return "-"
    if character in _TWINS:
        return _TWINS[character]
    point = ord(character)
    if 0x3041 <= point <= 0x3096 or point in (0x309D, 0x309E):
        return _SMALL_NAMES.get(chr(point + 0x60), chr(point + 0x60))
    if character in _SMALL_NAMES:
        return _SMALL_NAMES[character]
    return _bare(character).casefold() if point < 0x0530 or 0x1E00 <= point < 0x2000 else character


@lru_cache(maxsize=_MEMO)
def _bare(character: str) -> str:
    """A letter without its marks: é and e are one key."""
    return "".join(c for c in unicodedata.normalize("NFD", character) if unicodedata.category(c) != "Mn")


def _is_kanji(character: str) -> bool:
    point = ord(character)
    return 0x3400 <= point <= 0x9FFF or 0xF900 <= point <= 0xFAFF or 0x20000 <= point <= 0x3FFFF


def _representative(character: str) -> str:
    """The commonest character of the family: lowest JIS X 0208 code that the tables lead to."""
    current = character
    for _ in range(_MAX_STEPS):
        best = min({current, *_relatives(current)}, key=_rank)
        if best == current:
            break
        current = best
    return _OWN_PAIRS.get(current, current)


def _relatives(character: str) -> list[str]:
    if character in _OWN_PAIRS:
        return [_OWN_PAIRS[character]]
    found = [c for c in jntajis.mj_shrink_candidates(character, _ALL_SCHEMES) if len(c) == 1]
    if _rank(character)[0] <= 2 or any(_rank(c)[0] <= 2 for c in found):
        return found
    # ja-itaiji is broad and not made for registers: it only speaks for characters that JIS X 0208 lacks altogether.
    return found + [c for c in _itaiji().get(character, []) if _rank(c)[0] <= 2]


@lru_cache(maxsize=_MEMO)
def _rank(character: str) -> tuple[int, int]:
    """(1 for JIS level 1, 2 for level 2, 3 otherwise, code)."""
    try:
        raw = character.encode("shift_jis")
    except UnicodeEncodeError:
        return 3, ord(character[0])
    code = int.from_bytes(raw, "big")
    return (1 if 0x889F <= code <= 0x9872 else 2), code


@lru_cache(maxsize=1)
def _itaiji() -> dict[str, list[str]]:
    raw = (files("ja_itaiji") / "data" / "term" / "ja-itaiji.json").read_bytes()
    return msgspec.json.decode(raw, type=dict[str, list[str]])


@lru_cache(maxsize=_MEMO)
def kana_key(text: str) -> str:
    """清音化した振り仮名の検索キー (標準仕様書 2.1: 検索).

    Voiced and half-voiced as plain, ヂ as ジ, ヅ as ズ, ヴァ as バ, ワ as ハ, ヲ as オ, small kana as large, ウ after the オ
    column as オ; long marks (〜 too), dashes, dots and spaces dropped. Half-width kana and hiragana give the same key.
    """
    out: list[str] = []
    for character in _katakana(text):
        plain = _PLAIN.get(character)
        if plain is None:
            plain = _bare(character)
        if plain in {"ヽ", "ヾ"} and out:
            plain = out[-1]
        elif plain == "ウ" and out and out[-1] in _O_COLUMN:
            plain = "オ"
        if plain:
            out.append(plain)
    return "".join(out)


def _katakana(text: str) -> str:
    wide = unicodedata.normalize("NFKC", without_selectors(text)).translate(_HIRAGANA).upper()
    for pair, plain in _VU.items():
        if "ヴ" in wide:
            wide = wide.replace(pair, plain)
    return wide


@lru_cache(maxsize=_MEMO)
def full_kana(text: str) -> str:
    """半角カナ to full width, voicing marks joined, a hyphen between kana with them, ASCII space to U+3000; every other
    character stays as it is.
    """
    if text.isascii():
        return text.replace(" ", "\u3000")
    wide = _HALF.sub(lambda m: unicodedata.normalize("NFKC", m[0]), text)
    return _BETWEEN_KANA.sub("－", wide).replace(" ", "\u3000")


@lru_cache(maxsize=_MEMO)
def half_kana(text: str) -> str:
    """全角カナ to half width, as fixed-length extracts carry it; a character without a half form stays."""
    return "".join(_TO_HALF.get(c, c) for c in text)


@lru_cache(maxsize=_ADDRESSES_REMEMBERED)
def fold_address(text: str) -> str:
    """住所の検索キー: folded, 一丁目2番地の3 and 1-2-3 alike."""
    plain = _CHOME.sub(lambda m: f"{_number(m[1])}-", fold(text))
    return _NUMBERING.sub("-", plain).strip("-")


def _number(kanji: str) -> int:
    total, digit = 0, 0
    for character in kanji:
        if character == "十":
            total, digit = total + (digit or 1) * 10, 0
        elif character.isdigit() and character.isascii():
            digit = digit * 10 + int(character)
        else:
            digit = _KANJI_DIGITS[character]
    return total + digit


_DROPPED: Final = frozenset(" \u3000\t\u00a0・･.,'’‘`´")
_DASHES: Final = frozenset("-‐‑‒–—―−－ー")
_SMALL_NAMES: Final = {"ヶ": "ケ", "ヵ": "カ", "ヰ": "イ", "ヱ": "エ"}
_HALF: Final = re.compile("[\uff61-\uff9f]+")
_BETWEEN_KANA: Final = re.compile("(?<=[ァ-ヺー])-(?=[ァ-ヺ])")
_KANJI_DIGITS: Final = {c: n for n, c in enumerate("〇一二三四五六七八九")}
_CHOME: Final = re.compile("([〇一二三四五六七八九十]{1,3}|[0-9]{1,3})丁目-?")
_NUMBERING: Final = re.compile("(?:番地ノ|番地|番ノ|番|号)-?(?=[0-9]|$)|(?<=[0-9])(?:ノ|之)(?=[0-9])")
_HIRAGANA: Final = {point: point + 0x60 for point in range(0x3041, 0x3097)} | {0x309D: 0x30FD, 0x309E: 0x30FE}
_VU: Final = {"ヴァ": "ハ", "ヴィ": "ヒ", "ヴェ": "ヘ", "ヴォ": "ホ", "ヴュ": "ヒユ", "ヴ": "フ"}
_O_COLUMN: Final = frozenset("オコソトノホモヨロ")


def _plain_kana() -> dict[str, str]:
    plain = dict.fromkeys("ー〜~―－‐‑–—−-ｰ・･.,'’ \u3000\u3099\u309a゛゜", "")
    plain |= {twin: one for twin, one in _TWINS.items() if twin not in plain}
    for point in range(0x30A1, 0x30FB):
        base = unicodedata.normalize("NFD", chr(point))[0]
        if base != chr(point):
            plain[chr(point)] = base
    plain |= {
        "ヂ": "シ",
        "ヅ": "ス",
        "ワ": "ハ",
        "ヮ": "ハ",
        "ヲ": "オ",
        "ヺ": "オ",
        "ヰ": "イ",
        "ヱ": "エ",
        "ヷ": "ハ",
    }
    plain |= {"ヸ": "イ", "ヹ": "エ"}
    plain |= dict(zip("ァィゥェォッャュョヵヶ", "アイウエオツヤユヨカケ", strict=True))
    return plain


def _half_table() -> dict[str, str]:
    table = {"\u3000": " "}
    for point in range(0xFF61, 0xFFA0):
        full = unicodedata.normalize("NFKC", chr(point))
        table[full] = chr(point)
        for mark, half in (("\u3099", "ﾞ"), ("\u309a", "ﾟ")):
            joined = unicodedata.normalize("NFC", full + mark)
            if len(joined) == 1:
                table[joined] = chr(point) + half
    return table


_PLAIN: Final = _plain_kana()
_TO_HALF: Final = _half_table()
_FOLDS: Final = _FoldTable()
