"""値を列に広げる: a struct as columns of a CSV row and back without loss, so that a standard layout needs no list of its own.

Dates are three columns (YYYY-MM-DD with 00 for unknown parts, era letter as written, expression on paper), as the
基本データリスト carries 不詳 beside the day. A group that may be missing has a column of its own that says whether it is there.
"""

from __future__ import annotations

import datetime as dt
import types
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any, Final, Protocol, Union, get_args, get_origin, get_type_hints

import msgspec

from juki.dates import RegistryDate
from juki.problem import Invalid


class Codec(Protocol):
    """One value as one or more columns."""

    def columns(self, path: str) -> list[str]: ...
    def write(self, value: Any, out: list[str]) -> None: ...
    def read(self, cells: Iterator[str]) -> Any: ...


class _One:
    def columns(self, path: str) -> list[str]:
        return [path]


class _Text(_One):
    def write(self, value: Any, out: list[str]) -> None:
        out.append(value)

    def read(self, cells: Iterator[str]) -> Any:
        return next(cells)


class _Flag(_One):
    def write(self, value: Any, out: list[str]) -> None:
        out.append("1" if value else "0")

    def read(self, cells: Iterator[str]) -> Any:
        text = next(cells)
        if text not in {"0", "1"}:
            raise ValueError("not a flag")
        return text == "1"


class _Number(_One):
    def write(self, value: Any, out: list[str]) -> None:
        out.append("" if value is None else str(value))

    def read(self, cells: Iterator[str]) -> Any:
        text = next(cells)
        return int(text) if text else None


class _Word(_One):
    def __init__(self, kind: type[StrEnum]) -> None:
        self._kind = kind

    def write(self, value: Any, out: list[str]) -> None:
        out.append(value.value)

    def read(self, cells: Iterator[str]) -> Any:
        return self._kind(next(cells))


class _Day(_One):
    def write(self, value: Any, out: list[str]) -> None:
        out.append("" if value is None else value.isoformat())

    def read(self, cells: Iterator[str]) -> Any:
        text = next(cells)
        return dt.date.fromisoformat(text) if text else None


class _Instant(_One):
    def write(self, value: Any, out: list[str]) -> None:
        out.append("" if value is None else value.astimezone(dt.UTC).isoformat())

    def read(self, cells: Iterator[str]) -> Any:
        text = next(cells)
        return dt.datetime.fromisoformat(text) if text else None


class _Words(_One):
    def write(self, value: Any, out: list[str]) -> None:
        out.append(" ".join(value))

    def read(self, cells: Iterator[str]) -> Any:
        return tuple(next(cells).split())


class _Date:
    def columns(self, path: str) -> list[str]:
        return [path, f"{path}.era", f"{path}.note"]

    def write(self, value: Any, out: list[str]) -> None:
        if value is None:
            out += ("", "", "")
        else:
            out += (value.iso(), value.era, value.note)

    def read(self, cells: Iterator[str]) -> Any:
        iso, era, note = next(cells), next(cells), next(cells)
        if not iso:
            return None
        year, month, day = iso.split("-")
        return RegistryDate(int(year), int(month), int(day), era, note)


class Flat:
    """A struct as columns. `optional` adds the column that says whether it is there at all."""

    def __init__(self, struct: type[msgspec.Struct], *, optional: bool = False, leave_out: Sequence[str] = ()) -> None:
        hints = get_type_hints(struct)
        self.struct, self.optional = struct, optional
        names = [name for name in struct.__struct_fields__ if name not in leave_out]
        self._parts: list[tuple[str, Codec]] = [(name, _codec(hints[name])) for name in names]

    def columns(self, path: str = "") -> list[str]:
        """Names of the columns."""
        head = f"{path}." if path else ""
        found = [path] if self.optional else []
        for name, codec in self._parts:
            found += codec.columns(f"{head}{name}")
        return found

    def write(self, value: Any, out: list[str]) -> None:
        """Append the columns of one value."""
        if self.optional:
            out.append("0" if value is None else "1")
            if value is None:
                out += [""] * (len(self.columns("x")) - 1)
                return
        for name, codec in self._parts:
            codec.write(getattr(value, name), out)

    def read(self, cells: Iterator[str]) -> Any:
        """The value of the next columns. Raises ValueError or StopIteration where they hold none."""
        if self.optional and next(cells) == "0":
            for _ in range(len(self.columns("x")) - 1):
                next(cells)
            return None
        return self.struct(**{name: codec.read(cells) for name, codec in self._parts})

    def row(self, value: Any) -> list[str]:
        """One whole row."""
        out: list[str] = []
        self.write(value, out)
        return out

    def value(self, row: Sequence[str], where: str) -> Any:
        """The value of one whole row; Invalid `legacy.standard_row` names file and line."""
        cells = iter(row)
        try:
            return self.read(cells)
        except (ValueError, StopIteration, TypeError):
            raise Invalid("legacy.standard_row", f"{where} does not read") from None


_SIMPLE: Final[dict[Any, type[Codec]]] = {
    str: _Text,
    bool: _Flag,
    int: _Number,
    dt.date: _Day,
    dt.datetime: _Instant,
    RegistryDate: _Date,
    tuple[str, ...]: _Words,
}


def _codec(hint: Any) -> Codec:
    optional = False
    if get_origin(hint) in {Union, types.UnionType}:
        optional = type(None) in get_args(hint)
        hint = next(a for a in get_args(hint) if a is not type(None))
    if hint in _SIMPLE:
        return _SIMPLE[hint]()
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return _Word(hint)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return Flat(hint, optional=optional)
    raise TypeError(f"no column form for {hint!r}")
