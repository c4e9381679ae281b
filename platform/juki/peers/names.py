"""Names with their frequencies: surnames counted in the installed data set, given names by sex and time of birth."""

from __future__ import annotations

import random
from functools import lru_cache
from importlib.resources import files
from typing import Final

import msgspec

_DATA: Final = "japanese_personal_name_dataset"
_TO_KATAKANA: Final = {point: point + 0x60 for point in range(0x3041, 0x3097)}


class Name(msgspec.Struct, frozen=True):
    """Part of a name: as written, and its reading in full-width katakana."""

    text: str
    kana: str


class Weighted(msgspec.Struct, frozen=True):
    """Names with cumulative weights, as random.choices takes them."""

    names: tuple[Name, ...]
    cumulative: tuple[float, ...]

    def draw(self, random_source: random.Random) -> Name:
        """One name by its frequency."""
        return random_source.choices(self.names, cum_weights=self.cumulative)[0]


@lru_cache(maxsize=1)
def surnames() -> Weighted:
    """2,000 surnames with the number of bearers in the country."""
    rows = [line.split(",") for line in _lines("last_name_org.csv")]
    return _weighted([(Name(r[0], _katakana(r[2])), float(r[1])) for r in rows])


@lru_cache(maxsize=8)
def given_names(sex: str, cohort: int) -> Weighted:
    """Given names of a sex ("1" male, "2" female) for a cohort (0 up to 1949, 1 up to 1979, 2 up to 1999, 3 later)."""
    popular = [(_pair(word), 100.0 / (rank + 4)) for rank, word in enumerate(_POPULAR[sex][cohort].split())]
    broad = [(name, 0.05) for name in _broad(sex)]
    return _weighted(popular + broad)


@lru_cache(maxsize=2)
def _broad(sex: str) -> tuple[Name, ...]:
    lines = _lines("first_name_man_opti.csv" if sex == "1" else "first_name_woman_opti.csv")
    names: list[Name] = []
    for position, line in enumerate(lines):
        reading, _, *written = line.split(",")
        names += [Name(text, _katakana(reading)) for text in written[position % 3 :: 40][:4] if len(text) <= 4]
    return tuple(names)


def _weighted(pairs: list[tuple[Name, float]]) -> Weighted:
    total, cumulative = 0.0, list[float]()
    for _, weight in pairs:
        total += weight
        cumulative.append(total)
    return Weighted(tuple(name for name, _ in pairs), tuple(cumulative))


def _lines(name: str) -> list[str]:
    return (files(_DATA) / "dataset" / name).read_text(encoding="utf-8").splitlines()


def _katakana(reading: str) -> str:
    return reading.translate(_TO_KATAKANA)


def _pair(word: str) -> Name:
    text, _, kana = word.partition("/")
    return Name(text, kana)


# Written forms that registers really hold, beside the common one of the data set.
VARIANTS: Final[dict[str, tuple[str, ...]]] = {
    "渡辺": ("渡邊", "渡邉", "渡邉\U000e0104", "渡部"),
    "渡部": ("渡邊", "渡邉"),
    "高橋": ("髙橋", "高槗", "髙𣘺"),
    "斎藤": ("齋藤", "齊藤"),
    "斉藤": ("齊藤", "齋藤"),
    "吉田": ("𠮷田",),
    "吉野": ("𠮷野",),
    "山崎": ("山﨑", "山嵜"),
    "浜田": ("濱田", "濵田"),
    "桜井": ("櫻井",),
    "広瀬": ("廣瀬", "廣瀨"),
    "葛西": ("葛\U000e0100西", "葛\U000e0102西"),
    "辻": ("辻\U000e0100",),
    "土屋": ("圡屋",),
    "島田": ("嶋田",),
    "沢田": ("澤田",),
    "小沢": ("小澤",),
    "渡": ("渡",),
    "高木": ("髙木",),
    "高野": ("髙野",),
    "阿部": ("阿部",),
    "国分": ("國分",),
    "塩田": ("鹽田",),
    "真野": ("眞野",),
    "黒沢": ("黒澤",),
    "宮崎": ("宮﨑",),
    "長浜": ("長濱",),
    "徳田": ("德田",),
}

# Characters that cp932 or every JIS lacks: a few households in a hundred, so that a small extract has them too.
OUTSIDE_JIS: Final = (
    Name("渡邉\U000e0104", "ワタナベ"),
    Name("𠮷田", "ヨシダ"),
    Name("葛\U000e0102西", "カサイ"),
    Name("髙𣘺", "タカハシ"),
    Name("辻\U000e0100", "ツジ"),
    Name("圡屋", "ツチヤ"),
)

_POPULAR: Final[dict[str, tuple[str, str, str, str]]] = {
    "1": (
        "清/キヨシ 勇/イサム 正/タダシ 茂/シゲル 実/ミノル 進/ススム 昭/アキラ 弘/ヒロシ 博/ヒロシ 正雄/マサオ 三郎/サブロウ "
        "勝/マサル 正一/ショウイチ 武/タケシ 一郎/イチロウ 義雄/ヨシオ 利雄/トシオ 功/イサオ 幸男/ユキオ 秀雄/ヒデオ",
        "誠/マコト 浩/ヒロシ 修/オサム 隆/タカシ 和彦/カズヒコ 哲也/テツヤ 浩一/コウイチ 直樹/ナオキ 健一/ケンイチ 剛/ツヨシ "
        "学/マナブ 聡/サトシ 大輔/ダイスケ 秀樹/ヒデキ 英樹/ヒデキ 明/アキラ 豊/ユタカ 徹/トオル 和也/カズヤ 洋一/ヨウイチ",
        "翔太/ショウタ 拓也/タクヤ 健太/ケンタ 大樹/ダイキ 翼/ツバサ 達也/タツヤ 翔/ショウ 亮/リョウ 雄太/ユウタ 和樹/カズキ "
        "駿/シュン 直人/ナオト 祐介/ユウスケ 拓海/タクミ 大地/ダイチ 涼太/リョウタ 海斗/カイト 陸/リク 優/ユウ 誠也/セイヤ",
        "蓮/レン 湊/ミナト 陽翔/ハルト 悠真/ユウマ 大翔/ヒロト 律/リツ 樹/イツキ 蒼/アオイ 朝陽/アサヒ 悠人/ユウト 颯太/ソウタ "
        "陽向/ヒナタ 伊織/イオリ 新/アラタ 奏太/ソウタ 碧/アオ 結翔/ユイト 暖/ダン 凪/ナギ 湊斗/ミナト",
    ),
    "2": (
        "幸子/サチコ 和子/カズコ 節子/セツコ 洋子/ヨウコ 文子/フミコ キヨ/キヨ ハル/ハル ヨシ/ヨシ トシ/トシ 美代子/ミヨコ "
        "千代子/チヨコ 久子/ヒサコ 弘子/ヒロコ 光子/ミツコ 敏子/トシコ ゑみ/エミ 君子/キミコ 房子/フサコ 信子/ノブコ 京子/キョウコ",
        "由美子/ユミコ 真由美/マユミ 明美/アケミ 恵子/ケイコ 久美子/クミコ 智子/トモコ 裕子/ユウコ 陽子/ヨウコ 直美/ナオミ "
        "香織/カオリ 優子/ユウコ 美穂/ミホ 純子/ジュンコ 真理子/マリコ 恵美/エミ 美香/ミカ 里美/サトミ 千春/チハル 裕美/ヒロミ 恭子/キョウコ",
        "美咲/ミサキ 愛/アイ 彩/アヤ 美穂/ミホ 舞/マイ 成美/ナルミ 葵/アオイ さくら/サクラ 萌/モエ 優花/ユウカ 七海/ナナミ "
        "未来/ミライ 遥/ハルカ 千尋/チヒロ 桃子/モモコ 瞳/ヒトミ 麻衣/マイ 沙織/サオリ 真央/マオ 綾香/アヤカ",
        "陽葵/ヒマリ 紬/ツムギ 凛/リン 芽依/メイ 葵/アオイ 結菜/ユイナ 結衣/ユイ 澪/ミオ 莉子/リコ 咲良/サクラ 一花/イチカ "
        "心春/コハル 杏/アン 陽菜/ヒナ 美月/ミツキ 琴音/コトネ 詩/ウタ 翠/スイ 花/ハナ 彩葉/イロハ",
    ),
}


class ForeignName(msgspec.Struct, frozen=True):
    """Name of a foreign resident: roman as in the passport, reading, kanji where the home country writes them."""

    roman: str
    kana: str
    kanji: str = ""
    alias: str = ""  # 通称
    alias_kana: str = ""


FOREIGN: Final[dict[str, tuple[float, str, tuple[ForeignName, ...]]]] = {
    "ベトナム": (
        30,
        "技能実習",
        (
            ForeignName("NGUYEN VAN MINH", "グエン　ヴァン　ミン"),
            ForeignName("TRAN THI LAN", "チャン　ティ　ラン"),
            ForeignName("PHAM QUOC HUNG", "ファム　クォック　フン"),
            ForeignName("LE THI HONG NHUNG", "レ　ティ　ホン　ニュン"),
        ),
    ),
    "フィリピン": (
        18,
        "定住者",
        (
            ForeignName("SANTOS MARIA CRISTINA", "サントス　マリア　クリスティナ"),
            ForeignName("REYES JOSE ANTONIO", "レイエス　ホセ　アントニオ"),
            ForeignName("DELA CRUZ ANNA-MARIE", "デラ　クルス　アンナ－マリー"),
        ),
    ),
    "中国": (
        16,
        "永住者",
        (
            ForeignName("WANG WEI", "ワン　ウェイ", "王　偉"),
            ForeignName("LI XIAOFENG", "リ　シャオフォン", "李　暁峰", "木村　陽子", "キムラ　ヨウコ"),
            ForeignName("ZHANG MIN", "チャン　ミン", "張　敏"),
        ),
    ),
    "韓国": (
        12,
        "特別永住者",
        (
            ForeignName("KIM YONGSU", "キム　ヨンス", "金　英洙", "金山　英雄", "カネヤマ　ヒデオ"),
            ForeignName("PARK JIWOO", "パク　ジウ", "朴　智友", "新井　智子", "アライ　トモコ"),
        ),
    ),
    "ネパール": (8, "留学", (ForeignName("SHRESTHA BIKASH", "シュレスタ　ビカス"),)),
    "インドネシア": (8, "特定技能１号", (ForeignName("SUSANTO BUDI", "スサント　ブディ"),)),
    "ブラジル": (4, "定住者", (ForeignName("SILVA DE SOUZA MARCOS", "シルバ　デ　ソウザ　マルコス"),)),
    "米国": (4, "技術・人文知識・国際業務", (ForeignName("SMITH JOHN PAUL", "スミス　ジョン　ポール"),)),
}
