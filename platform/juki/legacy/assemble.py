"""一行から一版へ: the values of a row put where the record keeps them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any, Final, cast, get_type_hints

import msgspec

from juki.dates import JST, RegistryDate, from_date
from juki.legacy.cells import Loader, calendar_day, item_rules, ordering_day
from juki.legacy.columns import Column, ColumnRun, values_of
from juki.legacy.extract import SourceFile
from juki.legacy.layout import Layout
from juki.legacy.model import Fault
from juki.letters import Gaiji
from juki.personal import Personal
from juki.registry.model import (
    GROUPS,
    MIGRATION,
    Event,
    Kind,
    Measure,
    MeasureState,
    Record,
    Sex,
    Status,
    SupportMeasure,
)

_ENUMS: Final[dict[str, Callable[[str], Any]]] = {"basic.sex": Sex, "sex": Sex}
_REMEMBERED: Final = 4096
_PERSONAL: Final = frozenset({"basic", "domicile", "my_number", "resident_code", "entitlements"})  # no two people alike
_MIDNIGHT: Final = dt.time(0, 0, tzinfo=JST)
_STATUSES: Final = {status.value: status for status in Status}
_KINDS: Final = {kind.value: kind for kind in Kind}


@lru_cache(maxsize=_REMEMBERED)
def _midnight(day: dt.date) -> dt.datetime:
    """The instant at which an office day began."""
    return dt.datetime.combine(day, _MIDNIGHT)


class Incoming(Personal, frozen=True, kw_only=True):
    """One version as the incumbent recorded it: the record and the change that made it, not numbered yet."""

    record: Record
    event: Event


class Reader:
    """Reads the rows of one file. After `read`, `faults` and `alerts` speak of that row."""

    def __init__(self, file: SourceFile, layout: Layout, gaiji: Gaiji, resident_code_rule: str) -> None:
        self.faults: list[Fault] = []
        self.alerts: list[Fault] = []
        rules = item_rules(resident_code_rule)
        used = [(position, field) for position, field in enumerate(file.fields) if field.to != "-"]
        self._file = file
        columns = [
            Column(field, Loader(field, layout, gaiji, rules, file.encoding), self.faults, self.alerts)
            for _, field in used
        ]
        self._takes: list[Column | ColumnRun] = list(columns)
        self._cells: Callable[[int, int], Sequence[Any]] = file.cells
        if not file.is_csv:
            runs = _runs(columns)
            self._takes = [run[0] if len(run) == 1 else ColumnRun(run, self.faults, self.alerts) for run in runs]
            self._cells = file.cutter([(run[0].field.at, sum(column.field.width for column in run)) for run in runs])
        elif len(used) < len(file.fields):
            chosen = itemgetter(*(position for position, _ in used), 0)  # 0: a tuple even of one
            self._cells = lambda start, end: chosen(file.cells(start, end))
        self._ahead: dict[int, list[Any]] = {}  # start of a row -> its values
        self.paths = tuple(field.to for _, field in used)
        self.titles = {field.to: field.title for _, field in reversed(used)}
        self._required = tuple((at, field.title) for at, (_, field) in enumerate(used) if field.required)

    def read_ahead(self, places: Sequence[tuple[int, int]]) -> None:
        """Cut rows that are about to be read and read their cells column by column; only rows wholly right are kept of it."""
        cut = [self._cells(start, end) for start, end in places]
        columns = [take.read_ahead(cells) for take, cells in zip(self._takes, zip(*cut, strict=True), strict=True)]
        self._ahead = {
            start: list(chain.from_iterable(cast(Any, row)))
            for (start, _), row in zip(places, zip(*columns, strict=True), strict=True)
            if all(row)
        }

    def read(self, start: int, end: int) -> list[Any]:
        """Values of a row in the order of `paths`; None where the cell is blank or at fault."""
        if self.faults or self.alerts:
            self.faults.clear()
            self.alerts.clear()
        values = self._ahead.pop(start, None)
        if values is None:
            values = list(chain.from_iterable(map(values_of, self._takes, self._cells(start, end))))
        for at, title in self._required:
            if values[at] is None and not any(f.item == title for f in self.faults):
                self.faults.append(Fault(title, "item.missing", "empty"))
        return values


_ALONE: Final = frozenset({
    "atena_no", "setai_no", "basic.name", "basic.name_kana", "basic.birth", "basic.head_name", "address.resident_since",
    "address.address_since", "address.notified_on", "entitlements.pension.number", "entitlements.signing_serial",
    "entitlements.authentication_serial", "foreigner.card_number", "event.occurred_on", "event.notified_on",
    "event.processed_on", "entitlements.pension.acquired_on", "domicile.registered_domicile", "domicile.family_head",
})  # fmt: skip
"""Items that hardly repeat together with their neighbours."""


def _runs(columns: Sequence[Column]) -> list[list[Column]]:
    """Columns of a fixed-length row in their order, those that lie side by side and belong together as one run."""
    runs: list[list[Column]] = []
    for column in columns:
        field = column.field
        last = runs[-1][-1].field if runs else None
        joined = (
            last is not None
            and last.at + last.width == field.at
            and last.to.partition(".")[0] == field.to.partition(".")[0]
            and not {last.to, field.to} & _ALONE
        )
        if joined:
            runs[-1].append(column)
        else:
            runs.append([column])
    return runs


class _Group:
    """How one disclosure group is filled: attributes straight from a column, and the structs inside it."""

    def __init__(
        self, prefix: str, struct: type[msgspec.Struct], paths: Sequence[str], *, remember: bool = True
    ) -> None:
        self.struct = struct
        self._remember = remember
        self._built: dict[tuple[Any, ...], Any] = {}
        self.plain: list[tuple[str, int]] = []
        self.nested: list[tuple[str, _Group]] = []
        hints = get_type_hints(struct)
        for name in struct.__struct_fields__:
            path = f"{prefix}{name}"
            self.plain += [(name, at) for at, given in enumerate(paths) if given == path]
            if any(given.startswith(f"{path}.") for given in paths) and hints[name] is not RegistryDate:
                self.nested.append((name, _Group(f"{path}.", hints[name], paths)))
        self._first = min([at for _, at in self.plain] + [inner.first for _, inner in self.nested], default=0)
        self._end = max([at + 1 for _, at in self.plain] + [inner.end for _, inner in self.nested], default=0)
        self._blank: list[Any] = [None] * (self._end - self._first)

    @property
    def first(self) -> int:
        """Where its columns begin."""
        return self._first

    @property
    def end(self) -> int:
        """Behind its last column."""
        return self._end

    def build(self, values: Sequence[Any]) -> Any:
        """The struct, or None where every column of it is blank; of two columns for one item the filled one counts."""
        mine = values[self._first : self._end]
        if mine == self._blank:
            return None
        if not self._remember:
            return self._build(values)
        key = tuple(mine)
        built = self._built.get(key)
        if built is None:
            if len(self._built) >= _REMEMBERED:
                self._built.clear()
            self._built[key] = built = self._build(values)
        return built

    def _build(self, values: Sequence[Any]) -> Any:
        given = {name: values[at] for name, at in self.plain if values[at] is not None}
        for name, inner in self.nested:
            built = inner.build(values)
            if built is not None:
                given[name] = built
        return self.struct(**given) if given else None


class ResidentRows:
    """Rows of 住民 files: one version each."""

    def __init__(self, reader: Reader, today: dt.date) -> None:
        self.reader = reader
        self._today = today
        paths = reader.paths
        self._at = {path: paths.index(path) for path in paths}
        self._groups = [
            (name, _Group(f"{name}.", struct, paths, remember=name not in _PERSONAL)) for name, struct in GROUPS.items()
        ]
        self._sex = self._at.get("basic.sex")
        self._births = [at for at, path in enumerate(paths) if path == "basic.birth"]
        self._certain = itemgetter(*(self._at[path] for path in _NEEDED if path in self._at and path != "basic.birth"))
        self._items = {path: reader.titles.get(path, path) for path in paths}

    def read(self, start: int, end: int) -> Incoming | None:
        """The version of a row, None where it is at fault (`reader.faults` says how)."""
        reader = self.reader
        values = reader.read(start, end)
        faults = reader.faults
        if self._sex is not None and values[self._sex] is not None:
            values[self._sex] = Sex(values[self._sex])
        self._note(values, "basic.birth", "basic.birth.note")
        self._note(values, "event.occurred_on", "event.occurred_on.note")
        if len(self._births) > 1 and all(values[at] is not None for at in self._births):
            faults.append(Fault(self._items["basic.birth"], "date.two_values"))
        self._needed(values, faults)
        if faults:
            return None
        event = self._event(values, faults)
        record = self._record(values, event)
        self._consistent(record, faults)
        return None if faults else Incoming(record=record, event=event)

    def _get(self, values: Sequence[Any], path: str, default: Any = None) -> Any:
        at = self._at.get(path)
        value = values[at] if at is not None else None
        return default if value is None else value

    def _note(self, values: list[Any], path: str, note_path: str) -> None:
        note = self._get(values, note_path)
        if note is None:
            return
        at = self._at[path]
        date = values[at] or RegistryDate(0)
        values[at] = RegistryDate(date.year, date.month, date.day, date.era, note)

    def _needed(self, values: Sequence[Any], faults: list[Fault]) -> None:
        if not faults and None not in self._certain(values) and any(values[at] is not None for at in self._births):
            return
        known = {fault.item for fault in faults}
        for path in _NEEDED:
            blank = all(
                values[at] is None for at in (self._births if path == "basic.birth" else [self._at.get(path, -1)])
            )
            if blank and path in self._at and self._items[path] not in known:
                faults.append(Fault(self._items[path], "item.missing", "empty"))

    def _event(self, values: Sequence[Any], faults: list[Fault]) -> Event:
        reason = self._get(values, "event.reason", MIGRATION.code)
        occurred = self._get(values, "event.occurred_on")
        processed = self._day(values, "event.processed_on", faults) or self._today
        notified = self._day(values, "event.notified_on", faults)
        if occurred is None:
            occurred = from_date(processed)
        ahead = ordering_day(occurred) > self._today
        if ahead and not reason.startswith("move_out"):
            faults.append(Fault(self._items["event.occurred_on"], "date.in_future"))
        return Event(
            event_no=0,
            reason=reason,
            occurred_on=occurred,
            notified_on=notified,
            processed_on=processed,
            known_from=_midnight(processed),
            entered_by=MIGRATION.code,
            confirmed_by=MIGRATION.code,
            remarks=self._get(values, "event.remarks", ""),
        )

    def _day(self, values: Sequence[Any], path: str, faults: list[Fault]) -> dt.date | None:
        date: RegistryDate | None = self._get(values, path)
        if date is None:
            return None
        day = calendar_day(date)
        if day is not None and day > self._today:
            faults.append(Fault(self._items[path], "date.in_future"))
        return day

    def _record(self, values: Sequence[Any], event: Event) -> Record:
        groups = {name: group.build(values) for name, group in self._groups}
        return Record(
            atena_no=self._get(values, "atena_no"),
            version_no=self._get(values, "version_no"),
            setai_no=self._get(values, "setai_no"),
            member_order=self._get(values, "member_order", 0),
            is_head=self._get(values, "is_head", False),
            status=_STATUSES[self._get(values, "status")],
            kind=_KINDS[self._get(values, "kind", "japanese")],
            valid_from=ordering_day(event.occurred_on),
            known_from=event.known_from,
            **groups,
        )

    def _consistent(self, record: Record, faults: list[Fault]) -> None:
        """Items that only make sense together."""
        title = self._items
        if record.kind is Kind.FOREIGN and (record.foreigner is None or not record.foreigner.nationality):
            faults.append(Fault(title.get("foreigner.nationality", "foreigner"), "item.missing", "empty"))
        if record.kind is Kind.JAPANESE and record.domicile is None:
            faults.append(Fault(title.get("domicile.registered_domicile", "domicile"), "item.missing", "empty"))
        if record.status is Status.RESIDENT and record.address is None:
            faults.append(Fault(title.get("address.address.text", "address"), "item.missing", "empty"))
        if record.status not in {Status.RESIDENT, Status.VOID} and record.removal is None:
            faults.append(Fault(title.get("removal.reason", "removal"), "item.missing", "empty"))


_NEEDED: Final = ("atena_no", "version_no", "setai_no", "status", "basic.name", "basic.birth")


class SupportRows:
    """Rows of 支援措置 files: one measure each."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._plan = _Group("", SupportMeasure, reader.paths)
        self._at = {path: position for position, path in enumerate(reader.paths)}
        hints = get_type_hints(SupportMeasure)
        self._days = [at for path, at in self._at.items() if hints.get(path) == (dt.date | None)]

    def read(self, start: int, end: int) -> SupportMeasure | None:
        """The measure of a row, None where it is at fault."""
        values = self.reader.read(start, end)
        if (at := self._at.get("sex")) is not None and values[at] is not None:
            values[at] = Sex(values[at])
        for at in self._days:
            if values[at] is not None:
                values[at] = values[at].to_date()
        for path in ("name", "birth", "address"):
            if values[self._at[path]] is None and not self.reader.faults:
                self.reader.faults.append(Fault(self.reader.titles[path], "item.missing", "empty"))
        if not self.reader.faults and values[self._at["starts_on"]] is None is values[self._at["provisional_from"]]:
            self.reader.faults.append(Fault(self.reader.titles["starts_on"], "item.missing", "empty"))
        return None if self.reader.faults else self._plan.build(values)


def measure_of(content: SupportMeasure, measure_no: int, known_from: dt.datetime) -> Measure:
    """支援措置 as it stands at the moment of migration."""
    state = MeasureState.PROVISIONAL if content.provisional else MeasureState.IN_FORCE
    return Measure(
        measure_no=measure_no,
        version_no=1,
        state=state,
        content=content,
        known_from=known_from,
        entered_by=MIGRATION.code,
    )
