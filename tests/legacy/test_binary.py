"""COPY streams: the bytes are those that the database driver itself would send, value by value."""

from __future__ import annotations

import datetime as dt
import struct
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg._copy_base import format_row_binary
from psycopg.adapt import Transformer
from psycopg.pq import Format

from juki.legacy.store.binary import stream
from juki.legacy.store.chunk import COLUMNS, TYPES

INT4 = st.integers(-(2**31), 2**31 - 1)
INT8 = st.integers(-(2**63), 2**63 - 1)
ZONES = st.sampled_from([dt.UTC, ZoneInfo("Asia/Tokyo"), dt.timezone(dt.timedelta(hours=-11, minutes=-30))])
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "int4": INT4,
    "int8": INT8,
    "text": TEXT | TEXT.map(lambda text: text * 300),
    "bytea": st.binary(max_size=40) | st.binary(max_size=40).map(lambda raw: raw * 200),
    "date": st.dates(),
    "timestamptz": st.datetimes(timezones=ZONES),
    "int4[]": st.lists(INT4, max_size=8),
    "int8[]": st.lists(INT8, max_size=8),
}


def by_the_driver(types: tuple[str, ...], rows: list[tuple[Any, ...]]) -> bytes:
    """The stream as psycopg's own dumpers make it."""
    transformer = Transformer()
    registry = psycopg.adapters.types
    transformer.set_dumper_types([registry.get_oid(type) for type in types], Format.BINARY)
    out = bytearray(b"PGCOPY\n\xff\r\n\0" + bytes(8))
    for row in rows:
        format_row_binary(row, transformer, out)
    return bytes(out + b"\xff\xff")


@st.composite
def tables(draw: st.DrawFn) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    types = tuple(draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=6)))
    row = st.tuples(*(st.none() | VALUES[type] for type in types))
    return types, draw(st.lists(row, min_size=1, max_size=5))


def test_every_type_that_an_import_writes_is_among_those_compared() -> None:
    """The comparison below would be worth little if a table had a type it does not draw."""
    assert {type for types in TYPES.values() for type in types} <= set(VALUES)
    assert {table: len(columns) for table, columns in COLUMNS.items()} == {t: len(types) for t, types in TYPES.items()}


@given(tables())
def test_a_stream_is_byte_for_byte_what_the_driver_sends(
    table: tuple[tuple[str, ...], list[tuple[Any, ...]]],
) -> None:
    """NULL, both ends of every range, days before 2000 and before the common era's start, any time zone, any length."""
    types, rows = table
    if all(value is None or value != [] for row in rows for value in row):  # the driver writes no type for an empty one
        assert stream(types, list(zip(*rows, strict=True))) == by_the_driver(types, rows)


@pytest.mark.parametrize(
    ("type", "value"),
    [("int4", 2**31), ("int4[]", [-(2**31) - 1]), ("int4[]", [2**31]), ("int8", 2**63), ("text", "\ud800")],
)
def test_a_value_that_does_not_fit_its_type_is_never_written_as_another(type: str, value: object) -> None:
    with pytest.raises((ValueError, OverflowError, struct.error)):
        stream((type,), [[value]])


def test_columns_of_different_lengths_are_no_table() -> None:
    with pytest.raises(ValueError, match="zip"):
        stream(("int4", "text"), [[1, 2], ["a"]])


def test_the_database_reads_a_stream_as_the_values_it_was_made_of(server: str) -> None:
    """Empty arrays included, of which the driver leaves out the type."""
    types = tuple(VALUES)
    instant = dt.datetime(1868, 1, 25, 3, 4, 5, 678_901, tzinfo=dt.UTC)
    rows = [
        (True, -1, 2**40, "髙橋𠮷", b"\x00\xff", dt.date(1868, 1, 25), instant, [], [-1, 2**50]),
        (False, 0, -1, "", b"", dt.date.max, instant.replace(year=2099), [-(2**31), 2**31 - 1], []),
        (None,) * len(types),
    ]
    with psycopg.connect(server) as connection:
        connection.execute("SET TimeZone TO 'UTC'")
        columns = ", ".join(f"c{n} {type}" for n, type in enumerate(types))
        connection.execute(f"CREATE TEMPORARY TABLE probe (no serial, {columns})".encode())
        names = ", ".join(f"c{n}" for n in range(len(types)))
        with connection.cursor().copy(f"COPY probe ({names}) FROM STDIN (FORMAT BINARY)".encode()) as copy:
            copy.write(stream(types, list(zip(*rows, strict=True))))
        assert connection.execute(f"SELECT {names} FROM probe ORDER BY no".encode()).fetchall() == rows
        connection.rollback()
