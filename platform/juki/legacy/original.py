"""原データの保存: the bytes of a row as they came, made short by replacing filler, given back exactly."""

from __future__ import annotations

from typing import Final

_WIDE: Final = b"\x81\x40"
_RUNS: Final = (
    (b" " * 64, b"\x01"),
    (b" " * 16, b"\x02"),
    (b" " * 4, b"\x03"),
    (_WIDE * 32, b"\x04"),
    (_WIDE * 8, b"\x05"),
    (_WIDE * 2, b"\x06"),
)
_PLAIN: Final = b"\x00"
_SHORT: Final = b"\x01"
_MARKS: Final = bytes(range(1, 7))
_WORTH_IT_BYTES: Final = 200


def shorten(raw: bytes) -> bytes:
    """The row with runs of blanks as single bytes; one byte in front says whether that was done."""
    if len(raw) < _WORTH_IT_BYTES or len(raw.translate(None, _MARKS)) < len(raw):
        return _PLAIN + raw
    for run, mark in _RUNS:
        raw = raw.replace(run, mark)
    return _SHORT + raw


def restore(kept: bytes) -> bytes:
    """The row exactly as it came."""
    raw = kept[1:]
    if kept[:1] == _SHORT:
        for run, mark in _RUNS:
            raw = raw.replace(mark, run)
    return raw
