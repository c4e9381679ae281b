"""Nobody is lost, doubled or left without protection by an extract that is wrong in one place (R-1-2.6-MIG-01)."""

from __future__ import annotations

import datetime as dt
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from juki.legacy import load_layout
from juki.legacy.model import Entry, Outcome
from juki.legacy.plan import Plan
from juki.peers import generate
from juki.problem import Invalid

from .conftest import CODES
from .extracts import Rows

LATEST = {"072044": "JUMIN.DAT", "075418": "residents.csv"}
HOUSEHOLDS = {"072044": "SETAI.DAT", "075418": "households.csv"}
SUPPORT = {"072044": "SIEN.DAT", "075418": "support.csv"}
STOCK = {"072044": "KODO.DAT", "075418": "codes.csv"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, today: dt.date) -> dict[str, Path]:
    """Extracts without a fault."""
    folders: dict[str, Path] = {}
    for code in CODES:
        folders[code] = tmp_path_factory.mktemp("whole") / code
        generate(code, folders[code], residents=600, seed=8, as_of=today, faults=False)
    return folders


class Wreck:
    """A copy of an extract to spoil, and what an import makes of it."""

    def __init__(self, source: Path, folder: Path, code: str, today: dt.date) -> None:
        shutil.copytree(source, folder)
        self.folder, self.code, self._today = folder, code, today

    def rows(self, name: str) -> Rows:
        return Rows(self.folder, CODES[self.code], name)

    def judged(self) -> tuple[dict[str, int], list[Entry]]:
        """宛名番号 -> versions taken over, and every row for the work list."""
        taken: dict[str, int] = {}
        entries: list[Entry] = []
        layout = load_layout(CODES[self.code])
        with Plan(self.folder, layout, tenant=self.code, resident_code_rule="none", today=self._today) as plan:
            for number in range(plan.chunks):
                result = plan.chunk(number)
                entries += [entry for entry in result.entries if entry.outcome is not Outcome.ALERT]
                for one in result.taken:
                    if one.incoming is not None:
                        taken[one.atena_no] = taken.get(one.atena_no, 0) + 1
        return taken, entries


@pytest.fixture(params=CODES)
def wreck(request: pytest.FixtureRequest, whole: dict[str, Path], tmp_path: Path, today: dt.date) -> Wreck:
    code: str = request.param
    return Wreck(whole[code], tmp_path / code, code, today)


def _told(entries: list[Entry]) -> set[tuple[str, str, str, str]]:
    return {(e.outcome.value, e.file, e.fault.item, e.fault.reason) for e in entries}


def test_a_protected_person_whose_protection_is_torn_waits_with_the_household(wreck: Wreck) -> None:
    """R-1-2.6-MIG-01: taken over without the 支援措置, the address of a hunted person would be open to anybody."""
    support = wreck.rows(SUPPORT[wreck.code])
    hunted = support.get(0, "宛名番号")
    assert len(support.where("宛名番号", hunted)) == 1
    another = wreck.rows(LATEST[wreck.code]).get(0, "宛名番号")
    support.rows.append(support.rows[0][:])
    support.set(len(support.rows) - 1, "宛名番号", another)
    support.rows[0] = support.rows[0][:60] if wreck.code == "072044" else support.rows[0][:5]
    support.save()
    taken, entries = wreck.judged()
    assert hunted not in taken
    assert ("rejected", SUPPORT[wreck.code], "", "line.length" if wreck.code == "072044" else "line.columns") in _told(
        entries
    )
    assert ("held", LATEST[wreck.code], "", "held.person") in _told(entries)


def test_a_person_whose_newest_row_has_no_number_does_not_come_in_as_an_older_one_says(wreck: Wreck) -> None:
    rows = wreck.rows(LATEST[wreck.code])
    newest = next(n for n in range(len(rows.rows) - 1, -1, -1) if int(rows.get(n, "履歴番号")) > 1)
    person = rows.get(newest, "宛名番号")
    rows.set(newest, "履歴番号", "")
    rows.save()
    taken, entries = wreck.judged()
    assert person not in taken
    assert ("rejected", LATEST[wreck.code], "履歴番号", "item.missing") in _told(entries)
    assert "held.no_latest" in {entry.fault.reason for entry in entries}


@pytest.mark.parametrize(
    ("title", "reason"),
    [
        ("個人番号", "my_number.duplicate"),
        ("住民票コード", "resident_code.duplicate"),
        ("在留カード番号", "card.duplicate"),
    ],
)
def test_no_two_persons_come_in_with_one_number(wreck: Wreck, title: str, reason: str) -> None:
    """R-1-2.3-NUM-01: a number that two persons hold leads to the wrong one."""
    rows = wreck.rows(LATEST[wreck.code])
    by_person = {
        rows.get(n, "宛名番号"): n
        for n in range(len(rows.rows))
        if rows.get(n, title) and int(rows.get(n, "履歴番号")) == 1
    }
    one, other = list(by_person.values())[:2]
    rows.set(other, title, rows.get(one, title))
    rows.save()
    taken, entries = wreck.judged()
    both = {rows.get(one, "宛名番号"), rows.get(other, "宛名番号")}
    assert not both & set(taken)
    assert ("rejected", LATEST[wreck.code], title, reason) in _told(entries)


def test_a_free_code_that_somebody_holds_is_not_taken_into_the_stock(wreck: Wreck) -> None:
    """R-1-2.3-NUM-01: drawn for a newborn it would be the code of two persons."""
    held = wreck.rows(LATEST[wreck.code]).get(0, "住民票コード")
    stock = wreck.rows(STOCK[wreck.code])
    stock.set(0, "住民票コード", held)
    stock.save()
    _, entries = wreck.judged()
    assert _told(entries) == {("rejected", STOCK[wreck.code], "住民票コード", "resident_code.held")}


def test_a_household_of_which_nobody_was_handed_over_is_told(wreck: Wreck) -> None:
    households = wreck.rows(HOUSEHOLDS[wreck.code])
    lost = households.get(3, "世帯番号")
    rows = wreck.rows(LATEST[wreck.code])
    gone = {rows.get(n, "宛名番号") for n in rows.where("世帯番号", lost)}
    for name in (
        LATEST[wreck.code],
        SUPPORT[wreck.code],
        *(("RIREKI.DAT", "BIKO.DAT") if wreck.code == "072044" else ()),
    ):
        file = wreck.rows(name)
        file.rows = [file.rows[n] for n in range(len(file.rows)) if file.get(n, "宛名番号") not in gone]
        file.save()
    _, entries = wreck.judged()
    assert _told(entries) == {("rejected", HOUSEHOLDS[wreck.code], "世帯番号", "household.empty")}


def test_a_number_filled_with_zero_bytes_is_the_number_filled_with_blanks(wreck: Wreck) -> None:
    """Two rows of one person must not become two persons of one number: the database would turn the chunk away."""
    if wreck.code == "072044":
        households = wreck.rows(HOUSEHOLDS[wreck.code])
        short = "12345"
        old = households.get(0, "世帯番号")
        households.set(0, "世帯番号", short.ljust(10, "\0"))
        households.save()
        for name in (LATEST[wreck.code], "RIREKI.DAT"):
            rows = wreck.rows(name)
            for n in rows.where("世帯番号", old):
                rows.set(n, "世帯番号", short)
            rows.save()
    else:
        rows = wreck.rows(LATEST[wreck.code])
        newest = next(n for n in range(len(rows.rows)) if int(rows.get(n, "履歴番号")) > 1)
        rows.set(newest, "宛名番号", rows.get(newest, "宛名番号") + "\0")
        rows.save()
    _, entries = wreck.judged()
    assert entries == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda rows: rows.rows.extend([[rows.rows[0][0], "9089", ""], [rows.rows[0][0], "908A", ""]]),
        lambda rows: rows.rows[0].__setitem__(1, "E000"),
        lambda rows: rows.rows[0].__setitem__(1, "000A"),
        lambda rows: rows.rows[0].__setitem__(1, "202E"),
    ],
    ids=["two meanings", "another user character", "a line break", "a mark of direction"],
)
def test_a_table_of_own_characters_that_would_write_a_wrong_name_stops_the_import(
    wreck: Wreck, spoil: Callable[[Rows], None]
) -> None:
    """R-1-2.6-MIG-01: which of two meanings holds is not for the order of the rows to decide."""
    table = wreck.rows("GAIJI.CSV" if wreck.code == "072044" else "gaiji.csv")
    spoil(table)
    table.save()
    with pytest.raises(Invalid) as refused:
        wreck.judged()
    assert refused.value.code == "legacy.gaiji_table"
    assert ", line " in refused.value.detail


@pytest.mark.parametrize("day", ["2099-01-01", "9999-12-31"])
def test_nobody_comes_in_who_is_not_born_yet(wreck: Wreck, day: str) -> None:
    """R-1-2.6-MIG-01: a certificate would show a date of birth that the paper cannot have."""
    rows = wreck.rows(LATEST[wreck.code])
    rows.set(0, "生年月日", "")
    rows.set(0, "生年月日西暦", day.replace("-", "") if wreck.code == "072044" else day)
    rows.save()
    taken, entries = wreck.judged()
    assert rows.get(0, "宛名番号") not in taken
    assert {e.fault.reason for e in entries if e.outcome is Outcome.REJECTED} == {"date.in_future"}
    assert {e.fault.item for e in entries if e.outcome is Outcome.REJECTED} == {"生年月日"}


def test_a_file_that_says_the_same_number_of_everybody_is_judged_in_seconds(
    whole: dict[str, Path], tmp_path: Path, today: dt.date
) -> None:
    """R-1-2.6-MIG-01: every row was compared with all before it, which for a city takes days; nobody is taken, no row lost."""
    wreck = Wreck(whole["075418"], tmp_path / "075418", "075418", today)
    rows = wreck.rows("residents.csv")
    rows.rows = [list(row) for row in rows.rows * 6]
    kana, number, version = (rows.head.index(title) for title in ("氏名カナ", "宛名番号", "履歴番号"))
    for n, row in enumerate(rows.rows):
        row[number], row[version], row[kana] = "0000000000", "1", f"ア{n % 4000}"
    rows.save()
    began = time.process_time()
    taken, entries = wreck.judged()
    assert time.process_time() - began < 20
    assert taken == {}
    told = [e.fault.reason for e in entries if e.file == "residents.csv"]
    assert len(told) == len(rows.rows)
    assert set(told) <= {"version.two_contents", "row.duplicate"}


def test_the_same_character_twice_with_the_same_meaning_is_no_fault(wreck: Wreck) -> None:
    table = wreck.rows("GAIJI.CSV" if wreck.code == "072044" else "gaiji.csv")
    table.rows.append(list(table.rows[0]))
    table.save()
    assert wreck.judged()[1] == []


def test_a_column_that_stands_there_twice_is_not_chosen_from(
    whole: dict[str, Path], tmp_path: Path, today: dt.date
) -> None:
    """R-1-2.6-MIG-01: of two columns 氏名 nobody but the sender knows which is the name."""
    spoilt = Wreck(whole["075418"], tmp_path / "075418", "075418", today)
    rows = spoilt.rows("residents.csv")
    rows.head.append("氏名")
    for row in rows.rows:
        row.append("別の　氏名")
    rows.save()
    with pytest.raises(Invalid) as refused:
        spoilt.judged()
    assert refused.value.code == "legacy.column_twice"
    assert "氏名" in refused.value.detail
