"""模擬の現行システム: the same seed gives the same files, the people could live there, the planted faults are where they say."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from pathlib import Path

import pytest

from juki.numbers import is_my_number, is_resident_code
from juki.peers import generate
from juki.peers.columns import INDEX, RESIDENT
from juki.peers.forms import FIXED_RESIDENT, CsvForm, FixedForm
from juki.peers.incumbent import unidentified
from juki.peers.people import Settlement
from juki.peers.places import towns_of
from juki.problem import Invalid

DAY = dt.date(2026, 4, 1)


def _digests(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


def test_one_seed_gives_one_extract(tmp_path: Path) -> None:
    for name in ("a", "b"):
        generate("072044", tmp_path / name, residents=120, seed=4, as_of=DAY)
    generate("072044", tmp_path / "c", residents=120, seed=5, as_of=DAY)
    assert _digests(tmp_path / "a") == _digests(tmp_path / "b")
    assert _digests(tmp_path / "a") != _digests(tmp_path / "c")


@pytest.mark.parametrize("code", ["072044", "075418"])
def test_the_slip_counts_what_is_in_the_files(tmp_path: Path, code: str) -> None:
    slip = generate(code, tmp_path, residents=2000, seed=1, as_of=DAY)
    assert slip.residents == sum(slip.statuses.values()) >= 2000
    for file in slip.files:
        raw = (tmp_path / file.name).read_bytes()
        assert (len(raw), hashlib.sha256(raw).hexdigest()) == (file.bytes, file.sha256)
    truth = json.loads((tmp_path / "faults.json").read_text())
    assert truth["not_planted"] == []
    assert len({f["reason"] for f in truth["faults"]}) >= 15


def test_people_are_plausible_and_their_numbers_are_marked_as_made_up() -> None:
    people = Settlement("072044", seed=2, as_of=DAY)
    numbers: set[str] = set()
    towns = {town.text() for town in towns_of("072044")}
    seen = dict.fromkeys(("foreign", "alias", "former_surname", "support", "removed", "unknown birth", "moved"), 0)
    for household in people.households(6000):
        heads = [row for row in household.current if row[INDEX["is_head"]] == "1"]
        assert len(heads) == bool(household.current)
        seen["support"] += len(household.support)
        for versions in household.persons:
            assert [row[INDEX["version_no"]] for row in versions] == [str(n + 1) for n in range(len(versions))]
            latest = versions[-1]
            number = latest[INDEX["my_number"]]
            assert number.startswith("99")
            assert is_my_number(number)
            assert is_resident_code(latest[INDEX["resident_code"]], rule="mod11-w2to7")
            assert number not in numbers
            numbers.add(number)
            assert any(latest[INDEX["address"]].startswith(town) for town in towns)
            processed = [row[INDEX["processed_on"]] for row in versions]
            assert processed == sorted(processed)
            assert processed[-1] <= DAY.isoformat()
            seen["foreign"] += latest[INDEX["kind"]] == "foreign"
            seen["alias"] += bool(latest[INDEX["alias"]])
            seen["former_surname"] += bool(latest[INDEX["former_surname"]])
            seen["removed"] += latest[INDEX["status"]] != "resident"
            seen["unknown birth"] += latest[INDEX["birth"]].endswith("00")
            seen["moved"] += any(row[INDEX["reason"]] == "relocate" for row in versions)
    assert all(seen.values()), seen


def test_the_two_municipalities_share_no_number() -> None:
    sets = []
    for code in ("072044", "075418"):
        people = Settlement(code, seed=1, as_of=DAY)
        sets.append({v[-1][INDEX["my_number"]] for h in people.households(3000) for v in h.persons})
    assert not sets[0] & sets[1]


def test_both_forms_carry_the_characters_that_jis_lacks(tmp_path: Path) -> None:
    """外字 in the user area with its table; variation sequences in UTF-8."""
    generate("072044", tmp_path / "fixed", residents=4000, seed=1, as_of=DAY)
    names = (tmp_path / "fixed" / FixedForm.files["latest"]).read_bytes().decode("cp932", "replace")
    assert any("\ue000" <= c <= "\ue007" for c in names)
    assert "\ue0f0" in names
    generate("075418", tmp_path / "csv", residents=4000, seed=1, as_of=DAY)
    text = (tmp_path / "csv" / CsvForm.files["latest"]).read_bytes().decode("utf-8", "replace")
    assert "\U000e0100" in text or "\U000e0104" in text
    assert "𠮷" in text


def test_every_fixed_row_has_the_width_of_its_columns() -> None:
    form = FixedForm()
    row = next(Settlement("072044", seed=1, as_of=DAY).households(1)).persons[0][0]
    assert len(form.resident(row)) == sum(c.width for c in FIXED_RESIDENT) + 2
    assert len(row) == len(RESIDENT)


@pytest.mark.parametrize(("residents", "layout"), [(0, ""), (10, "tape")])
def test_arguments_that_make_no_sense_are_refused(tmp_path: Path, residents: int, layout: str) -> None:
    with pytest.raises(Invalid):
        generate("072044", tmp_path, residents=residents, layout=layout, as_of=DAY)


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(Invalid):
        generate("072044", tmp_path, residents=10, as_of=DAY)
    assert (tmp_path / "letter.txt").read_text() == "mine"


def test_a_character_that_nobody_identified_takes_its_variation_selector_along() -> None:
    """A selector left behind would stand in no character set: 葛 with a selector may come first in a name."""
    assert unidentified("葛\U000e0102西　秀樹", "\ue0f0") == "\ue0f0西　秀樹"
    assert unidentified("渡邉\U000e0104　空", "\ue0f0") == "\ue0f0邉\U000e0104　空"


def test_an_extract_is_dated_by_the_day_in_japan(tmp_path: Path) -> None:
    """An hour after midnight in Japan a machine elsewhere still has yesterday; the office has today."""
    night = dt.datetime(2026, 4, 1, 16, 30, tzinfo=dt.UTC)
    slip = generate("075418", tmp_path, residents=20, seed=1, clock=lambda: night)
    assert slip.as_of == "2026-04-02"
