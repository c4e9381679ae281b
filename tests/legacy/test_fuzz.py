"""Any bytes at all: an import never crashes on a file and every row it finds is accounted for (Input has limits)."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from juki.legacy import load_layout
from juki.legacy.model import Counts, Outcome
from juki.legacy.plan import Plan
from juki.problem import Invalid, Misconfigured

from .conftest import CODES

SMALL = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
FILES = {"072044": ("JUMIN.DAT", "RIREKI.DAT", "SETAI.DAT", "BIKO.DAT", "SIEN.DAT", "KODO.DAT"), "075418": (
    "residents.csv", "households.csv", "support.csv", "codes.csv")}  # fmt: skip


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory, today: dt.date) -> dict[str, Path]:
    """Very small extracts, so that one changed byte hits something."""
    from juki.peers import generate

    folders: dict[str, Path] = {}
    for code in CODES:
        folders[code] = tmp_path_factory.mktemp("few") / code
        generate(code, folders[code], residents=12, seed=3, as_of=today, faults=False)
    return folders


def _judge(folder: Path, code: str, today: dt.date) -> Counts | None:
    """Counts over all chunks; None where the whole extract is refused with a clear message."""
    counts = Counts()
    try:
        plan = Plan(folder, load_layout(CODES[code]), tenant=code, resident_code_rule="none", today=today)
    except Invalid as refused:
        if not refused.code.startswith("legacy."):
            raise
        return None
    with plan:
        listed: Counter[str] = Counter()
        for number in range(plan.chunks):
            result = plan.chunk(number)
            counts.add(result.counts)
            listed.update(entry.outcome.value for entry in result.entries)
        assert counts.rows == {k: v for k, v in plan.survey.rows_of_file.items() if v}
        for file, rows in counts.rows.items():
            parts = (counts.taken, counts.used, counts.rejected, counts.held)
            assert rows == sum(part.get(file, 0) for part in parts)
        assert listed[Outcome.REJECTED.value] == sum(counts.rejected.values())
        assert listed[Outcome.HELD.value] == sum(counts.held.values())
    return counts


@pytest.mark.parametrize("code", CODES)
@SMALL
@given(data=st.data())
def test_changed_bytes_never_crash_and_no_row_is_lost(
    few: dict[str, Path], tmp_path: Path, today: dt.date, code: str, data: st.DataObject
) -> None:
    folder = tmp_path / code
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(few[code], folder)
    name = data.draw(st.sampled_from(FILES[code]))
    raw = bytearray((folder / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, max(0, len(raw) - 1)))
        kind = data.draw(st.sampled_from(["set", "drop", "add", "cut", "repeat"]))
        if kind == "set" and raw:
            raw[at] = data.draw(st.integers(0, 255))
        elif kind == "drop":
            del raw[at : at + data.draw(st.integers(1, 60))]
        elif kind == "add":
            raw[at:at] = data.draw(
                st.sampled_from([b'"', b",", b"\n", b"\r\n", b"\x00", b"\xff\xfe", b"\x81", b"\xe2\x80\xae"])
            )
        elif kind == "cut":
            del raw[at:]
        else:
            raw[at:at] = raw[max(0, at - 300) : at]
    (folder / name).write_bytes(bytes(raw))
    _judge(folder, code, today)


@pytest.mark.parametrize("code", CODES)
@SMALL
@given(garbage=st.binary(max_size=3000))
def test_garbage_instead_of_a_file_is_refused_or_listed(
    few: dict[str, Path], tmp_path: Path, today: dt.date, code: str, garbage: bytes
) -> None:
    folder = tmp_path / code
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(few[code], folder)
    (folder / FILES[code][0]).write_bytes(garbage)
    counts = _judge(folder, code, today)
    assert counts is None or counts.residents == 0


@SMALL
@given(cells=st.lists(st.text(max_size=30), min_size=108, max_size=108))
def test_any_text_in_any_column_is_judged_not_crashed_on(
    few: dict[str, Path], tmp_path: Path, today: dt.date, cells: list[str]
) -> None:
    import csv
    import io

    folder = tmp_path / "075418"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(few["075418"], folder)
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    with (folder / "residents.csv").open("ab") as file:
        file.write(line.getvalue().encode("utf-8", "surrogatepass"))
    _judge(folder, "075418", today)


@pytest.mark.parametrize("code", CODES)
def test_the_untouched_extract_comes_in_whole(few: dict[str, Path], today: dt.date, code: str) -> None:
    counts = _judge(few[code], code, today)
    assert counts is not None
    assert counts.rejected == {}
    assert counts.held == {}
    assert counts.residents == 12


def test_a_field_may_quote_line_breaks_and_is_one_row(few: dict[str, Path], tmp_path: Path, today: dt.date) -> None:
    folder = tmp_path / "075418"
    shutil.copytree(few["075418"], folder)
    path = folder / "residents.csv"
    lines = path.read_bytes().split(b"\r\n")
    lines[1] = lines[1].rsplit(b",", 1)[0] + ',"一行目\r\n二行目"'.encode()
    path.write_bytes(b"\r\n".join(lines))
    counts = _judge(folder, "075418", today)
    assert counts is not None
    assert counts.rejected == {}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda f: (f / "extract.json").unlink(), "legacy.slip_missing"),
        (lambda f: (f / "extract.json").write_text("{"), "legacy.slip_unreadable"),
        (lambda f: (f / "JUMIN.DAT").unlink(), "legacy.file_missing"),
        (lambda f: (f / "GAIJI.CSV").write_bytes(b""), "legacy.empty_file"),
        (
            lambda f: (f / "JUMIN.DAT").write_bytes((f / "JUMIN.DAT").read_bytes().decode("cp932").encode()),
            "legacy.not_this_layout",
        ),
    ],
)
def test_an_extract_that_is_not_whole_gets_one_clear_message(
    few: dict[str, Path], tmp_path: Path, today: dt.date, change: object, code: str
) -> None:
    folder = tmp_path / "072044"
    shutil.copytree(few["072044"], folder)
    change(folder)  # type: ignore[operator]
    with pytest.raises(Invalid) as refused:
        Plan(folder, load_layout("cp932-fixed"), tenant="072044", resident_code_rule="none", today=today)
    assert refused.value.code == code


def test_another_municipality_in_the_slip_is_refused(few: dict[str, Path], tmp_path: Path, today: dt.date) -> None:
    folder = tmp_path / "072044"
    shutil.copytree(few["072044"], folder)
    slip = json.loads((folder / "extract.json").read_text())
    (folder / "extract.json").write_text(json.dumps(slip | {"municipality": "131016"}))
    with pytest.raises(Invalid) as refused:
        Plan(folder, load_layout("cp932-fixed"), tenant="072044", resident_code_rule="none", today=today)
    assert refused.value.code == "legacy.other_municipality"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('to = "basic.sex"', 'to = "basic.gender"'),
        ('to = "basic.birth", type = "date"', 'to = "basic.birth", type = "text"'),
        ("at = 1, width = 10", "at = 9000, width = 10"),
        ('codes = "sex"', 'codes = "nowhere"'),
        ('form = "fixed"', 'form = "tape"'),
        ('kind = "household"', 'kind = "homes"'),
        ("[codes.sex]", "[codes.sex"),
    ],
)
def test_a_layout_that_makes_no_sense_stops_before_the_first_row(tmp_path: Path, old: str, new: str) -> None:
    from importlib.resources import files

    text = (files("juki.legacy") / "layouts" / "cp932-fixed.toml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "own.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(Misconfigured) as refused:
        load_layout(str(path))
    assert refused.value.code.startswith("legacy.layout_")


def test_a_layout_nobody_has_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as refused:
        load_layout("ebcdic-tape")
    assert "cp932-fixed" in refused.value.remedy
    with pytest.raises(Misconfigured):
        load_layout(str(tmp_path / "none.toml"))


@pytest.mark.parametrize(("code", "file", "title", "odd"), [
    *(("075418", file, title, odd) for odd in ("①", "²", "9" * 5000)
      for file, title in (("households.csv", "世帯員数"), ("residents.csv", "履歴番号"))),
    ("072044", "SETAI.DAT", "世帯員数", "ｲ"),
])  # fmt: skip
def test_a_count_that_is_no_number_turns_one_row_away_and_not_the_extract(
    few: dict[str, Path], tmp_path: Path, today: dt.date, code: str, file: str, title: str, odd: str
) -> None:
    """Input has limits: what Python calls a digit (①, ²) and what is too long for a number are rows for the work list."""
    folder = tmp_path / code
    shutil.copytree(few[code], folder)
    layout = load_layout(CODES[code])
    spec = next(f for f in layout.file if file in f.names)
    path = folder / file
    if layout.form == "fixed":
        field = next(f for f in spec.fields if f.title == title)
        raw = bytearray(path.read_bytes())
        raw[field.at - 1 : field.at - 1 + field.width] = odd.encode("cp932", "replace")[: field.width].ljust(
            field.width
        )
        path.write_bytes(bytes(raw))
    else:
        head, first, *rest = path.read_text(encoding="utf-8-sig").splitlines(keepends=True)
        at = head.strip().split(",").index(title)
        cells = first.rstrip("\r\n").split(",")
        cells[at] = odd
        path.write_text(head + ",".join(cells) + "\r\n" + "".join(rest), encoding="utf-8", newline="")
    counts = _judge(folder, code, today)
    assert counts is not None
    assert counts.rejected.get(file, 0) >= 1
