"""原データの保存: the bytes of a row as they came, made short by replacing filler, given back exactly."""

from __future__ import annotations

from typing import Final

_WIDE, _NARROW = b"\x81\x40" * 10, b" " * 10
_WIDE_MARK, _NARROW_MARK = b"\x01", b"\x02"
_PLAIN: Final = b"\x00"
_SHORT: Final = b"\x03"
_SHORT_BEFORE: Final = b"\x02"
_RUNS_BEFORE: Final = (
    (b"\x04", b" " * 5),
    (b"\x03", b" " * 20),
    (b"\x02", b"\x81\x40" * 4),
    (b"\x01", b"\x81\x40" * 20),
)
"""How rows were kept at first: what was sealed so is read as long as it is kept."""
_WORTH_IT_BYTES: Final = 200


def shorten(raw: bytes) -> bytes:
    """The row with every ten blanks as a single byte; one byte in front says whether that was done."""
    if len(raw) < _WORTH_IT_BYTES or _WIDE_MARK in raw or _NARROW_MARK in raw:
        return _PLAIN + raw
    # wide ones first: they are most of a row of fixed length, and the second look has less to go through
    return _SHORT + raw.replace(_WIDE, _WIDE_MARK).replace(_NARROW, _NARROW_MARK)


def restore(kept: bytes) -> bytes:
    """The row exactly as it came. Raises ValueError for what `shorten` did not make."""
    if kept[:1] == _PLAIN:
        return kept[1:]
    if kept[:1] == _SHORT_BEFORE:
        raw = kept[1:]
        for mark, run in _RUNS_BEFORE:
            raw = raw.replace(mark, run)
        return raw
    if kept[:1] != _SHORT:
        raise ValueError("not a kept row")
    return kept[1:].replace(_NARROW_MARK, _NARROW).replace(_WIDE_MARK, _WIDE)
