"""GLOSSARY.md: what it names exists, and one concept has one word."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from pathlib import Path

import pytest

from juki.access.model import RIGHTS

GLOSSARY = Path(__file__).resolve().parents[2] / "GLOSSARY.md"
_ROW = re.compile(r"^\| (?P<term>[^|]+) \| (?P<reading>[^|]+) \| `(?P<identifier>[^`]+)` \|(?P<rest>.*)\|$")


def _rows() -> list[dict[str, str]]:
    lines = GLOSSARY.read_text(encoding="utf-8").splitlines()
    found = [match.groupdict() for line in lines if (match := _ROW.match(line))]
    tables = [line for line in lines if line.startswith("| ") and not line.startswith("| Japanese")]
    assert len(found) == len(tables), "a row is not of the form term, reading, `identifier`, meaning, source"
    return found


@pytest.mark.parametrize("identifier", sorted({row["identifier"] for row in _rows()}))
def test_every_identifier_of_the_glossary_exists(identifier: str) -> None:
    """A word that left the code must leave the glossary."""
    parts = ["juki", *identifier.split(".")]
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for name in parts[cut:]:
            found = getattr(found, name)
        return
    raise AssertionError(f"{identifier} is nowhere")


def test_no_term_stands_twice_and_every_row_is_filled() -> None:
    """One concept, one word."""
    rows = _rows()
    assert [term for term, count in Counter(row["term"] for row in rows).items() if count > 1] == []
    assert all(cell.strip() for row in rows for cell in (row["reading"], *row["rest"].split("|")))


def test_the_rights_it_mentions_are_rights() -> None:
    """`right x.y` names a right of the duty table."""
    named = re.findall(r"`right ([a-z_.]+)`", GLOSSARY.read_text(encoding="utf-8"))
    assert named
    assert set(named) <= RIGHTS
