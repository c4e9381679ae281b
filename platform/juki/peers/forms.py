"""The two hand-over forms of incumbents: fixed-length cp932 with 外字 in the user area, and UTF-8 CSV with a header."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Final, Protocol

import msgspec

from juki.letters import clusters, half_kana
from juki.peers.columns import (
    CATEGORIES,
    HOUSEHOLD,
    KINDS,
    REASONS,
    RELATIONSHIPS,
    RESIDENT,
    STATUSES,
    STOCK,
    SUPPORT,
    Column,
)

_MEMO_MAX: Final = 20_000
_BUFFER_BYTES: Final = 1 << 20
_NOTE_COLUMNS: Final = frozenset({"remarks", "memo"})
NOTE: Final = (
    Column("atena_no", "宛名番号", "9", 10),
    Column("version_no", "履歴番号", "9", 3),
    Column("note_kind", "記事区分", "9", 1),
    Column("note", "記事", "N", 80),
)
FIXED_RESIDENT: Final = tuple(c for c in RESIDENT if c.key not in _NOTE_COLUMNS)
_REMARKS_AT, _MEMO_AT = len(RESIDENT) - 2, len(RESIDENT) - 1

# 外字: code point in the user area -> what it is in Unicode; a blank one was never identified by the incumbent.
GAIJI: Final[dict[str, tuple[str, str]]] = {
    "\ue000": ("邉\U000e0104", ""),
    "\ue001": ("葛\U000e0100", ""),
    "\ue002": ("葛\U000e0102", ""),
    "\ue003": ("辻\U000e0100", ""),
    "\ue004": ("𠮷", ""),
    "\ue005": ("槗", ""),
    "\ue006": ("𣘺", ""),
    "\ue007": ("圡", ""),
    "\ue0f0": ("", ""),
    "\ue0f1": ("", ""),
}
UNIDENTIFIED: Final = "\ue0f0"
_TO_GAIJI: Final = {text: slot for slot, (text, _) in GAIJI.items() if text}


class Written(msgspec.Struct):
    """One file of an extract as handed over."""

    name: str
    rows: int = 0
    lines: int = 0
    bytes: int = 0
    sha256: str = ""


class Sink:
    """A file being written: buffered, counted and hashed on the way."""

    def __init__(self, folder: Path, name: str, head: bytes = b"") -> None:
        self.written = Written(name)
        self._digest = hashlib.sha256()
        self._file = (folder / name).open("wb", buffering=_BUFFER_BYTES)
        if head:
            self._put(head, 0)

    def put(self, raw: bytes) -> int:
        """Append one row; returns the number of its first line."""
        first = self.written.lines + 1
        self._put(raw, 1)
        return first

    def close(self) -> Written:
        """Finish the file and say what went into it."""
        self._file.close()
        self.written.sha256 = self._digest.hexdigest()
        return self.written

    def _put(self, raw: bytes, rows: int) -> None:
        self._file.write(raw)
        self._digest.update(raw)
        self.written.rows += rows
        self.written.bytes += len(raw)
        self.written.lines += raw.count(b"\n")


class Form(Protocol):
    """What the generator needs of a hand-over form."""

    layout: str
    files: ClassVar[dict[str, str]]

    def resident(self, row: Sequence[str]) -> bytes: ...
    def household(self, row: Sequence[str]) -> bytes: ...
    def support(self, row: Sequence[str]) -> bytes: ...
    def stock(self, row: Sequence[str]) -> bytes: ...
    def notes(self, row: Sequence[str]) -> list[bytes]: ...
    def head(self, kind: str) -> bytes: ...
    def gaiji(self) -> list[bytes]: ...


class _Memo(dict[str, bytes]):
    """Encoded value by text, bounded; encoding the same surname a thousand times costs once."""

    def __init__(self, encode: Callable[[str], bytes]) -> None:
        super().__init__()
        self._encode = encode

    def __missing__(self, text: str) -> bytes:
        encoded = self._encode(text)
        if len(self) > _MEMO_MAX:
            self.clear()
        self[text] = encoded
        return encoded


class FixedForm:
    """固定長: cp932, half-width kana, GYYMMDD, notes in a file of their own, latest and earlier versions apart."""

    layout = "cp932-fixed"
    files: ClassVar[dict[str, str]] = {
        "latest": "JUMIN.DAT",
        "earlier": "RIREKI.DAT",
        "household": "SETAI.DAT",
        "support": "SIEN.DAT",
        "notes": "BIKO.DAT",
        "stock": "KODO.DAT",
        "gaiji": "GAIJI.CSV",
    }

    def __init__(self) -> None:
        self._resident = _Encoder(FIXED_RESIDENT)
        self._household = _Encoder(HOUSEHOLD)
        self._support = _Encoder(SUPPORT)
        self._note = _Encoder(NOTE)
        self._stock = _Encoder(STOCK)

    def resident(self, row: Sequence[str]) -> bytes:
        """One version of one resident, without its notes."""
        return self._resident.line(row[:_REMARKS_AT])

    def household(self, row: Sequence[str]) -> bytes:
        """One household."""
        return self._household.line(row)

    def support(self, row: Sequence[str]) -> bytes:
        """One 支援措置 application."""
        return self._support.line(row)

    def stock(self, row: Sequence[str]) -> bytes:
        """One free 住民票コード."""
        return self._stock.line(row)

    def notes(self, row: Sequence[str]) -> list[bytes]:
        """備考 and メモ of a version, each a row of its own."""
        found = (("1", row[_REMARKS_AT]), ("2", row[_MEMO_AT]))
        return [self._note.line((row[0], row[1], kind, text)) for kind, text in found if text]

    def head(self, kind: str) -> bytes:
        """Nothing: fixed-length files have no header, the table of 外字 has one."""
        return self.gaiji()[0] if kind == "gaiji" else b""

    def gaiji(self) -> list[bytes]:
        """外字表, header first: code in hexadecimal, Unicode code points, MJ name; blank where never identified."""
        lines = ["外字コード,UCS,MJ文字図形名"]
        for slot, (text, mj) in GAIJI.items():
            code = slot.encode("cp932").hex().upper()
            lines.append(f"{code},{' '.join(f'{ord(c):04X}' for c in text)},{mj}")
        return [f"{line}\r\n".encode("cp932") for line in lines]


class _Encoder:
    def __init__(self, columns: Sequence[Column]) -> None:
        self._blank = [_blank(c) for c in columns]
        self._memos = [_Memo(_encoder(c)) for c in columns]
        self.offsets = [sum(c.width for c in columns[:position]) for position in range(len(columns))]

    def line(self, row: Sequence[str]) -> bytes:
        parts = self._blank.copy()
        memos = self._memos
        for position, text in enumerate(row):
            if text:
                parts[position] = memos[position][text]
        return b"".join(parts) + b"\r\n"


def _blank(column: Column) -> bytes:
    return b"\x81\x40" * (column.width // 2) if column.form == "N" else b" " * column.width


def _encoder(column: Column) -> Callable[[str], bytes]:
    width = column.width
    codes = _codes_of(column)
    if column.key == "relationship":
        return lambda text: b"".join(_code(RELATIONSHIPS, part).encode() for part in text.split("の")).ljust(width)
    if codes is not None:
        return lambda text: codes.get(text, (text, ""))[0].encode()[:width].rjust(width, b"0")
    if column.form == "D":
        return _gyymmdd
    if column.form == "W":
        return lambda text: text.replace("-", "").encode()
    if column.form == "9":
        return lambda text: text.encode()[:width].rjust(width, b"0")
    if column.form == "K":
        return lambda text: half_kana(text).replace("－", "-").encode("cp932")[:width].ljust(width)
    if column.form == "N":
        return lambda text: _wide(text, width)
    return lambda text: text.encode("cp932")[:width].ljust(width)


def _code(codes: dict[str, str], word: str) -> str:
    return codes.get(word, "99")


def _codes_of(column: Column) -> dict[str, tuple[str, str]] | None:
    if column.key in {"reason", "removal_reason"}:
        return REASONS
    return {"status": STATUSES, "kind": KINDS, "category": CATEGORIES}.get(column.key)


def _wide(text: str, width: int) -> bytes:
    if any(cluster in _TO_GAIJI for cluster in clusters(text)):
        text = "".join(_TO_GAIJI.get(cluster, cluster) for cluster in clusters(text))
    raw = text.encode("cp932")
    if len(raw) > width:
        raise ValueError(f"longer than {width} bytes")
    if (width - len(raw)) % 2:
        raw += b" "
    return raw + b"\x81\x40" * ((width - len(raw)) // 2)


def _gyymmdd(iso: str) -> bytes:
    year, month, day = int(iso[:4]), iso[5:7], iso[8:10]
    key = (year, int(month or 0), int(day or 0))
    for digit, first, start in _ERA_STARTS:
        if key >= start or (key[1] == 0 and year > first):
            return f"{digit}{year - first + 1:02d}{month}{day}".encode()
    raise ValueError("before 明治")


_ERA_STARTS: Final = (
    (5, 2019, (2019, 5, 1)),
    (4, 1989, (1989, 1, 8)),
    (3, 1926, (1926, 12, 25)),
    (2, 1912, (1912, 7, 30)),
    (1, 1868, (1868, 1, 25)),
)


class CsvForm:
    """CSV: UTF-8 with byte order mark, a header, words instead of codes, every version in one file."""

    layout = "utf8-csv"
    files: ClassVar[dict[str, str]] = {
        "latest": "residents.csv",
        "earlier": "residents.csv",
        "household": "households.csv",
        "support": "support.csv",
        "stock": "codes.csv",
        "gaiji": "gaiji.csv",
    }

    def __init__(self) -> None:
        self._buffer = io.StringIO()
        self._writer = csv.writer(self._buffer, lineterminator="\r\n")
        self._words = {
            position: {key: word for key, (_, word) in codes.items()}
            for position, column in enumerate(RESIDENT)
            if (codes := _codes_of(column)) is not None
        }

    def resident(self, row: Sequence[str]) -> bytes:
        """One version of one resident with its notes."""
        row = list(row)
        for position, words in self._words.items():
            row[position] = words.get(row[position], row[position])
        return self._line(row)

    def household(self, row: Sequence[str]) -> bytes:
        """One household."""
        return self._line(row)

    def support(self, row: Sequence[str]) -> bytes:
        """One 支援措置 application."""
        return self._line(row)

    def stock(self, row: Sequence[str]) -> bytes:
        """One free 住民票コード."""
        return self._line(row)

    def notes(self, row: Sequence[str]) -> list[bytes]:
        """Nothing: notes are columns of the resident row."""
        return []

    def head(self, kind: str) -> bytes:
        """Byte order mark and the printed names of the columns."""
        if kind == "gaiji":
            return self.gaiji()[0]
        columns = {"household": HOUSEHOLD, "support": SUPPORT, "stock": STOCK}.get(kind, RESIDENT)
        return b"\xef\xbb\xbf" + self._line([c.title for c in columns])

    def gaiji(self) -> list[bytes]:
        """外字表, header first, with the one character that the incumbent drew itself and never identified."""
        return ["外字コード,UCS,MJ文字図形名\r\n".encode(), b"E123,,\r\n"]

    def _line(self, row: Sequence[str]) -> bytes:
        self._buffer.seek(0)
        self._buffer.truncate()
        self._writer.writerow(row)
        return self._buffer.getvalue().encode()
