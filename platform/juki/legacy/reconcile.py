"""突合: what the extract holds against what the register holds after the import, to the last row and the last item.

The totals of the source were made while judging; here everything is read back, opened and totalled again. A digest over
every item of every version is part of it, so one changed letter anywhere breaks the balance.
"""

from __future__ import annotations

import random
from typing import Final

from juki.legacy.model import Check, Counts, Outcome, Totals
from juki.legacy.plan import Plan, content_digests, measure_digest
from juki.legacy.store import ledger, readback
from juki.legacy.store.ledger import Run
from juki.registry import newest_sync, open_stored, stored_sync
from juki.registry.model import Record, Status
from juki.tenancy import Connection, Tenant
from juki.vault import TenantRing

SAMPLE: Final = 60
NOT_COUNTED: Final = "not counted on the slip"
"""Of a file that its sender did not count, nobody can tell whether all of it arrived."""
_MASK_64: Final = (1 << 64) - 1
_MASK_61: Final = (1 << 61) - 1
_BATCH: Final = 2000


class Reconciled:
    """Comparisons made and how the sample came out."""

    def __init__(self) -> None:
        self.checks: list[Check] = []
        self.sampled = 0
        self.differences = 0

    def same(self, name: str, source: int | str, stored: int | str) -> None:
        """One comparison."""
        self.checks.append(Check(name=name, ok=source == stored, source=source, stored=stored))

    def agree(self, name: str, source: object, stored: object) -> None:
        """One comparison whose figures are not shown, since over few people they would tell."""
        equal = source == stored
        self.checks.append(Check(name=name, ok=equal, source="source", stored="equal" if equal else "different"))

    @property
    def balanced(self) -> bool:
        """True where every comparison held."""
        return all(check.ok for check in self.checks)


def as_sent(plan: Plan) -> Reconciled:
    """What the sender says it handed over, against what was found."""
    found = Reconciled()
    slip = plan.source.slip
    sizes = {file.name: file for file in plan.source.files}
    for listed in slip.files:
        file = sizes.get(listed.name)
        if file is None:
            found.same(f"file {listed.name}", "handed over", "not read")
            continue
        if listed.rows is not None:
            found.same(f"rows of {listed.name}", listed.rows, plan.survey.rows_of_file[listed.name])
        if listed.bytes is not None:
            found.same(f"bytes of {listed.name}", listed.bytes, file.size)
        if listed.sha256:
            found.same(f"digest of {listed.name}", listed.sha256, file.digest())
    counted = {one.name for one in slip.files if one.rows is not None or one.bytes is not None or one.sha256}
    for name in sizes:
        if name not in counted:
            found.same(f"file {name}", NOT_COUNTED, "read")
    return found


def against_slip(plan: Plan, counts: Counts) -> Reconciled:
    """As `as_sent`, and that every row found went somewhere."""
    found = as_sent(plan)
    for name, rows in plan.survey.rows_of_file.items():
        found.same(f"rows of {name} accounted for", rows, counts.rows.get(name, 0))
    return found


def against_register(connection: Connection, tenant: Tenant, ring: TenantRing, plan: Plan, run: Run) -> Reconciled:
    """Everything of a run read back from the register and compared with the totals of the source."""
    counts, totals = ledger.chunk_totals(connection, tenant, ring, run)
    found = against_slip(plan, counts)
    stored, read, sample = _read_back(connection, tenant, ring, plan, run, found)
    found.same("versions", counts.versions, read.versions)
    found.same("residents", counts.residents, read.residents)
    for status in sorted({*counts.statuses, *read.statuses}):
        found.same(f"residents {status}", counts.statuses.get(status, 0), read.statuses.get(status, 0))
    for kind in sorted({*counts.kinds, *read.kinds}):
        found.same(f"residents {kind}", counts.kinds.get(kind, 0), read.kinds.get(kind, 0))
    measures = [
        measure_digest(m) for m in readback.measures_stored(connection, tenant, ring, run, _rows(plan, "support"))
    ]
    codes = [int(c) for c in readback.codes_stored(connection, tenant, ring, run, _rows(plan, "stock"))]
    found.same("support measures", counts.measures, len(measures))
    found.same("free resident codes", counts.codes, len(codes))
    found.agree("every item of every version", totals.content, stored.content)
    found.agree("years of birth", totals.birth_years, stored.birth_years)
    found.agree("digits of 個人番号", totals.my_numbers, stored.my_numbers)
    found.agree("every item of every support measure", totals.measures, sum(measures) & _MASK_64)
    found.agree("digits of free resident codes", totals.codes, sum(codes) & _MASK_61)
    _against_work_list(connection, tenant, run, counts, found)
    found.same("sample read back item by item: differences", 0, found.differences)
    found.sampled = sample
    return found


def _rows(plan: Plan, kind: str) -> int:
    return plan.survey.rows_of_kind(kind)


def _against_work_list(connection: Connection, tenant: Tenant, run: Run, counts: Counts, found: Reconciled) -> None:
    kept = readback.originals_kept(connection, tenant, run)
    for name in sorted({*counts.taken, *kept}):
        found.same(f"original rows of {name} kept", counts.taken.get(name, 0), kept.get(name, 0))
    listed = readback.listed(connection, tenant, run)
    for outcome, rows in (
        (Outcome.REJECTED, sum(counts.rejected.values())),
        (Outcome.HELD, sum(counts.held.values())),
        (Outcome.ALERT, sum(counts.alerts.values())),
    ):
        found.same(f"work list, {outcome.value}", rows, listed.get(outcome.value, 0))


def _read_back(
    connection: Connection, tenant: Tenant, ring: TenantRing, plan: Plan, run: Run, found: Reconciled
) -> tuple[Totals, Counts, int]:
    """Totals and counts of what is stored; a sample of the persons is compared with the source item by item.

    Every seal is opened and every byte under it goes into the digest; only the sample is taken apart into items.
    """
    counts, sample = Counts(), dict[str, list[Record]]()
    content = years = numbers = 0
    wanted = _sample(plan, run)
    first, last = run.first_event, run.first_event + _rows(plan, "resident")
    for page in stored_sync(connection, tenant.schema, ring, first_event=first, last_event=last, batch=_BATCH):
        persons, columns = page.columns[0], page.columns
        counts.versions += len(persons)
        content += content_digests(
            zip(zip(*columns[:2], strict=True), zip(*columns[3:12], strict=True), strict=True),
            page.groups,
            zip(*columns[-4:], strict=True),
            page.details,
        )
        years += page.birth_years()
        numbers += page.my_numbers()
        for row, atena_no in enumerate(persons):
            if atena_no in wanted:
                sample.setdefault(atena_no, []).append(open_stored(ring, page, row))
    for status, kind, residents in newest_sync(connection, tenant.schema, first_event=first, last_event=last):
        counts.residents += residents
        Counts.bump(counts.statuses, status, residents)
        Counts.bump(counts.kinds, f"{kind} {'current' if status == Status.RESIDENT.value else 'removed'}", residents)
    connection.rollback()
    found.differences += sum(_differences(plan, versions) for versions in sample.values())
    totals = Totals(content=content & _MASK_64, birth_years=years, my_numbers=numbers & _MASK_61)
    return totals, counts, len(sample)


def _sample(plan: Plan, run: Run) -> set[str]:
    """A fixed sample of persons, the same however often it is drawn."""
    persons = list(plan.survey.persons)
    chosen = random.Random(run.run_no).sample(persons, min(len(persons), SAMPLE * 2))  # noqa: S311 - a sample, no secret
    return set(chosen)


def _differences(plan: Plan, stored_versions: list[Record]) -> int:
    """Items in which a person's stored versions differ from the rows of the extract, read anew."""
    versions = sorted(stored_versions, key=lambda version: version.version_no)
    source = plan.reread(versions[0].atena_no)
    if len(source) != len(versions):
        return 1
    differing = 0
    for stored, given in zip(versions, source, strict=True):
        for name in Record.__struct_fields__:
            if name != "event_no" and getattr(stored, name) != getattr(given, name):
                differing += 1
    return differing
