"""docs/standard-layout.md against the code: what a municipality is told it will get is what is written (R-1-3.4-OUT-06)."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from juki.access import roster
from juki.legacy import standard
from juki.legacy.flat import Flat
from juki.legacy.standard import SEALED_OF, TABLES
from juki.offboarding import container
from juki.registry.model import ITEMS, MEASURE_ITEMS
from juki.tenancy import Fleet
from juki.vault import box

PAGE = Path(__file__).resolve().parents[2] / "docs" / "standard-layout.md"
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE))


def rows(section: str) -> list[list[str]]:
    """Cells of every table of a section, without headers."""
    lines = [line for line in SECTIONS[section].splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    heads = {at - 1 for at, line in enumerate(lines) if line.startswith("|---")}
    return [row for at, row in enumerate(cells) if at not in heads and not row[0].startswith("---")]


def names(text: str) -> list[str]:
    """Everything in backquotes."""
    return re.findall(r"`([^`]+)`", text)


def columns(section: str) -> list[str]:
    """Columns of a file as the page tells them: a date is three."""
    found: list[str] = []
    for row in rows(section):
        (name,) = names(row[0])
        found += [name, f"{name}.era", f"{name}.note"] if row[-2] == "date" else [name]
    return found


@pytest.mark.parametrize(
    ("file", "flat"),
    [
        (standard.RESIDENTS_FILE, standard.RESIDENTS),
        (standard.EVENTS_FILE, standard.EVENTS),
        (standard.MEASURES_FILE, standard.MEASURES),
    ],
)
def test_every_column_of_the_files_cut_into_items_is_told_in_its_order(file: str, flat: Flat) -> None:
    """R-1-3.4-OUT-06."""
    assert columns(file) == flat.columns()


@pytest.mark.parametrize(
    ("file", "items", "prefix"),
    [(standard.RESIDENTS_FILE, ITEMS, ""), (standard.MEASURES_FILE, MEASURE_ITEMS, "content.")],
)
def test_every_column_bears_the_numbers_of_its_recorded_items(
    file: str, items: dict[int, tuple[str, ...]], prefix: str
) -> None:
    """R-1-2.6-MIG-01: a receiver finds each of the 82 items, and of the 29, by its number."""
    told = {names(row[0])[0]: {int(n) for n in re.findall(r"\d+", row[1])} for row in rows(file)}
    for column, numbers in told.items():
        own = column.removeprefix(prefix)
        homes = {n for n, paths in items.items() for path in paths if own == path or own.startswith(f"{path}.")}
        assert numbers == homes, column
    elsewhere = {n for n, paths in items.items() if all(path.startswith("table:") for path in paths)}
    assert set().union(*told.values()) == set(items) - elsewhere


def test_the_households_file_is_told() -> None:
    """R-1-3.4-OUT-06."""
    assert columns(standard.HOUSEHOLDS_FILE) == list(standard.HOUSEHOLD_COLUMNS)


def test_every_file_is_told_with_its_key() -> None:
    """R-1-3.4-OUT-06: a new table cannot go out without a word."""
    told = {names(row[0])[0]: tuple(names(row[2])) for row in rows("Files")}
    keys = {f"{table}.csv": key for table, key in TABLES.items()}
    assert {file: told[file] for file in keys} == keys
    cut = {standard.RESIDENTS_FILE, standard.HOUSEHOLDS_FILE, standard.EVENTS_FILE, standard.MEASURES_FILE}
    assert set(told) == cut | set(keys) | {standard.MANIFEST}


async def test_every_column_of_the_tables_is_told_in_its_order_and_what_is_handed_over_opened(fleet: Fleet) -> None:
    """R-1-3.4-OUT-06: columns as the database has them."""
    told = {names(row[0])[0].removesuffix(".csv"): row for row in rows("The tables carried row by row")}
    assert set(told) == set(TABLES)
    async with fleet.session("072044", write=False) as session:
        for table, row in told.items():
            found = await session.fetch(
                "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%(table)s) AND attnum > 0 "
                "AND NOT attisdropped ORDER BY attnum",
                {"table": f"{session.tenant.schema}.{table}"},
            )
            assert names(row[1]) == [name for (name,) in found], table
            assert names(row[2]) == [column for of, column in SEALED_OF if of == table], table


@pytest.mark.parametrize(
    ("section", "manifest", "entry"),
    [
        ("manifest.json of the layout", standard.Manifest, standard.ManifestFile),
        ("The sealed folder", container.Manifest, container.BoxedFile),
    ],
)
def test_every_field_of_the_manifests_is_told(
    section: str, manifest: type[msgspec.Struct], entry: type[msgspec.Struct]
) -> None:
    """R-1-3.4-OUT-06."""
    fields = [row for row in rows(section) if re.fullmatch(r"`\w+`", row[0])]
    told = [names(row[0])[0] for row in fields]
    assert told == list(manifest.__struct_fields__)
    (files,) = (row for row in fields if row[0] == "`files`")
    assert names(files[1])[: len(entry.__struct_fields__)] == list(entry.__struct_fields__)


def test_every_field_of_the_staff_list_is_told() -> None:
    """R-A-3.3-LOG-01: the log handed over is read with the list of whose ids are in it."""
    entries = (roster.StaffEntry, roster.MachineEntry, roster.TerminalEntry)
    told = [(names(row[0])[0], names(row[1])[0]) for row in rows("staff.jsonl")]
    assert told == [(entry.__struct_config__.tag, name) for entry in entries for name in entry.__struct_fields__]
    inner = {names(row[1])[0]: names(row[2]) for row in rows("staff.jsonl") if names(row[1])[0] in ("duties", "steps")}
    assert tuple(inner["duties"][: len(roster.DutyHeld.__struct_fields__)]) == roster.DutyHeld.__struct_fields__
    assert tuple(inner["steps"]) == roster.AccountStep.__struct_fields__


@pytest.mark.parametrize("size", [0, 1, box.CHUNK_BYTES, 2 * box.CHUNK_BYTES + 7])
def test_the_program_on_the_page_opens_a_box_without_juki(size: int, tmp_path: Path) -> None:
    """R-1-3.3-MED-01: the municipality needs nothing of the platform to read what it was handed."""
    (program,) = re.findall(r"```python\n(.*?)```", SECTIONS["The sealed folder"], re.DOTALL)
    private, public = box.new_key_pair()
    plain = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    sealed = io.BytesIO()
    box.encrypt_to(public, io.BytesIO(plain), sealed)
    (tmp_path / "key.pem").write_bytes(private)
    (tmp_path / "file.box").write_bytes(sealed.getvalue())
    where = [str(tmp_path / name) for name in ("key.pem", "file.box", "file")]
    subprocess.run([sys.executable, "-I", "-c", program, *where], check=True)
    assert (tmp_path / "file").read_bytes() == plain
