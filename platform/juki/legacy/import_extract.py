"""移行の実行: an incumbent's extract taken into the register, chunk by chunk; killed at any point and started again it ends
the same. The order of the story: survey, register the run, write chunks, read everything back, say whether it balances."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from juki.access.model import Caller
from juki.audit import operation
from juki.dates import today_in_japan
from juki.legacy import apart, numbering, reconcile
from juki.legacy import layout as layouts
from juki.legacy.layout import Layout
from juki.legacy.media import insist_on_medium
from juki.legacy.model import Counts, Entry, Report
from juki.legacy.plan import DIGEST_FORMAT, Plan, Progress
from juki.legacy.store import here, ledger
from juki.legacy.store.ledger import Run, RunRow
from juki.legacy.workers import Task, worth, write_together
from juki.legacy.writing import at_full_speed, write_chunks
from juki.problem import Conflict, Invalid, Misconfigured
from juki.tenancy import Fleet, Tenant, bulk

PURPOSE = "データ移行"


async def dry_run(
    fleet: Fleet, caller: Caller, folder: Path, *, layout: str = "", progress: Progress | None = None
) -> tuple[Report, list[Entry]]:
    """予行: every check of an import and none of its writes; the report and the rows that would be turned away.

    Raises what `run_import` raises before it writes.
    """
    async with operation(fleet, caller, "legacy.dry_run", purpose=PURPOSE, right="import.run", write=False) as op:
        tenant = op.tenant
        with _opened(fleet, tenant, folder, layout) as plan:
            started = time.monotonic()
            report, entries = await asyncio.to_thread(_rehearse, plan, tenant, progress, started)
        op.fact(rows=plan.rows, rejected=sum(report.counts.rejected.values()))
    return report, entries


async def run_import(
    fleet: Fleet,
    caller: Caller,
    folder: Path,
    *,
    layout: str = "",
    medium: str = "",
    workers: int = 1,
    progress: Progress | None = None,
) -> Report:
    """移行: take the extract in `folder` over. `medium` is the registered number of the medium it came on, by default as the
    slip says (R-1-3.2-MED-01); `layout` a built-in name or a file, by default the tenant's `incumbent_layout`; `workers` how many processes
    write, 0 for as many as the extract is worth on this machine.

    Raises Invalid `legacy.*` for an extract that cannot be read as a whole, Misconfigured `legacy.layout_*`, Conflict
    `legacy.running`, `legacy.already_imported`, `legacy.already_there` or `legacy.held_already`, Unavailable where database or keys are gone.
    Rows at fault raise nothing: they are on the work list and in the report.
    """
    tenant = await fleet.tenant(caller.tenant)
    with _opened(fleet, tenant, folder, layout) as plan:
        started = time.monotonic()
        await asyncio.to_thread(_insist_on_slip, plan)
        source = await asyncio.to_thread(plan.source.digest)
        await _insist_on_apart(fleet, caller, plan, source)
        run = await _register(fleet, caller, plan, source, medium or plan.source.slip.medium)
        await asyncio.to_thread(_write_all, fleet, tenant, plan, run, workers or worth(plan.rows), progress, started)
        await asyncio.to_thread(numbering.beyond_imported, fleet, tenant)
        found = await asyncio.to_thread(_compare, fleet, tenant, plan, run)
        seconds = time.monotonic() - started
        async with operation(fleet, caller, "legacy.import_end", purpose=PURPOSE, right="import.run") as op:
            counts = await asyncio.to_thread(_counts, fleet, tenant, run)
            report = _report(tenant, plan, counts, found, seconds, run_no=run.run_no, medium=run.medium)
            await ledger.end_run(op, run, report)
            op.fact(run_no=run.run_no, residents=counts.residents, balanced=int(report.balanced))
    return report


async def report(fleet: Fleet, caller: Caller) -> Report:
    """突合報告 of the newest run that ended. Invalid `legacy.no_report` where there is none."""
    async with operation(fleet, caller, "legacy.report", purpose=PURPOSE, right="import.run", write=False) as op:
        run = await ledger.last_run(op)
        found = await ledger.read_report(op, run.run_no) if run else None
        if found is None:
            raise Invalid("legacy.no_report", "no import has ended here yet", remedy="run `juki legacy import`")
        return found


@contextmanager
def _opened(fleet: Fleet, tenant: Tenant, folder: Path, layout: str) -> Generator[Plan, None, None]:
    chosen = _layout(tenant, layout)
    if not folder.is_dir():
        raise Invalid("legacy.source_missing", f"{folder} is not a folder", remedy="name the folder of the extract")
    today = today_in_japan(fleet.clock())
    rule = tenant.settings.numbering.resident_code_check
    with Plan(folder, chosen, tenant=tenant.code, resident_code_rule=rule, today=today) as plan:
        yield plan


def _layout(tenant: Tenant, name: str) -> Layout:
    wanted = name or tenant.settings.incumbent_layout
    if not wanted:
        raise Misconfigured(
            "legacy.layout_missing",
            f"tenant {tenant.code} names no incumbent_layout",
            remedy="set incumbent_layout in the tenant's file, or use --layout",
        )
    return layouts.load(wanted)


def _insist_on_slip(plan: Plan) -> None:
    """An extract that is not what its sender counted is not begun: once written, people who are missing cannot follow."""
    differing = [check for check in reconcile.as_sent(plan).checks if not check.ok]
    if differing:
        first = differing[0]
        if [check.source for check in differing] == [reconcile.NOT_COUNTED] * len(plan.source.files):
            raise Invalid(
                "legacy.slip_uncounted",
                f"{first.name}: {first.source} ({len(differing)} such)",
                remedy="ask the sender for a slip that gives rows, bytes or SHA-256 of every file",
            )
        raise Invalid(
            "legacy.slip_differs",
            f"{first.name}: the slip says {first.source}, found {first.stored} ({len(differing)} such)",
            remedy="copy the extract from the medium again; if it still differs, ask the sender for it anew",
        )


async def _insist_on_apart(fleet: Fleet, caller: Caller, plan: Plan, source: str) -> None:
    """An extract that was not begun yet brings nothing that a register with people in it holds already."""
    async with operation(fleet, caller, "legacy.import", purpose=PURPOSE, right="import.run", write=False) as op:
        known = await ledger.find_run(op, source, plan.layout.digest)
        op.fact(rows=plan.rows)
        if known is not None or not await here.anything(op):
            return
        await apart.insist_on_nobody_known(op, plan)
    brought = await asyncio.to_thread(apart.Brought, plan)
    async with operation(fleet, caller, "legacy.import", purpose=PURPOSE, right="import.run", write=False) as op:
        op.fact(rows=plan.rows)
        await apart.insist_on_nothing_shared(op, plan, brought)


async def _register(fleet: Fleet, caller: Caller, plan: Plan, source: str, medium: str) -> Run:
    """The run of this extract: a new one, or the one that was interrupted."""
    if not medium:
        raise Invalid("legacy.medium_missing", "the extract came on no registered medium", remedy="use --medium")
    async with operation(fleet, caller, "legacy.import", purpose=PURPOSE, right="import.run") as op:
        run = await ledger.find_run(op, source, plan.layout.digest)
        if run is not None and run.ended:
            raise Conflict(
                "legacy.already_imported",
                "this extract was imported before",
                remedy="`juki legacy report` shows how it ended",
                run_no=run.run_no,
            )
        await insist_on_medium(op, medium)
        if run is None:
            run = await ledger.add_run(
                op,
                RunRow(
                    layout=plan.layout.name,
                    layout_digest=plan.layout.digest,
                    layout_found=msgspec.json.encode(plan.source.layout_found()).decode(),
                    source_digest=source,
                    medium=medium,
                    events=plan.survey.rows_of_kind("resident"),
                    measures=plan.survey.rows_of_kind("support"),
                    codes=plan.survey.rows_of_kind("stock"),
                    rows_total=plan.rows,
                    chunks_total=plan.chunks,
                ),
            )
        op.fact(run_no=run.run_no, rows=plan.rows, medium=medium)
    return run


def _write_all(
    fleet: Fleet, tenant: Tenant, plan: Plan, run: Run, workers: int, progress: Progress | None, started: float
) -> None:
    """Write every chunk that is not there yet, here or by several processes, while this connection holds the run."""
    with bulk(fleet, tenant.code) as connection:
        ledger.hold_run(connection, tenant)
        done = ledger.done_chunks(connection, tenant, fleet.keyring.get_sync(tenant.code), run, DIGEST_FORMAT)
        left = [number for number in range(plan.chunks) if number not in done]

        def written(number: int) -> None:
            done.add(number)
            _tell(progress, plan, len(done), started)

        if workers > 1 and len(left) > 1:
            task = Task(
                config=fleet.config,
                tenant=tenant.code,
                folder=plan.source.folder,
                layout=plan.layout,
                today=plan.today,
                run=run,
                rows=plan.rows,
                chunks=plan.chunks,
            )
            write_together(task, left, workers, written)
        else:
            write_chunks(fleet, tenant, plan, run, connection, left, written)
        _tell(progress, plan, plan.chunks, started)


def _rehearse(plan: Plan, tenant: Tenant, progress: Progress | None, started: float) -> tuple[Report, list[Entry]]:
    counts, entries = Counts(), list[Entry]()
    with at_full_speed():
        for number in range(plan.chunks):
            result = plan.chunk(number)
            counts.add(result.counts)
            entries += result.entries
            _tell(progress, plan, number + 1, started)
    found = reconcile.against_slip(plan, counts)
    seconds = time.monotonic() - started
    return _report(tenant, plan, counts, found, seconds, run_no=0, medium=plan.source.slip.medium), entries


def _tell(progress: Progress | None, plan: Plan, done: int, started: float) -> None:
    """Progress after so many chunks."""
    if progress is not None:
        progress(plan.rows * done // max(1, plan.chunks), plan.rows, time.monotonic() - started)


def _compare(fleet: Fleet, tenant: Tenant, plan: Plan, run: Run) -> reconcile.Reconciled:
    with bulk(fleet, tenant.code) as connection, at_full_speed():
        ring = fleet.keyring.get_sync(tenant.code)
        return reconcile.against_register(connection, tenant, ring, plan, run)


def _counts(fleet: Fleet, tenant: Tenant, run: Run) -> Counts:
    with bulk(fleet, tenant.code) as connection:
        return ledger.chunk_totals(connection, tenant, fleet.keyring.get_sync(tenant.code), run)[0]


def _report(
    tenant: Tenant,
    plan: Plan,
    counts: Counts,
    found: reconcile.Reconciled,
    seconds: float,
    *,
    run_no: int,
    medium: str,
) -> Report:
    return Report(
        tenant=tenant.code,
        layout=plan.layout.name,
        medium=medium,
        run_no=run_no,
        dry_run=run_no == 0,
        balanced=found.balanced,
        counts=counts,
        checks=tuple(found.checks),
        sampled=found.sampled,
        sample_differences=found.differences,
        seconds=round(seconds, 2),
        residents_per_second=int(counts.residents / seconds) if seconds else 0,
    )
