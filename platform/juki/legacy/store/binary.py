"""COPY の二進形式: the whole stream of one table built at once, column by column.

One call a column instead of one a cell: that halves what an import costs the process that runs it. Formats as in the
documentation of PostgreSQL: COPY (binary format) and the binary send/receive functions of each type.
"""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
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
_SECONDS_PER_DAY: Final = 86_400
_MICROSECONDS: Final = 1_000_000
_OID_INT4: Final = 23
_OID_INT8: Final = 20
_INT4_MASK: Final = 0xFFFFFFFF

_short: Final = struct.Struct(">h").pack
_length: Final = struct.Struct(">i").pack
_int4: Final = struct.Struct(">ii").pack
_int8: Final = struct.Struct(">iq").pack
_LENGTHS: Final = tuple(_length(n) for n in range(4096))
_LENGTHS_KNOWN: Final = len(_LENGTHS)


def stream(types: Sequence[str], columns: Columns) -> bytes:
    """Everything between the COPY statement and its end. Raises ValueError for columns of different lengths, and
    OverflowError, struct.error or UnicodeEncodeError for a value that its type cannot hold."""
    rows = len(columns[0]) if columns else 0
    encoded = [_ENCODERS[type](column) for type, column in zip(types, columns, strict=True)]
    cells = zip(repeat(_short(len(types)), rows), *encoded, strict=True)
    return b"".join(chain((_SIGNATURE,), chain.from_iterable(cells), (_TRAILER,)))


def _sized(value: bytes) -> bytes:
    return (_LENGTHS[len(value)] if len(value) < _LENGTHS_KNOWN else _length(len(value))) + value


def _bytea(column: Sequence[bytes | None]) -> list[bytes]:
    lengths = _LENGTHS
    if max((len(v) for v in column if v is not None), default=0) < _LENGTHS_KNOWN:
        return [_NULL if v is None else lengths[len(v)] + v for v in column]
    return [_NULL if v is None else _sized(v) for v in column]


def _text(column: Sequence[str | None]) -> list[bytes]:
    return [_NULL if v is None else _sized(v.encode()) for v in column]


def _repeating(one: Callable[[Any], bytes]) -> Callable[[Sequence[Any]], list[bytes]]:
    """An encoder for a column whose values come again and again."""

    def encode(column: Sequence[Any]) -> list[bytes]:
        known: dict[Any, bytes] = {value: _NULL if value is None else one(value) for value in set(column)}
        return [known[value] for value in column]

    return encode


def _date(value: dt.date) -> bytes:
    return _int4(4, value.toordinal() - _EPOCH_DAY)


def _timestamptz(value: dt.datetime) -> bytes:
    span = value - _EPOCH
    return _int8(8, (span.days * _SECONDS_PER_DAY + span.seconds) * _MICROSECONDS + span.microseconds)


@lru_cache(maxsize=1024)
def _array_of_int4(count: int) -> Callable[..., bytes]:
    # every element with its length in front is one number of 64 bits
    return struct.Struct(f">iiiIii{count}Q").pack


def _int4_array(value: Sequence[int]) -> bytes:
    count = len(value)
    if not count:
        return _int4(12, 0) + struct.pack(">iI", 0, _OID_INT4)
    if max(value) > 0x7FFFFFFF or min(value) < -0x80000000:
        raise OverflowError("int4 out of range")
    cells = [4 << 32 | (v & _INT4_MASK) for v in value]
    return _array_of_int4(count)(20 + 8 * count, 1, 0, _OID_INT4, count, 1, *cells)


def _int8_array(value: Sequence[int]) -> bytes:
    count = len(value)
    if not count:
        return _int4(12, 0) + struct.pack(">iI", 0, _OID_INT8)
    return struct.pack(">iiiIii", 20 + 12 * count, 1, 0, _OID_INT8, count, 1) + b"".join([_int8(8, v) for v in value])


_ENCODERS: Final[dict[str, Callable[[Sequence[Any]], list[bytes]]]] = {
    "bool": lambda column: [_NULL if v is None else _TRUE if v else _FALSE for v in column],
    "int4": lambda column: [_NULL if v is None else _int4(4, v) for v in column],
    "int8": lambda column: [_NULL if v is None else _int8(8, v) for v in column],
    "text": _text,
    "bytea": _bytea,
    "date": _repeating(_date),
    "timestamptz": _repeating(_timestamptz),
    "int4[]": lambda column: [_NULL if v is None else _int4_array(v) for v in column],
    "int8[]": lambda column: [_NULL if v is None else _int8_array(v) for v in column],
}
"""PostgreSQL type -> what makes the cells of a column, length in front."""
