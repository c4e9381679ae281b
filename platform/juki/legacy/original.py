"""原データの保存: the bytes of a row as they came, made short by replacing filler, given back exactly."""

from __future__ import annotations

from typing import Final

_BLANK: Final = b" "
_WIDE: Final = b"\x81\x40"
_RUNS: Final = ((_WIDE * 20, b"\x01"), (_WIDE * 4, b"\x02"), (_BLANK * 20, b"\x03"), (_BLANK * 5, b"\x04"))
"""Wide blanks first: they are most of a row of fixed length, and what follows has less to look through."""
_PLAIN: Final = b"\x00"
_SHORT: Final = b"\x02"
_MARKS: Final = b"".join(mark for _, mark in _RUNS)
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
        for run, mark in reversed(_RUNS):
            raw = raw.replace(mark, run)
    return raw
