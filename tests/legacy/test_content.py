"""What the register holds after an import is what the incumbent knew: compared with the people themselves, not with our reading."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.legacy.media import imported

from juki.access.model import Caller
from juki.audit import operation
from juki.legacy.original import restore, shorten
from juki.letters import has_sequence, private_use
from juki.peers.columns import INDEX, REASONS
from juki.peers.people import Settlement
from juki.registry import iter_events, iter_records
from juki.registry.model import Record
from juki.tenancy import Fleet

from .conftest import CODES, RESIDENTS

RIGHTS = ("import.run", "import.review", "resident.read", "resident.my_number", "resident.code", "protection.read")


@pytest.fixture(scope="module")
async def stored(
    fleet: Fleet, extracts: dict[str, Path], caller: Callable[..., Caller]
) -> dict[str, dict[str, tuple[Record, ...]]]:
    """Municipality -> 宛名番号 -> versions, after the import."""
    found: dict[str, dict[str, tuple[Record, ...]]] = {}
    for code in CODES:
        who = caller(*RIGHTS, tenant=code)
        await imported(fleet, who, extracts[code])
        async with operation(fleet, who, "resident.list", purpose="確認") as op:
            found[code] = {versions[0].atena_no: versions async for versions in iter_records(op)}
    return found


def _people(code: str, today: dt.date) -> dict[str, list[list[str]]]:
    source = Settlement(code, seed=11, as_of=today)
    return {v[0][0]: v for household in source.households(RESIDENTS) for v in household.persons}


@pytest.mark.parametrize("code", CODES)
async def test_every_item_arrives_as_the_incumbent_knew_it(
    stored: dict[str, dict[str, tuple[Record, ...]]], today: dt.date, code: str
) -> None:
    """R-1-2.6-MIG-01: names with their variation sequences, dates with their unknown parts, numbers, notes."""
    people = _people(code, today)
    special = 0
    assert len(stored[code]) > RESIDENTS * 0.9
    for atena_no, versions in stored[code].items():
        rows = people[atena_no]
        assert [v.version_no for v in versions] == [int(r[INDEX["version_no"]]) for r in rows]
        for version, row in zip(versions, rows, strict=True):
            basic, address = version.basic, version.address
            assert basic is not None
            assert address is not None
            if not private_use(basic.name):
                assert basic.name == row[INDEX["name"]]
            special += has_sequence(basic.name) or "𠮷" in basic.name
            assert basic.name_kana == row[INDEX["name_kana"]]
            assert basic.birth.iso() == (row[INDEX["birth"]] or row[INDEX["birth_western"]])
            assert basic.birth.note == row[INDEX["birth_note"]]
            assert basic.sex.value == row[INDEX["sex"]]
            assert basic.relationship == row[INDEX["relationship"]]
            assert (address.address.text, address.address.building) == (row[INDEX["address"]], row[INDEX["building"]])
            assert version.my_number is not None
            assert version.my_number.my_number == row[INDEX["my_number"]]
            assert version.resident_code is not None
            assert version.resident_code.resident_code == row[INDEX["resident_code"]]
            assert version.status.value == row[INDEX["status"]]
            notes = version.notes
            assert (notes.remarks if notes else "") == row[INDEX["remarks"]]
            assert (notes.memo if notes else "") == row[INDEX["memo"]]
            assert (version.foreigner.nationality if version.foreigner else "") == row[INDEX["nationality"]]
            assert basic.alias == row[INDEX["alias"]]
    assert special > 0


async def test_each_version_keeps_its_official_reason_and_days(
    fleet: Fleet, stored: dict[str, dict[str, tuple[Record, ...]]], today: dt.date, caller: Callable[..., Caller]
) -> None:
    people = _people("072044", today)
    async with operation(fleet, caller(*RIGHTS), "event.list", purpose="確認") as op:
        events = {event.event_no: event async for event in iter_events(op)}
    for atena_no, versions in stored["072044"].items():
        for version, row in zip(versions, people[atena_no], strict=True):
            event = events[version.event_no]
            assert event.reason == row[INDEX["reason"]]
            assert event.reason in REASONS
            assert event.occurred_on.iso() == row[INDEX["occurred_on"]]
            assert event.processed_on.isoformat() == row[INDEX["processed_on"]]


@pytest.mark.parametrize("code", CODES)
async def test_each_household_that_came_in_has_one_head(
    stored: dict[str, dict[str, tuple[Record, ...]]], code: str
) -> None:
    heads: dict[str, int] = {}
    for versions in stored[code].values():
        latest = versions[-1]
        if latest.status == "resident":
            heads[latest.setai_no] = heads.get(latest.setai_no, 0) + latest.is_head
    assert heads
    assert set(heads.values()) == {1}


async def test_original_bytes_are_kept_and_sealed_row_by_row(
    fleet: Fleet,
    stored: dict[str, dict[str, tuple[Record, ...]]],
    extracts: dict[str, Path],
    caller: Callable[..., Caller],
) -> None:
    assert stored["072044"]
    lines = (extracts["072044"] / "JUMIN.DAT").read_bytes().split(b"\r\n")
    async with operation(fleet, caller(*RIGHTS), "legacy.original", purpose="確認", write=False) as op:
        rows = await op.session.fetch(
            "SELECT original_no, line, raw_sealed FROM {t}.import_original WHERE file = 'JUMIN.DAT' ORDER BY line"
        )
        assert len(rows) > RESIDENTS * 0.9
        for original_no, line, sealed in rows[::25]:
            raw = restore(op.ring.open("import_original", "raw", str(original_no), 1, sealed, bytes))
            assert raw == lines[line - 1]
            assert raw[100:140] not in sealed


async def test_the_medium_an_extract_came_on_is_on_record(
    fleet: Fleet, stored: dict[str, dict[str, tuple[Record, ...]]], caller: Callable[..., Caller]
) -> None:
    """R-1-3.2-MED-01, the part that software can keep: no import without a medium, and which one it was."""
    assert stored["072044"]
    async with operation(fleet, caller(*RIGHTS), "legacy.medium", purpose="確認", write=False) as op:
        assert await op.session.fetch_one("SELECT medium FROM {t}.import_run") == ("USB-072044-01",)


@pytest.mark.parametrize(
    "raw",
    [b"", b"a" * 300, b" " * 1000, b"\x81\x40" * 500 + b"x", b"\x01" * 400, b"a\x02" * 200, b" " * 63 + b"\x05" * 200],
)
def test_a_shortened_row_comes_back_exactly(raw: bytes) -> None:
    assert restore(shorten(raw)) == raw


def test_a_row_kept_by_an_earlier_build_comes_back_and_anything_else_is_refused() -> None:
    """Bytes under a seal outlive the program that put them there."""
    kept = b"\x02" + b"1\x01\x02" + b"2\x03\x04" + b"3"
    assert restore(kept) == b"1" + b"\x81\x40" * 24 + b"2" + b" " * 25 + b"3"
    for other in (b"", b"\x04abc", b"abc"):
        with pytest.raises(ValueError, match="kept row"):
            restore(other)


@pytest.mark.parametrize("raw", [b"a" * 300, b"12" + b" " * 205 + b"\x81\x40" * 33 + b"x", b"short"])
def test_a_kept_row_is_written_as_a_leaving_municipality_is_told(raw: bytes) -> None:
    """R-1-3.4-OUT-06: docs/standard-layout.md says how to read `raw_sealed` without this program."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "standard-layout.md").read_text(encoding="utf-8")
    told = re.search(
        r"After `03` .*?byte `(\w\w)` by (\d+) blanks, then each byte `(\w\w)` by (\d+) full-width", page, re.DOTALL
    )
    assert told is not None
    kept = shorten(raw)
    read = kept[1:]
    if kept[0] == 3:
        read = read.replace(bytes.fromhex(told[1]), b" " * int(told[2]))
        read = read.replace(bytes.fromhex(told[3]), b"\x81\x40" * int(told[4]))
    assert kept[0] in {0, 3}
    assert read == raw
