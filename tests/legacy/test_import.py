"""データ移行: an extract comes in whole, rows at fault go to the work list, both sides balance (R-1-2.6-MIG-01)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tests.legacy.media import imported

from juki import legacy
from juki.access.model import Caller
from juki.audit import operation
from juki.legacy.cut import HIDDEN
from juki.problem import Conflict, JukiError, NotFound, Refused
from juki.registry import record
from juki.tenancy import Fleet

from .conftest import CODES, truth


@pytest.fixture(scope="module")
def importer(caller: Callable[..., Caller]) -> Callable[[str], Caller]:
    def make(code: str) -> Caller:
        return caller("import.run", "import.review", "resident.read", "resident.my_number", tenant=code)

    return make


@pytest.fixture(scope="module")
async def reports(
    fleet: Fleet, extracts: dict[str, Path], importer: Callable[[str], Caller]
) -> dict[str, legacy.Report]:
    """Both municipalities imported side by side."""
    return {code: await imported(fleet, importer(code), extracts[code]) for code in CODES}


@pytest.mark.parametrize("code", CODES)
async def test_a_dry_run_says_what_the_import_then_does(
    fleet: Fleet,
    extracts: dict[str, Path],
    reports: dict[str, legacy.Report],
    importer: Callable[[str], Caller],
    code: str,
) -> None:
    """R-1-2.6-MIG-01: the same checks and no writes."""
    told, entries = await legacy.dry_run(fleet, importer(code), extracts[code])
    assert told.counts == reports[code].counts
    assert told.balanced
    assert told.dry_run
    assert len(entries) == sum(told.counts.rejected.values()) + sum(told.counts.held.values()) + sum(
        told.counts.alerts.values()
    )


@pytest.mark.parametrize("code", CODES)
async def test_an_import_balances_to_the_last_row(reports: dict[str, legacy.Report], code: str) -> None:
    """R-1-2.6-MIG-01: counts and digests match before and after."""
    found = reports[code]
    assert [c for c in found.checks if not c.ok] == []
    assert found.balanced
    assert found.sampled > 0
    for file, rows in found.counts.rows.items():
        parts = (found.counts.taken, found.counts.used, found.counts.rejected, found.counts.held)
        assert rows == sum(part.get(file, 0) for part in parts)


@pytest.mark.parametrize("code", CODES)
async def test_exactly_the_planted_rows_are_rejected(
    fleet: Fleet,
    extracts: dict[str, Path],
    reports: dict[str, legacy.Report],
    importer: Callable[[str], Caller],
    code: str,
) -> None:
    """Rejected rows name file, line, item and reason; the truth comes from the generator."""
    assert reports[code].run_no > 0
    async with operation(fleet, importer(code), "legacy.worklist", purpose="確認", right="import.review") as op:
        items = await legacy.worklist(op, outcome="rejected", limit=500)
    assert {(i.file, i.line, i.item, i.reason) for i in items} == truth(extracts[code])


@pytest.mark.parametrize("code", CODES)
async def test_the_same_extract_is_not_imported_twice(
    fleet: Fleet,
    extracts: dict[str, Path],
    reports: dict[str, legacy.Report],
    importer: Callable[[str], Caller],
    code: str,
) -> None:
    assert reports[code].run_no > 0
    with pytest.raises(Conflict) as refused:
        await imported(fleet, importer(code), extracts[code])
    assert refused.value.code == "legacy.already_imported"


async def test_a_row_is_opened_and_closed_with_a_reason(
    fleet: Fleet, reports: dict[str, legacy.Report], importer: Callable[[str], Caller]
) -> None:
    """R-A-2.3-USE-01: whoever reviews a migration sees 個人番号 and 住民票コード only with their own rights, and it is marked."""
    sees = msgspec.structs.replace(importer("072044"), rights=importer("072044").rights | {"resident.code"})
    who = msgspec.structs.replace(sees, rights=frozenset({"import.review"}))
    assert reports["072044"].run_no > 0
    async with operation(fleet, who, "legacy.worklist", purpose="確認") as op:
        item = next(i for i in await legacy.worklist(op, limit=500) if i.reason == "my_number.check_digit")
        row = await legacy.open_row(op, item.entry_no)
        assert op.facts["my_number"] == 0
    assert dict(row.cells)["個人番号"] == dict(row.cells)["住民票コード"] == HIDDEN
    async with operation(fleet, sees, "legacy.worklist", purpose="確認") as op:
        row = await legacy.open_row(op, item.entry_no)
        assert op.facts["my_number"] == 1
    assert dict(row.cells)["個人番号"].startswith("99")
    async with operation(fleet, who, "legacy.resolve", purpose="確認") as op:
        await legacy.resolve(op, item.entry_no, "本人確認のうえ職権記載")
    async with operation(fleet, who, "legacy.worklist", purpose="確認") as op:
        assert item.entry_no not in {i.entry_no for i in await legacy.worklist(op, limit=500)}
    with pytest.raises(Conflict):
        async with operation(fleet, who, "legacy.dismiss", purpose="確認") as op:
            await legacy.dismiss(op, item.entry_no, "二重")


async def test_a_work_list_is_closed_to_whoever_lacks_the_right(fleet: Fleet, caller: Callable[..., Caller]) -> None:
    with pytest.raises(Refused):
        async with operation(fleet, caller("resident.read"), "legacy.worklist", purpose="確認") as op:
            await legacy.worklist(op)


async def test_an_import_needs_its_right(
    fleet: Fleet, extracts: dict[str, Path], caller: Callable[..., Caller]
) -> None:
    with pytest.raises(Refused):
        await imported(fleet, caller("resident.read"), extracts["072044"])


async def test_one_municipality_cannot_take_in_the_extract_of_another(
    fleet: Fleet, extracts: dict[str, Path], importer: Callable[[str], Caller]
) -> None:
    with pytest.raises(JukiError) as refused:
        await imported(fleet, importer("075418"), extracts["072044"])
    assert refused.value.code in {"legacy.not_this_layout", "legacy.file_missing", "legacy.other_municipality"}


async def test_people_of_one_import_are_unknown_to_the_other_municipality(
    fleet: Fleet,
    reports: dict[str, legacy.Report],
    importer: Callable[[str], Caller],
) -> None:
    """Both incumbents number from the same serial, so compare a person only one of them has."""
    assert reports["072044"].balanced
    async with operation(fleet, importer("072044"), "resident.read", purpose="確認") as op:
        rows = await op.session.fetch("SELECT max(atena_no) FROM {t}.resident_version")
        last = rows[0][0]
        found = await record(op, last)
        assert found.atena_no == last
    with pytest.raises(NotFound):
        async with operation(fleet, importer("075418"), "resident.read", purpose="確認") as op:
            await record(op, "9" * 10)
