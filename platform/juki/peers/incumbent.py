"""現行住民記録システム: a synthetic incumbent that hands over an extract with known people, known gaps and known faults.

Everything is drawn from one seed, streamed household by household, and the truth about planted faults is written beside the
extract (`faults.json`), so that an import can be judged row by row.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from juki.dates import today_in_japan
from juki.letters import clusters
from juki.peers.columns import INDEX
from juki.peers.faults import Fault, Line, csv_faults, fixed_faults
from juki.peers.forms import FIXED_RESIDENT, UNIDENTIFIED, CsvForm, FixedForm, Form, Sink, Written
from juki.peers.people import NAME, STATUS, HouseholdRows, Settlement
from juki.problem import Invalid, Unavailable
from juki.tenancy import system_clock

_STOCK_SHARE: Final = 20  # one free 住民票コード per so many residents
_MIN_STOCK: Final = 200
_UNIDENTIFIED_EVERY: Final = 60
FORMS: Final[dict[str, type[FixedForm] | type[CsvForm]]] = {"cp932-fixed": FixedForm, "utf8-csv": CsvForm}


class PlantedFault(msgspec.Struct, frozen=True, kw_only=True):
    """A row that a careful import rejects: file, first line, item as printed (empty: the whole row), reason code."""

    file: str
    line: int
    item: str
    reason: str


class Extract(msgspec.Struct, kw_only=True):
    """送付票: what the incumbent says it handed over; written as `extract.json`."""

    layout: str
    municipality: str
    as_of: str
    seed: int
    medium: str  # registered number of the medium it came on
    residents: int = 0
    versions: int = 0
    households: int = 0
    support_measures: int = 0
    free_codes: int = 0
    statuses: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    birth_year_total: int = 0
    files: list[Written] = msgspec.field(default_factory=list[Written])


def generate(
    municipality: str,
    out: Path,
    *,
    residents: int,
    seed: int = 1,
    layout: str = "",
    as_of: dt.date | None = None,
    faults: bool = True,
    clock: Callable[[], dt.datetime] = system_clock,
) -> Extract:
    """Write an extract of about `residents` persons to a new or empty folder and return its slip.

    `as_of` is the day of the extract, today in Japan where left out.

    Invalid `incumbent.*` for arguments that make no sense, Unavailable `incumbent.disk` where the disk refuses.
    """
    if not 1 <= residents <= 5_000_000:
        raise Invalid("incumbent.residents", "between 1 and 5,000,000 residents")
    name = layout or ("cp932-fixed" if municipality[2] == "2" else "utf8-csv")
    if name not in FORMS:
        raise Invalid("incumbent.layout", f"layouts are {', '.join(FORMS)}")
    day = as_of or today_in_japan(clock())
    try:
        _empty_folder(out)
        return _Writer(municipality, out, seed, FORMS[name](), day, faults).run(residents)
    except OSError as e:
        raise Unavailable("incumbent.disk", f"cannot write to {out}: {e.strerror}") from e


def _empty_folder(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name in {name for form in FORMS.values() for name in form.files.values()} | {"extract.json", "faults.json"}:
        (out / name).unlink(missing_ok=True)
    if any(out.iterdir()):
        raise Invalid("incumbent.not_empty", f"{out} holds other files", remedy="name a new folder")


class _Writer:
    def __init__(self, municipality: str, out: Path, seed: int, form: Form, as_of: dt.date, faults: bool) -> None:
        self.form, self.out = form, out
        self.people = Settlement(municipality, seed=seed, as_of=as_of)
        self.slip = Extract(
            layout=form.layout,
            municipality=municipality,
            as_of=as_of.isoformat(),
            seed=seed,
            medium=f"USB-{municipality}-01",
        )
        self.truth: list[PlantedFault] = []
        self.sinks = {name: Sink(out, name, form.head(kind)) for kind, name in reversed(form.files.items())}
        future = (as_of + dt.timedelta(days=200)).isoformat()
        name_at, era_at = (sum(c.width for c in FIXED_RESIDENT[: INDEX[key]]) for key in ("name", "birth"))
        planted = fixed_faults(future, name_at, era_at) if isinstance(form, FixedForm) else csv_faults(future)
        self.waiting: list[tuple[str, Fault]] = list(planted.items()) if faults else []

    def run(self, residents: int) -> Extract:
        rounds = 1 + (residents >= 20_000) * 2 + (residents >= 200_000) * 3
        self.waiting = self.waiting * rounds
        step = max(2, residents // (3 * max(1, len(self.waiting))))
        due = step
        for household_no, household in enumerate(self.people.households(residents), 1):
            self._count(household, household_no)
            lines = None
            if self.waiting and self.slip.residents >= due:
                lines = self._plant(household)
                due += step if lines else 0
            self._write(household, lines)
        for code in self.people.free_codes(max(_MIN_STOCK, residents // _STOCK_SHARE)):
            self.sinks[self.form.files["stock"]].put(self.form.stock((code,)))
            self.slip.free_codes += 1
        return self._finish()

    def _plant(self, household: HouseholdRows) -> list[Line] | None:
        for position, (_, fault) in enumerate(self.waiting):
            lines = fault(household)
            if lines is not None:
                del self.waiting[position]
                return lines
        return None

    def _count(self, household: HouseholdRows, household_no: int) -> None:
        slip = self.slip
        slip.residents += len(household.persons)
        slip.households += bool(household.current)
        slip.support_measures += len(household.support)
        for versions in household.persons:
            slip.versions += len(versions)
            latest = versions[-1]
            slip.statuses[latest[STATUS]] = slip.statuses.get(latest[STATUS], 0) + 1
            slip.birth_year_total += int((latest[INDEX["birth"]] or latest[INDEX["birth_western"]])[:4])
        if household_no % _UNIDENTIFIED_EVERY == 9 and len(household.persons) == 1 and household.current:
            row = household.current[0]
            letter = UNIDENTIFIED if self.form.layout == "cp932-fixed" else "\ue123"
            row[NAME] = unidentified(row[NAME], letter)
            row[INDEX["head_name"]] = row[NAME]

    def _write(self, household: HouseholdRows, planted: list[Line] | None) -> None:
        form, sinks = self.form, self.sinks
        if household.current:
            sinks[form.files["household"]].put(
                form.household((household.setai_no, household.head_atena_no, str(len(household.current))))
            )
        if planted is not None:
            for line in planted:
                self._write_line(line)
            return
        latest, earlier = sinks[form.files["latest"]], sinks[form.files["earlier"]]
        for versions in household.persons:
            for row in versions[:-1]:
                earlier.put(form.resident(row))
                self._notes(row)
            latest.put(form.resident(versions[-1]))
            self._notes(versions[-1])
        for row in household.support:
            sinks[form.files["support"]].put(form.support(row))

    def _notes(self, row: list[str]) -> None:
        for raw in self.form.notes(row):
            self.sinks[self.form.files["notes"]].put(raw)

    def _write_line(self, line: Line) -> None:
        name = self.form.files[line.kind]
        raw = self.form.support(line.row) if line.kind == "support" else self.form.resident(line.row)
        if line.spoil:
            raw = line.spoil(raw)
        number = self.sinks[name].put(raw)
        if line.again:
            number = self.sinks[name].put(raw)
            if line.kind == "latest":
                self.slip.versions += 1
        if line.kind != "support":
            self._notes(line.row)
        self.truth += [PlantedFault(file=name, line=number, item=item, reason=reason) for item, reason in line.faults]

    def _finish(self) -> Extract:
        for raw in self.form.gaiji()[1:]:
            self.sinks[self.form.files["gaiji"]].put(raw)
        self.slip.files = sorted((sink.close() for sink in self.sinks.values()), key=lambda w: w.name)
        _write_json(self.out / "extract.json", self.slip)
        _write_json(self.out / "faults.json", {"faults": self.truth, "not_planted": [name for name, _ in self.waiting]})
        return self.slip


def _write_json(path: Path, value: object) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")


def unidentified(name: str, letter: str) -> str:
    """A name whose first character is one that nobody identified; the variation selector goes with the character."""
    _, *rest = clusters(name)
    return letter + "".join(rest)
