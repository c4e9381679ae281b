"""The Japanese sentence for each problem code, gathered from the `messages.toml` of every room."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

import juki

_ROOT: Final = Path(next(iter(juki.__path__)))


@cache
def texts() -> Mapping[str, str]:
    """Code -> 何が起きたか。次に何をするか. Where several rooms speak, the room that the code is named after has the word."""
    ours = _ROOT / "web" / "messages.toml"
    found = dict(_read(ours))
    named: dict[str, str] = {}
    for file in sorted(set(_ROOT.glob("**/messages.toml")) - {ours}):
        for code, text in _read(file):
            own = named if code.partition(".")[0] == file.parent.name else found
            own[code] = text
    return found | named


def _read(file: Path) -> Iterator[tuple[str, str]]:
    return _flat("", tomllib.loads(file.read_text(encoding="utf-8")))


def text_of(code: str, status: int = 500, facts: Mapping[str, str | int] | None = None) -> str:
    """The sentence for a code; a code without one gets the sentence of its status. `{name}` in it stands for a fact."""
    known = texts()
    text = known.get(code) or known.get(f"status.{status}") or known["status.500"]
    for name, value in (facts or {}).items():
        text = text.replace(f"{{{name}}}", str(value))
    return text


def _flat(head: str, table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        name = f"{head}.{key}" if head else key
        if isinstance(value, Mapping):
            yield from _flat(name, cast("Mapping[str, Any]", value))
        else:
            yield name, str(value)
