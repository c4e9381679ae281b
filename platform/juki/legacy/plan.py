"""移行の段取り: an opened extract, surveyed and cut into chunks; what each chunk comes to, without writing anything."""

from __future__ import annotations

import datetime as dt
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple

import msgspec

from juki.legacy import gaiji
from juki.legacy.assemble import Reader, ResidentRows, SupportRows
from juki.legacy.extract import Source
from juki.legacy.judge import Judge, Taken
from juki.legacy.layout import Layout
from juki.legacy.model import Counts, Entry, Fault, Outcome, Totals
from juki.legacy.survey import Place, Survey, Unit
from juki.problem import Invalid
from juki.registry import pack_event, pack_records
from juki.registry.model import Record, Status, SupportMeasure

DIGEST_FORMAT: Final = 2
"""What the control totals of a chunk are made of; kept with them, since an import may be resumed by another release."""
_MASK_64: Final = (1 << 64) - 1
_MASK_61: Final = (1 << 61) - 1
_encode: Final = msgspec.msgpack.Encoder().encode


class ChunkResult:
    """What one chunk comes to: rows to write, rows for the work list, free codes, counts and totals."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.entries: list[Entry] = []
        self.packed: dict[int, Packed] = {}  # row -> its version as it goes under the seals
        self.codes: list[tuple[Place, int, str]] = []  # place, ordinal, 住民票コード
        self.counts = Counts()
        self.totals = Totals()


class Plan:
    """An extract ready to be judged chunk by chunk, always the same chunks for the same files."""

    def __init__(self, folder: Path, layout: Layout, *, tenant: str, resident_code_rule: str, today: dt.date) -> None:
        self.layout, self.today = layout, today
        self.source = Source(folder, layout)
        try:
            self._check_slip(tenant)
            self.gaiji = gaiji.read(self.source)
            self.survey = Survey(self.source)
            if not self.survey.rows_of_kind("resident"):
                raise Invalid(
                    "legacy.no_residents",
                    f"{', '.join(file.name for file in self.source.of_kind('resident'))}: not one row",
                    remedy="ask the sender for the extract again",
                )
            readers = {
                file.name: Reader(file, layout, self.gaiji, resident_code_rule)
                for file in self.source.files
                if file.spec.kind != "gaiji"
            }
            self._readers = readers
            self._residents = {f.name: ResidentRows(readers[f.name], today) for f in self.source.of_kind("resident")}
            self.judge = Judge(
                self.survey,
                self._residents,
                {f.name: SupportRows(readers[f.name]) for f in self.source.of_kind("support")},
                self._read_note,
            )
            self._units: list[tuple[Unit, ...]] = list(self.survey.chunks())
            self._tails: list[tuple[int, ...]] = list(self.survey.tails())
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Plan:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files."""
        for file in self.source.files:
            file.close()

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return len(self._units) + len(self._tails)

    @property
    def rows(self) -> int:
        """How many rows were found in all files."""
        return len(self.survey)

    def chunk(self, number: int) -> ChunkResult:
        """Judge one chunk."""
        if number < len(self._units):
            result = self._judge_units(self._units[number])
        else:
            result = self._judge_tail(self._tails[number - len(self._units)])
        _count_entries(result)
        for file in self.source.files:
            file.forget()
        return result

    def reread(self, atena_no: str) -> list[Record]:
        """Every version of one person read anew from the extract, oldest first; empty where a row is at fault."""
        if atena_no not in self.survey.persons:
            return []
        taken = self.judge.judge(self.survey.unit_of(atena_no)).taken
        return [t.incoming.record for t in taken if t.atena_no == atena_no and t.incoming is not None]

    def _judge_units(self, units: Sequence[Unit]) -> ChunkResult:
        result = ChunkResult()
        self._read_ahead(units)
        for unit in units:
            verdict = self.judge.judge(unit)
            result.entries += verdict.entries
            result.taken += verdict.taken
            if verdict.taken and unit.setai_no:
                result.counts.households += 1
        result.totals = _count_taken(result)
        return result

    def _read_ahead(self, units: Sequence[Unit]) -> None:
        """Have the rows of these units read together."""
        places: dict[str, list[tuple[int, int]]] = {}
        for unit in units:
            for atena_no in unit.persons:
                for row in self.survey.persons[atena_no].rows:
                    name, span = self.survey.span(row)
                    places.setdefault(name, []).append(span)
        for name, rows in places.items():
            self._residents[name].read_ahead(rows)

    def _judge_tail(self, rows: Sequence[int]) -> ChunkResult:
        result = ChunkResult()
        survey, counts = self.survey, result.counts
        total = 0
        for row in rows:
            place = survey.place(row)
            if row in survey.faults:
                result.entries.append(self.judge.row_fault(row))
            elif place.file.spec.kind == "stock":
                code = self._read_code(place)
                if isinstance(code, Fault):
                    result.entries.append(_rejected(place, code))
                    continue
                counts.codes += 1
                Counts.bump(counts.taken, place.file.name)
                total = (total + int(code)) & _MASK_61
                result.codes.append((place, survey.ordinal(row), code))
            else:
                Counts.bump(counts.used, place.file.name)
        result.totals = Totals(format=DIGEST_FORMAT, codes=total)
        return result

    def _read_code(self, place: Place) -> str | Fault:
        reader = self._readers[place.file.name]
        values = reader.read(place.start, place.end)
        if reader.faults:
            return reader.faults[0]
        code = values[reader.paths.index("resident_code")]
        return code if code is not None else Fault(reader.titles["resident_code"], "item.missing", "empty")

    def _read_note(self, place: Place) -> tuple[int, str, str] | Fault:
        reader = self._readers[place.file.name]
        values = dict(zip(reader.paths, reader.read(place.start, place.end), strict=True))
        if reader.faults:
            return reader.faults[0]
        for path in ("version_no", "note_kind", "note"):
            if values[path] is None:
                return Fault(reader.titles[path], "item.missing", "empty")
        return values["version_no"], values["note_kind"], values["note"]

    def _check_slip(self, tenant: str) -> None:
        slip = self.source.slip
        if slip.municipality != tenant:
            raise Invalid(
                "legacy.other_municipality",
                f"this extract is of {slip.municipality}, not of {tenant}",
                remedy="name the folder of this municipality's extract",
            )
        if slip.layout and slip.layout != self.layout.name:
            raise Invalid(
                "legacy.other_layout",
                f"the slip names layout {slip.layout}, the import was told {self.layout.name}",
                remedy=f"use --layout {slip.layout}, or a copy of it under that name",
            )


class Packed(NamedTuple):
    """The sealed parts of one version and its change, encoded once: for the digest and for the seals."""

    groups: tuple[bytes | None, ...]
    detail: bytes


def content_digests(
    plain: Iterable[Sequence[object]],
    groups: Iterable[Sequence[bytes | None]],
    changes: Iterable[Sequence[object]],
    details: Iterable[bytes],
) -> int:
    """Sum of a 64-bit digest over every item of each version and of the change that made it; equal for equal content.

    The sealed groups go in as encoded, so that reading back need not decode what it compares; an instant goes in as
    one, whatever the time zone it is written in. A change to any of this changes DIGEST_FORMAT.
    """
    raw = map(_encode, zip(plain, groups, changes, details, strict=True))
    digests = [blake2b(one, digest_size=8).digest() for one in raw]
    return sum(struct.unpack(f">{len(digests)}Q", b"".join(digests)))


def measure_digest(content: SupportMeasure) -> int:
    """64-bit digest over every item of a 支援措置."""
    return int.from_bytes(blake2b(_encode(content), digest_size=8).digest(), "big")


_plain_of: Final = attrgetter(
    "setai_no",
    "member_order",
    "is_head",
    "status",
    "kind",
    "valid_from",
    "known_from",
    "corrects_version",
    "cancels_version",
)
_keys_of: Final = attrgetter("atena_no", "version_no")
_change_of: Final = attrgetter("reason", "notified_on", "processed_on", "known_from")


def _count_taken(result: ChunkResult) -> Totals:
    counts = result.counts
    incoming = [(taken.row, taken.incoming) for taken in result.taken if taken.incoming is not None]
    records = [one.record for _, one in incoming]
    groups = pack_records(records)
    details = [pack_event(one.event) for _, one in incoming]
    result.packed = {
        row: Packed(*packed) for (row, _), packed in zip(incoming, zip(groups, details, strict=True), strict=True)
    }
    measures = [taken.measure for taken in result.taken if taken.measure is not None]
    latest = {record.atena_no: record for record in records}
    counts.versions, counts.residents, counts.measures = len(records), len(latest), len(measures)
    for file, rows in Counter(taken.place.file.name for taken in result.taken).items():
        Counts.bump(counts.taken, file, rows)
    for (status, kind), persons in Counter((record.status, record.kind) for record in latest.values()).items():
        Counts.bump(counts.statuses, status.value, persons)
        Counts.bump(counts.kinds, f"{kind.value} {'current' if status is Status.RESIDENT else 'removed'}", persons)
    return Totals(
        format=DIGEST_FORMAT,
        content=content_digests(
            zip(map(_keys_of, records), map(_plain_of, records), strict=True),
            groups,
            (_change_of(one.event) for _, one in incoming),
            details,
        )
        & _MASK_64,
        birth_years=sum(record.basic.birth.year for record in records if record.basic is not None),
        my_numbers=sum(int(record.my_number.my_number or 0) for record in records if record.my_number is not None)
        & _MASK_61,
        measures=sum(map(measure_digest, measures)) & _MASK_64,
    )


def _count_entries(result: ChunkResult) -> None:
    counts = result.counts
    for entry in result.entries:
        if entry.outcome is Outcome.ALERT:
            Counts.bump(counts.alerts, entry.fault.reason)
            continue
        Counts.bump(counts.rejected if entry.outcome is Outcome.REJECTED else counts.held, entry.file)
        Counts.bump(counts.reasons, entry.fault.reason)
    for part in (counts.taken, counts.used, counts.rejected, counts.held):
        for file, rows in part.items():
            Counts.bump(counts.rows, file, rows)


def _rejected(place: Place, fault: Fault) -> Entry:
    return Entry(outcome=Outcome.REJECTED, file=place.file.name, line=place.line, fault=fault, raw=place.raw())


Progress = Callable[[int, int, float], None]
"""Called with rows done, rows in all, seconds since the start."""
