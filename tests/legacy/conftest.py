"""Extracts of both incumbents, generated once per session."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from juki.dates import today_in_japan
from juki.peers import generate
from juki.tenancy import system_clock

RESIDENTS = 700
CODES = {"072044": "cp932-fixed", "075418": "utf8-csv"}


@pytest.fixture(scope="session")
def today() -> dt.date:
    """The office's day, on which the extracts are made."""
    return today_in_japan(system_clock())


@pytest.fixture(scope="session")
def extracts(tmp_path_factory: pytest.TempPathFactory, today: dt.date) -> dict[str, Path]:
    """Municipality -> folder of its extract."""
    folders: dict[str, Path] = {}
    for code in CODES:
        folders[code] = tmp_path_factory.mktemp("extract") / code
        generate(code, folders[code], residents=RESIDENTS, seed=11, as_of=today)
    return folders


def truth(folder: Path) -> set[tuple[str, int, str, str]]:
    """(file, line, item, reason) of every planted fault."""
    faults = json.loads((folder / "faults.json").read_text())["faults"]
    return {(f["file"], f["line"], f["item"], f["reason"]) for f in faults}
