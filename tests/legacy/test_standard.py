"""標準レイアウト: everything out, back in under other keys, and equal (R-1-2.6-MIG-01, R-1-3.4-OUT-06)."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.legacy.media import imported

from juki import legacy
from juki.access.model import Caller
from juki.audit import operation
from juki.config import Config
from juki.dates import RegistryDate
from juki.legacy.flat import Flat
from juki.legacy.standard import TABLES
from juki.problem import Conflict, Invalid
from juki.registry import approve_loosening, ask_end, decline_loosening, enter_protection, suppress
from juki.registry.model import GROUPS, Level, Measure, Process, Record, SupportMeasure
from juki.tenancy import Fleet, connect, find, running_numbers

CODE = "075418"


@pytest.fixture(scope="module")
async def exported(
    fleet: Fleet, extracts: dict[str, Path], caller: Callable[..., Caller], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, legacy.Manifest]:
    """A register with imported people, a decision on the work list, a suppression and a measure that two ended, exported."""
    who = caller("import.run", "import.review", "protection.enter", "resident.read", tenant=CODE)
    await imported(fleet, who, extracts[CODE])
    async with operation(fleet, who, "legacy.decide", purpose="確認") as op:
        await legacy.resolve(op, (await legacy.worklist(op))[0].entry_no, "職権記載で処理")
        row = await op.session.fetch_one("SELECT min(atena_no) FROM {t}.resident_version WHERE status = 'resident'")
        assert row is not None
        measure_no = await enter_protection(
            op,
            SupportMeasure(
                name="仮　名",
                birth=RegistryDate(1980, 1, 1),
                address="平",
                atena_no=row[0],
                starts_on=dt.date(2026, 4, 1),
            ),
        )
        await suppress(op, [row[0]], Process.ISSUE, Level.ERROR, starts_on=op.now.date(), reason="印鑑紛失")
        numbers = [await ask_end(op, measure_no, "申出の取下げ")]
    other = caller("protection.enter", tenant=CODE, actor="op-0002")
    async with operation(fleet, other, "protection.decline", purpose="確認") as op:
        await decline_loosening(op, numbers[0], "本人に確かめていない")
    async with operation(fleet, who, "protection.ask_end", purpose="確認") as op:
        numbers.append(await ask_end(op, measure_no, "本人に確かめた"))
    async with operation(fleet, other, "protection.approve", purpose="確認") as op:
        await approve_loosening(op, numbers[1])
    folder = tmp_path_factory.mktemp("export")
    manifest = await asyncio.to_thread(
        legacy.export_standard, fleet, CODE, legacy.folder_sink(folder), now=fleet.clock()
    )
    return folder, manifest


async def test_an_export_taken_into_another_tenant_is_equal_file_by_file(
    fleet: Fleet, config: Config, exported: tuple[Path, legacy.Manifest], newcomer: Callable[[Config], str]
) -> None:
    """Both sides are opened and written out again, so equal digests mean equal content of every item."""
    folder, manifest = exported
    scratch = newcomer(config)
    await asyncio.to_thread(legacy.import_standard, fleet, scratch, legacy.folder_reader(folder))
    found = await asyncio.to_thread(legacy.compare, fleet, scratch, manifest)
    assert found.differences == ()
    assert found.equal
    assert found.rows["residents.csv"] > 700
    assert found.rows["support_measures.csv"] > 0
    assert found.rows["suppression.csv"] == 1
    assert (found.rows["loosening.csv"], found.rows["loosening_step.csv"]) == (2, 4)
    assert found.rows["import_decision.csv"] == 1
    with closing(connect(config, "deploy")) as deploy:
        numbers = {n.name: n for n in running_numbers(deploy, find(deploy, scratch))}
    assert [n for n in numbers.values() if n.behind] == []
    assert all(numbers[f"{name}_seq"].used > 0 for name in ("event", "measure", "suppression", "loosening", "import"))
    with pytest.raises(Conflict) as refused:
        await asyncio.to_thread(legacy.import_standard, fleet, scratch, legacy.folder_reader(folder))
    assert refused.value.code == "legacy.not_empty"


async def test_comparison_notices_another_municipality(fleet: Fleet, exported: tuple[Path, legacy.Manifest]) -> None:
    found = await asyncio.to_thread(legacy.compare, fleet, "072044", exported[1])
    assert not found.equal
    assert "residents.csv" in found.differences


async def test_a_changed_export_is_not_restored(
    fleet: Fleet,
    config: Config,
    exported: tuple[Path, legacy.Manifest],
    newcomer: Callable[[Config], str],
    tmp_path: Path,
) -> None:
    folder, manifest = exported
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    residents = tmp_path / "residents.csv"
    residents.write_bytes(residents.read_bytes().replace("平".encode(), "泉".encode(), 1).replace(b"070", b"071", 1))
    scratch = newcomer(config)
    with pytest.raises(Invalid) as refused:
        await asyncio.to_thread(legacy.import_standard, fleet, scratch, legacy.folder_reader(tmp_path))
    assert refused.value.code == "legacy.standard_file"
    left = await asyncio.to_thread(legacy.compare, fleet, scratch, manifest)
    assert "residents.csv" in left.differences


async def test_an_export_without_a_manifest_is_no_export(fleet: Fleet, tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refused:
        await asyncio.to_thread(legacy.import_standard, fleet, CODE, legacy.folder_reader(tmp_path))
    assert refused.value.code == "legacy.manifest_missing"


def test_every_recorded_item_has_a_column() -> None:
    """All 82 items and the 29 of 支援措置 go out: the columns are made from the record itself."""
    columns = set(Flat(Record).columns())
    for group, struct in GROUPS.items():
        assert group in columns
        for name in struct.__struct_fields__:
            assert any(c == f"{group}.{name}" or c.startswith(f"{group}.{name}.") for c in columns)
    measure = Flat(Measure).columns()
    for name in SupportMeasure.__struct_fields__:
        assert any(c == f"content.{name}" or c.startswith(f"content.{name}.") for c in measure)


async def test_every_table_of_the_register_is_exported_or_named_here(
    fleet: Fleet, caller: Callable[..., Caller]
) -> None:
    """A new table must not stay behind in silence when a municipality leaves."""
    left_out = {
        "resident_index_a", "resident_index_b", "resident_number_a", "resident_number_b", "support_subject_a",
        "support_subject_b",  # made anew from the content
        "certificate_spool",  # emptied at hand-over
        "tenant_state", "schema_version", "offboard_request", "offboard_decision",  # of the platform
    }  # fmt: skip
    async with operation(fleet, caller("resident.read"), "legacy.tables", purpose="確認", write=False) as op:
        rows = await op.session.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 't072044'")
    own = {row[0] for row in rows}
    staff = {name for name in own if name.startswith("audit_")} | {
        "operator", "credential", "account_event", "login_failure", "duty_grant", "revocation_ledger", "account_review",
        "terminal", "hours_approval", "staff_session", "machine_client", "machine_assertion", "access_token",
        "staff_page",
    }  # fmt: skip  # accounts and the log leave by roads of their own
    cut = {"resident_version", "event", "support_measure"}
    assert own - left_out - staff - cut == set(TABLES)
