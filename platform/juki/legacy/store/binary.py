"""COPY の二進形式: the whole stream of one table built at once, column by column.

One call a column instead of one a cell: that halves what an import costs the process that runs it. Formats as in the
documentation of PostgreSQL: COPY (binary format) and the binary send/receive functions of each type.
"""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Callable, Sequence
from itertools import chain, repeat
from typing import Any, Final

Columns = Sequence[Sequence[Any]]
"""Rows of a table by column, all of the same length."""

_SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # no flags, no extension
_TRAILER: Final = b"\xff\xff"
_NULL: Final = b"\xff\xff\xff\xff"
_TRUE: Final = b"\0\0\0\1\1"
_FALSE: Final = b"\0\0\0\1\0"
_EPOCH_DAY: Final = dt.date(2000, 1, 1).toordinal()
_EPOCH: Final = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)
_OID_INT4: Final = 23
_OID_INT8: Final = 20

_short: Final = struct.Struct(">h").pack
_length: Final = struct.Struct(">i").pack
_int4: Final = struct.Struct(">ii").pack
_int8: Final = struct.Struct(">iq").pack
_LENGTHS: Final = tuple(_length(n) for n in range(4096))


def stream(types: Sequence[str], columns: Columns) -> bytes:
    """Everything between the COPY statement and its end. Raises ValueError for columns of different lengths, and
    OverflowError, struct.error or UnicodeEncodeError for a value that its type cannot hold."""
    rows = len(columns[0]) if columns else 0
    encoded = [_ENCODERS[type](column) for type, column in zip(types, columns, strict=True)]
    cells = zip(repeat(_short(len(types)), rows), *encoded, strict=True)
    return b"".join(chain((_SIGNATURE,), chain.from_iterable(cells), (_TRAILER,)))


def _sized(values: Sequence[bytes]) -> list[bytes]:
    lengths = _LENGTHS
    try:
        return [lengths[len(value)] + value for value in values]
    except IndexError:
        return [_length(len(value)) + value for value in values]


def _filled(encode: Callable[[Sequence[Any]], list[bytes]]) -> Callable[[Sequence[Any]], list[bytes]]:
    """An encoder of columns with NULL in them, of one that knows none."""

    def with_nulls(column: Sequence[Any]) -> list[bytes]:
        if None not in column:
            return encode(column)
        cells = iter(encode([value for value in column if value is not None]))
        return [_NULL if value is None else next(cells) for value in column]

    return with_nulls


def _repeating(encode: Callable[[Sequence[Any]], list[bytes]]) -> Callable[[Sequence[Any]], list[bytes]]:
    """An encoder for a column whose values may come again and again: each once."""

    def each_once(column: Sequence[Any]) -> list[bytes]:
        values = list(set(column))
        if 2 * len(values) > len(column):
            return encode(column)
        return list(map(dict(zip(values, encode(values), strict=True)).__getitem__, column))

    return each_once


def _text(column: Sequence[str]) -> list[bytes]:
    return _sized(list(map(str.encode, column)))


def _whole_numbers(bits: int) -> Callable[[Sequence[Any]], list[bytes]]:
    pack, size = {32: _int4, 64: _int8}[bits], bits // 8
    return lambda column: list(map(pack, repeat(size), column))


def _dates(column: Sequence[dt.date]) -> list[bytes]:
    return [_int4(4, value.toordinal() - _EPOCH_DAY) for value in column]


def _instants(column: Sequence[dt.datetime]) -> list[bytes]:
    return [_int8(8, (value - _EPOCH) // _MICROSECOND) for value in column]


def _arrays(code: str, size: int, oid: int) -> Callable[[Sequence[Any]], list[bytes]]:
    """Arrays of one dimension: those of one length are laid out together, element by element."""

    def encode_alike(count: int, column: Sequence[Sequence[int]]) -> list[bytes]:
        if not count:
            return [_length(12) + struct.pack(">iiI", 0, 0, oid)] * len(column)
        pack = struct.Struct(f">iiiIii{f'i{code}' * count}").pack
        head = (20 + (4 + size) * count, 1, 0, oid, count, 1)
        elements = chain.from_iterable((repeat(size), values) for values in zip(*column, strict=True))
        return list(map(pack, *map(repeat, head), *elements))

    def encode(column: Sequence[Sequence[int]]) -> list[bytes]:
        counts = list(map(len, column))
        cells = {
            count: iter(encode_alike(count, [v for v, n in zip(column, counts, strict=True) if n == count]))
            for count in set(counts)
        }
        return [next(cells[count]) for count in counts]

    return encode


_ENCODERS: Final[dict[str, Callable[[Sequence[Any]], list[bytes]]]] = {
    "bool": _filled(lambda column: [_TRUE if v else _FALSE for v in column]),
    "int4": _filled(_whole_numbers(32)),
    "int8": _filled(_whole_numbers(64)),
    "text": _filled(_repeating(_text)),
    "bytea": _filled(_sized),
    "date": _filled(_repeating(_dates)),
    "timestamptz": _filled(_repeating(_instants)),
    "int4[]": _filled(_arrays("i", 4, _OID_INT4)),
    "int8[]": _filled(_arrays("q", 8, _OID_INT8)),
}
"""PostgreSQL type -> what makes the cells of a column, length in front."""
