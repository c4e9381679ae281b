"""下見: one quick pass over every file that finds whose rows belong together, before any row is judged.

Only keys are read: 宛名番号, 履歴番号, 世帯番号, 住民状態, 世帯主区分 and the numbers that one person alone can hold. What comes out is the list of units (a
household with all versions of its people, or one removed person) in a fixed order, so that every run cuts the
same chunks. Memory: a few hundred bytes a person.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Any, Final

import msgspec

from juki.legacy.cells import PADDING
from juki.legacy.extract import Row, Source, SourceFile
from juki.legacy.layout import Field, Layout
from juki.legacy.model import Fault
from juki.registry.model import Status

RESIDENTS_PER_CHUNK: Final = 2000
ROWS_PER_CHUNK: Final = 10_000
_FORGET_EVERY_ROWS: Final = 16_384
_COUNT_DIGITS: Final = 9
_ROWS_COMPARED: Final = 64
_SMALL_DIGITS: Final = 18
NO_LATEST: Final = "held.no_latest"
HELD_PERSON: Final = "held.person"
HELD_ONCE: Final = {
    "my_number.my_number": "my_number.duplicate",
    "resident_code.resident_code": "resident_code.duplicate",
    "foreigner.card_number": "card.duplicate",
}
"""Item that no two persons can share -> what is said of those who do."""


class Place(msgspec.Struct, frozen=True):
    """One row of one file by number."""

    file: SourceFile
    line: int
    start: int
    end: int

    def raw(self) -> bytes:
        """Its bytes as they came."""
        return self.file.raw(self.start, self.end)


class Person(msgspec.Struct, gc=False):
    """What the survey knows of one person: rows by version, and the keys of the latest."""

    rows: tuple[int, ...] | list[int]  # a list where there are more than anybody has
    version_no: int
    latest: int
    setai_no: str
    current: bool
    head: bool
    waits: str = ""  # why this person cannot come in: a row could not be read, or none says what holds now


class HouseholdNote(msgspec.Struct):
    """世帯 as the sender lists it, and what was found of it."""

    setai_no: str
    row: int
    head_atena_no: str
    declared: int
    members: list[str] = []


class _Carried:
    """Numbers of one kind and whose they are, a few bytes each: a city has a million. Sorted once all are in."""

    def __init__(self) -> None:
        self._numbers, self._persons = array("Q"), array("I")

    def add(self, number: str, person: int) -> None:
        """A row of this person carries the number; `person` is the first row of theirs."""
        self._numbers.append(_small(number))
        self._persons.append(person)

    def by_several(self) -> set[int]:
        """Numbers that more than one person carries; only `in` may be asked afterwards."""
        numbers, persons = self._numbers, self._persons
        shared, last = set[int](), -1
        order = sorted(range(len(numbers)), key=numbers.__getitem__)
        for at in order:
            if last >= 0 and numbers[at] == numbers[last] and persons[at] != persons[last]:
                shared.add(numbers[at])
            last = at
        self._numbers, self._persons = array("Q", map(numbers.__getitem__, order)), array("I")
        return shared

    def __contains__(self, number: str) -> bool:
        wanted = _small(number)
        at = bisect_left(self._numbers, wanted)
        return at < len(self._numbers) and self._numbers[at] == wanted


class Unit(msgspec.Struct, frozen=True):
    """Rows judged and written together: a household (`setai_no`) or one person who lives here no more."""

    persons: tuple[str, ...]
    setai_no: str = ""


class Survey:
    """The result: rows by number, persons, households, units, and the rows that are wrong on their face."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._files: list[SourceFile] = []
        self._file = array("B")
        self._start, self._end, self._line = array("Q"), array("Q"), array("I")
        self.persons: dict[str, Person] = {}
        self.households: dict[str, HouseholdNote] = {}
        self.faults: dict[int, Fault] = {}  # rows turned away before they are read
        self.notes: dict[str, list[int]] = {}  # 宛名番号 -> rows
        self.support: dict[str, list[int]] = {}
        self.loose: list[int] = []  # rows that belong to no unit: stray notes, stray measures, broken rows
        self.stock: list[int] = []
        self.used: list[int] = []
        self._shared: dict[str, set[int]] = {path: set() for path in HELD_ONCE}  # carried by more than one person
        self.rows_of_file: dict[str, int] = {}
        self.first_of_kind: dict[str, int] = {}
        self._bodies: dict[str, set[bytes]] = {}  # 宛名番号 of whoever has very many rows -> digests of them
        self._torn: dict[str, str] = {}  # 宛名番号 as far as a broken row tells it -> why that person waits
        self._walk()

    def __len__(self) -> int:
        return len(self._line)

    def place(self, row: int) -> Place:
        """Where a row stands."""
        return Place(self._files[self._file[row]], self._line[row], self._start[row], self._end[row])

    def span(self, row: int) -> tuple[str, tuple[int, int]]:
        """Name of the file of a row, and where it begins and ends there."""
        return self._files[self._file[row]].name, (self._start[row], self._end[row])

    def told(self, row: int) -> tuple[str, str]:
        """宛名番号 and 世帯番号 of a row that was turned away, as far as it tells them."""
        place = self.place(row)
        raw = place.raw()
        return _torn_key(place.file, raw, "atena_no"), _torn_key(place.file, raw, "setai_no")

    def shared(self, path: str, number: str) -> bool:
        """Whether more than one person carries this number, by the path of its item."""
        return _small(number) in self._shared[path]

    def ordinal(self, row: int) -> int:
        """Place of a row among the rows of its kind, from 0."""
        return row - self.first_of_kind[self._files[self._file[row]].spec.kind]

    def rows_of_kind(self, kind: str) -> int:
        """Rows found in files of one kind, broken ones included."""
        return sum(self.rows_of_file[f.name] for f in self.source.of_kind(kind))

    def chunks(self) -> Iterator[tuple[Unit, ...]]:
        """Units in order, cut into chunks of about RESIDENTS_PER_CHUNK persons, smaller ones for a small extract."""
        chunk: list[Unit] = []
        persons = 0
        size = min(RESIDENTS_PER_CHUNK, max(50, len(self.persons) // 16))
        for unit in self._units():
            chunk.append(unit)
            persons += len(unit.persons)
            if persons >= size:
                yield tuple(chunk)
                chunk, persons = [], 0
        if chunk:
            yield tuple(chunk)

    def tails(self) -> Iterator[tuple[int, ...]]:
        """Rows outside the units, cut into chunks: stray rows, free codes, rows only used."""
        rows = [*self.loose, *self.stock, *self.used]
        for start in range(0, len(rows), ROWS_PER_CHUNK):
            yield tuple(rows[start : start + ROWS_PER_CHUNK])

    def unit_of(self, atena_no: str) -> Unit:
        """The unit in which a person is judged."""
        person = self.persons[atena_no]
        household = self.households.get(person.setai_no) if person.current else None
        return Unit((atena_no,)) if household is None else Unit(tuple(household.members), person.setai_no)

    def _units(self) -> Iterator[Unit]:
        done: set[str] = set()
        for atena_no in self.persons:
            unit = self.unit_of(atena_no)
            if unit.setai_no not in done:
                yield unit
            if unit.setai_no:
                done.add(unit.setai_no)

    def _walk(self) -> None:
        self._walk_kind("household", self._household)
        carried = {path: _Carried() for path in HELD_ONCE}
        self._walk_kind("resident", lambda file, row, keys: self._resident(file, row, keys, carried))
        self._shared = {path: numbers.by_several() for path, numbers in carried.items()}
        self._walk_kind("notes", lambda _, row, keys: self._belongs(self.notes, row, keys))
        self._walk_kind("support", lambda _, row, keys: self._belongs(self.support, row, keys))
        held, codes = carried["resident_code.resident_code"], set[str]()
        self._walk_kind("stock", lambda file, row, keys: self._code(file, row, keys, codes, held))
        self._walk_kind("gaiji", lambda _, row, __: self.used.append(row))
        self._mark_incomplete()
        for atena_no, person in self.persons.items():
            household = self.households.get(person.setai_no) if person.current else None
            if household is not None:
                household.members.append(atena_no)
        self._mark_empty()

    def _mark_incomplete(self) -> None:
        """A person whose newest row is missing or broken must not come in as an older one says they were, and one of whom
        a 支援措置 or a note is broken not without it."""
        for atena_no, reason in self._torn.items():
            person = self.persons.get(atena_no)
            if person is not None:
                person.waits = reason
                person.current = person.current and reason != NO_LATEST
        earlier = {number for number, file in enumerate(self._files) if file.name in file.spec.earlier}
        for person in self.persons.values():
            if self._file[person.latest] in earlier:
                person.waits, person.current = NO_LATEST, False

    def _mark_empty(self) -> None:
        """A household that the sender lists with members of whom not one was found: its people would be lost in silence."""
        waiting = {person.setai_no for person in self.persons.values() if person.waits}
        for note in self.households.values():
            if note.declared and not note.members and note.setai_no not in waiting:
                self._turn_away(note.row, Fault(_title(self.place(note.row).file, "setai_no"), "household.empty"))
        self.used = [row for row in self.used if row not in self.faults]

    def _walk_kind(self, kind: str, take: Callable[[SourceFile, int, dict[str, str]], None]) -> None:
        self.first_of_kind[kind] = len(self)
        for file in self.source.of_kind(kind):
            keys = _key_reader(self.source.layout, file)
            self._files.append(file)
            count = 0
            for row in file.rows():
                number = self._add(row)
                count += 1
                if count % _FORGET_EVERY_ROWS == 0:
                    self._forget()
                if row.problem:
                    if kind in {"resident", "support", "notes"}:
                        key = _torn_key(file, file.raw(row.start, row.end), "atena_no")
                        self._torn_for(key, NO_LATEST if kind == "resident" else HELD_PERSON)
                    self._turn_away(number, Fault("", row.problem, f"bytes({row.end - row.start})"))
                else:
                    take(file, number, keys(row))
            self.rows_of_file[file.name] = count

    def _torn_for(self, atena_no: str, reason: str) -> None:
        """This person waits; that it is not known what holds now weighs more than anything else."""
        if reason == NO_LATEST or atena_no not in self._torn:
            self._torn[atena_no] = reason

    def _forget(self) -> None:
        for file in self.source.files:
            file.forget()

    def _add(self, row: Row) -> int:
        self._file.append(len(self._files) - 1)
        self._start.append(row.start)
        self._end.append(row.end)
        self._line.append(row.line)
        return len(self._line) - 1

    def _turn_away(self, row: int, fault: Fault) -> None:
        self.faults[row] = fault
        self.loose.append(row)

    def _household(self, file: SourceFile, row: int, keys: dict[str, str]) -> None:
        setai_no, members = keys["setai_no"], keys["members"]
        if not setai_no or _counted(members) is None:
            self._turn_away(row, Fault(_title(file, "setai_no"), "item.missing"))
        elif setai_no in self.households:
            self._turn_away(row, Fault(_title(file, "setai_no"), "row.duplicate"))
        else:
            self.households[setai_no] = HouseholdNote(setai_no, row, keys["head_atena_no"], int(members), [])
            self.used.append(row)

    def _resident(self, file: SourceFile, row: int, keys: dict[str, str], carried: dict[str, _Carried]) -> None:
        atena_no, version = keys["atena_no"], keys["version_no"]
        version_no = _counted(version)
        if not atena_no or not version_no:
            self._torn_for(atena_no, NO_LATEST)  # without its number it may be the newest of all
            item = "version_no" if atena_no else "atena_no"
            self._turn_away(row, Fault(_title(file, item), "item.missing"))
            return
        person = self.persons.get(atena_no)
        if person is not None and self._same_version(row, atena_no, version_no, person):
            return
        if person is None:
            person = self.persons[atena_no] = Person((), 0, row, "", False, False)
        if isinstance(person.rows, list):
            person.rows.append(row)
        else:
            person.rows += (row,)
        for path, numbers in carried.items():
            if number := keys.get(path, ""):
                numbers.add(number, person.rows[0])
        if version_no > person.version_no:
            person.version_no, person.latest = version_no, row
            household = self.households.get(keys["setai_no"])
            person.setai_no = household.setai_no if household else keys["setai_no"]  # one string for all its members
            person.current, person.head = keys["status"] == Status.RESIDENT.value, keys["is_head"] == "1"

    def _same_version(self, row: int, atena_no: str, version_no: int, person: Person) -> bool:
        """True where this version was there before, byte for byte; another content under its number stays for judging.

        A column that holds the same 宛名番号 everywhere makes one person of a city: the digests keep that from taking days.
        """
        if len(person.rows) >= _ROWS_COMPARED and atena_no not in self._bodies:
            person.rows = list(person.rows)
            self._bodies[atena_no] = {self._body(other) for other in person.rows}
        bodies = self._bodies.get(atena_no)
        if bodies is not None:
            body = self._body(row)
            same = body in bodies
            bodies.add(body)
        elif version_no > person.version_no:
            return False
        else:
            raw = self.place(row).raw()
            same = any(self.place(other).raw() == raw for other in person.rows)
        if same:
            place = self.place(row)
            self._turn_away(row, Fault("", "row.duplicate", f"bytes({place.end - place.start})"))
        return same

    def _body(self, row: int) -> bytes:
        return blake2b(self.place(row).raw(), digest_size=16).digest()

    def _code(self, file: SourceFile, row: int, keys: dict[str, str], seen: set[str], held: _Carried) -> None:
        code = keys["resident_code"]
        if code in seen or code in held:
            reason = "row.duplicate" if code in seen else "resident_code.held"
            self._turn_away(row, Fault(_title(file, "resident_code"), reason, "digits(11)"))
            return
        seen.add(code)
        self.stock.append(row)

    def _belongs(self, table: dict[str, list[int]], row: int, keys: dict[str, str]) -> None:
        if keys["atena_no"] in self.persons:
            table.setdefault(keys["atena_no"], []).append(row)
            return
        reason = "support.unknown_person" if table is self.support else "note.unknown_person"
        place = self.place(row)
        self._turn_away(row, Fault(_title(place.file, "atena_no"), reason, f"digits({len(keys['atena_no'])})"))


_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "household": ("setai_no", "head_atena_no", "members"),
    "resident": ("atena_no", "version_no", "setai_no", "status", "is_head", *HELD_ONCE),
    "notes": ("atena_no",),
    "support": ("atena_no",),
    "stock": ("resident_code",),
    "gaiji": (),
}


def _title(file: SourceFile, path: str) -> str:
    return next((f.title for f in file.fields if f.to == path), "")


def _key_reader(layout: Layout, file: SourceFile) -> Callable[[Row], dict[str, str]]:
    wanted = [(path, field) for path in _KEYS[file.spec.kind] for field in file.fields if field.to == path]
    if not wanted:
        return lambda _: {}
    tables = {path: layout.codes.get(field.codes, {}) if field.type == "code" else {} for path, field in wanted}
    if file.is_csv:
        positions = [(path, file.fields.index(field), tables[path]) for path, field in wanted]

        def from_csv(row: Row) -> dict[str, str]:
            cells = file.cells(row.start, row.end)
            found: dict[str, str] = {}
            for path, at, table in positions:
                text = str(cells[at]).strip(PADDING)
                found[path] = table.get(text, text)
            return found

        return from_csv
    cut = file.cutter([(field.at, field.width) for _, field in wanted])
    chosen = [(path, tables[path]) for path, _ in wanted]

    def from_fixed(row: Row) -> dict[str, str]:
        found: dict[str, str] = {}
        for (path, table), cell in zip(chosen, cut(row.start, row.end), strict=True):
            text = _text(cell, file.encoding)
            found[path] = table.get(text, text) if table else text
        return found

    return from_fixed


def _torn_key(file: SourceFile, raw: bytes, path: str) -> str:
    """宛名番号 or 世帯番号 of a broken row as far as it can be told, empty where such a row has none; a wrong guess only makes
    a person wait."""
    position = next((n for n, f in enumerate(file.fields) if f.to == path), None)
    if position is None:
        return ""
    if file.is_csv:
        cells = raw.split(b",", file.width)
        at = file.order[position]
        return cells[at].decode("latin-1").strip(' "') if at < len(cells) else ""
    field = file.fields[position]
    return raw[field.at - 1 : field.at - 1 + field.width].decode("latin-1").strip()


def _small(number: str) -> int:
    """A number in 64 bits: its own value, of one with letters a digest."""
    if number.isascii() and number.isdigit() and len(number) <= _SMALL_DIGITS:
        return int(number)
    return int.from_bytes(blake2b(number.encode("utf-8", "replace"), digest_size=8).digest(), "big")


def _counted(text: str) -> int | None:
    """A small number, None for anything else: ① and ² are digits to Python and no numbers."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _COUNT_DIGITS else None


def _text(cell: Any, encoding: str) -> str:
    """A key as the items are read later: two rows of one person must not look like two persons here."""
    return str(cell, "ascii" if cell.isascii() else encoding, "replace").strip(PADDING)


__all__ = ["Field", "HouseholdNote", "Person", "Place", "Survey", "Unit"]
