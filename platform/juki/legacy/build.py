"""列から値へ: the columns of one part of a row made into structs together, with what makes a row fall out of that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from typing import Any, get_type_hints

import msgspec

from juki.dates import RegistryDate
from juki.legacy.columns import FAULTY, spread_out

Build = Callable[[Sequence[Sequence[Any]]], list[Any]]
"""What makes the columns of a part into one value a row."""


class Group:
    """How the columns of one part become structs (array-like ones): attributes straight from a column, and the structs inside
    it. `paths` are the items of the columns, `own` those columns that fill it."""

    def __init__(self, prefix: str, struct: type[msgspec.Struct], paths: Sequence[str]) -> None:
        self._list: Any = list[struct]
        self._fields: list[Callable[[Sequence[Sequence[Any]], int], Iterable[Any]]] = []
        self.own: list[int] = []
        hints = get_type_hints(struct)
        last = 0
        for field in msgspec.structs.fields(struct):
            path = f"{prefix}{field.name}"
            ats = [at for at, given in enumerate(paths) if given == path]
            inner = any(given.startswith(f"{path}.") for given in paths) and hints[field.name] is not RegistryDate
            default = None if field.default is msgspec.NODEFAULT else field.default
            if inner:
                group = Group(f"{path}.", hints[field.name], paths)
                self.own += group.own
                self._fields.append(_from_group(group, default))
            else:
                self.own += ats
                self._fields.append(from_columns(ats, default))
            if ats or inner:
                last = len(self._fields)
        del self._fields[last:]  # what no column fills keeps its default

    def build(self, columns: Sequence[Sequence[Any]]) -> list[Any]:
        """A struct a row, None where every column of it is blank; of two columns for one item the last filled one counts."""
        if not self.own:
            return [None] * (len(columns[0]) if columns else 1)
        rows = list(zip(*[columns[at] for at in self.own], strict=True))
        blank = (None,) * len(self.own)
        filled = [row != blank for row in rows]
        wanted = sum(filled)
        if not wanted:
            return [None] * len(rows)
        if wanted < len(rows):
            columns = [list(compress(column, filled)) for column in columns]
        given = zip(*[field(columns, wanted) for field in self._fields], strict=True)
        return spread_out(msgspec.convert(list(given), self._list), filled, None)


def from_columns(ats: Sequence[int], default: Any) -> Callable[[Sequence[Sequence[Any]], int], Iterable[Any]]:
    """What takes one item from the columns at `ats`, the default where all of them are blank."""

    def values(columns: Sequence[Sequence[Any]], rows: int) -> Iterable[Any]:
        if not ats:
            return [default] * rows
        found = columns[ats[0]]
        for at in ats[1:]:
            found = [before if value is None else value for before, value in zip(found, columns[at], strict=True)]
        return found if default is None else [default if value is None else value for value in found]

    return values


def _from_group(group: Group, default: Any) -> Callable[[Sequence[Sequence[Any]], int], Iterable[Any]]:
    return lambda columns, _: [default if built is None else built for built in group.build(columns)]


def with_note(date: RegistryDate | None, note: str) -> RegistryDate:
    """A date with the expression that stands beside it."""
    date = date or RegistryDate(0)
    return RegistryDate(date.year, date.month, date.day, date.era, note)


def noted(paths: Sequence[str], path: str, build: Build) -> Build:
    """`build`, of a part in which one item has its expression in a column beside it."""
    if f"{path}.note" not in paths:
        return build
    at, note = paths.index(path), paths.index(f"{path}.note")

    def with_notes(columns: Sequence[Sequence[Any]]) -> list[Any]:
        if any(columns[note]):
            columns = list(columns)
            columns[at] = [
                date if words is None else with_note(date, words)
                for date, words in zip(columns[at], columns[note], strict=True)
            ]
        return build(columns)

    return with_notes


def of_given(build: Build, needed: Sequence[int], births: Sequence[Sequence[int]]) -> Build:
    """`build`, with FAULTY for rows in which a needed column is blank, or the date of birth not written in just one way."""

    def checked(columns: Sequence[Sequence[Any]]) -> list[Any]:
        wrong = {row for at in needed for row, value in enumerate(columns[at]) if value is None}
        if births:
            ways = [
                columns[at] if not more else map(_either, columns[at], *(columns[m] for m in more))
                for at, *more in births
            ]
            blank = len(births) - 1
            wrong |= {row for row, way in enumerate(zip(*ways, strict=True)) if way.count(None) != blank}
        if not wrong:
            return build(columns)
        right = [row not in wrong for row in range(len(columns[0]))]
        if not any(right):
            return [FAULTY] * len(right)
        return spread_out(build([list(compress(column, right)) for column in columns]), right, FAULTY)

    return checked


def _either(value: Any, other: Any) -> Any:
    return other if value is None else value
