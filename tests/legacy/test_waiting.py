"""Whoever waits on the work list keeps the numbers, is found together, and comes in with the sender's corrected rows."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.legacy.extracts import Rows, count_again
from tests.legacy.media import imported

from juki import legacy
from juki.access.model import Caller
from juki.audit import operation
from juki.legacy import load_layout
from juki.peers import generate
from juki.problem import Conflict
from juki.registry import store
from juki.tenancy import Fleet, bulk

from .conftest import CODES

HOUSEHOLDS = {"072044": "SETAI.DAT", "075418": "households.csv"}
OF_PERSONS = {
    "072044": ("JUMIN.DAT", "RIREKI.DAT", "SIEN.DAT", "BIKO.DAT"),
    "075418": ("residents.csv", "support.csv"),
}
LATEST = {"072044": "JUMIN.DAT", "075418": "residents.csv"}
STOCK = {"072044": "KODO.DAT", "075418": "codes.csv"}


@pytest.fixture(params=CODES)
def code(request: pytest.FixtureRequest) -> str:
    """Both municipalities, each with its layout."""
    return str(request.param)


def _spoilt(folder: Path, code: str) -> tuple[set[str], str]:
    """One of a household of three is without a name: the 宛名番号 of all who then wait, and their 世帯番号."""
    rows = Rows(folder, CODES[code], LATEST[code])
    homes = Rows(folder, CODES[code], HOUSEHOLDS[code])
    home = next(homes.get(n, "世帯番号") for n in range(len(homes.rows)) if int(homes.get(n, "世帯員数")) == 3)
    words = load_layout(CODES[code]).codes["status"]
    living = [n for n in rows.where("世帯番号", home) if words[rows.get(n, "住民状態")] == "resident"]
    waiting = {rows.get(n, "宛名番号") for n in living}
    assert len(waiting) == 3
    rows.set(living[0], "氏名", "")
    rows.save()
    return waiting, home


def _supplement(clean: Path, folder: Path, code: str, persons: set[str], home: str) -> None:
    """What the sender hands over afterwards: the same files with the rows of these persons only, put right."""
    folder.mkdir()
    for file in clean.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    for name in OF_PERSONS[code]:
        rows = Rows(folder, CODES[code], name)
        rows.rows = [rows.rows[n] for n in range(len(rows.rows)) if rows.get(n, "宛名番号") in persons]
        rows.save()
    homes = Rows(folder, CODES[code], HOUSEHOLDS[code])
    homes.rows = [homes.rows[n] for n in homes.where("世帯番号", home)]
    homes.save()
    stock = Rows(folder, CODES[code], STOCK[code])
    stock.rows = []
    stock.save()
    count_again(folder)


async def test_whoever_waits_keeps_the_numbers_and_comes_in_with_corrected_rows(
    fleet: Fleet, caller: Callable[..., Caller], tmp_path: Path, today: dt.date, code: str
) -> None:
    """R-1-2.6-MIG-01, R-1-2.3-NUM-01: a newcomer with the 宛名番号 of somebody who waits would be that person to every other
    system of the municipality."""
    clean, folder = tmp_path / "clean", tmp_path / "extract"
    for out in (clean, folder):
        generate(code, out, residents=120, seed=5, as_of=today, faults=False)
    waiting, home = _spoilt(folder, code)
    count_again(folder)
    who = caller("import.run", "import.review", tenant=code)
    first = await imported(fleet, who, folder)
    assert first.balanced
    async with operation(fleet, who, "legacy.worklist", purpose="確認", right="import.review") as op:
        listed = [item for item in await legacy.worklist(op, limit=500) if item.outcome != "alert"]
        opened = [(await legacy.open_row(op, item.entry_no)).item for item in listed]
        assert {item.atena_no for item in opened} == waiting
        assert {item.setai_no for item in opened} == {home}
        assert await store.known_atena_nos(op.session, sorted(waiting)) == waiting
        assert await store.known_setai_nos(op.session, [home]) == {home}
        assert not any(item.arrived for item in listed)
    _supplement(clean, tmp_path / "supplement", code, waiting, home)
    second = await imported(fleet, who, tmp_path / "supplement")
    assert second.balanced
    assert second.run_no != first.run_no
    assert second.counts.residents == len(waiting)
    with bulk(fleet, code) as connection:
        held = connection.execute(f"SELECT DISTINCT atena_no FROM t{code}.resident_version".encode()).fetchall()
    assert waiting <= {row[0] for row in held}
    slip = json.loads((clean / "extract.json").read_text(encoding="utf-8"))
    assert len(held) == slip["residents"]
    async with operation(fleet, who, "legacy.worklist", purpose="確認", write=False) as op:
        assert all(item.arrived for item in await legacy.worklist(op, limit=500) if item.outcome != "alert")


def _stock_again(clean: Path, folder: Path, rows: Rows) -> str:
    (folder / "codes.csv").write_bytes((clean / "codes.csv").read_bytes())
    return "legacy.held_already"


def _number_of_somebody_here(clean: Path, folder: Path, rows: Rows) -> str:
    known = Rows(clean, CODES["075418"], "residents.csv")
    ours = {rows.get(n, "個人番号") for n in range(len(rows.rows))}
    theirs = next(n for n in range(len(known.rows)) if known.get(n, "個人番号") not in ours | {""})
    person = rows.get(0, "宛名番号")
    for n in rows.where("宛名番号", person):
        rows.set(n, "個人番号", known.get(theirs, "個人番号"))
    rows.save()
    return "legacy.held_already"


def _code_that_lies_in_the_stock(clean: Path, folder: Path, rows: Rows) -> str:
    free = Rows(clean, CODES["075418"], "codes.csv").get(0, "住民票コード")
    for n in rows.where("宛名番号", rows.get(0, "宛名番号")):
        rows.set(n, "住民票コード", free)
    rows.save()
    return "legacy.held_already"


def _household_of_others(clean: Path, folder: Path, rows: Rows) -> str:
    homes = Rows(folder, CODES["075418"], "households.csv")
    old = homes.get(0, "世帯番号")
    every = Rows(clean, CODES["075418"], "households.csv")
    other = next(home for n in range(len(every.rows)) if (home := every.get(n, "世帯番号")) != old)
    for n in rows.where("世帯番号", old):
        rows.set(n, "世帯番号", other)
    rows.save()
    homes.set(0, "世帯番号", other)
    homes.save()
    return "legacy.held_already"


def _somebody_here(clean: Path, folder: Path, rows: Rows) -> str:
    known = Rows(clean, CODES["075418"], "residents.csv")
    ours = {rows.get(n, "宛名番号") for n in range(len(rows.rows))}
    rows.rows.append(next(row for n, row in enumerate(known.rows) if known.get(n, "宛名番号") not in ours))
    rows.save()
    return "legacy.already_there"


async def test_a_second_extract_brings_nothing_that_somebody_here_holds(
    fresh_fleet: Fleet, caller: Callable[..., Caller], tmp_path: Path, today: dt.date
) -> None:
    """R-1-2.3-NUM-01, R-1-2.6-MIG-01: free codes handed over twice would become the 住民票コード of two newborns; a number or a
    household of somebody else would be two persons in one. Nothing is written, not even what is right."""
    code = "075418"
    clean, folder = tmp_path / "clean", tmp_path / "extract"
    for out in (clean, folder):
        generate(code, out, residents=120, seed=5, as_of=today, faults=False)
    waiting, home = _spoilt(folder, code)
    count_again(folder)
    who = caller("import.run", "import.review", tenant=code)
    await imported(fresh_fleet, who, folder)
    wrong = (
        _stock_again,
        _number_of_somebody_here,
        _code_that_lies_in_the_stock,
        _household_of_others,
        _somebody_here,
    )
    for spoil in wrong:
        second = tmp_path / spoil.__name__
        _supplement(clean, second, code, waiting, home)
        expected = spoil(clean, second, Rows(second, CODES[code], "residents.csv"))
        count_again(second)
        with pytest.raises(Conflict) as refused:
            await imported(fresh_fleet, who, second)
        assert refused.value.code == expected, spoil.__name__
        assert ".csv, line " in refused.value.detail
        with bulk(fresh_fleet, code) as connection:
            assert connection.execute("SELECT count(*) FROM t075418.import_run").fetchone() == (1,)
