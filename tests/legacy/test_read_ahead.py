"""Reading by column: what is read together is what is read one by one, faults and alerts included."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from juki import dates
from juki.legacy import gaiji as gaiji_table
from juki.legacy import load_layout
from juki.legacy.assemble import Reader, ResidentRows
from juki.legacy.cells import BadValue, Loader, Marked, item_rules
from juki.legacy.columns import Column, ColumnRun
from juki.legacy.extract import Source
from juki.legacy.layout import Field, Layout
from juki.letters import Gaiji
from juki.problem import Invalid

from .conftest import CODES

TODAY = dt.date(2026, 11, 28)
SMALL = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
FIXED = load_layout("cp932-fixed")


def field(type: str, to: str = "x", width: int = 8, **more: Any) -> Field:
    return Field(title="項目", to=to, type=type, at=1, width=width, **more)


def loader(item: Field, layout: Layout = FIXED) -> Loader:
    return Loader(item, layout, Gaiji({}), item_rules("mod11-w2to7"), "cp932")


def one_by_one(rows: ResidentRows, places: list[tuple[int, int]]) -> list[Any]:
    return [(rows.read(*place), [*rows.reader.faults], [*rows.reader.alerts]) for place in places]


@pytest.mark.parametrize("code", CODES)
@SMALL
@given(data=st.data())
def test_rows_read_together_are_rows_read_one_by_one(
    extracts: dict[str, Path], tmp_path: Path, code: str, data: st.DataObject
) -> None:
    """R-1-2.6-MIG-01: whatever stands in a row, reading ahead changes neither a value nor a fault nor an alert."""
    layout = load_layout(CODES[code])
    for file in extracts[code].iterdir():
        if not (tmp_path / file.name).exists():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with Source(extracts[code], layout) as source:
        name = source.of_kind("resident")[0].name
    raw = bytearray((extracts[code] / name).read_bytes())
    for _ in range(data.draw(st.integers(0, 30))):
        raw[data.draw(st.integers(len(raw) // 2, len(raw) - 1))] = data.draw(st.integers(0x20, 0xFF))
    (tmp_path / name).write_bytes(raw)
    with Source(tmp_path, layout) as source:
        table = gaiji_table.read(source)
        file = source.of_kind("resident")[0]
        places = [(row.start, row.end) for row in file.rows() if not row.problem]
        plain, ahead = (ResidentRows(Reader(file, layout, table, "mod11-w2to7"), TODAY) for _ in range(2))
        expected = one_by_one(plain, places)
        for start in range(0, len(places), 300):
            ahead.read_ahead(places[start : start + 300])
            assert one_by_one(ahead, places[start : start + 300]) == expected[start : start + 300]
    assert any(not faults for _, faults, _ in expected)


@given(
    st.lists(st.sampled_from("髙山 一二三123０ｱﾊﾟ-\ue000!"), max_size=6).map("".join),
    st.sampled_from(["text", "kana", "half"]),
)
def test_many_cells_come_to_what_each_comes_to(text: str, type: str) -> None:
    load = loader(field(type))
    cells = [text.encode("cp932", "replace").ljust(12), b"\x82\xa0", b"  ", b"\x81", b"A1"]
    for given_cells in (cells, cells[:3]):
        for cell, value in zip(given_cells, load.load_many(given_cells), strict=True):
            if value is not None:
                assert load.load(cell) == value[0]
            elif b"\x81" not in given_cells:  # one that does not decode leaves all of them to be read alone
                try:
                    assert load.load(cell).__class__ is Marked
                except BadValue:
                    continue


def test_a_day_of_a_month_read_before_is_the_day_the_calendar_rules_give() -> None:
    """和暦 and 西暦 by digits: eras that begin or end inside a month, months without a 31st, unknown parts, no such era."""
    fast = {unknown: loader(field("date", unknown=unknown)) for unknown in (False, True)}
    years = [f"{era}{year:02}" for era in range(1, 6) for year in (0, 1, 2, 7, 15, 31, 45, 64, 99)]
    years += ["0000", "1900", "1999", "2000", "2024", "9999"]
    for year in years:
        for month in range(14):
            for day in (0, 1, 6, 7, 8, 24, 25, 28, 29, 30, 31, 32):
                text = f"{year}{month:02}{day:02}"
                for unknown, load in fast.items():
                    expected: Any
                    try:
                        expected = dates.parse(text, unknown_allowed=unknown) if text.strip("0") else None
                    except Invalid as refused:
                        expected = refused.code
                    try:
                        found = load.load(text.encode())
                    except BadValue as refused:
                        found = refused.reason
                    assert found == expected, text


def test_a_column_remembers_what_repeats_and_never_a_fault() -> None:
    faults: list[Any] = []
    column = Column(field("flag", width=1), loader(field("flag", width=1)), faults, [], {})
    assert column.read_ahead([b"1", b"1", b"0", b"x", b"1", b"x", b"0", b"1"]) == [
        (True,), (True,), (False,), None, (True,), None, (False,), (True,),
    ]  # fmt: skip
    assert dict(column) == {b"1": (True,), b"0": (False,)}
    assert faults == []
    assert column[b"x"] == (None,)
    assert [fault.reason for fault in faults] == ["code.unknown"]
    assert b"x" not in column


def test_a_run_of_columns_is_the_columns_side_by_side() -> None:
    """Also where one of its cells is at fault: the others keep their values and the fault names its own item."""
    faults: list[Any] = []
    fields = [field("flag", width=1), field("number", width=3), field("date", width=8)]
    run = ColumnRun([Column(one, loader(one), faults, [], {}) for one in fields], faults, [])
    whole, wrong = b"1012" + b"20240229", b"0abc" + b"20240229"
    day = dates.RegistryDate(2024, 2, 29)
    assert run.read_ahead([whole, wrong, whole, b" " * 12]) == [(True, 12, day), None, (True, 12, day), (None,) * 3]
    assert faults == []
    assert run[wrong] == (False, None, day)
    assert [fault.reason for fault in faults] == ["digits.form"]
    assert wrong not in run


def _left_out(fields: tuple[Field, ...], paths: set[str]) -> tuple[Field, ...]:
    return tuple(msgspec.structs.replace(one, to="-") if one.to in paths else one for one in fields)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize(
    "changed",
    [
        lambda fields: _left_out(fields, {"basic.sex", "address.address.building", "entitlements.pension.number"}),
        lambda fields: _left_out(fields, {one.to for one in fields if one.to.startswith(("event.", "removal."))}),
        lambda fields: tuple(reversed(fields)),
        lambda fields: tuple(msgspec.structs.replace(one, required=one.to == "basic.head_name") for one in fields),
    ],
    ids=["holes in groups", "no change and no removal", "fields from the last", "one more item required"],
)
def test_however_a_layout_lies_rows_read_together_are_rows_read_alone(
    extracts: dict[str, Path], code: str, changed: Callable[[tuple[Field, ...]], tuple[Field, ...]]
) -> None:
    """R-1-2.6-MIG-01: groups whose items do not lie side by side, that are missing, or whose items are required."""
    layout = load_layout(CODES[code])
    kinds = [
        msgspec.structs.replace(one, fields=changed(one.fields)) if one.kind == "resident" else one
        for one in layout.file
    ]
    with Source(extracts[code], msgspec.structs.replace(layout, file=tuple(kinds))) as source:
        table = gaiji_table.read(source)
        file = source.of_kind("resident")[0]
        places = [(row.start, row.end) for row in file.rows() if not row.problem]
        plain, ahead = (ResidentRows(Reader(file, source.layout, table, "mod11-w2to7"), TODAY) for _ in range(2))
        expected = one_by_one(plain, places)
        ahead.read_ahead(places)
        kept = len(ahead._ahead)
        assert one_by_one(ahead, places) == expected
    assert kept == sum(version is not None and not alerts for version, _, alerts in expected)


@pytest.mark.parametrize("path", ["status", "kind", "basic.sex", "sex"])
def test_a_code_that_a_layout_leads_to_no_word_of_the_record_is_a_fault_of_the_row(path: str) -> None:
    load = loader(field("code", to=path, codes="own"), msgspec.structs.replace(FIXED, codes={"own": {"9": "asleep"}}))
    with pytest.raises(BadValue, match=r"code\.unknown"):
        load.load(b"9")
    assert load.load_many([b"9"]) == [None]
