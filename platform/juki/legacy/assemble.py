"""一行から一版へ: the values of a row put where the record keeps them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain, pairwise
from operator import itemgetter
from typing import Any, Final, get_type_hints

from juki.dates import JST, RegistryDate, from_date
from juki.legacy.build import Build, Group, from_columns, noted, of_given, with_note
from juki.legacy.cells import Loader, calendar_day, item_rules, ordering_day
from juki.legacy.columns import FAULTY, Column, ColumnRun, Days, Part, values_of
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
    Status,
    SupportMeasure,
)

_DAYS_REMEMBERED: Final = 4096
_PERSONAL: Final = frozenset({"basic", "domicile", "my_number", "resident_code", "entitlements"})  # no two people alike
_MIDNIGHT: Final = dt.time(0, 0, tzinfo=JST)


@lru_cache(maxsize=_DAYS_REMEMBERED)
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
        self.file = file
        days: Days = {}
        self.columns = [
            Column(field, Loader(field, layout, gaiji, rules, file.encoding), self.faults, self.alerts, days)
            for _, field in used
        ]
        self._takes: list[Column | ColumnRun] = self.takes(self.columns)
        self._cells = self.cutter([[take] for take in self._takes])
        self.paths = tuple(field.to for _, field in used)
        self.titles = {field.to: field.title for _, field in reversed(used)}
        self.required = tuple((at, field.title) for at, (_, field) in enumerate(used) if field.required)

    def takes(self, columns: Sequence[Column]) -> list[Column | ColumnRun]:
        """The columns, in a file of fixed length those that belong together as one run."""
        if self.file.is_csv:
            return list(columns)
        return [run[0] if len(run) == 1 else ColumnRun(run, self.faults, self.alerts) for run in _runs(columns)]

    def cutter(self, stretches: Sequence[Sequence[Column | ColumnRun]]) -> Callable[[int, int], Sequence[Any]]:
        """What cuts a row, by its start and end, into one cell a stretch; a stretch of a CSV row is one column."""
        file = self.file
        if not file.is_csv:
            return file.cutter([(stretch[0].at, sum(take.width for take in stretch)) for stretch in stretches])
        chosen = itemgetter(
            *(file.fields.index(take.field) for (take,) in stretches if isinstance(take, Column)), 0
        )  # 0: a tuple even of one
        return lambda start, end: chosen(file.cells(start, end))[:-1]

    def read(self, start: int, end: int) -> list[Any]:
        """Values of a row in the order of `paths`; None where the cell is blank or at fault."""
        self.forget()
        values = list(chain.from_iterable(map(values_of, self._takes, self._cells(start, end))))
        for at, title in self.required:
            if values[at] is None and not any(f.item == title for f in self.faults):
                self.faults.append(Fault(title, "item.missing", "empty"))
        return values

    def forget(self) -> None:
        """Nothing more is said of the row read last."""
        if self.faults or self.alerts:
            self.faults.clear()
            self.alerts.clear()


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


class ResidentRows:
    """Rows of 住民 files: one version each."""

    def __init__(self, reader: Reader, today: dt.date) -> None:
        self.reader = reader
        self._today = today
        paths = reader.paths
        self._items = {path: reader.titles.get(path, path) for path in paths}
        self._at = {path: paths.index(path) for path in paths}
        self._births = _births_of(paths)
        self._certain = itemgetter(*(self._at[path] for path in _NEEDED if path in self._at), 0)
        needed = {self._at[path] for path in _NEEDED if path in self._at} | {at for at, _ in reader.required}
        self._positions: dict[str, list[int]] = {}
        self._builds: dict[str, Build] = {}
        self._parts: list[Part] = []
        stretches: list[Sequence[Column | ColumnRun]] = []
        for name in ("", "event", *GROUPS):
            own = self._positions[name] = [at for at, path in enumerate(paths) if _part_of(path) == name]
            mine = [paths[at] for at in own]
            self._builds[name] = build = self._build_of(name, mine)
            takes = reader.takes([reader.columns[at] for at in own])
            run = [take.width for take in takes] if not reader.file.is_csv and _side_by_side(takes) else []
            given = [position for position, at in enumerate(own) if at in needed]
            births = _births_of(mine)
            checked = of_given(build, given, births) if given or births else build
            self._parts.append(Part(takes, checked, run=run, repeats=name not in _PERSONAL))
            stretches += [takes] if run else [[take] for take in takes]
        self._cut = reader.cutter(stretches)
        self._ahead: dict[int, Incoming] = {}  # start of a row -> its version

    def read_ahead(self, places: Sequence[tuple[int, int]]) -> None:
        """Read rows that are about to be asked for together, part by part; those wholly right are kept until then."""
        cells = list(zip(*[self._cut(start, end) for start, end in places], strict=True))
        columns: list[list[Any]] = []
        at = 0
        for part, build in zip(self._parts, self._builds.values(), strict=True):
            columns.append(part.read(cells[at : at + part.stretches]) if part.takes else build([]) * len(places))
            at += part.stretches
        faulty = {row for column in columns for row, value in enumerate(column) if value is FAULTY}
        faults: list[Fault] = []
        self._ahead = {}
        for row, ((start, _), keys, event, *groups) in enumerate(zip(places, *columns, strict=True)):
            if row in faulty:
                continue
            record = _record(keys, event, groups)
            self._consistent(record, faults)
            if faults:
                faults.clear()
            else:
                self._ahead[start] = Incoming(record=record, event=event)

    def read(self, start: int, end: int) -> Incoming | None:
        """The version of a row, None where it is at fault (`reader.faults` says how)."""
        ready = self._ahead.pop(start, None)
        if ready is not None:
            self.reader.forget()
            return ready
        values = self.reader.read(start, end)
        faults = self.reader.faults
        self._needed(values, faults)
        if faults:
            return None
        parts = {name: [(values[at],) for at in self._positions[name]] for name in self._builds}
        event = self._event([values[self._at[path]] if path in self._at else None for path in _EVENT], faults)
        (keys,), _, *groups = [build(parts[name]) for name, build in self._builds.items()]
        record = _record(keys, event, [group for (group,) in groups])
        self._consistent(record, faults)
        return None if faults else Incoming(record=record, event=event)

    def _needed(self, values: Sequence[Any], faults: list[Fault]) -> None:
        """Items without which there is no version; the date of birth written in one way and not in two."""
        births = sum(any(values[at] is not None for at in way) for way in self._births)
        if not faults and births == 1 and None not in self._certain(values):
            return
        known = {fault.item for fault in faults}
        if births > 1:
            faults.append(Fault(self._items["basic.birth"], "date.two_values"))
        for path in (*_NEEDED, "basic.birth"):
            at = self._at.get(path)
            blank = births == 0 if path == "basic.birth" else at is not None and values[at] is None
            if blank and self._items[path] not in known:
                faults.append(Fault(self._items[path], "item.missing", "empty"))

    def _build_of(self, name: str, paths: Sequence[str]) -> Build:
        """What makes the values of one part of columns in the order of `paths`."""
        if name == "event":
            return self._events(paths)
        if name:
            return noted(paths, "basic.birth", Group(f"{name}.", GROUPS[name], paths).build)
        columns = [
            from_columns([at for at, given in enumerate(paths) if given == path], default) for path, default in _KEYS
        ]
        return lambda cells: list(zip(*[column(cells, len(cells[0])) for column in columns], strict=True))

    def _events(self, paths: Sequence[str]) -> Build:
        at = {path: paths.index(path) for path in paths}

        def build(columns: Sequence[Sequence[Any]]) -> list[Any]:
            rows = len(columns[0]) if columns else 1
            given = [columns[at[path]] if path in at else [None] * rows for path in _EVENT]
            made: list[Any] = []
            faults: list[Fault] = []
            for values in zip(*given, strict=True):
                event = self._event(values, faults)
                made.append(FAULTY if faults else event)
                faults.clear()
            return made

        return build

    def _event(self, values: Sequence[Any], faults: list[Fault]) -> Event:
        """The change of a row; `values` as _EVENT."""
        reason, occurred, note, notified, processed, remarks = values
        processed = self._day(processed, "event.processed_on", faults) or self._today
        notified = self._day(notified, "event.notified_on", faults)
        occurred = with_note(occurred, note) if note is not None else occurred or from_date(processed)
        reason = reason or MIGRATION.code
        if ordering_day(occurred) > self._today and not reason.startswith("move_out"):
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
            remarks=remarks or "",
        )

    def _day(self, date: RegistryDate | None, path: str, faults: list[Fault]) -> dt.date | None:
        if date is None:
            return None
        day = calendar_day(date)
        if day is not None and day > self._today:
            faults.append(Fault(self._items[path], "date.in_future"))
        return day

    def _consistent(self, record: Record, faults: list[Fault]) -> None:
        """Items that only make sense together."""
        title = self._items
        if record.basic is not None and ordering_day(record.basic.birth) > self._today:
            faults.append(Fault(title["basic.birth"], "date.in_future"))
        if record.kind is Kind.FOREIGN and (record.foreigner is None or not record.foreigner.nationality):
            faults.append(Fault(title.get("foreigner.nationality", "foreigner"), "item.missing", "empty"))
        if record.kind is Kind.JAPANESE and record.domicile is None:
            faults.append(Fault(title.get("domicile.registered_domicile", "domicile"), "item.missing", "empty"))
        if record.status is Status.RESIDENT and record.address is None:
            faults.append(Fault(title.get("address.address.text", "address"), "item.missing", "empty"))
        if record.status not in {Status.RESIDENT, Status.VOID} and record.removal is None:
            faults.append(Fault(title.get("removal.reason", "removal"), "item.missing", "empty"))


_KEYS: Final[tuple[tuple[str, Any], ...]] = (
    ("atena_no", None), ("version_no", None), ("setai_no", None), ("member_order", 0), ("is_head", False),
    ("status", None), ("kind", Kind.JAPANESE),
)  # fmt: skip
_EVENT: Final = (
    "event.reason", "event.occurred_on", "event.occurred_on.note", "event.notified_on", "event.processed_on", "event.remarks",
)  # fmt: skip
_NEEDED: Final = ("atena_no", "version_no", "setai_no", "status", "basic.name")


def _record(keys: Sequence[Any], event: Event, groups: Sequence[Any]) -> Record:
    """A version; `keys` as _KEYS, `groups` as GROUPS."""
    atena_no, version_no, setai_no, member_order, is_head, status, kind = keys
    basic, address, domicile, my_number, resident_code, foreigner, entitlements, removal, notes = groups
    return Record(
        atena_no=atena_no,
        version_no=version_no,
        setai_no=setai_no,
        member_order=member_order,
        is_head=is_head,
        status=status,
        kind=kind,
        valid_from=ordering_day(event.occurred_on),
        known_from=event.known_from,
        basic=basic,
        address=address,
        domicile=domicile,
        my_number=my_number,
        resident_code=resident_code,
        foreigner=foreigner,
        entitlements=entitlements,
        removal=removal,
        notes=notes,
    )


def _part_of(path: str) -> str:
    first, dot, _ = path.partition(".")
    return first if dot else ""


def _births_of(paths: Sequence[str]) -> list[list[int]]:
    """The ways in which a row may write the date of birth, as the columns of each: the expression counts as the first."""
    ways = [[at] for at, path in enumerate(paths) if path == "basic.birth"]
    if ways:
        ways[0] += [at for at, path in enumerate(paths) if path == "basic.birth.note"]
    return ways


def _side_by_side(takes: Sequence[Column | ColumnRun]) -> bool:
    return len(takes) > 1 and all(one.at + one.width == two.at for one, two in pairwise(takes))


class SupportRows:
    """Rows of 支援措置 files: one measure each."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._plan = Group("", SupportMeasure, reader.paths)
        self._at = {path: position for position, path in enumerate(reader.paths)}
        hints = get_type_hints(SupportMeasure)
        self._days = [at for path, at in self._at.items() if hints.get(path) == (dt.date | None)]

    def read(self, start: int, end: int) -> SupportMeasure | None:
        """The measure of a row, None where it is at fault."""
        values = self.reader.read(start, end)
        for at in self._days:
            if values[at] is not None:
                values[at] = values[at].to_date()
        for path in ("name", "birth", "address"):
            if values[self._at[path]] is None and not self.reader.faults:
                self.reader.faults.append(Fault(self.reader.titles[path], "item.missing", "empty"))
        if not self.reader.faults and values[self._at["starts_on"]] is None is values[self._at["provisional_from"]]:
            self.reader.faults.append(Fault(self.reader.titles["starts_on"], "item.missing", "empty"))
        return None if self.reader.faults else self._plan.build([(value,) for value in values])[0]


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
