"""一世帯の審査: every row of a household, or of one removed person, judged together; all of it comes in or none of it.

A row is *rejected* for what it says itself, and *held* where it is right but a row it belongs with is not: a household
without its head, or a history with a hole, would be worse than one that waits on the work list.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import msgspec

from juki.legacy.assemble import Incoming, ResidentRows, SupportRows
from juki.legacy.cells import value_class
from juki.legacy.extract import SourceFile
from juki.legacy.model import Entry, Fault, Outcome
from juki.legacy.survey import HELD_ONCE, HELD_PERSON, Person, Place, Survey, Unit
from juki.personal import Personal
from juki.registry.model import Notes, Record, SupportMeasure

HELD_HOUSEHOLD = "held.household"
_HEAD = "世帯主"


class Taken(Personal, frozen=True, kw_only=True):
    """A row to be written: its number and place, and what became of it."""

    row: int
    place: Place
    atena_no: str
    version_no: int
    incoming: Incoming | None = None
    measure: SupportMeasure | None = None


class Verdict:
    """What a unit comes to."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.entries: list[Entry] = []


class Judge:
    """Judges units of one extract; holds the readers of its files and the notes of the persons at hand."""

    def __init__(
        self,
        survey: Survey,
        residents: dict[str, ResidentRows],
        support: dict[str, SupportRows],
        read_note: Callable[[Place], tuple[int, str, str] | Fault],
    ) -> None:
        self._survey = survey
        self._residents = residents
        self._support = support
        self._read_note = read_note

    def judge(self, unit: Unit) -> Verdict:
        """Every row of the unit is in exactly one list; alerts come on top."""
        verdict = Verdict()
        own: dict[str, list[Taken] | None] = {}
        for atena_no in unit.persons:
            own[atena_no] = self._person(atena_no, verdict.entries)
        refused = self._household(unit, own, verdict.entries)
        whole = not refused and all(rows is not None for rows in own.values())
        for atena_no, rows in own.items():
            if rows is None or (refused and atena_no in refused):
                continue
            if whole:
                verdict.taken += rows
            else:
                verdict.entries += [_held(t, HELD_HOUSEHOLD) for t in rows]
        if not whole:
            verdict.entries = [e for e in verdict.entries if e.outcome is not Outcome.ALERT]
        setai_no = unit.setai_no or self._survey.persons[unit.persons[0]].setai_no
        verdict.entries = [msgspec.structs.replace(e, setai_no=setai_no) for e in verdict.entries]
        return verdict

    def row_fault(self, row: int) -> Entry:
        """A row that the survey turned away."""
        atena_no, setai_no = self._survey.told(row)
        entry = _entry(Outcome.REJECTED, self._survey.place(row), self._survey.faults[row], atena_no)
        return msgspec.structs.replace(entry, setai_no=setai_no)

    # --- one person -----------------------------------------------------------------------------------------------

    def _person(self, atena_no: str, entries: list[Entry]) -> list[Taken] | None:
        """Rows of one person, all right, or None with the reasons in `entries`."""
        person = self._survey.persons[atena_no]
        good: list[Taken] = []
        bad: list[Entry] = []
        alerts: list[Entry] = []
        for row in person.rows:
            self._version(atena_no, row, good, bad, alerts)
        good.sort(key=lambda t: t.version_no)
        self._numbering(person, good, bad)
        if person.waits and not bad:
            bad += [_held(t, person.waits) for t in good]
            good.clear()
        notes = self._notes(atena_no, good, bad)
        measures = self._measures(atena_no, bad, alerts)
        if bad:
            entries += bad
            entries += [_held(t, HELD_PERSON) for t in [*good, *notes, *measures]]
            return None
        entries += alerts
        return [*_in_time(good), *notes, *measures]

    def _version(self, atena_no: str, row: int, good: list[Taken], bad: list[Entry], alerts: list[Entry]) -> None:
        place = self._survey.place(row)
        rows = self._residents[place.file.name]
        incoming = rows.read(place.start, place.end)
        if incoming is not None:
            record = incoming.record
            for path, number in _held_once(record):
                if self._survey.shared(path, number):
                    fault = Fault(rows.reader.titles[path], HELD_ONCE[path], value_class(number))
                    bad.append(_entry(Outcome.REJECTED, place, fault, atena_no))
                    return
            good.append(
                Taken(row=row, place=place, atena_no=record.atena_no, version_no=record.version_no, incoming=incoming)
            )
            alerts += [_entry(Outcome.ALERT, place, alert, atena_no) for alert in rows.reader.alerts]
        else:
            bad.append(_entry(Outcome.REJECTED, place, rows.reader.faults[0], atena_no))

    def _numbering(self, person: Person, good: list[Taken], bad: list[Entry]) -> None:
        """履歴番号 run from 1 without a hole and without a second content under one number."""
        numbers = [t.version_no for t in good]
        if len(set(numbers)) != len(numbers):
            twice = {number for number, times in Counter(numbers).items() if times > 1}
            fault = Fault("", "version.two_contents")
            bad += [_entry(Outcome.REJECTED, t.place, fault, t.atena_no) for t in good if t.version_no in twice]
            good[:] = [t for t in good if t.version_no not in twice]
        elif not bad and numbers != list(range(1, len(numbers) + 1)):
            bad += [_held(t, "version.gap") for t in good]
            good.clear()

    def _notes(self, atena_no: str, good: list[Taken], bad: list[Entry]) -> list[Taken]:
        taken: list[Taken] = []
        for row in self._survey.notes.get(atena_no, ()):
            place = self._survey.place(row)
            note = self._read_note(place)
            if isinstance(note, Fault):
                bad.append(_entry(Outcome.REJECTED, place, note, atena_no))
                continue
            version_no, kind, text = note
            position = next((n for n, t in enumerate(good) if t.version_no == version_no), None)
            if position is None:
                outcome = Outcome.HELD if bad else Outcome.REJECTED
                fault = Fault("", HELD_PERSON if bad else "note.unknown_version")
                bad.append(_entry(outcome, place, fault, atena_no))
                continue
            good[position] = _with_note(good[position], kind, text)
            taken.append(Taken(row=row, place=place, atena_no=atena_no, version_no=version_no))
        return taken

    def _measures(self, atena_no: str, bad: list[Entry], alerts: list[Entry]) -> list[Taken]:
        taken: list[Taken] = []
        for row in self._survey.support.get(atena_no, ()):
            place = self._survey.place(row)
            rows = self._support[place.file.name]
            measure = rows.read(place.start, place.end)
            if measure is None:
                bad.append(_entry(Outcome.REJECTED, place, rows.reader.faults[0], atena_no))
                continue
            alerts += [_entry(Outcome.ALERT, place, alert, atena_no) for alert in rows.reader.alerts]
            taken.append(Taken(row=row, place=place, atena_no=atena_no, version_no=0, measure=measure))
        return taken

    # --- the household --------------------------------------------------------------------------------------------

    def _household(self, unit: Unit, own: dict[str, list[Taken] | None], entries: list[Entry]) -> set[str]:
        """Persons whose latest row breaks a rule of the household; their rows go to `entries`."""
        if not unit.setai_no:
            person = self._survey.persons[unit.persons[0]]
            if person.current:
                return self._refuse(own, entries, unit.persons, "setai_no", "household.unknown")
            return set()
        note = self._survey.households[unit.setai_no]
        heads = [a for a in unit.persons if self._survey.persons[a].head]
        if len(heads) > 1:
            return self._refuse(own, entries, heads, "is_head", "household.two_heads")
        if len(unit.persons) != note.declared:
            return self._hold(own, entries, unit.persons, "household.count")
        if not heads:
            return self._refuse(own, entries, unit.persons, "is_head", "household.no_head")
        if note.head_atena_no and heads[0] != note.head_atena_no:
            return self._refuse(own, entries, heads, "is_head", "household.other_head")
        odd = [a for a in unit.persons if not self._agrees(own[a], a == heads[0])]
        return self._refuse(own, entries, odd, "basic.relationship", "relationship.not_head") if odd else set()

    @staticmethod
    def _agrees(rows: list[Taken] | None, is_head: bool) -> bool:
        """続柄 世帯主 stands with the head and with nobody else."""
        latest = [t for t in rows or () if t.incoming is not None]
        if not latest or latest[-1].incoming is None or latest[-1].incoming.record.basic is None:
            return True
        return (latest[-1].incoming.record.basic.relationship == _HEAD) is is_head

    def _refuse(
        self,
        own: dict[str, list[Taken] | None],
        entries: list[Entry],
        persons: Sequence[str],
        path: str,
        reason: str,
    ) -> set[str]:
        for atena_no in persons:
            rows = own[atena_no]
            if rows is None:
                continue  # turned away already for a reason of its own
            latest = self._survey.persons[atena_no].latest
            for taken in rows:
                title = self._residents[taken.place.file.name].reader.titles[path] if taken.row == latest else ""
                fault = Fault(title, reason) if taken.row == latest else Fault("", HELD_PERSON)
                outcome = Outcome.REJECTED if taken.row == latest else Outcome.HELD
                entries.append(_entry(outcome, taken.place, fault, atena_no))
        return set(persons)

    @staticmethod
    def _hold(
        own: dict[str, list[Taken] | None], entries: list[Entry], persons: Sequence[str], reason: str
    ) -> set[str]:
        entries += [_held(taken, reason) for a in persons for taken in own[a] or ()]
        return set(persons)


def _held_once(record: Record) -> Iterator[tuple[str, str]]:
    """(item path, number) of what no two persons can share."""
    if record.my_number is not None:
        yield "my_number.my_number", record.my_number.my_number
    if record.resident_code is not None:
        yield "resident_code.resident_code", record.resident_code.resident_code
    if record.foreigner is not None:
        yield "foreigner.card_number", record.foreigner.card_number


def _held(taken: Taken, reason: str) -> Entry:
    return _entry(Outcome.HELD, taken.place, Fault("", reason), taken.atena_no)


def _entry(outcome: Outcome, place: Place, fault: Fault, atena_no: str) -> Entry:
    name, line, raw = place.file.name, place.line, place.raw()
    return Entry(outcome=outcome, file=name, line=line, fault=fault, raw=raw, atena_no=atena_no)


def _with_note(taken: Taken, kind: str, text: str) -> Taken:
    incoming = taken.incoming
    if incoming is None:
        return taken
    notes = incoming.record.notes or Notes()
    joined = f"{getattr(notes, kind)}\n{text}" if getattr(notes, kind) else text
    record = msgspec.structs.replace(incoming.record, notes=msgspec.structs.replace(notes, **{kind: joined}))
    return msgspec.structs.replace(taken, incoming=Incoming(record=record, event=incoming.event))


def _in_time(good: list[Taken]) -> list[Taken]:
    """Versions with days and instants that never run backwards, so that the time line follows the history numbers."""
    if len(good) == 1:
        return good
    valid, known = dt.date.min, dt.datetime.min.replace(tzinfo=dt.UTC)
    out: list[Taken] = []
    for taken in good:
        incoming = taken.incoming
        if incoming is None:
            continue
        record, event = incoming.record, incoming.event
        valid = max(valid, record.valid_from)
        known = max(known, event.known_from)
        if valid != record.valid_from or known != event.known_from:
            record = msgspec.structs.replace(record, valid_from=valid, known_from=known)
            event = msgspec.structs.replace(event, known_from=known)
            taken = msgspec.structs.replace(taken, incoming=Incoming(record=record, event=event))
        out.append(taken)
    return out


__all__ = ["HELD_HOUSEHOLD", "HELD_PERSON", "Judge", "SourceFile", "Taken", "Verdict"]
