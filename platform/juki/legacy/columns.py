"""列の記憶: a register repeats itself (towns, codes, dates, names), so every column remembers what it has read; the memory is
bounded. What is about to be read is read beforehand, all cells of a column together."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from itertools import chain, compress
from operator import getitem
from typing import Any, Final, cast

from juki.dates import RegistryDate
from juki.legacy.cells import UNIDENTIFIED, BadValue, Loader, Marked, class_of, value_class
from juki.legacy.layout import Field
from juki.legacy.model import Fault

_REMEMBERED: Final = 4096
_DAYS_REMEMBERED: Final = 1 << 16
_NOTHING: Final = (None,)

values_of: Final[Callable[[Any, Any], tuple[Any, ...]]] = getitem
"""What a Column or a ColumnRun makes of a cell: its values, in order."""


Days = dict[Any, tuple[RegistryDate | None]]
"""Days of a file as they were written, in whatever column: real days and blanks, which every column reads alike."""


class Column(dict[Any, tuple[Any, ...]]):
    """One column of one file: raw cell -> its value, alone in a tuple, as a run of columns has several. A fault or an alert
    is put down for the row at hand and not remembered."""

    def __init__(self, field: Field, loader: Loader, faults: list[Fault], alerts: list[Fault], days: Days) -> None:
        super().__init__()
        self.field = field
        self.at, self.width = field.at, field.width
        self._loader = loader
        self._faults, self._alerts = faults, alerts
        self._days = days
        self.read_ahead = self._read_days if field.type == "date" else self._read_cells

    def _read_cells(self, cells: Sequence[Any]) -> Sequence[tuple[Any, ...] | None]:
        """What each cell comes to, read together; None where it is at fault or worth an alert. Cells that repeat are
        remembered."""
        wanted = set(cells)
        if 2 * len(wanted) > len(cells):
            return self._loader.load_many(cells)
        fresh = [cell for cell in wanted if cell not in self]
        if len(self) + len(fresh) > _REMEMBERED:
            self.clear()
            fresh = list(wanted)
        if fresh:
            found = zip(fresh, self._loader.load_many(fresh), strict=True)
            self.update({cell: value for cell, value in found if value is not None})
        return list(map(self.get, cells))

    def _read_days(self, cells: Sequence[Any]) -> Sequence[tuple[Any, ...] | None]:
        """As of cells: a register has some forty thousand days, and its columns share them."""
        known = list(map(self._days.get, cells))
        fresh = list({cell for cell, day in zip(cells, known, strict=True) if day is None})
        if not fresh:
            return known
        read = dict(zip(fresh, self._loader.load_many(fresh), strict=True))
        if len(self._days) + len(fresh) > _DAYS_REMEMBERED:
            self._days.clear()
        self._days.update({cell: day for cell, day in read.items() if day and (day[0] is None or day[0].is_exact())})
        return [read[cell] if day is None else day for cell, day in zip(cells, known, strict=True)]

    def __missing__(self, cell: bytes | str) -> tuple[Any, ...]:
        try:
            value = self._loader.load(cell)
        except BadValue as e:
            self._faults.append(Fault(self.field.title, e.reason, class_of(cell)))
            return _NOTHING
        except UnicodeDecodeError:
            self._faults.append(Fault(self.field.title, "text.undecodable", f"bytes({len(cell)})"))
            return _NOTHING
        if value.__class__ is Marked:
            self._alerts.append(Fault(self.field.title, UNIDENTIFIED, value_class(value.text)))
            return (value.text,)
        if len(self) >= _REMEMBERED:
            self.clear()
        self[cell] = found = (value,)
        return found


class ColumnRun(dict[bytes, tuple[Any, ...]]):
    """Neighbouring columns of a fixed-length row, remembered as one stretch of bytes: most of them are blank or repeat as a
    whole, in a household or in the whole town."""

    def __init__(self, columns: Sequence[Column], faults: list[Fault], alerts: list[Fault]) -> None:
        super().__init__()
        self._columns = columns
        self.at, self.width = columns[0].at, sum(column.width for column in columns)
        self._faults, self._alerts = faults, alerts
        self._cut = struct.Struct("".join(f"{column.field.width}s" for column in columns)).unpack

    def read_ahead(self, cells: Sequence[Any]) -> Sequence[tuple[Any, ...] | None]:
        """As of a column, for whole stretches."""
        wanted = set(cells)
        fresh = [stretch for stretch in wanted if stretch not in self]
        if len(self) + len(fresh) > _REMEMBERED:
            self.clear()
            fresh = list(wanted)
        if fresh:
            parts = zip(*map(self._cut, fresh), strict=True)
            columns = [column.read_ahead(part) for column, part in zip(self._columns, parts, strict=True)]
            for stretch, values in zip(fresh, zip(*columns, strict=True), strict=True):
                if all(values):
                    self[stretch] = tuple(chain.from_iterable(cast(Any, values)))
        return list(map(self.get, cells))

    def __missing__(self, cells: bytes) -> tuple[Any, ...]:
        before = len(self._faults) + len(self._alerts)
        found = tuple(chain.from_iterable(map(values_of, self._columns, self._cut(cells))))
        if len(self._faults) + len(self._alerts) == before:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[cells] = found
        return found


FAULTY: Final = object()
"""What a Part gives for cells that have to be read alone, since something has to be said of them."""


class Part:
    """The columns of one part of a row (its keys, its change or one disclosure group), read together and made into one value.

    `takes` cut the part into Columns and ColumnRuns. Where `run` gives their widths the cells of a row come as one stretch
    of bytes. A part that repeats (most groups are blank, a household shares its address) is made once and remembered.
    """

    def __init__(
        self,
        takes: Sequence[Column | ColumnRun],
        build: Callable[[Sequence[Sequence[Any]]], list[Any]],
        *,
        run: Sequence[int] = (),
        repeats: bool = True,
    ) -> None:
        self.takes = takes
        self.stretches = 1 if run else len(takes)
        self._build = build
        self._cut = struct.Struct("".join(f"{width}s" for width in run)).unpack if run else None
        self._repeats = repeats
        self._known: dict[Any, Any] = {}

    def read(self, cells: Sequence[Sequence[Any]]) -> list[Any]:
        """The value of each row, FAULTY where it must be read alone; `cells` are as many columns as `stretches`."""
        if not self._repeats:
            return self._make(cells)
        keys: Sequence[Any] = cells[0] if self.stretches == 1 else list(zip(*cells, strict=True))
        known = self._known
        wanted = dict.fromkeys(keys)
        fresh = [key for key in wanted if key not in known]
        if len(known) + len(fresh) > _REMEMBERED:
            known.clear()
            fresh = list(wanted)
        if fresh:
            made = self._make((fresh,) if self.stretches == 1 else list(zip(*fresh, strict=True)))
            known.update(zip(fresh, made, strict=True))
        return list(map(known.__getitem__, keys))

    def _make(self, cells: Sequence[Sequence[Any]]) -> list[Any]:
        if self._cut is not None:
            cells = list(zip(*map(self._cut, cells[0]), strict=True))
        read = [take.read_ahead(column) for take, column in zip(self.takes, cells, strict=True)]
        whole = list(map(all, zip(*read, strict=True)))
        if not any(whole):
            return [FAULTY] * len(whole)
        if not all(whole):
            read = [list(compress(column, whole)) for column in read]
        columns = chain.from_iterable(zip(*cast(Any, column), strict=True) for column in read)
        return spread_out(self._build(list(columns)), whole, FAULTY)


def spread_out(values: Sequence[Any], given: Sequence[bool], otherwise: Any) -> list[Any]:
    """The values, in order, where one is given, and `otherwise` elsewhere."""
    if len(values) == len(given):
        return list(values)
    coming = iter(values)
    return [next(coming) if is_given else otherwise for is_given in given]
